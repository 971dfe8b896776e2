/** Walks the records of a batch without building them: where each begins and ends, its key, whether it has a value. */
import { RecordFormatError } from '../../protocol/records/record.ts'
import { readVarint, readVarlong, type VarintCursor } from '../../protocol/records/varint.ts'

/** Fewest bytes of a record: length, attributes, two deltas, two nulls, no headers. */
const recordBytesMin = 7

export class RecordSpans {
  readonly bytes: Uint8Array
  readonly count: number
  readonly #cursor: VarintCursor
  readonly #end: number
  #next = 0
  /** Where the record's length stands. */
  start = 0
  /** Behind the record. */
  end = 0
  attributes = 0
  timestampDelta = 0
  offsetDelta = 0
  /** Where the offset delta stands: what follows the timestamp. */
  behindTimestamp = 0
  /** Null = the record has no key. */
  key: Uint8Array | null = null
  hasValue = false

  /** `bytes`: the records, not compressed. Throws RecordFormatError for a count that they cannot hold. */
  constructor(bytes: Uint8Array, count: number) {
    if (count < 0 || count > bytes.length / recordBytesMin) throw new RecordFormatError('impossible record count')
    this.bytes = bytes
    this.count = count
    this.#end = bytes.length
    this.#cursor = { at: 0, end: bytes.length, failed: false }
  }

  /** Goes to the next record; false behind the last. Throws RecordFormatError when it cannot be read. */
  next(): boolean {
    if (this.#next >= this.count) return false
    const cursor = this.#cursor
    const index = this.#next++
    this.start = this.end
    cursor.at = this.start
    cursor.end = this.#end
    const size = readVarint(this.bytes, cursor)
    this.end = cursor.at + size
    if (cursor.failed || size < recordBytesMin - 1 || this.end > this.#end)
      throw new RecordFormatError(`record ${index} has no valid length`)
    cursor.end = this.end
    this.attributes = this.bytes[cursor.at++] as number
    this.timestampDelta = readVarlong(this.bytes, cursor)
    this.behindTimestamp = cursor.at
    this.offsetDelta = readVarint(this.bytes, cursor)
    const keyLength = readVarint(this.bytes, cursor)
    const keyAt = cursor.at
    if (keyLength > 0) cursor.at += keyLength
    const valueLength = readVarint(this.bytes, cursor)
    if (cursor.failed || keyLength < -1 || valueLength < -1 || cursor.at + Math.max(valueLength, 0) >= this.end)
      throw new RecordFormatError(`record ${index} cannot be read`)
    this.key = keyLength < 0 ? null : this.bytes.subarray(keyAt, keyAt + keyLength)
    this.hasValue = valueLength >= 0
    return true
  }
}
