/** Offsets by timestamp (ListOffsets): through the time index to a batch, then to the record in it. */
import { ComputeError } from '../base/ports.ts'
import { RecordFormatError, recordsOf, type RecordView } from '../protocol/records/record.ts'
import {
  batchBaseOffset,
  batchLastOffset,
  batchMaxTimestamp,
  batchPartitionLeaderEpoch,
} from '../protocol/records/record-batch.ts'
import type { TimestampOffset } from './append.ts'
import { ensureMaxTimestamp, indexBytesMax, rebuildIndex } from './index-check.ts'
import { findPosition, isAsIndexed, type ReaderParts, readCold } from './log-reader.ts'
import { recordsMaxTimestamp, type Segment } from './segment.ts'
import { lookupTimeFile, timeEntryBytes, validTimeEntries } from './segment-index.ts'
import { scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Most bytes that one batch may have when it is decompressed to find a record by its time. */
const decompressedBytesMax = 64 * 1_048_576

/** The first record at or above the timestamp, or null. */
export async function findTimestamp(
  log: UnifiedLog,
  timestampMs: number,
  parts: ReaderParts,
): Promise<TimestampOffset | null> {
  await untilWritten(log, parts)
  const segments = [...log.segments]
  for (const segment of segments) {
    if (segment.sizeInBytes === 0) continue
    const found = await firstRecordSince(log, segment, timestampMs, parts).catch((error: unknown) => {
      if (segment.replacement === null) throw error
      return null
    })
    if (segment.replacement !== null) {
      await segment.replacement
      return findTimestamp(log, timestampMs, parts)
    }
    if (found !== null) return found
  }
  return null
}

async function firstRecordSince(
  log: UnifiedLog,
  segment: Segment,
  timestampMs: number,
  parts: ReaderParts,
): Promise<TimestampOffset | null> {
  await ensureMaxTimestamp(log, segment, parts)
  if (segment.maxTimestampMs < timestampMs) return null
  const batch = await firstBatchSince(log, segment, timestampMs, parts)
  return batch === null ? null : recordIn(log, batch, parts, (record) => record.timestampMs >= timestampMs)
}

/** The record with the greatest timestamp, or null. */
export async function findMaxTimestamp(log: UnifiedLog, parts: ReaderParts): Promise<TimestampOffset | null> {
  await untilWritten(log, parts)
  let best: Segment | null = null
  const segments = [...log.segments]
  for (const segment of segments) {
    if (segment.sizeInBytes === 0) continue
    await ensureMaxTimestamp(log, segment, parts)
    if (segment.maxTimestampMs > (best?.maxTimestampMs ?? -1)) best = segment
  }
  const replaced = segments.find((segment) => segment.replacement !== null)
  if (replaced !== undefined) {
    await replaced.replacement
    return findMaxTimestamp(log, parts)
  }
  if (best === null) return null
  const offset = best.maxTimestampOffset
  const timestampMs = best.maxTimestampMs
  const request = {
    fromOffset: Math.max(offset, log.logStartOffset),
    endOffset: offset + 1,
    bytesMax: 1,
    minOneBatch: true,
  }
  const read = await readCold(log, request, parts)
  if (read.kind !== 'batches' || read.bytes.length === 0) return null
  return recordIn(log, read.bytes, parts, (record) => record.timestampMs === timestampMs)
}

/** What is acknowledged from the journal may not stand in its file yet, and these searches read files. */
async function untilWritten(log: UnifiedLog, parts: ReaderParts): Promise<void> {
  const endOffset = log.durableEndOffset
  while (log.writtenEndOffset < endOffset && !log.isDeleted && parts.isCommitting()) await parts.nextCommit()
}

/** The first batch of the segment, at or beyond the log's start, whose max timestamp reaches the asked one. */
async function firstBatchSince(
  log: UnifiedLog,
  segment: Segment,
  timestampMs: number,
  parts: ReaderParts,
): Promise<Uint8Array | null> {
  const relative = await timeLookup(log, segment, timestampMs, parts)
  const from = await findPosition(log, segment, segment.baseOffset + relative, parts)
  let offset = -1
  let isFirst = true
  let isWrong = false
  const end = await scanSegment({
    disk: parts.disk,
    path: segment.logPath,
    from: from.at,
    to: segment.sizeInBytes,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: segment.baseOffset,
    checkCrc: false,
    visit(bytes, at) {
      isWrong = isFirst && !isAsIndexed(bytes, from, at)
      isFirst = false
      if (isWrong || batchLastOffset(bytes, at) >= log.writtenEndOffset) return false
      if (recordsMaxTimestamp(bytes, at) < timestampMs || batchLastOffset(bytes, at) < log.logStartOffset) return true
      offset = Math.max(batchBaseOffset(bytes, at), log.logStartOffset)
      return false
    },
  })
  if (isWrong || (isFirst && end.reason !== null && (from.indexedOffset ?? null) !== null)) {
    await rebuildIndex(log, segment, parts)
    // The rebuilt entries are in memory: no file is asked again.
    return segment.replacement === null ? firstBatchSince(log, segment, timestampMs, parts) : null
  }
  if (offset < 0) return null
  const request = { fromOffset: offset, endOffset: log.writtenEndOffset, bytesMax: 1, minOneBatch: true }
  const read = await readCold(log, request, parts)
  return read.kind === 'batches' && read.bytes.length > 0 ? read.bytes : null
}

async function timeLookup(log: UnifiedLog, segment: Segment, timestampMs: number, parts: ReaderParts): Promise<number> {
  const unfiled = segment.index.lookupUnfiledTime(timestampMs)
  if (unfiled !== null) return unfiled
  const file = await parts.disk.readFile(segment.timeIndexPath, indexBytesMax).catch(() => null)
  if (file === null) return 0
  const held = file.subarray(0, segment.index.filedTimes * timeEntryBytes)
  const valid = validTimeEntries(held, log.logEndOffset - segment.baseOffset)
  return lookupTimeFile(held.subarray(0, valid * timeEntryBytes), timestampMs)
}

/** The first record of the batch that fits, not below the log's start; where the records cannot be read, the batch's own figures. */
async function recordIn(
  log: UnifiedLog,
  batch: Uint8Array,
  parts: ReaderParts,
  fits: (record: RecordView) => boolean,
): Promise<TimestampOffset | null> {
  const leaderEpoch = batchPartitionLeaderEpoch(batch)
  try {
    const records = await recordsOf(batch, parts.compute, decompressedBytesMax)
    const record = records.find((candidate) => candidate.offset >= log.logStartOffset && fits(candidate))
    return record === undefined ? null : { offset: record.offset, timestampMs: record.timestampMs, leaderEpoch }
  } catch (thrown) {
    if (!(thrown instanceof ComputeError) && !(thrown instanceof RecordFormatError)) throw thrown
    return { offset: batchBaseOffset(batch), timestampMs: batchMaxTimestamp(batch), leaderEpoch }
  }
}
