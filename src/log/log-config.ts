/** The settings of one log: Kafka's topic configs that the log engine acts on, parsed. */

import type { CompressionCodec } from '../base/ports.ts'

/** `commit`: acknowledged after the flush. `relaxed`: acknowledged from the page cache, flushed about once a second. */
export type FlushClass = 'commit' | 'relaxed'
export type CleanupPolicy = 'delete' | 'compact'

export interface LogConfig {
  /** segment.bytes */
  readonly segmentBytes: number
  /** segment.ms, against the timestamp of the segment's first batch. */
  readonly segmentMs: number
  /** segment.jitter.ms: a segment is closed up to so much earlier, by chance. */
  readonly segmentJitterMs: number
  /** segment.index.bytes: most bytes of an offset index; a full index rolls the segment. */
  readonly segmentIndexBytes: number
  /** index.interval.bytes */
  readonly indexIntervalBytes: number
  /** retention.ms; -1 = for ever. */
  readonly retentionMs: number
  /** retention.bytes; -1 = unlimited. */
  readonly retentionBytes: number
  /** max.message.bytes: most bytes of one batch. */
  readonly maxMessageBytes: number
  /** message.timestamp.type */
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  /** message.timestamp.before.max.ms */
  readonly timestampBeforeMaxMs: number
  /** message.timestamp.after.max.ms */
  readonly timestampAfterMaxMs: number
  /** file.delete.delay.ms */
  readonly fileDeleteDelayMs: number
  /** delete.retention.ms: how long a tombstone stays behind the pass that met it first. */
  readonly deleteRetentionMs: number
  /** min.cleanable.dirty.ratio: share of a log's bytes that must not be compacted yet before a pass begins. */
  readonly minCleanableDirtyRatio: number
  /** min.compaction.lag.ms: younger records are left alone. */
  readonly minCompactionLagMs: number
  /** max.compaction.lag.ms: older ones are compacted whatever the ratio. */
  readonly maxCompactionLagMs: number
  /** cleanup.policy; empty = segments are kept for ever. */
  readonly cleanupPolicy: ReadonlySet<CleanupPolicy>
  /** compression.type; `none` is Kafka's `uncompressed`. */
  readonly compressionType: CompressionCodec | 'producer'
  /** compression.gzip.level and compression.zstd.level; lz4 and snappy have one level here. */
  readonly compressionLevels: { readonly gzip: number; readonly zstd: number }
  /** preallocate: the blocks of a segment are taken when it begins. */
  readonly preallocate: boolean
  readonly flush: FlushClass
}

/** Apache Kafka's defaults (4.1). */
export const defaultLogConfig: LogConfig = {
  segmentBytes: 1_073_741_824,
  segmentMs: 604_800_000,
  segmentJitterMs: 0,
  segmentIndexBytes: 10_485_760,
  indexIntervalBytes: 4096,
  retentionMs: 604_800_000,
  retentionBytes: -1,
  maxMessageBytes: 1_048_588,
  timestampType: 'CreateTime',
  timestampBeforeMaxMs: Number.POSITIVE_INFINITY,
  timestampAfterMaxMs: 3_600_000,
  fileDeleteDelayMs: 60_000,
  deleteRetentionMs: 86_400_000,
  minCleanableDirtyRatio: 0.5,
  minCompactionLagMs: 0,
  maxCompactionLagMs: Number.POSITIVE_INFINITY,
  cleanupPolicy: new Set<CleanupPolicy>(['delete']),
  compressionType: 'producer',
  compressionLevels: { gzip: -1, zstd: 3 },
  preallocate: false,
  flush: 'commit',
}

/** Until a topic says what becomes of its log nothing of it is given up: it may be one that is kept for ever, or of another cluster. */
export const unclaimedLogConfig: LogConfig = { ...defaultLogConfig, cleanupPolicy: new Set<CleanupPolicy>() }
