/**
 * The append itself: validates a set, gives offsets, patches the bytes, keeps the books, queues the commit. All in one turn; a
 * set is refused whole or appended whole.
 */
import type { Clock, Entropy, Observer } from '../base/ports.ts'
import {
  batchLastOffset,
  batchLastOffsetDelta,
  batchMaxTimestamp,
  batchProducerId,
  none,
  setBatchBaseOffset,
  setBatchLogAppendTime,
  setBatchPartitionLeaderEpoch,
  updateBatchCrc,
} from '../protocol/records/record-batch.ts'
import type { AppendEntry, AppendOutcome, AppendRefused } from './append.ts'
import { type ValidationContext, validateBatch } from './append-validator.ts'
import type { CommitDriver } from './commit-driver.ts'
import { frameBytesMax } from './journal-frame.ts'
import { logMetrics } from './log-metrics.ts'
import type { ProducerCheck } from './producer-state.ts'
import { relativeOffsetMax, Segment } from './segment.ts'
import type { TailCache } from './tail-cache.ts'
import { appendTimeOf, type UnifiedLog } from './unified-log.ts'

export interface AppendParts {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly observer: Observer
  readonly driver: CommitDriver
  readonly tails: TailCache
  /** The log has begun a new segment: `sealed` is to be finished off. */
  onRoll(log: UnifiedLog, sealed: Segment): void
}

/** When batches are appended, and whether that is believed. */
type AppendTime = Pick<ValidationContext, 'nowMs' | 'clockTrusted'>

function timeOf(clock: Clock): AppendTime {
  return { nowMs: clock.wallMs(), clockTrusted: clock.wallTrusted() }
}

/** Appends a set: all of it or nothing. */
export function appendSet(entries: readonly AppendEntry[], parts: AppendParts): readonly AppendOutcome[] {
  if (entries.length === 1) return appendEach(entries, parts)
  const now = timeOf(parts.clock)
  const set = parts.driver.nextSet()
  const duplicates = new Array<AppendOutcome | null>(entries.length).fill(null)
  let bytes = 0
  for (let index = 0; index < entries.length; index++) {
    const entry = entries[index] as AppendEntry
    const found = examine(entry, set, now)
    if (found?.kind === 'refused') return refuseSet(entries, index, found)
    duplicates[index] = found
    if (found === null) bytes += entry.batch.length
  }
  if (bytes > frameBytesMax / 2) {
    const message = `a set of ${bytes} bytes is larger than the ${frameBytesMax / 2} that are committed at once`
    return refuseSet(entries, 0, { kind: 'refused', error: 'RECORD_LIST_TOO_LARGE', message })
  }
  const outcomes: AppendOutcome[] = []
  for (let index = 0; index < entries.length; index++) {
    outcomes.push(duplicates[index] ?? append(entries[index] as AppendEntry, set, now.nowMs, parts))
  }
  parts.observer.add(logMetrics.appendedBatches, duplicates.filter((duplicate) => duplicate === null).length)
  parts.observer.add(logMetrics.appendedBytes, bytes)
  parts.driver.kick()
  return outcomes
}

/** The common case: sets of one, in order; each is appended or refused for itself. */
export function appendEach(entries: readonly AppendEntry[], parts: AppendParts): readonly AppendOutcome[] {
  const now = timeOf(parts.clock)
  const outcomes: AppendOutcome[] = []
  let batches = 0
  let bytes = 0
  for (const entry of entries) {
    const set = parts.driver.nextSet()
    const found = examine(entry, set, now)
    if (found === null) {
      batches++
      bytes += entry.batch.length
    }
    outcomes.push(found ?? append(entry, set, now.nowMs, parts))
  }
  if (batches === 0) return outcomes
  parts.observer.add(logMetrics.appendedBatches, batches)
  parts.observer.add(logMetrics.appendedBytes, bytes)
  parts.driver.kick()
  return outcomes
}

/** Null when the entry may be appended; else the duplicate's answer or the refusal. Changes nothing but a wrong max timestamp. */
function examine(entry: AppendEntry, set: number, now: AppendTime): AppendOutcome | null {
  const { log, batch, origin } = entry
  const { nowMs, clockTrusted } = now
  const context = { config: log.config, origin, nowMs, clockTrusted, recordsChecked: entry.recordsChecked === true }
  if (log.isDeleted) return refused('UNKNOWN_TOPIC_OR_PARTITION', `${log.key} has been deleted`)
  const refusal = validateBatch(batch, context)
  if (refusal !== null) return { kind: 'refused', ...refusal }
  if (entry.leaderEpoch < log.latestLeaderEpoch) {
    return refused('NOT_LEADER_OR_FOLLOWER', `leader epoch ${entry.leaderEpoch} is older than ${log.latestLeaderEpoch}`)
  }
  const isSequenced = batchProducerId(batch) !== none
  // The check below looks at the state before the set: a second sequenced batch of a set for one log would not see the first.
  if (isSequenced && log.lastSet === set)
    return refused('INVALID_RECORD', 'two batches with a producer id for one log in one set')
  log.lastSet = set
  if (!isSequenced) return null
  return answerOf(log.producers.check(batch, origin === 'client'), log, batch)
}

function answerOf(check: ProducerCheck, log: UnifiedLog, batch: Uint8Array): AppendOutcome | null {
  if (check.kind === 'ok') return null
  if (check.kind === 'refused') return check
  const isAppendTime = log.config.timestampType === 'LogAppendTime'
  return {
    kind: 'duplicate',
    baseOffset: check.baseOffset,
    lastOffset: check.lastOffset,
    logAppendTimeMs: isAppendTime ? check.timestampMs : appendTimeOf(batch, check.timestampMs),
    logStartOffset: log.logStartOffset,
  }
}

function refused(error: AppendRefused['error'], message: string): AppendRefused {
  return { kind: 'refused', error, message }
}

const notAttempted = refused('OPERATION_NOT_ATTEMPTED', 'another batch of the set was refused')

function refuseSet(entries: readonly AppendEntry[], culprit: number, refusal: AppendRefused): readonly AppendOutcome[] {
  return entries.map((_, index) => (index === culprit ? refusal : notAttempted))
}

function append(entry: AppendEntry, set: number, nowMs: number, parts: AppendParts): AppendOutcome {
  const { log, batch, leaderEpoch } = entry
  const baseOffset = log.logEndOffset
  setBatchBaseOffset(batch, 0, baseOffset)
  setBatchPartitionLeaderEpoch(batch, 0, leaderEpoch)
  const isAppendTime = log.config.timestampType === 'LogAppendTime'
  if (isAppendTime) {
    setBatchLogAppendTime(batch, 0, nowMs)
    updateBatchCrc(batch)
  }
  const lastOffset = baseOffset + batchLastOffsetDelta(batch)
  if (shouldRoll(log, batch, nowMs, parts)) roll(log, nowMs, parts)
  if (leaderEpoch > log.latestLeaderEpoch) log.epochs.assign(leaderEpoch, baseOffset)
  const segment = log.activeSegment
  const position = segment.addBatch(batch, 0, log.config.indexIntervalBytes)
  log.logEndOffset = lastOffset + 1
  if (batchProducerId(batch) !== none) log.producers.update(batch)
  const bytes = parts.tails.add(log.tail, batch)
  parts.driver.enqueue({ log, segment, position, bytes, endOffset: lastOffset + 1, set })
  return {
    kind: 'appended',
    baseOffset,
    lastOffset,
    logAppendTimeMs: isAppendTime ? nowMs : -1,
    logStartOffset: log.logStartOffset,
  }
}

/** Kafka's reasons to begin a new segment: size, age of its first record, a full index, an offset too far from the base. */
function shouldRoll(log: UnifiedLog, batch: Uint8Array, nowMs: number, parts: AppendParts): boolean {
  const { config, activeSegment: segment } = log
  if (segment.sizeInBytes === 0) return false
  if (segment.sizeInBytes + batch.length > config.segmentBytes) return true
  if (segment.isIndexFull(config.segmentIndexBytes)) return true
  if (batchLastOffset(batch) - segment.baseOffset > relativeOffsetMax) return true
  const waitedMs =
    segment.firstTimestampMs >= 0 ? batchMaxTimestamp(batch) - segment.firstTimestampMs : nowMs - segment.createdMs
  // A record in the active segment cannot be compacted (KIP-354).
  const isCompacted = config.cleanupPolicy.has('compact') && config.maxCompactionLagMs > 0
  const ageMs = isCompacted ? Math.min(config.segmentMs, config.maxCompactionLagMs) : config.segmentMs
  return waitedMs > ageMs - jitterMs(log, ageMs, parts)
}

/** By how much the active segment is closed before its age; drawn once a segment. */
function jitterMs({ config, activeSegment: segment }: UnifiedLog, ageMs: number, { entropy }: AppendParts): number {
  if (config.segmentJitterMs === 0) return 0
  segment.jitterShare ??= entropy.uint32() / 2 ** 32
  return Math.floor(segment.jitterShare * Math.min(config.segmentJitterMs, ageMs))
}

/** Ends the active segment and begins one at the log's end. Its file is created by the commit that first writes to it. */
export function roll(log: UnifiedLog, nowMs: number, parts: Pick<AppendParts, 'onRoll'>): void {
  const sealed = log.activeSegment
  sealed.sealTimeIndex()
  const next = new Segment(log.directory, log.logEndOffset, nowMs)
  next.isOnDisk = false
  log.segments.push(next)
  parts.onRoll(log, sealed)
}
