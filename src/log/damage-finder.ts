/**
 * Finds out what of a segment is damaged, and keeps it away from readers: called when a reader, a start or the scrub meets bytes that
 * are not what they should be. One look at the whole segment at a time, however many readers ask.
 */
import type { Disk, Observer } from '../base/ports.ts'
import type { DamagedRange } from './damage.ts'
import { digestFor, examineSealed } from './digest-check.ts'
import { logEvents } from './log-events.ts'
import { logMetrics } from './log-metrics.ts'
import type { Segment } from './segment.ts'
import { type HeaderChain, noDigests, type SegmentDigest } from './segment-digest.ts'
import { type ExaminedSegment, examineSegment, type SegmentExamination } from './segment-examination.ts'
import { scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface FinderParts {
  readonly disk: Pick<Disk, 'read' | 'size'>
  readonly observer: Observer
}

export interface FinderOptions extends Pick<SegmentExamination, 'visit' | 'pace'> {
  /** Where the offsets of the last segment end, when that is known. */
  readonly endOffset: number | null
  readonly durableEndOffset?: number | null
  /** What the sealed segments of the log were; omitted = not known. */
  readonly digests?: ReadonlyMap<number, SegmentDigest>
  /** Called for a whole segment of which nothing was known, with the headers of its batches. */
  learn?(chain: HeaderChain): void
}

/** Examines a segment that nothing is written to, and enters what is damaged into the log's map. */
export async function findDamage(
  log: UnifiedLog,
  segment: Segment,
  parts: FinderParts,
  options: FinderOptions,
): Promise<ExaminedSegment> {
  const next = log.segments[log.segments.indexOf(segment) + 1]
  const { visit, pace } = options
  const sizeOnDisk = (await parts.disk.size(segment.logPath)) ?? 0
  const digest = digestFor(options.digests ?? noDigests, segment.baseOffset, next?.baseOffset)
  const examination = {
    disk: parts.disk,
    path: segment.logPath,
    segmentBaseOffset: segment.baseOffset,
    sizeInBytes: Math.min(segment.sizeInBytes, sizeOnDisk),
    endOffset: next?.baseOffset ?? options.endOffset,
    durableEndOffset: options.durableEndOffset ?? null,
    epochAt: (offset: number) => log.dueEpochAt(offset),
    gapsAreNormal: log.gapsAreNormal,
    ...(visit === undefined ? {} : { visit }),
    ...(pace === undefined ? {} : { pace }),
  }
  const { examined, chain } = await examineSealed(examination, digest)
  // Compaction may have put another file there meanwhile, retention may have taken it.
  if (segment.replacement === null && !log.isDeleted && log.segments.includes(segment)) {
    enterDamage(log, segment.logPath, examined.damage, parts.observer)
    segment.isExamined = true
    if (next !== undefined && digest === null && examined.damage.length === 0) options.learn?.(chain)
  }
  return examined
}

export interface WrittenParts extends FinderParts {
  readonly driver: { readonly isCommitting: boolean; nextCommit(): Promise<void> }
  /** Ends the active segment and begins one, unless nothing can be written any more. */
  seal(log: UnifiedLog): void
  /** What the sealed segments of a log were. */
  digestsOf(log: UnifiedLog): Promise<ReadonlyMap<number, SegmentDigest>>
}

/** Looks for damage in a segment that may be active: it is sealed first, so that where it ends is known, and nothing goes into a damaged file. */
export async function examineWritten(log: UnifiedLog, segment: Segment, parts: WrittenParts): Promise<void> {
  if (segment === log.activeSegment && segment.sizeInBytes > 0) parts.seal(log)
  const endOffset = log.logEndOffset
  while (log.writtenEndOffset < endOffset && !log.isDeleted && parts.driver.isCommitting)
    await parts.driver.nextCommit()
  const digests = await parts.digestsOf(log)
  await findDamage(log, segment, parts, { endOffset: log.writtenEndOffset, digests })
}

export interface KnownDamage {
  readonly ranges: number
  /** The logs that they are in. */
  readonly logs: readonly string[]
}

/** What is known to be damaged in these logs. */
export function damageOf(logs: Iterable<UnifiedLog>): KnownDamage {
  const damaged = [...logs].filter((log) => !log.damage.isEmpty)
  const ranges = damaged.reduce((sum, log) => sum + log.damage.ranges.length, 0)
  return { ranges, logs: damaged.map((log) => log.key) }
}

/**
 * Shows the headers of a file's good batches below `sizeInBytes`, damaged parts passed over. Changes nothing: for what is derived from a log.
 */
export async function visitBatches(
  segment: Segment,
  sizeInBytes: number,
  disk: Pick<Disk, 'read'>,
  visit: (bytes: Uint8Array, at: number, position: number) => boolean | undefined | void,
): Promise<void> {
  const place = { disk, path: segment.logPath, segmentBaseOffset: segment.baseOffset }
  const bounds = { from: 0, to: sizeInBytes, expectedOffset: segment.baseOffset, checkCrc: false }
  const end = await scanSegment({ ...place, ...bounds, visit })
  if (end.reason === null) return
  let isOver = false
  await examineSegment({
    ...place,
    sizeInBytes,
    endOffset: null,
    durableEndOffset: null,
    epochAt: () => -1,
    gapsAreNormal: true,
    visit(bytes, at, position) {
      if (!isOver && position >= end.position) isOver = visit(bytes, at, position) === false
    },
  })
}

/** Enters the damaged ranges of a file in the log's map and tells of those that are new. */
export function enterDamage(log: UnifiedLog, path: string, damage: readonly DamagedRange[], observer: Observer): void {
  // Also what lies below the log's start: a reader has to pass over it.
  for (const range of log.damage.replace(path, damage)) {
    observer.add(logMetrics.damagedRanges, 1)
    observer.event(logEvents.damaged, {
      log: log.key,
      offset: range.fromOffset,
      endOffset: range.endOffset,
      position: range.position,
      endPosition: range.endPosition,
      file: path,
      reason: range.reason,
    })
  }
}
