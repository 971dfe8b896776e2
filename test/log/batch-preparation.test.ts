import { readFileSync } from 'node:fs'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import type { CompressionCodec } from '../../src/base/ports.ts'
import { crc32c } from '../../src/base/crc32c.ts'
import { type ValidationContext, validateBatch } from '../../src/log/append-validator.ts'
import { compressOwnBatch, needsPreparation, type Preparation, prepareBatch } from '../../src/log/batch-preparation.ts'
import { defaultLogConfig, type LogConfig } from '../../src/log/log-config.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { batchCodec, batchCrcIsValid, batchMaxTimestamp } from '../../src/protocol/records/record-batch.ts'
import { recordsOf } from '../../src/protocol/records/record.ts'
import { batchOf as handMade, recordOf } from '../attack/batch-bytes.ts'
import { batchOf } from './log-fixture.ts'

const nowMs = 1_700_000_000_000
const compute = nodeCompute()
const codecNames: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

interface Golden {
  readonly codec: CompressionCodec
  readonly count: number
  readonly bytes: Uint8Array
}

/** Batches that Apache Kafka's own encoder has built. */
const golden: readonly Golden[] = readFileSync(new URL('../golden/kafka-batches.txt', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => line !== '' && !line.startsWith('#'))
  .map((line) => line.split(' ') as [CompressionCodec, string, string])
  .map(([codec, count, hex]) => ({ codec, count: Number(count), bytes: Buffer.from(hex, 'hex') }))

/** `defer` runs its task in the next turn; counted. */
class CountedTurns {
  turns = 0

  defer(task: () => void): void {
    this.turns++
    setImmediate(task)
  }
}

const clock = new CountedTurns()

function contextOf(config: Partial<LogConfig> = {}, change: Partial<ValidationContext> = {}): ValidationContext {
  return { config: { ...defaultLogConfig, ...config }, origin: 'client', nowMs, clockTrusted: true, ...change }
}

function prepare(batch: Uint8Array, context = contextOf()): Promise<Preparation> {
  return prepareBatch(Uint8Array.from(batch), context, { clock, compute })
}

async function ready(batch: Uint8Array, context = contextOf()): Promise<Uint8Array> {
  const outcome = await prepare(batch, context)
  if (outcome.kind === 'refused') throw new Error(`${outcome.error} ${outcome.message}`)
  return outcome.batch
}

async function errorOf(batch: Uint8Array, context = contextOf()): Promise<string> {
  const outcome = await prepare(batch, context)
  return outcome.kind === 'refused' ? outcome.error : 'NONE'
}

/** A batch that says `codec` and `count`, around any bytes. */
function around(codec: CompressionCodec, body: Uint8Array, count: number): Buffer {
  return handMade([], {
    attributes: codecNames.indexOf(codec),
    body,
    count,
    lastOffsetDelta: count - 1,
    baseTimestamp: BigInt(nowMs),
    maxTimestamp: BigInt(nowMs),
  })
}

const two = Buffer.concat([recordOf(0, 'k', 'a'), recordOf(1, null, 'b')])

describe("Apache Kafka's batches", () => {
  it.each(golden)('of $count records in $codec are taken as they are', async ({ codec, bytes }) => {
    expect(needsPreparation(bytes, defaultLogConfig)).toBe(codec !== 'none')
    const kept = await ready(bytes)
    expect(Buffer.from(kept).equals(bytes)).toBe(true)
    expect(validateBatch(kept, contextOf({}, { recordsChecked: codec !== 'none' }))).toBeNull()
  })

  it.each(golden)(
    'of $count records in $codec say the same in every codec that a topic asks for',
    async ({ bytes }) => {
      const before = await textOf(bytes)
      for (const codec of codecNames) {
        const stored = await ready(bytes, contextOf({ compressionType: codec }))
        expect([batchCodec(stored), batchCrcIsValid(stored), stored.length]).toEqual([codec, true, sizeSaid(stored)])
        expect(await textOf(stored)).toBe(before)
        // Everything of the header but length, CRC and codec.
        expect(headerOf(stored)).toEqual(headerOf(bytes))
      }
    },
  )

  it('are refused with one record changed, in whatever codec', async () => {
    for (const { codec, bytes, count } of golden.filter((each) => each.count === 3)) {
      const records = await compute.decompress(codec, bytes.subarray(61), 1_000_000)
      const broken = Uint8Array.from(records)
      // The length of the first record.
      broken[0] = (broken[0] as number) + 2
      expect(await errorOf(around(codec, await compute.compress(codec, broken), count)), codec).toBe('INVALID_RECORD')
    }
  })
})

/** Everything that the records say. */
async function textOf(batch: Uint8Array): Promise<string> {
  const hex = (bytes: Uint8Array | null): string => (bytes === null ? 'null' : Buffer.from(bytes).toString('hex'))
  const records = await recordsOf(batch, compute, 1_000_000)
  return records
    .map(({ offset, timestampMs, key, value, headers }) => {
      const named = headers.map((header) => `${header.key}=${hex(header.value)}`)
      return [offset, timestampMs, hex(key), hex(value), ...named].join(' ')
    })
    .join('\n')
}

function sizeSaid(batch: Uint8Array): number {
  return 12 + Buffer.from(batch).readInt32BE(8)
}

function headerOf(batch: Uint8Array): string {
  const bytes = Buffer.from(batch.subarray(0, 61))
  bytes.fill(0, 8, 12)
  bytes.fill(0, 17, 21)
  bytes[22] = (bytes[22] as number) & ~7
  return bytes.toString('hex')
}

describe('a compressed batch is refused', () => {
  it.each([
    ['more records than counted', around('gzip', gzipSync(two), 1)],
    ['fewer records than counted', around('gzip', gzipSync(two), 3)],
    ['records that are none', around('gzip', gzipSync(Buffer.alloc(300, 0xff)), 2)],
    ['no records at all', around('gzip', gzipSync(Buffer.alloc(0)), 2)],
    ['a cut codec', around('gzip', gzipSync(two).subarray(0, 20), 2)],
    ['a zstd frame of nothing', around('zstd', Buffer.from('28b52ffd0102030405060708', 'hex'), 2)],
    [
      'an offset delta twice',
      around('zstd', zstdCompressSync(Buffer.concat([recordOf(0, 'k', 'a'), recordOf(0, 'k', 'b')])), 2),
    ],
    ['a key beyond its record', around('zstd', zstdCompressSync(recordOf(0, 'k', 'a', { keyLength: 9 })), 1)],
  ])('with %s', async (_what, batch) => {
    expect(await errorOf(batch)).toBe('INVALID_RECORD')
  })

  it('with a CRC that does not fit, before anything is unpacked', async () => {
    const bytes = Buffer.from(around('gzip', gzipSync(two), 2))
    bytes[bytes.length - 1] = (bytes.at(-1) as number) ^ 1
    const idle = { ...compute, decompress: () => Promise.reject(new Error('unpacked')) }
    const outcome = await prepareBatch(bytes, contextOf(), { clock, compute: idle })
    expect(outcome).toMatchObject({ kind: 'refused', error: 'CORRUPT_MESSAGE' })
  })

  it('when it is a bomb, with the answer that makes a producer send less at a time', async () => {
    const zeros = Buffer.alloc(64 * 1_048_576)
    const bombs: [string, Buffer][] = [
      ['gzip', around('gzip', gzipSync(zeros), 1)],
      ['zstd', around('zstd', zstdCompressSync(zeros), 1)],
      [
        'a thousand gzips in one another’s wake',
        around('gzip', Buffer.concat(Array<Buffer>(64).fill(gzipSync(Buffer.alloc(1_048_576)))), 1),
      ],
      ['snappy that claims 2 GB', around('snappy', Buffer.from('ffffffff0700', 'hex'), 1)],
      ['lz4', around('lz4', await compute.compress('lz4', zeros), 1)],
    ]
    for (const [name, bomb] of bombs) expect([name, await errorOf(bomb)]).toEqual([name, 'MESSAGE_TOO_LARGE'])
  })

  it('when it is many times what came, but not while that is little', async () => {
    const large = (bytes: number): Buffer => around('zstd', zstdCompressSync(recordOf(0, 'k', 'x'.repeat(bytes))), 1)
    expect(await errorOf(large(3_900_000))).toBe('NONE')
    expect(await errorOf(large(4_300_000))).toBe('MESSAGE_TOO_LARGE')
  })

  it('when it is too large in the codec of its topic', async () => {
    const batch = around('zstd', zstdCompressSync(recordOf(0, 'k', 'x'.repeat(2_000_000))), 1)
    expect(await errorOf(batch)).toBe('NONE')
    expect(await errorOf(batch, contextOf({ compressionType: 'none' }))).toBe('MESSAGE_TOO_LARGE')
  })
})

describe('the records that are at fault are named', () => {
  const keyless = Buffer.concat([recordOf(0, 'k', 'a'), recordOf(1, null, 'b'), recordOf(2, null, 'c')])
  const late = Buffer.concat([
    recordOf(0, 'k', 'a'),
    recordOf(1, 'k', 'b', { timestampDelta: 7_200_000 }),
    recordOf(2, 'k', 'c', { timestampDelta: -100_000 }),
  ])
  const plain = (records: Buffer): Buffer =>
    handMade([], {
      body: records,
      count: 3,
      lastOffsetDelta: 2,
      baseTimestamp: BigInt(nowMs),
      maxTimestamp: BigInt(nowMs),
    })
  const compacted = contextOf({ cleanupPolicy: new Set(['compact'] as const) })

  it('without a key on a compacted topic', async () => {
    const expected = {
      error: 'INVALID_RECORD',
      recordErrors: [
        { batchIndex: 1, message: expect.stringContaining('key') as string },
        { batchIndex: 2, message: expect.stringContaining('key') as string },
      ],
    }
    expect(validateBatch(plain(keyless), compacted)).toMatchObject(expected)
    expect(await prepare(around('gzip', gzipSync(keyless), 3), compacted)).toMatchObject(expected)
    expect(validateBatch(plain(keyless), contextOf())).toBeNull()
  })

  it('by their timestamps, each against the bounds of the topic', async () => {
    const context = contextOf({ timestampBeforeMaxMs: 60_000 })
    const expected = {
      error: 'INVALID_TIMESTAMP',
      recordErrors: [
        { batchIndex: 1, message: expect.stringContaining('after.max.ms') as string },
        { batchIndex: 2, message: expect.stringContaining('before.max.ms') as string },
      ],
    }
    expect(validateBatch(plain(late), context)).toMatchObject(expected)
    expect(await prepare(around('zstd', zstdCompressSync(late), 3), context)).toMatchObject(expected)
    for (const free of [contextOf({ timestampType: 'LogAppendTime' }), contextOf({}, { clockTrusted: false })])
      expect(validateBatch(plain(late), free)).toBeNull()
  })

  it('at exactly the bounds none', () => {
    const context = contextOf({ timestampBeforeMaxMs: 100_000, timestampAfterMaxMs: 7_200_000 })
    expect(validateBatch(plain(late), context)).toBeNull()
    for (const narrow of [{ timestampBeforeMaxMs: 99_999 }, { timestampAfterMaxMs: 7_199_999 }])
      expect(validateBatch(plain(late), contextOf({ ...context.config, ...narrow }))?.recordErrors).toHaveLength(1)
  })

  it('no more than a hundred in one answer, all of them counted', () => {
    const many = handMade(
      Array.from({ length: 5_000 }, (_, index) => recordOf(index, null, 'x')),
      { baseTimestamp: BigInt(nowMs), maxTimestamp: BigInt(nowMs) },
    )
    const refusal = validateBatch(many, compacted)
    expect(refusal?.recordErrors).toHaveLength(100)
    expect(refusal?.message).toContain('5000 of 5000 records')
  })
})

describe('the loop', () => {
  it('turns while the records of a batch are many', async () => {
    const count = 200_000
    const body = Buffer.concat(Array.from({ length: count }, (_, index) => recordOf(index, null, '')))
    const turns = new CountedTurns()
    const outcome = await prepareBatch(around('zstd', zstdCompressSync(body), count), contextOf(), {
      clock: turns,
      compute,
    })
    expect([outcome.kind, turns.turns]).toEqual(['ready', 3])
  })

  it('turns for a plain batch too when that is large, and not when it is small', async () => {
    const config = { maxMessageBytes: 10_000_000 }
    const turns = new CountedTurns()
    const records = Array.from({ length: 300_000 }, (_, index) => recordOf(index, null, ''))
    const large = handMade(records)
    expect(needsPreparation(large, contextOf(config).config)).toBe(true)
    const late = contextOf(config, { nowMs: Date.now() })
    const outcome = await prepareBatch(large, late, { clock: turns, compute })
    expect([outcome.kind, turns.turns]).toEqual(['ready', 4])
    expect(needsPreparation(handMade(records.slice(0, 1000)), defaultLogConfig)).toBe(false)
  })
})

describe('the codec of a topic', () => {
  it('is used with its level', async () => {
    const text = Array.from({ length: 3000 }, (_, index) => `${(index * 7919) % 1009},`).join('')
    const batch = batchOf([text], { timestampMs: nowMs })
    const sizes = async (codec: 'gzip' | 'zstd', levels: readonly number[]): Promise<readonly number[]> =>
      Promise.all(
        levels.map(async (level) => {
          const config = {
            ...defaultLogConfig,
            compressionType: codec,
            compressionLevels: { gzip: level, zstd: level },
          }
          return (await compressOwnBatch(batch, config, compute)).length
        }),
      )
    for (const codec of ['gzip', 'zstd'] as const) {
      const [fast = 0, best = 0] = await sizes(codec, codec === 'gzip' ? [1, 9] : [-50, 19])
      expect(best).toBeLessThan(fast)
    }
  })

  it('leaves a batch that has it already as it is, and one that nothing is asked of', async () => {
    const zstd = golden.find(({ codec, count }) => codec === 'zstd' && count === 200)
    const bytes = (zstd as Golden).bytes
    expect(Buffer.from(await ready(bytes, contextOf({ compressionType: 'zstd' }))).equals(bytes)).toBe(true)
    const plain = batchOf(['x'], { timestampMs: nowMs })
    expect(await compressOwnBatch(plain, defaultLogConfig, compute)).toBe(plain)
  })

  it('does not keep a wrong max timestamp', async () => {
    const bytes = Buffer.from(around('gzip', gzipSync(two), 2))
    bytes.writeBigInt64BE(5n, 35)
    bytes.writeUInt32BE(crc32c(bytes.subarray(21)), 17)
    const kept = await ready(bytes)
    expect([batchMaxTimestamp(kept), batchCrcIsValid(kept)]).toEqual([nowMs, true])
  })
})
