/**
 * One pass over the records of a batch: are they what the header says, and may each of them stand in this topic? Lengths only,
 * nothing is copied or built. It can stop and go on, so that many small records do not hold the loop.
 */
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { none } from '../protocol/records/record-batch.ts'
import { readVarint, readVarlong, type VarintCursor } from '../protocol/records/varint.ts'

/** A record that made its batch fail (KIP-467). */
export interface RecordError {
  /** Place of the record in its batch. */
  readonly batchIndex: number
  readonly message: string
}

/** Why a batch is not taken. */
export interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string
  readonly recordErrors?: readonly RecordError[]
}

export interface RecordRules {
  /** What the header says. */
  readonly recordCount: number
  readonly baseTimestampMs: number
  /** A compacted topic takes no record without a key. */
  readonly keysNeeded: boolean
  /** Inclusive bounds of a record's timestamp; "no timestamp" is always allowed. Infinite = no bound. */
  readonly earliestMs: number
  readonly latestMs: number
}

/** Fewest bytes of a record: length, attributes, two deltas, two lengths, no headers. */
const recordBytesMin = 7
/** Records that one answer names; a batch may have a hundred thousand bad ones. */
const recordErrorsMax = 100

// One step at a time: nothing in it waits.
const cursor: VarintCursor = { at: 0, end: 0, failed: false }

export class RecordWalk {
  readonly #bytes: Uint8Array
  readonly #end: number
  readonly #rules: RecordRules
  /** A delta within these needs no further look. */
  readonly #deltaMin: number
  readonly #deltaMax: number
  readonly #errors: RecordError[] = []
  #errorCount = 0
  #hasTimeError = false
  #fault: string | null = null
  #at: number
  #index = 0
  #largestDelta = Number.NEGATIVE_INFINITY

  /** The records are the bytes [start, end). */
  constructor(bytes: Uint8Array, start: number, end: number, rules: RecordRules) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
    this.#rules = rules
    this.#deltaMin = Math.max(rules.earliestMs, 0) - rules.baseTimestampMs
    this.#deltaMax = Math.min(rules.latestMs, Number.MAX_SAFE_INTEGER) - rules.baseTimestampMs
  }

  /** Greatest timestamp of the records seen. */
  get maxTimestampMs(): number {
    return this.#rules.baseTimestampMs + this.#largestDelta
  }

  /** Looks at up to so many records more; true = there is nothing more to look at, ask `refusal`. */
  step(recordsMax: number): boolean {
    const { recordCount } = this.#rules
    const stop = Math.min(recordCount, this.#index + recordsMax)
    this.#walkTo(stop)
    if (this.#fault !== null) return true
    if (this.#index < recordCount) return false
    if (this.#at !== this.#end) this.#fault = `bytes behind the last of ${recordCount} records`
    return true
  }

  /** After the last step: null = all records are good. */
  get refusal(): Refusal | null {
    if (this.#fault !== null) return { error: 'INVALID_RECORD', message: this.#fault }
    if (this.#errorCount === 0) return null
    const first = this.#errors[0] as RecordError
    const message = `${this.#errorCount} of ${this.#rules.recordCount} records are refused; record ${first.batchIndex}: ${first.message}`
    return {
      error: this.#hasTimeError ? 'INVALID_TIMESTAMP' : 'INVALID_RECORD',
      message,
      recordErrors: this.#errors,
    }
  }

  #walkTo(stop: number): void {
    const bytes = this.#bytes
    const end = this.#end
    const deltaMin = this.#deltaMin
    const deltaMax = this.#deltaMax
    const { keysNeeded } = this.#rules
    let largestDelta = this.#largestDelta
    let at = this.#at
    let index = this.#index
    cursor.failed = false
    for (; index < stop; index++) {
      if (end - at < recordBytesMin) return this.#fail(`record ${index} is missing`)
      // Numbers of one or two bytes, which nearly all are, are read here: a call for each would be most of the cost.
      let first = bytes[at] as number
      let second = bytes[at + 1] as number
      let length = shortNumber(first, second)
      if (first < 0x80) at += 1
      else if (second < 0x80) at += 2
      else {
        length = readNumber(bytes, at, end)
        at = cursor.at
      }
      const recordEnd = at + length
      if (cursor.failed || length < recordBytesMin - 1 || recordEnd > end)
        return this.#fail(`record ${index} has no valid length`)
      // Behind the attributes of a record, which mean nothing.
      at += 1
      first = bytes[at] as number
      second = bytes[at + 1] as number
      let delta = shortNumber(first, second)
      if (first < 0x80) at += 1
      else if (second < 0x80) at += 2
      else {
        delta = readLongNumber(bytes, at, recordEnd)
        at = cursor.at
      }
      first = bytes[at] as number
      second = bytes[at + 1] as number
      if (first === index << 1 && index < 0x40) at += 1
      else if (first === ((index << 1) & 0x7f) + 0x80 && second === index >>> 6 && index < 0x2000) at += 2
      else {
        const offsetDelta = readNumber(bytes, at, recordEnd)
        if (offsetDelta !== index && !cursor.failed) return this.#fail(`record ${index} has another offset delta`)
        at = cursor.at
      }
      first = bytes[at] as number
      let keyLength: number
      if (first < 0x80) {
        keyLength = (first >>> 1) ^ -(first & 1)
        at += 1
      } else {
        keyLength = readNumber(bytes, at, recordEnd)
        at = cursor.at
      }
      if (keyLength > 0) at += keyLength
      if (cursor.failed || keyLength < none || at >= recordEnd) return this.#fail(`record ${index} cannot be read`)
      first = bytes[at] as number
      second = bytes[at + 1] as number
      let valueLength = shortNumber(first, second)
      if (first < 0x80) at += 1
      else if (second < 0x80) at += 2
      else {
        valueLength = readNumber(bytes, at, recordEnd)
        at = cursor.at
      }
      if (valueLength > 0) at += valueLength
      if (cursor.failed || valueLength < none || at >= recordEnd) return this.#fail(`record ${index} cannot be read`)
      // Mostly no headers: one byte, the last of the record.
      if (bytes[at] === 0) at += 1
      else at = headersEnd(bytes, at, recordEnd)
      if (at !== recordEnd) return this.#fail(`record ${index} cannot be read`)
      if (keysNeeded && keyLength < 0) this.#note(index, 'a compacted topic takes no record without a key')
      else if (delta < deltaMin || delta > deltaMax) this.#judgeTime(index, delta)
      if (delta > largestDelta) largestDelta = delta
    }
    this.#at = at
    this.#index = index
    this.#largestDelta = largestDelta
  }

  #fail(fault: string): void {
    this.#fault = fault
  }

  #judgeTime(index: number, delta: number): void {
    const { baseTimestampMs, earliestMs, latestMs } = this.#rules
    const timestampMs = baseTimestampMs + delta
    if (timestampMs === none) return
    let why: string
    if (timestampMs < none || timestampMs > Number.MAX_SAFE_INTEGER) why = `the timestamp ${timestampMs} is impossible`
    else if (timestampMs < earliestMs)
      why = `the timestamp ${timestampMs} is before ${earliestMs} (message.timestamp.before.max.ms)`
    else why = `the timestamp ${timestampMs} is after ${latestMs} (message.timestamp.after.max.ms)`
    this.#hasTimeError = true
    this.#note(index, why)
  }

  #note(batchIndex: number, message: string): void {
    this.#errorCount++
    if (this.#errors.length < recordErrorsMax) this.#errors.push({ batchIndex, message })
  }
}

/** The number of these bytes if it has one or two. */
function shortNumber(first: number, second: number): number {
  const raw = first < 0x80 ? first : (first & 0x7f) | (second << 7)
  return (raw >>> 1) ^ -(raw & 1)
}

function readNumber(bytes: Uint8Array, at: number, end: number): number {
  cursor.at = at
  cursor.end = end
  return readVarint(bytes, cursor)
}

function readLongNumber(bytes: Uint8Array, at: number, end: number): number {
  cursor.at = at
  cursor.end = end
  return readVarlong(bytes, cursor)
}

/** Where a header section ends; -1 when it cannot be read. */
function headersEnd(bytes: Uint8Array, at: number, end: number): number {
  const count = readNumber(bytes, at, end)
  // A header takes two bytes at least.
  if (cursor.failed || count < 0 || count > (end - cursor.at) / 2) return -1
  for (let index = 0; index < count; index++) {
    const keyLength = readNumber(bytes, cursor.at, end)
    if (cursor.failed || keyLength < 0 || cursor.at + keyLength > end) return -1
    const valueLength = readNumber(bytes, cursor.at + keyLength, end)
    if (cursor.failed || valueLength < none) return -1
    if (valueLength > 0) cursor.at += valueLength
    if (cursor.at > end) return -1
  }
  return cursor.at
}
