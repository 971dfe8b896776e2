/**
 * What a codec is needed for before a batch may be appended: a client's compressed batch is unpacked and its records are looked at
 * (as Apache Kafka does), and a batch goes into the codec that its topic asks for (`compression.type`). The codecs run off the loop.
 */
import { nextTurn } from '../base/next-turn.ts'
import { type Clock, type CompressionCodec, type Compute, ComputeError } from '../base/ports.ts'
import { attributesOfCodec, codecMask } from '../protocol/records/compression.ts'
import {
  attributesAt,
  batchAttributes,
  batchCodec,
  batchHeaderBytes,
  batchMagic,
  lengthAt,
  logOverheadBytes,
  updateBatchCrc,
  writeInt16,
  writeInt32,
} from '../protocol/records/record-batch.ts'
import { checkSize, finishTimes, type ValidationContext, validateFrame, walkOf } from './append-validator.ts'
import type { LogConfig } from './log-config.ts'
import type { Refusal } from './record-walk.ts'

/** So much unpacked is taken from any batch: what clients gather before they compress it, with room to spare. */
const freeUnpackedBytes = 4 * 1_048_576
/** Beyond that, unpacked bytes for one that came: telemetry packs ten to sixty to one, gzip can claim a thousand. */
const ratioMax = 128
/** Most bytes of any batch unpacked: `Compute.unpack` bounds what is in memory at a time. */
const unpackedBytesMax = 32 * 1_048_576
/** Records that are looked at in one turn of the loop: about a millisecond. */
const recordsPerTurn = 65_536
/** A plain batch up to this size is checked where it is appended: below the 10 ms that the loop may be held, records of ten bytes too. */
const atOnceBytesMax = 2 * 1_048_576

export interface PreparationParts {
  readonly clock: Pick<Clock, 'defer'>
  readonly compute: Compute
}

export type Preparation =
  /** To be appended as `recordsChecked`. The batch that came, or a new one. */
  { readonly kind: 'ready'; readonly batch: Uint8Array } | ({ readonly kind: 'refused' } & Refusal)

/** Must the batch pass through `prepareBatch`, for a codec or for its size? One that cannot be read need not: the log refuses it. */
export function needsPreparation(batch: Uint8Array, config: LogConfig): boolean {
  if (batch.length < batchHeaderBytes || batchMagic(batch) !== 2) return false
  const codec = batchCodec(batch)
  if (codec === null) return false
  return codec !== 'none' || targetCodec(codec, config) !== 'none' || batch.length > atOnceBytesMax
}

/** Looks into a client's batch, and puts it into the codec of its topic. */
export async function prepareBatch(
  batch: Uint8Array,
  context: ValidationContext,
  parts: PreparationParts,
): Promise<Preparation> {
  const fault = validateFrame(batch, context)
  if (fault !== null) return { kind: 'refused', ...fault }
  const codec = batchCodec(batch) as CompressionCodec
  const body = batch.subarray(batchHeaderBytes)
  const look = (records: Uint8Array): Promise<Preparation> => prepareRecords(batch, records, context, parts)
  if (codec === 'none') return look(body)
  try {
    return await parts.compute.unpack(codec, body, unpackedLimit(batch, context.config), look)
  } catch (thrown) {
    return refusalOf(thrown)
  }
}

/** `records` are the batch's, unpacked; only until this settles. */
async function prepareRecords(
  batch: Uint8Array,
  records: Uint8Array,
  context: ValidationContext,
  parts: PreparationParts,
): Promise<Preparation> {
  const walk = walkOf(batch, records, 0, context)
  while (!walk.step(recordsPerTurn)) await nextTurn(parts.clock)
  const { refusal } = walk
  if (refusal !== null) return { kind: 'refused', ...refusal }
  finishTimes(batch, walk.maxTimestampMs)
  const codec = batchCodec(batch) as CompressionCodec
  const target = targetCodec(codec, context.config)
  if (target === codec) return { kind: 'ready', batch }
  const tooLarge = target === 'none' ? checkSize(batchHeaderBytes + records.length, context) : null
  if (tooLarge !== null) return { kind: 'refused', ...tooLarge }
  const made = await inCodec(batch, records, target, context.config, parts.compute)
  const misfit = checkSize(made.length, context)
  return misfit === null ? { kind: 'ready', batch: made } : { kind: 'refused', ...misfit }
}

/** A batch that this node has built, in the codec of its topic; as it is where that would make it larger than its topic takes: it was built as large as that. */
export async function compressOwnBatch(batch: Uint8Array, config: LogConfig, compute: Compute): Promise<Uint8Array> {
  const target = targetCodec('none', config)
  if (target === 'none') return batch
  const made = await inCodec(batch, batch.subarray(batchHeaderBytes), target, config, compute)
  return made.length <= config.maxMessageBytes ? made : batch
}

/** Does the topic ask for a codec of its own? */
export function asksForCodec(config: LogConfig): boolean {
  return config.compressionType !== 'producer' && config.compressionType !== 'none'
}

function targetCodec(codec: CompressionCodec, { compressionType }: LogConfig): CompressionCodec {
  return compressionType === 'producer' ? codec : compressionType
}

function unpackedLimit(batch: Uint8Array, config: LogConfig): number {
  const byRatio = Math.max(freeUnpackedBytes, batch.length * ratioMax)
  return Math.min(byRatio, Math.max(unpackedBytesMax, config.maxMessageBytes))
}

function refusalOf(thrown: unknown): Preparation {
  if (!(thrown instanceof ComputeError)) throw thrown
  if (thrown.code === 'COMPRESSION_CORRUPT')
    return { kind: 'refused', error: 'INVALID_RECORD', message: `the records cannot be unpacked: ${thrown.message}` }
  // The one answer that makes Kafka's producer send the records again in smaller batches.
  return {
    kind: 'refused',
    error: 'MESSAGE_TOO_LARGE',
    message: `the records unpacked are too large: ${thrown.message}`,
  }
}

/** A new batch of the same header around the records in another codec. */
async function inCodec(
  batch: Uint8Array,
  records: Uint8Array,
  codec: CompressionCodec,
  { compressionLevels }: LogConfig,
  compute: Compute,
): Promise<Uint8Array> {
  const level = codec === 'gzip' || codec === 'zstd' ? compressionLevels[codec] : undefined
  const body = await compute.compress(codec, records, level)
  const made = new Uint8Array(batchHeaderBytes + body.length)
  made.set(batch.subarray(0, batchHeaderBytes))
  made.set(body, batchHeaderBytes)
  writeInt32(made, lengthAt, made.length - logOverheadBytes)
  writeInt16(made, attributesAt, (batchAttributes(batch) & ~codecMask) | attributesOfCodec(codec))
  updateBatchCrc(made)
  return made
}
