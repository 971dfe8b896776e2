/**
 * Builds one uncompressed batch v2. Bytes are copied at once into one growing buffer that `build` hands over, so that the hot
 * path allocates nothing per record.
 */
import { assert } from '../../base/assert.ts'
import { noHeaders } from './record.ts'
import {
  attributesAt,
  baseTimestampAt,
  batchHeaderBytes,
  controlBit,
  lastOffsetDeltaAt,
  lengthAt,
  logOverheadBytes,
  magicAt,
  maxTimestampAt,
  none,
  recordCountAt,
  setBatchPartitionLeaderEpoch,
  setBatchProducer,
  transactionalBit,
  updateBatchCrc,
  writeInt16,
  writeInt32,
  writeInt64,
} from './record-batch.ts'
import { varintBytes, varlongBytes, writeVarint, writeVarlong } from './varint.ts'

export interface RecordBatchBuilderOptions {
  /** Most bytes that `sizeInBytes` may reach; a record that would pass it is a programmer error (ask `fits` first). Default 2^31-1. */
  readonly bytesMax?: number
  /** First size of the buffer. Default 1024. */
  readonly initialBytes?: number
  /** Where buffers come from; what `build` answers is then to be given back there. Default: memory of its own, for the collector. */
  readonly memory?: BatchMemory
}

/** Buffers that go round. */
export interface BatchMemory {
  /** Memory of `bytes` or more, its content arbitrary. */
  takeAtLeast(bytes: number): Uint8Array
  give(memory: Uint8Array): void
}

export interface RecordBatchFields {
  readonly producerId?: number
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly isControl?: boolean
  readonly isTransactional?: boolean
  readonly partitionLeaderEpoch?: number
  readonly baseOffset?: number
}

const empty = new Uint8Array(0)
const freshMemory: BatchMemory = { takeAtLeast: (bytes) => new Uint8Array(bytes), give: () => {} }
/** A guess beyond this would waste more than it spares. */
const expectedBytesMax = 524_288

export class RecordBatchBuilder {
  readonly #bytesMax: number
  readonly #initialBytes: number
  readonly #memory: BatchMemory
  /** Allocated by the first record, so that an idle builder holds nothing. */
  #bytes: Uint8Array = empty
  /** About what the batch before needed: growing by copies costs more garbage than a guess. */
  #expectedBytes: number
  #at = batchHeaderBytes
  #recordCount = 0
  #baseTimestamp: number = none
  #maxTimestamp: number = none

  constructor(options: RecordBatchBuilderOptions = {}) {
    this.#bytesMax = options.bytesMax ?? 0x7fff_ffff
    this.#initialBytes = Math.max(options.initialBytes ?? 1024, batchHeaderBytes)
    this.#expectedBytes = this.#initialBytes
    this.#memory = options.memory ?? freshMemory
  }

  get recordCount(): number {
    return this.#recordCount
  }

  /** Bytes that `build` would answer now. */
  get sizeInBytes(): number {
    return this.#at
  }

  /** May a record with this key, value and header section still be appended? An upper bound is taken for the varints. */
  fits(keyBytes: number, valueBytes: number, headersBytes: number): boolean {
    return this.#at + keyBytes + valueBytes + headersBytes + 31 <= this.#bytesMax
  }

  /** Copies one record in. `encodedHeaders` comes from `encodeHeaders`; null = none. */
  append(
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    encodedHeaders: Uint8Array | null,
  ): void {
    const keyLength = key === null ? -1 : key.length
    const valueLength = value === null ? -1 : value.length
    this.#append(timestampMs, key ?? empty, 0, keyLength, value ?? empty, 0, valueLength, encodedHeaders ?? noHeaders)
  }

  /** Copies one record in from slices of larger buffers; a length of -1 means null. */
  appendSlices(
    timestampMs: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    encodedHeaders: Uint8Array,
  ): void {
    this.#append(timestampMs, keySource, keyStart, keyLength, valueSource, valueStart, valueLength, encodedHeaders)
  }

  /** The finished batch, in memory of its own; the builder is empty afterwards and may be used again. */
  build(fields: RecordBatchFields = {}): Uint8Array {
    const size = this.#at
    // Memory that the records fill mostly goes out as it is; else a copy keeps a small batch from holding a large buffer.
    if (size * 2 < this.#bytes.length) this.#move(size)
    const bytes = this.#bytes.subarray(0, size)
    const attributes =
      (fields.isTransactional === true ? transactionalBit : 0) | (fields.isControl === true ? controlBit : 0)
    writeInt64(bytes, 0, fields.baseOffset ?? 0)
    writeInt32(bytes, lengthAt, size - logOverheadBytes)
    setBatchPartitionLeaderEpoch(bytes, 0, fields.partitionLeaderEpoch ?? none)
    bytes[magicAt] = 2
    writeInt16(bytes, attributesAt, attributes)
    writeInt32(bytes, lastOffsetDeltaAt, this.#recordCount - 1)
    writeInt64(bytes, baseTimestampAt, this.#baseTimestamp)
    writeInt64(bytes, maxTimestampAt, this.#maxTimestamp)
    setBatchProducer(bytes, 0, {
      id: fields.producerId ?? none,
      epoch: fields.producerEpoch ?? none,
      baseSequence: fields.baseSequence ?? none,
    })
    writeInt32(bytes, recordCountAt, this.#recordCount)
    updateBatchCrc(bytes)
    this.#expectedBytes = Math.max(this.#initialBytes, Math.min(size + (size >> 2), expectedBytesMax))
    this.#bytes = empty
    this.#at = batchHeaderBytes
    this.#recordCount = 0
    this.#baseTimestamp = none
    this.#maxTimestamp = none
    return bytes
  }

  #append(
    timestampMs: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    headers: Uint8Array,
  ): void {
    if (this.#recordCount === 0) this.#baseTimestamp = timestampMs
    const timestampDelta = timestampMs - this.#baseTimestamp
    const body =
      1 +
      varlongBytes(timestampDelta) +
      varintBytes(this.#recordCount) +
      varintBytes(keyLength) +
      (keyLength > 0 ? keyLength : 0) +
      varintBytes(valueLength) +
      (valueLength > 0 ? valueLength : 0) +
      headers.length
    const end = this.#at + varintBytes(body) + body
    assert(end <= this.#bytesMax, 'a record beyond the bytes of its batch')
    if (this.#bytes.length === 0)
      this.#bytes = this.#memory.takeAtLeast(Math.max(end, Math.min(this.#expectedBytes, this.#bytesMax)))
    else if (end > this.#bytes.length) this.#grow(end)
    const bytes = this.#bytes
    let at = writeVarint(bytes, this.#at, body)
    bytes[at] = 0
    at = writeVarlong(bytes, at + 1, timestampDelta)
    at = writeVarint(bytes, at, this.#recordCount)
    at = copySlice(bytes, at, keySource, keyStart, keyLength)
    at = copySlice(bytes, at, valueSource, valueStart, valueLength)
    bytes.set(headers, at)
    this.#at = end
    this.#recordCount++
    if (timestampMs > this.#maxTimestamp) this.#maxTimestamp = timestampMs
  }

  #grow(bytesMin: number): void {
    this.#move(Math.min(Math.max(bytesMin, this.#bytes.length * 2), Math.max(bytesMin, this.#bytesMax)))
  }

  /** Goes on in memory of this size. */
  #move(sizeInBytes: number): void {
    const before = this.#bytes
    this.#bytes = this.#memory.takeAtLeast(sizeInBytes)
    this.#bytes.set(before.subarray(0, this.#at))
    this.#memory.give(before)
  }
}

/** Below this many bytes a loop beats `subarray` and `set`. */
const loopCopyBytesMax = 48

function copySlice(bytes: Uint8Array, at: number, source: Uint8Array, start: number, length: number): number {
  const next = writeVarint(bytes, at, length)
  if (length <= 0) return next
  if (length <= loopCopyBytesMax)
    for (let index = 0; index < length; index++) bytes[next + index] = source[start + index] as number
  else bytes.set(start === 0 && length === source.length ? source : source.subarray(start, start + length), next)
  return next + length
}

/** A batch without records for the offsets `baseOffset` to `lastOffset`: what compaction leaves where it took all, which clients pass over. */
export function emptyBatch(baseOffset: number, lastOffset: number, partitionLeaderEpoch: number): Uint8Array {
  const bytes = new Uint8Array(batchHeaderBytes)
  writeInt64(bytes, 0, baseOffset)
  writeInt32(bytes, lengthAt, batchHeaderBytes - logOverheadBytes)
  setBatchPartitionLeaderEpoch(bytes, 0, partitionLeaderEpoch)
  bytes[magicAt] = 2
  writeInt32(bytes, lastOffsetDeltaAt, lastOffset - baseOffset)
  writeInt64(bytes, baseTimestampAt, none)
  writeInt64(bytes, maxTimestampAt, none)
  setBatchProducer(bytes, 0, { id: none, epoch: none, baseSequence: none })
  updateBatchCrc(bytes)
  return bytes
}
