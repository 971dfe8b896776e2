/** The node-wide small files: where they are, how they are replaced, what they say. */
import type { DiskOperation } from '../base/ports.ts'
import { crcOf, formatEpochs, formatOffsets, type OffsetEntry, sealText, unsealText } from './checkpoint-file.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Names in dataDir/log, Kafka's own. */
export const logFileNames = {
  recoveryPoints: 'recovery-point-offset-checkpoint',
  highWatermarks: 'replication-offset-checkpoint',
  logStarts: 'log-start-offset-checkpoint',
  cleanerOffsets: 'cleaner-offset-checkpoint',
  cleanShutdown: '.kafka_cleanshutdown',
  identity: 'meta.properties',
  lock: '.lock',
} as const

/** Names in dataDir/state, ours. */
export const stateFileNames = {
  journal: 'journal',
  ballast: 'ballast',
  identity: 'meta.properties',
  recoveryPoints: 'recovery-points',
  logStarts: 'log-starts',
  cleanerOffsets: 'cleaner-offsets',
  quorumEpoch: 'quorum-epoch',
  recoveryHold: 'recovery-hold',
  failedSync: 'sync-failed',
} as const

/** Replaces a file so that a crash leaves the old or the new content (safety.md R3); a `syncDirectory` has to follow. */
export function replaceFile(path: string, bytes: Uint8Array): readonly DiskOperation[] {
  const temporary = `${path}.tmp`
  return [
    { kind: 'writeFile', path: temporary, bytes },
    { kind: 'sync', path: temporary },
    { kind: 'rename', from: temporary, to: path },
  ]
}

/**
 * Says that a sync has failed. The kernel calls what it did not write clean: a start while the page cache lives reads it, and another
 * sync does nothing for it. So the note need not be durable: where the cache is gone, there is nothing left to know.
 */
export function failedSyncNote(stateDirectory: string): readonly DiskOperation[] {
  return [{ kind: 'writeFile', path: `${stateDirectory}/${stateFileNames.failedSync}`, bytes: new Uint8Array(0) }]
}

/** An offset checkpoint over the logs. */
export function offsetsOf(logs: Iterable<UnifiedLog>, offset: (log: UnifiedLog) => number): Uint8Array {
  const entries: OffsetEntry[] = []
  for (const log of logs) entries.push({ topic: log.topic, partition: log.partition, offset: offset(log) })
  return formatOffsets(entries)
}

/** What our own copy of the recovery points says of one log. */
export interface KnownLog {
  readonly topicId: string
  readonly recoveryPoint: number
  /** Producer state there, as in a `.snapshot` file. */
  readonly snapshot: Uint8Array
  /** CRC-32C of `leader-epoch-checkpoint`, which has no checksum of its own; null = not known. */
  readonly epochsCrc: string | null
  /** That file has every epoch that began below the recovery point. */
  readonly hasEpochs: boolean
  /** Offsets may be missing: compaction has been there, or a deletion was cut short. */
  readonly mayHaveGaps: boolean
}

/**
 * Our copy: `topic-partition topicId recoveryPoint snapshot epochsCrc hasEpochs mayHaveGaps` a line, sealed with a CRC. The topic id tells a log from an earlier
 * one of its name; the producers' state stands here in one file for all logs, so that a checkpoint syncs one file and not one a log.
 */
export function sealKnownLogs(lines: readonly string[]): Uint8Array {
  return sealText(Buffer.from(lines.join('')))
}

/** The lines of some logs for `sealKnownLogs`. */
export function knownLogLines(logs: Iterable<UnifiedLog>): string {
  let lines = ''
  for (const log of logs) {
    const snapshot = Buffer.from(log.recoverySnapshot).toString('base64')
    const epochsCrc = crcOf(formatEpochs(log.epochs.filedEntries))
    const { hasFiledEpochs, mayHaveGaps } = log
    const flags = `${hasFiledEpochs ? 1 : 0} ${mayHaveGaps ? 1 : 0}`
    lines += `${log.key} ${log.topicId} ${log.recoveryPoint} ${snapshot} ${epochsCrc} ${flags}\n`
  }
  return lines
}

/** By `topic-partition`; null when the file is missing or torn. */
export function parseKnownLogs(bytes: Uint8Array | null): ReadonlyMap<string, KnownLog> | null {
  const body = unsealText(bytes)
  if (body === null) return null
  const known = new Map<string, KnownLog>()
  for (const line of Buffer.from(body).toString('utf8').split('\n')) {
    const [key, topicId, offset, snapshot, epochsCrc = null, hasEpochs = '0', gaps = '1'] = line.split(' ')
    if (key === undefined || topicId === undefined || offset === undefined || snapshot === undefined) continue
    known.set(key, {
      topicId,
      recoveryPoint: Number(offset),
      snapshot: Buffer.from(snapshot, 'base64'),
      epochsCrc,
      hasEpochs: hasEpochs === '1',
      // A line of an earlier release does not say: then a gap is no fault.
      mayHaveGaps: gaps === '1',
    })
  }
  return known
}
