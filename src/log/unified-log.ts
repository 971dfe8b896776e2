/**
 * One replica's log: its segments, its four offsets, its producers and epochs. The state and the simple questions live here;
 * appending is in `log-append.ts`, reading in `log-reader.ts`, opening in `log-loader.ts`.
 */
import { topicPartitionKey, uuidFromString } from '../base/ids.ts'
import { batchTimestampType } from '../protocol/records/record-batch.ts'
import type { LogReadRequest, LogReadResult, TimestampOffset } from './append.ts'
import { DamageMap } from './damage.ts'
import { LeaderEpochCache } from './leader-epoch-cache.ts'
import type { LogConfig } from './log-config.ts'
import { readCold, readHot, type ReaderParts } from './log-reader.ts'
import { findMaxTimestamp, findTimestamp } from './log-times.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { ProducerState } from './producer-state.ts'
import type { ChainPoint } from './segment-digest.ts'
import type { Segment } from './segment.ts'
import { LogTail } from './tail-cache.ts'

/** A producer as DescribeProducers shows it. */
export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  readonly lastSequence: number
  readonly lastTimestampMs: number
  readonly coordinatorEpoch: number
  /** -1: no open transaction. */
  readonly currentTransactionStartOffset: number
}

/** What a log needs of the directory that holds it. */
export interface LogHome extends ReaderParts {
  deleteRecordsBefore(log: UnifiedLog, offset: number): Promise<number>
}

export interface LogIdentity {
  readonly topic: string
  readonly partition: number
  /** Base64url; all zero when `partition.metadata` was lost. */
  readonly topicId: string
  /** Folder of the log, absolute. */
  readonly directory: string
}

export class UnifiedLog {
  readonly topic: string
  readonly partition: number
  readonly directory: string
  /** `topic-partition` */
  readonly key: string
  readonly producers = new ProducerState()
  readonly epochs = new LeaderEpochCache()
  readonly tail = new LogTail(() => this.writtenEndOffset)
  /** In offset order, never empty once loaded; the last one is active. Changed by the log engine only. */
  segments: Segment[] = []
  logStartOffset = 0
  /** Next offset to be given. */
  logEndOffset = 0
  /** End of what the file has, or the journal holds for it (`held-reads`). */
  writtenEndOffset = 0
  /** End of what survives a power cut: the log end of the last completed group commit. */
  durableEndOffset = 0
  /** Moved by cluster/partition only. */
  highWatermark = 0
  /** Everything below is in synced files: recovery scans from here on. */
  recoveryPoint = 0
  /** Producer state at the recovery point, as in a `.snapshot` file. */
  recoverySnapshot: Uint8Array = encodeSnapshot(this.producers)
  /** The headers of the active segment up to the recovery point. */
  recoveryChain: ChainPoint | null = null
  /** The first segment's base offset as our copy of the recovery points has it, durably; -1 = not known. */
  filedFirstOffset = -1
  /** An emptied `.deleted` file that tells a start why the log begins where it does, until our copy says so. */
  deletedFile: { readonly path: string; readonly baseOffset: number } | null = null
  /** Base offsets of segments that were not there when the log was opened, while an index of theirs was. */
  lostBases: readonly number[] = []
  /** Called after `durableEndOffset` (or, relaxed, `writtenEndOffset`) moved, when it has moved for all logs of the commit. */
  onDurable: (() => void) | null = null
  /** Answers the offset from which on retention leaves what is there, for readers that have not had it; null = it need not ask. */
  keptFrom: (() => Promise<number>) | null = null
  /** Bytes that retention has left for them, as of its last pass. */
  keptBytes = 0
  /** What cannot be read of it. */
  readonly damage = new DamageMap()
  /** Offsets may be missing: compaction has been here, or a crash has cut a deletion of segments short. */
  mayHaveGaps = false
  /** The epochs are not merely derived from what the batches say: a batch that says otherwise is wrong. */
  epochsAreKnown = true
  isDeleted = false
  /** What its small files take, as of the last look at them. */
  asideBytes = 0
  /** Blocks for the active segment could not be taken, and that was told. */
  isUnreserved = false
  /** Offsets of the producer snapshots on disk, rising. */
  snapshotOffsets: number[] = []
  /** Number of the set that appended last; see log-append.ts. */
  lastSet = 0
  #topicId: string
  #topicIdBytes: Uint8Array
  #config: LogConfig
  readonly #home: LogHome

  constructor(identity: LogIdentity, config: LogConfig, home: LogHome) {
    this.topic = identity.topic
    this.partition = identity.partition
    this.directory = identity.directory
    this.key = topicPartitionKey(identity.topic, identity.partition)
    this.#topicId = identity.topicId
    this.#topicIdBytes = uuidFromString(identity.topicId)
    this.#config = config
    this.#home = home
  }

  /** It goes out of service. */
  leave(): void {
    this.isDeleted = true
    this.tail.disown()
  }

  get topicId(): string {
    return this.#topicId
  }

  get topicIdBytes(): Uint8Array {
    return this.#topicIdBytes
  }

  get config(): LogConfig {
    return this.#config
  }

  /** The next append, roll and retention pass go by it. */
  updateConfig(config: LogConfig): void {
    this.#config = config
  }

  /** Gives a log whose `partition.metadata` was lost its topic id back. Used by the directory only. */
  adoptTopicId(topicId: string): void {
    this.#topicId = topicId
    this.#topicIdBytes = uuidFromString(topicId)
  }

  /** May offsets be missing without anything being wrong? */
  get gapsAreNormal(): boolean {
    return this.mayHaveGaps || this.#config.cleanupPolicy.has('compact')
  }

  /** Does the file have every epoch that began below the recovery point? */
  get hasFiledEpochs(): boolean {
    return this.epochs.isFiledBelow(this.recoveryPoint)
  }

  /** The leader epoch that the batch at an offset must have; -1 = any. */
  dueEpochAt(offset: number): number {
    return this.epochsAreKnown ? this.epochs.epochAt(offset) : -1
  }

  get activeSegment(): Segment {
    return this.segments.at(-1) as Segment
  }

  get segmentCount(): number {
    return this.segments.length
  }

  get sizeInBytes(): number {
    let bytes = 0
    for (const segment of this.segments) bytes += segment.sizeInBytes
    return bytes
  }

  /** Greatest timestamp seen in the segments looked at so far; -1 when none. */
  get maxTimestampMs(): number {
    let max = -1
    for (const segment of this.segments) max = Math.max(max, segment.maxTimestampMs)
    return max
  }

  /** First offset that a read_committed reader may not see yet. */
  get lastStableOffset(): number {
    const unstable = this.producers.firstUnstableOffset(this.highWatermark)
    return unstable === null ? this.highWatermark : Math.min(unstable, this.highWatermark)
  }

  /** -1 when no epoch is known. */
  get latestLeaderEpoch(): number {
    return this.epochs.latestEpoch
  }

  /** The answer to OffsetForLeaderEpoch; epoch -1 and offset -1 when unknown. */
  endOffsetForEpoch(epoch: number): { readonly epoch: number; readonly endOffset: number } {
    return this.epochs.endOffsetForEpoch(epoch, this.logEndOffset)
  }

  /** A leader of `epoch` begins to write at `startOffset`. */
  assignLeaderEpoch(epoch: number, startOffset: number): void {
    this.epochs.assign(epoch, startOffset)
  }

  /** Whole batches from memory, or null when they have to come from the disk: then `read`. */
  readHot(request: LogReadRequest): LogReadResult | null {
    return readHot(this, request, this.#home)
  }

  /** Whole batches. Rejects with a DiskError when the disk cannot read them. */
  read(request: LogReadRequest): Promise<LogReadResult> {
    return readCold(this, request, this.#home)
  }

  /** The first record whose timestamp is at or above the asked one, below `durableEndOffset`; null when there is none. */
  offsetForTimestamp(timestampMs: number): Promise<TimestampOffset | null> {
    return findTimestamp(this, timestampMs, this.#home)
  }

  /** The record with the greatest timestamp, the first of those; null for an empty log. */
  offsetOfMaxTimestamp(): Promise<TimestampOffset | null> {
    return findMaxTimestamp(this, this.#home)
  }

  /** DeleteRecords: answers the new log start offset, durable. `offset` is at most the high watermark; below the start changes nothing. */
  deleteRecordsBefore(offset: number): Promise<number> {
    return this.#home.deleteRecordsBefore(this, offset)
  }

  /** What DescribeProducers tells. */
  activeProducers(): readonly ActiveProducer[] {
    return [...this.producers.entries()].map((entry) => ({
      producerId: entry.producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.batches.at(-1)?.lastSequence ?? -1,
      lastTimestampMs: entry.lastTimestampMs,
      coordinatorEpoch: entry.coordinatorEpoch,
      currentTransactionStartOffset: entry.transactionFirstOffset,
    }))
  }

  /** Index of the segment that holds `offset` or would: the last one that does not begin above it. */
  segmentIndexOf(offset: number): number {
    let low = 0
    let high = this.segments.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if ((this.segments[middle] as Segment).baseOffset <= offset) low = middle + 1
      else high = middle - 1
    }
    return Math.max(high, 0)
  }
}

/** The time that stands in an append's answer for a batch with LogAppendTime; -1 for CreateTime. */
export function appendTimeOf(batch: Uint8Array, maxTimestampMs: number): number {
  return batchTimestampType(batch) === 'LogAppendTime' ? maxTimestampMs : -1
}
