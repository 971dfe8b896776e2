/**
 * A few large buffers that go round: a mirror at full speed would else ask for sixty fresh megabytes a second, each of which the
 * kernel clears. Bounded: what does not fit is left to the garbage collector.
 */
export class BufferPool {
  readonly #bufferBytes: number
  readonly #countMax: number
  readonly #free: Uint8Array[] = []

  /** Keeps up to `countMax` buffers of `bufferBytes`. */
  constructor(bufferBytes: number, countMax: number) {
    this.#bufferBytes = bufferBytes
    this.#countMax = countMax
  }

  /** Memory of at least `bytes`, its content arbitrary. */
  take(bytes: number): Uint8Array {
    // A small piece must not hold a large buffer.
    if (bytes > this.#bufferBytes || bytes < this.#bufferBytes / 4) return new Uint8Array(bytes)
    return this.#free.pop() ?? new Uint8Array(this.#bufferBytes)
  }

  /** Gives back what `take` answered, or a view of it; nobody may use it any more. */
  give(bytes: Uint8Array): void {
    if (bytes.buffer.byteLength !== this.#bufferBytes || this.#free.length >= this.#countMax) return
    this.#free.push(new Uint8Array(bytes.buffer as ArrayBuffer))
  }
}
