/**
 * Makes one batch of a run of small uncompressed ones. A partition takes one batch per Produce request, and a broker works on one
 * request of a connection at a time: sixty-four 16 KB batches cost it sixty-four turns, merged they cost one.
 *
 * Records and their order are unchanged. Only three numbers in front of each record are written anew (its length, and its
 * distances from the base timestamp and the base offset of its batch); attributes, key, value and headers are copied as they are.
 * One pass, no allocation per record.
 */
import { assert } from '../base/assert.ts'
import {
  attributesAt,
  baseTimestampAt,
  batchBaseOffset,
  batchBaseTimestamp,
  batchHeaderBytes,
  batchMaxTimestamp,
  batchRecordCount,
  batchSizeInBytes,
  batchTimestampType,
  lastOffsetDeltaAt,
  lengthAt,
  logOverheadBytes,
  magicAt,
  maxTimestampAt,
  none,
  recordCountAt,
  setBatchPartitionLeaderEpoch,
  setBatchProducer,
  writeInt16,
  writeInt32,
  writeInt64,
} from '../protocol/records/record-batch.ts'
import { RecordFormatError } from '../protocol/records/record.ts'
import {
  readVarint,
  readVarlong,
  type VarintCursor,
  varintBytes,
  varlongBytes,
  writeVarint,
  writeVarlong,
} from '../protocol/records/varint.ts'

/**
 * Base timestamps further apart than this (99 days) are not merged: the distance then takes at most five bytes, which is what
 * `mergedBytesMax` counts on.
 */
export const mergeTimestampSpanMs = 2 ** 33

/** Most bytes by which merging lengthens a record: one of length, two of offset, five of timestamp. */
const growthPerRecord = 8

/** An upper bound of the merged batch, from the sizes and record counts of the sources. */
export function mergedBytesMax(sourceBytes: number, recordCount: number): number {
  return sourceBytes + recordCount * growthPerRecord
}

/** Some bytes of whole, adjacent, uncompressed batches without holes: what lies in `bytes` from `at` to `end`. */
export interface BatchRun {
  readonly bytes: Uint8Array
  readonly at: number
  readonly end: number
}

const cursor: VarintCursor = { at: 0, end: 0, failed: false }

/**
 * Writes one batch with all records of `run` to the front of `out` (`mergedBytesMax` long at least) and answers its size.
 * Producer fields are empty and the CRC is not set. Throws RecordFormatError when the records cannot be read.
 */
export function mergeBatches(out: Uint8Array, run: BatchRun): number {
  const { bytes } = run
  const baseTimestamp = firstTimestamp(bytes, run.at)
  let maxTimestamp: number = none
  let count = 0
  let to = batchHeaderBytes
  for (let at = run.at; at < run.end; ) {
    const end = at + batchSizeInBytes(bytes, at)
    assert(end <= run.end, 'a run holds whole batches')
    maxTimestamp = Math.max(maxTimestamp, batchMaxTimestamp(bytes, at))
    to = copyRecords(out, to, bytes, { at, end, firstDelta: count, baseTimestamp })
    count += batchRecordCount(bytes, at)
    at = end
  }
  writeInt64(out, 0, batchBaseOffset(bytes, run.at))
  writeInt32(out, lengthAt, to - logOverheadBytes)
  setBatchPartitionLeaderEpoch(out, 0, none)
  out[magicAt] = 2
  writeInt16(out, attributesAt, 0)
  writeInt32(out, lastOffsetDeltaAt, count - 1)
  writeInt64(out, baseTimestampAt, baseTimestamp)
  writeInt64(out, maxTimestampAt, maxTimestamp)
  setBatchProducer(out, 0, { id: none, epoch: none, baseSequence: none })
  writeInt32(out, recordCountAt, count)
  return to
}

/** Where the records of a batch are counted from: the base timestamp, or with LogAppendTime the one time of them all. */
export function firstTimestamp(bytes: Uint8Array, at: number): number {
  return batchTimestampType(bytes, at) === 'LogAppendTime'
    ? batchMaxTimestamp(bytes, at)
    : batchBaseTimestamp(bytes, at)
}

interface RecordSource {
  readonly at: number
  readonly end: number
  /** Offset delta of the first record in the merged batch. */
  readonly firstDelta: number
  readonly baseTimestamp: number
}

function copyRecords(out: Uint8Array, outAt: number, bytes: Uint8Array, source: RecordSource): number {
  const count = batchRecordCount(bytes, source.at)
  const isAppendTime = batchTimestampType(bytes, source.at) === 'LogAppendTime'
  const shift = firstTimestamp(bytes, source.at) - source.baseTimestamp
  let to = outAt
  let offsetDelta = source.firstDelta
  cursor.at = source.at + batchHeaderBytes
  cursor.end = source.end
  cursor.failed = false
  for (let index = 0; index < count; index++) {
    const length = readVarint(bytes, cursor)
    const recordEnd = cursor.at + length
    if (cursor.failed || length < 1 || recordEnd > source.end)
      throw new RecordFormatError('a record has no valid length')
    const attributes = bytes[cursor.at++] as number
    const timestampDelta = readVarlong(bytes, cursor)
    readVarint(bytes, cursor)
    const bodyAt = cursor.at
    const bodyBytes = recordEnd - bodyAt
    if (cursor.failed || bodyBytes < 0) throw new RecordFormatError('a record cannot be read')
    const newTimestampDelta = isAppendTime ? shift : timestampDelta + shift
    to = writeVarint(out, to, 1 + varlongBytes(newTimestampDelta) + varintBytes(offsetDelta) + bodyBytes)
    out[to] = attributes
    to = writeVarlong(out, to + 1, newTimestampDelta)
    to = writeVarint(out, to, offsetDelta)
    copyBytes(out, to, bytes, bodyAt, recordEnd)
    to += bodyBytes
    offsetDelta++
    cursor.at = recordEnd
  }
  if (cursor.at !== source.end) throw new RecordFormatError('bytes are left behind the last record')
  return to
}

/** Below this many bytes a loop beats `subarray` and `set`. */
const loopCopyBytesMax = 40

function copyBytes(out: Uint8Array, to: number, bytes: Uint8Array, from: number, end: number): void {
  if (end - from > loopCopyBytesMax) out.set(bytes.subarray(from, end), to)
  else for (let at = from, next = to; at < end; at++, next++) out[next] = bytes[at] as number
}
