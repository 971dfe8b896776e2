/**
 * Recovery of one log after an unclean stop: streams what lies above the recovery point through the CRC, cuts the torn tail, and
 * rebuilds what hangs on it. Below the recovery point nothing is ever cut: bytes that are bad there were synced once, so the
 * medium or a hand changed them: they are kept out of reads (damage.ts), and the log goes on behind them (safety.md R7).
 */
import type { Disk, DiskOperation } from '../base/ports.ts'
import {
  batchBaseOffset,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchPartitionLeaderEpoch,
  batchSizeInBytes,
  readInt32,
} from '../protocol/records/record-batch.ts'
import { rebuildEpochs } from './epoch-rebuild.ts'
import { adoptMaxTimestamp, indexBytesMax } from './index-check.ts'
import { indexWrites } from './index-files.ts'
import type { DamagedRange } from './damage.ts'
import { enterDamage, findDamage } from './damage-finder.ts'
import { logEvents } from './log-events.ts'
import { type LoadHints, type LoadParts, readSmall, readStart } from './load-parts.ts'
import { keepSnapshot, loadProducers } from './producer-loader.ts'
import { Segment } from './segment.ts'
import { HeaderChain } from './segment-digest.ts'
import type { KnownIndexTail } from './known-lines.ts'
import { offsetEntryBytes, timeEntryBytes, validOffsetEntries, validTimeEntries } from './segment-index.ts'
import { type ScanEnd, scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

/** A record's least size, and how much smaller compression makes what we take at most: bounds of how many records some bytes can hold. */
const recordBytesMin = 7
const expansionMax = 128
/** Written again at a time. */
const writeBytes = 1_048_576

/**
 * Recovers a log whose segments are known by name and size, and of which those with the base offsets `deleted` were being deleted.
 * Everything that it keeps is synced when it resolves.
 */
export async function recoverLog(
  log: UnifiedLog,
  deleted: readonly number[],
  hints: LoadHints,
  parts: LoadParts,
): Promise<void> {
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
  start.chain ??= new HeaderChain()
  const begin = await beginIndex(log, start, scanFrom, { hints, parts })
  await loadProducers(log, begin.offset, hints, parts)
  log.logEndOffset = begin.offset
  const operations: DiskOperation[] = []
  // Bad bytes at the recovery point itself are the torn tail; before it they are damage, as an end is: a wrong length may have led there.
  const isDamaged =
    (begin.offset < scanFrom && (begin.reason !== null || begin.position === start.sizeInBytes)) ||
    (await isFollowedByEarlier(start, begin, scanFrom, parts.disk))
  await scanOn(log, startIndex, begin, { cutFrom, operations, hints, parts, isDamaged, deleted })
  await endWhereKnown(log, hints, parts)
  // The active segment's entries go out with the next checkpoint; a sealed one's would stay in memory.
  const scanned = log.segments.slice(startIndex, -1).filter((segment) => segment.index.hasUnfiled)
  for (const segment of scanned) await adoptEqualFiles(segment, parts)
  const sealed = scanned.map((segment) => indexWrites(segment, { forget() {} }))
  for (const writes of sealed) operations.push(...writes.operations)
  for (const { indexPath, timeIndexPath } of scanned) {
    operations.push({ kind: 'sync', path: indexPath }, { kind: 'sync', path: timeIndexPath })
  }
  const { activeSegment: active } = log
  if (active !== start || begin.hasStaleEntries) operations.push(...(await staleEntryCuts(active, parts.disk)))
  dropSnapshotsAbove(log, operations)
  operations.push({ kind: 'syncDirectory', path: log.directory })
  await parts.disk.submit(operations)
  for (const writes of sealed) writes.done()
}

/**
 * What stands in the files of an index behind the entries that count may tell of records that a relaxed log has lost. It would be believed
 * by a start that comes before the next checkpoint has written over it, and finds other records there.
 */
async function staleEntryCuts(segment: Segment, disk: Disk): Promise<readonly DiskOperation[]> {
  const { index, indexPath, timeIndexPath } = segment
  if (!index.filesDiffer) return []
  const operations: DiskOperation[] = []
  for (const [path, size] of [
    [indexPath, index.filedOffsets * offsetEntryBytes],
    [timeIndexPath, index.filedTimes * timeEntryBytes],
  ] as const) {
    if (((await disk.size(path)) ?? 0) > size) operations.push({ kind: 'truncate', path, size }, { kind: 'sync', path })
  }
  return operations
}

/**
 * A log that ends before the offset up to which it was durable has lost its tail: that range is damaged, and no offset of it is given
 * again. Only our own sealed copy of the recovery points is believed so far; Apache Kafka's file has no checksum.
 */
async function endWhereKnown(log: UnifiedLog, hints: LoadHints, parts: LoadParts): Promise<void> {
  const { recoveryPoint } = hints
  const segment = log.activeSegment
  let hasJumped = false
  if (recoveryPoint !== null && log.logEndOffset < recoveryPoint) {
    if (hints.epochsCrc === null) {
      const { logEndOffset: endOffset } = log
      parts.observer.event(logEvents.shorterThanRecoveryPoint, { log: log.key, endOffset, recoveryPoint })
      return
    }
    const position = segment.sizeInBytes
    const reason = position === 0 ? 'the file is missing or empty' : 'the file ends early'
    const range = { fromOffset: log.logEndOffset, endOffset: recoveryPoint, path: segment.logPath, position }
    const known = log.damage.ranges.filter((each) => each.path === segment.logPath)
    enterDamage(log, segment.logPath, [...known, { ...range, endPosition: position, reason }], parts.observer)
    log.logEndOffset = recoveryPoint
    hasJumped = true
    // Who wrote what is missing is known as of then.
    await loadProducers(log, recoveryPoint, hints, parts)
  }
  // Nothing is appended to a file that has a damage, or behind a gap.
  if ((!hasJumped && !log.damage.touches(segment.logPath)) || segment.baseOffset === log.logEndOffset) return
  segment.sealTimeIndex()
  const next = new Segment(log.directory, log.logEndOffset, segment.createdMs)
  next.isOnDisk = false
  log.segments.push(next)
}

/**
 * The index of the segment where the scan begins: the entries of the files that fit, and a walk over the headers from there to
 * the first batch to be scanned. Answers its position and offset.
 */
async function beginIndex(
  log: UnifiedLog,
  segment: Segment,
  scanFrom: number,
  { hints, parts }: { readonly hints: LoadHints; readonly parts: LoadParts },
): Promise<BeginPoint> {
  const filed = await keepEntries(segment, scanFrom, parts)
  const kept = (await keepTail(segment, { scanFrom, tail: hints.indexTail }, parts)) ?? filed
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
  if (lastEpoch >= 0 && !log.epochsAreKnown && log.epochs.epochAt(end.nextOffset - 1) !== lastEpoch)
    await rebuildEpochs(log, parts.disk)
  return { ...end, offset: end.nextOffset, hasStaleEntries: filed.hasStaleEntries }
}

/**
 * Stands a whole batch of below the recovery point where the walk has ended, or behind one that leaves a gap there? Then the base offset
 * of the batch before it is what is wrong, and reached the recovery point by that alone. An offset that the segment cannot have behind its
 * first batch is no sign of that: of a batch in the torn tail the sector with its first bytes may be missing, and the rest be there.
 */
async function isFollowedByEarlier(
  segment: Segment,
  begin: BeginPoint,
  scanFrom: number,
  disk: Disk,
): Promise<boolean> {
  let { position } = begin
  for (let batches = 0; batches < 2 && position < segment.sizeInBytes; batches++) {
    const header = await disk.read(segment.logPath, position, batchHeaderBytes)
    if (header.length < batchHeaderBytes || batchMagic(header) !== 2) return false
    const size = batchSizeInBytes(header)
    if (size < batchHeaderBytes || size > segment.sizeInBytes - position) return false
    if (batchLastOffset(header) < scanFrom) {
      if (batchBaseOffset(header) <= segment.baseOffset) return false
      return batchCrcIsValid(await disk.read(segment.logPath, position, size))
    }
    if (batchBaseOffset(header) <= begin.offset || begin.offset >= scanFrom) return false
    position += size
  }
  return false
}

interface BeginPoint extends ScanEnd {
  readonly offset: number
  /** The index files have more than the entries that were taken over. */
  readonly hasStaleEntries: boolean
}

/** Adopts the index entries below `scanFrom` that fit the log; answers the position from which the headers are to be walked. */
async function keepEntries(
  segment: Segment,
  scanFrom: number,
  parts: LoadParts,
): Promise<{ readonly position: number; readonly hasStaleEntries: boolean }> {
  segment.index.reset({ offsets: 0, times: 0, lastTimestamp: -1 })
  const entriesMax = Math.ceil(segment.sizeInBytes / batchHeaderBytes) + 1
  const offsetFile = await readStart(
    parts.disk,
    segment.indexPath,
    Math.min(entriesMax * offsetEntryBytes, indexBytesMax),
  )
  const timeFile = await readStart(
    parts.disk,
    segment.timeIndexPath,
    Math.min(entriesMax * timeEntryBytes, indexBytesMax),
  )
  if (offsetFile === null || timeFile === null) return { position: 0, hasStaleEntries: true }
  const { bytes: offsets } = offsetFile
  const { bytes: times } = timeFile
  const count = validOffsetEntries(offsets, segment.sizeInBytes, scanFrom - segment.baseOffset)
  if (count === 0) return { position: 0, hasStaleEntries: true }
  const lastAt = (count - 1) * offsetEntryBytes
  const lastOffset = readInt32(offsets, lastAt)
  const position = readInt32(offsets, lastAt + 4)
  // Time entries are added together with offset entries: those up to the last kept one.
  const timeCount = validTimeEntries(times, lastOffset + 1)
  if (timeCount === 0 || !(await namesBatch(segment, lastOffset, position, parts)))
    return { position: 0, hasStaleEntries: true }
  const firstHeader = await parts.disk.read(segment.logPath, 0, batchHeaderBytes)
  adoptMaxTimestamp(segment, times.subarray(0, timeCount * timeEntryBytes))
  segment.index.reset({ offsets: count, times: timeCount, lastTimestamp: segment.maxTimestampMs })
  segment.noteFirst(firstHeader)
  const isLonger = offsetFile.size > count * offsetEntryBytes || timeFile.size > timeCount * timeEntryBytes
  return { position, hasStaleEntries: isLonger }
}

/**
 * Goes on behind the entries of the files with those that our sealed copy has of the same index: else the headers behind the files'
 * entries would have to be walked. Answers the position from which they still are, or null when the copy does not continue the files.
 */
async function keepTail(
  segment: Segment,
  { scanFrom, tail }: { readonly scanFrom: number; readonly tail: KnownIndexTail | null },
  parts: LoadParts,
): Promise<{ readonly position: number } | null> {
  const { index } = segment
  if (tail === null || tail.segmentBaseOffset !== segment.baseOffset) return null
  if (tail.filedOffsets !== index.filedOffsets || tail.filedTimes !== index.filedTimes) return null
  const count = validOffsetEntries(tail.offsets, segment.sizeInBytes, scanFrom - segment.baseOffset)
  if (count === 0 || count * offsetEntryBytes !== tail.offsets.length) return null
  const last = tail.offsets.length - offsetEntryBytes
  const position = readInt32(tail.offsets, last + 4)
  if (!(await namesBatch(segment, readInt32(tail.offsets, last), position, parts))) return null
  index.addTail(tail)
  if (tail.times.length > 0) adoptMaxTimestamp(segment, tail.times)
  segment.noteFirst(await parts.disk.read(segment.logPath, 0, batchHeaderBytes))
  return { position }
}

/** Does a batch behind the segment's first one stand there whose last offset is this one? */
async function namesBatch(
  segment: Segment,
  relativeOffset: number,
  position: number,
  parts: LoadParts,
): Promise<boolean> {
  const header = await parts.disk.read(segment.logPath, position, batchHeaderBytes)
  return (
    header.length === batchHeaderBytes &&
    batchMagic(header) === 2 &&
    batchLastOffset(header) === segment.baseOffset + relativeOffset &&
    batchBaseOffset(header) > segment.baseOffset
  )
}

/** Index files that already say what the scan has found need not be written again (but synced: a kill may have come before). */
async function adoptEqualFiles(segment: Segment, parts: LoadParts): Promise<void> {
  const { index } = segment
  if (index.filedOffsets > 0) return
  const found = index.encodeUnfiled()
  const offsets = await readSmall(parts.disk, segment.indexPath, found.offsets.length)
  const times = await readSmall(parts.disk, segment.timeIndexPath, found.times.length)
  if (offsets === null || times === null) return
  if (Buffer.compare(offsets, found.offsets) !== 0 || Buffer.compare(times, found.times) !== 0) return
  index.markFiled(index.generation, index.offsetEntries, index.timeEntries)
}

interface ScanRun {
  readonly cutFrom: number
  readonly operations: DiskOperation[]
  readonly hints: LoadHints
  readonly parts: LoadParts
  /** The begin point is a damage. */
  readonly isDamaged: boolean
  /** Base offsets of segments whose deletion has begun. */
  readonly deleted: readonly number[]
}

/** Scans from the begin point through all later segments: what is damaged is kept out of reads, the torn tail is cut. */
async function scanOn(log: UnifiedLog, startIndex: number, begin: BeginPoint, run: ScanRun): Promise<void> {
  let from = begin.position
  for (let index = startIndex; index < log.segments.length; index++) {
    const segment = log.segments[index] as Segment
    if (index > startIndex) {
      segment.index.reset({ offsets: 0, times: 0, lastTimestamp: -1 })
      segment.indexIsChecked = true
      segment.maxTimestampIsKnown = true
      segment.chain = new HeaderChain()
    }
    let end: ScanEnd = begin
    if (index > startIndex || !run.isDamaged) end = await scanTail(log, segment, from, run)
    log.logEndOffset = Math.max(log.logEndOffset, end.nextOffset)
    if (segment.isOnDisk && end.position > from) {
      if (run.hints.hadFailedSync) await writeAgain(run.parts.disk, segment.logPath, from, end.position)
      run.operations.push({ kind: 'sync', path: segment.logPath })
    }
    const beginsDamaged = index === startIndex && run.isDamaged
    const isDamaged = beginsDamaged || (end.reason !== null && end.nextOffset < run.cutFrom)
    if (isDamaged) end = await passDamage(log, segment, log.logEndOffset, run)
    const later = log.segments.slice(index + 1)
    const gapsUpTo = log.mayHaveGaps ? (run.hints.recoveryPoint ?? -1) : -1
    const reason = end.reason ?? faultBehind(end.nextOffset, later, { gapsUpTo, deleted: run.deleted })
    if (reason !== null) {
      cut(log, index, end, reason, run)
      // What is left of the segment may end with a damage: its offsets are not given again.
      log.logEndOffset = Math.max(log.logEndOffset, log.damage.ranges.at(-1)?.endOffset ?? 0)
      return
    }
    if (later.length > 0) segment.sealTimeIndex()
    const next = later[0]?.baseOffset ?? 0
    // What is missing was deleted, or compacted by Apache Kafka: a snapshot made behind it knows its producers.
    if (next > end.nextOffset) await loadProducers(log, next, run.hints, run.parts)
    if (later.length > 0) await keepSnapshot(log, next, run)
    from = 0
  }
}

/** A sync that failed has left what it did not write clean: only what is written again will be synced. */
async function writeAgain(disk: Disk, path: string, from: number, end: number): Promise<void> {
  for (let position = from; position < end; position += writeBytes) {
    const bytes = await disk.read(path, position, Math.min(writeBytes, end - position))
    await disk.submit([{ kind: 'write', path, position, chunks: [bytes] }])
  }
}

/**
 * Looks through a segment with a damage below the recovery point: takes in what is good behind it. Answers the end of the segment, or
 * where its torn tail begins.
 */
async function passDamage(log: UnifiedLog, segment: Segment, takenOffset: number, run: ScanRun): Promise<ScanEnd> {
  segment.index.reset({ offsets: 0, times: 0, lastTimestamp: -1 })
  const { isClean, recoveryPoint, epochsCrc } = run.hints
  const durableEndOffset = epochsCrc === null ? null : recoveryPoint
  const examined = await findDamage(log, segment, run.parts, {
    endOffset: isClean ? durableEndOffset : null,
    durableEndOffset,
    visit(bytes, at, position) {
      segment.noteBatch(bytes, at, position, log.config.indexIntervalBytes)
      if (batchBaseOffset(bytes, at) >= takenOffset) noteState(log, { bytes, at }, run.hints)
    },
  })
  const last = examined.damage.at(-1)
  const isTail = last !== undefined && last.endPosition === segment.sizeInBytes && segment === log.activeSegment
  log.logEndOffset = Math.max(log.logEndOffset, examined.endOffset)
  const { sizeInBytes: position } = segment
  if (!isTail) return { position, nextOffset: Math.max(examined.endOffset, takenOffset), reason: null }
  if (last.fromOffset >= run.cutFrom) {
    log.damage.replace(segment.logPath, examined.damage.slice(0, -1))
    return { position: last.position, nextOffset: last.fromOffset, reason: last.reason }
  }
  const endOffset = Math.max(run.hints.recoveryPoint ?? 0, unknownEnd(last, run.hints))
  if (endOffset > last.endOffset)
    log.damage.replace(segment.logPath, [...examined.damage.slice(0, -1), { ...last, endOffset }])
  log.logEndOffset = Math.max(log.logEndOffset, endOffset)
  return { position, nextOffset: log.logEndOffset, reason: null }
}

/** Where nothing tells how many records the last bytes of a log held, as many offsets are left out as they can have held at most. */
function unknownEnd(last: DamagedRange, hints: LoadHints): number {
  if (hints.recoveryPoint !== null && hints.epochsCrc !== null) return hints.recoveryPoint
  return last.fromOffset + Math.ceil(((last.endPosition - last.position) * expansionMax) / recordBytesMin)
}

/**
 * What is wrong with the segments behind one that ends at `endOffset`. A gap alone is nothing: compaction leaves them. But a commit
 * creates the file of a new segment before it writes the end of the old one, so an empty one beyond a gap was never part of the log,
 * unless it was there at a checkpoint, or the name of a deleted one stands in the gap: then what is missing has been deleted.
 */
function faultBehind(
  endOffset: number,
  later: readonly Segment[],
  known: { readonly gapsUpTo: number; readonly deleted: readonly number[] },
): string | null {
  const next = later[0]
  if (next === undefined) return null
  const { baseOffset } = next
  if (baseOffset < endOffset) return 'the next segment overlaps'
  const isDeleted = known.deleted.some((base) => base >= endOffset && base < baseOffset)
  if (isDeleted || baseOffset <= Math.max(endOffset, known.gapsUpTo)) return null
  return later.every((segment) => segment.sizeInBytes === 0) ? 'only empty segments follow' : null
}

async function scanTail(log: UnifiedLog, segment: Segment, from: number, run: ScanRun): Promise<ScanEnd> {
  let fault: string | null = null
  let dueOffset = Math.max(segment.baseOffset, from === 0 ? 0 : log.logEndOffset)
  const end = await scanSegment({
    disk: run.parts.disk,
    path: segment.logPath,
    from,
    to: segment.sizeInBytes,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: dueOffset,
    ...boundOf(log, segment),
    checkCrc: true,
    visit(bytes, at, position) {
      fault = knownFault(log, { bytes, at, dueOffset }, run.hints)
      if (fault !== null) return false
      dueOffset = batchLastOffset(bytes, at) + 1
      segment.noteBatch(bytes, at, position, log.config.indexIntervalBytes)
      noteState(log, { bytes, at }, run.hints)
      return true
    },
  })
  return { ...end, reason: fault ?? end.reason }
}

/** What our sealed copies know better than a batch: the log's end at a clean stop, its epochs, that nothing durable is missing. */
function knownFault(
  log: UnifiedLog,
  batch: { readonly bytes: Uint8Array; readonly at: number; readonly dueOffset: number },
  { isClean, recoveryPoint, epochsCrc }: LoadHints,
): string | null {
  if (recoveryPoint === null || epochsCrc === null) return null
  const { bytes, at, dueOffset } = batch
  const baseOffset = batchBaseOffset(bytes, at)
  if (isClean && batchLastOffset(bytes, at) >= recoveryPoint) return `an offset beyond the end of the log`
  if (baseOffset > dueOffset && dueOffset < recoveryPoint && !log.mayHaveGaps) return 'offsets are missing'
  const epoch = log.dueEpochAt(baseOffset)
  const isWrong = epoch >= 0 && baseOffset < recoveryPoint && epoch !== batchPartitionLeaderEpoch(bytes, at)
  return isWrong ? 'another leader epoch is due' : null
}

/** Takes the epoch and the producer of a batch into the log's state. Epochs that are known are not learned again from what may be damaged. */
function noteState(
  log: UnifiedLog,
  { bytes, at }: { readonly bytes: Uint8Array; readonly at: number },
  { recoveryPoint }: LoadHints,
): void {
  const baseOffset = batchBaseOffset(bytes, at)
  if (!log.epochsAreKnown || baseOffset >= (recoveryPoint ?? 0)) {
    const epoch = batchPartitionLeaderEpoch(bytes, at)
    log.epochs.truncateEnd(baseOffset + 1)
    log.epochs.dropAbove(epoch, log.epochsAreKnown ? (recoveryPoint ?? 0) : 0)
    log.epochs.assign(epoch, baseOffset)
  }
  log.producers.update(bytes, at)
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
  segment.appendedFrom = Math.min(segment.appendedFrom, end.position)
  segment.forgetReads()
  log.segments.length = index + 1
  log.epochs.truncateEnd(Math.max(end.nextOffset, 1))
  run.operations.push(
    { kind: 'truncate', path: segment.logPath, size: end.position },
    { kind: 'sync', path: segment.logPath },
  )
  run.parts.observer.event(logEvents.truncated, { log: log.key, offset: end.nextOffset, bytes, reason })
}

/** A snapshot of what no longer is in the log would bring back producers that never wrote. */
function dropSnapshotsAbove(log: UnifiedLog, operations: DiskOperation[]): void {
  for (const offset of log.snapshotOffsets) {
    if (offset <= log.logEndOffset) continue
    operations.push({ kind: 'unlink', path: `${log.directory}/${String(offset).padStart(20, '0')}.snapshot` })
  }
  log.snapshotOffsets = log.snapshotOffsets.filter((offset) => offset <= log.logEndOffset)
}
