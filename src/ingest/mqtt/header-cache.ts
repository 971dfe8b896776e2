/**
 * What sections of record headers say, remembered by their bytes: a client's messages carry the same section again and again. Each has two slots, and
 * a new one takes the place of the older there; so it is bounded, nothing is swept, and two clients do not push one another out in turn.
 */
import { copyBytes } from '../../base/bytes.ts'
import { type DecodedHeaders, decodeRecordHeaders, type MarkedTimes } from './record-headers.ts'
import { headersOf, type ScannedRecord } from './record-scan.ts'
import { hashTopic } from './route-cache.ts'

/** A power of two: a section of each of some thousand clients. */
const slotCount = 4096
/** Longer ones are seldom the same twice. */
const sectionBytesMax = 128

interface Known {
  readonly section: Uint8Array
  readonly headers: DecodedHeaders
}

export class HeaderCache {
  private readonly times: MarkedTimes | null
  // Filled at once: an array with large gaps is a dictionary to V8.
  private readonly slots = new Array<Known | undefined>(slotCount).fill(undefined)

  constructor(times: MarkedTimes | null = null) {
    this.times = times
  }

  /** The headers of a record; what is answered holds no view of `bytes`. */
  read(bytes: Uint8Array, { headersStart, headersEnd }: ScannedRecord): DecodedHeaders {
    if (headersEnd - headersStart > sectionBytesMax)
      return decode(copyBytes(bytes, headersStart, headersEnd), this.times)
    const slot = hashTopic(bytes, headersStart, headersEnd) & (slotCount - 1)
    const newer = this.slots[slot]
    if (newer !== undefined && isSame(newer.section, bytes, headersStart, headersEnd)) return newer.headers
    const older = this.slots[slot ^ 1]
    if (older !== undefined && isSame(older.section, bytes, headersStart, headersEnd)) return older.headers
    const section = copyBytes(bytes, headersStart, headersEnd)
    const headers = decode(section, this.times)
    this.slots[slot ^ 1] = newer
    this.slots[slot] = { section, headers }
    return headers
  }
}

function isSame(section: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (section.length !== end - start) return false
  for (let at = 0; at < section.length; at += 1) if (section[at] !== bytes[start + at]) return false
  return true
}

function decode(section: Uint8Array, times: MarkedTimes | null): DecodedHeaders {
  return decodeRecordHeaders(headersOf(section, { headersStart: 0, headersEnd: section.length }), times)
}
