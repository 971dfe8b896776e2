/**
 * Wall time that never runs behind what we have already written down.
 *
 * A small box boots with a clock of years ago until the network has told it the time. The newest durable stamp of our own is
 * a floor: wall time reads at least that stamp plus the monotonic time since it was raised.
 */
export class WallFloor {
  #wallMs = Number.NEGATIVE_INFINITY
  #monotonicMs = 0

  /** Remembers a durable stamp; a stamp below the present floor changes nothing. */
  raise(wallMs: number, monotonicMs: number): void {
    if (wallMs <= this.#floorAt(monotonicMs)) return
    this.#wallMs = wallMs
    this.#monotonicMs = monotonicMs
  }

  /** The host's wall time, or the floor where that is later. Whole milliseconds. */
  apply(hostWallMs: number, monotonicMs: number): number {
    return Math.floor(Math.max(hostWallMs, this.#floorAt(monotonicMs)))
  }

  #floorAt(monotonicMs: number): number {
    return this.#wallMs + Math.max(0, monotonicMs - this.#monotonicMs)
  }
}
