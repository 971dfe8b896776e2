import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mergeBatches, mergedBytesMax } from '../../src/mirror/batch-merge.ts'
import {
  batchAttributes,
  batchLastOffset,
  batchMaxTimestamp,
  batchProducerId,
  batchRecordCount,
  batchSizeInBytes,
} from '../../src/protocol/records/record-batch.ts'
import { batchOf, concatenated, plainBatch, recordsIn, type TestRecord, withAppendTime } from './batches.ts'

function merge(batches: readonly Uint8Array[]): Uint8Array {
  const bytes = concatenated(batches)
  const count = batches.reduce((sum, batch) => sum + batchRecordCount(batch), 0)
  const out = new Uint8Array(mergedBytesMax(bytes.length, count))
  const size = mergeBatches(out, { bytes, at: 0, end: bytes.length })
  expect(batchSizeInBytes(out)).toBe(size)
  return out.subarray(0, size)
}

const text = fc.option(fc.string({ maxLength: 60 }), { nil: null })
const record: fc.Arbitrary<TestRecord> = fc.record({
  timestampMs: fc.integer({ min: 0, max: 4_000_000_000 }).map((ms) => 1_700_000_000_000 + ms),
  key: text,
  value: text,
  headers: fc.array(fc.tuple(fc.string({ maxLength: 9 }), text), { maxLength: 3 }),
})

describe('merging batches', () => {
  test('keeps every record, its order, offset, timestamp, key, value and headers', () => {
    const runs = fc.array(fc.array(record, { minLength: 1, maxLength: 200 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(runs, fc.integer({ min: 0, max: 2 ** 40 }), (run, firstOffset) => {
        let next = firstOffset
        const batches = run.map((records) => {
          const batch = batchOf(next, records, { producerId: 4, producerEpoch: 1, baseSequence: 9 })
          next += records.length
          return batch
        })
        const merged = merge(batches)
        expect(recordsIn(merged)).toEqual(recordsIn(concatenated(batches)))
        expect(batchLastOffset(merged)).toBe(next - 1)
        expect(batchMaxTimestamp(merged)).toBe(Math.max(...batches.map((batch) => batchMaxTimestamp(batch))))
        expect(batchProducerId(merged)).toBe(-1)
      }),
      { numRuns: 150 },
    )
  })

  test('gives records stored with LogAppendTime the time that readers of the source see', () => {
    const batches = [withAppendTime(plainBatch(5, 3), 1_800_000_000_123), plainBatch(8, 2)]
    const merged = merge(batches)
    expect(recordsIn(merged)).toEqual(recordsIn(concatenated(batches)))
    expect(batchAttributes(merged)).toBe(0)
  })

  test('stays within the bound that was promised for records of one byte', () => {
    const tiny = Array.from({ length: 300 }, (_, index) =>
      batchOf(
        index * 100,
        Array.from({ length: 100 }, () => ({ timestampMs: index % 2 === 0 ? 0 : 2 ** 33 - 1, key: null, value: 'x' })),
      ),
    )
    expect(recordsIn(merge(tiny))).toHaveLength(30_000)
  })

  test('refuses bytes that are no records', () => {
    const broken = plainBatch(0, 3)
    broken[61] = 0x7f
    expect(() => merge([broken, plainBatch(3, 1)])).toThrow(/length|left behind/)
  })
})
