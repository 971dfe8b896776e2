/**
 * One partition that this node leads: the only place that moves a high watermark, and where everybody waits for it.
 *
 * With one replica the in-sync set is this node itself, so the high watermark follows the durable end of the log (in the relaxed
 * flush class: its log end). Waiters are told in offset order. Followers, and a minimum over their ends, come with replication.
 */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { UnifiedLog } from '../../log/unified-log.ts'

export type WaitCallback = (error: KafkaErrorName | null) => void

interface Waiter {
  readonly endOffset: number
  readonly callback: WaitCallback
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
    if (this.highWatermark >= endOffset) callback(null)
    else if (this.#failure !== null) callback(this.#failure)
    else this.#watermarkWaiters.add({ endOffset, callback })
  }

  /** The same for what this node's own disk holds (acks=1). */
  whenDurable(endOffset: number, callback: WaitCallback): void {
    if (this.#committedEnd() >= endOffset) callback(null)
    else if (this.#failure !== null) callback(this.#failure)
    else this.#durableWaiters.add({ endOffset, callback })
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
  #waiters: Waiter[] = []
  #first = 0

  add(waiter: Waiter): void {
    let at = this.#waiters.length
    while (at > this.#first && (this.#waiters[at - 1] as Waiter).endOffset > waiter.endOffset) at--
    if (at === this.#waiters.length) this.#waiters.push(waiter)
    else this.#waiters.splice(at, 0, waiter)
  }

  release(endOffset: number): void {
    if (this.#waiters.length === 0) return
    while (this.#first < this.#waiters.length) {
      const waiter = this.#waiters[this.#first] as Waiter
      if (waiter.endOffset > endOffset) break
      this.#first++
      waiter.callback(null)
    }
    if (this.#first === this.#waiters.length || this.#first > 1024) {
      this.#waiters = this.#waiters.slice(this.#first)
      this.#first = 0
    }
  }

  failAll(error: KafkaErrorName): void {
    const waiters = this.#waiters.slice(this.#first)
    this.#waiters = []
    this.#first = 0
    for (const { callback } of waiters) callback(error)
  }
}
