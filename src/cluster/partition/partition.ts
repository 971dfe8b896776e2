/**
 * One partition that this node leads: the only place that moves a high watermark, and where everybody waits for it.
 *
 * With one replica the in-sync set is this node itself, so the high watermark follows the durable end of the log (in the relaxed
 * flush class: its log end). Waiters are told in offset order. Followers, and a minimum over their ends, come with replication.
 */
import { ShortQueue } from '../../base/short-queue.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { UnifiedLog } from '../../log/unified-log.ts'

type WaitCallback = (error: KafkaErrorName | null) => void

/** Who waits until an offset of a partition is reached. */
export interface OffsetWaiter {
  readonly endOffset: number
  /** Once; with the reason when it will not be. */
  reached(error: KafkaErrorName | null): void
}

export class Partition {
  readonly topic: string
  readonly index: number
  readonly topicId: string
  readonly log: UnifiedLog
  leaderEpoch: number
  readonly #watermarkWaiters = new WaiterQueue()
  readonly #durableWaiters = new WaiterQueue()
  readonly #listeners = new Set<() => void>()
  #failure: KafkaErrorName | null = null

  constructor(log: UnifiedLog, leaderEpoch: number) {
    this.topic = log.topic
    this.index = log.partition
    this.topicId = log.topicId
    this.log = log
    this.leaderEpoch = leaderEpoch
    log.highWatermark = this.#committedEnd()
    log.onDurable = () => this.#advance()
  }

  get highWatermark(): number {
    return this.log.highWatermark
  }

  get isLeader(): boolean {
    return this.#failure === null
  }

  /** Calls back, maybe at once, when the high watermark is at or above `endOffset`, or with the reason why that will not happen. */
  whenHighWatermark(endOffset: number, callback: WaitCallback): void {
    this.awaitHighWatermark({ endOffset, reached: callback })
  }

  /** The same for whoever is a waiter himself. */
  awaitHighWatermark(waiter: OffsetWaiter): void {
    this.#wait(waiter, this.highWatermark, this.#watermarkWaiters)
  }

  /** The same for what this node's own disk holds (acks=1). */
  awaitDurable(waiter: OffsetWaiter): void {
    this.#wait(waiter, this.#committedEnd(), this.#durableWaiters)
  }

  /** Calls back after the high watermark or the durable end moved; the answer ends it. */
  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Nobody will be answered here any more: deleted, or the directory has failed. */
  fail(error: KafkaErrorName): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#durableWaiters.failAll(error)
    this.#watermarkWaiters.failAll(error)
    for (const listener of [...this.#listeners]) listener()
  }

  #wait(waiter: OffsetWaiter, end: number, waiters: WaiterQueue): void {
    if (end >= waiter.endOffset) waiter.reached(null)
    else if (this.#failure !== null) waiter.reached(this.#failure)
    else waiters.add(waiter)
  }

  #committedEnd(): number {
    return this.log.config.flush === 'relaxed' ? this.log.writtenEndOffset : this.log.durableEndOffset
  }

  #advance(): void {
    const end = this.#committedEnd()
    if (end > this.log.highWatermark) this.log.highWatermark = end
    this.#durableWaiters.release(end)
    this.#watermarkWaiters.release(this.log.highWatermark)
    if (this.#listeners.size > 0) for (const listener of [...this.#listeners]) listener()
  }
}

/** Waiters in offset order; appends come in offset order, so a wait is nearly always put at the end. */
class WaiterQueue {
  readonly #waiters = new ShortQueue<OffsetWaiter>()
  /** What the last of them waits for, while there are any. */
  #lastEndOffset = 0

  add(waiter: OffsetWaiter): void {
    if (this.#waiters.first === null || waiter.endOffset >= this.#lastEndOffset) {
      this.#lastEndOffset = waiter.endOffset
      this.#waiters.push(waiter)
    } else this.#insert(waiter)
  }

  release(endOffset: number): void {
    for (let first = this.#waiters.first; first !== null; first = this.#waiters.first) {
      if (first.endOffset > endOffset) break
      this.#waiters.shift()
      first.reached(null)
    }
  }

  failAll(error: KafkaErrorName): void {
    for (const waiter of this.#waiters.takeAll()) waiter.reached(error)
  }

  /** Before those that wait for more. */
  #insert(waiter: OffsetWaiter): void {
    const waiters = this.#waiters.takeAll()
    const later = waiters.findIndex(({ endOffset }) => endOffset > waiter.endOffset)
    waiters.splice(later, 0, waiter)
    for (const each of waiters) this.#waiters.push(each)
  }
}
