/** Bytes of their own: `slice()` of a Buffer is a view, and what a socket reads into is a Buffer that is used again. */
export function copyBytes(source: Uint8Array, start = 0, end: number = source.length): Uint8Array {
  return new Uint8Array(source.subarray(start, end))
}
