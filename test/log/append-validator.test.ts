import { describe, expect, test } from 'vitest'
import { crc32c } from '../../src/base/crc32c.ts'
import { type ValidationContext, validateBatch } from '../../src/log/append-validator.ts'
import { defaultLogConfig } from '../../src/log/log-config.ts'
import { batchOf } from './log-fixture.ts'

const nowMs = 1_700_000_000_000
const client: ValidationContext = { config: defaultLogConfig, origin: 'client', nowMs, clockTrusted: true }

/** A good batch with one thing changed, its CRC made to fit again. */
function changed(change: (bytes: Buffer) => void, options: Parameters<typeof batchOf>[1] = {}): Uint8Array {
  const bytes = Buffer.from(batchOf(['one', 'two'], { timestampMs: nowMs, ...options }))
  change(bytes)
  if (bytes.length > 61) bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
  return bytes
}

const refusals: readonly (readonly [string, string, Uint8Array])[] = [
  ['no bytes', 'INVALID_RECORD', new Uint8Array(0)],
  ['fewer bytes than a header', 'CORRUPT_MESSAGE', batchOf(['x']).subarray(0, 60)],
  ['fewer bytes than it says', 'CORRUPT_MESSAGE', batchOf(['x']).subarray(0, 66)],
  ['a second batch', 'INVALID_RECORD', Buffer.concat([batchOf(['x']), batchOf(['y'])])],
  ['message format 1', 'UNSUPPORTED_FOR_MESSAGE_FORMAT', changed((bytes) => bytes.writeUInt8(1, 16))],
  ['message format 3', 'CORRUPT_MESSAGE', changed((bytes) => bytes.writeUInt8(3, 16))],
  ['a negative length', 'CORRUPT_MESSAGE', changed((bytes) => bytes.writeInt32BE(-5, 8))],
  ['a length of zero', 'CORRUPT_MESSAGE', changed((bytes) => bytes.writeInt32BE(0, 8))],
  ['a base offset', 'INVALID_RECORD', changed((bytes) => bytes.writeBigInt64BE(3n, 0))],
  ['a count that does not fit the delta', 'INVALID_RECORD', changed((bytes) => bytes.writeInt32BE(3, 57))],
  ['a count of zero', 'INVALID_RECORD', changed((bytes) => bytes.writeInt32BE(0, 57))],
  ['a negative delta', 'INVALID_RECORD', changed((bytes) => bytes.writeInt32BE(-1, 23))],
  [
    'more records than it has',
    'INVALID_RECORD',
    changed((bytes) => {
      bytes.writeInt32BE(9, 57)
      bytes.writeInt32BE(8, 23)
    }),
  ],
  [
    'fewer records than it has',
    'INVALID_RECORD',
    changed((bytes) => {
      bytes.writeInt32BE(1, 57)
      bytes.writeInt32BE(0, 23)
    }),
  ],
  ['the control bit', 'INVALID_RECORD', changed((bytes) => bytes.writeInt16BE(0x20, 21))],
  ['an unknown codec', 'UNSUPPORTED_COMPRESSION_TYPE', changed((bytes) => bytes.writeInt16BE(5, 21))],
  ['plain records said to be gzip', 'INVALID_RECORD', changed((bytes) => bytes.writeInt16BE(1, 21))],
  ['plain records said to be lz4', 'INVALID_RECORD', changed((bytes) => bytes.writeInt16BE(3, 21))],
  ['plain records said to be zstd', 'INVALID_RECORD', changed((bytes) => bytes.writeInt16BE(4, 21))],
  ['the LogAppendTime bit', 'INVALID_TIMESTAMP', changed((bytes) => bytes.writeInt16BE(0x08, 21))],
  ['a transaction without a producer', 'INVALID_RECORD', changed((bytes) => bytes.writeInt16BE(0x10, 21))],
  ['a producer without a sequence', 'INVALID_RECORD', changed(() => {}, { producerId: 5, producerEpoch: 0 })],
  ['a producer without an epoch', 'INVALID_PRODUCER_EPOCH', changed(() => {}, { producerId: 5, baseSequence: 0 })],
  ['a record from tomorrow', 'INVALID_TIMESTAMP', changed(() => {}, { timestampMs: nowMs + 86_400_000 })],
  [
    'a timestamp beyond what a number holds',
    'INVALID_TIMESTAMP',
    changed((bytes) => bytes.writeBigInt64BE(1n << 62n, 27)),
  ],
  ['a record length beyond the batch', 'INVALID_RECORD', changed((bytes) => bytes.writeUInt8(0x7e, 61))],
  ['a wrong offset delta', 'INVALID_RECORD', changed((bytes) => bytes.writeUInt8(4, 64))],
  ['a header count without headers', 'INVALID_RECORD', changed((bytes) => bytes.writeUInt8(8, bytes.length - 1))],
]

describe('a batch is refused', () => {
  test.each(refusals)('for %s with %s', (_reason, error, batch) => {
    expect(validateBatch(batch, client)?.error).toBe(error)
  })

  test('for any flipped bit of what the CRC covers', () => {
    const batch = batchOf(['one', 'two'], { timestampMs: nowMs })
    for (let at = 17; at < batch.length; at++) {
      const flipped = batch.slice()
      flipped[at] = (flipped[at] as number) ^ (1 << (at % 8))
      expect(validateBatch(flipped, client)?.error).toBe('CORRUPT_MESSAGE')
    }
  })

  test('for its size by max.message.bytes, which does not bind the node itself', () => {
    const config = { ...defaultLogConfig, maxMessageBytes: 100 }
    const batch = batchOf(['x'.repeat(200)], { timestampMs: nowMs })
    expect(validateBatch(batch, { ...client, config })?.error).toBe('MESSAGE_TOO_LARGE')
    expect(validateBatch(batch, { ...client, config, origin: 'internal' })).toBeNull()
  })

  test('for a record without a key when the topic is compacted', () => {
    const config = { ...defaultLogConfig, cleanupPolicy: new Set(['compact'] as const) }
    expect(validateBatch(batchOf(['x'], { timestampMs: nowMs, key: null }), { ...client, config })?.error).toBe(
      'INVALID_RECORD',
    )
    expect(validateBatch(batchOf(['x'], { timestampMs: nowMs }), { ...client, config })).toBeNull()
  })
})

describe('a batch is taken', () => {
  test('as it is when all fits', () => {
    const batch = batchOf(['one', 'two'], { timestampMs: nowMs })
    const before = batch.slice()
    expect(validateBatch(batch, client)).toBeNull()
    expect(batch).toEqual(before)
  })

  test('from tomorrow while the clock of the host is known to be wrong', () => {
    const batch = changed(() => {}, { timestampMs: nowMs + 86_400_000 })
    expect(validateBatch(batch, { ...client, clockTrusted: false })).toBeNull()
  })

  test('with control records from a coordinator', () => {
    const batch = changed((bytes) => bytes.writeInt16BE(0x20, 21))
    expect(validateBatch(batch, { ...client, origin: 'coordinator' })).toBeNull()
  })

  test('with its max timestamp put right, as Kafka does', () => {
    const batch = changed((bytes) => bytes.writeBigInt64BE(5n, 35))
    expect(validateBatch(batch, client)).toBeNull()
    expect(Buffer.from(batch).readBigInt64BE(35)).toBe(BigInt(nowMs))
    expect(Buffer.from(batch).readUInt32BE(17)).toBe(crc32c(batch.subarray(21)))
  })
})
