/**
 * One partition as its leader sees it: the only place that moves a high watermark (architecture law 3).
 *
 * This node is the only replica, so the in-sync set is itself: the high watermark follows the durable end of its log, or, where
 * the flush class is relaxed, the end of what the file holds.
 */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { UnifiedLog } from '../../log/unified-log.ts'
import { type OffsetWaiter, OffsetWaiters } from './offset-waiters.ts'

export interface PartitionFacts {
  readonly log: UnifiedLog
  readonly leaderEpoch: number
}

export class Partition {
  readonly topic: string
  readonly index: number
  readonly topicId: string
  readonly log: UnifiedLog
  #leaderEpoch: number
  #error: KafkaErrorName | null = null
  readonly #highWatermarkWaiters = new OffsetWaiters()
  readonly #durableWaiters = new OffsetWaiters()
  readonly #listeners = new Set<() => void>()

  constructor({ log, leaderEpoch }: PartitionFacts) {
    this.topic = log.topic
    this.index = log.partition
    this.topicId = log.topicId
    this.log = log
    this.#leaderEpoch = leaderEpoch
    log.assignLeaderEpoch(leaderEpoch, log.logEndOffset)
    log.highWatermark = Math.max(log.highWatermark, this.#safeEndOffset)
    log.onDurable = () => this.#advance()
  }

  get leaderEpoch(): number {
    return this.#leaderEpoch
  }

  /** First offset that no reader may see yet. */
  get highWatermark(): number {
    return this.log.highWatermark
  }

  /** False once the topic has been deleted or the disk has failed: nothing is appended or promised any more. */
  get isLeader(): boolean {
    return this.#error === null
  }

  /** Why nothing is appended any more; null = all is well. */
  get error(): KafkaErrorName | null {
    return this.#error
  }

  /** Waiters that have not been called. */
  get waiterCount(): number {
    return this.#highWatermarkWaiters.size + this.#durableWaiters.size
  }

  /**
   * Calls back when the high watermark has reached `endOffset` (perhaps at once), or with the error when it cannot any more: the
   * topic deleted, the disk failed, another leader epoch begun.
   */
  whenHighWatermark(endOffset: number, callback: OffsetWaiter): void {
    this.#wait(this.#highWatermarkWaiters, this.log.highWatermark, endOffset, callback)
  }

  /** The same for the durable end of the leader's own log (where the flush class is relaxed: the end of its file). */
  whenDurable(endOffset: number, callback: OffsetWaiter): void {
    this.#wait(this.#durableWaiters, this.#safeEndOffset, endOffset, callback)
  }

  /**
   * Calls back whenever the high watermark or the durable end has moved, and when the partition stops being led; the answer
   * ends it. All partitions of one commit are durable before the first of them calls, but their high watermarks move one by one.
   */
  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** A new epoch of this leader: who waits for an offset of the old one is told so. */
  raiseLeaderEpoch(leaderEpoch: number): void {
    if (leaderEpoch <= this.#leaderEpoch) return
    this.#leaderEpoch = leaderEpoch
    this.log.assignLeaderEpoch(leaderEpoch, this.log.logEndOffset)
    this.#failWaiters('NOT_LEADER_OR_FOLLOWER')
  }

  /** The partition is gone, or cannot be written any more. The first reason stays. */
  fail(error: KafkaErrorName): void {
    if (this.#error !== null) return
    this.#error = error
    this.#failWaiters(error)
    this.#notify()
  }

  get #safeEndOffset(): number {
    const { log } = this
    return log.config.flush === 'relaxed' ? Math.max(log.writtenEndOffset, log.durableEndOffset) : log.durableEndOffset
  }

  #wait(waiters: OffsetWaiters, reachedOffset: number, endOffset: number, callback: OffsetWaiter): void {
    if (reachedOffset >= endOffset) callback(null)
    else if (this.#error !== null) callback(this.#error)
    else waiters.add(endOffset, callback)
  }

  #advance(): void {
    if (this.#error !== null) return
    const endOffset = this.#safeEndOffset
    if (endOffset > this.log.highWatermark) this.log.highWatermark = endOffset
    this.#durableWaiters.release(endOffset)
    this.#highWatermarkWaiters.release(this.log.highWatermark)
    this.#notify()
  }

  #notify(): void {
    for (const listener of this.#listeners) listener()
  }

  #failWaiters(error: KafkaErrorName): void {
    this.#durableWaiters.fail(error)
    this.#highWatermarkWaiters.fail(error)
  }
}
