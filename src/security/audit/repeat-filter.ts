/** Tells the first of many alike and counts the others. A pure core; it is told the time. */

/** How long the same is only counted after it was told. */
export const repeatWindowMs = 10_000
/** Different things that are remembered; the one told longest ago makes room. */
const entriesMax = 2_000

interface Entry<T> {
  value: T
  toldMs: number
  leftOut: number
}

export class RepeatFilter<T> {
  readonly #entriesMax: number
  /** In the order in which they were told. */
  readonly #entries = new Map<string, Entry<T>>()

  constructor(options: { readonly entriesMax?: number } = {}) {
    this.#entriesMax = options.entriesMax ?? entriesMax
  }

  get size(): number {
    return this.#entries.size
  }

  /** How many of the same were left out before this one, which is to be told; null = it is left out. `evicted`: what made room. */
  see(key: string, value: T, nowMs: number, evicted: (value: T, leftOut: number) => void): number | null {
    const known = this.#entries.get(key)
    if (known !== undefined && nowMs - known.toldMs < repeatWindowMs) {
      known.leftOut++
      known.value = value
      return null
    }
    this.#entries.delete(key)
    this.#entries.set(key, { value, toldMs: nowMs, leftOut: 0 })
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#entriesMax) break
      this.#entries.delete(oldest)
      if (entry.leftOut > 0) evicted(entry.value, entry.leftOut)
    }
    return known?.leftOut ?? 0
  }

  /** Takes out what was told before the window, or (`all`) everything; hands out what was left out of it. */
  sweep(nowMs: number, all: boolean, tell: (value: T, leftOut: number) => void): void {
    for (const [key, { value, toldMs, leftOut }] of this.#entries) {
      if (!all && nowMs - toldMs < repeatWindowMs) break
      this.#entries.delete(key)
      if (leftOut > 0) tell(value, leftOut)
    }
  }

  /** Is there something that was left out and not told? */
  get owes(): boolean {
    for (const { leftOut } of this.#entries.values()) if (leftOut > 0) return true
    return false
  }
}
