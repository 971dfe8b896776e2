/** Zigzag variable-length numbers as records use them (Protocol Buffers' sint32 and sint64). */

/** Where the last `readVarint` or `readVarlong` of a cursor stopped. One object is used again for a whole walk. */
export interface VarintCursor {
  /** Index of the next byte. */
  at: number
  /** First index that may not be read. */
  end: number
  /** Set when a number ran past `end` or was too long; the value then means nothing. */
  failed: boolean
}

/** A signed number of up to five bytes. */
export function readVarint(bytes: Uint8Array, cursor: VarintCursor): number {
  let at = cursor.at
  const first = bytes[at] as number
  if (at < cursor.end && first < 0x80) {
    cursor.at = at + 1
    return (first >>> 1) ^ -(first & 1)
  }
  let raw = 0
  for (let shift = 0; shift < 35 && at < cursor.end; shift += 7) {
    const byte = bytes[at++] as number
    raw |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      cursor.at = at
      return (raw >>> 1) ^ -(raw & 1)
    }
  }
  cursor.failed = true
  return 0
}

/** A signed number of up to ten bytes; beyond 2^53 the nearest double. */
export function readVarlong(bytes: Uint8Array, cursor: VarintCursor): number {
  let at = cursor.at
  let low = 0
  for (let shift = 0; shift < 28 && at < cursor.end; shift += 7) {
    const byte = bytes[at++] as number
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) {
      cursor.at = at
      return (low >>> 1) ^ -(low & 1)
    }
  }
  let raw = BigInt(low)
  for (let shift = 28n; shift < 70n && at < cursor.end; shift += 7n) {
    const byte = bytes[at++] as number
    raw |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) {
      cursor.at = at
      return Number(BigInt.asIntN(64, (raw >> 1n) ^ -(raw & 1n)))
    }
  }
  cursor.failed = true
  return 0
}

/** Bytes that `writeVarint` needs. */
export function varintBytes(value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  let count = 1
  while (raw >= 0x80) {
    raw >>>= 7
    count++
  }
  return count
}

/** Writes a signed 32-bit number; answers the index behind it. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let raw = ((value << 1) ^ (value >> 31)) >>> 0
  let next = at
  while (raw >= 0x80) {
    bytes[next++] = (raw & 0x7f) | 0x80
    raw >>>= 7
  }
  bytes[next++] = raw
  return next
}

/** Bytes that `writeVarlong` needs. `value` is a safe integer. */
export function varlongBytes(value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return varintBytes(value)
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  let count = 1
  while (raw >= 0x80) {
    raw = Math.floor(raw / 0x80)
    count++
  }
  return count
}

/** Writes a safe integer (below 2^52 in size); answers the index behind it. */
export function writeVarlong(bytes: Uint8Array, at: number, value: number): number {
  if (value >= -0x4000_0000 && value < 0x4000_0000) return writeVarint(bytes, at, value)
  let raw = value < 0 ? -value * 2 - 1 : value * 2
  let next = at
  while (raw >= 0x80) {
    bytes[next++] = (raw % 0x80) | 0x80
    raw = Math.floor(raw / 0x80)
  }
  bytes[next++] = raw
  return next
}
