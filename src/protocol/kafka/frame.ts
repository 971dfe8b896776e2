/**
 * Cuts a stream of bytes into frames: four bytes of length, then as many bytes.
 *
 * What arrives lies in memory that is used again, so frames are copied: the small whole frames of one chunk at once, into one piece
 * of memory. A large frame, and one that is only begun, gets memory of its own at its full size; from 64 KiB on the rest of it is
 * read straight into it.
 */
import { MemoryPool, pooledBytesMin } from '../../base/memory-pool.ts'

/** A begun frame of this size or more asks for its bytes in place. */
const windowBytesMin = 64 * 1024

export interface FrameAssemblerOptions {
  /** Largest frame that is accepted, without its length. */
  readonly frameBytesMax: number
  /** A begun frame of more bytes gets its memory as they come, until `trust`. Without: at once, at its full size. */
  readonly reservedBytesMax?: number
  /** Where frames from `pooledBytesMin` on get their memory, for receivers that give it back. */
  readonly memory?: MemoryPool
  /** A frame without its length. The memory is the receiver's, to keep and to change. */
  readonly onFrame: (frame: Uint8Array) => void
  /** A length that is negative or too large: nothing of the stream can be read any more. Called once. */
  readonly onOversize: (length: number) => void
}

export class FrameAssembler {
  readonly #options: FrameAssemblerOptions
  readonly #memory: MemoryPool
  /** The first bytes of a length that came in pieces. */
  readonly #lengthBytes = new Uint8Array(4)
  #lengthFilled = 0
  /** The frame that is begun: its memory, which may be shorter than the frame will be. */
  #frame: Uint8Array | null = null
  #frameLength = 0
  #frameFilled = 0
  #reservedBytesMax: number
  #isBroken = false
  /** May be raised (or lowered) while frames come; a frame that has begun is not asked again. */
  frameBytesMax: number

  constructor(options: FrameAssemblerOptions) {
    this.#options = options
    this.frameBytesMax = options.frameBytesMax
    this.#reservedBytesMax = options.reservedBytesMax ?? Number.POSITIVE_INFINITY
    this.#memory = options.memory ?? new MemoryPool()
  }

  /** From now on the sender is believed: frames of this size are taken, and get their memory at once. */
  trust(frameBytesMax: number): void {
    this.frameBytesMax = frameBytesMax
    this.#reservedBytesMax = Number.POSITIVE_INFINITY
  }

  /** Takes the next bytes of the stream; hands out every frame that is complete with them. Bytes that came in `window()` are not copied. */
  push(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length && !this.#isBroken) {
      if (this.#frame !== null) at = this.#fillFrame(this.#frame, bytes, at)
      else if (this.#lengthFilled > 0 || bytes.length - at < 4) at = this.#fillLength(bytes, at)
      else at = this.#takeWhole(bytes, at)
    }
  }

  /** Memory for the next bytes when a large frame has begun, else null. */
  window(): Uint8Array | null {
    const frame = this.#frame
    if (frame === null || frame.length < windowBytesMin) return null
    return frame.subarray(this.#frameFilled)
  }

  /** Hands out the small whole frames that lie at `start`, copied at once; a large one, or one that is not whole, is begun. */
  #takeWhole(bytes: Uint8Array, start: number): number {
    let at = start
    let length = -1
    while (bytes.length - at >= 4) {
      length = lengthAt(bytes, at)
      if (length < 0 || length >= pooledBytesMin || length > this.frameBytesMax) break
      if (bytes.length - at - 4 < length) break
      at += 4 + length
    }
    if (at > start) {
      this.#handOut(bytes, start, at)
      return at
    }
    return this.#begin(length) ? at + 4 : bytes.length
  }

  #handOut(bytes: Uint8Array, start: number, end: number): void {
    const memory = Buffer.allocUnsafe(end - start)
    memory.set(bytes.subarray(start, end))
    for (let at = 0; at < memory.length; ) {
      const length = lengthAt(memory, at)
      this.#options.onFrame(new Uint8Array(memory.buffer, memory.byteOffset + at + 4, length))
      at += 4 + length
    }
  }

  #fillLength(bytes: Uint8Array, start: number): number {
    let at = start
    while (at < bytes.length && this.#lengthFilled < 4) {
      this.#lengthBytes[this.#lengthFilled++] = bytes[at++] as number
    }
    if (this.#lengthFilled < 4) return at
    this.#lengthFilled = 0
    return this.#begin(lengthAt(this.#lengthBytes, 0)) ? at : bytes.length
  }

  /** False when there can be no such frame. */
  #begin(length: number): boolean {
    if (length < 0 || length > this.frameBytesMax) {
      this.#isBroken = true
      this.#options.onOversize(length)
      return false
    }
    if (length === 0) {
      this.#options.onFrame(new Uint8Array(0))
      return true
    }
    this.#frame = this.#memory.take(Math.min(length, this.#reservedBytesMax))
    this.#frameLength = length
    this.#frameFilled = 0
    return true
  }

  #fillFrame(frame: Uint8Array, bytes: Uint8Array, start: number): number {
    const take = Math.min(frame.length - this.#frameFilled, bytes.length - start)
    const isInPlace = bytes.buffer === frame.buffer && bytes.byteOffset + start === frame.byteOffset + this.#frameFilled
    if (!isInPlace) frame.set(bytes.subarray(start, start + take), this.#frameFilled)
    this.#frameFilled += take
    if (this.#frameFilled === this.#frameLength) {
      this.#frame = null
      this.#options.onFrame(frame)
    } else if (this.#frameFilled === frame.length) {
      this.#frame = this.#memory.take(Math.min(this.#frameLength, frame.length * 2))
      this.#frame.set(frame)
      this.#memory.give(frame)
    }
    return start + take
  }
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}
