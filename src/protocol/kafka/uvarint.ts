/** Unsigned varints (at most 32 bits, 5 bytes) outside the compiled codecs: headers and record frames. */
import { ProtocolError } from './protocol-error.ts'

/** Reads one at `at`; `end` is the position behind it. Throws a ProtocolError when it ends early or is too large. */
export function readUvarint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } {
  let value = 0
  let scale = 1
  for (let end = at; end < at + 5; scale *= 128) {
    const byte = bytes[end]
    if (byte === undefined) throw new ProtocolError('a varint ends early')
    end++
    value += (byte & 127) * scale
    if (byte < 128) {
      if (value > 0xffff_ffff) break
      return { value, end }
    }
  }
  throw new ProtocolError('a varint is longer than 32 bits')
}

/** The position behind one at `at`. Throws a ProtocolError when it ends early or is too long. */
export function uvarintEnd(bytes: Uint8Array, at: number): number {
  for (let end = at; end < at + 5; ) {
    const byte = bytes[end++]
    if (byte === undefined) throw new ProtocolError('a varint ends early')
    if (byte < 128) return end
  }
  throw new ProtocolError('a varint is longer than 32 bits')
}

/** Appends the bytes of `value` to a list of bytes. */
export function appendUvarint(list: number[], value: number): void {
  let rest = value
  while (rest > 127) {
    list.push((rest % 128) | 128)
    rest = Math.floor(rest / 128)
  }
  list.push(rest)
}
