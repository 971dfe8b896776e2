/**
 * Hostile bytes without end: copies of good messages, each damaged a little more with every input. Whatever comes out is a function of the
 * seed. Nothing is allocated for an input: all of them are views of one piece of memory, and valid until the next one.
 */
import { Prng } from '../../sim/prng.ts'

/** Longest input; what announces more than it brings matters, not its size. */
export const inputBytesMax = 4096
/** Inputs that grow out of one copy. */
export const inputsPerCopy = 16

const bytesOfInterest = [0, 1, 2, 0x0a, 0x2c, 0x3d, 0x7f, 0x80, 0xfe, 0xff]
const shortsOfInterest = [0, 1, 0x7f, 0xff, 0x100, 0x7fff, 0x8000, 0xfffe, 0xffff]
const wordsOfInterest = [0, 1, 0xff, 0x7fff, 0x10000, 0xffffff, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xffffffff]

export class Mutator {
  readonly #seeds: readonly Uint8Array[]
  readonly #seed: number
  #prng: Prng
  readonly #bytes = new Uint8Array(inputBytesMax)
  readonly #memory = new DataView(this.#bytes.buffer)
  /** By length; made when first asked for. */
  readonly #views: (Uint8Array | undefined)[] = []
  #length = 0

  constructor(seeds: readonly Uint8Array[], seed: number) {
    this.#seeds = seeds
    this.#seed = seed
    this.#prng = new Prng(seed)
  }

  /** Begins anew with a copy of a good message; the same number begins the same inputs. */
  restart(copy: number): void {
    this.#prng = new Prng(this.#seed * 0x1_0000_0000 + copy)
    this.#copySeed()
  }

  #copySeed(): void {
    const seed = this.#prng.pick(this.#seeds)
    this.#length = Math.min(seed.length, inputBytesMax)
    this.#bytes.set(this.#length === seed.length ? seed : seed.subarray(0, this.#length))
  }

  /** The next input. */
  next(): Uint8Array {
    this.#damage()
    return (this.#views[this.#length] ??= this.#bytes.subarray(0, this.#length))
  }

  #damage(): void {
    const prng = this.#prng
    if (this.#length === 0) return this.#copySeed()
    const at = prng.below(this.#length)
    switch (prng.below(12)) {
      case 0:
      case 1:
        this.#bytes[at] = (this.#bytes[at] as number) ^ (1 << prng.below(8))
        return
      case 2:
        this.#bytes[at] = prng.below(256)
        return
      case 3:
      case 4:
        this.#bytes[at] = prng.pick(bytesOfInterest)
        return
      case 5:
        if (at + 2 <= this.#length) this.#memory.setUint16(at, prng.pick(shortsOfInterest))
        return
      case 6:
        if (at + 4 <= this.#length) this.#memory.setUint32(at, prng.pick(wordsOfInterest))
        return
      case 7:
        this.#length = at
        return
      case 8:
        return this.#remove(at)
      case 9:
        return this.#repeat(at)
      case 10:
        return this.#fill(at)
      default:
        return this.#splice(at)
    }
  }

  #remove(at: number): void {
    const end = Math.min(this.#length, at + 1 + this.#prng.below(16))
    this.#bytes.copyWithin(at, end, this.#length)
    this.#length -= end - at
  }

  /** A few bytes over and over, in place: arrays of the smallest elements. */
  #repeat(at: number): void {
    const unit = Math.min(this.#length - at, 1 + this.#prng.below(24))
    const times = this.#prng.chance(0.02) ? inputBytesMax : 1 + this.#prng.below(8)
    const grown = Math.min(inputBytesMax - this.#length, unit * times)
    this.#bytes.copyWithin(at + grown, at, this.#length)
    for (let index = 0; index < grown; index++)
      this.#bytes[at + index] = this.#bytes[at + grown + (index % unit)] as number
    this.#length += grown
  }

  #fill(at: number): void {
    this.#bytes.fill(this.#prng.pick(bytesOfInterest), at, Math.min(this.#length, at + 1 + this.#prng.below(32)))
  }

  /** The rest of another message from here on. */
  #splice(at: number): void {
    const other = this.#prng.pick(this.#seeds)
    const from = this.#prng.below(other.length + 1)
    const count = Math.min(other.length - from, inputBytesMax - at)
    for (let index = 0; index < count; index++) this.#bytes[at + index] = other[from + index] as number
    this.#length = at + count
  }
}
