/**
 * The sparse indexes of one segment, Kafka's `.index` and `.timeindex`.
 *
 * - offset index: (last offset of a batch less the segment's base offset i32, position of that batch i32), rising
 * - time index: (greatest timestamp so far i64, offset of the batch that has it less the base offset i32), rising
 *
 * Memory holds only the entries that the files do not have yet: node-wide checkpoints move them out (where many logs grow: of each log when
 * it has some dozen), so the tails of all logs together stay small, however large the segments are.
 */
import { readInt32, readInt64, writeInt32, writeInt64 } from '../protocol/records/record-batch.ts'

export const offsetEntryBytes = 8
export const timeEntryBytes = 12

/** Entries that files do not have yet, in the encoding of the files, and how many the files have before them. */
export interface IndexTail {
  readonly filedOffsets: number
  readonly filedTimes: number
  readonly offsets: Uint8Array
  readonly times: Uint8Array
}

/** Entries in the encoding of the files. */
export type EncodedEntries = Pick<IndexTail, 'offsets' | 'times'>

/** Entries in memory behind those of the files. */
export class SegmentIndex {
  /** Entries in the files; what lies behind in the files does not count and is cut by the next write. */
  filedOffsets = 0
  filedTimes = 0
  /** The files may hold something behind the filed entries (or do not exist): cut them when writing. */
  filesDiffer = true
  /** Counts the times that the entries were replaced. */
  generation = 0
  #offsets: number[] = []
  #positions: number[] = []
  #times: number[] = []
  #timeOffsets: number[] = []
  #lastTimestamp = -1

  get offsetEntries(): number {
    return this.filedOffsets + this.#offsets.length
  }

  get timeEntries(): number {
    return this.filedTimes + this.#times.length
  }

  get hasUnfiled(): boolean {
    return this.#offsets.length > 0 || this.#times.length > 0 || this.filesDiffer
  }

  /** Greatest timestamp that an entry carries; -1 when there is none. */
  get lastTimestamp(): number {
    return this.#lastTimestamp
  }

  /** Begins anew behind `filedOffsets` and `filedTimes` entries of the files. */
  reset(filed: { readonly offsets: number; readonly times: number; readonly lastTimestamp: number }): void {
    this.generation++
    this.filedOffsets = filed.offsets
    this.filedTimes = filed.times
    this.filesDiffer = true
    this.#offsets = []
    this.#positions = []
    this.#times = []
    this.#timeOffsets = []
    this.#lastTimestamp = filed.lastTimestamp
  }

  /** Takes over what the files hold. */
  adoptFiles(filed: { readonly offsets: number; readonly times: number; readonly lastTimestamp: number }): void {
    this.reset(filed)
    this.filesDiffer = false
  }

  addOffset(relativeOffset: number, position: number): void {
    this.#offsets.push(relativeOffset)
    this.#positions.push(position)
  }

  /** Adds an entry when the timestamp is above the last one. */
  addTime(timestampMs: number, relativeOffset: number): void {
    if (timestampMs <= this.#lastTimestamp) return
    this.#times.push(timestampMs)
    this.#timeOffsets.push(relativeOffset)
    this.#lastTimestamp = timestampMs
  }

  get unfiledOffsets(): number {
    return this.#offsets.length
  }

  get unfiledTimes(): number {
    return this.#times.length
  }

  /** Adds entries that once stood in memory here; the files have what came before them. */
  addTail({ offsets, times }: EncodedEntries): void {
    for (let at = 0; at < offsets.length; at += offsetEntryBytes)
      this.addOffset(readInt32(offsets, at), readInt32(offsets, at + 4))
    for (let at = 0; at < times.length; at += timeEntryBytes)
      this.addTime(readInt64(times, at), readInt32(times, at + 8))
  }

  /** Position of the first entry in memory, or null: from there on the files know nothing. */
  get firstUnfiledPosition(): number | null {
    return this.#positions[0] ?? null
  }

  /** Position of the last unfiled entry not above the relative offset, or null. */
  lookupUnfiled(relativeOffset: number): number | null {
    const index = lastNotAbove(this.#offsets.length, (at) => this.#offsets[at] as number, relativeOffset)
    return index < 0 ? null : (this.#positions[index] as number)
  }

  /** Relative offset of the last unfiled time entry below the timestamp, or null. */
  lookupUnfiledTime(timestampMs: number): number | null {
    const index = lastNotAbove(this.#times.length, (at) => this.#times[at] as number, timestampMs - 1)
    return index < 0 ? null : (this.#timeOffsets[index] as number)
  }

  /** `rebuilt` (entries in memory only) takes the place of everything in the files, which are to be written anew. */
  replaceFiled(rebuilt: SegmentIndex): void {
    const behind = this.#positions[0] ?? Number.POSITIVE_INFINITY
    const kept = rebuilt.#positions.findIndex((position) => position >= behind)
    const count = kept < 0 ? rebuilt.#positions.length : kept
    this.#offsets = [...rebuilt.#offsets.slice(0, count), ...this.#offsets]
    this.#positions = [...rebuilt.#positions.slice(0, count), ...this.#positions]
    const firstTime = this.#times[0] ?? Number.POSITIVE_INFINITY
    const times = rebuilt.#times.filter((time) => time < firstTime)
    this.#times = [...times, ...this.#times]
    this.#timeOffsets = [...rebuilt.#timeOffsets.slice(0, times.length), ...this.#timeOffsets]
    this.#lastTimestamp = Math.max(this.#lastTimestamp, this.#times.at(-1) ?? -1)
    this.generation++
    this.filedOffsets = 0
    this.filedTimes = 0
    this.filesDiffer = true
  }

  /** The bytes of the unfiled entries. */
  encodeUnfiled(): EncodedEntries {
    const offsets = new Uint8Array(this.#offsets.length * offsetEntryBytes)
    const times = new Uint8Array(this.#times.length * timeEntryBytes)
    this.encodeInto(offsets, times)
    return { offsets, times }
  }

  /** The same at the start of memory that has room for them, for whoever asks thousands of segments. */
  encodeInto(offsets: Uint8Array, times: Uint8Array): void {
    for (let index = 0; index < this.#offsets.length; index++) {
      writeInt32(offsets, index * offsetEntryBytes, this.#offsets[index] as number)
      writeInt32(offsets, index * offsetEntryBytes + 4, this.#positions[index] as number)
    }
    for (let index = 0; index < this.#times.length; index++) {
      writeInt64(times, index * timeEntryBytes, this.#times[index] as number)
      writeInt32(times, index * timeEntryBytes + 8, this.#timeOffsets[index] as number)
    }
  }

  /** The files hold this many entries now; nothing happens when the index was rebuilt since (`generation`). */
  markFiled(generation: number, offsets: number, times: number): void {
    if (generation !== this.generation) return
    const newOffsets = offsets - this.filedOffsets
    if (newOffsets > 0) {
      this.#offsets.splice(0, newOffsets)
      this.#positions.splice(0, newOffsets)
      this.filedOffsets = offsets
    }
    const newTimes = times - this.filedTimes
    if (newTimes > 0) {
      this.#times.splice(0, newTimes)
      this.#timeOffsets.splice(0, newTimes)
      this.filedTimes = times
    }
    this.filesDiffer = false
  }
}

/** A batch as an index names it: by its last offset, less the segment's base. */
export interface OffsetEntry {
  readonly relativeOffset: number
  readonly position: number
}

/** The last entry of an offset file's bytes that is not above the relative offset; null when there is none. */
export function lookupOffsetFile(bytes: Uint8Array, relativeOffset: number): OffsetEntry | null {
  const count = Math.floor(bytes.length / offsetEntryBytes)
  const index = lastNotAbove(count, (at) => readInt32(bytes, at * offsetEntryBytes), relativeOffset)
  if (index < 0) return null
  return {
    relativeOffset: readInt32(bytes, index * offsetEntryBytes),
    position: readInt32(bytes, index * offsetEntryBytes + 4),
  }
}

/** Relative offset of the last entry of a time file's bytes whose timestamp is below the asked one; 0 when there is none. */
export function lookupTimeFile(bytes: Uint8Array, timestampMs: number): number {
  const count = Math.floor(bytes.length / timeEntryBytes)
  const index = lastNotAbove(count, (at) => readInt64(bytes, at * timeEntryBytes), timestampMs - 1)
  return index < 0 ? 0 : readInt32(bytes, index * timeEntryBytes + 8)
}

/** How many of `count` leading entries of an offset file can be right: offsets and positions rise and lie inside the segment. */
export function validOffsetEntries(
  bytes: Uint8Array,
  sizeInBytes: number,
  relativeEndOffset: number,
  count = Math.floor(bytes.length / offsetEntryBytes),
): number {
  let previousOffset = -1
  let previousPosition = -1
  for (let index = 0; index < count; index++) {
    const offset = readInt32(bytes, index * offsetEntryBytes)
    const position = readInt32(bytes, index * offsetEntryBytes + 4)
    if (offset <= previousOffset || position <= previousPosition) return index
    if (offset >= relativeEndOffset || position >= sizeInBytes) return index
    previousOffset = offset
    previousPosition = position
  }
  return count
}

/** How many of `count` leading entries of a time file can be right. */
export function validTimeEntries(
  bytes: Uint8Array,
  relativeEndOffset: number,
  count = Math.floor(bytes.length / timeEntryBytes),
): number {
  let previousTime = -1
  let previousOffset = -1
  for (let index = 0; index < count; index++) {
    const time = readInt64(bytes, index * timeEntryBytes)
    const offset = readInt32(bytes, index * timeEntryBytes + 8)
    if (time <= previousTime || offset <= previousOffset || offset >= relativeEndOffset) return index
    previousTime = time
    previousOffset = offset
  }
  return count
}

function lastNotAbove(count: number, valueAt: (index: number) => number, bound: number): number {
  let low = 0
  let high = count - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    if (valueAt(middle) <= bound) low = middle + 1
    else high = middle - 1
  }
  return high
}
