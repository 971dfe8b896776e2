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
import { visitBatches } from './damage-finder.ts'
import { ensureMaxTimestamp, indexBytesMax, rebuildIndex } from './index-check.ts'
import { examineOnce, findPosition, isAsIndexed, type ReaderParts, readCold } from './log-reader.ts'
import { recordsMaxTimestamp, type Segment } from './segment.ts'
import { lookupTimeFile, timeEntryBytes, validTimeEntries } from './segment-index.ts'
import { headersOf, scanSegment } from './segment-scan.ts'
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
  let fromOffset = log.logStartOffset
  for (;;) {
    const batch = await firstBatchSince(log, segment, { timestampMs, fromOffset }, parts)
    if (batch === null) return null
    const found = await recordIn(log, batch, parts, (record) => record.timestampMs >= timestampMs)
    // What fits in it lies below the log's start: the search goes on behind it.
    if (found !== null) return found
    fromOffset = batchLastOffset(batch) + 1
  }
}

/** The record with the greatest timestamp, or null. */
export async function findMaxTimestamp(log: UnifiedLog, parts: ReaderParts): Promise<TimestampOffset | null> {
  await untilWritten(log, parts)
  let best: GreatestTime | null = null
  const segments = [...log.segments]
  for (const segment of segments) {
    if (segment.sizeInBytes === 0) continue
    const greatest = await greatestIn(log, segment, parts).catch((error: unknown) => {
      if (segment.replacement === null) throw error
      return null
    })
    if (greatest !== null && greatest.timestampMs > (best?.timestampMs ?? -1)) best = greatest
  }
  const replaced = segments.find((segment) => segment.replacement !== null)
  if (replaced !== undefined) {
    await replaced.replacement
    return findMaxTimestamp(log, parts)
  }
  if (best === null) return null
  const { offset, timestampMs } = best
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

interface GreatestTime {
  readonly timestampMs: number
  /** Last offset of the batch that has it. */
  readonly offset: number
}

/** The greatest time in a segment; in the one where the log begins, of the records that are left. */
async function greatestIn(log: UnifiedLog, segment: Segment, parts: ReaderParts): Promise<GreatestTime | null> {
  await ensureMaxTimestamp(log, segment, parts)
  const { maxTimestampMs: timestampMs, maxTimestampOffset: offset } = segment
  if (timestampMs < 0) return null
  const startOffset = log.logStartOffset
  if (startOffset <= segment.baseOffset) return { timestampMs, offset }
  let best: GreatestTime | null = null
  let straddles = false
  await visitBatches(segment, segment.sizeInBytes, parts.disk, (bytes, at) => {
    const last = batchLastOffset(bytes, at)
    if (last >= log.writtenEndOffset) return false
    if (last < startOffset) return true
    if (batchBaseOffset(bytes, at) < startOffset) straddles = true
    else if (recordsMaxTimestamp(bytes, at) > (best?.timestampMs ?? -1))
      best = { timestampMs: recordsMaxTimestamp(bytes, at), offset: last }
    return true
  })
  if (!straddles) return best
  const request = { fromOffset: startOffset, endOffset: log.writtenEndOffset, bytesMax: 1, minOneBatch: true }
  const read = await readCold(log, request, parts)
  if (read.kind !== 'batches' || read.bytes.length === 0) return best
  let greatestMs = -1
  await recordIn(log, read.bytes, parts, (record) => {
    greatestMs = Math.max(greatestMs, record.timestampMs)
    return false
  })
  const first = { timestampMs: greatestMs, offset: batchLastOffset(read.bytes) }
  return greatestMs >= ((best as GreatestTime | null)?.timestampMs ?? 0) ? first : best
}

/** What is acknowledged from the journal may not stand in its file yet, and these searches read files. */
async function untilWritten(log: UnifiedLog, parts: ReaderParts): Promise<void> {
  const endOffset = log.durableEndOffset
  while (log.writtenEndOffset < endOffset && !log.isDeleted && parts.isCommitting()) await parts.nextCommit()
}

interface TimeSearch {
  readonly timestampMs: number
  /** Batches that end below it are passed over. */
  readonly fromOffset: number
}

/** The first batch of the segment, at or beyond the offset, whose max timestamp reaches the asked one; what is damaged is passed over. */
async function firstBatchSince(
  log: UnifiedLog,
  segment: Segment,
  search: TimeSearch,
  parts: ReaderParts,
): Promise<Uint8Array | null> {
  let { fromOffset } = search
  for (;;) {
    const offset = await firstOffsetSince(log, segment, { ...search, fromOffset }, parts)
    if (offset === null) return null
    const request = { fromOffset: offset, endOffset: log.writtenEndOffset, bytesMax: 1, minOneBatch: true }
    const read = await readCold(log, request, parts)
    if (read.kind === 'batches' && read.bytes.length > 0) return read.bytes
    if (read.kind !== 'damaged' || read.nextOffset <= fromOffset) return null
    fromOffset = read.nextOffset
  }
}

/** Where the records of that batch begin. */
async function firstOffsetSince(
  log: UnifiedLog,
  segment: Segment,
  { timestampMs, fromOffset }: TimeSearch,
  parts: ReaderParts,
): Promise<number | null> {
  const relative = await timeLookup(log, segment, timestampMs, parts)
  const since = Math.max(segment.baseOffset + relative, fromOffset)
  const writtenEndOffset = log.writtenEndOffset
  if (since >= writtenEndOffset) return null
  const from = await findPosition(log, segment, since, parts)
  let offset = -1
  let isFirst = true
  let isWrong = false
  let isOver = false
  const visit = (bytes: Uint8Array, at: number): boolean => {
    isWrong = isFirst && !isAsIndexed(bytes, from, at)
    isFirst = false
    isOver = isWrong || batchLastOffset(bytes, at) >= log.writtenEndOffset
    if (isOver) return false
    if (recordsMaxTimestamp(bytes, at) < timestampMs || batchLastOffset(bytes, at) < fromOffset) return true
    offset = Math.max(batchBaseOffset(bytes, at), log.logStartOffset)
    isOver = true
    return false
  }
  for (let position: number = from.at; position < segment.sizeInBytes && !isOver; ) {
    const bad = log.damage.inFile(segment.logPath, position)
    if (bad !== null) {
      isFirst = false
      position = bad.endPosition
      continue
    }
    const to = Math.min(segment.sizeInBytes, log.damage.nextInFile(segment.logPath, position))
    const end = await scanSegment({ ...headersOf(segment), disk: parts.disk, from: position, to, visit })
    position = end.position
    if (end.reason === null) continue
    // Behind that the file need not have anything yet.
    if (end.nextOffset >= writtenEndOffset) break
    if (isFirst && (from.indexedOffset ?? null) !== null) {
      isWrong = true
      break
    }
    // Something is wrong with the log itself: when that is known, the search passes it over.
    if (segment.isExamined || segment.replacement !== null) return null
    await examineOnce(log, segment, parts)
    return segment.isExamined ? firstOffsetSince(log, segment, { timestampMs, fromOffset }, parts) : null
  }
  if (!isWrong) return offset < 0 ? null : offset
  await rebuildIndex(log, segment, parts)
  // The rebuilt entries are in memory: no file is asked again.
  return segment.replacement === null ? firstOffsetSince(log, segment, { timestampMs, fromOffset }, parts) : null
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
