/** Reads commands that are not new: batches of what has waited, and what a session left behind. */
import { copyBytes } from '../../base/bytes.ts'
import { nextTurn } from '../../base/next-turn.ts'
import { type Clock, type Compute, ComputeError, DiskError } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import {
  batchBaseOffset,
  batchCodec,
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

/** Visits the records of [from, to), as far as the log has them; the visitor ends it with false. Answers where it ended. */
export async function readCommands(
  partition: Partition,
  { from, to }: { readonly from: number; readonly to: number },
  options: CommandReadingOptions,
  visit: (record: RecordView) => boolean | Promise<boolean>,
): Promise<number> {
  const batches = batchesIn(partition, { from, to, bytesMax: options.readBytes }, options)
  for (let next = await batches.next(); ; next = await batches.next()) {
    if (next.done === true) return next.value
    for (const record of await recordsIn(next.value, options)) {
      if (record.offset < from || record.offset >= to) continue
      if (!(await visit(record))) return record.offset
    }
  }
}

/** A batch in memory of its own. */
export interface CommandBatch {
  readonly baseOffset: number
  readonly endOffset: number
  readonly records: ReadonlyMap<number, RecordView>
  readonly sizeInBytes: number
}

/** The batch that an offset is in; null when it is not there any more, or cannot be read. */
export async function readBatch(
  partition: Partition,
  offset: number,
  options: CommandReadingOptions,
): Promise<CommandBatch | null> {
  for await (const batch of batchesIn(partition, { from: offset, to: offset + 1, bytesMax: 1 }, options)) {
    // What has been unpacked is nobody else's; the rest may be a part of what the log holds in memory.
    const records = await recordsIn(batchCodec(batch) === 'none' ? copyBytes(batch) : batch, options)
    return {
      baseOffset: batchBaseOffset(batch),
      endOffset: batchLastOffset(batch) + 1,
      records: new Map(records.map((record) => [record.offset, record])),
      sizeInBytes: records.reduce((sum, record) => sum + sizeOf(record), 0),
    }
  }
  return null
}

/** What a record takes beside its bytes, about. */
const recordBytes = 200

function sizeOf({ key, value, headers }: RecordView): number {
  const ofHeaders = headers.reduce((sum, header) => sum + header.key.length + (header.value?.length ?? 0), 0)
  return recordBytes + (key?.length ?? 0) + (value?.length ?? 0) + ofHeaders
}

/** Batches that hold something of [from, to), as they are stored. Answers where they ended. */
async function* batchesIn(
  partition: Partition,
  { from, to, bytesMax }: { readonly from: number; readonly to: number; readonly bytesMax: number },
  options: CommandReadingOptions,
): AsyncGenerator<Uint8Array, number> {
  const { broker, clock } = options
  let at = from
  while (at < to && at < partition.highWatermark && !partition.log.isDeleted && !options.isStopped()) {
    // Others have the loop between two reads.
    await nextTurn(clock)
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
      if (batchBaseOffset(batch) >= to) return to
      yield batch
      at = Math.max(at, batchLastOffset(batch) + 1)
    }
  }
  return at
}

/** Nothing of a batch that cannot be read. */
async function recordsIn(
  batch: Uint8Array,
  { compute, decompressedBytesMax }: CommandReadingOptions,
): Promise<readonly RecordView[]> {
  if (batchIsControl(batch)) return []
  try {
    return await recordsOf(batch, compute, decompressedBytesMax)
  } catch (error) {
    if (error instanceof ComputeError || error instanceof RecordFormatError) return []
    throw error
  }
}
