/**
 * What stays of one batch, by Apache Kafka's rules. Pure; goes in steps, so that a batch of a million records does not hold the loop.
 *
 * A record stays when it lies behind what the map knows, or when it is the last one of its key and has a value or is a tombstone
 * whose time has not come. Tombstones go `delete.retention.ms` after the pass that met them first: that pass stamps the batch
 * with the moment (its delete horizon: attribute bit 0x40, the base timestamp holds the time; KIP-405).
 */
import { attributesOfCodec, codecMask } from '../../protocol/records/compression.ts'
import type { CompressionCodec } from '../../base/ports.ts'
import { RecordFormatError } from '../../protocol/records/record.ts'
import {
  attributesAt,
  baseTimestampAt,
  batchAttributes,
  batchBaseOffset,
  batchBaseTimestamp,
  batchHeaderBytes,
  batchLastOffset,
  batchMaxTimestamp,
  batchRecordCount,
  batchTimestampType,
  deleteHorizonBit,
  lengthAt,
  logOverheadBytes,
  maxTimestampAt,
  none,
  recordCountAt,
  updateBatchCrc,
  writeInt16,
  writeInt32,
  writeInt64,
} from '../../protocol/records/record-batch.ts'
import { digestOf } from './key-digest.ts'
import type { OffsetMap } from './offset-map.ts'
import { RecordSpans } from './record-spans.ts'
import { RecordWriter } from './record-writer.ts'

export interface FilterRules {
  readonly map: OffsetMap
  /** Null while the clock is known to be wrong: tombstones then stay as they are. */
  readonly nowMs: number | null
  /** delete.retention.ms */
  readonly deleteRetentionMs: number
}

/** What is decided of the whole batch before its records are looked at. */
export interface BatchRules {
  /** `map`: record by record; `all`: every record (a marker); `none`: no record (aborted, or a marker whose time has come). */
  readonly records: 'map' | 'all' | 'none'
  /** Its header stays when its records go: the newest of its producer, or the last of what is being cleaned. */
  readonly keepHeader: boolean
  /** A marker without a transaction: begins its time as a tombstone does. */
  readonly isPassingMarker: boolean
}

export type BatchFate =
  /** As it is stored. */
  | { readonly kind: 'whole' }
  | { readonly kind: 'nothing' }
  /** A header alone. */
  | { readonly kind: 'header' }
  | { readonly kind: 'records'; readonly writer: RecordWriter; readonly header: RewrittenHeader }

export interface RewrittenHeader {
  readonly count: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly hasDeleteHorizon: boolean
}

/** Latest delete horizon, some 70,000 years: what the variable-length numbers of records can count back from. */
const horizonMsMax = 2 ** 51

/** When the tombstones of a batch may go, ms; null while no pass has set it. */
export function deleteHorizonOf(batch: Uint8Array): number | null {
  return (batchAttributes(batch) & deleteHorizonBit) === 0 ? null : batchBaseTimestamp(batch)
}

export class BatchFilter {
  readonly #batch: Uint8Array
  readonly #rules: FilterRules
  readonly #batchRules: BatchRules
  readonly #spans: RecordSpans
  readonly #horizonMs: number | null
  /** Start and end of each stretch of kept records. */
  readonly #runs: number[] = []
  #kept = 0
  #keptBytes = 0
  #hasTombstone = false
  #maxDelta = Number.NEGATIVE_INFINITY

  /** `records`: those of the batch, not compressed. Throws RecordFormatError, as `step` does, for what are no records. */
  constructor(batch: Uint8Array, records: Uint8Array, rules: FilterRules, batchRules: BatchRules) {
    this.#batch = batch
    this.#rules = rules
    this.#batchRules = batchRules
    this.#spans = new RecordSpans(records, batchRules.records === 'none' ? 0 : batchRecordCount(batch))
    this.#horizonMs = deleteHorizonOf(batch)
  }

  /** Looks at this many records; true when there are no more. */
  step(recordsMax: number): boolean {
    const spans = this.#spans
    for (let left = recordsMax; left > 0; left--) {
      if (this.#batchRules.records === 'none' || !spans.next()) return true
      if (!this.#stays()) continue
      this.#kept++
      this.#keptBytes += spans.end - spans.start
      if (!spans.hasValue) this.#hasTombstone = true
      if (spans.timestampDelta > this.#maxDelta) this.#maxDelta = spans.timestampDelta
      if (this.#runs.at(-1) === spans.start) this.#runs[this.#runs.length - 1] = spans.end
      else this.#runs.push(spans.start, spans.end)
    }
    return false
  }

  #stays(): boolean {
    if (this.#batchRules.records === 'all') return true
    const { map, nowMs } = this.#rules
    const { key, hasValue, offsetDelta } = this.#spans
    const offset = batchBaseOffset(this.#batch) + offsetDelta
    if (offset > map.latestOffset) return true
    if (key === null || offset < map.get(digestOf(key))) return false
    return hasValue || this.#horizonMs === null || nowMs === null || nowMs < this.#horizonMs
  }

  /** Call it once `step` has answered true. */
  fate(): BatchFate {
    const { keepHeader, isPassingMarker, records } = this.#batchRules
    if (this.#kept === 0) {
      if (!keepHeader) return { kind: 'nothing' }
      return batchRecordCount(this.#batch) === 0 ? { kind: 'whole' } : { kind: 'header' }
    }
    const { map, nowMs, deleteRetentionMs } = this.#rules
    // Behind what the map knows the older records of a tombstone's key are still there: its time has not begun.
    const isReached = batchLastOffset(this.#batch) <= map.latestOffset
    const isMarked = isReached && (records === 'all' ? isPassingMarker : this.#hasTombstone)
    const mustMark = isMarked && this.#horizonMs === null && nowMs !== null
    if (this.#kept === this.#spans.count && !mustMark) return { kind: 'whole' }
    const oldBaseMs = batchBaseTimestamp(this.#batch)
    const baseTimestampMs = mustMark ? Math.min(nowMs + deleteRetentionMs, horizonMsMax) : oldBaseMs
    const isAppendTime = batchTimestampType(this.#batch) === 'LogAppendTime'
    const maxTimestampMs = isAppendTime ? batchMaxTimestamp(this.#batch) : oldBaseMs + this.#maxDelta
    if (!Number.isSafeInteger(maxTimestampMs)) throw new RecordFormatError('a timestamp out of bounds')
    const kept = { runs: this.#runs, size: this.#keptBytes, count: this.#kept }
    return {
      kind: 'records',
      writer: new RecordWriter(this.#spans.bytes, kept, oldBaseMs - baseTimestampMs),
      header: {
        count: this.#kept,
        baseTimestampMs,
        maxTimestampMs,
        hasDeleteHorizon: mustMark || this.#horizonMs !== null,
      },
    }
  }
}

/** The batch with other records, compressed by `codec` already: offsets, producer and sequence stay. */
export function rewriteBatch(
  batch: Uint8Array,
  body: Uint8Array,
  codec: CompressionCodec,
  header: RewrittenHeader,
): Uint8Array {
  const rewritten = new Uint8Array(batchHeaderBytes + body.length)
  rewritten.set(batch.subarray(0, batchHeaderBytes))
  rewritten.set(body, batchHeaderBytes)
  const kept = batchAttributes(batch) & ~(codecMask | deleteHorizonBit)
  const attributes = kept | attributesOfCodec(codec) | (header.hasDeleteHorizon ? deleteHorizonBit : 0)
  writeInt32(rewritten, lengthAt, rewritten.length - logOverheadBytes)
  writeInt16(rewritten, attributesAt, attributes)
  writeInt64(rewritten, baseTimestampAt, header.baseTimestampMs)
  writeInt64(rewritten, maxTimestampAt, header.maxTimestampMs)
  writeInt32(rewritten, recordCountAt, header.count)
  updateBatchCrc(rewritten)
  return rewritten
}

/** The header of a batch without its records: carries the offsets, and the newest sequence number of its producer. */
export function headerOf(batch: Uint8Array): Uint8Array {
  return rewriteBatch(batch, new Uint8Array(0), 'none', {
    count: 0,
    baseTimestampMs: none,
    maxTimestampMs: batchMaxTimestamp(batch),
    hasDeleteHorizon: false,
  })
}
