/** The records inside a batch v2 (KIP-98): a varint length, then attributes, deltas, key, value and headers. */
import type { Compute } from '../../base/ports.ts'
import {
  batchBaseOffset,
  batchBaseTimestamp,
  batchCodec,
  batchHeaderBytes,
  batchMaxTimestamp,
  batchRecordCount,
  batchSizeInBytes,
  batchTimestampType,
} from './record-batch.ts'
import { readVarint, readVarlong, varintBytes, type VarintCursor, writeVarint } from './varint.ts'

export interface RecordHeader {
  readonly key: string
  readonly value: Uint8Array | null
}

/** One record; key and value are views into the bytes they were read from. */
export interface RecordView {
  readonly offset: number
  readonly timestampMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly RecordHeader[]
}

/** The bytes of a batch's records are not records. */
export class RecordFormatError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'RecordFormatError'
  }
}

/** Answer false to stop. */
export type RecordVisitor = (record: RecordView) => boolean | undefined | void

/** Visits the records of an uncompressed batch in order. Throws RecordFormatError when they cannot be read. */
export function forEachRecord(bytes: Uint8Array, at: number, visit: RecordVisitor): void {
  const end = at + batchSizeInBytes(bytes, at)
  if (batchCodec(bytes, at) !== 'none') throw new RecordFormatError('the records are compressed')
  if (end > bytes.length) throw new RecordFormatError('the batch is longer than its bytes')
  walkRecords(bytes, at, { records: bytes, start: at + batchHeaderBytes, end }, visit)
}

/**
 * The records of one batch, decompressed when they need to be. Rejects with a ComputeError when they would take more than
 * `bytesMax` or cannot be decompressed, with a RecordFormatError when they are no records.
 */
export async function recordsOf(batch: Uint8Array, compute: Compute, bytesMax: number): Promise<readonly RecordView[]> {
  const records = await recordBytesOf(batch, compute, bytesMax)
  const views: RecordView[] = []
  walkRecords(batch, 0, { records, start: 0, end: records.length }, (record) => {
    views.push(record)
  })
  return views
}

/** The bytes of a batch's records, decompressed when they need to be. Rejects with a ComputeError, or a RecordFormatError for an unknown codec. */
export async function recordBytesOf(batch: Uint8Array, compute: Compute, bytesMax: number): Promise<Uint8Array> {
  const codec = batchCodec(batch)
  if (codec === null) throw new RecordFormatError('unknown codec')
  const body = batch.subarray(batchHeaderBytes, batchSizeInBytes(batch))
  return codec === 'none' ? body : compute.decompress(codec, body, bytesMax)
}

/** The same for who is done with them when `use` has settled: what was unpacked is gone then. */
export async function withRecordBytes<T>(
  batch: Uint8Array,
  compute: Compute,
  bytesMax: number,
  use: (records: Uint8Array) => T | Promise<T>,
): Promise<T> {
  const codec = batchCodec(batch)
  if (codec === null) throw new RecordFormatError('unknown codec')
  const body = batch.subarray(batchHeaderBytes, batchSizeInBytes(batch))
  return codec === 'none' ? use(body) : compute.unpack(codec, body, bytesMax, use)
}

/** The header section of a record: a count, then each key and value. */
export function encodeHeaders(headers: readonly RecordHeader[]): Uint8Array {
  if (headers.length === 0) return noHeaders
  let size = varintBytes(headers.length)
  const keys = headers.map((header) => Buffer.from(header.key, 'utf8'))
  headers.forEach((header, index) => {
    const keyBytes = (keys[index] as Buffer).length
    const valueBytes = header.value?.length ?? 0
    size += varintBytes(keyBytes) + keyBytes + varintBytes(header.value === null ? -1 : valueBytes) + valueBytes
  })
  const bytes = new Uint8Array(size)
  let at = writeVarint(bytes, 0, headers.length)
  headers.forEach((header, index) => {
    const key = keys[index] as Buffer
    at = writeVarint(bytes, at, key.length)
    bytes.set(key, at)
    at = writeVarint(bytes, at + key.length, header.value === null ? -1 : header.value.length)
    if (header.value !== null) {
      bytes.set(header.value, at)
      at += header.value.length
    }
  })
  return bytes
}

/** An empty header section. Never written to. */
export const noHeaders: Uint8Array = new Uint8Array(1)

/** Fewest bytes of a record: length, attributes, two deltas, two nulls, no headers. */
const recordBytesMin = 7

interface RecordSpan {
  readonly records: Uint8Array
  readonly start: number
  readonly end: number
}

function walkRecords(header: Uint8Array, at: number, span: RecordSpan, visit: RecordVisitor): void {
  const count = batchRecordCount(header, at)
  if (count < 0 || count > (span.end - span.start) / recordBytesMin)
    throw new RecordFormatError('impossible record count')
  const baseOffset = batchBaseOffset(header, at)
  const baseTimestamp = batchBaseTimestamp(header, at)
  const appendTime = batchTimestampType(header, at) === 'LogAppendTime' ? batchMaxTimestamp(header, at) : null
  const cursor: VarintCursor = { at: span.start, end: span.end, failed: false }
  for (let index = 0; index < count; index++) {
    const size = readVarint(span.records, cursor)
    const recordEnd = cursor.at + size
    if (cursor.failed || size < 0 || recordEnd > span.end)
      throw new RecordFormatError(`record ${index} has no valid length`)
    cursor.end = recordEnd
    const record = readRecord(span.records, cursor, { baseOffset, baseTimestamp, appendTime })
    if (cursor.failed || cursor.at !== recordEnd) throw new RecordFormatError(`record ${index} cannot be read`)
    cursor.end = span.end
    if (visit(record) === false) return
  }
}

function readRecord(
  bytes: Uint8Array,
  cursor: VarintCursor,
  base: { readonly baseOffset: number; readonly baseTimestamp: number; readonly appendTime: number | null },
): RecordView {
  cursor.at++
  const timestampDelta = readVarlong(bytes, cursor)
  const offsetDelta = readVarint(bytes, cursor)
  const key = readBytes(bytes, cursor)
  const value = readBytes(bytes, cursor)
  const headers = readHeaders(bytes, cursor)
  return {
    offset: base.baseOffset + offsetDelta,
    timestampMs: base.appendTime ?? base.baseTimestamp + timestampDelta,
    key,
    value,
    headers,
  }
}

const nothing: readonly RecordHeader[] = []

function readHeaders(bytes: Uint8Array, cursor: VarintCursor): readonly RecordHeader[] {
  const count = readVarint(bytes, cursor)
  if (count === 0) return nothing
  // A header takes two bytes at least: the count is checked against what remains before anything is built.
  if (cursor.failed || count < 0 || count > (cursor.end - cursor.at) / 2) {
    cursor.failed = true
    return nothing
  }
  const headers: RecordHeader[] = []
  for (let index = 0; index < count && !cursor.failed; index++) {
    const key = readBytes(bytes, cursor)
    if (key === null) cursor.failed = true
    const value = readBytes(bytes, cursor)
    headers.push({
      key: key === null ? '' : Buffer.from(key.buffer, key.byteOffset, key.length).toString('utf8'),
      value,
    })
  }
  return headers
}

function readBytes(bytes: Uint8Array, cursor: VarintCursor): Uint8Array | null {
  const length = readVarint(bytes, cursor)
  if (length === -1 || cursor.failed) return null
  const end = cursor.at + length
  if (length < 0 || end > cursor.end) {
    cursor.failed = true
    return null
  }
  const view = bytes.subarray(cursor.at, end)
  cursor.at = end
  return view
}
