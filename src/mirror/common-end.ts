/**
 * The target holds more of a partition than we do: this node has lost its tail (a disk that lied about a flush, a data directory brought
 * back from a copy) and what it appends now lies under offsets that the target knows other records by. The two histories are the same
 * up to some offset; this finds it, by comparing records backwards from our end, and sending begins anew there.
 */
import type { Compute } from '../base/ports.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import {
  batchBaseSequence,
  batchLastOffset,
  batchProducerEpoch,
  batchProducerId,
  batchSizeInBytes,
} from '../protocol/records/record-batch.ts'
import { recordsOf, type RecordView } from '../protocol/records/record.ts'
import type { MirrorAnchor } from './anchor.ts'
import type { SourcePartition } from './mirror-source.ts'
import type { TargetBounds } from './resume.ts'
import type { TargetConnection, TopicPartitionName } from './target-connection.ts'

export interface CommonEndQuestion {
  readonly name: TopicPartitionName
  readonly anchor: MirrorAnchor
  readonly source: SourcePartition
  readonly sourceEndOffset: number
  readonly target: TargetBounds
}

export type CommonEnd =
  | { readonly kind: 'found'; readonly offset: number }
  /** The target does not let itself be read. */
  | { readonly kind: 'refused'; readonly error: KafkaErrorName }

/** The first look goes this many offsets back, each further one ten times as many. */
const firstSpanOffsets = 1_000
/** What one batch may take when decompressed. */
const decompressedBytesMax = 64 * 1024 * 1024
const sourceReadBytes = 1024 * 1024

/**
 * First source offset whose record is not the one that the target holds for it; at most `sourceEndOffset`. Rejects when the connection
 * ends or a batch cannot be decoded.
 */
export async function findCommonEnd(
  question: CommonEndQuestion,
  connection: TargetConnection,
  compute: Compute,
): Promise<CommonEnd> {
  const { anchor, target } = question
  const low = Math.max(target.startOffset, anchor.targetEndOffset)
  let spanEnd = target.endOffset
  for (let span = firstSpanOffsets; spanEnd > low; span *= 10) {
    const spanStart = Math.max(low, target.endOffset - span)
    const found = await compareSpan(question, { from: spanStart, to: spanEnd }, connection, compute)
    if (found !== null) return found
    spanEnd = spanStart
  }
  return { kind: 'found', offset: anchor.sourceOffset }
}

/** Where the histories part inside the span; null when they have parted before it, or it holds nothing to compare. */
async function compareSpan(
  question: CommonEndQuestion,
  span: { readonly from: number; readonly to: number },
  connection: TargetConnection,
  compute: Compute,
): Promise<CommonEnd | null> {
  let commonEnd: number | null = null
  for (let at = span.from; at < span.to; ) {
    const { error, bytes } = await connection.fetchTail(question.name, at)
    if (error !== 'NONE') return { kind: 'refused', error }
    const before = at
    for (let position = 0; position < bytes.length; position += batchSizeInBytes(bytes, position)) {
      at = batchLastOffset(bytes, position) + 1
      const first = sourceOffsetOf(bytes, position, question.anchor)
      if (first === null || first >= question.sourceEndOffset) continue
      const records = await recordsOf(bytes.subarray(position), compute, decompressedBytesMax)
      const partAt = await firstDifference(question, first, records, compute)
      if (partAt === first && commonEnd === null) return null
      if (partAt !== null) return { kind: 'found', offset: partAt }
      commonEnd = Math.min(first + records.length, question.sourceEndOffset)
    }
    if (at === before) break
  }
  return commonEnd === null ? null : { kind: 'found', offset: commonEnd }
}

/** The source offset of the first record of a batch of ours; null for others. */
function sourceOffsetOf(bytes: Uint8Array, at: number, anchor: MirrorAnchor): number | null {
  const isOurs =
    batchProducerId(bytes, at) === anchor.producerId && batchProducerEpoch(bytes, at) === anchor.producerEpoch
  return isOurs ? anchor.sourceOffset + batchBaseSequence(bytes, at) : null
}

/** The first source offset from `first` on whose record is not the target's; null when all that we hold are. */
async function firstDifference(
  question: CommonEndQuestion,
  first: number,
  records: readonly RecordView[],
  compute: Compute,
): Promise<number | null> {
  const { source } = question
  const end = Math.min(first + records.length, question.sourceEndOffset)
  for (let at = Math.max(first, source.startOffset); at < end; ) {
    const read = await source.read(at, sourceReadBytes)
    if (read.kind === 'damaged') {
      // Ours cannot be compared any more; the target has what was sent when they were whole.
      at = read.nextOffset
      continue
    }
    if (read.kind === 'outOfRange' || read.bytes.length === 0) return at
    for (
      let position = 0;
      position < read.bytes.length && at < end;
      position += batchSizeInBytes(read.bytes, position)
    ) {
      for (const record of await recordsOf(read.bytes.subarray(position), compute, decompressedBytesMax)) {
        if (record.offset < at || record.offset >= end) continue
        if (record.offset > at || !isSame(record, records[at - first])) return at
        at++
      }
    }
  }
  return null
}

function isSame(left: RecordView, right: RecordView | undefined): boolean {
  if (right === undefined || left.timestampMs !== right.timestampMs || left.headers.length !== right.headers.length)
    return false
  const headersAreSame = left.headers.every((header, index) => {
    const other = right.headers[index]
    return other !== undefined && header.key === other.key && bytesAreSame(header.value, other.value)
  })
  return headersAreSame && bytesAreSame(left.key, right.key) && bytesAreSame(left.value, right.value)
}

function bytesAreSame(left: Uint8Array | null, right: Uint8Array | null): boolean {
  return left === null || right === null ? left === right : Buffer.compare(left, right) === 0
}
