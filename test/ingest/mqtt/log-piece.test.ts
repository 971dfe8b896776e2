/** A part of the log that several readers take: where a walk begins, where it ends, and what is not theirs. */
import { describe, expect, it } from 'vitest'
import { LogPiece } from '../../../src/ingest/mqtt/log-piece.ts'
import { setBatchBaseOffset } from '../../../src/protocol/records/record-batch.ts'
import { batchOf } from '../../log/log-fixture.ts'

/** Batches of 4, 1 and 3 records from offset 10 on; values are their offsets. */
function bytes(): Uint8Array {
  let offset = 10
  const batches = [4, 1, 3].map((count) => {
    const batch = batchOf(Array.from({ length: count }, (_each, index) => String(offset + index)))
    setBatchBaseOffset(batch, 0, offset)
    offset += count
    return batch
  })
  return Buffer.concat(batches)
}

function visited(piece: LogPiece, from: number, max = 100): { seen: string[]; endOffset: number; ends: number[] } {
  const seen: string[] = []
  const ends: number[] = []
  const { endOffset } = piece.walk(
    from,
    (records, { valueStart, valueEnd }, offset) => {
      seen.push(Buffer.from(records.subarray(valueStart, valueEnd)).toString())
      expect(seen.at(-1)).toBe(String(offset))
      return seen.length < max
    },
    (end) => void ends.push(end),
  )
  return { seen, endOffset, ends }
}

describe('a piece of the log', () => {
  it('gives nothing from the live end on: that is for the common reader to give', () => {
    const [piece] = LogPiece.of(bytes(), 0, { fromOffset: 11, liveOffset: 13 })
    expect(piece.endOffset).toBe(13)
    expect(visited(piece, 11)).toEqual({ seen: ['11', '12'], endOffset: 13, ends: [] })
  })

  it('goes on where a walk was ended, and further back when somebody is there', () => {
    const [piece, end] = LogPiece.of(bytes(), 0, { fromOffset: 10, liveOffset: 100 })
    expect([piece.endOffset, end]).toEqual([18, bytes().length])
    expect(visited(piece, 10, 2)).toEqual({ seen: ['10', '11'], endOffset: 12, ends: [] })
    expect(visited(piece, 12, 3)).toEqual({ seen: ['12', '13', '14'], endOffset: 15, ends: [14] })
    expect(visited(piece, 11, 2)).toEqual({ seen: ['11', '12'], endOffset: 13, ends: [] })
    expect(visited(piece, 15)).toEqual({ seen: ['15', '16', '17'], endOffset: 18, ends: [18] })
  })

  it('ends the walk at a batch that cannot be read, and says so', () => {
    const broken = bytes()
    broken[61] = 0xff
    const [piece] = LogPiece.of(broken, 0, { fromOffset: 10, liveOffset: 100 })
    const walk = piece.walk(
      10,
      () => true,
      () => {},
    )
    expect(walk).toEqual({ endOffset: 14, isUnreadable: true })
    expect(visited(piece, 14).seen).toEqual(['14', '15', '16', '17'])
  })
})
