/**
 * Decides how one group commit is made durable, and writes down its disk operations (architecture law 2). Pure.
 *
 * Each log of the commit goes one of three ways:
 * - `journal`: its bytes stand in the frame; the file is written behind it, and synced later
 * - `direct`: its file is written and synced in the group
 * - `relaxed`: its file is written; a lazy sync follows (`flush: relaxed`)
 *
 * All logs that a set of more than one batch touches go by the journal, with everything they append in this commit: a file
 * is written only after the frame is durable, so after a crash the frame puts back all of the set or there is none of it.
 */
import type { DiskOperation } from '../base/ports.ts'
import { batchBaseOffset } from '../protocol/records/record-batch.ts'
import type { CommitJournal } from './commit-journal.ts'
import type { DirtyFiles } from './dirty-files.ts'
import { frameBytesMax, type JournalRange } from './journal-frame.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

/** One batch that stands in the log's books and not yet in its file. */
export interface QueuedBatch {
  readonly log: UnifiedLog
  readonly segment: Segment
  readonly position: number
  readonly bytes: Uint8Array
  /** Log end offset behind it. */
  readonly endOffset: number
  /** Batches of one set carry the same number and stand together. */
  readonly set: number
}

export type CommitWay = 'journal' | 'direct' | 'relaxed'

/** What one log has in a commit. */
export interface LogCommit {
  readonly log: UnifiedLog
  readonly ranges: CommitRange[]
  bytes: number
  endOffset: number
  isInSet: boolean
  way: CommitWay
  /** Of the way `journal`: the frame keeps its bytes, the file gets them later. */
  isHeld: boolean
}

interface CommitRange {
  readonly segment: Segment
  readonly position: number
  readonly chunks: Uint8Array[]
  bytes: number
  /** Where the journal has it; -1 = it has not. */
  ringPosition: number
}

export interface CommitPlan {
  readonly commits: readonly LogCommit[]
  /** When this group has completed, the commit is durable. */
  readonly operations: readonly DiskOperation[]
  /** The file writes of what the frame holds: a group of its own right behind, which no acknowledgement waits for. */
  readonly writes: readonly DiskOperation[]
  readonly bytes: number
  /** How many batches of the queue it takes; the rest waits for the next commit. */
  readonly taken: number
  readonly usesJournal: boolean
  /** The group writes and syncs one frame, and nothing else; what stands before it in the queue may come behind it. */
  readonly isFrameOnly: boolean
  /** To be called when the group has completed. */
  readonly completeSyncs: readonly (() => void)[]
}

// What a commit costs, in microseconds, from the figures in architecture law 2 (256 files of 16 KB: 63 ms in turn, 7.7 by journal).
const fileSyncUs = 300
const journalSyncUs = 120
const directUsPerByte = 1 / 1000
const journalUsPerByte = 1 / 500

/** Bytes of one commit: bounds the time until the first of its acknowledgements. */
const commitBytesMax = 32 * 1_048_576

export interface CommitPermits {
  /** Files may get their bytes later. */
  readonly mayHold: boolean
  /** Its frame may take the place of others: files have the bytes of all. */
  readonly mayBeginAnew: boolean
}

/** Takes as much of the queue as one commit may hold; null when the ring would have to begin anew for it, and may not. */
export function planCommit(
  queue: readonly QueuedBatch[],
  journal: CommitJournal,
  dirty: DirtyFiles,
  { mayHold, mayBeginAnew }: CommitPermits,
): CommitPlan | null {
  const { commits, taken, bytes } = gather(queue)
  chooseWays(commits)
  const content = frameContent(commits, journal)
  if (content.beginsAnew && !mayBeginAnew) return null
  if (mayHold) for (const commit of commits) commit.isHeld = goesOnInOneFile(commit)
  const operations: DiskOperation[] = []
  const writes: DiskOperation[] = []
  const completeSyncs: (() => void)[] = []
  createSegments(commits, dirty, { operations, completeSyncs })
  const frame = addFrame(commits, content, { journal, dirty, operations, completeSyncs })
  const direct = new Set<string>()
  for (const commit of commits) {
    let previous: CommitRange | null = null
    for (const range of commit.ranges) {
      const path = range.segment.logPath
      const write: DiskOperation = { kind: 'write', path, position: range.position, chunks: range.chunks }
      if (commit.way === 'journal') {
        if (!commit.isHeld) writes.push(write)
        continue
      }
      // A later segment must not survive a crash that its predecessor's end does not: that would be a hole in the log.
      if (previous !== null) operations.push({ kind: 'sync', path: previous.segment.logPath })
      operations.push(write)
      if (commit.way === 'direct') direct.add(path)
      previous = range
    }
  }
  if (direct.size > 0) {
    completeSyncs.push(dirty.beginSync(direct))
    for (const path of direct) operations.push({ kind: 'sync', path })
  }
  const usesJournal = frame !== 'none'
  const isFrameOnly = frame === 'free' && operations.length === 2
  return { commits, operations, writes, bytes, taken, usesJournal, isFrameOnly, completeSyncs }
}

/** Nothing is begun with it, and all that stands before it is durable, and in the file or held as well. */
function goesOnInOneFile({ way, log, ranges }: LogCommit): boolean {
  const [{ segment, chunks }, ...more] = ranges as [CommitRange, ...CommitRange[]]
  if (way !== 'journal' || more.length > 0 || !segment.isOnDisk) return false
  const { writtenEndOffset, durableEndOffset } = log
  return writtenEndOffset >= batchBaseOffset(chunks[0] as Uint8Array) && durableEndOffset >= writtenEndOffset
}

function gather(queue: readonly QueuedBatch[]): { commits: LogCommit[]; taken: number; bytes: number } {
  const byLog = new Map<UnifiedLog, LogCommit>()
  let bytes = 0
  let journaled = 0
  let taken = 0
  while (taken < queue.length) {
    const end = endOfSet(queue, taken)
    let setBytes = 0
    let mustJournal = 0
    for (let index = taken; index < end; index++) {
      const item = queue[index] as QueuedBatch
      const known = byLog.get(item.log)
      setBytes += item.bytes.length
      if (end - taken > 1 && known?.isInSet === false) mustJournal += known.bytes
      if (end - taken > 1 || known?.isInSet === true) mustJournal += item.bytes.length
    }
    if (taken > 0 && (bytes + setBytes > commitBytesMax || journaled + mustJournal > frameBytesMax)) break
    bytes += setBytes
    journaled += mustJournal
    for (let index = taken; index < end; index++) addBatch(byLog, queue[index] as QueuedBatch, end - taken > 1)
    taken = end
  }
  return { commits: [...byLog.values()], taken, bytes }
}

function endOfSet(queue: readonly QueuedBatch[], start: number): number {
  const set = (queue[start] as QueuedBatch).set
  let end = start + 1
  while (end < queue.length && (queue[end] as QueuedBatch).set === set) end++
  return end
}

function addBatch(byLog: Map<UnifiedLog, LogCommit>, item: QueuedBatch, isInSet: boolean): void {
  if (item.log.isDeleted) return
  const { log, segment, bytes, endOffset } = item
  const commit = byLog.get(log)
  if (commit === undefined) {
    const ranges = [rangeOf(item)]
    byLog.set(log, { log, ranges, bytes: bytes.length, endOffset, isInSet, way: 'direct', isHeld: false })
    return
  }
  commit.bytes += bytes.length
  commit.endOffset = endOffset
  commit.isInSet ||= isInSet
  const last = commit.ranges.at(-1)
  if (last !== undefined && last.segment === segment) {
    last.chunks.push(bytes)
    last.bytes += bytes.length
  } else commit.ranges.push(rangeOf(item))
}

function rangeOf({ segment, position, bytes }: QueuedBatch): CommitRange {
  return { segment, position, chunks: [bytes], bytes: bytes.length, ringPosition: -1 }
}

function chooseWays(commits: readonly LogCommit[]): void {
  let journalBytes = 0
  let journalLogs = 0
  let mixedUs = journalSyncUs
  let directUs = 0
  let hasSet = false
  for (const commit of commits) {
    const aloneUs = fileSyncUs * commit.ranges.length + commit.bytes * directUsPerByte
    const framedUs = commit.bytes * journalUsPerByte
    directUs += aloneUs
    if (commit.isInSet) commit.way = 'journal'
    else if (commit.log.config.flush === 'relaxed') commit.way = 'relaxed'
    else commit.way = framedUs < aloneUs ? 'journal' : 'direct'
    hasSet ||= commit.isInSet
    mixedUs += commit.way === 'journal' ? framedUs : aloneUs
    if (commit.way === 'journal') {
      journalBytes += commit.bytes
      journalLogs++
    }
  }
  if (journalLogs === 0 || hasSet) {
    if (journalBytes > frameBytesMax) spillToFiles(commits, journalBytes)
    return
  }
  if (directUs <= mixedUs) for (const commit of commits) if (commit.way === 'journal') commit.way = 'direct'
  if (journalBytes > frameBytesMax) spillToFiles(commits, journalBytes)
}

/** The frame is full: the largest logs that need not be in it go to their files. */
function spillToFiles(commits: readonly LogCommit[], journalBytes: number): void {
  let excess = journalBytes - frameBytesMax
  const free = commits.filter((commit) => commit.way === 'journal' && !commit.isInSet)
  for (const commit of free.sort((a, b) => b.bytes - a.bytes)) {
    if (excess <= 0) return
    commit.way = 'direct'
    excess -= commit.bytes
  }
}

/**
 * New segment files, and durably: before any frame or acknowledgement speaks of them (safety.md R2). What earlier commits of the
 * log left unsynced is synced before, so that no segment survives a crash that its predecessor's end does not; and each name before the next
 * one, or a log would seem to begin with whichever came through.
 */
function createSegments(commits: readonly LogCommit[], dirty: DirtyFiles, parts: PlanParts): void {
  for (const commit of commits) {
    let created = false
    for (const { segment } of commit.ranges) {
      if (segment.isOnDisk) continue
      if (!created) syncEarlier(commit.log, dirty, parts)
      segment.isOnDisk = true
      created = true
      parts.operations.push({ kind: 'writeFile', path: segment.logPath, bytes: noBytes })
      parts.operations.push({ kind: 'syncDirectory', path: commit.log.directory })
    }
  }
}

const noBytes = new Uint8Array(0)

interface PlanParts {
  readonly operations: DiskOperation[]
  readonly completeSyncs: (() => void)[]
}

/**
 * `inTurn`: it counts on syncs that stand before it in the queue, in this group or in one that waits still, and must not go past those: the
 * ring begins anew with it, in the place of frames whose files they sync, or they bring to the medium what stands below its bytes.
 */
type AddedFrame = 'none' | 'free' | 'inTurn'

function addFrame(
  commits: readonly LogCommit[],
  { ranges, bytes, beginsAnew }: FrameContent,
  parts: PlanParts & { readonly journal: CommitJournal; readonly dirty: DirtyFiles },
): AddedFrame {
  const { journal, dirty } = parts
  let waits = false
  for (const { way, log } of commits) {
    // Bytes that were written while the log was relaxed stand below the frame's: they must be there when the frame is replayed.
    if (way !== 'journal' || log.durableEndOffset >= log.writtenEndOffset) continue
    waits = true
    syncEarlier(log, dirty, parts)
  }
  if (beginsAnew) {
    // Everything dirty is synced first, in this group, and the ring begins anew.
    const paths = [...dirty.unsynced()]
    dirty.beginSync(paths)()
    for (const path of paths) parts.operations.push({ kind: 'sync', path })
    parts.operations.push(...journal.beginAnew(ranges.length, bytes))
  }
  for (const commit of commits) {
    if (commit.way === 'direct') continue
    for (const range of commit.ranges) dirty.mark(range.segment.logPath, journal.nextSequence)
  }
  if (ranges.length === 0) return 'none'
  const { operation, dataAt } = journal.append(ranges, bytes)
  parts.operations.push(operation, { kind: 'sync', path: journal.path })
  placeInRing(commits, dataAt)
  return beginsAnew || waits ? 'inTurn' : 'free'
}

/** In the order of `frameContent`. */
function placeInRing(commits: readonly LogCommit[], dataAt: number): void {
  let position = dataAt
  for (const { way, ranges } of commits) {
    if (way !== 'journal') continue
    for (const range of ranges) {
      range.ringPosition = position
      position += range.bytes
    }
  }
}

interface FrameContent {
  readonly ranges: readonly JournalRange[]
  readonly bytes: number
  /** The ring has no room for it. */
  readonly beginsAnew: boolean
}

function frameContent(commits: readonly LogCommit[], journal: CommitJournal): FrameContent {
  const ranges: JournalRange[] = []
  let bytes = 0
  for (const { way, log, ranges: ofLog } of commits) {
    if (way !== 'journal') continue
    for (const range of ofLog) {
      ranges.push({
        topicId: log.topicIdBytes,
        partition: log.partition,
        segmentBaseOffset: range.segment.baseOffset,
        position: range.position,
        chunks: range.chunks,
        bytes: range.bytes,
      })
      bytes += range.bytes
    }
  }
  return { ranges, bytes, beginsAnew: ranges.length > 0 && !journal.hasRoom(ranges.length, bytes) }
}

/** What earlier commits of this log wrote without a sync. */
function syncEarlier(log: UnifiedLog, dirty: DirtyFiles, parts: PlanParts): void {
  const paths = log.segments.filter((segment) => dirty.has(segment.logPath)).map((segment) => segment.logPath)
  if (paths.length === 0) return
  parts.completeSyncs.push(dirty.beginSync(paths))
  for (const path of paths) parts.operations.push({ kind: 'sync', path })
}
