/** One segment of a log: a `.log` file with its indexes, named by the first offset that it may hold. */
import {
  batchLastOffset,
  batchMaxTimestamp,
  batchRecordCount,
  batchSizeInBytes,
  none,
} from '../protocol/records/record-batch.ts'
import { HeaderChain } from './segment-digest.ts'
import { offsetEntryBytes, SegmentIndex, timeEntryBytes } from './segment-index.ts'

/** Positions remembered for readers that go on where they stopped; the oldest goes first. */
const readHintsMax = 16

/** Greatest distance of an offset from its segment's base offset. */
export const relativeOffsetMax = 0x7fff_ffff

/** `00000000000000000042`, as Kafka names a segment's files. */
export function segmentName(baseOffset: number): string {
  return String(baseOffset).padStart(20, '0')
}

/** Greatest timestamp of the records of a batch; -1 for one that compaction has left without records: no time search may end there. */
export function recordsMaxTimestamp(bytes: Uint8Array, at = 0): number {
  return batchRecordCount(bytes, at) === 0 ? none : batchMaxTimestamp(bytes, at)
}

export class Segment {
  readonly directory: string
  readonly baseOffset: number
  readonly index = new SegmentIndex()
  /** Bytes appended, whether written yet or not. */
  sizeInBytes = 0
  readonly createdMs: number
  /** Max timestamp of the first batch, against which segment.ms counts; -1 = unknown or empty. */
  firstTimestampMs: number = none
  /** How much of segment.jitter.ms this segment is closed earlier, [0, 1); null = not drawn yet. */
  jitterShare: number | null = null
  /** Greatest timestamp and the last offset of the batch that has it; -1 = none. */
  maxTimestampMs: number = none
  maxTimestampOffset: number = none
  /** False for a sealed segment whose time index has not been looked at since the start. */
  maxTimestampIsKnown = true
  /** False until the index files have been held against the log. */
  indexIsChecked = true
  /** Does the file exist, durably? Else the next commit creates it. */
  isOnDisk = true
  /** Blocks taken for the file ahead of its bytes, counted from its start. */
  reservedBytes = 0
  /**
   * Set while and after compaction puts another file in this one's place: what was read since may be of either. Wait for it, then look
   * the segment up again.
   */
  replacement: Promise<void> | null = null
  /** The examination for damage that runs now. */
  examination: Promise<void> | null = null
  /** Every byte has been looked at in this run: what is damaged is known. */
  isExamined = false
  /** Its index did not fit the log although both had been looked at, and was made anew. */
  hasRebuiltIndex = false
  /** Bytes from here on were appended in this run. */
  appendedFrom = 0
  /** Bytes that a reader has checked in this run. */
  #verifiedFrom = 0
  #verifiedEnd = 0
  /** Headers of all batches from the first one on, while it is appended to; null = not known, or written down. */
  chain: HeaderChain | null = new HeaderChain()
  #logPath: string | null = null
  #bytesSinceIndexEntry = 0
  readonly #readHints = new Map<number, number>()

  constructor(directory: string, baseOffset: number, createdMs: number) {
    this.directory = directory
    this.baseOffset = baseOffset
    this.createdMs = createdMs
  }

  get name(): string {
    return segmentName(this.baseOffset)
  }

  get logPath(): string {
    this.#logPath ??= `${this.directory}/${this.name}.log`
    return this.#logPath
  }

  get indexPath(): string {
    return `${this.directory}/${this.name}.index`
  }

  get timeIndexPath(): string {
    return `${this.directory}/${this.name}.timeindex`
  }

  /** Takes in a batch at the end of the segment; adds index entries when the interval has passed. Answers its position. */
  addBatch(bytes: Uint8Array, at: number, indexIntervalBytes: number): number {
    const position = this.sizeInBytes
    const size = batchSizeInBytes(bytes, at)
    this.noteBatch(bytes, at, position, indexIntervalBytes)
    this.sizeInBytes = position + size
    return position
  }

  /** The index and timestamp side of `addBatch`, for a batch that a recovery meets at `position`. */
  noteBatch(bytes: Uint8Array, at: number, position: number, indexIntervalBytes: number): void {
    this.chain?.take(bytes, at, position)
    const maxTimestamp = recordsMaxTimestamp(bytes, at)
    const lastOffset = batchLastOffset(bytes, at)
    if (position === 0) this.firstTimestampMs = maxTimestamp
    if (maxTimestamp > this.maxTimestampMs) {
      this.maxTimestampMs = maxTimestamp
      this.maxTimestampOffset = lastOffset
    }
    if (this.#bytesSinceIndexEntry > indexIntervalBytes) {
      this.index.addOffset(lastOffset - this.baseOffset, position)
      if (this.maxTimestampMs > none) {
        this.index.addTime(this.maxTimestampMs, this.maxTimestampOffset - this.baseOffset)
      }
      this.#bytesSinceIndexEntry = 0
    }
    this.#bytesSinceIndexEntry += batchSizeInBytes(bytes, at)
  }

  /** The first batch of a segment whose headers are not walked from the start. */
  noteFirst(header: Uint8Array): void {
    this.firstTimestampMs = recordsMaxTimestamp(header)
  }

  /** The last entry of the time index is the segment's greatest timestamp: called when it is sealed and at a clean stop. */
  sealTimeIndex(): void {
    if (this.maxTimestampIsKnown && this.maxTimestampMs > none) {
      this.index.addTime(this.maxTimestampMs, this.maxTimestampOffset - this.baseOffset)
    }
  }

  /** No room for another index entry? */
  isIndexFull(segmentIndexBytes: number): boolean {
    return (
      this.index.offsetEntries >= Math.floor(segmentIndexBytes / offsetEntryBytes) ||
      this.index.timeEntries >= Math.floor(segmentIndexBytes / timeEntryBytes) - 1
    )
  }

  /** Where a reader that wants `offset` stopped before, or null. */
  readHint(offset: number): number | null {
    if (offset === this.baseOffset) return 0
    return this.#readHints.get(offset) ?? null
  }

  /** `offset` is the first one at or behind `position`, where a batch begins. */
  rememberRead(offset: number, position: number): void {
    if (this.#readHints.size >= readHintsMax && !this.#readHints.has(offset)) {
      const oldest = this.#readHints.keys().next().value
      if (oldest !== undefined) this.#readHints.delete(oldest)
    }
    this.#readHints.set(offset, position)
  }

  /** Have these bytes been checked, or appended, in this run? */
  isVerified(from: number, end: number): boolean {
    if (this.isExamined || from >= this.appendedFrom) return true
    if (from < this.#verifiedFrom || from >= this.#verifiedEnd) return false
    return end <= this.#verifiedEnd || this.#verifiedEnd >= this.appendedFrom
  }

  /** A reader that goes on where it stopped extends what is checked; another one begins anew. */
  noteVerified(from: number, end: number): void {
    const goesOn = from >= this.#verifiedFrom && from <= this.#verifiedEnd
    if (!goesOn) this.#verifiedFrom = from
    this.#verifiedEnd = goesOn ? Math.max(end, this.#verifiedEnd) : end
  }

  /** Bytes from `sizeInBytes` on are gone. */
  forgetReads(): void {
    this.#readHints.clear()
  }
}
