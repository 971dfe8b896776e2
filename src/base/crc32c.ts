/**
 * CRC-32C (Castagnoli, RFC 3720 appendix B.4), the checksum of record batches, snapshots and our own journal frames.
 *
 * The native library costs about 90 ns a call, so short inputs are summed in JavaScript; until the library is loaded (one turn of
 * the loop after the first import), or where it cannot be loaded, everything is. A seed of an earlier result continues the sum: crc32c(b, crc32c(a)) = crc32c(a then b).
 */
type Sum = (bytes: Uint8Array, seed: number) => number

/** Below this many bytes the native call costs more than it saves (node-stack.md 3). */
const nativeBytesMin = 128

const tables = makeTables()
let native: Sum | null = null
import('@node-rs/crc32').then(
  (library) => {
    native = library.crc32c
  },
  () => {
    native = null
  },
)

/** The CRC-32C of `bytes` as an unsigned 32-bit number, continuing from `seed` (an earlier result). */
export function crc32c(bytes: Uint8Array, seed = 0): number {
  return native === null || bytes.length < nativeBytesMin ? crc32cScript(bytes, seed) : native(bytes, seed)
}

/** The CRC-32C of the bytes from `from` to below `end`, which are few: without a view of them. */
export function crc32cOfPart(bytes: Uint8Array, from: number, end: number, seed = 0): number {
  return crc32cScript(bytes, seed, from, end)
}

/** The same sum without the native library: eight bytes a step ("slicing by 8"). */
export function crc32cScript(bytes: Uint8Array, seed = 0, from = 0, end = bytes.length): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = tables
  let crc = ~seed
  let at = from
  const wide = end - ((end - from) & 7)
  while (at < wide) {
    const low =
      crc ^
      (byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24))
    crc =
      (t7[low & 0xff] as number) ^
      (t6[(low >>> 8) & 0xff] as number) ^
      (t5[(low >>> 16) & 0xff] as number) ^
      (t4[low >>> 24] as number) ^
      (t3[byteAt(bytes, at + 4)] as number) ^
      (t2[byteAt(bytes, at + 5)] as number) ^
      (t1[byteAt(bytes, at + 6)] as number) ^
      (t0[byteAt(bytes, at + 7)] as number)
    at += 8
  }
  for (; at < end; at++) crc = (t0[(crc ^ byteAt(bytes, at)) & 0xff] as number) ^ (crc >>> 8)
  return ~crc >>> 0
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number
}

type Tables = readonly [Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array, Int32Array]

function makeTables(): Tables {
  const table = (previous: Int32Array | null, first: Int32Array | null): Int32Array => {
    const made = new Int32Array(256)
    for (let value = 0; value < 256; value++) {
      if (previous !== null && first !== null) {
        const below = previous[value] as number
        made[value] = (first[below & 0xff] as number) ^ (below >>> 8)
        continue
      }
      let crc = value
      for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
      made[value] = crc
    }
    return made
  }
  const t0 = table(null, null)
  const t1 = table(t0, t0)
  const t2 = table(t1, t0)
  const t3 = table(t2, t0)
  const t4 = table(t3, t0)
  const t5 = table(t4, t0)
  const t6 = table(t5, t0)
  return [t0, t1, t2, t3, t4, t5, t6, table(t6, t0)]
}
