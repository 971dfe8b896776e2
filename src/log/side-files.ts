/** The node-wide small files: where they are, how they are replaced, what they say. */
import type { DiskOperation } from '../base/ports.ts'
import { unsealText } from './checkpoint-file.ts'
import { type ChainPoint, HeaderChain } from './segment-digest.ts'
import type { IndexTail } from './segment-index.ts'
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
  /** Entries below the recovery point that its index files lack; null = none are known. */
  readonly indexTail: KnownIndexTail | null
  /** The headers of the segment that was active at the recovery point, up to there; null = not known. */
  readonly chain: ChainPoint | null
  /** Where the first segment began; null = not known. */
  readonly firstBaseOffset: number | null
}

/** The tail of one segment's index. */
export interface KnownIndexTail extends IndexTail {
  readonly segmentBaseOffset: number
}

/** Entries of a log's index that may stand in our copy instead of its files. */
export const indexTailMax = 64

/** What `known-lines` writes, by `topic-partition`; null when the file is missing or torn. */
export function parseKnownLogs(bytes: Uint8Array | null): ReadonlyMap<string, KnownLog> | null {
  const body = unsealText(bytes)
  if (body === null) return null
  const known = new Map<string, KnownLog>()
  for (const line of Buffer.from(body).toString('utf8').split('\n')) {
    const [key, topicId, offset, snapshot, epochsCrc = null, hasEpochs = '0', gaps = '1', ...rest] = line.split(' ')
    const [chain = '-', first, ...tail] = rest
    if (key === undefined || topicId === undefined || offset === undefined || snapshot === undefined) continue
    known.set(key, {
      topicId,
      recoveryPoint: Number(offset),
      snapshot: Buffer.from(snapshot, 'base64'),
      epochsCrc,
      hasEpochs: hasEpochs === '1',
      // A line of an earlier release does not say: then a gap is no fault.
      mayHaveGaps: gaps === '1',
      indexTail: parseIndexTail(tail),
      chain: parseChain(chain),
      firstBaseOffset: first === undefined ? null : Number(first),
    })
  }
  return known
}

function parseIndexTail(words: readonly string[]): KnownIndexTail | null {
  const [segment, filedOffsets, filedTimes, offsets, times] = words
  if (segment === undefined || offsets === undefined || times === undefined) return null
  return {
    segmentBaseOffset: Number(segment),
    filedOffsets: Number(filedOffsets),
    filedTimes: Number(filedTimes),
    offsets: Buffer.from(offsets, 'base64'),
    times: Buffer.from(times, 'base64'),
  }
}

/** The active segment's headers as they are in the books; null when they are not known from its first byte on. */
export function chainPointOf(log: UnifiedLog): ChainPoint | null {
  const { baseOffset, chain, sizeInBytes } = log.activeSegment
  return chain === null || chain.sizeInBytes !== sizeInBytes ? null : { baseOffset, chain: chain.copy() }
}

/** `-` when it is not known. */
function parseChain(text: string): ChainPoint | null {
  const [base, ...rest] = text.split(':')
  const chain = HeaderChain.fromText(rest.join(':'))
  return chain === null ? null : { baseOffset: Number(base), chain }
}
