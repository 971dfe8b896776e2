/** Reads a coordinator's partition from its start and hands out every record, in memory of a few batches. */
import type { Compute } from '../../base/ports.ts'
import { endTransactionMarker } from '../../protocol/records/control-record.ts'
import {
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchProducerId,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'
import { type RecordView, recordsOf } from '../../protocol/records/record.ts'
import type { CoordinatorPartition } from './coordinator-log.ts'

export interface ReplayVisitor {
  /** A record; `producerId` is that of its transaction, null outside of one. Views: copy what is kept. */
  record(record: RecordView, producerId: number | null): void
  /** Records of these offsets are lost (`endOffset` exclusive); the replay goes on behind them. */
  damaged(fromOffset: number, endOffset: number): void
  /** The end of a producer's transaction. */
  transactionEnded(producerId: number, isCommitted: boolean): void
}

export interface ReplaySummary {
  readonly records: number
  readonly bytes: number
}

/** Bytes of one read: some thousand records, about a millisecond or two of work between two reads. */
const readBytes = 131_072
/** Decompressed bytes of one batch at most; ours are not compressed, another broker's may be. */
const batchBytesMax = 64 * 1_048_576

/** Replays what is in the log now. Rejects when it cannot be read. */
export async function replayPartition(
  partition: CoordinatorPartition,
  compute: Compute,
  visitor: ReplayVisitor,
): Promise<ReplaySummary> {
  const endOffset = partition.logEndOffset
  let records = 0
  let bytes = 0
  for (let offset = partition.logStartOffset; offset < endOffset; ) {
    const result = await partition.read(offset, endOffset, readBytes)
    if (result.kind === 'damaged') {
      // What is behind it is worth more than a coordinator that does not come up: the newest records are at the end.
      const damagedEnd = Math.min(Math.max(result.nextOffset, offset + 1), endOffset)
      visitor.damaged(offset, damagedEnd)
      offset = damagedEnd
      continue
    }
    if (result.kind === 'outOfRange') {
      // The start of the log has moved meanwhile; what was below it is not wanted any more.
      if (partition.logStartOffset <= offset)
        throw new Error(`offset ${offset} of the coordinator's log cannot be read`)
      offset = partition.logStartOffset
      continue
    }
    if (result.bytes.length === 0) break
    bytes += result.bytes.length
    for (let at = 0; at < result.bytes.length; ) {
      const batch = result.bytes.subarray(at, at + batchSizeInBytes(result.bytes, at))
      at += batch.length
      offset = batchLastOffset(batch) + 1
      records += await replayBatch(batch, compute, visitor)
    }
  }
  return { records, bytes }
}

async function replayBatch(batch: Uint8Array, compute: Compute, visitor: ReplayVisitor): Promise<number> {
  const producerId = batchIsTransactional(batch) ? batchProducerId(batch) : null
  if (batchIsControl(batch)) {
    const marker = endTransactionMarker(batch)
    if (marker !== null) visitor.transactionEnded(batchProducerId(batch), marker.type === 'COMMIT')
    return 0
  }
  const records = await recordsOf(batch, compute, batchBytesMax)
  for (const record of records) visitor.record(record, producerId)
  return records.length
}
