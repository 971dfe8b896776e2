/**
 * Gives up old segments: by time, by size, and those wholly below the log's start (DeleteRecords). Only whole segments below the
 * high watermark go. With a clock that is known to be wrong nothing goes by time (safety.md A32).
 */
import type { Clock, Disk, DiskOperation, Observer } from '../base/ports.ts'
import type { DirtyFiles } from './dirty-files.ts'
import { ensureMaxTimestamp } from './index-check.ts'
import { logEvents } from './log-events.ts'
import { snapshotPath } from './producer-loader.ts'
import type { ReaderParts } from './log-reader.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface RetentionParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly observer: Observer
  readonly dirty: DirtyFiles
  readonly reader: ReaderParts
  /** Runs when everything in the books has been submitted. */
  whenSubmitted(task: () => void): void
  /** Runs the task once, unless the directory is closed before. */
  later(delayMs: number, task: () => void): void
  /** Ends the active segment and begins one. */
  roll(log: UnifiedLog): void
}

/** One pass over one log. */
export async function retainLog(log: UnifiedLog, nowMs: number, parts: RetentionParts): Promise<void> {
  if (log.isDeleted || log.damage !== null) return
  await deleteBelowStart(log, parts)
  if (!log.config.cleanupPolicy.has('delete')) return
  const expired = await countExpired(log, nowMs, parts)
  if (expired > 0) await deleteSegments(log, expired, 'time', parts)
  const surplus = countSurplus(log)
  if (surplus > 0) await deleteSegments(log, surplus, 'size', parts)
}

/** Segments whose every record lies below the log's start. */
export async function deleteBelowStart(log: UnifiedLog, parts: RetentionParts): Promise<void> {
  const count = log.segments.filter((_, index) => endOf(log, index) <= log.logStartOffset).length
  const below = Math.min(count, log.segments.length - 1)
  if (below > 0) await deleteSegments(log, below, 'records deleted', parts)
}

/** Exclusive end of a segment's offsets. */
function endOf(log: UnifiedLog, index: number): number {
  return log.segments[index + 1]?.baseOffset ?? log.logEndOffset
}

async function countExpired(log: UnifiedLog, nowMs: number, parts: RetentionParts): Promise<number> {
  const { retentionMs } = log.config
  if (retentionMs < 0 || !parts.clock.wallTrusted()) return 0
  let count = 0
  for (const segment of [...log.segments]) {
    if (segment.sizeInBytes === 0) break
    await ensureMaxTimestamp(log, segment, parts.reader)
    const newestMs = segment.maxTimestampMs >= 0 ? segment.maxTimestampMs : segment.createdMs
    if (nowMs - newestMs <= retentionMs || log.segments[count] !== segment) break
    if (endOf(log, count) > log.highWatermark) break
    count++
  }
  return count
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
 * all of the log, a new empty segment is created first: its name keeps the log's end.
 */
async function deleteSegments(log: UnifiedLog, count: number, reason: string, parts: RetentionParts): Promise<void> {
  if (count === log.segments.length) parts.roll(log)
  const going = log.segments.slice(0, count)
  await new Promise<void>((resolve, reject) => {
    parts.whenSubmitted(() => {
      const isChanged = going.some((segment, index) => segment.replacement !== null || log.segments[index] !== segment)
      if (log.isDeleted || isChanged) {
        resolve()
        return
      }
      removeSegments(log, going, parts).then(resolve, reject)
    })
  })
  parts.observer.event(logEvents.segmentsDeleted, {
    log: log.key,
    segments: count,
    logStartOffset: log.logStartOffset,
    reason,
  })
}

async function removeSegments(log: UnifiedLog, going: readonly Segment[], parts: RetentionParts): Promise<void> {
  log.segments = log.segments.slice(going.length)
  const first = log.segments[0] as Segment
  log.logStartOffset = Math.max(log.logStartOffset, first.baseOffset)
  log.epochs.truncateStart(log.logStartOffset)
  const operations: DiskOperation[] = []
  if (!first.isOnDisk) {
    first.isOnDisk = true
    operations.push({ kind: 'writeFile', path: first.logPath, bytes: new Uint8Array(0) })
    operations.push({ kind: 'syncDirectory', path: log.directory })
  }
  const snapshots = log.snapshotOffsets.filter((offset) => offset < first.baseOffset)
  log.snapshotOffsets = log.snapshotOffsets.filter((offset) => offset >= first.baseOffset)
  for (const offset of snapshots) operations.push({ kind: 'unlink', path: snapshotPath(log, offset) })
  for (const segment of going) {
    parts.dirty.forget(segment.logPath)
    parts.reader.indexes.forget(segment.indexPath)
    operations.push({ kind: 'rename', from: segment.logPath, to: `${segment.logPath}.deleted` })
    for (const path of [segment.indexPath, segment.timeIndexPath, `${segment.directory}/${segment.name}.txnindex`]) {
      operations.push({ kind: 'unlink', path })
    }
  }
  operations.push({ kind: 'syncDirectory', path: log.directory })
  await parts.disk.submit(operations)
  for (const segment of going)
    for (const path of [segment.logPath, segment.indexPath, segment.timeIndexPath]) parts.disk.forget(path)
  parts.later(log.config.fileDeleteDelayMs, () => {
    const unlinks = going.map((segment): DiskOperation => ({ kind: 'unlink', path: `${segment.logPath}.deleted` }))
    // What cannot be removed now is removed when the log is opened next.
    parts.disk.submit(unlinks).catch(() => {})
  })
}
