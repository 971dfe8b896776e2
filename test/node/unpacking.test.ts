/** What strangers have packed: however many come at once, memory stays within a bound and is given back. */
import { spawnSync } from 'node:child_process'
import zlib from 'node:zlib'
import snappy from 'snappy'
import { describe, expect, it } from 'vitest'
import type { CompressionCodec } from '../../src/base/ports.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { xxh32 } from '../../src/node/xxh32.ts'
import { turnsDuring } from './loop-turns.ts'

const mib = 1024 * 1024
const codecs = ['gzip', 'snappy', 'lz4', 'zstd'] as const
const compute = nodeCompute()
const inline = nodeCompute({ inline: true })

/** Text with a little chance in it, so that codecs write elements of every kind. */
function text(length: number): Buffer {
  const words = ['pressure', 'valve', '{"t":', '0.25', 'ok', '\n']
  const random = chance(5)
  const parts: string[] = []
  for (let made = 0; made < length; made += (parts.at(-1) as string).length)
    parts.push(random(9) === 0 ? String(random(1_000_000)) : (words[random(words.length)] as string))
  return Buffer.from(parts.join('').slice(0, length))
}

function chance(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return (state >>> 8) % bound
  }
}

const large = Buffer.alloc(30 * mib, text(100_000))

/** As a client would write it: with a claim of its length or without. */
type Form = readonly [string, CompressionCodec, Uint8Array]
const forms = await packedForms()

async function packedForms(): Promise<readonly Form[]> {
  const forms: Form[] = []
  for (const codec of codecs) forms.push([codec, codec, await compute.compress(codec, large)])
  forms.push(['snappy in one block', 'snappy', snappy.compressSync(large)])
  const middle = large.length / 2
  const frames = [large.subarray(0, middle), large.subarray(middle)].map((half) => zlib.zstdCompressSync(half))
  forms.push(['zstd in two frames', 'zstd', Buffer.concat(frames)])
  return forms
}

describe('many large batches at once', () => {
  it('are unpacked as far as there is room, and each gets its turn', async () => {
    for (const [name, codec, packed] of forms) {
      let held = 0
      let heldMax = 0
      const looks = Array.from({ length: 4 }, () =>
        compute.unpack(codec, packed, 32 * mib, async (output) => {
          held += output.length
          heldMax = Math.max(heldMax, held)
          await new Promise((resolve) => setImmediate(resolve))
          held -= output.length
          return output.length
        }),
      )
      expect(new Set(await Promise.all(looks)), name).toEqual(new Set([large.length]))
      expect(heldMax, name).toBeLessThanOrEqual(48 * mib)
    }
  })

  it('leave no memory behind: neither what was read nor what could not be unpacked', async () => {
    const cut = forms.map(([name, codec, packed]) => {
      const damaged = Buffer.from(packed)
      // Near the end, so that nearly all has been made.
      for (let at = packed.length - 40; at < packed.length - 12; at++) damaged[at] = 0xff
      return [name, codec, damaged] as const
    })
    const round = async (): Promise<void> => {
      for (const [, codec, packed] of [...forms, ...cut])
        for (const bytesMax of [32 * mib, 20 * mib])
          await compute.unpack(codec, packed, bytesMax, () => null).catch(() => null)
    }
    await round()
    const before = process.memoryUsage()
    for (let rounds = 0; rounds < 2; rounds++) await round()
    const after = process.memoryUsage()
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(20 * mib)
    expect(after.rss - before.rss).toBeLessThan(100 * mib)
  }, 30_000)

  it('that fail or are too large leave the room to others', async () => {
    const packed = await compute.compress('gzip', large)
    const damaged = Buffer.from(packed)
    damaged[packed.length - 6] = (damaged[packed.length - 6] as number) ^ 1
    for (let job = 0; job < 4; job++) {
      await expect(compute.unpack('gzip', damaged, 32 * mib, () => 0)).rejects.toMatchObject({
        code: 'COMPRESSION_CORRUPT',
      })
      await expect(compute.unpack('gzip', packed, 20 * mib, () => 0)).rejects.toMatchObject({
        code: 'COMPRESSION_LIMIT',
      })
      await expect(
        compute.unpack('gzip', packed, 32 * mib, () => Promise.reject(new Error('the reader gave up'))),
      ).rejects.toThrow('gave up')
    }
    const sizes = Array.from({ length: 3 }, () => compute.unpack('gzip', packed, 32 * mib, (output) => output.length))
    expect(await Promise.all(sizes)).toEqual([large.length, large.length, large.length])
  })
})

it('what was unpacked is gone when its reader is done, and stays when it was asked for to keep', async () => {
  for (const [name, codec, packed] of forms) {
    let seen = new Uint8Array(0)
    await compute.unpack(codec, packed, 32 * mib, (output) => {
      expect(Buffer.compare(output, large), name).toBe(0)
      seen = output as Uint8Array<ArrayBuffer>
    })
    expect(seen.length, name).toBe(0)
    const kept = await compute.decompress(codec, packed, 32 * mib)
    await new Promise((resolve) => setImmediate(resolve))
    expect(Buffer.compare(kept, large), name).toBe(0)
  }
})

describe('piece by piece', () => {
  const content = text(3 * mib)

  it('a damaged block of snappy gives what the library gives', async () => {
    const packed = snappy.compressSync(text(5 * mib))
    const random = chance(11)
    const verdicts = new Set<string>()
    for (let round = 0; round < 20; round++) {
      const damaged = Buffer.from(packed.subarray(0, random(8) === 0 ? random(packed.length) : packed.length))
      // Behind the length: what claims another one is another test's.
      for (let times = random(3); times > 0; times--) damaged[5 + random(damaged.length - 5)] = random(256)
      const outcome = (promise: Promise<Uint8Array>): Promise<string> =>
        promise.then(
          (bytes) => `bytes ${xxh32(bytes)}`,
          (error: { code: string }) => error.code,
        )
      const ours = await outcome(compute.decompress('snappy', damaged, 6 * mib))
      expect(ours).toBe(await outcome(inline.decompress('snappy', damaged, 6 * mib)))
      verdicts.add(ours)
    }
    expect(verdicts.size).toBeGreaterThan(5)
  })

  it.each([
    ['linked blocks', ['-B4', '-BD', '--no-frame-crc']],
    ['independent blocks', ['-B5', '-BI', '--no-frame-crc']],
    ['checksums', ['-B4', '-BD', '-BX', '--content-size']],
    ['blocks of 4 MiB', ['-B7', '-BI']],
  ])('a damaged frame of LZ4 gives what the library gives: %s', async (_, flags) => {
    const { stdout, error } = spawnSync('lz4', ['-c', ...flags], { input: content, maxBuffer: 64 * mib })
    if (error !== undefined) return
    expect(Buffer.compare(await compute.decompress('lz4', stdout, 4 * mib), content)).toBe(0)
    const random = chance(13)
    for (let round = 0; round < 25; round++) {
      const damaged = Buffer.from(stdout)
      for (let times = 1 + random(2); times > 0; times--) damaged[15 + random(damaged.length - 15)] = random(256)
      const outcome = (promise: Promise<Uint8Array>): Promise<string> =>
        promise.then(
          (bytes) => `bytes ${xxh32(bytes)}`,
          (thrown: { code: string }) => thrown.code,
        )
      expect(await outcome(compute.decompress('lz4', damaged, 4 * mib))).toBe(
        await outcome(inline.decompress('lz4', damaged, 4 * mib)),
      )
    }
  })

  it('the loop turns after each MiB', async () => {
    for (const [name, codec, packed] of forms) {
      if (codec !== 'lz4' && codec !== 'snappy') continue
      const turns = await turnsDuring(() => compute.unpack(codec, packed, 32 * mib, () => null))
      // LZ4 is cut where its blocks end.
      expect(turns, name).toBeGreaterThanOrEqual(7)
    }
  })
})

it('XXH32 gives the known sums', () => {
  const sums = { '': 0x02cc5d05, a: 0x550d7456, abc: 0x32d153ff, 'Nobody inspects the spammish repetition': 0xe2293b2f }
  for (const [word, sum] of Object.entries(sums)) expect(xxh32(Buffer.from(word)), word).toBe(sum)
})
