import { spawnSync } from 'node:child_process'
import zlib from 'node:zlib'
import snappy from 'snappy'
import { describe, expect, it } from 'vitest'
import type { CompressionCodec } from '../../src/base/ports.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import samples from './kafka-samples.json' with { type: 'json' }
import { turnsDuring } from './loop-turns.ts'

const codecs: readonly CompressionCodec[] = ['gzip', 'snappy', 'lz4', 'zstd']
const compute = nodeCompute()
const inline = nodeCompute({ inline: true })

/** What java/KafkaSamples.java compresses. */
function kafkaContent(lines: number): Buffer {
  let text = ''
  for (let i = 0; i < lines; i++) text += `{"sensor":"boiler-${i % 7}","reading":${(i * i) % 1009}}\n`
  return Buffer.from(text)
}

/** Bytes that compress a little. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length)
  let state = 7
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    bytes[i] = (state >>> 16) & (i % 3 === 0 ? 0xff : 0x0f)
  }
  return bytes
}

describe('many small batches at once', () => {
  it.each(['gzip', 'zstd'] as const)('leave the loop to others in between: %s', async (codec) => {
    const batch = noise(8_000)
    const turns = await turnsDuring(() =>
      Promise.all(Array.from({ length: 400 }, () => compute.compress(codec, batch))),
    )
    expect(turns).toBeGreaterThanOrEqual(10)
  })

  it.each([
    ['gzip', 9],
    ['zstd', 19],
  ] as const)('are packed off the loop at a level that takes long: %s %d', async (codec, level) => {
    const batch = noise(8_000)
    let isOver = false
    const packed = compute.compress(codec, batch, level).then(() => (isOver = true))
    // Nothing but the pool gives a result later than the microtasks of this turn.
    for (let index = 0; index < 100; index++) await Promise.resolve()
    expect(isOver).toBe(false)
    await packed
  })
})

describe('what Apache Kafka’s own client compressed', () => {
  for (const [name, encoded] of Object.entries(samples)) {
    const [codec, lines] = name.split(' ') as [CompressionCodec, string]
    it(`${codec}, ${lines} lines, is read`, async () => {
      const expected = kafkaContent(Number(lines))
      for (const port of [compute, inline]) {
        const bytes = Buffer.from(encoded, 'base64')
        expect(Buffer.compare(await port.decompress(codec, bytes, expected.length), expected)).toBe(0)
        if (expected.length === 0) continue
        await expect(port.decompress(codec, bytes, expected.length - 1)).rejects.toMatchObject({
          code: 'COMPRESSION_LIMIT',
        })
      }
    })
  }
})

describe('every codec', () => {
  for (const codec of [...codecs, 'none'] as const) {
    it(`${codec}: gives back what it took, small and large, also from memory in the middle of a buffer`, async () => {
      for (const length of [0, 1, 100, 40_000, 300_000, 2_000_000]) {
        const bytes = noise(length + 10).subarray(5, 5 + length)
        for (const port of [compute, inline]) {
          const packed = await port.compress(codec, bytes)
          expect(Buffer.compare(await port.decompress(codec, packed, length), bytes)).toBe(0)
        }
      }
    })
  }

  for (const codec of codecs) {
    it(`${codec}: refuses what is cut, changed at the front, or followed by something else`, async () => {
      const packed = await compute.compress(codec, noise(100_000))
      const changed = Buffer.from(packed)
      changed.writeUInt8(changed.readUInt8(0) ^ 0xff, 0)
      const longer = Buffer.concat([packed, Buffer.from('trailing')])
      for (const bytes of [packed.subarray(0, packed.length - 5), packed.subarray(0, 3), changed, longer]) {
        await expect(compute.decompress(codec, bytes, 1_000_000)).rejects.toMatchObject({ code: 'COMPRESSION_CORRUPT' })
      }
    })

    it(`${codec}: stops at the limit without making the rest`, async () => {
      const bomb = await compute.compress(codec, Buffer.alloc(128_000_000))
      const before = process.memoryUsage().rss
      for (const port of [compute, inline]) {
        await expect(port.decompress(codec, bomb, 1_000_000)).rejects.toMatchObject({ code: 'COMPRESSION_LIMIT' })
      }
      expect(process.memoryUsage().rss - before).toBeLessThan(64_000_000)
    })

    it(`${codec}: many jobs at once all come back`, async () => {
      const bytes = noise(50_000)
      const jobs = Array.from({ length: 40 }, async () => {
        const packed = await compute.compress(codec, bytes)
        return compute.decompress(codec, packed, bytes.length)
      })
      for (const result of await Promise.all(jobs)) expect(Buffer.compare(result, bytes)).toBe(0)
    })
  }

  it('unpacking much at once gives the loop back after each MiB of output', async () => {
    const compute = nodeCompute()
    const bytes = new Uint8Array(200_000)
    for (const codec of ['gzip', 'zstd'] as const) {
      const packed = await compute.compress(codec, bytes)
      const turns = await turnsDuring(() =>
        Promise.all(Array.from({ length: 200 }, () => compute.decompress(codec, packed, bytes.length))),
      )
      expect(turns).toBeGreaterThanOrEqual(20)
    }
  })

  it('levels change what gzip and zstd give', async () => {
    for (const [codec, low, high] of [
      ['gzip', 1, 9],
      ['zstd', 1, 19],
    ] as const) {
      const bytes = kafkaContent(20_000)
      const [fast, small] = [await compute.compress(codec, bytes, low), await compute.compress(codec, bytes, high)]
      expect(small.length).toBeLessThan(fast.length)
    }
  })
})

describe('snappy', () => {
  it('is read raw, as librdkafka writes it', async () => {
    const bytes = kafkaContent(2000)
    expect(Buffer.compare(await compute.decompress('snappy', snappy.compressSync(bytes), bytes.length), bytes)).toBe(0)
  })

  it('a block that claims four gigabytes is refused before memory is taken', async () => {
    const lie = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0x00])
    await expect(compute.decompress('snappy', lie, 1_000_000)).rejects.toMatchObject({ code: 'COMPRESSION_LIMIT' })
  })
})

/** Foreign programs: a pipe through their command line. */
function pipe(command: string, flags: readonly string[], input: Uint8Array): Buffer | null {
  const result = spawnSync(command, flags, { input, maxBuffer: 64_000_000 })
  if (result.status === 0) return result.stdout
  console.log(`skipped: no ${command} on this machine`)
  return null
}

describe('the command-line tools', () => {
  const bytes = Buffer.concat([kafkaContent(30_000), noise(200_000)])
  const forms: readonly [CompressionCodec, string, readonly string[]][] = [
    ['gzip', 'gzip', ['-c']],
    ['zstd', 'zstd', ['-c']],
    ['zstd', 'zstd', ['-c', '--no-check', '-19']],
    ['lz4', 'lz4', ['-c', '-B4', '-BD']],
    ['lz4', 'lz4', ['-c', '-B7', '--content-size', '-BX']],
    ['lz4', 'lz4', ['-c', '-9', '--no-frame-crc']],
  ]

  for (const [codec, command, flags] of forms) {
    it(`${command} ${flags.join(' ')} is read, one stream or two`, async () => {
      const packed = pipe(command, flags, bytes)
      if (!packed) return
      expect(Buffer.compare(await compute.decompress(codec, packed, bytes.length), bytes)).toBe(0)
      const twice = await compute.decompress(codec, Buffer.concat([packed, packed]), 2 * bytes.length)
      expect(Buffer.compare(twice, Buffer.concat([bytes, bytes]))).toBe(0)
      await expect(
        compute.decompress(codec, Buffer.concat([packed, packed]), 2 * bytes.length - 1),
      ).rejects.toMatchObject({ code: 'COMPRESSION_LIMIT' })
    })
  }

  it('read what we write', async () => {
    for (const [codec, command] of [
      ['gzip', 'gzip'],
      ['zstd', 'zstd'],
      ['lz4', 'lz4'],
    ] as const) {
      const unpacked = pipe(command, ['-dc'], await compute.compress(codec, bytes))
      if (unpacked) expect(Buffer.compare(unpacked, bytes)).toBe(0)
    }
  })

  it('skippable frames are skipped', async () => {
    const skippable = Buffer.from([0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    for (const codec of ['lz4', 'zstd'] as const) {
      const packed = await compute.compress(codec, bytes)
      const chain = Buffer.concat([skippable, packed, skippable])
      expect(Buffer.compare(await compute.decompress(codec, chain, bytes.length), bytes)).toBe(0)
    }
  })
})

describe('random damage', () => {
  it('gives bytes, a limit or a corruption, and nothing else', async () => {
    let state = 99
    const next = (bound: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % bound
    }
    const content = kafkaContent(200)
    for (const codec of codecs) {
      const packed = Buffer.from(await compute.compress(codec, content))
      for (let round = 0; round < 300; round++) {
        const damaged = Buffer.from(packed.subarray(0, next(4) === 0 ? next(packed.length) : packed.length))
        for (let i = next(4); i >= 0 && damaged.length > 0; i--) damaged[next(damaged.length)] = next(256)
        const outcome = await inline.decompress(codec, damaged, 100_000).then(
          (bytes) => (bytes.length <= 100_000 ? 'bytes' : 'too many bytes'),
          (error: { code?: string }) => error.code ?? 'no code',
        )
        expect(['bytes', 'COMPRESSION_LIMIT', 'COMPRESSION_CORRUPT']).toContain(outcome)
      }
    }
  })

  it('never turns the limit of the node library into something else', async () => {
    const packed = zlib.gzipSync(Buffer.alloc(10))
    await expect(compute.decompress('gzip', packed, 0)).rejects.toMatchObject({ code: 'COMPRESSION_LIMIT' })
  })
})

it.each([false, true])('derives keys as RFC 7914 section 11 shows, many at a time (inline: %s)', async (inline) => {
  const port = nodeCompute({ inline })
  const request = {
    password: Buffer.from('passwd'),
    salt: Buffer.from('salt'),
    iterations: 1,
    digest: 'sha256' as const,
  }
  const keys = await Promise.all(Array.from({ length: 20 }, () => port.deriveKey(request)))
  const expected = '55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc'
  expect(new Set(keys.map((key) => Buffer.from(key).toString('hex')))).toEqual(new Set([expected]))
  expect(await port.deriveKey({ ...request, digest: 'sha512' })).toHaveLength(64)
})
