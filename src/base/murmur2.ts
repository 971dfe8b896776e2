/**
 * The hash by which Kafka's Java client chooses a partition for a key (MurmurHash2, 32 bits, seed 0x9747b28c, little endian): records
 * with one key land in one partition whoever writes them.
 */

const multiplier = 0x5bd1e995
const seed = 0x9747b28c

/** The hash of `bytes`, as a signed 32-bit number. */
export function murmur2(bytes: Uint8Array): number {
  const length = bytes.length
  let hash = seed ^ length
  const wholeEnd = length & ~3
  for (let at = 0; at < wholeEnd; at += 4) {
    let word =
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    word = Math.imul(word, multiplier)
    word ^= word >>> 24
    hash = Math.imul(hash, multiplier) ^ Math.imul(word, multiplier)
  }
  if (length > wholeEnd) {
    if (length - wholeEnd === 3) hash ^= (bytes[wholeEnd + 2] as number) << 16
    if (length - wholeEnd >= 2) hash ^= (bytes[wholeEnd + 1] as number) << 8
    hash = Math.imul(hash ^ (bytes[wholeEnd] as number), multiplier)
  }
  hash ^= hash >>> 13
  hash = Math.imul(hash, multiplier)
  return hash ^ (hash >>> 15)
}

/** The partition of a key among `partitionCount`: the sign bit cleared, not the absolute value, as Kafka does it. */
export function partitionForKey(key: Uint8Array, partitionCount: number): number {
  return (murmur2(key) & 0x7fff_ffff) % partitionCount
}
