/** Bytes per second over the last seconds: an average whose weight halves every five seconds. Pure. */

const halfLifeMs = 5_000

export class RateMeter {
  #bytesPerMs = 0
  #atMs = 0

  /** `nowMs` is monotonic. */
  add(bytes: number, nowMs: number): void {
    this.#decay(nowMs)
    this.#bytesPerMs += (bytes * Math.LN2) / halfLifeMs
  }

  bytesPerSecond(nowMs: number): number {
    this.#decay(nowMs)
    return Math.round(this.#bytesPerMs * 1_000)
  }

  #decay(nowMs: number): void {
    const sinceMs = nowMs - this.#atMs
    if (sinceMs <= 0) return
    this.#bytesPerMs *= 2 ** (-sinceMs / halfLifeMs)
    this.#atMs = nowMs
  }
}
