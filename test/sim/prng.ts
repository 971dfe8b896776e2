/**
 * The simulator's only source of chance: sfc32, a small generator with a period far beyond any run.
 * `fork` gives an independent stream, so that one more draw in one part does not shift every other part.
 */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number, stream = '') {
    let hash = 0x811c9dc5
    for (let i = 0; i < stream.length; i++) hash = Math.imul(hash ^ stream.charCodeAt(i), 0x01000193)
    this.#a = seed >>> 0
    this.#b = Math.floor(seed / 0x1_0000_0000) >>> 0
    this.#c = hash >>> 0
    for (let i = 0; i < 16; i++) this.uint32()
  }

  /** Uniform in [0, 2^32). */
  uint32(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    return sum >>> 0
  }

  /** Uniform in [0, bound), bound in [1, 2^32]. The bias of a product of 53 bits is of no matter here. */
  below(bound: number): number {
    return Math.floor((this.uint32() / 0x1_0000_0000) * bound)
  }

  /** Uniform whole number in [low, high]. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** Uniform in [low, high). */
  real(low: number, high: number): number {
    return low + (this.uint32() / 0x1_0000_0000) * (high - low)
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.uint32() / 0x1_0000_0000 < probability
  }

  /** One of the items; the list must not be empty. */
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T
  }

  fork(stream: string): Prng {
    return new Prng(this.uint32() + this.below(0x10_0000) * 0x1_0000_0000, stream)
  }
}
