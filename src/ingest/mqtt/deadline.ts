import type { Clock, Timer } from '../../base/ports.ts'

/** One task that may be due: arming it again replaces what it was armed with. */
export class Deadline {
  private readonly clock: Clock
  private timer: Timer | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  /** Runs `task` in `delayMs`. */
  arm(delayMs: number, task: () => void): void {
    this.disarm()
    this.timer = this.clock.schedule(Math.max(1, delayMs), () => {
      this.timer = null
      task()
    })
  }

  disarm(): void {
    if (this.timer !== null) this.clock.cancel(this.timer)
    this.timer = null
  }
}
