/**
 * Memory that goes round. A busy node takes in some thousand frames and fills some thousand batches a second, each dead a millisecond
 * later; as fresh buffers they are memory outside of V8's heap, and that sets off its full collections (a third of all processor time
 * once). What does not go round goes back to the system at once: a collection would let some dozen MB of it gather.
 */
import { giveBack } from './outside-memory.ts'

/** Smaller pieces cost little as they are. */
export const pooledBytesMin = 8 * 1024
/** Larger ones are rare, and too much to keep. */
const pooledBytesMax = 2 * 1024 * 1024
/** Of all free memory: some dozen usual batches. */
const freeBytesMax = 4 * 1024 * 1024

export class MemoryPool {
  /** Free memory by the logarithm of its size. */
  readonly #free = new Map<number, ArrayBuffer[]>()
  #freeBytes = 0

  /** Memory of `bytes`, its content arbitrary. */
  take(bytes: number): Uint8Array {
    if (bytes < pooledBytesMin || bytes > pooledBytesMax) {
      const memory = Buffer.allocUnsafe(bytes)
      return new Uint8Array(memory.buffer, memory.byteOffset, bytes)
    }
    const size = sizeClass(bytes)
    const free = this.#free.get(size)?.pop()
    if (free !== undefined) this.#freeBytes -= free.byteLength
    return new Uint8Array(free ?? new ArrayBuffer(2 ** size), 0, bytes)
  }

  /** The same, as long as the next power of two: for what grows. */
  takeAtLeast(bytes: number): Uint8Array {
    return this.take(2 ** sizeClass(bytes))
  }

  /** Gives back what was taken, or its beginning; other memory is left alone. Nobody may hold it, or a part of it, any more. */
  give(memory: Uint8Array): void {
    const { length, buffer } = memory
    if (length < pooledBytesMin) return
    if (buffer.byteLength > pooledBytesMax) return giveBack(memory)
    const size = sizeClass(buffer.byteLength)
    if (buffer.byteLength !== 2 ** size) return
    if (this.#freeBytes + buffer.byteLength > freeBytesMax) return giveBack(memory)
    let free = this.#free.get(size)
    if (free === undefined) {
      free = []
      this.#free.set(size, free)
    }
    this.#freeBytes += buffer.byteLength
    free.push(buffer as ArrayBuffer)
  }
}

function sizeClass(bytes: number): number {
  return 32 - Math.clz32(bytes - 1)
}
