/** What there is to compact in a log, and how its segments are put together. */
import { batchHeaderBytes } from '../../protocol/records/record-batch.ts'
import { ensureMaxTimestamp } from '../index-check.ts'
import type { ReaderParts } from '../log-reader.ts'
import type { LogConfig } from '../log-config.ts'
import { relativeOffsetMax, type Segment } from '../segment.ts'
import type { UnifiedLog } from '../unified-log.ts'

export interface DirtyRange {
  /** Segments below it may be compacted: all sealed, all their records decided and old enough. */
  readonly endOffset: number
  /** Bytes of the segments that are compacted already, and of those that are not. */
  readonly cleanBytes: number
  readonly dirtyBytes: number
  /** A record waits longer than max.compaction.lag.ms. */
  readonly isOverdue: boolean
}

/** Share of the bytes that is not compacted yet. */
export function dirtyRatioOf(range: DirtyRange): number {
  return range.dirtyBytes === 0 ? 0 : range.dirtyBytes / (range.cleanBytes + range.dirtyBytes)
}

export function isDue(range: DirtyRange, config: LogConfig): boolean {
  return range.dirtyBytes > 0 && (range.isOverdue || dirtyRatioOf(range) > config.minCleanableDirtyRatio)
}

/** `nowMs`: null while the clock is known to be wrong; `limit`: nothing at or beyond it. */
export async function dirtyRangeOf(
  log: UnifiedLog,
  firstDirtyOffset: number,
  bounds: { readonly nowMs: number | null; readonly limit: number },
  parts: ReaderParts,
): Promise<DirtyRange> {
  const { minCompactionLagMs, maxCompactionLagMs } = log.config
  const segments = log.segments.slice(0, -1)
  let endOffset = log.segments[0]?.baseOffset ?? 0
  let cleanBytes = 0
  let dirtyBytes = 0
  let isOverdue = false
  for (const [index, segment] of segments.entries()) {
    const end = (segments[index + 1] ?? log.segments[segments.length])?.baseOffset ?? 0
    if (segment.replacement !== null || end > bounds.limit) break
    if (end <= firstDirtyOffset) {
      cleanBytes += segment.sizeInBytes
    } else {
      if (minCompactionLagMs > 0 && !(await isOlder(log, segment, minCompactionLagMs, bounds.nowMs, parts))) break
      if (dirtyBytes === 0 && bounds.nowMs !== null && maxCompactionLagMs !== Number.POSITIVE_INFINITY)
        isOverdue = bounds.nowMs - (await firstTimestampOf(segment, parts)) > maxCompactionLagMs
      dirtyBytes += segment.sizeInBytes
    }
    endOffset = end
  }
  return { endOffset, cleanBytes, dirtyBytes, isOverdue }
}

async function isOlder(
  log: UnifiedLog,
  segment: Segment,
  lagMs: number,
  nowMs: number | null,
  parts: ReaderParts,
): Promise<boolean> {
  if (nowMs === null) return false
  await ensureMaxTimestamp(log, segment, parts)
  return segment.maxTimestampMs <= nowMs - lagMs
}

/** Time of the first batch of a segment; of one without a time, that of its creation. */
async function firstTimestampOf(segment: Segment, parts: ReaderParts): Promise<number> {
  if (segment.firstTimestampMs < 0 && segment.sizeInBytes > 0) {
    const header = await parts.disk.read(segment.logPath, 0, batchHeaderBytes)
    if (header.length === batchHeaderBytes) segment.noteFirst(header)
  }
  return segment.firstTimestampMs >= 0 ? segment.firstTimestampMs : segment.createdMs
}

/** A segment and the sizes that count when it is put together with others. */
export interface GroupMember {
  readonly segment: Segment
  /** Exclusive end of its offsets. */
  readonly endOffset: number
  readonly indexBytes: number
  readonly timeIndexBytes: number
  /** It has files that cannot be put together with another's. */
  readonly isAlone: boolean
}

/** Neighbours whose bytes together make at most one full segment, with indexes that are not too large. */
export function groupSegments(members: readonly GroupMember[], config: LogConfig): readonly (readonly Segment[])[] {
  const groups: Segment[][] = []
  let open: { group: Segment[]; bytes: number; indexBytes: number; timeIndexBytes: number } | null = null
  for (const { segment, endOffset, indexBytes, timeIndexBytes, isAlone } of members) {
    const fits: boolean =
      open !== null &&
      !isAlone &&
      open.bytes + segment.sizeInBytes <= config.segmentBytes &&
      open.indexBytes + indexBytes <= config.segmentIndexBytes &&
      open.timeIndexBytes + timeIndexBytes <= config.segmentIndexBytes &&
      endOffset - 1 - (open.group[0] as Segment).baseOffset <= relativeOffsetMax
    if (open === null || !fits) {
      open = { group: [], bytes: 0, indexBytes: 0, timeIndexBytes: 0 }
      groups.push(open.group)
    }
    open.group.push(segment)
    open.bytes += segment.sizeInBytes
    open.indexBytes += indexBytes
    open.timeIndexBytes += timeIndexBytes
    if (isAlone) open = null
  }
  return groups
}
