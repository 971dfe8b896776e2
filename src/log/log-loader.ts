/**
 * Opens one log: finds its end, its epochs and its producers. After a clean stop that takes a handful of small reads; after an
 * unclean one `log-recovery.ts` scans what lies above the recovery point first.
 */
import type { Clock, Disk, DiskOperation, Observer } from '../base/ports.ts'
import {
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchMaxTimestamp,
  batchPartitionLeaderEpoch,
  readInt32,
} from '../protocol/records/record-batch.ts'
import { checkpointBytesMax, parseEpochs, parsePartitionMetadata } from './checkpoint-file.ts'
import { rebuildEpochs } from './epoch-rebuild.ts'
import { adoptMaxTimestamp } from './index-check.ts'
import { logEvents } from './log-events.ts'
import { sortLogFiles } from './log-files.ts'
import { recoverLog } from './log-recovery.ts'
import { decodeSnapshot, encodeSnapshot, snapshotBytesMax } from './producer-snapshot.ts'
import { Segment } from './segment.ts'
import { offsetEntryBytes, timeEntryBytes } from './segment-index.ts'
import { scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface LoadParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly observer: Observer
}

export interface LoadHints {
  /** The last stop was clean: everything on disk is whole and synced. */
  readonly isClean: boolean
  /** Everything below was synced; null = not known. */
  readonly recoveryPoint: number | null
  /** Producer state at the recovery point; null = not known. */
  readonly recoverySnapshot: Uint8Array | null
  /** From log-start-offset-checkpoint; null = the first segment's base offset. */
  readonly logStartOffset: number | null
  readonly highWatermark: number | null
}

/** The topic id in `partition.metadata`, or null. */
export async function readTopicId(disk: Disk, directory: string): Promise<string | null> {
  return parsePartitionMetadata(await readSmall(disk, `${directory}/partition.metadata`, 4096))
}

/** A small file, or null when it is missing or cannot be read: side files must not stop a boot. */
export async function readSmall(disk: Disk, path: string, bytesMax: number): Promise<Uint8Array | null> {
  try {
    return await disk.readFile(path, bytesMax)
  } catch {
    return null
  }
}

/** Fills an empty UnifiedLog from its folder. */
export async function loadLog(log: UnifiedLog, hints: LoadHints, parts: LoadParts): Promise<void> {
  const files = sortLogFiles(await parts.disk.list(log.directory))
  log.snapshotOffsets = [...files.snapshots]
  if (files.leftovers.length > 0) {
    const unlink = (name: string): DiskOperation => ({ kind: 'unlink', path: `${log.directory}/${name}` })
    await parts.disk.submit(files.leftovers.map(unlink))
  }
  log.segments = await openSegments(log, files.segments, hints, parts)
  const first = log.segments[0] as Segment
  log.logStartOffset = Math.max(first.baseOffset, hints.logStartOffset ?? 0)
  log.epochs.load(
    parseEpochs(await readSmall(parts.disk, `${log.directory}/leader-epoch-checkpoint`, checkpointBytesMax)) ?? [],
  )
  const isLoaded = hints.isClean && (await loadCleanEnd(log, parts))
  if (!isLoaded) await recoverLog(log, hints, parts)
  if (log.logStartOffset > log.logEndOffset) {
    parts.observer.event(logEvents.hintIgnored, { file: `log-start-offset-checkpoint (${log.key})` })
    log.logStartOffset = first.baseOffset
  }
  if (hints.isClean && isLoaded) await loadProducers(log, log.logEndOffset, hints, parts)
  log.writtenEndOffset = log.logEndOffset
  log.durableEndOffset = log.logEndOffset
  log.recoveryPoint = log.logEndOffset
  log.recoverySnapshot = encodeSnapshot(log.producers)
  log.highWatermark = Math.max(log.logStartOffset, Math.min(hints.highWatermark ?? 0, log.logEndOffset))
}

async function openSegments(
  log: UnifiedLog,
  baseOffsets: readonly number[],
  hints: LoadHints,
  parts: LoadParts,
): Promise<Segment[]> {
  const nowMs = parts.clock.wallMs()
  const open = async (baseOffset: number): Promise<Segment> => {
    const segment = new Segment(log.directory, baseOffset, nowMs)
    segment.sizeInBytes = (await parts.disk.size(segment.logPath)) ?? 0
    segment.indexIsChecked = false
    segment.maxTimestampIsKnown = false
    return segment
  }
  if (baseOffsets.length === 0) {
    const segment = new Segment(log.directory, hints.logStartOffset ?? 0, nowMs)
    segment.isOnDisk = false
    return [segment]
  }
  return Promise.all(baseOffsets.map(open))
}

/**
 * Finds the end of a log that was stopped cleanly: from the last index entry of its last segment on. False when something does not
 * fit; then the segment is scanned.
 */
async function loadCleanEnd(log: UnifiedLog, parts: LoadParts): Promise<boolean> {
  const segment = log.activeSegment
  log.logEndOffset = segment.baseOffset
  if (segment.sizeInBytes === 0) {
    // Files of an empty segment: Kafka preallocates its indexes and cuts them at a clean stop.
    segment.index.adoptFiles({ offsets: 0, times: 0, lastTimestamp: -1 })
    segment.index.filesDiffer = true
    segment.indexIsChecked = true
    segment.maxTimestampIsKnown = true
    return checkEpochs(log, -1, parts)
  }
  const start = await lastIndexed(segment, parts.disk)
  if (start === null) return false
  let lastEpoch = -1
  const end = await scanSegment({
    disk: parts.disk,
    path: segment.logPath,
    from: start.position,
    to: segment.sizeInBytes,
    segmentBaseOffset: segment.baseOffset,
    expectedOffset: segment.baseOffset,
    checkCrc: false,
    visit(bytes, at) {
      lastEpoch = batchPartitionLeaderEpoch(bytes, at)
    },
  })
  if (end.reason !== null) return false
  log.logEndOffset = end.nextOffset
  const header = await parts.disk.read(segment.logPath, 0, batchHeaderBytes)
  segment.firstTimestampMs = batchMaxTimestamp(header)
  segment.index.adoptFiles({ offsets: start.offsets, times: start.times, lastTimestamp: -1 })
  if (!(await adoptLastTime(segment, start.times, parts.disk))) return false
  return checkEpochs(log, lastEpoch, parts)
}

interface LastIndexed {
  readonly position: number
  readonly offsets: number
  readonly times: number
}

/** Position of the batch that the last offset entry names; null when the entry is wrong. */
async function lastIndexed(segment: Segment, disk: Disk): Promise<LastIndexed | null> {
  const bytes = await disk.size(segment.indexPath)
  const timeBytes = await disk.size(segment.timeIndexPath)
  if (bytes === null || timeBytes === null) return null
  if (bytes % offsetEntryBytes !== 0 || timeBytes % timeEntryBytes !== 0) return null
  const times = timeBytes / timeEntryBytes
  if (bytes === 0) return { position: 0, offsets: 0, times }
  const entry = await disk.read(segment.indexPath, bytes - offsetEntryBytes, offsetEntryBytes)
  const position = readInt32(entry, 4)
  if (position < 0 || position + batchHeaderBytes > segment.sizeInBytes) return null
  const header = await disk.read(segment.logPath, position, batchHeaderBytes)
  if (batchMagic(header) !== 2 || batchLastOffset(header) !== segment.baseOffset + readInt32(entry, 0)) return null
  return { position, offsets: bytes / offsetEntryBytes, times }
}

async function adoptLastTime(segment: Segment, times: number, disk: Disk): Promise<boolean> {
  segment.maxTimestampIsKnown = true
  if (times === 0) return segment.firstTimestampMs < 0
  const entry = await disk.read(segment.timeIndexPath, (times - 1) * timeEntryBytes, timeEntryBytes)
  adoptMaxTimestamp(segment, entry)
  segment.index.adoptFiles({
    offsets: segment.index.filedOffsets,
    times,
    lastTimestamp: segment.maxTimestampMs,
  })
  return segment.maxTimestampMs >= segment.firstTimestampMs
}

/** Does the epoch file fit the last batch? Else it is derived from the log. Always answers true. */
export async function checkEpochs(log: UnifiedLog, lastEpoch: number, parts: LoadParts): Promise<true> {
  if (lastEpoch < 0 || log.epochs.epochAt(log.logEndOffset - 1) === lastEpoch) return true
  parts.observer.event(logEvents.hintIgnored, { file: `${log.directory}/leader-epoch-checkpoint` })
  await rebuildEpochs(log, parts.disk)
  return true
}

/** Producer state at `endOffset`: the newest snapshot not above it, then the headers of what follows. */
export async function loadProducers(
  log: UnifiedLog,
  endOffset: number,
  hints: Pick<LoadHints, 'recoveryPoint' | 'recoverySnapshot'>,
  parts: LoadParts,
): Promise<void> {
  const from = await restoreProducers(log, endOffset, hints, parts)
  for (let index = log.segmentIndexOf(from); index < log.segments.length && from < endOffset; index++) {
    const segment = log.segments[index] as Segment
    const next = log.segments[index + 1]
    if (next !== undefined && next.baseOffset <= from) continue
    await scanSegment({
      disk: parts.disk,
      path: segment.logPath,
      from: 0,
      to: segment.sizeInBytes,
      segmentBaseOffset: segment.baseOffset,
      expectedOffset: segment.baseOffset,
      checkCrc: false,
      visit(bytes, at) {
        const lastOffset = batchLastOffset(bytes, at)
        if (lastOffset >= endOffset) return false
        if (lastOffset >= from) log.producers.update(bytes, at)
        return true
      },
    })
  }
}

/** Restores the newest usable snapshot; answers its offset, or that of the log's first segment. */
async function restoreProducers(
  log: UnifiedLog,
  endOffset: number,
  hints: Pick<LoadHints, 'recoveryPoint' | 'recoverySnapshot'>,
  parts: LoadParts,
): Promise<number> {
  const first = (log.segments[0] as Segment).baseOffset
  const offsets = log.snapshotOffsets.filter((offset) => offset >= first && offset <= endOffset).reverse()
  const { recoveryPoint, recoverySnapshot } = hints
  if (recoveryPoint !== null && recoverySnapshot !== null && recoveryPoint >= first && recoveryPoint <= endOffset) {
    if (recoveryPoint >= (offsets[0] ?? 0) && decodeSnapshot(recoverySnapshot, log.producers)) return recoveryPoint
  }
  for (const offset of offsets) {
    const path = snapshotPath(log, offset)
    const bytes = await readSmall(parts.disk, path, snapshotBytesMax)
    if (bytes !== null && decodeSnapshot(bytes, log.producers)) return offset
    parts.observer.event(logEvents.hintIgnored, { file: path })
  }
  log.producers.clear()
  return first
}

export function snapshotPath(log: UnifiedLog, offset: number): string {
  return `${log.directory}/${String(offset).padStart(20, '0')}.snapshot`
}
