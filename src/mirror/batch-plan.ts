/**
 * Cuts a piece of the source log into what goes into one Produce request each: large batches as they are, runs of small ones
 * merged, and what can go neither way rebuilt record by record. Pure; looks at batch headers only.
 */
import type { CompressionCodec } from '../base/ports.ts'
import {
  batchAttributes,
  batchBaseOffset,
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
  batchTimestampType,
  deleteHorizonBit,
} from '../protocol/records/record-batch.ts'
import { firstTimestamp, mergedBytesMax, mergeTimestampSpanMs } from './batch-merge.ts'

export interface PlanLimits {
  /** No batch larger than this is made or sent. */
  readonly batchBytesMax: number
  /** Batches from this size on are not worth merging. */
  readonly verbatimBytesMin: number
  /** Batches whose records have to be looked at one by one because of their times. */
  readonly times?: { isSuspect(bytes: Uint8Array, at: number): boolean }
}

/** One step through the piece: where it begins and ends in the bytes, and in offsets (`endOffset` exclusive). */
export interface PlanStep {
  /**
   * `skip`: nothing to send (control batch, or below the wanted offset). `verbatim`: one batch as it is. `merge`: uncompressed
   * batches become one. `rebuild`: records are taken out and put into new batches: a batch that is begun in its middle, has holes, is
   * too large, or carries LogAppendTime; or a run of small compressed ones of one codec.
   */
  readonly kind: 'skip' | 'verbatim' | 'merge' | 'rebuild'
  readonly at: number
  readonly end: number
  readonly baseOffset: number
  readonly endOffset: number
  readonly codec: CompressionCodec
}

/** A run of compressed batches is put into one only when there are this many: else the work of the codec is not paid back. */
const compressedRunMin = 4
/** Compressed batches from this size on stay as they are. */
const compressedVerbatimBytesMin = 32 * 1024

/**
 * The next step from `at` in `bytes` (whole batches), when `wantedOffset` is the first offset not yet sent; null at the end.
 * A step never spans a hole in the offsets: the caller sees one where `baseOffset` is above what it expected.
 */
export function planStep(bytes: Uint8Array, at: number, wantedOffset: number, limits: PlanLimits): PlanStep | null {
  if (at + batchHeaderBytes > bytes.length) return null
  const end = at + batchSizeInBytes(bytes, at)
  if (end > bytes.length) return null
  const baseOffset = batchBaseOffset(bytes, at)
  const endOffset = batchLastOffset(bytes, at) + 1
  const codec = batchCodec(bytes, at) ?? 'none'
  const step = { at, end, baseOffset, endOffset, codec }
  if (endOffset <= wantedOffset || batchIsControl(bytes, at) || batchRecordCount(bytes, at) === 0) {
    return {
      ...step,
      kind: 'skip',
      baseOffset: Math.max(baseOffset, wantedOffset),
      endOffset: Math.max(endOffset, wantedOffset),
    }
  }
  if (baseOffset < wantedOffset) return { ...step, kind: 'rebuild', baseOffset: wantedOffset }
  if (!isPlain(bytes, at) || end - at > limits.batchBytesMax) return { ...step, kind: 'rebuild' }
  if (limits.times?.isSuspect(bytes, at) === true) return suspectRun(bytes, step, limits)
  if (codec !== 'none') return compressedRun(bytes, step, limits)
  return uncompressedRun(bytes, step, limits)
}

/** Can this batch go as it is, or into a merge? Not with holes, and not with times that the target would read differently. */
function isPlain(bytes: Uint8Array, at: number): boolean {
  const count = batchRecordCount(bytes, at)
  if (count !== batchLastOffset(bytes, at) - batchBaseOffset(bytes, at) + 1) return false
  if ((batchAttributes(bytes, at) & deleteHorizonBit) !== 0) return false
  return batchCodec(bytes, at) === 'none' || batchTimestampType(bytes, at) === 'CreateTime'
}

type Step = Omit<PlanStep, 'kind'>

function uncompressedRun(bytes: Uint8Array, first: Step, limits: PlanLimits): PlanStep {
  const isAppendTime = batchTimestampType(bytes, first.at) === 'LogAppendTime'
  const alone: PlanStep = { ...first, kind: isAppendTime ? 'merge' : 'verbatim' }
  if (first.end - first.at >= limits.verbatimBytesMin) return alone
  const firstMs = firstTimestamp(bytes, first.at)
  const run = growRun(bytes, first, (at, runBytes, runRecords) => {
    if (limits.times?.isSuspect(bytes, at) === true) return false
    const isSmall = batchSizeInBytes(bytes, at) < limits.verbatimBytesMin
    const isNear = Math.abs(firstTimestamp(bytes, at) - firstMs) < mergeTimestampSpanMs
    return isSmall && isNear && mergedBytesMax(runBytes, runRecords) <= limits.batchBytesMax
  })
  return run.end === first.end ? alone : { ...first, ...run, kind: 'merge' }
}

function compressedRun(bytes: Uint8Array, first: Step, limits: PlanLimits): PlanStep {
  const verbatim: PlanStep = { ...first, kind: 'verbatim' }
  if (first.end - first.at >= compressedVerbatimBytesMin) return verbatim
  const run = growRun(bytes, first, (at, runBytes) => {
    if (limits.times?.isSuspect(bytes, at) === true) return false
    return batchSizeInBytes(bytes, at) < compressedVerbatimBytesMin && runBytes <= limits.batchBytesMax / 2
  })
  return run.batches < compressedRunMin
    ? verbatim
    : { ...first, end: run.end, endOffset: run.endOffset, kind: 'rebuild' }
}

/** Batches whose records are looked at one by one, as many as make one batch. */
function suspectRun(bytes: Uint8Array, first: Step, limits: PlanLimits): PlanStep {
  const run = growRun(
    bytes,
    first,
    (at, runBytes, runRecords) =>
      limits.times?.isSuspect(bytes, at) === true && mergedBytesMax(runBytes, runRecords) <= limits.batchBytesMax,
  )
  return { ...first, end: run.end, endOffset: run.endOffset, kind: 'rebuild' }
}

interface Run {
  readonly end: number
  readonly endOffset: number
  readonly batches: number
}

/** May the batch at `at` join, which makes the run this long? */
type JoinTest = (at: number, runBytes: number, runRecords: number) => boolean

/** Takes following batches of the same codec without a hole, while they fit. */
function growRun(bytes: Uint8Array, first: Step, fits: JoinTest): Run {
  let { end, endOffset } = first
  let batches = 1
  let count = first.endOffset - first.baseOffset
  while (end + batchHeaderBytes <= bytes.length) {
    const next = end
    const nextEnd = next + batchSizeInBytes(bytes, next)
    const isSame =
      nextEnd <= bytes.length && batchBaseOffset(bytes, next) === endOffset && batchCodec(bytes, next) === first.codec
    if (!isSame || batchIsControl(bytes, next) || batchRecordCount(bytes, next) === 0 || !isPlain(bytes, next)) break
    count += batchRecordCount(bytes, next)
    if (!fits(next, nextEnd - first.at, count)) break
    end = nextEnd
    endOffset = batchLastOffset(bytes, next) + 1
    batches++
  }
  return { end, endOffset, batches }
}
