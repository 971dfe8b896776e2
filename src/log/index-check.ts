/**
 * Holds the index files of a segment against the log before they are believed, and rebuilds them where they do not fit: an index
 * is a hint (architecture law 1). What is believed: offsets, positions and times that rise and lie inside the segment, a last
 * entry that points at the batch it names, and no long stretch of the log without an entry.
 */
import type { Disk } from '../base/ports.ts'
import {
  batchHeaderBytes,
  batchLastOffset,
  batchSizeInBytes,
  readInt32,
  readInt64,
} from '../protocol/records/record-batch.ts'
import { visitBatches } from './damage-finder.ts'
import type { ReaderParts } from './log-reader.ts'
import { logEvents } from './log-events.ts'
import { recordsMaxTimestamp, Segment } from './segment.ts'
import { offsetEntryBytes, timeEntryBytes, validOffsetEntries, validTimeEntries } from './segment-index.ts'
import { scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Most bytes of an index file that is read. */
export const indexBytesMax = 64 * 1_048_576
/** A stretch without an entry up to this long is no fault: index.interval.bytes may have been larger once. */
const gapBytesMax = 262_144

/** Makes the index of a segment usable: checked or rebuilt, its offset file in the cache. */
export async function checkIndex(log: UnifiedLog, segment: Segment, parts: ReaderParts): Promise<void> {
  const file = await readIndex(parts.disk, segment.indexPath)
  // The file may be that of the segment which takes this one's place.
  if (segment.replacement !== null) return
  if (segment.indexIsChecked) {
    const held = segment.index.filedOffsets * offsetEntryBytes
    if (file.length >= held) parts.indexes.put(segment.indexPath, file.subarray(0, held))
    else await rebuildIndex(log, segment, parts)
    return
  }
  const isActive = segment === log.activeSegment
  const limit = segment.index.firstUnfiledPosition ?? segment.sizeInBytes
  const relativeEnd = log.logEndOffset - segment.baseOffset
  const count = isActive ? segment.index.filedOffsets : Math.floor(file.length / offsetEntryBytes)
  const entries = file.subarray(0, count * offsetEntryBytes)
  const times = await readIndex(parts.disk, segment.timeIndexPath)
  const timeCount = isActive ? segment.index.filedTimes : Math.floor(times.length / timeEntryBytes)
  const timeEntries = times.subarray(0, timeCount * timeEntryBytes)
  const isRight =
    entries.length === count * offsetEntryBytes &&
    validOffsetEntries(entries, limit, relativeEnd) === count &&
    timeEntries.length === timeCount * timeEntryBytes &&
    validTimeEntries(timeEntries, relativeEnd) === timeCount &&
    // Entries of both kinds are added together: without times the file is gone, and the batches that follow may have no records to tell it.
    (isActive || count === 0 || timeCount > 0) &&
    (await coversLog(segment, { entries, limit, lastTimeMs: isActive ? null : lastTime(timeEntries) }, parts.disk))
  if (segment.replacement !== null) return
  if (!isRight) {
    parts.observer.event(logEvents.hintIgnored, { file: segment.indexPath })
    await rebuildIndex(log, segment, parts)
    return
  }
  if (!isActive) {
    segment.index.adoptFiles({ offsets: count, times: timeCount, lastTimestamp: lastTime(timeEntries) })
    adoptMaxTimestamp(segment, timeEntries)
  }
  segment.indexIsChecked = true
  parts.indexes.put(segment.indexPath, entries)
}

/** Makes the greatest timestamp of a sealed segment known: the last entry of its time index. */
export async function ensureMaxTimestamp(log: UnifiedLog, segment: Segment, parts: ReaderParts): Promise<void> {
  if (segment.maxTimestampIsKnown) return
  try {
    if (!(await adoptPlausibleEnd(log, segment, parts.disk))) await checkIndex(log, segment, parts)
  } catch (thrown) {
    if (segment.replacement === null) throw thrown
  }
  segment.maxTimestampIsKnown = true
}

/** Takes the last time entry over without reading the rest, when it can be right. */
async function adoptPlausibleEnd(log: UnifiedLog, segment: Segment, disk: Disk): Promise<boolean> {
  const bytes = (await disk.size(segment.timeIndexPath)) ?? 0
  if (bytes === 0 || bytes % timeEntryBytes !== 0) return false
  const entry = await disk.read(segment.timeIndexPath, bytes - timeEntryBytes, timeEntryBytes)
  const header = await disk.read(segment.logPath, 0, batchHeaderBytes)
  if (entry.length < timeEntryBytes || header.length < batchHeaderBytes) return false
  const next = log.segments[log.segments.indexOf(segment) + 1]
  const end = (next?.baseOffset ?? log.logEndOffset) - segment.baseOffset
  const relativeOffset = readInt32(entry, 8)
  if (relativeOffset < 0 || relativeOffset >= end || readInt64(entry, 0) < recordsMaxTimestamp(header)) return false
  adoptMaxTimestamp(segment, entry)
  return true
}

/** The last entry that a time file's bytes carry, taken over as the segment's greatest timestamp. */
export function adoptMaxTimestamp(segment: Segment, times: Uint8Array): void {
  if (times.length >= timeEntryBytes) {
    const at = times.length - timeEntryBytes
    segment.maxTimestampMs = readInt64(times, at)
    segment.maxTimestampOffset = segment.baseOffset + readInt32(times, at + 8)
  }
  segment.maxTimestampIsKnown = true
}

/** Walks all headers and builds both indexes anew; the entries stay in memory until the files have been written. */
export async function rebuildIndex(log: UnifiedLog, segment: Segment, parts: ReaderParts): Promise<void> {
  const limit = segment.index.firstUnfiledPosition ?? segment.sizeInBytes
  const rebuilt = new Segment(segment.directory, segment.baseOffset, segment.createdMs)
  await visitBatches(segment, limit, parts.disk, (bytes, at, position) => {
    rebuilt.noteBatch(bytes, at, position, log.config.indexIntervalBytes)
  })
  if (segment !== log.activeSegment) rebuilt.sealTimeIndex()
  if (segment.replacement !== null) return
  segment.index.replaceFiled(rebuilt.index)
  if (rebuilt.maxTimestampMs > segment.maxTimestampMs) {
    segment.maxTimestampMs = rebuilt.maxTimestampMs
    segment.maxTimestampOffset = rebuilt.maxTimestampOffset
  }
  segment.maxTimestampIsKnown = true
  segment.indexIsChecked = true
  parts.indexes.forget(segment.indexPath)
  parts.indexRebuilt(log, segment)
}

async function readIndex(disk: Disk, path: string): Promise<Uint8Array> {
  try {
    return (await disk.readFile(path, indexBytesMax)) ?? new Uint8Array(0)
  } catch {
    // An index that cannot be read is one that is not there: it is rebuilt.
    return new Uint8Array(0)
  }
}

function lastTime(times: Uint8Array): number {
  return times.length < timeEntryBytes ? -1 : readInt64(times, times.length - timeEntryBytes)
}

interface Coverage {
  readonly entries: Uint8Array
  /** Position up to which the files must cover the log. */
  readonly limit: number
  /** The last entry of a sealed segment's time index: no batch may be newer. Null = not sealed. */
  readonly lastTimeMs: number | null
}

/** Walks what lies behind the last entry: the entry must name a batch, and the stretch must neither be long nor hold a newer batch. */
async function coversLog(segment: Segment, coverage: Coverage, disk: Disk): Promise<boolean> {
  const { entries, limit, lastTimeMs } = coverage
  const count = entries.length / offsetEntryBytes
  const from = count === 0 ? 0 : readInt32(entries, entries.length - offsetEntryBytes + 4)
  const lastIndexed = count === 0 ? -1 : segment.baseOffset + readInt32(entries, entries.length - offsetEntryBytes)
  let isRight = true
  const end = await scanSegment({
    disk,
    path: segment.logPath,
    from,
    to: limit,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: segment.baseOffset,
    checkCrc: false,
    visit(bytes, at, position) {
      if (position === from && count > 0 && batchLastOffset(bytes, at) !== lastIndexed) isRight = false
      if (position - from > gapBytesMax + batchSizeInBytes(bytes, at)) isRight = false
      if (lastTimeMs !== null && recordsMaxTimestamp(bytes, at) > lastTimeMs) isRight = false
      return isRight
    },
  })
  return isRight && end.reason === null
}
