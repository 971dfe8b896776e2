import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock } from '../../base/ports.ts'

/** Marks what is received while the time is not known. The clock is asked once a millisecond, not once a message. */
export class ClockMarks {
  private readonly clock: Clock
  private readonly bootId: string
  private markedWallMs = -1
  private mark: ClockMark | null = null

  constructor(clock: Clock, bootId: string) {
    this.clock = clock
    this.bootId = bootId
  }

  /** The mark of what is received at this wall time; null = none is needed. */
  at(wallMs: number): ClockMark | null {
    if (wallMs === this.markedWallMs) return this.mark
    const { clock, bootId } = this
    this.markedWallMs = wallMs
    this.mark = clock.wallTrusted() ? null : { bootId, uptimeMs: clock.monotonicMs() }
    return this.mark
  }
}
