/** Opens everything under dataDir/log: replays the journal after an unclean stop, then loads every log. */
import { mapBounded } from '../base/map-bounded.ts'
import { zeroUuid } from '../base/ids.ts'
import type { Clock, Disk, DiskOperation, Observer, RefusedPath } from '../base/ports.ts'
import { uuidToString } from '../base/ids.ts'
import { checkpointBytesMax, isDamagedTopicId, parseOffsets } from './checkpoint-file.ts'
import type { DigestFile } from './digest-file.ts'
import { refusedFiles } from './directory-hold.ts'
import type { LogConfig } from './log-config.ts'
import { logEvents } from './log-events.ts'
import { isDeletedLogName, parseLogName } from './log-files.ts'
import { readCleanerOffsets } from './compaction/cleaner-offsets.ts'
import { logMetrics } from './log-metrics.ts'
import { type LoadHints, readSmall, readTopicId } from './load-parts.ts'
import { loadLog } from './log-loader.ts'
import { readLogStarts } from './log-start-file.ts'
import { replayJournal } from './journal-replay.ts'
import { findOtherOwner } from './other-owner.ts'
import { segmentName } from './segment.ts'
import { logKeyOf, noDigests } from './segment-digest.ts'
import { type KnownLog, parseKnownLogs } from './known-lines.ts'
import { logFileNames, stateFileNames } from './side-files.ts'
import { topicIdSyncs, topicIdWrites } from './topic-id-file.ts'
import { type LogHome, UnifiedLog } from './unified-log.ts'

/** Logs opened at a time: enough to keep the disk busy, few enough to bound the memory of their scans. */
const logsAtATime = 16
/** Files synced in one group after a replay: the disk flushes many at once. */
const filesPerSyncGroup = 4096

export interface DirectoryPlace {
  readonly logDirectory: string
  readonly stateDirectory: string
  readonly directoryId: Uint8Array
  readonly isClean: boolean
  readonly config: LogConfig
}

export interface DirectoryParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly observer: Observer
  readonly home: LogHome
  readonly digests: DigestFile
}

export interface LoadedDirectory {
  readonly logs: readonly UnifiedLog[]
  readonly replayedFrames: number
  /** Names of folders whose deletion was under way. */
  readonly deletedNames: readonly string[]
  /** The files of log starts speak of what is gone, or ours of another time: write them before a log is created or appended to. */
  readonly hasStaleLogStarts: boolean
  /** Our copy of the recovery points was there. */
  readonly hasKnownLogs: boolean
  /** Goes when the recovery points are written: until then it tells what they do not. */
  readonly leftovers: readonly DiskOperation[]
}

interface Folder {
  readonly name: string
  readonly topic: string
  readonly partition: number
  topicId: string
}

/** Throws DATA_FILES_REFUSED when files of a log may not be written to. */
export async function loadDirectory(place: DirectoryPlace, parts: DirectoryParts): Promise<LoadedDirectory> {
  const { disk, observer } = parts
  const { logDirectory, stateDirectory } = place
  const entries = await disk.list(logDirectory)
  const deletedNames = entries
    .filter((entry) => entry.isDirectory && isDeletedLogName(entry.name))
    .map((entry) => entry.name)
  const read = (path: string): Promise<Uint8Array | null> => readSmall(disk, path, checkpointBytesMax)
  const offsets = async (name: string): Promise<ReadonlyMap<string, number> | null> =>
    parseOffsets(await read(`${logDirectory}/${name}`))
  const other = await findOtherOwner(disk, place)
  if (other !== null) observer.event(logEvents.otherOwner, { ...other })
  const knownBytes = other === null ? await read(`${stateDirectory}/${stateFileNames.recoveryPoints}`) : null
  const known = parseKnownLogs(knownBytes)
  const recoveryPoints = await offsets(logFileNames.recoveryPoints)
  const {
    starts: logStarts,
    areSure,
    differ,
  } = readLogStarts(
    await read(`${logDirectory}/${logFileNames.logStarts}`),
    await read(`${stateDirectory}/${stateFileNames.logStarts}`),
    other !== null,
  )
  const { byLog: digests } = await parts.digests.open(other === null)
  const highWatermarks = await offsets(logFileNames.highWatermarks)

  const names = entries.filter((entry) => entry.isDirectory && !isDeletedLogName(entry.name)).map((entry) => entry.name)
  const note = `${stateDirectory}/${stateFileNames.failedSync}`
  const hadFailedSync = (await disk.size(note)) !== null
  const copy = { known, hadFailedSync }
  const folders = (await mapBounded(names, logsAtATime, (name) => openFolder(name, place, copy, parts))).filter(
    (folder) => folder !== null,
  )
  const replayedFrames = place.isClean ? 0 : await replay(folders, place, parts)
  const empty = folders.map(
    (folder) => new UnifiedLog({ ...folder, directory: `${logDirectory}/${folder.name}` }, place.config, parts.home),
  )
  // Only where compaction has been may offsets be missing.
  for (const log of (await readCleanerOffsets(disk, place, empty, other !== null)).keys()) log.mayHaveGaps = true
  // A damaged file does not say: then a gap is no fault.
  const isLost = known === null && knownBytes !== null
  for (const log of empty) log.mayHaveGaps ||= isLost || known?.get(log.key)?.mayHaveGaps === true
  const leftovers: DiskOperation[] = []
  if (hadFailedSync) leftovers.push({ kind: 'unlink', path: note })
  const refused: RefusedPath[] = []
  const logs = await mapBounded([...folders.entries()], logsAtATime, async ([index, folder]) => {
    const log = empty[index] as UnifiedLog
    const hints: LoadHints = {
      isClean: place.isClean,
      hadFailedSync,
      ...recoveryPointOf(folder, known, recoveryPoints),
      logStartOffset: logStarts?.get(folder.name) ?? null,
      logStartIsSealed: areSure,
      highWatermark: highWatermarks?.get(folder.name) ?? null,
      digests: digests.get(logKeyOf(folder)) ?? noDigests,
    }
    leftovers.push(...(await loadLog(log, hints, { disk, clock: parts.clock, observer, digests: parts.digests })))
    refused.push(...(await refusalsOf(log, disk)))
    for (const segment of log.segments.slice(0, -1)) parts.digests.noteSealed(log, segment)
    return log
  })
  if (refused.length > 0) throw refusedFiles(refused)
  const ends = new Map(logs.map((log) => [log.key, log.logEndOffset]))
  // Of logs that are gone, or beyond what a relaxed log has left: what is appended there next would be hidden.
  const isStale = ([key, start]: readonly [string, number]): boolean => start > (ends.get(key) ?? -1)
  const hasStaleLogStarts = other !== null || differ || [...(logStarts ?? [])].some(isStale)
  return { logs, replayedFrames, deletedNames, hasStaleLogStarts, hasKnownLogs: known !== null, leftovers }
}

/** What of a log's files cannot be written to: of those that are appended to; others are given up in time, for which their names have to go. */
async function refusalsOf(log: UnifiedLog, disk: Disk): Promise<readonly RefusedPath[]> {
  const { logPath, indexPath, timeIndexPath } = log.activeSegment
  const written = await disk.refusals([log.directory, logPath, indexPath, timeIndexPath])
  const sealed = await disk.refusals(log.segments.slice(0, -1).map((segment) => segment.logPath))
  return [...written, ...sealed.filter(({ code }) => code === 'EPERM')]
}

/** Tells that the directory is open. */
export function reportOpened(
  observer: Observer,
  facts: { readonly logs: number; readonly ms: number; readonly clean: boolean; readonly replayedFrames: number },
): void {
  const { logs, ms, clean, replayedFrames: frames } = facts
  observer.set(logMetrics.logs, logs)
  observer.set(logMetrics.directoryOffline, 0)
  observer.set(logMetrics.recoverySeconds, ms / 1000)
  observer.event(logEvents.opened, { logs, durationMs: Math.round(ms), clean, frames })
}

/** Topic and id of a log's folder; the id comes from our copy when `partition.metadata` is lost or damaged, and is written back. */
async function openFolder(
  name: string,
  place: DirectoryPlace,
  { known, hadFailedSync }: { readonly known: ReadonlyMap<string, KnownLog> | null; readonly hadFailedSync: boolean },
  parts: DirectoryParts,
): Promise<Folder | null> {
  const parsed = parseLogName(name)
  if (parsed === null) {
    parts.observer.event(logEvents.unknownEntry, { name })
    return null
  }
  const directory = `${place.logDirectory}/${name}`
  const found = await readTopicId(parts.disk, directory)
  const topicId = known?.get(name)?.topicId ?? zeroUuid
  const isDamaged = found !== null && topicId !== zeroUuid && isDamagedTopicId(found, topicId)
  if (found !== null && !isDamaged) {
    // Our copy does not tell it: whoever wrote the file may have died before it was synced.
    if (!place.isClean && found !== topicId) await parts.disk.submit(topicIdSyncs(directory, found, hadFailedSync))
    return { name, ...parsed, topicId: found }
  }
  parts.observer.event(logEvents.hintIgnored, { file: `${directory}/partition.metadata` })
  if (topicId !== zeroUuid) await parts.disk.submit(topicIdWrites(directory, topicId))
  return { name, ...parsed, topicId }
}

/**
 * Our copy is believed for the log that it names; a log that it does not know was created since. Without it Kafka's file is
 * taken in the same way, and without that nothing is known.
 */
function recoveryPointOf(
  folder: Folder,
  known: ReadonlyMap<string, KnownLog> | null,
  kafkas: ReadonlyMap<string, number> | null,
): Omit<LoadHints, 'isClean' | 'logStartOffset' | 'logStartIsSealed' | 'highWatermark' | 'digests' | 'hadFailedSync'> {
  const unknown = {
    ...{ recoverySnapshot: null, epochsCrc: null, hasEpochs: false, chain: null, firstBaseOffset: null },
    indexTail: null,
  }
  if (known === null) return { recoveryPoint: kafkas === null ? null : (kafkas.get(folder.name) ?? 0), ...unknown }
  const entry = known.get(folder.name)
  if (entry === undefined || entry.topicId !== folder.topicId) return { recoveryPoint: 0, ...unknown }
  const { recoveryPoint, snapshot: recoverySnapshot, epochsCrc, hasEpochs, chain, firstBaseOffset, indexTail } = entry
  return { recoveryPoint, recoverySnapshot, epochsCrc, hasEpochs, chain, firstBaseOffset, indexTail }
}

async function replay(folders: readonly Folder[], place: DirectoryPlace, parts: DirectoryParts): Promise<number> {
  const { disk, observer } = parts
  const byId = new Map<string, Folder | null>(
    folders.map((folder) => [`${folder.topicId} ${folder.partition}`, folder]),
  )
  const folderOf = async (topicId: string, partition: number): Promise<Folder | null> => {
    const key = `${topicId} ${partition}`
    const known = byId.get(key)
    if (known !== undefined) return known
    // A frame has a checksum, `partition.metadata` has none: it may be the file that is wrong about a log.
    const damaged = folders.find((each) => each.partition === partition && isDamagedTopicId(each.topicId, topicId))
    byId.set(key, damaged ?? null)
    if (damaged === undefined) return null
    damaged.topicId = topicId
    observer.event(logEvents.hintIgnored, { file: `${place.logDirectory}/${damaged.name}/partition.metadata` })
    await disk.submit(topicIdWrites(`${place.logDirectory}/${damaged.name}`, topicId))
    return damaged
  }
  const path = `${place.stateDirectory}/${stateFileNames.journal}`
  const result = await replayJournal(disk, path, place.directoryId, {
    async pathOf(range) {
      const folder = await folderOf(uuidToString(range.topicId), range.partition)
      if (folder === null) return null
      const file = `${place.logDirectory}/${folder.name}/${segmentName(range.segmentBaseOffset)}.log`
      // A frame is written after its segment's file is there for good: a missing one has been deleted.
      return (await disk.size(file)) === null ? null : file
    },
  })
  if (result.reason !== null && folders.length > 0) observer.event(logEvents.journalIgnored, { reason: result.reason })
  const paths = [...result.paths]
  for (let at = 0; at < paths.length; at += filesPerSyncGroup) {
    await disk.submit(
      paths.slice(at, at + filesPerSyncGroup).map((file): DiskOperation => ({ kind: 'sync', path: file })),
    )
  }
  return result.frames
}
