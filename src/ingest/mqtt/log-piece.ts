import {
  batchBaseOffset,
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'
import { type BatchTimes, type ScannedRecord, scanRecords, timesOf } from './record-scan.ts'

/** Records of one batch, uncompressed. */
interface Span {
  readonly baseOffset: number
  readonly endOffset: number
  readonly bytes: Uint8Array
  readonly start: number
  readonly end: number
  readonly count: number
  readonly times: BatchTimes
  /** Of the batch as it stands in the log. */
  readonly sizeInBytes: number
}

/** Where the piece begins to matter, and where the common reader is: from there on nothing is taken. */
export interface PieceRange {
  readonly fromOffset: number
  readonly liveOffset: number
}

interface Range {
  readonly fromOffset: number
  readonly endOffset: number
  readonly batchesEndOffset: number
  readonly hasGaps: boolean
}

/** Called with each record; false = the walk ends behind it. */
export type RecordVisit = (bytes: Uint8Array, record: ScannedRecord, offset: number) => boolean

export interface Walk {
  /** Records below were visited. */
  readonly endOffset: number
  /** The batch that reaches up to `endOffset` cannot be read. */
  readonly isUnreadable: boolean
}

/** A part of the log in memory that several readers take at their own pace: a run of uncompressed batches, or a compressed one unpacked. */
export class LogPiece {
  readonly fromOffset: number
  readonly endOffset: number
  /** Where its batches end: above `endOffset` when that is the live end. */
  readonly batchesEndOffset: number
  readonly sizeInBytes: number
  /** Offsets are missing in it. */
  readonly hasGaps: boolean
  private readonly spans: readonly Span[]
  /** The record at which a walk was ended: the next one need not begin at the batch's first. */
  private mark: {
    readonly span: Span
    readonly offset: number
    readonly start: number
    readonly count: number
  } | null = null

  /** Of what is unpacked. */
  private letGo: (() => void) | null

  private constructor(
    spans: readonly Span[],
    range: Range,
    { sizeInBytes, letGo }: { readonly sizeInBytes: number; readonly letGo: (() => void) | null },
  ) {
    this.letGo = letGo
    this.spans = spans
    this.fromOffset = range.fromOffset
    this.endOffset = range.endOffset
    this.batchesEndOffset = range.batchesEndOffset
    this.sizeInBytes = sizeInBytes
    this.hasGaps = range.hasGaps
  }

  /** The uncompressed batches from `at` on; answers also where they end. Empty when a compressed one stands at `at`. */
  static of(bytes: Uint8Array, at: number, range: PieceRange): [LogPiece, number] {
    const spans: Span[] = []
    let end = at
    let endOffset = range.fromOffset
    let hasGaps = false
    while (end < bytes.length && !isCompressed(bytes, end)) {
      const size = batchSizeInBytes(bytes, end)
      hasGaps ||= batchBaseOffset(bytes, end) > endOffset || !isDense(bytes, end)
      endOffset = batchLastOffset(bytes, end) + 1
      if (!batchIsControl(bytes, end))
        spans.push(spanOf(bytes, end, { bytes, start: end + batchHeaderBytes, end: end + size }))
      end += size
    }
    return [new LogPiece(spans, within(range, endOffset, hasGaps), { sizeInBytes: end - at, letGo: null }), end]
  }

  /** A compressed batch, whose records are these until `letGo` is called. */
  static unpacked(batch: Uint8Array, records: Uint8Array, range: PieceRange, letGo: () => void): LogPiece {
    const span = spanOf(batch, 0, { bytes: records, start: 0, end: records.length })
    const hasGaps = span.baseOffset > range.fromOffset || !isDense(batch, 0)
    return new LogPiece([span], within(range, span.endOffset, hasGaps), { sizeInBytes: records.length, letGo })
  }

  /** Nobody walks through it any more. */
  giveBack(): void {
    this.letGo?.()
    this.letGo = null
  }

  /** Visits the records from an offset on; `onBatchEnd` is called when all of a batch have been visited. */
  walk(fromOffset: number, visit: RecordVisit, onBatchEnd: (endOffset: number, bytes: number) => void): Walk {
    for (const span of this.spans) {
      if (span.endOffset <= fromOffset) continue
      const { mark } = this
      const begun = mark !== null && mark.span === span && mark.offset <= fromOffset ? mark : span
      let left = begun.count
      let recordStart = begun.start
      let stopped: number | null = null
      try {
        scanRecords(
          span.bytes,
          { start: begun.start, end: span.end, count: begun.count, times: span.times },
          (record) => {
            const start = recordStart
            recordStart = record.headersEnd
            left -= 1
            const offset = span.baseOffset + record.offsetDelta
            if (offset < fromOffset || offset >= this.endOffset) return true
            if (visit(span.bytes, record, offset)) return true
            stopped = offset + 1
            this.mark = { span, offset, start, count: left + 1 }
            return false
          },
        )
      } catch {
        return { endOffset: Math.min(span.endOffset, this.endOffset), isUnreadable: true }
      }
      if (stopped !== null) return { endOffset: stopped, isUnreadable: false }
      if (span.endOffset <= this.endOffset) onBatchEnd(span.endOffset, span.sizeInBytes)
    }
    return { endOffset: this.endOffset, isUnreadable: false }
  }
}

/** Must the batch be unpacked before its records can be walked? */
export function isCompressed(bytes: Uint8Array, at: number): boolean {
  return batchCodec(bytes, at) !== 'none' && !batchIsControl(bytes, at)
}

/** Does the batch have a record for each of its offsets? */
function isDense(bytes: Uint8Array, at: number): boolean {
  return batchRecordCount(bytes, at) > batchLastOffset(bytes, at) - batchBaseOffset(bytes, at)
}

/** What the common reader has not handed over yet belongs to it. */
function within({ fromOffset, liveOffset }: PieceRange, endOffset: number, hasGaps: boolean): Range {
  const ownEnd = Math.min(endOffset, Math.max(liveOffset, fromOffset))
  return { fromOffset, hasGaps, endOffset: ownEnd, batchesEndOffset: endOffset }
}

function spanOf(
  header: Uint8Array,
  at: number,
  records: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
): Span {
  return {
    ...records,
    baseOffset: batchBaseOffset(header, at),
    endOffset: batchLastOffset(header, at) + 1,
    count: batchRecordCount(header, at),
    times: timesOf(header, at),
    sizeInBytes: batchSizeInBytes(header, at),
  }
}
