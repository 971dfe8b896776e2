import { batchBaseTimestamp, batchMaxTimestamp, batchTimestampType } from '../../protocol/records/record-batch.ts'
import { headerNames } from './record-headers.ts'
import { readVarint, readVarlong, type VarintCursor } from '../../protocol/records/varint.ts'
import { RecordFormatError, type RecordHeader } from '../../protocol/records/record.ts'

/** Where the parts of one record stand in the bytes that are walked. One object is used again for every record. */
export interface ScannedRecord {
  /** Wall ms, where the batch's times are known; else the record's distance from its batch's. */
  timestampMs: number
  offsetDelta: number
  /** Key; start -1 = null. */
  keyStart: number
  keyEnd: number
  /** Value; start -1 = null. */
  valueStart: number
  valueEnd: number
  /** Header section with its count; its end is the record's. */
  headersStart: number
  headersEnd: number
  /** Value of `mqtt.topic`; start -1 = there is none. */
  topicStart: number
  topicEnd: number
}

/** What the times of a batch's records are counted from. */
export interface BatchTimes {
  readonly baseMs: number
  /** LogAppendTime: that of all its records. */
  readonly appendedMs: number | null
}

/** Of the batch whose header stands at `at`. */
export function timesOf(header: Uint8Array, at: number): BatchTimes {
  const isAppended = batchTimestampType(header, at) === 'LogAppendTime'
  return { baseMs: batchBaseTimestamp(header, at), appendedMs: isAppended ? batchMaxTimestamp(header, at) : null }
}

const topicHeader = Buffer.from(headerNames.topic)
const scanned: ScannedRecord = {
  timestampMs: 0,
  offsetDelta: 0,
  keyStart: -1,
  keyEnd: -1,
  valueStart: -1,
  valueEnd: -1,
  headersStart: 0,
  headersEnd: 0,
  topicStart: -1,
  topicEnd: -1,
}

/**
 * Walks `count` uncompressed records in [start, end) without building anything for those that nobody wants. `visit` sees one shared object,
 * valid during the call; it ends the walk by answering false. Throws RecordFormatError.
 */
export function scanRecords(
  bytes: Uint8Array,
  span: { readonly start: number; readonly end: number; readonly count: number; readonly times?: BatchTimes },
  visit: (record: ScannedRecord) => unknown,
): void {
  const { times } = span
  const cursor: VarintCursor = { at: span.start, end: span.end, failed: false }
  for (let index = 0; index < span.count; index += 1) {
    const size = readVarint(bytes, cursor)
    const recordEnd = cursor.at + size
    if (cursor.failed || size < 0 || recordEnd > span.end)
      throw new RecordFormatError(`record ${index} has no valid length`)
    cursor.end = recordEnd
    cursor.at += 1
    const delta = readVarlong(bytes, cursor)
    scanned.timestampMs = times === undefined ? delta : (times.appendedMs ?? times.baseMs + delta)
    scanned.offsetDelta = readVarint(bytes, cursor)
    scanned.keyStart = fieldStart(bytes, cursor)
    scanned.keyEnd = cursor.at
    scanned.valueStart = fieldStart(bytes, cursor)
    scanned.valueEnd = cursor.at
    scanned.headersStart = cursor.at
    scanned.headersEnd = recordEnd
    findTopicHeader(bytes, cursor)
    if (cursor.failed || cursor.at !== recordEnd) throw new RecordFormatError(`record ${index} cannot be read`)
    cursor.end = span.end
    if (visit(scanned) === false) return
  }
}

/** First byte of a length-prefixed field, or -1 for null; the cursor moves behind it. */
function fieldStart(bytes: Uint8Array, cursor: VarintCursor): number {
  const length = readVarint(bytes, cursor)
  if (length < 0 || cursor.failed) {
    if (length !== -1) cursor.failed = true
    return -1
  }
  const start = cursor.at
  if (start + length > cursor.end) cursor.failed = true
  else cursor.at = start + length
  return start
}

function findTopicHeader(bytes: Uint8Array, cursor: VarintCursor): void {
  scanned.topicStart = -1
  const count = readVarint(bytes, cursor)
  if (count < 0) cursor.failed = true
  for (let index = 0; index < count && !cursor.failed; index += 1) {
    const nameStart = fieldStart(bytes, cursor)
    const isTopic = scanned.topicStart < 0 && isTopicName(bytes, nameStart, cursor.at)
    const valueStart = fieldStart(bytes, cursor)
    if (!isTopic || valueStart < 0) continue
    scanned.topicStart = valueStart
    scanned.topicEnd = cursor.at
  }
}

function isTopicName(bytes: Uint8Array, start: number, end: number): boolean {
  if (end - start !== topicHeader.length) return false
  // The last letter differs soonest among our own names.
  for (let at = topicHeader.length - 1; at >= 0; at -= 1) if (bytes[start + at] !== topicHeader[at]) return false
  return true
}

/** The headers of a record that `scanRecords` has checked; values are views. */
export function headersOf(
  bytes: Uint8Array,
  record: Pick<ScannedRecord, 'headersStart' | 'headersEnd'>,
): readonly RecordHeader[] {
  const cursor: VarintCursor = { at: record.headersStart, end: record.headersEnd, failed: false }
  const count = readVarint(bytes, cursor)
  const headers: RecordHeader[] = []
  for (let index = 0; index < count && !cursor.failed; index += 1) {
    const nameStart = fieldStart(bytes, cursor)
    const key = Buffer.from(bytes.buffer, bytes.byteOffset + nameStart, cursor.at - nameStart).toString('utf8')
    const valueStart = fieldStart(bytes, cursor)
    headers.push({ key, value: valueStart < 0 ? null : bytes.subarray(valueStart, cursor.at) })
  }
  return headers
}
