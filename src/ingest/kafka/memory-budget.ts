/** A bound on memory that many connections share. Counts only; whoever is refused waits to be called. */
export class MemoryBudget {
  readonly bytesMax: number
  #usedBytes = 0
  /** In order of arrival: whoever waits longest is called first. */
  readonly #waiting = new Set<() => void>()
  readonly #onWait: () => void
  #isCalling = false

  /** `onWait` is called when somebody begins to wait. */
  constructor(bytesMax: number, onWait: () => void) {
    this.bytesMax = bytesMax
    this.#onWait = onWait
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  get isExhausted(): boolean {
    return this.#usedBytes >= this.bytesMax
  }

  get hasWaiting(): boolean {
    return this.#waiting.size > 0
  }

  /** Would this many bytes more stay within the bound? */
  fits(bytes: number): boolean {
    return this.#usedBytes + bytes <= this.bytesMax
  }

  /** Counts bytes that are used from now (or, negative, no longer). */
  add(bytes: number): void {
    this.#usedBytes += bytes
    if (bytes < 0) this.#call()
  }

  /** Calls back once when there is room again. The same function waits once. */
  wait(callback: () => void): void {
    this.#waiting.add(callback)
    this.#onWait()
  }

  /** The callback is no longer wanted. */
  forget(callback: () => void): void {
    this.#waiting.delete(callback)
  }

  #call(): void {
    if (this.#isCalling) return
    this.#isCalling = true
    // Those who still find no room wait again, behind this list.
    for (const callback of [...this.#waiting]) {
      if (this.isExhausted) break
      this.#waiting.delete(callback)
      callback()
    }
    this.#isCalling = false
  }
}
