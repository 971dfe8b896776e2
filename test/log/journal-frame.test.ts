import { describe, expect, test } from 'vitest'
import {
  decodeFrameBody,
  decodeFrameHeader,
  encodeFrame,
  frameFootprint,
  frameHeaderBytes,
  journalBlockBytes,
  type JournalRange,
} from '../../src/log/journal-frame.ts'

const incarnation = new Uint8Array(16).fill(7)

function rangeOf(partition: number, sizes: readonly number[]): JournalRange {
  const chunks = sizes.map((size, index) => new Uint8Array(size).fill(partition * 16 + index))
  const bytes = sizes.reduce((sum, size) => sum + size, 0)
  const topicId = new Uint8Array(16).fill(3)
  return { topicId, partition, segmentBaseOffset: partition * 1000, position: partition * 10, chunks, bytes }
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(chunks))
}

describe('a journal frame', () => {
  test.each([
    ['small ones', [[100], [200], [300]]],
    ['a large one', [[9000]]],
    ['a large one first', [[9000], [100], [50]]],
    ['a large one last', [[100, 50], [9000]]],
    ['large and small ones in turn', [[100, 3000, 10], [3000], [3000, 1], [2048], [2049, 5]]],
    ['empty ones', [[0], [0, 4000, 0], [0]]],
  ])('gives every range back as it was: %s', (_, sizes) => {
    const ranges = sizes.map((each, index) => rangeOf(index + 1, each))
    const total = ranges.reduce((sum, { bytes }) => sum + bytes, 0)
    const frame = joined(encodeFrame({ incarnation, sequence: 5, oldestNeeded: 2 }, ranges))

    expect(frame.length).toBe(frameFootprint(ranges.length, total))
    expect(frame.length % journalBlockBytes).toBe(0)
    const header = decodeFrameHeader(frame, 0, incarnation)
    expect(header).toMatchObject({ sequence: 5, oldestNeeded: 2, ranges: ranges.length })
    if (header === null) throw new Error('no header')
    const body = frame.subarray(frameHeaderBytes, frameHeaderBytes + header.bodyBytes)
    expect(
      decodeFrameBody(header, body)?.map(({ partition, segmentBaseOffset, position, bytes }) => ({
        partition,
        segmentBaseOffset,
        position,
        bytes: [...bytes],
      })),
    ).toEqual(
      ranges.map(({ partition, segmentBaseOffset, position, chunks }) => ({
        partition,
        segmentBaseOffset,
        position,
        bytes: [...joined(chunks)],
      })),
    )
  })
})
