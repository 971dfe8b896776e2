/**
 * Record sets that no broker may store, with the error that is answered. The suite asks an Apache Kafka the same. Where the two differ, the
 * batch is refused here and taken there, or the error says more: a torn batch is CORRUPT_MESSAGE, old formats are named as such, and nothing
 * is answered UNKNOWN_SERVER_ERROR.
 *
 * Apache Kafka unpacks a batch without a bound, record by record; here what is unpacked is bounded, so bombs are refused.
 */
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { batchOf, batchOfValues, oldMessage, recordOf } from './batch-bytes.ts'

export interface BrokenBatch {
  readonly name: string
  readonly records: Uint8Array | null
  /** Version of Produce; the highest with names when omitted. */
  readonly version?: number
  readonly error: KafkaErrorName
  /** What Apache Kafka answers, where that is something else; null = it never does. */
  readonly apacheKafka?: KafkaErrorName | null
}

const gzip = 1
const snappy = 2
const lz4 = 3
const zstd = 4
const transactional = 16
const control = 32
const logAppendTime = 8

const good = batchOfValues(['a', 'b', 'c'])
const noise = Buffer.from(Array.from({ length: 300 }, (_, index) => (index * 167 + 13) & 255))
const zstdNoise = Buffer.from('28b52ffd0102030405060708', 'hex')
const twoRecords = Buffer.concat([recordOf(0, null, 'a'), recordOf(1, null, 'b')])

export function brokenBatches(): readonly BrokenBatch[] {
  return [
    { name: 'wrong CRC', records: batchOfValues(['a'], { crc: 0x1234_5678 }), error: 'CORRUPT_MESSAGE' },
    { name: 'a bit of a value flipped', records: flipped(good, good.length - 3), error: 'CORRUPT_MESSAGE' },
    {
      name: 'length longer than what came',
      records: batchOfValues(['a'], { length: 500 }),
      error: 'CORRUPT_MESSAGE',
      apacheKafka: 'INVALID_RECORD',
    },
    { name: 'length of 0', records: batchOfValues(['a'], { length: 0 }), error: 'CORRUPT_MESSAGE' },
    { name: 'negative length', records: batchOfValues(['a'], { length: -20 }), error: 'CORRUPT_MESSAGE' },
    { name: 'length shorter than a header', records: batchOfValues(['a'], { length: 40 }), error: 'CORRUPT_MESSAGE' },
    {
      name: 'cut after its header',
      records: good.subarray(0, 61),
      error: 'CORRUPT_MESSAGE',
      apacheKafka: 'INVALID_RECORD',
    },
    {
      name: 'cut inside its header',
      records: good.subarray(0, 30),
      error: 'CORRUPT_MESSAGE',
      apacheKafka: 'INVALID_RECORD',
    },
    { name: 'eight bytes', records: good.subarray(0, 8), error: 'CORRUPT_MESSAGE', apacheKafka: 'INVALID_RECORD' },
    { name: 'noise', records: noise, error: 'CORRUPT_MESSAGE' },
    { name: 'count above the records', records: batchOfValues(['a', 'b'], { count: 3 }), error: 'INVALID_RECORD' },
    { name: 'count below the records', records: batchOfValues(['a', 'b'], { count: 1 }), error: 'INVALID_RECORD' },
    {
      name: 'count and offset delta above the records',
      records: batchOfValues(['a', 'b'], { count: 3, lastOffsetDelta: 2 }),
      error: 'INVALID_RECORD',
    },
    {
      name: 'count and offset delta below the records',
      records: batchOfValues(['a', 'b'], { count: 1, lastOffsetDelta: 0 }),
      error: 'INVALID_RECORD',
    },
    { name: 'count of 0', records: batchOfValues(['a'], { count: 0 }), error: 'INVALID_RECORD' },
    {
      name: 'count of 2^31-1',
      records: batchOfValues(['a'], { count: 0x7fff_ffff, lastOffsetDelta: 0x7fff_fffe }),
      error: 'INVALID_RECORD',
    },
    { name: 'negative count', records: batchOfValues(['a'], { count: -1 }), error: 'INVALID_RECORD' },
    {
      name: 'last offset delta off',
      records: batchOfValues(['a', 'b'], { lastOffsetDelta: 5 }),
      error: 'INVALID_RECORD',
    },
    {
      name: 'negative last offset delta',
      records: batchOfValues(['a'], { lastOffsetDelta: -2 }),
      error: 'INVALID_RECORD',
    },
    {
      name: 'offset delta of a record off',
      records: batchOf([recordOf(0, null, 'a'), recordOf(7, null, 'b')]),
      error: 'INVALID_RECORD',
      apacheKafka: 'NONE',
    },
    { name: 'base offset of 5', records: batchOfValues(['a'], { baseOffset: 5 }), error: 'INVALID_RECORD' },
    {
      name: 'a batch without records',
      records: batchOf([], { count: 0, lastOffsetDelta: -1 }),
      error: 'INVALID_RECORD',
    },
    { name: 'a record longer than the batch', records: lyingRecord({ length: 1000 }), error: 'INVALID_RECORD' },
    { name: 'a record of negative length', records: lyingRecord({ length: -4 }), error: 'INVALID_RECORD' },
    { name: 'a key longer than the record', records: lyingRecord({ keyLength: 1000 }), error: 'INVALID_RECORD' },
    { name: 'a million headers', records: lyingRecord({ headerCount: 1_000_000 }), error: 'INVALID_RECORD' },
    { name: 'a negative number of headers', records: lyingRecord({ headerCount: -1 }), error: 'INVALID_RECORD' },
    {
      name: 'a varint without an end',
      records: batchOf([Buffer.alloc(20, 0xff)]),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'a control batch',
      records: batchOfValues(['a'], { attributes: control }),
      error: 'INVALID_RECORD',
    },
    {
      name: 'a transactional batch without a transactional id',
      records: batchOfValues(['a'], { attributes: transactional, producerId: 7n, producerEpoch: 0, baseSequence: 0 }),
      error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
    },
    {
      name: 'a producer id without a sequence',
      records: batchOfValues(['a'], { producerId: 7n, producerEpoch: 0, baseSequence: -1 }),
      error: 'INVALID_RECORD',
    },
    {
      name: 'timestamp type LogAppendTime',
      records: batchOfValues(['a'], { attributes: logAppendTime }),
      error: 'INVALID_TIMESTAMP',
      apacheKafka: 'NONE',
    },
    {
      name: 'a timestamp in two years',
      records: batchOfValues(['a'], {
        baseTimestamp: BigInt(Date.now() + 63_072_000_000),
        maxTimestamp: BigInt(Date.now() + 63_072_000_000),
      }),
      error: 'INVALID_TIMESTAMP',
    },
    ...([0, 1] as const).map((format) => ({
      name: `message format ${format}`,
      records: oldMessage(format, 'a'),
      error: 'UNSUPPORTED_FOR_MESSAGE_FORMAT' as const,
      apacheKafka: 'INVALID_RECORD' as const,
    })),
    { name: 'message format 3', records: batchOfValues(['a'], { magic: 3 }), error: 'CORRUPT_MESSAGE' },
    { name: 'message format -1', records: batchOfValues(['a'], { magic: -1 }), error: 'CORRUPT_MESSAGE' },
    { name: 'two batches', records: Buffer.concat([good, batchOfValues(['d'])]), error: 'INVALID_RECORD' },
    {
      name: 'a batch and a piece of another',
      records: Buffer.concat([good, good.subarray(0, 20)]),
      error: 'INVALID_RECORD',
      apacheKafka: 'NONE',
    },
    { name: 'no bytes', records: new Uint8Array(0), error: 'INVALID_RECORD' },
    { name: 'null', records: null, error: 'INVALID_RECORD', apacheKafka: null },
    {
      name: 'an unknown codec',
      records: compressed(6, noise),
      error: 'UNSUPPORTED_COMPRESSION_TYPE',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'gzip of noise',
      records: compressed(gzip, noise),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'snappy of noise',
      records: compressed(snappy, noise),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'lz4 of noise',
      records: compressed(lz4, noise),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'zstd of noise',
      records: compressed(zstd, noise),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'zstd before Produce 7',
      records: batchOf([], { attributes: zstd, body: zstdCompressSync(twoRecords), count: 2, lastOffsetDelta: 1 }),
      version: 6,
      error: 'UNSUPPORTED_COMPRESSION_TYPE',
    },
    {
      name: 'more than max.message.bytes',
      records: batchOfValues(['x'.repeat(1_100_000)]),
      error: 'MESSAGE_TOO_LARGE',
    },
    ...lyingCompressedBatches(),
  ]
}

/** Compressed batches whose frame is the codec's and whose content is not what the header says. */
export function lyingCompressedBatches(): readonly BrokenBatch[] {
  const inCodec = (codec: number, body: Uint8Array, count: number): Buffer =>
    batchOf([], { attributes: codec, body, count, lastOffsetDelta: count - 1 })
  const whole = gzipSync(twoRecords)
  const sameOffset = Buffer.concat([recordOf(0, null, 'a'), recordOf(0, null, 'b')])
  const nextYear = batchTimes(31_536_000_000)
  return [
    { name: 'gzip of no records', records: inCodec(gzip, gzipSync(noise), 2), error: 'INVALID_RECORD' },
    { name: 'gzip of fewer records than counted', records: inCodec(gzip, whole, 3), error: 'INVALID_RECORD' },
    { name: 'gzip of more records than counted', records: inCodec(gzip, whole, 1), error: 'INVALID_RECORD' },
    {
      name: 'gzip cut',
      records: inCodec(gzip, whole.subarray(0, whole.length - 12), 2),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    { name: 'gzip of nothing', records: inCodec(gzip, gzipSync(Buffer.alloc(0)), 1), error: 'INVALID_RECORD' },
    {
      name: 'a zstd frame of nothing',
      records: inCodec(zstd, zstdNoise, 2),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'zstd of one offset twice',
      records: inCodec(zstd, zstdCompressSync(sameOffset), 2),
      error: 'INVALID_RECORD',
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    {
      name: 'zstd of a record of next year',
      records: batchOf([], {
        attributes: zstd,
        body: zstdCompressSync(twoRecords),
        count: 2,
        lastOffsetDelta: 1,
        ...nextYear,
      }),
      error: 'INVALID_TIMESTAMP',
    },
    {
      name: 'zstd of a record that is next year by its delta',
      records: inCodec(zstd, zstdCompressSync(recordOf(0, null, 'a', { timestampDelta: 1_000_000_000 })), 1),
      error: 'INVALID_TIMESTAMP',
    },
    ...bombs(),
  ]
}

function batchTimes(aheadMs: number): { readonly baseTimestamp: bigint; readonly maxTimestamp: bigint } {
  const timestamp = BigInt(Date.now() + aheadMs)
  return { baseTimestamp: timestamp, maxTimestamp: timestamp }
}

/** Small batches that open to very much. */
export function bombs(): readonly BrokenBatch[] {
  const alone = (codec: number, body: Uint8Array): Buffer =>
    batchOf([], { attributes: codec, body, count: 1, lastOffsetDelta: 0 })
  const zeros = Buffer.alloc(200_000_000)
  const record = recordOf(0, null, 'x'.repeat(100_000_000))
  const error = 'MESSAGE_TOO_LARGE'
  return [
    { name: 'gzip of 200 MB', records: alone(gzip, gzipSync(zeros)), error, apacheKafka: 'INVALID_RECORD' },
    { name: 'zstd of 200 MB', records: alone(zstd, zstdCompressSync(zeros)), error, apacheKafka: 'INVALID_RECORD' },
    { name: 'zstd of a record of 100 MB', records: alone(zstd, zstdCompressSync(record)), error, apacheKafka: 'NONE' },
    {
      name: 'snappy that claims 2 GB',
      records: alone(snappy, Buffer.from('ffffffff0700616263', 'hex')),
      error,
      apacheKafka: 'UNKNOWN_SERVER_ERROR',
    },
    { name: 'lz4 of 240 MB', records: alone(lz4, lz4Bomb()), error, apacheKafka: 'INVALID_RECORD' },
  ]
}

/** An LZ4 frame of 60 blocks of 4 MiB, each one literal and one match without an end. */
function lz4Bomb(): Buffer {
  const header = Buffer.from('04224d18607073', 'hex')
  const matchBytes = 4 * 1_048_576 - 20
  const block = Buffer.concat([
    Buffer.from([0x1f, 0x61, 1, 0]),
    Buffer.alloc(Math.floor((matchBytes - 19) / 255), 255),
    Buffer.from([(matchBytes - 19) % 255]),
    Buffer.from([0x50]),
    Buffer.from('abcde'),
  ])
  const size = Buffer.alloc(4)
  size.writeUInt32LE(block.length)
  const blocks = Array.from({ length: 60 }, () => Buffer.concat([size, block]))
  return Buffer.concat([header, ...blocks, Buffer.alloc(4)])
}

function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] as number) ^ 1
  return copy
}

function lyingRecord(lies: Parameters<typeof recordOf>[3]): Buffer {
  return batchOf([recordOf(0, 'key', 'value', lies)])
}

function compressed(codec: number, body: Uint8Array): Buffer {
  return batchOf([], { attributes: codec, body, count: 2, lastOffsetDelta: 1 })
}
