/** XXH32 with seed 0, the checksum of LZ4 frames. Source: "xxHash fast digest algorithm" 0.1.1, XXH32. */

const prime1 = 0x9e3779b1
const prime2 = 0x85ebca77
const prime3 = 0xc2b2ae3d
const prime4 = 0x27d4eb2f
const prime5 = 0x165667b1

export class Xxh32 {
  #a = (prime1 + prime2) | 0
  #b = prime2 | 0
  #c = 0
  #d = -prime1 | 0
  #length = 0

  /** Takes whole stripes of 16 bytes; what is left goes to `digest`. */
  stripes(bytes: Uint8Array, start: number, end: number): void {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    let [a, b, c, d] = [this.#a, this.#b, this.#c, this.#d]
    for (let at = start; at < end; at += 16) {
      a = round(a, view.getUint32(at, true))
      b = round(b, view.getUint32(at + 4, true))
      c = round(c, view.getUint32(at + 8, true))
      d = round(d, view.getUint32(at + 12, true))
    }
    this.#a = a
    this.#b = b
    this.#c = c
    this.#d = d
    this.#length += end - start
  }

  /** The sum of all stripes and of `rest`, which has fewer than 16 bytes. */
  digest(rest: Uint8Array): number {
    const view = new DataView(rest.buffer, rest.byteOffset, rest.byteLength)
    let sum =
      this.#length === 0
        ? prime5
        : rotated(this.#a, 1) + rotated(this.#b, 7) + rotated(this.#c, 12) + rotated(this.#d, 18)
    sum = (sum + this.#length + rest.length) | 0
    let at = 0
    for (; at + 4 <= rest.length; at += 4)
      sum = Math.imul(rotated((sum + Math.imul(view.getUint32(at, true), prime3)) | 0, 17), prime4)
    for (; at < rest.length; at++)
      sum = Math.imul(rotated((sum + Math.imul(view.getUint8(at), prime5)) | 0, 11), prime1)
    sum = Math.imul(sum ^ (sum >>> 15), prime2)
    sum = Math.imul(sum ^ (sum >>> 13), prime3)
    return (sum ^ (sum >>> 16)) >>> 0
  }
}

export function xxh32(bytes: Uint8Array): number {
  const stripesEnd = bytes.length & ~15
  const sum = new Xxh32()
  sum.stripes(bytes, 0, stripesEnd)
  return sum.digest(bytes.subarray(stripesEnd))
}

function round(lane: number, word: number): number {
  return Math.imul(rotated((lane + Math.imul(word, prime2)) | 0, 13), prime1)
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}
