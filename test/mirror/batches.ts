/** Batches for the mirror's tests, and the records that are in them. */
import {
  attributesAt,
  batchAttributes,
  batchSizeInBytes,
  logAppendTimeBit,
  maxTimestampAt,
  updateBatchCrc,
  writeInt16,
  writeInt64,
} from '../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder, type RecordBatchFields } from '../../src/protocol/records/record-batch-builder.ts'
import { encodeHeaders, forEachRecord, type RecordView } from '../../src/protocol/records/record.ts'

export interface TestRecord {
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers?: readonly (readonly [string, string | null])[]
}

/** One uncompressed batch. */
export function batchOf(
  baseOffset: number,
  records: readonly TestRecord[],
  fields: RecordBatchFields = {},
): Uint8Array {
  const builder = new RecordBatchBuilder()
  for (const record of records) {
    const headers = (record.headers ?? []).map(([key, value]) => ({
      key,
      value: value === null ? null : Buffer.from(value),
    }))
    builder.append(record.timestampMs, bytesOf(record.key), bytesOf(record.value), encodeHeaders(headers))
  }
  return builder.build({ ...fields, baseOffset })
}

/** `count` records `v<offset>`, a millisecond apart. */
export function plainBatch(baseOffset: number, count: number, valueBytes = 10): Uint8Array {
  const records = Array.from({ length: count }, (_, index) => ({
    timestampMs: 1_700_000_000_000 + baseOffset + index,
    key: `k${baseOffset + index}`,
    value: `v${baseOffset + index}`.padEnd(valueBytes, '.'),
  }))
  return batchOf(baseOffset, records)
}

/** The same batch as the log stores it under `message.timestamp.type=LogAppendTime`. */
export function withAppendTime(batch: Uint8Array, wallMs: number): Uint8Array {
  const copy = batch.slice()
  writeInt16(copy, attributesAt, batchAttributes(copy) | logAppendTimeBit)
  writeInt64(copy, maxTimestampAt, wallMs)
  updateBatchCrc(copy)
  return copy
}

export function concatenated(batches: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(batches))
}

/** All records of uncompressed batches, as plain values. */
export function recordsIn(bytes: Uint8Array): TestRecordView[] {
  const found: TestRecordView[] = []
  for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
    forEachRecord(bytes, at, (record) => {
      found.push(viewOf(record))
    })
  }
  return found
}

export interface TestRecordView {
  readonly offset: number
  readonly timestampMs: number
  readonly key: string | null
  readonly value: string | null
  readonly headers: readonly (readonly [string, string | null])[]
}

export function viewOf(record: RecordView): TestRecordView {
  return {
    offset: record.offset,
    timestampMs: record.timestampMs,
    key: textOf(record.key),
    value: textOf(record.value),
    headers: record.headers.map((header) => [header.key, textOf(header.value)] as const),
  }
}

function bytesOf(text: string | null): Uint8Array | null {
  return text === null ? null : Buffer.from(text)
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString()
}
