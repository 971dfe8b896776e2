/**
 * Gives up old segments: by time, by size, and those wholly below the log's start (DeleteRecords). Only whole segments below the
 * high watermark go. With a clock that is known to be wrong nothing goes by time (safety.md A32).
 */
import { earliestTrustedWallMs } from '../base/wall-floor.ts'
import { type Clock, DiskError, type DiskOperation, type Observer } from '../base/ports.ts'
import type { DirtyFiles } from './dirty-files.ts'
import type { FileRemover } from './file-remover.ts'
import { ensureMaxTimestamp } from './index-check.ts'
import { logEvents } from './log-events.ts'
import { indexRemovals } from './log-files.ts'
import { logMetrics } from './log-metrics.ts'
import { isRefusal, type PatientDisk, type PatientOptions } from './patient-disk.ts'
import { snapshotPath } from './producer-loader.ts'
import type { ReaderParts } from './log-reader.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface RetentionParts {
  readonly disk: PatientDisk
  readonly clock: Clock
  readonly observer: Observer
  readonly dirty: DirtyFiles
  readonly reader: ReaderParts
  /** Runs when everything in the books has been submitted. */
  /** `onDropped` is called instead when nothing can be submitted any more. */
  whenSubmitted(task: () => void, onDropped: () => void): void
  /** Runs the task once, unless the directory is closed before. */
  later(delayMs: number, task: () => void): void
  readonly remover: FileRemover
  /** Files of this many bytes wait for their removal (negative: have been removed). */
  onGoing(bytes: number): void
  /** Ends the active segment and begins one. */
  roll(log: UnifiedLog): void
}

/** Data that is given up before its time. */
export interface Loss {
  readonly topic: string
  readonly partition: number
  readonly startOffset: number
  /** Exclusive. */
  readonly endOffset: number
  readonly bytes: number
  readonly reason: string
}

/** One pass over one log. */
export async function retainLog(log: UnifiedLog, nowMs: number, parts: RetentionParts): Promise<void> {
  if (log.isDeleted) return
  await deleteBelowStart(log, parts)
  if (!log.config.cleanupPolicy.has('delete')) return noteKept(log, 0, parts)
  const keptFrom = log.keptFrom === null ? Number.POSITIVE_INFINITY : await log.keptFrom()
  const expired = countUpTo(log, await lastExpired(log, nowMs, parts))
  const going = countHad(log, expired, keptFrom)
  if (going > 0) await deleteSegments(log, going, 'time', parts)
  const surplus = countSurplus(log)
  const goingToo = countHad(log, surplus, keptFrom)
  if (goingToo > 0) await deleteSegments(log, goingToo, 'size', parts)
  noteKept(log, Math.max(expired - going, surplus) - goingToo, parts)
}

/** Gives up what retention has left for readers, at once; answers whether there was anything. */
export async function giveUpKept(logs: Iterable<UnifiedLog>, nowMs: number, parts: RetentionParts): Promise<boolean> {
  let hasGivenUp = false
  for (const log of logs) {
    if (log.keptBytes === 0 || log.isDeleted) continue
    const before = log.sizeInBytes
    const count = Math.max(countUpTo(log, await lastExpired(log, nowMs, parts)), countSurplus(log))
    log.keptBytes = 0
    if (count === 0) continue
    if (!(await deleteSegments(log, count, 'disk budget', parts, true))) continue
    parts.observer.event(logEvents.keptGivenUp, { log: log.key, bytes: before - log.sizeInBytes })
    hasGivenUp = true
  }
  return hasGivenUp
}

/** Of the first `count` segments those that lie wholly below the offset. */
function countHad(log: UnifiedLog, count: number, keptFrom: number): number {
  let had = 0
  while (had < count && endOf(log, had) <= keptFrom) had++
  return had
}

function noteKept(log: UnifiedLog, count: number, parts: RetentionParts): void {
  const bytes = log.segments.slice(0, Math.max(count, 0)).reduce((sum, { sizeInBytes }) => sum + sizeInBytes, 0)
  if (bytes > 0 && log.keptBytes === 0) {
    const { key, logStartOffset: startOffset } = log
    parts.observer.event(logEvents.keptBeyondRetention, { log: key, startOffset, bytes })
  }
  log.keptBytes = bytes
}

/** Segments whose every record lies below the log's start. */
export async function deleteBelowStart(log: UnifiedLog, parts: RetentionParts): Promise<void> {
  const count = log.segments.filter((_, index) => endOf(log, index) <= log.logStartOffset).length
  const below = Math.min(count, log.segments.length - 1)
  if (below > 0) await deleteSegments(log, below, 'records deleted', parts)
}

/**
 * Gives up the sealed segment whose newest record is the oldest of all logs of users, once `record` has answered that it is written down. Compacted logs and
 * those of this node itself are left alone. Answers false when there is none that may go.
 */
export async function dropOldest(
  logs: Iterable<UnifiedLog>,
  record: (loss: Loss) => Promise<boolean>,
  parts: RetentionParts,
): Promise<boolean> {
  let oldest: UnifiedLog | null = null
  let oldestMs = Number.POSITIVE_INFINITY
  for (const log of logs) {
    if (log.segments.length < 2 || log.topic.startsWith('__') || log.isDeleted) continue
    if (!log.config.cleanupPolicy.has('delete') || endOf(log, 0) > log.highWatermark) continue
    const [first] = log.segments as [Segment]
    // Another takes its place just now: what is told as lost must go.
    if (first.replacement !== null) continue
    await ensureMaxTimestamp(log, first, parts.reader)
    const newestMs = first.maxTimestampMs >= 0 ? first.maxTimestampMs : first.createdMs
    if (newestMs >= oldestMs || log.segments[0] !== first || first.replacement !== null) continue
    oldest = log
    oldestMs = newestMs
  }
  if (oldest === null) return false
  const going = oldest.segments[0] as Segment
  const { topic, partition } = oldest
  const startOffset = Math.max(going.baseOffset, oldest.logStartOffset)
  const loss: Loss = {
    topic,
    partition,
    startOffset,
    endOffset: endOf(oldest, 0),
    bytes: going.sizeInBytes,
    reason: 'disk budget',
  }
  if (!(await record(loss))) return false
  if (oldest.segments[0] !== going || oldest.segments.length < 2) return true
  if (!(await deleteSegments(oldest, 1, loss.reason, parts, true))) return true
  const { endOffset, bytes, reason } = loss
  parts.observer.event(logEvents.dataDropped, { log: oldest.key, startOffset, endOffset, bytes, reason })
  parts.observer.add(logMetrics.droppedBytes, bytes)
  return true
}

/** Exclusive end of a segment's offsets. */
function endOf(log: UnifiedLog, index: number): number {
  return log.segments[index + 1]?.baseOffset ?? log.logEndOffset
}

/** The newest segment whose time is over, with all before it. */
async function lastExpired(log: UnifiedLog, nowMs: number, parts: RetentionParts): Promise<Segment | null> {
  const { retentionMs } = log.config
  if (retentionMs < 0 || !parts.clock.wallTrusted()) return null
  let last: Segment | null = null
  for (const segment of [...log.segments]) {
    if (segment.sizeInBytes === 0 && segment === log.activeSegment) break
    const newestMs = await newestOf(log, segment, parts)
    const index = log.segments.indexOf(segment)
    if (nowMs - newestMs <= retentionMs || index < 0 || endOf(log, index) > log.highWatermark) break
    last = segment
  }
  return last
}

/** How many segments there are up to this one: while the times were read, others may have been given up. */
function countUpTo(log: UnifiedLog, segment: Segment | null): number {
  return segment === null ? 0 : log.segments.indexOf(segment) + 1
}

/**
 * The time that the age of a segment counts from. Stamps of before our time were given by a clock that did not know the time, and say
 * nothing about the age: the segment is at least as old as what follows it, and counted so, as one is of which Apache Kafka's compaction
 * has left nothing. (What is the newest data is kept.)
 */
async function newestOf(log: UnifiedLog, segment: Segment, parts: RetentionParts): Promise<number> {
  for (let index = log.segments.indexOf(segment); index >= 0 && index < log.segments.length; index++) {
    const later = log.segments[index] as Segment
    if (later.sizeInBytes === 0) continue
    await ensureMaxTimestamp(log, later, parts.reader)
    if (later.maxTimestampMs >= earliestTrustedWallMs) return later.maxTimestampMs
    if (later.maxTimestampMs < 0) return later.createdMs
  }
  return Number.POSITIVE_INFINITY
}

function countSurplus(log: UnifiedLog): number {
  const { retentionBytes } = log.config
  if (retentionBytes < 0) return 0
  let excess = log.sizeInBytes - retentionBytes
  let count = 0
  for (const [index, segment] of log.segments.entries()) {
    if (excess - segment.sizeInBytes < 0 || endOf(log, index) > log.highWatermark) break
    if (index === log.segments.length - 1 && segment.sizeInBytes === 0) break
    excess -= segment.sizeInBytes
    count++
  }
  return count
}

/**
 * Deletes the first `count` segments: the log's start moves, the files are renamed to `.deleted` and go later. When they are
 * all of the log, a new empty segment is created first: its name keeps the log's end. Urgent: the files go at once. Answers false when it
 * was too late: the segments are no longer the first of the log, or compaction puts others in their place.
 */
async function deleteSegments(
  log: UnifiedLog,
  count: number,
  reason: string,
  parts: RetentionParts,
  isUrgent = false,
): Promise<boolean> {
  if (count === log.segments.length) parts.roll(log)
  const going = log.segments.slice(0, count)
  const isDone = await new Promise<boolean>((resolve, reject) => {
    const remove = (): void => {
      const isChanged = going.some((segment, index) => segment.replacement !== null || log.segments[index] !== segment)
      if (log.isDeleted || isChanged) {
        resolve(false)
        return
      }
      removeSegments(log, going, parts, isUrgent).then(() => resolve(true), reject)
    }
    parts.whenSubmitted(remove, () => reject(new Error('the appends were given up before the deletion')))
  })
  if (!isDone) return false
  parts.observer.event(logEvents.segmentsDeleted, {
    log: log.key,
    segments: count,
    logStartOffset: log.logStartOffset,
    reason,
  })
  return true
}

async function removeSegments(
  log: UnifiedLog,
  going: readonly Segment[],
  parts: RetentionParts,
  isUrgent: boolean,
): Promise<void> {
  log.segments = log.segments.slice(going.length)
  const first = log.segments[0] as Segment
  log.logStartOffset = Math.max(log.logStartOffset, first.baseOffset)
  log.epochs.truncateStart(log.logStartOffset)
  log.damage.forgetBelow(first.baseOffset)
  const isBelow = (offset: number): boolean => offset < first.baseOffset
  const operations: DiskOperation[] = []
  const paths = going.flatMap((segment) => [segment.logPath, segment.indexPath, segment.timeIndexPath])
  // Nothing may be committed to a new segment whose file is not there yet; what removes only may go past what waits for space.
  const lane = !first.isOnDisk ? 'commit' : parts.disk.isWaitingFor(new Set(paths)) ? 'ordered' : 'relief'
  // Past the commit that makes that file it may go with the file made: the log is never without one.
  if (!first.isOnDisk || (lane === 'relief' && parts.disk.isWaitingToMake(first.logPath))) {
    first.isOnDisk = true
    // Of nothing, and not from anew: where it goes past nothing in the end, the commit has written to the file by then.
    operations.push({ kind: 'write', path: first.logPath, position: 0, chunks: [] })
    operations.push({ kind: 'syncDirectory', path: log.directory })
  }
  const snapshots = log.snapshotOffsets.filter(isBelow)
  log.snapshotOffsets = log.snapshotOffsets.filter((offset) => !isBelow(offset))
  const removed = parts.dirty.beginRemoval(going.map((segment) => segment.logPath))
  for (const segment of going) {
    parts.reader.indexes.forget(segment.indexPath)
    operations.push({ kind: 'rename', from: segment.logPath, to: `${segment.logPath}.deleted` })
    operations.push(...indexRemovals(segment.directory, [segment.baseOffset]))
  }
  // What tells of segments that were lost before has nothing to tell any more.
  operations.push(...indexRemovals(log.directory, log.lostBases.filter(isBelow)))
  log.lostBases = log.lostBases.filter((base) => !isBelow(base))
  operations.push({ kind: 'syncDirectory', path: log.directory })
  // A segment that a crash brings back needs the snapshot at its start: what was deleted before it is known from there only.
  for (const offset of snapshots) operations.push({ kind: 'unlink', path: snapshotPath(log, offset) })
  await submitRemoval(operations, lane, parts.disk)
  removed()
  for (const path of paths) parts.disk.forget(path)
  const bytes = going.reduce((sum, segment) => sum + segment.sizeInBytes, 0)
  parts.onGoing(bytes)
  const files = going.map(({ logPath, sizeInBytes }) => ({ path: `${logPath}.deleted`, bytes: sizeInBytes }))
  const last = going.at(-1) as Segment
  files.pop()
  const onRemoved = async (): Promise<void> => {
    await removeLast(log, last, parts)
    parts.onGoing(-bytes)
    parts.disk.retry()
  }
  if (isUrgent) {
    await Promise.all(files.map((file) => parts.remover.removeNow(file)))
      .then(onRemoved)
      .catch(unlessRefused)
    return
  }
  parts.later(log.config.fileDeleteDelayMs, () => {
    // What cannot be removed now is removed when the log is opened next.
    parts.remover
      .remove(files)
      .then(onRemoved)
      .catch(() => {})
  })
}

/** A file that is lost, or that somebody has removed, is none to be renamed: its new name tells the next start all the same where the log begins. */
async function submitRemoval(
  operations: readonly DiskOperation[],
  lane: NonNullable<PatientOptions['lane']>,
  disk: PatientDisk,
): Promise<void> {
  for (let left = operations; ; ) {
    try {
      return await disk.submit(left, { lane })
    } catch (thrown) {
      if (!(thrown instanceof DiskError) || thrown.code !== 'ENOENT') throw thrown
      const at = left.findIndex((each) => each.kind === 'rename' && each.from === thrown.path)
      if (at < 0) throw thrown
      const { path } = thrown
      left = [{ kind: 'writeFile', path: `${path}.deleted`, bytes: new Uint8Array(0) }, ...left.slice(at + 1)]
    }
  }
}

/**
 * Gives up the last of the deleted files. Until our copy of the recovery points says where the log begins now, its empty name stays: a
 * start without it would take the first segment for lost.
 */
async function removeLast(log: UnifiedLog, last: Segment, parts: RetentionParts): Promise<void> {
  const path = `${last.logPath}.deleted`
  const isTold = log.filedFirstOffset > last.baseOffset || log.isDeleted
  const before = log.deletedFile
  log.deletedFile = isTold ? null : { path, baseOffset: last.baseOffset }
  const operations: DiskOperation[] = [isTold ? { kind: 'unlink', path } : { kind: 'truncate', path, size: 0 }]
  if (before !== null) operations.push({ kind: 'unlink', path: before.path })
  await parts.disk.submit(operations, { lane: 'relief', mayBeRefused: true })
}

/** What may not be removed is removed when the log is opened next. */
function unlessRefused(thrown: unknown): void {
  if (!isRefusal(thrown)) throw thrown
}
