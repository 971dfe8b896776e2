/**
 * Wall time that never runs behind what we have already written down, and does not follow a clock that leaps ahead of it.
 *
 * A small box boots with a clock of years ago until the network has told it the time. The newest durable stamp of our own is
 * a floor: wall time reads at least that stamp plus the monotonic time since it was raised. A host that says it is years
 * later than that has a broken clock more likely than that time behind it: it is not believed, or one bad reading would expire
 * everything that is stored, and its stamps would hold the wall time up there for ever.
 */

/**
 * A host that says it is earlier than this has not been told the time: a board without a battery starts in 1970 or at the date of its
 * firmware. Raised with a release now and then.
 */
export const earliestTrustedWallMs = 1_735_689_600_000
/**
 * How far the host may be ahead of what we know before it is not believed. A node that ran for long and stamped nothing, or lay in a
 * drawer, must be believed when it is started again; clocks that break are off by more (a GPS week rollover: 19.7 years).
 */
export const aheadMsMax = 5 * 366 * 86_400_000

export class WallFloor {
  #wallMs = Number.NEGATIVE_INFINITY
  #monotonicMs = 0
  /** The last reading that was believed, and when. */
  #seenWallMs = Number.NEGATIVE_INFINITY
  #seenMonotonicMs = 0

  /** Remembers a durable stamp; a stamp below the present floor changes nothing. */
  raise(wallMs: number, monotonicMs: number): void {
    if (wallMs <= this.#floorAt(monotonicMs)) return
    this.#wallMs = wallMs
    this.#monotonicMs = monotonicMs
    // What was read before the stamp was known may have been of the leap that the stamp gives away.
    if (wallMs >= earliestTrustedWallMs && this.#seenAt(monotonicMs) > wallMs + aheadMsMax)
      this.#seenWallMs = Number.NEGATIVE_INFINITY
  }

  /** The host's wall time; where that is not believed or earlier, what we know. Whole milliseconds. */
  apply(hostWallMs: number, monotonicMs: number): number {
    const floorMs = this.#floorAt(monotonicMs)
    if (!this.isPlausible(hostWallMs, monotonicMs))
      return Math.floor(Math.max(floorMs, this.#seenAt(monotonicMs), Math.min(hostWallMs, earliestTrustedWallMs)))
    this.#seenWallMs = hostWallMs
    this.#seenMonotonicMs = monotonicMs
    return Math.floor(Math.max(hostWallMs, floorMs))
  }

  /** Can the host's wall time be right: neither before our own time nor years ahead of what we know? */
  isPlausible(hostWallMs: number, monotonicMs: number): boolean {
    if (hostWallMs < earliestTrustedWallMs) return false
    const knownMs = Math.max(this.#floorAt(monotonicMs), this.#seenAt(monotonicMs))
    // What was stamped before the time was known says nothing about it.
    return knownMs < earliestTrustedWallMs || hostWallMs <= knownMs + aheadMsMax
  }

  #floorAt(monotonicMs: number): number {
    return this.#wallMs + Math.max(0, monotonicMs - this.#monotonicMs)
  }

  #seenAt(monotonicMs: number): number {
    return this.#seenWallMs + Math.max(0, monotonicMs - this.#seenMonotonicMs)
  }
}
