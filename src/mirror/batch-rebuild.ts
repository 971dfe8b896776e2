/**
 * The slow way through the source: takes records out of their batches and puts them into new ones. Needed where a batch is begun
 * in its middle, has holes (compaction), is larger than the target takes, carries LogAppendTime inside compressed records, or
 * where many small compressed batches become few.
 */
import type { CompressionCodec, Compute } from '../base/ports.ts'
import { encodeHeaders, recordsOf, type RecordView } from '../protocol/records/record.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'
import {
  attributesAt,
  batchHeaderBytes,
  batchSizeInBytes,
  lengthAt,
  logOverheadBytes,
  writeInt16,
  writeInt32,
} from '../protocol/records/record-batch.ts'
import { attributesOfCodec } from '../protocol/records/compression.ts'
import type { PlanStep } from './batch-plan.ts'

/** What one batch may take when decompressed: sixty-four times Kafka's default batch limit. */
const decompressedBytesMax = 64 * 1024 * 1024
/** A codec is kept where it saves at least a twentieth. */
const worthwhileShare = 0.95

/** A batch of its own memory, producer fields empty and CRC not set, whose offsets have no hole. */
export interface RebuiltBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
}

export type Rebuilt =
  | { readonly kind: 'batches'; readonly batches: readonly RebuiltBatch[] }
  /** One record alone is larger than the target takes. The batches before it are given. */
  | {
      readonly kind: 'tooLarge'
      readonly batches: readonly RebuiltBatch[]
      readonly offset: number
      readonly recordBytes: number
    }
  /** A record may not be sent with the time that it has. The batches before it are given. */
  | { readonly kind: 'held'; readonly batches: readonly RebuiltBatch[]; readonly held: HeldRecord }

export interface HeldRecord {
  readonly heldBecause: string
  readonly isForever: boolean
}

export interface RebuildOptions {
  readonly compute: Compute
  /** No batch larger than this is made. */
  readonly batchBytesMax: number
  readonly times?: { timeOf(record: RecordView, batch: Uint8Array): number | HeldRecord }
}

/** Rejects with a ComputeError or RecordFormatError when the source cannot be read. */
export async function rebuildBatches(bytes: Uint8Array, step: PlanStep, options: RebuildOptions): Promise<Rebuilt> {
  const batches: RebuiltBatch[] = []
  const builder = new RecordBatchBuilder({
    bytesMax: options.batchBytesMax,
    initialBytes: Math.min(options.batchBytesMax, 256 * 1024),
  })
  let first = -1
  let next = -1
  const close = async (): Promise<void> => {
    if (builder.recordCount === 0) return
    const built = builder.build({ baseOffset: first })
    batches.push({ bytes: await pack(built, step.codec, options.compute), baseOffset: first, endOffset: next })
  }
  for (let at = step.at; at < step.end; at += batchSizeInBytes(bytes, at)) {
    const batch = bytes.subarray(at, at + batchSizeInBytes(bytes, at))
    for (const record of await recordsOf(batch, options.compute, decompressedBytesMax)) {
      if (record.offset < step.baseOffset) continue
      const time = options.times?.timeOf(record, batch) ?? record.timestampMs
      if (typeof time !== 'number') {
        await close()
        return { kind: 'held', batches, held: time }
      }
      const headers = encodeHeaders(record.headers)
      if (!fits(builder, record, headers) || (builder.recordCount > 0 && record.offset !== next)) await close()
      if (!fits(builder, record, headers)) {
        return { kind: 'tooLarge', batches, offset: record.offset, recordBytes: recordBytes(record) + headers.length }
      }
      if (builder.recordCount === 0) first = record.offset
      builder.append(time, record.key, record.value, headers)
      next = record.offset + 1
    }
  }
  await close()
  return { kind: 'batches', batches }
}

function fits(builder: RecordBatchBuilder, record: RecordView, headers: Uint8Array): boolean {
  return builder.fits(record.key?.length ?? 0, record.value?.length ?? 0, headers.length)
}

function recordBytes(record: RecordView): number {
  return (record.key?.length ?? 0) + (record.value?.length ?? 0)
}

/** The batch with its records compressed by `codec`, or as it is where that saves too little. */
async function pack(batch: Uint8Array, codec: CompressionCodec, compute: Compute): Promise<Uint8Array> {
  if (codec === 'none') return batch
  const body = await compute.compress(codec, batch.subarray(batchHeaderBytes))
  if (body.length > (batch.length - batchHeaderBytes) * worthwhileShare) return batch
  const packed = new Uint8Array(batchHeaderBytes + body.length)
  packed.set(batch.subarray(0, batchHeaderBytes))
  packed.set(body, batchHeaderBytes)
  writeInt32(packed, lengthAt, packed.length - logOverheadBytes)
  writeInt16(packed, attributesAt, attributesOfCodec(codec))
  return packed
}
