/** The node-wide small files: where they are, and what a writing that ends early leaves of them and says. */
import type { DiskOperation } from '../base/ports.ts'

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
  segmentDigests: 'segment-digests',
  failedSync: 'sync-failed',
} as const

/** Removes what groups of `replaceFile` leave when they end early. */
export function temporariesOf(operations: readonly DiskOperation[]): readonly DiskOperation[] {
  return operations.flatMap((each) => (each.kind === 'rename' ? [{ kind: 'unlink' as const, path: each.from }] : []))
}

/**
 * Says that a sync has failed. The kernel calls what it did not write clean: a start while the page cache lives reads it, and another
 * sync does nothing for it. So the note need not be durable: where the cache is gone, there is nothing left to know.
 */
export function failedSyncNote(stateDirectory: string): readonly DiskOperation[] {
  return [{ kind: 'writeFile', path: `${stateDirectory}/${stateFileNames.failedSync}`, bytes: new Uint8Array(0) }]
}
