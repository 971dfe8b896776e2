/** The memory of appended batches: what may be read of it, and when it is used again. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { LogTail, TailCache } from '../../src/log/tail-cache.ts'
import { batchBaseOffset, setBatchBaseOffset } from '../../src/protocol/records/record-batch.ts'
import { batchOf } from './log-fixture.ts'

const kibibyte = 1024

function batchAt(offset: number, bytes: number): Uint8Array {
  const batch = batchOf([String.fromCharCode(97 + (offset % 26)).repeat(bytes)])
  setBatchBaseOffset(batch, 0, offset)
  return batch
}

describe('tail cache', () => {
  it('changes no batch that is not written yet, and reads what was appended', () => {
    const step = fc.record({
      log: fc.nat({ max: 2 }),
      bytes: fc.oneof(
        fc.integer({ min: 1, max: 2000 }),
        fc.constantFrom(300 * kibibyte, 900 * kibibyte, 1000 * kibibyte, 1500 * kibibyte),
      ),
      // Mostly the disk lags, then it has everything.
      written: fc.constantFrom(0, 0, 0, 0, 0, 1, 100),
    })
    fc.assert(
      fc.property(fc.array(step, { minLength: 20, maxLength: 60 }), (steps) => {
        const cache = new TailCache(4096 * kibibyte)
        const tails = [
          new LogTail(() => Number.POSITIVE_INFINITY),
          new LogTail(() => Number.POSITIVE_INFINITY),
          new LogTail(() => Number.POSITIVE_INFINITY),
        ] as const
        const ends = [0, 0, 0]
        const unwritten: { readonly kept: Uint8Array; readonly expected: Uint8Array }[] = []
        for (const { log, bytes, written } of steps) {
          const tail = tails[log] as LogTail
          const offset = ends[log] as number
          const expected = batchAt(offset, bytes)
          const brought = expected.slice()
          unwritten.push({ kept: cache.add(tail, brought), expected })
          brought.fill(0)
          ends[log] = offset + 1
          const read = tail.read({ fromOffset: offset, endOffset: offset + 1, bytesMax: 1, minOneBatch: true })
          expect(Buffer.compare(read ?? new Uint8Array(0), expected)).toBe(0)
          for (const { kept, expected: whole } of unwritten) expect(Buffer.compare(kept, whole)).toBe(0)
          const count = Math.min(written, unwritten.length)
          unwritten.splice(0, count)
          cache.written(count)
        }
      }),
      { numRuns: 60 },
    )
  })

  it('uses the memory of written batches again', () => {
    const cache = new TailCache(4096 * kibibyte)
    const tail = new LogTail(() => Number.POSITIVE_INFINITY)
    const buffers = new Set<ArrayBufferLike>()
    for (let offset = 0; offset < 400; offset++) {
      buffers.add(cache.add(tail, batchAt(offset, 100 * kibibyte)).buffer)
      cache.written(1)
    }
    expect(buffers.size).toBeLessThan(6)
  })

  it('uses it again also where the disk is behind the cache', () => {
    const cache = new TailCache(4096 * kibibyte)
    const tail = new LogTail(() => Number.POSITIVE_INFINITY)
    const buffers = new Set<ArrayBufferLike>()
    for (let offset = 0; offset < 800; offset++) {
      buffers.add(cache.add(tail, batchAt(offset, 100 * kibibyte)).buffer)
      if (offset % 80 === 79) cache.written(80)
    }
    expect(buffers.size).toBeLessThan(10)
  })

  it('answers a copy: what was read does not change when the memory is used again', () => {
    const cache = new TailCache(2048 * kibibyte)
    const tail = new LogTail(() => Number.POSITIVE_INFINITY)
    const first = batchAt(0, 100 * kibibyte)
    cache.add(tail, first)
    const read = tail.read({ fromOffset: 0, endOffset: 1, bytesMax: 1, minOneBatch: true }) as Uint8Array
    for (let offset = 1; offset < 200; offset++) {
      cache.add(tail, batchAt(offset, 100 * kibibyte))
      cache.written(1)
    }
    expect(batchBaseOffset(read)).toBe(0)
    expect(Buffer.compare(read, first)).toBe(0)
  })

  it('does not keep a deleted log from being forgotten, and gives its batches up like those that are written', () => {
    const cache = new TailCache(64 * kibibyte)
    const log = { writtenEndOffset: 0 }
    const tail = new LogTail(() => log.writtenEndOffset)
    for (let offset = 0; offset < 3; offset += 1) cache.add(tail, batchAt(offset, 30 * kibibyte))
    expect(tail.isOldestWritten).toBe(false)
    tail.disown()
    expect(tail.isOldestWritten).toBe(true)
    const other = new LogTail(() => Number.POSITIVE_INFINITY)
    for (let offset = 0; offset < 2; offset += 1) cache.add(other, batchAt(offset, 30 * kibibyte))
    expect(tail.read({ fromOffset: 1, endOffset: 3, bytesMax: 1e6, minOneBatch: true })).toBeNull()
  })
})
