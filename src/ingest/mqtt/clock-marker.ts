import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock } from '../../base/ports.ts'

/** Marks what is received while the time is not known. The clock is asked once a millisecond, not once a message. */
export class ClockMarker {
  private readonly clock: Clock
  private readonly bootId: string
  private markedWallMs = -1
  private mark: ClockMark | null = null

  constructor(clock: Clock, bootId: string) {
    this.clock = clock
    this.bootId = bootId
  }

  /** Null while the time is known. */
  at(wallMs: number): ClockMark | null {
    if (wallMs === this.markedWallMs) return this.mark
    this.markedWallMs = wallMs
    this.mark = this.clock.wallTrusted() ? null : { bootId: this.bootId, uptimeMs: this.clock.monotonicMs() }
    return this.mark
  }
}
