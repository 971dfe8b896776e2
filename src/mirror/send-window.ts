/**
 * How many bytes may be under way on one connection. Pure.
 *
 * A window must be wide enough to fill the link and narrow enough that a batch is answered long before its request times out: 12 MiB
 * is a tenth of a second on a local network and half an hour on a 64 kbit/s radio. So it starts small, doubles while answers come
 * quickly and it is full, and halves when they are slow.
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

  answered(bytes: number, latencyMs: number): void {
    this.#inFlightBytes -= bytes
    if (latencyMs > slowAnswerMs) this.#bytes = Math.max(windowBytesMin, Math.floor(this.#bytes / 2))
    else if (latencyMs < quickAnswerMs && this.#wasFull) {
      this.#bytes = Math.min(this.#bytesMax, this.#bytes * 2)
      this.#wasFull = false
    }
  }
}
