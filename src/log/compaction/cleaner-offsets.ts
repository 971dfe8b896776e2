/**
 * How far each log is compacted, kept twice: in Kafka's `cleaner-offset-checkpoint`, for Kafka, and in a sealed copy with topic ids.
 * Both are hints; without them compaction begins at the log's start. The copy is what we go by: a stale offset of an earlier topic
 * of the same name would let a tombstone go while older records of its key are still there.
 */
import type { Disk, DiskOperation } from '../../base/ports.ts'
import { replaceFile } from '../../base/replace-file.ts'
import { checkpointBytesMax, formatOffsets, parseOffsets, sealText, unsealText } from '../checkpoint-file.ts'
import { readSmall } from '../load-parts.ts'
import { logFileNames, stateFileNames } from '../side-files.ts'
import type { UnifiedLog } from '../unified-log.ts'

export interface OffsetPlaces {
  readonly logDirectory: string
  readonly stateDirectory: string
}

/** The logs' first dirty offsets as far as they are known. `hadOtherOwner`: logs that our copy does not name may have been compacted since. */
export async function readCleanerOffsets(
  disk: Disk,
  places: OffsetPlaces,
  logs: Iterable<UnifiedLog>,
  hadOtherOwner = false,
): Promise<Map<UnifiedLog, number>> {
  const copy = parseCopy(
    await readSmall(disk, `${places.stateDirectory}/${stateFileNames.cleanerOffsets}`, checkpointBytesMax),
  )
  const path = `${places.logDirectory}/${logFileNames.cleanerOffsets}`
  const isAsked = copy === null || hadOtherOwner
  const kafkas = isAsked ? parseOffsets(await readSmall(disk, path, checkpointBytesMax)) : null
  const offsets = new Map<UnifiedLog, number>()
  for (const log of logs) {
    const offset = copy?.get(`${log.key} ${log.topicId}`) ?? kafkas?.get(log.key)
    if (offset !== undefined) offsets.set(log, offset)
  }
  return offsets
}

/** Replaces both files. */
export function cleanerOffsetWrites(
  places: OffsetPlaces,
  offsets: ReadonlyMap<UnifiedLog, number>,
): readonly DiskOperation[] {
  const entries = [...offsets].map(([log, offset]) => ({ topic: log.topic, partition: log.partition, offset }))
  const lines = [...offsets].map(([log, offset]) => `${log.key} ${log.topicId} ${offset}\n`)
  return [
    ...replaceFile(`${places.stateDirectory}/${stateFileNames.cleanerOffsets}`, sealText(Buffer.from(lines.join('')))),
    { kind: 'syncDirectory', path: places.stateDirectory },
    ...replaceFile(`${places.logDirectory}/${logFileNames.cleanerOffsets}`, formatOffsets(entries)),
    { kind: 'syncDirectory', path: places.logDirectory },
  ]
}

/** By `topic-partition topicId`; null when the file is missing or torn. */
function parseCopy(bytes: Uint8Array | null): ReadonlyMap<string, number> | null {
  const body = unsealText(bytes)
  if (body === null) return null
  const offsets = new Map<string, number>()
  for (const line of Buffer.from(body).toString('utf8').split('\n')) {
    const [key, topicId, offset] = line.split(' ')
    if (offset !== undefined && Number.isSafeInteger(Number(offset))) offsets.set(`${key} ${topicId}`, Number(offset))
  }
  return offsets
}
