/**
 * A large raw block of snappy, unpacked step by step: the library knows whole blocks only, at once on the loop or on the pool, whose
 * memory it keeps (see `lz4-pieces.ts`). Source: github.com/google/snappy, format_description.txt.
 */
import { ComputeError } from '../base/ports.ts'

/** Output of a step: some three milliseconds. */
export const stepBytes = 512 * 1024
/** The library unpacks a block of so many bytes in some milliseconds too, and five times as fast. */
export const wholeBytesMax = 4 * 1024 * 1024

export class SnappySteps {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #output: Uint8Array
  #at: number
  /** Where the output goes on. */
  #made = 0

  /** The block's elements lie in [start, end), behind its length; `output` has that length. */
  constructor(bytes: Uint8Array, start: number, end: number, output: Uint8Array) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#output = output
  }

  /** One step; true: that was the last. COMPRESSION_CORRUPT. */
  step(): boolean {
    const bytes = this.#bytes
    const output = this.#output
    const end = this.#end
    const until = this.#made + stepBytes
    let at = this.#at
    let made = this.#made
    while (at < end && made < until) {
      const tag = bytes[at++] as number
      const kind = tag & 3
      const code = tag >> 2
      // A literal's length, or how far back a copy looks.
      const numberBytes = kind === 0 ? Math.max(0, code - 59) : kind === 3 ? 4 : kind
      if (numberBytes > end - at) throw corrupt('an element is cut')
      const number = littleEndian(bytes, at, numberBytes)
      at += numberBytes
      if (kind === 0) {
        const length = 1 + (numberBytes === 0 ? code : number)
        if (length > end - at || length > output.length - made) throw corrupt('a literal is cut')
        copyForward(bytes, at, output, made, length)
        at += length
        made += length
      } else {
        const length = kind === 1 ? 4 + (code & 7) : 1 + code
        const offset = kind === 1 ? ((tag >> 5) << 8) | number : number
        if (offset === 0 || offset > made || length > output.length - made) throw corrupt('a copy is off')
        copyForward(output, made - offset, output, made, length)
        made += length
      }
    }
    this.#at = at
    this.#made = made
    if (at < end) return false
    if (made !== output.length) throw corrupt('the block ends early')
    return true
  }
}

function littleEndian(bytes: Uint8Array, at: number, length: number): number {
  if (length === 0) return 0
  let value = bytes[at] as number
  if (length > 1) value |= (bytes[at + 1] as number) << 8
  if (length > 2) value |= (bytes[at + 2] as number) << 16
  return length > 3 ? value + (bytes[at + 3] as number) * 0x100_0000 : value
}

/** Byte by byte where it is short, or where what is copied may be what has just been written. */
function copyForward(from: Uint8Array, start: number, to: Uint8Array, at: number, length: number): void {
  if (length > 64) to.set(from.subarray(start, start + length), at)
  else for (let index = 0; index < length; index++) to[at + index] = from[start + index] as number
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `snappy: ${reason}`)
}
