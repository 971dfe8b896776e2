/** Reads commands that are not new: single ones that have waited, and what a session left behind. */
import { type Clock, type Compute, ComputeError, DiskError } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import {
  batchBaseOffset,
  batchIsControl,
  batchLastOffset,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'
import { RecordFormatError, recordsOf, type RecordView } from '../../protocol/records/record.ts'
import { batchesOf } from './log-gap.ts'

export interface CommandReadingOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly readBytes: number
  readonly decompressedBytesMax: number
  /** Nothing more is read then. */
  readonly isStopped: () => boolean
}

/** A failed read is tried again after this. */
const retryMs = 1000

/** The record at an offset; null when it is not there any more, or cannot be read. */
export async function readCommand(
  partition: Partition,
  offset: number,
  options: CommandReadingOptions,
): Promise<RecordView | null> {
  let found: RecordView | null = null
  await readCommands(partition, { from: offset, to: offset + 1 }, options, (record) => {
    if (record.offset === offset) found = record
    return true
  })
  return found
}

/** Visits the records of [from, to), as far as the log has them; the visitor ends it with false. Answers where it ended. */
export async function readCommands(
  partition: Partition,
  { from, to }: { readonly from: number; readonly to: number },
  options: CommandReadingOptions,
  visit: (record: RecordView) => boolean | Promise<boolean>,
): Promise<number> {
  const { broker, clock, compute, readBytes, decompressedBytesMax } = options
  let at = from
  while (at < to && at < partition.highWatermark && !partition.log.isDeleted && !options.isStopped()) {
    const bytesMax = to === from + 1 ? 1 : readBytes
    // Others have the loop between two reads.
    await new Promise<void>((resolve) => clock.defer(resolve))
    const read = await broker.readTailCold(partition, at, bytesMax).catch((error: unknown) => {
      if (error instanceof DiskError) return null
      throw error
    })
    if (read === null) {
      if (partition.log.isDeleted) return at
      await new Promise<void>((resolve) => clock.schedule(retryMs, resolve))
      continue
    }
    const batches = batchesOf(read, partition, { fromOffset: at, endOffset: partition.highWatermark })
    if (!(batches instanceof Uint8Array)) {
      if (batches.cause === 'unreadable') return at
      at = batches.toOffset
      continue
    }
    for (let place = 0; place < batches.length && at < to; place += batchSizeInBytes(batches, place)) {
      const batch = batches.subarray(place, place + batchSizeInBytes(batches, place))
      const endOffset = batchLastOffset(batch) + 1
      if (batchBaseOffset(batch) >= to) return to
      for (const record of batchIsControl(batch) ? [] : await recordsIn(batch, compute, decompressedBytesMax)) {
        if (record.offset < at || record.offset >= to) continue
        if (!(await visit(record))) return record.offset
      }
      at = Math.max(at, endOffset)
    }
  }
  return at
}

/** Nothing of a batch that cannot be read. */
async function recordsIn(batch: Uint8Array, compute: Compute, bytesMax: number): Promise<readonly RecordView[]> {
  try {
    return await recordsOf(batch, compute, bytesMax)
  } catch (error) {
    if (error instanceof ComputeError || error instanceof RecordFormatError) return []
    throw error
  }
}
