import { describe, expect, test } from 'vitest'
import { BufferPool } from '../../src/mirror/buffer-pool.ts'
import { type ShapeOptions, shapeChunk, stampUnit } from '../../src/mirror/chunk-shaper.ts'
import type { ChunkItem } from '../../src/mirror/task-events.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { recordsOf } from '../../src/protocol/records/record.ts'
import {
  attributesAt,
  batchAttributes,
  batchBaseSequence,
  batchCodec,
  batchCrcIsValid,
  batchHeaderBytes,
  batchIsTransactional,
  batchProducerEpoch,
  batchProducerId,
  lastOffsetDeltaAt,
  lengthAt,
  logOverheadBytes,
  recordCountAt,
  transactionalBit,
  writeInt16,
  writeInt32,
} from '../../src/protocol/records/record-batch.ts'
import { batchOf, concatenated, plainBatch, recordsIn, type TestRecordView, viewOf, withAppendTime } from './batches.ts'

const compute = nodeCompute()

function options(changes: Partial<ShapeOptions> = {}): ShapeOptions {
  return {
    compute,
    pool: new BufferPool(64 * 1024, 4),
    batchBytesMax: 64 * 1024,
    verbatimBytesMin: 16 * 1024,
    hasMore: false,
    ...changes,
  }
}

const anchor = {
  producerId: 77,
  producerEpoch: 4,
  sourceOffset: 0,
  targetTopic: 't',
  targetTopicId: '',
  targetEndOffset: 0,
  confirmedEnd: 0,
}

/** What a reader of the target would see of the items, after they are stamped; offsets as in the source. */
async function sent(items: readonly ChunkItem[]): Promise<TestRecordView[]> {
  const views: TestRecordView[] = []
  for (const item of items) {
    if (item.kind !== 'unit') continue
    stampUnit(item.unit, anchor)
    const { batch, baseOffset, endOffset } = item.unit
    expect(batchCrcIsValid(batch)).toBe(true)
    expect([batchProducerId(batch), batchProducerEpoch(batch), batchBaseSequence(batch)]).toEqual([77, 4, baseOffset])
    const records = await recordsOf(batch, compute, 1 << 24)
    expect(records.length).toBe(endOffset - baseOffset)
    views.push(...records.map((record, index) => ({ ...viewOf(record), offset: baseOffset + index })))
  }
  return views
}

async function compressed(batch: Uint8Array): Promise<Uint8Array> {
  const body = await compute.compress('lz4', batch.subarray(batchHeaderBytes))
  const out = concatenated([batch.subarray(0, batchHeaderBytes), body])
  writeInt32(out, lengthAt, out.length - logOverheadBytes)
  writeInt16(out, attributesAt, batchAttributes(out) | 3)
  return out
}

const shape = (items: readonly ChunkItem[]): string[] =>
  items.map((item) => (item.kind === 'unit' ? `${item.unit.baseOffset}-${item.unit.endOffset}` : item.kind))

describe('cutting a piece of log', () => {
  test('small batches leave as one, with our producer and a right checksum', async () => {
    const batches = [plainBatch(0, 5), plainBatch(5, 7), plainBatch(12, 1)]
    const items = await shapeChunk(concatenated(batches), 0, options())
    expect(shape(items)).toEqual(['0-13'])
    expect(await sent(items)).toEqual(recordsIn(concatenated(batches)))
  })

  test('a large batch leaves byte for byte but for producer and checksum, and out of its transaction', async () => {
    const batch = plainBatch(3, 100, 400)
    writeInt16(batch, attributesAt, transactionalBit)
    const before = batch.slice()
    const [item] = await shapeChunk(batch, 0, options({ pool: new BufferPool(1024 * 1024, 1) }))
    expect(item?.kind).toBe('unit')
    if (item?.kind !== 'unit') return
    stampUnit(item.unit, anchor)
    expect(batchIsTransactional(item.unit.batch)).toBe(false)
    expect(Buffer.from(item.unit.batch.subarray(batchHeaderBytes)).equals(batch.subarray(batchHeaderBytes))).toBe(true)
    expect(Buffer.from(batch).equals(before)).toBe(true)
  })

  test('a batch that was half sent is gone on with in its middle', async () => {
    const batches = [plainBatch(0, 10), plainBatch(10, 2)]
    const items = await shapeChunk(concatenated(batches), 4, options())
    expect(await sent(items)).toEqual(recordsIn(concatenated(batches)).slice(4))
  })

  test('a batch larger than the target takes is split at records', async () => {
    const batch = plainBatch(0, 100, 1_000)
    const items = await shapeChunk(batch, 0, options({ batchBytesMax: 10_000 }))
    expect(shape(items).slice(0, 3)).toEqual(['0-9', '9-18', '18-27'])
    for (const item of items) if (item.kind === 'unit') expect(item.unit.batch.length).toBeLessThanOrEqual(10_000)
    expect(await sent(items)).toEqual(recordsIn(batch))
  })

  test('a record larger than the target takes stops there, with what is before it', async () => {
    const batch = batchOf(0, [
      { timestampMs: 1, key: null, value: 'small' },
      { timestampMs: 2, key: null, value: 'x'.repeat(5_000) },
      { timestampMs: 3, key: null, value: 'small' },
    ])
    const items = await shapeChunk(batch, 0, options({ batchBytesMax: 2_000 }))
    expect(shape(items)).toEqual(['0-1', 'tooLarge'])
    expect(items[1]).toMatchObject({ heldBecause: expect.stringContaining('offset 1 ') })
  })

  test('holes inside a batch part it', async () => {
    // As compaction leaves it: three of five offsets, the deltas kept.
    const whole = recordsIn(plainBatch(0, 5))
    const holed = batchOf(
      0,
      [0, 1, 3].map((index) => ({ ...(whole[index] as TestRecordView), headers: [] })),
    )
    // The third record's offset delta becomes 3, the batch spans five offsets.
    const third = holed.length - (holed.length - batchHeaderBytes) / 3
    holed[third + 3] = 6
    writeInt32(holed, lastOffsetDeltaAt, 4)
    writeInt32(holed, recordCountAt, 3)
    const items = await shapeChunk(holed, 0, options())
    expect(shape(items)).toEqual(['0-2', '3-4', 'skip'])
    expect((await sent(items)).map((record) => record.value)).toEqual(
      [whole[0], whole[1], whole[3]].map((record) => record?.value),
    )
  })

  test('many small compressed batches become one compressed batch, a few stay', async () => {
    const plain = Array.from({ length: 6 }, (_, index) => plainBatch(index * 20, 20, 200))
    const bytes = concatenated(await Promise.all(plain.map(compressed)))
    const items = await shapeChunk(bytes, 0, options())
    expect(shape(items.filter((item) => item.kind === 'unit'))).toEqual(['0-120'])
    if (items[0]?.kind === 'unit') expect(batchCodec(items[0].unit.batch)).toBe('lz4')
    expect(await sent(items)).toEqual(recordsIn(concatenated(plain)))
    const few = await shapeChunk(concatenated(await Promise.all(plain.slice(0, 3).map(compressed))), 0, options())
    expect(shape(few)).toEqual(['0-20', '20-40', '40-60'])
  })

  test('records stored with LogAppendTime keep the time that readers of the source see, compressed or not', async () => {
    const plain = withAppendTime(plainBatch(0, 20, 100), 1_800_000_000_000)
    const both = concatenated([plain, await compressed(withAppendTime(plainBatch(20, 20, 100), 1_800_000_000_500))])
    const times = new Set((await sent(await shapeChunk(both, 0, options()))).map((record) => record.timestampMs))
    expect([...times]).toEqual([1_800_000_000_000, 1_800_000_000_500])
  })

  test('a small rest is left to be read again with what follows', async () => {
    const batches = Array.from({ length: 22 }, (_, index) => plainBatch(index * 10, 10, 300))
    const bytes = concatenated(batches)
    expect(shape(await shapeChunk(bytes, 0, options({ hasMore: true })))).toEqual(['0-200'])
    expect(shape(await shapeChunk(bytes, 0, options()))).toEqual(['0-200', '200-220'])
  })
})
