/** Settings of explored directories: small in everything, so that short histories roll, checkpoint, wrap the journal and run full. */
import type { LogConfig } from '../../src/log/log-config.ts'
import type { LogDirectoryOptions } from '../../src/log/log-directory.ts'
import type { Prng } from '../sim/prng.ts'
import { smallConfig } from '../log/log-fixture.ts'
import type { LogKind } from './model.ts'

/** What one history is played with. */
export interface Settings {
  readonly directory: LogDirectoryOptions
  readonly segmentBytes: number
  /** delete.retention.ms of the compacted log. */
  readonly tombstoneMs: number
  readonly kinds: readonly LogKind[]
  /** Chance of an act that it is a pass of compaction, besides the common one. */
  readonly compactionShare: number
  /** Chance of a history that the disk runs full now and then. */
  readonly isShortOfSpace: boolean
  /** Most bytes that the directory may take but for what is under way; null = no budget. */
  readonly budgetBytes: number | null
}

const kinds: readonly LogKind[] = ['plain', 'retained', 'compacted', 'relaxed', 'large']

export function drawSettings(prng: Prng): Settings {
  const segmentBytes = prng.pick([1800, 3000, 6000])
  const isShortOfSpace = prng.chance(0.25)
  const isOfCompaction = prng.chance(0.3)
  const chosen = kinds.filter((kind) => (isOfCompaction ? kind === 'compacted' || prng.chance(0.15) : prng.chance(0.4)))
  const journalBytesMax = prng.pick([24_576, 40_960, 65_536])
  const budgetBytes = isShortOfSpace && prng.chance(0.5) ? journalBytesMax + 24_000 : null
  const whenFull = prng.pick(['reject', 'drop-oldest'] as const)
  return {
    segmentBytes,
    tombstoneMs: prng.pick([0, 60_000_000]),
    kinds: chosen.length === 0 ? ['plain'] : chosen,
    compactionShare: isOfCompaction ? 0.12 : 0,
    isShortOfSpace,
    budgetBytes,
    directory: {
      dataDir: '/data',
      nodeId: 1,
      config: { ...smallConfig, segmentBytes },
      journalBytesMax,
      journalStepBytes: 12_288,
      checkpointEveryBytes: prng.pick([4_000, 12_000, 1_000_000]),
      // Two logs are many then: one checkpoint brings all to the medium together, as over thousands.
      filesSyncedAlone: prng.fork('checkpoint').chance(0.5) ? 1 : 128,
      // The journal keeps the bytes of one log, or of all, for a while.
      filesWrittenAtOnce: prng.fork('held').pick([0, 0, 1, 1024]),
      heldBytesPerLog: prng.fork('held bytes').pick([2_000, 12_000]),
      heldBytesMax: prng.fork('held most').pick([12_000, 1_000_000]),
      // Few enough that index files of growing segments are written too.
      unfiledIndexEntriesMax: prng.fork('index').pick([6, 655_360]),
      tailCacheBytes: prng.pick([0, 8192]),
      indexCacheBytes: 65_536,
      producerExpirationMs: Number.POSITIVE_INFINITY,
      retentionCheckIntervalMs: 1e12,
      compaction: { backoffMs: 1e12, bytesPerSecond: 1e12, mapBytesMax: prng.pick([600, 1_048_576]) },
      ...(isShortOfSpace
        ? { space: budgetBytes === null ? { whenFull, ballastBytes: 20_000 } : { whenFull, budgetBytes } }
        : {}),
    },
  }
}

export function logConfigOf(kind: LogKind, settings: Settings): LogConfig {
  const base = { ...smallConfig, segmentBytes: settings.segmentBytes, fileDeleteDelayMs: 2000 }
  switch (kind) {
    case 'plain':
      return base
    case 'retained':
      return { ...base, retentionBytes: settings.segmentBytes * 2 }
    case 'compacted':
      return {
        ...base,
        cleanupPolicy: new Set(['compact'] as const),
        minCleanableDirtyRatio: 0,
        deleteRetentionMs: settings.tombstoneMs,
      }
    case 'relaxed':
      return { ...base, flush: 'relaxed' }
    case 'large':
      return { ...base, segmentBytes: 1_000_000 }
  }
}
