/**
 * How many bytes may be under way on one connection. Pure.
 *
 * A window must be wide enough to fill the link and narrow enough that a batch is answered long before its request times out: 12 MiB
 * is a tenth of a second on a local network and half an hour on a 64 kbit/s radio. So it starts small, doubles while answers come
 * quickly and it is full, and halves when they are slow: once for all that was under way then, so that one stall of the target does not
 * narrow it to nothing.
 */

/** Below this there is no use in narrowing further. */
export const windowBytesMin = 64 * 1024
const windowBytesStart = 1024 * 1024
/** Answers slower than this narrow the window. */
const slowAnswerMs = 5_000
/** Answers quicker than this may widen it. */
const quickAnswerMs = 2_000

export class SendWindow {
  readonly #bytesMax: number
  #bytes: number
  #inFlightBytes = 0
  #wasFull = false
  /** What was sent before has had its effect on the width. */
  #changedAtMs = Number.NEGATIVE_INFINITY

  constructor(bytesMax: number) {
    this.#bytesMax = Math.max(bytesMax, windowBytesMin)
    this.#bytes = Math.min(windowBytesStart, this.#bytesMax)
  }

  /** Present width. */
  get bytes(): number {
    return this.#bytes
  }

  get inFlightBytes(): number {
    return this.#inFlightBytes
  }

  /** May more be sent, counting `reservedBytes` that are being read for it? */
  hasRoom(reservedBytes: number): boolean {
    const hasRoom = this.#inFlightBytes + reservedBytes < this.#bytes
    if (!hasRoom) this.#wasFull = true
    return hasRoom
  }

  sent(bytes: number): void {
    this.#inFlightBytes += bytes
  }

  /** `sentAtMs` and `nowMs` are monotonic. */
  answered(bytes: number, sentAtMs: number, nowMs: number): void {
    this.#inFlightBytes -= bytes
    const latencyMs = nowMs - sentAtMs
    if (latencyMs > slowAnswerMs) {
      if (sentAtMs < this.#changedAtMs) return
      this.#bytes = Math.max(windowBytesMin, Math.floor(this.#bytes / 2))
      this.#changedAtMs = nowMs
    } else if (latencyMs < quickAnswerMs && this.#wasFull) {
      this.#bytes = Math.min(this.#bytesMax, this.#bytes * 2)
      this.#wasFull = false
    }
  }
}
