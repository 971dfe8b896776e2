import type { Clock } from '../../base/ports.ts'

/** Keeps what clients provoke from flooding the event log: so many events a window, the rest is only counted by the metrics. */
export class EventBudget {
  private readonly clock: Clock
  private readonly eventsMax: number
  private readonly windowMs: number
  private windowStartMs = Number.NEGATIVE_INFINITY
  private taken = 0

  constructor(clock: Clock, eventsMax = 20, windowMs = 10_000) {
    this.clock = clock
    this.eventsMax = eventsMax
    this.windowMs = windowMs
  }

  /** True when one more event may be reported. */
  take(): boolean {
    const nowMs = this.clock.monotonicMs()
    if (nowMs - this.windowStartMs >= this.windowMs) {
      this.windowStartMs = nowMs
      this.taken = 0
    }
    this.taken += 1
    return this.taken <= this.eventsMax
  }
}
