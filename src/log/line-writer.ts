/**
 * Lines of text put together in bytes. A checkpoint over 10,000 logs writes as many lines in one breath: as strings they were 40 % of
 * all that the loop allocated, and most of it lived until the next collection.
 */
const base64Digits = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/')
const minus = 0x2d
const padding = 0x3d
const zero = 0x30

export class LineWriter {
  #bytes: Buffer
  #at = 0

  /** Grows beyond `bytesFirst` by itself. */
  constructor(bytesFirst = 4096) {
    this.#bytes = Buffer.allocUnsafe(bytesFirst)
  }

  /** Begins anew, with the memory that it has. */
  clear(): this {
    this.#at = 0
    return this
  }

  /** ASCII. */
  text(text: string): this {
    this.#reserve(text.length)
    for (let index = 0; index < text.length; index++) this.#bytes[this.#at++] = text.charCodeAt(index)
    return this
  }

  /** A safe integer in decimal digits. */
  number(value: number): this {
    this.#reserve(17)
    let left = Math.abs(value)
    if (value < 0) this.#bytes[this.#at++] = minus
    let digits = 1
    for (let bound = 10; bound <= left; bound *= 10) digits++
    this.#at += digits
    for (let at = this.#at - 1; digits > 0; digits--, at--) {
      const rest = Math.floor(left / 10)
      this.#bytes[at] = zero + (left - rest * 10)
      left = rest
    }
    return this
  }

  /** The first so many of these bytes, with padding. */
  base64(bytes: Uint8Array, count = bytes.length): this {
    this.#reserve(Math.ceil(count / 3) * 4)
    for (let at = 0; at < count; at += 3) {
      const second = at + 1 < count ? (bytes[at + 1] as number) : 0
      const third = at + 2 < count ? (bytes[at + 2] as number) : 0
      const group = ((bytes[at] as number) << 16) | (second << 8) | third
      this.#digit(group >> 18)
      this.#digit((group >> 12) & 63)
      if (at + 1 < count) this.#digit((group >> 6) & 63)
      else this.#bytes[this.#at++] = padding
      if (at + 2 < count) this.#digit(group & 63)
      else this.#bytes[this.#at++] = padding
    }
    return this
  }

  /** What another has between two places. */
  copy(from: LineWriter, start: number, end: number): this {
    this.#reserve(end - start)
    from.#bytes.copy(this.#bytes, this.#at, start, end)
    this.#at += end - start
    return this
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#at
  }

  /** What was written so far; valid until more is. */
  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.#at)
  }

  #digit(value: number): void {
    this.#bytes[this.#at++] = base64Digits[value] as number
  }

  #reserve(count: number): void {
    if (this.#at + count <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#at + count))
    this.#bytes.copy(grown, 0, 0, this.#at)
    this.#bytes = grown
  }
}
