/**
 * What a batch must be before it may enter the log (Kafka's LogValidator and analyzeAndValidateRecords, with the same error
 * names). Records of a compressed batch are not looked into: that would need the codec on the loop; the batch's header, its CRC and
 * the first bytes of the codec's frame are.
 */
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
import { readVarint, readVarlong, type VarintCursor } from '../protocol/records/varint.ts'
import type { AppendOrigin } from './append.ts'
import type { LogConfig } from './log-config.ts'

export interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string
}

export interface ValidationContext {
  readonly config: LogConfig
  readonly origin: AppendOrigin
  readonly nowMs: number
  /** False: the host's clock is known to be wrong, and a producer's timestamp is not measured against it. */
  readonly clockTrusted: boolean
}

/**
 * Null when the batch may be appended. A wrong max timestamp in the header of an uncompressed batch is corrected in place,
 * as Kafka does.
 */
export function validateBatch(batch: Uint8Array, context: ValidationContext): Refusal | null {
  return (
    checkShape(batch, context) ??
    checkHeader(batch, context) ??
    checkTimes(batch, context) ??
    checkRecords(batch, context)
  )
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
  const { maxMessageBytes, segmentBytes } = context.config
  if (size > maxMessageBytes && context.origin === 'client') {
    return refuse('MESSAGE_TOO_LARGE', `the batch has ${size} bytes, max.message.bytes is ${maxMessageBytes}`)
  }
  if (size > segmentBytes)
    return refuse('RECORD_LIST_TOO_LARGE', `the batch has ${size} bytes, segment.bytes is ${segmentBytes}`)
  if (!batchCrcIsValid(batch)) return refuse('CORRUPT_MESSAGE', 'the CRC of the batch does not match its bytes')
  return null
}

function checkHeader(batch: Uint8Array, context: ValidationContext): Refusal | null {
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
  if (context.origin !== 'client') return null
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

function checkTimes(batch: Uint8Array, context: ValidationContext): Refusal | null {
  if (context.origin === 'client' && (batchAttributes(batch) & logAppendTimeBit) !== 0) {
    return refuse('INVALID_TIMESTAMP', 'a producer may not set the timestamp type LogAppendTime')
  }
  const base = batchBaseTimestamp(batch)
  if (!isTimestamp(base)) return refuse('INVALID_TIMESTAMP', `base timestamp ${base}`)
  const max = batchMaxTimestamp(batch)
  if (!isTimestamp(max)) return refuse('INVALID_TIMESTAMP', `max timestamp ${max}`)
  // Of a compressed batch the header is all there is to see; an uncompressed one is measured record by record.
  return checkBounds(base, context) ?? (isCompressed(batch) ? checkBounds(max, context) : null)
}

function isTimestamp(timestampMs: number): boolean {
  return timestampMs >= none && timestampMs <= Number.MAX_SAFE_INTEGER
}

function checkBounds(timestampMs: number, context: ValidationContext): Refusal | null {
  const { config, nowMs } = context
  if (timestampMs === none || config.timestampType !== 'CreateTime') return null
  if (context.origin !== 'client' || !context.clockTrusted) return null
  if (timestampMs - nowMs > config.timestampAfterMaxMs) {
    return refuse(
      'INVALID_TIMESTAMP',
      `timestamp ${timestampMs} is too far after ${nowMs} (message.timestamp.after.max.ms)`,
    )
  }
  if (nowMs - timestampMs > config.timestampBeforeMaxMs) {
    return refuse(
      'INVALID_TIMESTAMP',
      `timestamp ${timestampMs} is too far before ${nowMs} (message.timestamp.before.max.ms)`,
    )
  }
  return null
}

function isCompressed(batch: Uint8Array): boolean {
  return codecOfAttributes(batchAttributes(batch)) !== 'none'
}

// One walk at a time: the log appends in one turn of the loop and nothing here waits.
const cursor: VarintCursor = { at: 0, end: 0, failed: false }

function checkRecords(batch: Uint8Array, context: ValidationContext): Refusal | null {
  if (isCompressed(batch)) return null
  const count = batchRecordCount(batch)
  const base = batchBaseTimestamp(batch)
  const keysNeeded = context.origin === 'client' && context.config.cleanupPolicy.has('compact')
  let maxDelta = Number.NEGATIVE_INFINITY
  let minDelta = Number.POSITIVE_INFINITY
  cursor.at = batchHeaderBytes
  cursor.end = batch.length
  cursor.failed = false
  for (let index = 0; index < count; index++) {
    const bodyBytes = readVarint(batch, cursor)
    const end = cursor.at + bodyBytes
    if (cursor.failed || bodyBytes < 0 || end > batch.length) return badRecord(index)
    cursor.end = end
    cursor.at++
    const timestampDelta = readVarlong(batch, cursor)
    if (readVarint(batch, cursor) !== index) return refuse('INVALID_RECORD', `record ${index} has another offset delta`)
    const keyBytes = readVarint(batch, cursor)
    if (keyBytes < 0 && keysNeeded) return refuse('INVALID_RECORD', 'a record of a compacted topic needs a key')
    if (keyBytes > 0) cursor.at += keyBytes
    const valueBytes = cursor.at <= end ? readVarint(batch, cursor) : 0
    if (valueBytes > 0) cursor.at += valueBytes
    if (cursor.at > end || keyBytes < -1 || valueBytes < -1 || !skipHeaders(batch)) return badRecord(index)
    if (cursor.failed || cursor.at !== end) return badRecord(index)
    cursor.end = batch.length
    if (timestampDelta > maxDelta) maxDelta = timestampDelta
    if (timestampDelta < minDelta) minDelta = timestampDelta
  }
  if (cursor.at !== batch.length) return refuse('INVALID_RECORD', `bytes behind the last of ${count} records`)
  return finishTimes(batch, base + minDelta, base + maxDelta, context)
}

function badRecord(index: number): Refusal {
  return refuse('INVALID_RECORD', `record ${index} cannot be read`)
}

function skipHeaders(batch: Uint8Array): boolean {
  const count = readVarint(batch, cursor)
  if (count === 0) return !cursor.failed
  if (cursor.failed || count < 0 || count > (cursor.end - cursor.at) / 2) return false
  for (let index = 0; index < count; index++) {
    const keyBytes = readVarint(batch, cursor)
    if (keyBytes < 0) return false
    cursor.at += keyBytes
    if (cursor.at > cursor.end) return false
    const valueBytes = readVarint(batch, cursor)
    if (valueBytes < -1 || cursor.failed) return false
    if (valueBytes > 0) cursor.at += valueBytes
    if (cursor.at > cursor.end) return false
  }
  return true
}

function finishTimes(batch: Uint8Array, minMs: number, maxMs: number, context: ValidationContext): Refusal | null {
  if (!isTimestamp(minMs) || !isTimestamp(maxMs))
    return refuse('INVALID_TIMESTAMP', 'a record has an impossible timestamp')
  const refusal = checkBounds(minMs, context) ?? checkBounds(maxMs, context)
  if (refusal !== null) return refusal
  if ((batchAttributes(batch) & logAppendTimeBit) === 0 && batchMaxTimestamp(batch) !== maxMs) {
    setBatchMaxTimestamp(batch, 0, maxMs)
    updateBatchCrc(batch)
  }
  return null
}
