/**
 * Memory for frames that goes round. A busy producer sends some thousand frames a second, each dead a millisecond later; as fresh
 * buffers they are memory outside of V8's heap, and that sets off its full collections (a third of all processor time once).
 */
/** Smaller frames cost little as they are. */
export const pooledFrameBytesMin = 8 * 1024
/** Larger ones are rare, and too much to keep. */
const pooledFrameBytesMax = 2 * 1024 * 1024
/** Of all free memory: some dozen frames of usual batches. */
const freeBytesMax = 4 * 1024 * 1024

export class FrameMemory {
  /** Free memory by the logarithm of its size. */
  readonly #free = new Map<number, Uint8Array[]>()
  #freeBytes = 0

  /** Memory of `bytes`, its content arbitrary. */
  take(bytes: number): Uint8Array {
    if (bytes < pooledFrameBytesMin || bytes > pooledFrameBytesMax) {
      const memory = Buffer.allocUnsafe(bytes)
      return new Uint8Array(memory.buffer, memory.byteOffset, bytes)
    }
    const size = sizeClass(bytes)
    const free = this.#free.get(size)?.pop()
    if (free === undefined) return new Uint8Array(new ArrayBuffer(2 ** size), 0, bytes)
    this.#freeBytes -= free.length
    return free.subarray(0, bytes)
  }

  /** Gives back what `take` answered. Nobody may hold it, or a part of it, any more. */
  give(memory: Uint8Array): void {
    const { length, buffer } = memory
    if (length < pooledFrameBytesMin || length > pooledFrameBytesMax) return
    if (this.#freeBytes + buffer.byteLength > freeBytesMax) return
    const size = sizeClass(length)
    // Part of something larger, which has other users or would be found too small.
    if (buffer.byteLength !== 2 ** size) return
    let free = this.#free.get(size)
    if (free === undefined) {
      free = []
      this.#free.set(size, free)
    }
    this.#freeBytes += buffer.byteLength
    free.push(new Uint8Array(buffer))
  }
}

function sizeClass(bytes: number): number {
  return 32 - Math.clz32(bytes - 1)
}
