/**
 * Record batch v2, as Kafka stores and sends it (KIP-98): a view over bytes, nothing is copied.
 *
 * ```text
 *  0 baseOffset i64 | 8 batchLength i32 | 12 partitionLeaderEpoch i32 | 16 magic i8 | 17 crc u32 | 21 attributes i16
 * 23 lastOffsetDelta i32 | 27 baseTimestamp i64 | 35 maxTimestamp i64 | 43 producerId i64 | 51 producerEpoch i16
 * 53 baseSequence i32 | 57 recordCount i32 | 61 records
 * ```
 *
 * `at` is where the batch begins in `bytes`; the caller has made sure that 61 bytes are there. The CRC covers the attributes to
 * the end; base offset, length, leader epoch and magic lie outside, so that a broker may patch them.
 */
import { crc32c } from '../../base/crc32c.ts'
import type { CompressionCodec } from '../../base/ports.ts'
import { codecOfAttributes } from './compression.ts'

/** Bytes before the first record. */
export const batchHeaderBytes = 61
/** Bytes of base offset and length, which `batchLength` does not count. */
export const logOverheadBytes = 12

export const lengthAt = 8
export const leaderEpochAt = 12
export const magicAt = 16
export const crcAt = 17
export const attributesAt = 21
export const lastOffsetDeltaAt = 23
export const baseTimestampAt = 27
export const maxTimestampAt = 35
export const producerIdAt = 43
export const producerEpochAt = 51
export const baseSequenceAt = 53
export const recordCountAt = 57

/** Attribute bits beside the codec. */
export const logAppendTimeBit = 0x08
export const transactionalBit = 0x10
export const controlBit = 0x20
/** KIP-405: the base timestamp is the delete horizon of a tombstone or marker. */
export const deleteHorizonBit = 0x40

/** "No timestamp", "no producer id", "no sequence". */
export const none = -1

export type TimestampType = 'CreateTime' | 'LogAppendTime'

export function readInt16(bytes: Uint8Array, at: number): number {
  return (((bytes[at] as number) << 24) >> 16) | (bytes[at + 1] as number)
}

export function readInt32(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) << 24) |
    ((bytes[at + 1] as number) << 16) |
    ((bytes[at + 2] as number) << 8) |
    (bytes[at + 3] as number)
  )
}

export function readUint32(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) >>> 0
}

/** A signed 64-bit number; beyond 2^53 the nearest number that a double holds. */
export function readInt64(bytes: Uint8Array, at: number): number {
  return readInt32(bytes, at) * 0x1_0000_0000 + readUint32(bytes, at + 4)
}

export function writeInt16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8
  bytes[at + 1] = value
}

export function writeInt32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 24
  bytes[at + 1] = value >> 16
  bytes[at + 2] = value >> 8
  bytes[at + 3] = value
}

/** `value` is a safe integer. */
export function writeInt64(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  writeInt32(bytes, at, high)
  writeInt32(bytes, at + 4, value - high * 0x1_0000_0000)
}

/** Offset of the first record. */
export function batchBaseOffset(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at)
}

/** Bytes of the whole batch: 12 + batchLength. */
export function batchSizeInBytes(bytes: Uint8Array, at = 0): number {
  return logOverheadBytes + readInt32(bytes, at + lengthAt)
}

export function batchPartitionLeaderEpoch(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + leaderEpochAt)
}

export function batchMagic(bytes: Uint8Array, at = 0): number {
  return bytes[at + magicAt] as number
}

export function batchCrc(bytes: Uint8Array, at = 0): number {
  return readUint32(bytes, at + crcAt)
}

export function batchAttributes(bytes: Uint8Array, at = 0): number {
  return readInt16(bytes, at + attributesAt)
}

/** The codec of the records, or null for a number that Kafka has not assigned. */
export function batchCodec(bytes: Uint8Array, at = 0): CompressionCodec | null {
  return codecOfAttributes(batchAttributes(bytes, at))
}

export function batchIsTransactional(bytes: Uint8Array, at = 0): boolean {
  return (batchAttributes(bytes, at) & transactionalBit) !== 0
}

export function batchIsControl(bytes: Uint8Array, at = 0): boolean {
  return (batchAttributes(bytes, at) & controlBit) !== 0
}

export function batchTimestampType(bytes: Uint8Array, at = 0): TimestampType {
  return (batchAttributes(bytes, at) & logAppendTimeBit) !== 0 ? 'LogAppendTime' : 'CreateTime'
}

export function batchLastOffsetDelta(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + lastOffsetDeltaAt)
}

/** Offset of the last record (inclusive). */
export function batchLastOffset(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at) + readInt32(bytes, at + lastOffsetDeltaAt)
}

/** Timestamp of the first record, ms; -1 = none. */
export function batchBaseTimestamp(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + baseTimestampAt)
}

/** Greatest timestamp of the records (with LogAppendTime: the time of the append), ms; -1 = none. */
export function batchMaxTimestamp(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + maxTimestampAt)
}

/** -1 = not idempotent. */
export function batchProducerId(bytes: Uint8Array, at = 0): number {
  return readInt64(bytes, at + producerIdAt)
}

export function batchProducerEpoch(bytes: Uint8Array, at = 0): number {
  return readInt16(bytes, at + producerEpochAt)
}

export function batchBaseSequence(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + baseSequenceAt)
}

export function batchRecordCount(bytes: Uint8Array, at = 0): number {
  return readInt32(bytes, at + recordCountAt)
}

/** Sequence number of the last record; sequences wrap from 2^31-1 to 0. */
export function batchLastSequence(bytes: Uint8Array, at = 0): number {
  return addSequence(batchBaseSequence(bytes, at), batchLastOffsetDelta(bytes, at))
}

/** `sequence` + `delta`, wrapping from 2^31-1 to 0; -1 stays -1. */
export function addSequence(sequence: number, delta: number): number {
  return sequence === none ? none : (sequence + delta) % 0x8000_0000
}

export function setBatchBaseOffset(bytes: Uint8Array, at: number, baseOffset: number): void {
  writeInt64(bytes, at, baseOffset)
}

export function setBatchPartitionLeaderEpoch(bytes: Uint8Array, at: number, leaderEpoch: number): void {
  writeInt32(bytes, at + leaderEpochAt, leaderEpoch)
}

/** Inside the CRC: call `updateBatchCrc` afterwards. */
export function setBatchProducer(
  bytes: Uint8Array,
  at: number,
  producer: { readonly id: number; readonly epoch: number; readonly baseSequence: number },
): void {
  writeInt64(bytes, at + producerIdAt, producer.id)
  writeInt16(bytes, at + producerEpochAt, producer.epoch)
  writeInt32(bytes, at + baseSequenceAt, producer.baseSequence)
}

/** Stamps the batch with the time of the append (attribute bit and max timestamp). Inside the CRC: call `updateBatchCrc` afterwards. */
export function setBatchLogAppendTime(bytes: Uint8Array, at: number, wallMs: number): void {
  writeInt16(bytes, at + attributesAt, batchAttributes(bytes, at) | logAppendTimeBit)
  writeInt64(bytes, at + maxTimestampAt, wallMs)
}

/** Inside the CRC: call `updateBatchCrc` afterwards. */
export function setBatchMaxTimestamp(bytes: Uint8Array, at: number, timestampMs: number): void {
  writeInt64(bytes, at + maxTimestampAt, timestampMs)
}

/** The CRC-32C that the batch should carry. The whole batch must be there. */
export function computeBatchCrc(bytes: Uint8Array, at = 0): number {
  return crc32c(bytes.subarray(at + attributesAt, at + batchSizeInBytes(bytes, at)))
}

export function updateBatchCrc(bytes: Uint8Array, at = 0): void {
  writeInt32(bytes, at + crcAt, computeBatchCrc(bytes, at))
}

export function batchCrcIsValid(bytes: Uint8Array, at = 0): boolean {
  return computeBatchCrc(bytes, at) === batchCrc(bytes, at)
}

/**
 * Visits each whole batch of `bytes` in order; stops early when `visit` answers false. Answers the bytes covered by whole
 * batches: what lies behind is a part of a batch, or no batch at all (a length below 49).
 */
export function forEachBatch(
  bytes: Uint8Array,
  visit: (bytes: Uint8Array, at: number) => boolean | undefined | void,
): number {
  let at = 0
  while (at + batchHeaderBytes <= bytes.length) {
    const size = batchSizeInBytes(bytes, at)
    if (size < batchHeaderBytes || at + size > bytes.length) break
    if (visit(bytes, at) === false) return at + size
    at += size
  }
  return at
}
