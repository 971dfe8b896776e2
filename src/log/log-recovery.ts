/**
 * Recovery of one log after an unclean stop: streams what lies above the recovery point through the CRC, cuts the torn tail, and
 * rebuilds what hangs on it. Below the recovery point nothing is ever cut: bytes that are bad there were synced once, so the
 * medium or a hand changed them, and the log keeps them out of reads instead (safety.md R7).
 */
import type { DiskOperation } from '../base/ports.ts'
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchPartitionLeaderEpoch,
  readInt32,
} from '../protocol/records/record-batch.ts'
import { rebuildEpochs } from './epoch-rebuild.ts'
import { adoptMaxTimestamp, indexBytesMax } from './index-check.ts'
import { indexWrites } from './index-files.ts'
import { logEvents } from './log-events.ts'
import { type LoadHints, type LoadParts, readSmall } from './load-parts.ts'
import { loadProducers } from './producer-loader.ts'
import type { Segment } from './segment.ts'
import { offsetEntryBytes, timeEntryBytes, validOffsetEntries, validTimeEntries } from './segment-index.ts'
import { type ScanEnd, scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Recovers a log whose segments are known by name and size. Everything that it keeps is synced when it resolves. */
export async function recoverLog(log: UnifiedLog, hints: LoadHints, parts: LoadParts): Promise<void> {
  const first = log.segments[0] as Segment
  // After a clean stop everything was synced: nothing may be cut, whatever is found. Where no recovery point is known, sealed
  // segments count as synced.
  const cutFrom = hints.isClean ? Number.POSITIVE_INFINITY : (hints.recoveryPoint ?? log.activeSegment.baseOffset)
  const scanFrom = hints.isClean
    ? log.activeSegment.baseOffset
    : Math.max(hints.recoveryPoint ?? first.baseOffset, first.baseOffset)
  // A segment that was rolled right at the recovery point may not have been finished off: its index begins the work.
  const startIndex = log.segmentIndexOf(hints.isClean ? scanFrom : Math.max(scanFrom - 1, first.baseOffset))
  const start = log.segments[startIndex] as Segment
  const begin = await beginIndex(log, start, scanFrom, parts)
  await loadProducers(log, begin.offset, hints, parts)
  log.logEndOffset = begin.offset
  const operations: DiskOperation[] = []
  // Bad bytes at the recovery point itself are the torn tail; before it they are damage.
  if (begin.reason !== null && begin.offset < scanFrom) {
    markDamaged(log, start, begin, parts)
  } else {
    await scanOn(log, startIndex, begin, { cutFrom, operations, hints, parts })
  }
  if (log.logEndOffset < (hints.recoveryPoint ?? 0) && log.damage === null && !hints.isClean) {
    const recoveryPoint = hints.recoveryPoint ?? 0
    parts.observer.event(logEvents.shorterThanRecoveryPoint, {
      log: log.key,
      endOffset: log.logEndOffset,
      recoveryPoint,
    })
  }
  // The active segment's entries go out with the next checkpoint; a sealed one's would stay in memory.
  const scanned = log.segments.slice(startIndex, -1).filter((segment) => segment.index.hasUnfiled)
  for (const segment of scanned) await adoptEqualFiles(segment, parts)
  const sealed = scanned.map((segment) => indexWrites(segment, { forget() {} }))
  for (const writes of sealed) operations.push(...writes.operations)
  for (const { indexPath, timeIndexPath } of scanned) {
    operations.push({ kind: 'sync', path: indexPath }, { kind: 'sync', path: timeIndexPath })
  }
  dropSnapshotsAbove(log, operations)
  operations.push({ kind: 'syncDirectory', path: log.directory })
  await parts.disk.submit(operations)
  for (const writes of sealed) writes.done()
}

/**
 * The index of the segment where the scan begins: the entries of the files that fit, and a walk over the headers from there to
 * the first batch to be scanned. Answers its position and offset.
 */
async function beginIndex(log: UnifiedLog, segment: Segment, scanFrom: number, parts: LoadParts): Promise<BeginPoint> {
  const kept = await keepEntries(segment, scanFrom, parts)
  let lastEpoch = -1
  const end = await scanSegment({
    disk: parts.disk,
    path: segment.logPath,
    from: kept.position,
    to: segment.sizeInBytes,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: segment.baseOffset,
    ...boundOf(log, segment),
    checkCrc: false,
    visit(bytes, at, position) {
      if (batchLastOffset(bytes, at) >= scanFrom) return false
      lastEpoch = batchPartitionLeaderEpoch(bytes, at)
      segment.noteBatch(bytes, at, position, log.config.indexIntervalBytes)
      return true
    },
  })
  segment.indexIsChecked = true
  segment.maxTimestampIsKnown = true
  if (lastEpoch >= 0 && log.epochs.epochAt(end.nextOffset - 1) !== lastEpoch) await rebuildEpochs(log, parts.disk)
  return { ...end, offset: end.nextOffset }
}

interface BeginPoint extends ScanEnd {
  readonly offset: number
}

/** Adopts the index entries below `scanFrom` that fit the log; answers the position from which the headers are to be walked. */
async function keepEntries(
  segment: Segment,
  scanFrom: number,
  parts: LoadParts,
): Promise<{ readonly position: number }> {
  segment.index.reset({ offsets: 0, times: 0, lastTimestamp: -1 })
  const offsets = await readSmall(parts.disk, segment.indexPath, indexBytesMax)
  const times = await readSmall(parts.disk, segment.timeIndexPath, indexBytesMax)
  if (offsets === null || times === null) return { position: 0 }
  const count = validOffsetEntries(offsets, segment.sizeInBytes, scanFrom - segment.baseOffset)
  if (count === 0) return { position: 0 }
  const lastAt = (count - 1) * offsetEntryBytes
  const lastOffset = readInt32(offsets, lastAt)
  const position = readInt32(offsets, lastAt + 4)
  // Time entries are added together with offset entries: those up to the last kept one.
  const timeCount = validTimeEntries(times, lastOffset + 1)
  const header = await parts.disk.read(segment.logPath, position, batchHeaderBytes)
  const fits =
    header.length === batchHeaderBytes &&
    batchMagic(header) === 2 &&
    batchLastOffset(header) === segment.baseOffset + lastOffset &&
    batchBaseOffset(header) > segment.baseOffset
  if (!fits || timeCount === 0) return { position: 0 }
  const firstHeader = await parts.disk.read(segment.logPath, 0, batchHeaderBytes)
  adoptMaxTimestamp(segment, times.subarray(0, timeCount * timeEntryBytes))
  segment.index.reset({ offsets: count, times: timeCount, lastTimestamp: segment.maxTimestampMs })
  segment.noteFirst(firstHeader)
  return { position }
}

/** Index files that already say what the scan has found need not be written again (but synced: a kill may have come before). */
async function adoptEqualFiles(segment: Segment, parts: LoadParts): Promise<void> {
  const { index } = segment
  if (index.filedOffsets > 0) return
  const found = index.encodeUnfiled()
  const offsets = await readSmall(parts.disk, segment.indexPath, indexBytesMax)
  const times = await readSmall(parts.disk, segment.timeIndexPath, indexBytesMax)
  if (offsets === null || times === null) return
  if (Buffer.compare(offsets, found.offsets) !== 0 || Buffer.compare(times, found.times) !== 0) return
  index.markFiled(index.generation, index.offsetEntries, index.timeEntries)
}

interface ScanRun {
  readonly cutFrom: number
  readonly operations: DiskOperation[]
  readonly hints: LoadHints
  readonly parts: LoadParts
}

/** Scans from the begin point through all later segments; cuts where the first bad bytes are. */
async function scanOn(log: UnifiedLog, startIndex: number, begin: BeginPoint, run: ScanRun): Promise<void> {
  let from = begin.position
  for (let index = startIndex; index < log.segments.length; index++) {
    const segment = log.segments[index] as Segment
    if (index > startIndex) {
      segment.index.reset({ offsets: 0, times: 0, lastTimestamp: -1 })
      segment.indexIsChecked = true
      segment.maxTimestampIsKnown = true
    }
    const end = await scanTail(log, segment, from, run.parts)
    log.logEndOffset = Math.max(log.logEndOffset, end.nextOffset)
    if (segment.isOnDisk && end.position > from) run.operations.push({ kind: 'sync', path: segment.logPath })
    const later = log.segments.slice(index + 1)
    const reason = end.reason ?? faultBehind(end.nextOffset, later)
    if (reason !== null) {
      if (end.nextOffset < run.cutFrom && end.reason !== null) markDamaged(log, segment, end, run.parts)
      else cut(log, index, end, reason, run)
      return
    }
    if (later.length > 0) segment.sealTimeIndex()
    const next = later[0]?.baseOffset ?? 0
    // What is missing was deleted, or compacted by Apache Kafka: a snapshot made behind it knows its producers.
    if (next > end.nextOffset) await loadProducers(log, next, run.hints, run.parts)
    from = 0
  }
}

/**
 * What is wrong with the segments behind one that ends at `endOffset`. A gap alone is nothing: compaction leaves them. But a commit
 * creates the file of a new segment before it writes the end of the old one, so an empty one beyond a gap was never part of the log.
 */
function faultBehind(endOffset: number, later: readonly Segment[]): string | null {
  const next = later[0]
  if (next === undefined) return null
  if (next.baseOffset < endOffset) return 'the next segment overlaps'
  if (next.baseOffset > endOffset && later.every((segment) => segment.sizeInBytes === 0))
    return 'only empty segments follow'
  return null
}

async function scanTail(log: UnifiedLog, segment: Segment, from: number, parts: LoadParts): Promise<ScanEnd> {
  return scanSegment({
    disk: parts.disk,
    path: segment.logPath,
    from,
    to: segment.sizeInBytes,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: Math.max(segment.baseOffset, from === 0 ? 0 : log.logEndOffset),
    ...boundOf(log, segment),
    checkCrc: true,
    visit(bytes, at, position) {
      segment.noteBatch(bytes, at, position, log.config.indexIntervalBytes)
      log.epochs.truncateEnd(batchBaseOffset(bytes, at) + 1)
      log.epochs.assign(batchPartitionLeaderEpoch(bytes, at), batchBaseOffset(bytes, at))
      log.producers.update(bytes, at)
    },
  })
}

/** A base offset lies outside the CRC: one that is wrong upwards would make the segments behind it look like no part of the log. */
function boundOf(log: UnifiedLog, segment: Segment): { readonly endOffset?: number } {
  const next = log.segments[log.segments.indexOf(segment) + 1]
  return next === undefined ? {} : { endOffset: next.baseOffset }
}

/** Truncates the segment there, and removes the segments behind it. */
function cut(log: UnifiedLog, index: number, end: ScanEnd, reason: string, run: ScanRun): void {
  const segment = log.segments[index] as Segment
  let bytes = segment.sizeInBytes - end.position
  for (const later of log.segments.slice(index + 1)) {
    bytes += later.sizeInBytes
    for (const path of [later.logPath, later.indexPath, later.timeIndexPath])
      run.operations.push({ kind: 'unlink', path })
  }
  segment.sizeInBytes = end.position
  segment.forgetReads()
  log.segments.length = index + 1
  log.epochs.truncateEnd(Math.max(end.nextOffset, 1))
  run.operations.push(
    { kind: 'truncate', path: segment.logPath, size: end.position },
    { kind: 'sync', path: segment.logPath },
  )
  run.parts.observer.event(logEvents.truncated, { log: log.key, offset: end.nextOffset, bytes, reason })
}

function markDamaged(log: UnifiedLog, segment: Segment, end: ScanEnd, parts: LoadParts): void {
  const reason = end.reason ?? 'unreadable'
  log.damage = { offset: end.nextOffset, reason }
  log.logEndOffset = end.nextOffset
  parts.observer.event(logEvents.damaged, {
    log: log.key,
    offset: end.nextOffset,
    position: end.position,
    file: segment.logPath,
    reason,
  })
}

/** A snapshot of what no longer is in the log would bring back producers that never wrote. */
function dropSnapshotsAbove(log: UnifiedLog, operations: DiskOperation[]): void {
  for (const offset of log.snapshotOffsets) {
    if (offset <= log.logEndOffset) continue
    operations.push({ kind: 'unlink', path: `${log.directory}/${String(offset).padStart(20, '0')}.snapshot` })
  }
  log.snapshotOffsets = log.snapshotOffsets.filter((offset) => offset <= log.logEndOffset)
}
