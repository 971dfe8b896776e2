/**
 * Who waits for an offset, soonest first; those that wait for the same one in the order in which they came.
 *
 * Bound: a waiter belongs to a request or to a batch of messages that a door has begun, and the doors bound those.
 */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'

/** Called once: null when the offset has been reached, or the reason why it cannot be any more. */
export type OffsetWaiter = (error: KafkaErrorName | null) => void

/** Released places at the front are given back when there are this many. */
const compactAt = 1024

export class OffsetWaiters {
  #offsets: number[] = []
  #waiters: OffsetWaiter[] = []
  #head = 0

  get size(): number {
    return this.#offsets.length - this.#head
  }

  /** Nearly always the newest waits for the largest offset; only the answer to a duplicate waits for an older one. */
  add(endOffset: number, waiter: OffsetWaiter): void {
    const offsets = this.#offsets
    let at = offsets.length
    while (at > this.#head && (offsets[at - 1] as number) > endOffset) at--
    if (at === offsets.length) {
      offsets.push(endOffset)
      this.#waiters.push(waiter)
      return
    }
    offsets.splice(at, 0, endOffset)
    this.#waiters.splice(at, 0, waiter)
  }

  /** Calls everyone who waits for `reachedOffset` or less. A waiter may add others. */
  release(reachedOffset: number): void {
    while (this.#head < this.#offsets.length && (this.#offsets[this.#head] as number) <= reachedOffset) {
      this.#take()(null)
    }
  }

  /** Calls everyone with the error. */
  fail(error: KafkaErrorName): void {
    while (this.#head < this.#offsets.length) this.#take()(error)
  }

  #take(): OffsetWaiter {
    const waiter = this.#waiters[this.#head] as OffsetWaiter
    this.#waiters[this.#head] = spent
    this.#head++
    if (this.#head === this.#offsets.length) {
      this.#offsets = []
      this.#waiters = []
      this.#head = 0
    } else if (this.#head >= compactAt && this.#head * 2 >= this.#offsets.length) {
      this.#offsets = this.#offsets.slice(this.#head)
      this.#waiters = this.#waiters.slice(this.#head)
      this.#head = 0
    }
    return waiter
  }
}

function spent(): void {}
