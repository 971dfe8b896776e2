/**
 * Opens one log: finds its end, its epochs and its producers. After a clean stop that takes a handful of small reads; after an
 * unclean one `log-recovery.ts` scans what lies above the recovery point first.
 */
import type { Disk, DiskOperation } from '../base/ports.ts'
import {
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchMaxTimestamp,
  batchPartitionLeaderEpoch,
  readInt32,
} from '../protocol/records/record-batch.ts'
import { checkpointBytesMax, crcOf, formatEpochs, parseEpochs } from './checkpoint-file.ts'
import { finishSwaps } from './compaction/segment-swap.ts'
import { enterDamage, findDamage } from './damage-finder.ts'
import { digestFor, missingSegments } from './digest-check.ts'
import { completeEpochs, rebuildEpochs } from './epoch-rebuild.ts'
import { adoptMaxTimestamp } from './index-check.ts'
import { logEvents } from './log-events.ts'
import { deletedSegments, indexRemovals, lostSegments, sortLogFiles } from './log-files.ts'
import { recoverLog } from './log-recovery.ts'
import { type LoadHints, type LoadParts, readSmall } from './load-parts.ts'
import { loadProducers } from './producer-loader.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { Segment, segmentName } from './segment.ts'
import { digestOf } from './segment-digest.ts'
import { offsetEntryBytes, timeEntryBytes } from './segment-index.ts'
import { scanSegment } from './segment-scan.ts'
import { chainPointOf } from './known-lines.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Fills an empty UnifiedLog from its folder. Answers what is to be removed once the recovery points are written. */
export async function loadLog(log: UnifiedLog, hints: LoadHints, parts: LoadParts): Promise<readonly DiskOperation[]> {
  const entries = await finishSwaps(parts.disk, log.directory, await parts.disk.list(log.directory))
  const files = sortLogFiles(entries)
  log.snapshotOffsets = [...files.snapshots]
  const [start] = files.segments
  const deleted = deletedSegments(files.leftovers)
  // Names reach the medium in any order: an older segment of a deletion may be back while a newer one is gone. Only this file tells.
  if (deleted.some((base) => start !== undefined && base > start)) log.mayHaveGaps = true
  const gone = deleted.filter((base) => !files.segments.includes(base))
  // In front of these a segment is back: that they are gone is written down before their names go, which are the only ones that tell.
  const cutShort = gone.filter((base) => start !== undefined && base > start)
  const kept = new Set(cutShort.map((base) => `${segmentName(base)}.log.deleted`))
  for (const base of cutShort) parts.digests.noteGone(log, base, `${log.directory}/${segmentName(base)}.log.deleted`)
  const leftovers = files.leftovers.filter((name) => !kept.has(name))
  const names = entries.map((entry) => entry.name)
  log.lostBases = lostSegments(names, files.segments)
  const lost = log.lostBases.filter((base) => start !== undefined && base < start)
  // Between others the gap tells; an index there goes, as with Apache Kafka.
  const between = log.lostBases.filter((base) => start !== undefined && base > start)
  const removal = [...leftoverRemoval(log, leftovers, gone), ...indexRemovals(log.directory, between)]
  const isKept = deleted.length > 0 && !hints.isClean
  if (removal.length > 0 && !isKept) await parts.disk.submit(removal)
  const isFirstLost = lost.length === 0 && isFirstGone(start, hints.firstBaseOffset, deleted)
  for (const baseOffset of isFirstLost ? [hints.firstBaseOffset ?? 0] : lost) {
    const file = `${segmentName(baseOffset)}.log`
    parts.observer.event(logEvents.segmentMissing, { log: log.key, startOffset: start ?? 0, file })
  }
  log.segments = await openSegments(log, files.segments, hints, parts)
  const first = log.segments[0] as Segment
  log.logStartOffset = Math.max(first.baseOffset, hints.logStartOffset ?? 0)
  const epochsBytes = await readSmall(parts.disk, `${log.directory}/leader-epoch-checkpoint`, checkpointBytesMax)
  log.epochs.load(parseEpochs(epochsBytes) ?? [])
  const isSealed = crcOf(epochsBytes ?? formatEpochs([])) === hints.epochsCrc
  log.epochsAreKnown = isSealed && hints.hasEpochs
  const isLoaded = hints.isClean && (await loadCleanEnd(log, hints, parts))
  if (!isLoaded) await recoverLog(log, deleted, hints, parts)
  if (hints.epochsCrc !== null && !isSealed) {
    // Damaged, or written by a checkpoint that the last run did not finish.
    await deriveEpochs(log, parts)
    log.epochsAreKnown = hints.hasEpochs && crcOf(formatEpochs(log.epochs.entries)) === hints.epochsCrc
  }
  if (log.logStartOffset > log.logEndOffset) {
    parts.observer.event(logEvents.hintIgnored, { file: `log-start-offset-checkpoint (${log.key})` })
    // A relaxed log may have lost records that were deleted already: those before them stay deleted.
    log.logStartOffset = hints.logStartIsSealed ? log.logEndOffset : first.baseOffset
  }
  await completeEpochs(log, parts.disk)
  if (hints.isClean && isLoaded) await loadProducers(log, log.logEndOffset, hints, parts)
  await holdAgainstDigests(log, hints, deleted, parts)
  noteLost(log, hints, parts)
  const { activeSegment: active } = log
  // It has been cut, or is damaged: what is appended from now on does not continue what is known.
  if (active.chain !== null && active.chain.sizeInBytes !== active.sizeInBytes) active.chain = null
  log.writtenEndOffset = log.logEndOffset
  log.durableEndOffset = log.logEndOffset
  log.recoveryPoint = log.logEndOffset
  log.recoverySnapshot = encodeSnapshot(log.producers)
  log.recoveryChain = chainPointOf(log)
  log.highWatermark = Math.max(log.logStartOffset, Math.min(hints.highWatermark ?? 0, log.logEndOffset))
  return isKept ? removal : []
}

/** The indexes of a deleted segment go before the name that tells why its log is gone. */
function leftoverRemoval(
  log: UnifiedLog,
  names: readonly string[],
  deleted: readonly number[],
): readonly DiskOperation[] {
  if (names.length === 0 && deleted.length === 0) return []
  const unlink = (name: string): DiskOperation => ({ kind: 'unlink', path: `${log.directory}/${name}` })
  const indexes = indexRemovals(log.directory, deleted)
  const sync: readonly DiskOperation[] = indexes.length === 0 ? [] : [{ kind: 'syncDirectory', path: log.directory }]
  return [...indexes, ...sync, ...names.map(unlink)]
}

/** Has a log lost its first segment? Retention leaves the last name that it took until our copy says where the log begins. */
export function isFirstGone(start: number | undefined, known: number | null, deleted: readonly number[]): boolean {
  return start !== undefined && known !== null && start > known && !deleted.some((base) => base >= known)
}

/** Sealed segments that have not the size that they had, and those that are not there at all. */
async function holdAgainstDigests(
  log: UnifiedLog,
  { digests }: LoadHints,
  deleted: readonly number[],
  parts: LoadParts,
): Promise<void> {
  for (const [index, segment] of log.segments.slice(0, -1).entries()) {
    const next = (log.segments[index + 1] as Segment).baseOffset
    const digest = digests.get(segment.baseOffset)
    if (digest === undefined || segment.isExamined) continue
    const isWhole = digest.sizeInBytes === segment.sizeInBytes
    const isDifferent = digestFor(digests, segment.baseOffset, next) !== null && !isWhole
    // Without gaps a missing segment shows in the one before it.
    const isFollowedByGap = isWhole && digest.endOffset < next && !log.mayHaveGaps
    if (isDifferent || isFollowedByGap) await findDamage(log, segment, parts, { endOffset: null, digests })
  }
  if (!log.mayHaveGaps) return
  const segments = log.segments.map(({ baseOffset }) => baseOffset)
  for (const range of missingSegments({ directory: log.directory, segments }, digests, deleted))
    enterDamage(log, range.path, [range], parts.observer)
}

/** What a segment was whose end this start has found lost: later ones, which look at sizes, know of it too. */
function noteLost(log: UnifiedLog, { chain: point }: LoadHints, parts: LoadParts): void {
  if (point === null) return
  const { baseOffset, chain } = point
  const index = log.segmentIndexOf(baseOffset)
  const segment = log.segments[index]
  if (segment?.baseOffset !== baseOffset || log.segments[index + 1]?.baseOffset !== chain.endOffset) return
  if (segment.sizeInBytes >= chain.sizeInBytes || !log.damage.touches(segment.logPath)) return
  const { topicId, partition } = log
  parts.digests.note(log, digestOf({ topicId, partition, baseOffset }, chain, chain.sizeInBytes))
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
    segment.appendedFrom = segment.sizeInBytes
    segment.indexIsChecked = false
    segment.maxTimestampIsKnown = false
    segment.chain = hints.chain?.baseOffset === baseOffset ? hints.chain.chain.copy() : null
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
async function loadCleanEnd(log: UnifiedLog, hints: LoadHints, parts: LoadParts): Promise<boolean> {
  const segment = log.activeSegment
  log.logEndOffset = segment.baseOffset
  // At a clean stop our copy of the recovery point is the log's end.
  const isEndWrong = (endOffset: number): boolean =>
    hints.epochsCrc !== null && hints.recoveryPoint !== null && endOffset !== hints.recoveryPoint
  if (segment.sizeInBytes === 0 && isEndWrong(segment.baseOffset)) return false
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
  if (end.reason !== null || isEndWrong(end.nextOffset)) return false
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
  if (lastEpoch < 0 || log.epochsAreKnown || log.epochs.epochAt(log.logEndOffset - 1) === lastEpoch) return true
  await deriveEpochs(log, parts)
  return true
}

async function deriveEpochs(log: UnifiedLog, parts: LoadParts): Promise<void> {
  parts.observer.event(logEvents.hintIgnored, { file: `${log.directory}/leader-epoch-checkpoint` })
  await rebuildEpochs(log, parts.disk)
}
