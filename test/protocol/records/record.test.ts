import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import type { Compute } from '../../../src/base/ports.ts'
import { endTransactionMarker } from '../../../src/protocol/records/control-record.ts'
import {
  encodeHeaders,
  forEachRecord,
  RecordFormatError,
  type RecordView,
  recordsOf,
} from '../../../src/protocol/records/record.ts'
import {
  batchCodec,
  batchCrcIsValid,
  batchLastOffset,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchSizeInBytes,
  forEachBatch,
  setBatchBaseOffset,
  setBatchPartitionLeaderEpoch,
} from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { readVarlong, writeVarlong } from '../../../src/protocol/records/varint.ts'
import { nodeCompute } from '../../../src/node/compute.ts'

interface ForeignRecord {
  offsetDelta: number
  timestampDelta: number
  key: Buffer | string | null
  value: Buffer | string | null
  headers: Record<string, string>
}
interface ForeignEncoder {
  (batch: Record<string, unknown>): Promise<{ buffer: Buffer }>
}

// kafkajs's own encoders: bytes that no code of ours has made.
const require = createRequire(import.meta.url)
const encodeForeign: ForeignEncoder = require('kafkajs/src/protocol/recordBatch/v0').RecordBatch
const ForeignRecordEncoder: (record: ForeignRecord) => unknown = require('kafkajs/src/protocol/recordBatch/record/v0')
const firstTimestamp = 1_700_000_000_123

async function foreignBatch(compression: number): Promise<Uint8Array> {
  const records = [
    { offsetDelta: 0, timestampDelta: 0, key: 'k1', value: 'first', headers: { a: '1', ü: 'zwei' } },
    { offsetDelta: 1, timestampDelta: 70_000, key: null, value: 'second'.repeat(50), headers: {} },
    { offsetDelta: 2, timestampDelta: 5, key: 'k3', value: null, headers: {} },
  ].map((record) => ForeignRecordEncoder(record))
  const encoded = await encodeForeign({
    compression,
    firstTimestamp,
    maxTimestamp: firstTimestamp + 70_000,
    producerId: 12_345_678_901,
    producerEpoch: 3,
    firstSequence: 17,
    lastOffsetDelta: 2,
    records,
  })
  return encoded.buffer
}

const textOf = (record: RecordView): unknown => [
  record.offset,
  record.timestampMs - firstTimestamp,
  record.key === null ? null : Buffer.from(record.key).toString(),
  record.value === null ? null : Buffer.from(record.value).toString(),
  record.headers.map((header) => `${header.key}=${header.value === null ? '' : Buffer.from(header.value).toString()}`),
]

const expected = [
  [100, 0, 'k1', 'first', ['a=1', 'ü=zwei']],
  [101, 70_000, null, 'second'.repeat(50), []],
  [102, 5, 'k3', null, []],
]

describe('a batch that another client has made', () => {
  test.each([
    ['none', 0],
    ['gzip', 1],
  ] as const)('is read record by record (%s)', async (codec, number) => {
    const batch = await foreignBatch(number)
    expect(batchCrcIsValid(batch)).toBe(true)
    setBatchBaseOffset(batch, 0, 100)
    setBatchPartitionLeaderEpoch(batch, 0, 9)
    expect(batchCrcIsValid(batch)).toBe(true)
    expect([batchCodec(batch), batchRecordCount(batch), batchLastOffset(batch)]).toEqual([codec, 3, 102])
    expect([batchProducerId(batch), batchProducerEpoch(batch), batchMaxTimestamp(batch)]).toEqual([
      12_345_678_901,
      3,
      firstTimestamp + 70_000,
    ])
    const compute: Compute = nodeCompute({ inline: true })
    expect((await recordsOf(batch, compute, 100_000)).map(textOf)).toEqual(expected)
  })

  test('is the same, to the byte, when the builder makes it', async () => {
    const builder = new RecordBatchBuilder()
    const headers = encodeHeaders([
      { key: 'a', value: Buffer.from('1') },
      { key: 'ü', value: Buffer.from('zwei') },
    ])
    const source = Buffer.from('..k1first..')
    builder.appendSlices(firstTimestamp, source, 2, 2, source, 4, 5, headers)
    builder.append(firstTimestamp + 70_000, null, Buffer.from('second'.repeat(50)), null)
    builder.append(firstTimestamp + 5, Buffer.from('k3'), null, null)
    const built = builder.build({
      producerId: 12_345_678_901,
      producerEpoch: 3,
      baseSequence: 17,
      partitionLeaderEpoch: 0,
    })
    const foreign = await foreignBatch(0)
    setBatchPartitionLeaderEpoch(foreign, 0, 0)
    expect(Buffer.from(built).equals(foreign)).toBe(true)
  })
})

describe('records', () => {
  test('whose bytes are cut or changed are refused, never read beyond the batch', async () => {
    const batch = await foreignBatch(0)
    for (let at = 61; at < batch.length; at++) {
      const bent = Uint8Array.from(batch)
      bent[at] = (bent[at] as number) ^ 0x80
      try {
        forEachRecord(bent, 0, (record) => {
          expect((record.value?.length ?? 0) + (record.key?.length ?? 0)).toBeLessThan(batch.length)
        })
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(RecordFormatError)
      }
    }
  })

  test('has the same bytes in memory that goes round, whatever lay there before', () => {
    const free: Uint8Array[] = []
    let taken = 0
    const memory = {
      takeAtLeast: (bytes: number) => {
        taken++
        const found = free.findIndex((each) => each.length >= bytes)
        return found < 0 ? new Uint8Array(bytes) : (free.splice(found, 1)[0] as Uint8Array)
      },
      give: (bytes: Uint8Array) => void free.push(new Uint8Array(bytes.buffer as ArrayBuffer).fill(0xa5)),
    }
    const round = new RecordBatchBuilder({ initialBytes: 256, memory })
    const fresh = new RecordBatchBuilder({ initialBytes: 256 })
    for (const records of [1, 40, 2, 300, 1, 90]) {
      for (const builder of [round, fresh])
        for (let index = 0; index < records; index++) builder.append(index, null, Buffer.from(`value ${index}`), null)
      const built = round.build()
      expect(Buffer.compare(built, fresh.build())).toBe(0)
      memory.give(built)
    }
    // All that was taken is back: nothing was lost on the way.
    expect(new Set(free.map((each) => each.buffer)).size).toBe(free.length)
    expect(taken).toBeGreaterThan(free.length)
  })

  test('forEachBatch stops at a part of a batch', () => {
    const builder = new RecordBatchBuilder()
    const one = (): Uint8Array => {
      builder.append(1, null, Buffer.from('value'), null)
      return builder.build()
    }
    const bytes = Buffer.concat([one(), one(), one().subarray(0, 70)])
    let count = 0
    expect(forEachBatch(bytes, () => void count++)).toBe(2 * batchSizeInBytes(bytes))
    expect(count).toBe(2)
  })

  test('long deltas survive the varint in both signs', () => {
    for (const value of [0, -1, 63, 64, -65, 2 ** 31, -(2 ** 31) - 1, 2 ** 40 + 7, -(2 ** 50), 1_700_000_000_000]) {
      const bytes = new Uint8Array(10)
      const end = writeVarlong(bytes, 0, value)
      const cursor = { at: 0, end, failed: false }
      expect([readVarlong(bytes, cursor), cursor.at, cursor.failed]).toEqual([value, end, false])
    }
  })

  test('a transaction marker is known by its key', () => {
    const builder = new RecordBatchBuilder()
    // From a log of Apache Kafka: key version 0, type 1 (COMMIT); value version 0, coordinator epoch 7.
    builder.append(1, Buffer.from([0, 0, 0, 1]), Buffer.from([0, 0, 0, 0, 0, 7]), null)
    const batch = builder.build({
      producerId: 4,
      producerEpoch: 1,
      isControl: true,
      isTransactional: true,
      baseOffset: 55,
    })
    expect(endTransactionMarker(batch)).toEqual({ offset: 55, type: 'COMMIT', coordinatorEpoch: 7 })
  })
})
