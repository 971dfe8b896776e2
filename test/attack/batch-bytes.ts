/** Record batches put together by hand, so that each of their fields can be a lie. */
import { crc32 } from 'node:zlib'
import { crc32c } from '@node-rs/crc32'

export interface BatchLies {
  readonly baseOffset?: number
  readonly length?: number
  readonly magic?: number
  readonly crc?: number
  readonly attributes?: number
  readonly lastOffsetDelta?: number
  readonly baseTimestamp?: bigint
  readonly maxTimestamp?: bigint
  readonly producerId?: bigint
  readonly producerEpoch?: number
  readonly baseSequence?: number
  readonly count?: number
  /** In place of the records. */
  readonly body?: Uint8Array
}

/** A batch v2 of these records, true in everything but the lies; its CRC fits them unless it is one. */
export function batchOf(records: readonly Uint8Array[], lies: BatchLies = {}): Buffer {
  const body = lies.body ?? Buffer.concat(records)
  const now = BigInt(Date.now())
  const bytes = Buffer.alloc(61 + body.length)
  bytes.writeBigInt64BE(BigInt(lies.baseOffset ?? 0), 0)
  bytes.writeInt32BE(lies.length ?? bytes.length - 12, 8)
  bytes.writeInt32BE(-1, 12)
  bytes.writeInt8(lies.magic ?? 2, 16)
  bytes.writeInt16BE(lies.attributes ?? 0, 21)
  bytes.writeInt32BE(lies.lastOffsetDelta ?? records.length - 1, 23)
  bytes.writeBigInt64BE(lies.baseTimestamp ?? now, 27)
  bytes.writeBigInt64BE(lies.maxTimestamp ?? now, 35)
  bytes.writeBigInt64BE(lies.producerId ?? -1n, 43)
  bytes.writeInt16BE(lies.producerEpoch ?? -1, 51)
  bytes.writeInt32BE(lies.baseSequence ?? -1, 53)
  bytes.writeInt32BE(lies.count ?? records.length, 57)
  bytes.set(body, 61)
  bytes.writeUInt32BE(lies.crc ?? crc32c(bytes.subarray(21)), 17)
  return bytes
}

export interface RecordLies {
  readonly length?: number
  readonly offsetDelta?: number
  readonly timestampDelta?: number
  readonly keyLength?: number
  readonly headerCount?: number
}

/** A record of a batch v2. */
export function recordOf(offsetDelta: number, key: string | null, value: string, lies: RecordLies = {}): Buffer {
  const keyBytes = Buffer.from(key ?? '')
  const valueBytes = Buffer.from(value)
  const body = Buffer.concat([
    Buffer.from([0]),
    varint(lies.timestampDelta ?? 0),
    varint(lies.offsetDelta ?? offsetDelta),
    varint(lies.keyLength ?? (key === null ? -1 : keyBytes.length)),
    keyBytes,
    varint(valueBytes.length),
    valueBytes,
    varint(lies.headerCount ?? 0),
  ])
  return Buffer.concat([varint(lies.length ?? body.length), body])
}

/** A true batch of these values, without keys. */
export function batchOfValues(values: readonly string[], lies: BatchLies = {}): Buffer {
  return batchOf(
    values.map((value, index) => recordOf(index, null, value)),
    lies,
  )
}

/** An entry of the message formats before batch v2: offset, size, CRC-32 of zlib, magic, attributes, key, value. */
export function oldMessage(magic: 0 | 1, value: string): Buffer {
  const valueBytes = Buffer.from(value)
  const rest = Buffer.concat([
    Buffer.from([magic, 0]),
    magic === 1 ? int64(BigInt(Date.now())) : Buffer.alloc(0),
    int32(-1),
    int32(valueBytes.length),
    valueBytes,
  ])
  return Buffer.concat([int64(0n), int32(rest.length + 4), int32(crc32(rest) | 0), rest])
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

function int64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64BE(value)
  return bytes
}

/** Zig-zag, seven bits a byte. */
export function varint(value: number): Buffer {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0
  const bytes: number[] = []
  while (rest > 127) {
    bytes.push((rest & 127) | 128)
    rest >>>= 7
  }
  bytes.push(rest)
  return Buffer.from(bytes)
}
