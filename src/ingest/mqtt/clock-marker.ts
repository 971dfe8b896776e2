import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock } from '../../base/ports.ts'
import type { MarkedTimes } from './record-headers.ts'

/** Where the wall clock stood against the uptime, from an uptime on. */
interface Standing {
  readonly uptimeMs: number
  readonly offsetMs: number
}

/** A clock that is not believed is moved seldom: by the floor of wall time, or by hand. */
const standingsMax = 16
const sameStandingMs = 1000

/**
 * Marks what is received while the time is not known, and tells later by how much the clock has been moved since. The clock is asked once a
 * millisecond, not once a message.
 */
export class ClockMarker implements MarkedTimes {
  private readonly clock: Clock
  private readonly bootId: string
  private markedWallMs = -1
  private mark: ClockMark | null = null
  private readonly standings: Standing[] = []

  constructor(clock: Clock, bootId: string) {
    this.clock = clock
    this.bootId = bootId
  }

  /** Null while the time is known. */
  at(wallMs: number): ClockMark | null {
    if (wallMs === this.markedWallMs) return this.mark
    this.markedWallMs = wallMs
    this.mark = this.clock.wallTrusted() ? null : this.newMark(wallMs)
    return this.mark
  }

  private newMark(wallMs: number): ClockMark {
    const uptimeMs = Math.floor(this.clock.monotonicMs())
    const offsetMs = wallMs - uptimeMs
    const last = this.standings.at(-1)
    if (last === undefined || Math.abs(last.offsetMs - offsetMs) > sameStandingMs) {
      this.standings.push({ uptimeMs, offsetMs })
      if (this.standings.length > standingsMax) this.standings.shift()
    }
    return { bootId: this.bootId, uptimeMs }
  }

  shiftMs({ bootId, uptimeMs }: ClockMark): number {
    if (bootId !== this.bootId) return 0
    const then = this.standings.findLast((each) => each.uptimeMs <= uptimeMs)
    return then === undefined ? 0 : this.clock.wallMs() - this.clock.monotonicMs() - then.offsetMs
  }
}
