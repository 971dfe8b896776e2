/**
 * Memory outside of V8's heap that is given back at once. A collection would find it dead too, but only after some hundred MB of it: what
 * strangers have made us unpack must not stand about for so long.
 */

/** Smaller pieces are a collection's. */
const givenBytesMin = 4096

/** Nobody may read `bytes`, or the memory that they lie in, any more. Memory that Node shares between small buffers is left alone. */
export function giveBack(bytes: Uint8Array): void {
  const { buffer } = bytes
  if (buffer instanceof ArrayBuffer && buffer.byteLength >= givenBytesMin && buffer.byteLength !== Buffer.poolSize)
    buffer.transfer(0)
}
