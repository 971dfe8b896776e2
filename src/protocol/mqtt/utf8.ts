import { isUtf8 } from 'node:buffer'

/** Rules for UTF-8 encoded strings: [MQTT-1.5.4-1] and [MQTT-1.5.4-2] (3.1.1: [MQTT-1.5.3-1], [MQTT-1.5.3-2]). */

/** Result bits of `inspectUtf8`. */
export const utf8Malformed = 1
export const utf8HasWildcard = 2

/**
 * Looks at the bytes [start, end) once: `utf8Malformed` when they are not well-formed UTF-8 (RFC 3629: shortest form, no surrogates,
 * nothing above U+10FFFF) or hold U+0000; `utf8HasWildcard` when `+` or `#` occurs, which no topic name may hold [MQTT-4.7.0-1].
 */
export function inspectUtf8(bytes: Uint8Array, start: number, end: number): number {
  let result = 0
  let at = start
  while (at < end) {
    const byte = bytes[at] as number
    if (byte < 0x80) {
      if (byte === 0) return utf8Malformed
      if (byte === 0x2b || byte === 0x23) result |= utf8HasWildcard
      at += 1
      continue
    }
    const size = sequenceSize(bytes, at, end)
    if (size === 0) return utf8Malformed
    at += size
  }
  return result
}

/** Bytes of the multi-byte sequence at `at`, or 0 when it is not well-formed (Unicode 15, table 3-7). */
function sequenceSize(bytes: Uint8Array, at: number, end: number): number {
  const lead = bytes[at] as number
  if (lead < 0xc2 || lead > 0xf4) return 0
  const size = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
  if (at + size > end) return 0
  const second = bytes[at + 1] as number
  let low = 0x80
  let high = 0xbf
  if (lead === 0xe0) low = 0xa0
  else if (lead === 0xed) high = 0x9f
  else if (lead === 0xf0) low = 0x90
  else if (lead === 0xf4) high = 0x8f
  if (second < low || second > high) return 0
  for (let next = at + 2; next < at + size; next += 1) {
    if (((bytes[next] as number) & 0xc0) !== 0x80) return 0
  }
  return size
}

/** True for a topic name as a PUBLISH may carry it: 1 to 65,535 bytes, well-formed, no U+0000, no wildcard. */
export function isValidTopicName(bytes: Uint8Array, start: number, end: number): boolean {
  return end > start && end - start <= 65_535 && inspectUtf8(bytes, start, end) === 0
}

/** Is a payload well-formed UTF-8 (RFC 3629)? U+0000 is a character like any other there. */
export function isTextPayload(payload: Uint8Array): boolean {
  return isUtf8(payload)
}

/** The text of well-formed UTF-8. A leading U+FEFF is kept [MQTT-1.5.4-3]. */
export function utf8Text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')
}

/** The UTF-8 bytes of a text. */
export function utf8Bytes(text: string): Uint8Array {
  return Buffer.from(text, 'utf8')
}
