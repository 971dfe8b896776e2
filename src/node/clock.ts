/** The Clock port on Node's timers. */
import type { Clock, Timer } from '../base/ports.ts'
import { WallFloor } from '../base/wall-floor.ts'

/*
 * The kernel's own opinion of its clock (adjtimex) is not asked: it says "unsynchronised" for ever on hosts that run no time daemon and
 * have a good clock.
 */
/** Node's timers count in 31 bits of milliseconds; a longer delay is taken in steps. */
const timerDelayMsMax = 2 ** 31 - 1

interface NodeTimer {
  handle: NodeJS.Timeout | null
}

export class NodeClock implements Clock {
  readonly #floor = new WallFloor()
  readonly #timers = new Set<NodeTimer>()
  #isClosed = false

  wallMs(): number {
    return this.#floor.apply(Date.now(), performance.now())
  }

  monotonicMs(): number {
    return performance.now()
  }

  wallTrusted(): boolean {
    return this.#floor.isPlausible(Date.now(), performance.now())
  }

  raiseWallFloor(wallMs: number): void {
    this.#floor.raise(wallMs, performance.now())
  }

  schedule(delayMs: number, task: () => void): Timer {
    const timer: NodeTimer = { handle: null }
    if (!this.#isClosed) {
      this.#timers.add(timer)
      // Rounded up: a timer must not ring before its time on the monotonic clock.
      this.#arm(timer, Math.max(1, Math.ceil(delayMs)), task)
    }
    return timer as unknown as Timer
  }

  cancel(timer: Timer): void {
    const { handle } = timer as unknown as NodeTimer
    if (handle) clearTimeout(handle)
    this.#timers.delete(timer as unknown as NodeTimer)
  }

  defer(task: () => void): void {
    setImmediate(task)
  }

  /** Cancels what is scheduled, so that the loop can drain; nothing is scheduled any more. */
  close(): void {
    this.#isClosed = true
    for (const timer of this.#timers) if (timer.handle) clearTimeout(timer.handle)
    this.#timers.clear()
  }

  #arm(timer: NodeTimer, delayMs: number, task: () => void): void {
    const stepMs = Math.min(delayMs, timerDelayMsMax)
    timer.handle = setTimeout(() => {
      if (stepMs < delayMs) return this.#arm(timer, delayMs - stepMs, task)
      this.#timers.delete(timer)
      task()
    }, stepMs)
  }
}
