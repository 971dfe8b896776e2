/**
 * What a client's batch must be before it may enter the log (Kafka's LogValidator and analyzeAndValidateRecords, with the same
 * error names). Here is what can be done at once; what needs a codec was done before, by batch-preparation.ts. Batches that this
 * node has built itself are trusted: only their size is looked at.
 */
import { assert } from '../base/assert.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { beginsLikeCodec, codecOfAttributes } from '../protocol/records/compression.ts'
import {
  batchAttributes,
  batchBaseOffset,
  batchBaseSequence,
  batchBaseTimestamp,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffsetDelta,
  batchMagic,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchSizeInBytes,
  controlBit,
  logAppendTimeBit,
  magicAt,
  none,
  setBatchMaxTimestamp,
  transactionalBit,
  updateBatchCrc,
} from '../protocol/records/record-batch.ts'
import type { AppendOrigin } from './append.ts'
import type { LogConfig } from './log-config.ts'
import { RecordWalk, type Refusal } from './record-walk.ts'

export interface ValidationContext {
  readonly config: LogConfig
  readonly origin: AppendOrigin
  readonly nowMs: number
  /** False: the host's clock is known to be wrong, and a producer's timestamp is not measured against it. */
  readonly clockTrusted: boolean
  /** Records and CRC have been checked already (batch-preparation.ts). */
  readonly recordsChecked?: boolean
}

/**
 * Null when the batch may be appended. A wrong max timestamp in the header of an uncompressed batch is corrected in place,
 * as Kafka does.
 */
export function validateBatch(batch: Uint8Array, context: ValidationContext): Refusal | null {
  const misfit = checkShape(batch, context)
  if (misfit !== null || context.origin !== 'client') return misfit
  if (context.recordsChecked === true) return checkHeader(batch)
  return checkIntegrity(batch) ?? checkHeader(batch) ?? checkTimes(batch) ?? checkRecords(batch, context)
}

/** The part of `validateBatch` that comes before the records are looked at. */
export function validateFrame(batch: Uint8Array, context: ValidationContext): Refusal | null {
  return checkShape(batch, context) ?? checkIntegrity(batch) ?? checkHeader(batch) ?? checkTimes(batch)
}

function refuse(error: KafkaErrorName, message: string): Refusal {
  return { error, message }
}

function checkShape(batch: Uint8Array, context: ValidationContext): Refusal | null {
  if (batch.length === 0) return refuse('INVALID_RECORD', 'there is no record batch')
  if (batch.length > magicAt) {
    const magic = batchMagic(batch)
    if (magic < 2) return refuse('UNSUPPORTED_FOR_MESSAGE_FORMAT', `message format ${magic} is not supported, only 2`)
    if (magic > 2) return refuse('CORRUPT_MESSAGE', `unknown message format ${magic}`)
  }
  if (batch.length < batchHeaderBytes)
    return refuse('CORRUPT_MESSAGE', `${batch.length} bytes cannot hold a record batch`)
  const size = batchSizeInBytes(batch)
  if (size < batchHeaderBytes) return refuse('CORRUPT_MESSAGE', `the batch says that it has ${size} bytes`)
  if (size > batch.length) return refuse('CORRUPT_MESSAGE', `the batch says ${size} bytes, ${batch.length} came`)
  if (size < batch.length) return refuse('INVALID_RECORD', 'more than one record batch for one partition')
  return checkSize(size, context)
}

/** May a batch have so many bytes? */
export function checkSize(size: number, { config, origin }: ValidationContext): Refusal | null {
  const { maxMessageBytes, segmentBytes } = config
  if (size > maxMessageBytes && origin === 'client') {
    return refuse('MESSAGE_TOO_LARGE', `the batch has ${size} bytes, max.message.bytes is ${maxMessageBytes}`)
  }
  if (size > segmentBytes)
    return refuse('RECORD_LIST_TOO_LARGE', `the batch has ${size} bytes, segment.bytes is ${segmentBytes}`)
  return null
}

function checkIntegrity(batch: Uint8Array): Refusal | null {
  return batchCrcIsValid(batch) ? null : refuse('CORRUPT_MESSAGE', 'the CRC of the batch does not match its bytes')
}

function checkHeader(batch: Uint8Array): Refusal | null {
  const count = batchRecordCount(batch)
  const attributes = batchAttributes(batch)
  const delta = batchLastOffsetDelta(batch)
  if (delta < 0) return refuse('INVALID_RECORD', `the batch has an invalid offset range (last offset delta ${delta})`)
  if (count <= 0) return refuse('INVALID_RECORD', `the batch says that it has ${count} records`)
  if (count !== delta + 1)
    return refuse('INVALID_RECORD', `${count} records do not fit a last offset delta of ${delta}`)
  const codec = codecOfAttributes(attributes)
  if (codec === null) return refuse('UNSUPPORTED_COMPRESSION_TYPE', `unknown codec in attributes ${attributes}`)
  if (!beginsLikeCodec(codec, batch, batchHeaderBytes))
    return refuse('INVALID_RECORD', `the records are not what ${codec} writes`)
  const producerId = batchProducerId(batch)
  if (producerId < none || !Number.isSafeInteger(producerId)) return refuse('INVALID_RECORD', 'invalid producer id')
  if (batchBaseOffset(batch) !== 0) return refuse('INVALID_RECORD', 'the base offset of a produced batch must be 0')
  if ((attributes & controlBit) !== 0) return refuse('INVALID_RECORD', 'clients may not write control records')
  if (producerId === none) {
    if ((attributes & transactionalBit) !== 0)
      return refuse('INVALID_RECORD', 'a transactional batch without a producer id')
    return null
  }
  if (batchBaseSequence(batch) < 0)
    return refuse('INVALID_RECORD', 'a batch with a producer id needs a sequence number')
  if (batchProducerEpoch(batch) < 0)
    return refuse('INVALID_PRODUCER_EPOCH', 'a batch with a producer id needs an epoch')
  return null
}

function checkTimes(batch: Uint8Array): Refusal | null {
  if ((batchAttributes(batch) & logAppendTimeBit) !== 0) {
    return refuse('INVALID_TIMESTAMP', 'a producer may not set the timestamp type LogAppendTime')
  }
  const base = batchBaseTimestamp(batch)
  if (!isTimestamp(base)) return refuse('INVALID_TIMESTAMP', `base timestamp ${base}`)
  const max = batchMaxTimestamp(batch)
  if (!isTimestamp(max)) return refuse('INVALID_TIMESTAMP', `max timestamp ${max}`)
  return null
}

function isTimestamp(timestampMs: number): boolean {
  return timestampMs >= none && timestampMs <= Number.MAX_SAFE_INTEGER
}

function isCompressed(batch: Uint8Array): boolean {
  return codecOfAttributes(batchAttributes(batch)) !== 'none'
}

/** Walks the records of an uncompressed batch. Those of a compressed one were looked into before (batch-preparation.ts). */
function checkRecords(batch: Uint8Array, context: ValidationContext): Refusal | null {
  if (isCompressed(batch)) {
    assert(context.recordsChecked === true, 'a compressed batch of a client that nobody has looked into')
    return null
  }
  const walk = walkOf(batch, batch, batchHeaderBytes, context)
  walk.step(Number.POSITIVE_INFINITY)
  return walk.refusal ?? finishTimes(batch, walk.maxTimestampMs)
}

/** A walk over the records of a batch, which begin at `start` of `records`: in the batch itself, or unpacked. */
export function walkOf(batch: Uint8Array, records: Uint8Array, start: number, context: ValidationContext): RecordWalk {
  const { config, nowMs } = context
  const isMeasured = config.timestampType === 'CreateTime' && context.clockTrusted
  return new RecordWalk(records, start, records.length, {
    recordCount: batchRecordCount(batch),
    baseTimestampMs: batchBaseTimestamp(batch),
    keysNeeded: config.cleanupPolicy.has('compact'),
    earliestMs: isMeasured ? nowMs - config.timestampBeforeMaxMs : Number.NEGATIVE_INFINITY,
    latestMs: isMeasured ? nowMs + config.timestampAfterMaxMs : Number.POSITIVE_INFINITY,
  })
}

/** Corrects a wrong max timestamp in the header. */
export function finishTimes(batch: Uint8Array, maxTimestampMs: number): null {
  if (batchMaxTimestamp(batch) !== maxTimestampMs) {
    setBatchMaxTimestamp(batch, 0, maxTimestampMs)
    updateBatchCrc(batch)
  }
  return null
}
