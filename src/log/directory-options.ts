/** What a log directory is opened with, and what a log is created from. */
import { uuidFromString } from '../base/ids.ts'
import { type CheckpointPace, ringBytesPerDue } from './checkpoint-pace.ts'
import type { JournalOptions } from './commit-journal.ts'
import type { CompactionOptions } from './compaction/compaction-options.ts'
import { type HeldDirectory, journalPathOf } from './directory-hold.ts'
import type { LogConfig } from './log-config.ts'
import type { ScrubOptions } from './scrubber.ts'
import type { SpaceOptions } from './space-guard.ts'

export interface LogDirectoryOptions {
  /** Absolute. `log/` and `state/` are made below it. */
  readonly dataDir: string
  readonly nodeId: number
  /** When given, a directory of another cluster is refused. */
  readonly clusterId?: string
  /** What a log goes by from its opening until `updateConfig`. Default: Kafka's defaults, and nothing of it is given up. */
  readonly config?: LogConfig
  /** Most bytes of the commit journal; default 256 MiB. */
  readonly journalBytesMax?: number
  /** Step in which the journal grows; default 4 MiB. */
  readonly journalStepBytes?: number
  /** Appended bytes after which the recovery points move on; default 96 MiB. */
  readonly checkpointEveryBytes?: number
  /** Index entries of all logs together that may wait for their files, where many logs are written to; default 655,360, some 20 MB. */
  readonly unfiledIndexEntriesMax?: number
  /** Dirty files above which the journal keeps their bytes for a while; default 1,024. */
  readonly filesWrittenAtOnce?: number
  /** How much of each of those logs it keeps before the first of them get their bytes; default 64 KiB. */
  readonly heldBytesPerLog?: number
  /** The same of all together, as the ring has it; default 384 MiB. */
  readonly heldBytesMax?: number
  /** Files synced one by one, each between two commits; above that many all together. Default 128. */
  readonly filesSyncedAlone?: number
  /** Newest batches kept in memory for readers; default 16 MiB. */
  readonly tailCacheBytes?: number
  /** Index files kept in memory for readers of old data; default 8 MiB. */
  readonly indexCacheBytes?: number
  /** log.retention.check.interval.ms; default 5 minutes. */
  readonly retentionCheckIntervalMs?: number
  /** Bounds of what the directory takes; default: none, and no ballast. */
  readonly space?: SpaceOptions
  /** How the stored bytes are looked through for damage; default: not at all. */
  readonly scrub?: ScrubOptions
  /** producer.id.expiration.ms, read when it is needed; default one day. */
  readonly producerExpirationMs?: number
  /** What compaction may take; what is left out is as in compaction-options.ts. */
  readonly compaction?: Partial<CompactionOptions>
}

export interface LogCreation {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  readonly config: LogConfig
}

/** A commit waits for the sync before it, some milliseconds a file; of more the disk flushes thousands in the time of some dozen. */
const filesSyncedAloneDefault = 128

/** The journal of a directory that is opened with these. */
export function journalOptionsOf(options: LogDirectoryOptions, held: HeldDirectory): JournalOptions {
  return {
    path: journalPathOf(held),
    bytesMax: options.journalBytesMax ?? journalBytesMaxOf(options.space?.budgetBytes),
    bytesMaxSpread: Math.floor(ringBytesPerDue * heldBytesMaxOf(options)),
    stepBytes: options.journalStepBytes ?? 4 * 1_048_576,
    directoryId: uuidFromString(held.identity.directoryId),
  }
}

const checkpointEveryBytesDefault = 96 * 1_048_576
const unfiledEntriesMaxDefault = 655_360
/** Four batches of 16 KB: two of them make a write half as dear, eight no less than four. */
const heldBytesPerLogDefault = 65_536
const filesWrittenAtOnceDefault = 1024
const heldBytesMaxDefault = 384 * 1_048_576
/** What is held takes room for itself, and for the ring that keeps it; the rest is for others. */
const roomPerHeldByte = 4
/** The largest ring is such a part of the budget. */
const ringsPerBudget = 16

/** How far checkpoints of a directory lie apart that is opened with these. */
export function checkpointPaceOf(options: LogDirectoryOptions): CheckpointPace {
  const everyBytes = options.checkpointEveryBytes ?? checkpointEveryBytesDefault
  const heldBytesMax = heldBytesMaxOf(options)
  // A smaller ring would run full before a checkpoint is due.
  const mayHold = heldBytesMax >= everyBytes
  return {
    everyBytes,
    heldBytesPerLog: options.heldBytesPerLog ?? heldBytesPerLogDefault,
    heldBytesMax,
    holdsWith: {
      roomBytes: roomPerHeldByte * heldBytesMax,
      // A budget in bytes has bounded the ring; one that is a share of the file system is known when it is looked at.
      budgetBytes: Math.floor(ringBytesPerDue * heldBytesMax) * ringsPerBudget,
    },
    unfiledEntriesMax: options.unfiledIndexEntriesMax ?? unfiledEntriesMaxDefault,
    filesSyncedAlone: options.filesSyncedAlone ?? filesSyncedAloneDefault,
    filesWrittenAtOnce: mayHold ? (options.filesWrittenAtOnce ?? filesWrittenAtOnceDefault) : Number.POSITIVE_INFINITY,
  }
}

/**
 * Most bytes of the journal: less under a small budget, but room for two of the largest frames. Beyond 64 MiB it saves flash: a file costs
 * the file system some 40 KB of its own books each time that it is synced, and a full ring has every file synced.
 */
function journalBytesMaxOf(budgetBytes = Number.POSITIVE_INFINITY): number {
  const share = Math.max(budgetBytes / ringsPerBudget, Math.min(64 * 1_048_576, budgetBytes / 8))
  return Math.max(17 * 1_048_576, Math.min(256 * 1_048_576, share))
}

function heldBytesMaxOf({ heldBytesMax, space }: LogDirectoryOptions): number {
  if (heldBytesMax !== undefined) return heldBytesMax
  return Math.min(
    heldBytesMaxDefault,
    (space?.budgetBytes ?? Number.POSITIVE_INFINITY) / ringsPerBudget / ringBytesPerDue,
  )
}
