/**
 * The frames of one connection from their first large piece to the end of their request, and the part of the memory of all requests that
 * they have meanwhile: whatever it is that a frame waits for, nobody else gets its memory.
 */
import { ShortQueue } from '../../base/short-queue.ts'
import type { MemoryBudget } from './memory-budget.ts'

/** Less than this waits beside a large frame in any read: nobody is closed for it. */
const blockingBytesMin = 64 * 1024

export class HeldFrames {
  readonly #budget: MemoryBudget
  /** Whole, and not begun; no more than one read holds, and a large one. */
  readonly #waiting = new ShortQueue<Uint8Array>()
  #waitingBytes = 0
  /** Reserved for a large frame that is being received. */
  #assemblingBytes = 0

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  get waitingCount(): number {
    return this.#waiting.length
  }

  /** What others could have if this connection did not hold it; 0: too little to matter. */
  get blockingBytes(): number {
    return this.#assemblingBytes + (this.#waitingBytes < blockingBytesMin ? 0 : this.#waitingBytes)
  }

  /** So much memory in all for the large frame that is being received: a stranger's grows as it comes. False: there is none now. One frame always finds some. */
  reserve(bytes: number): boolean {
    const more = bytes - this.#assemblingBytes
    if (more <= 0) return true
    if (!this.#budget.fits(more) && this.#budget.usedBytes > this.#assemblingBytes) return false
    this.#assemblingBytes = bytes
    this.#budget.add(more)
    return true
  }

  /** A frame is whole. It takes the place of what was reserved. */
  push(frame: Uint8Array): void {
    const reserved = this.#assemblingBytes
    this.#assemblingBytes = 0
    this.#waiting.push(frame)
    this.#waitingBytes += frame.length
    this.#budget.add(frame.length - reserved)
  }

  /**
   * Begins frames in their order while `mayBegin`; each is given back by `release` when it is done with. Memory that comes free on the way may
   * call this again from inside: a frame is gone from here before it begins.
   */
  beginEach(mayBegin: (frame: Uint8Array) => boolean, begin: (frame: Uint8Array) => void): void {
    for (let frame = this.#waiting.first; frame !== null; frame = this.#waiting.first) {
      if (!mayBegin(frame)) break
      this.#waiting.shift()
      this.#waitingBytes -= frame.length
      begin(frame)
    }
  }

  /** Nobody reads this frame any more. */
  release(frame: Uint8Array): void {
    this.#budget.add(-frame.length)
  }

  /** What has not begun will not. */
  drop(): void {
    const bytes = this.#waitingBytes + this.#assemblingBytes
    this.#waiting.takeAll()
    this.#waitingBytes = 0
    this.#assemblingBytes = 0
    if (bytes > 0) this.#budget.add(-bytes)
  }
}
