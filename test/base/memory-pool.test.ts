import { describe, expect, it } from 'vitest'
import { MemoryPool, pooledBytesMin } from '../../src/base/memory-pool.ts'

/** Of all free memory. */
const freeBytesMax = 4 * 1024 * 1024

describe('memory that goes round', () => {
  it('is as long as was asked for, or at least', () => {
    const pool = new MemoryPool()
    for (const bytes of [0, 1, 100, pooledBytesMin, 9_000, 65_536, 65_537, 2_097_152, 3_000_000]) {
      expect(pool.take(bytes).length).toBe(bytes)
      const atLeast = pool.takeAtLeast(Math.max(bytes, 1))
      expect(atLeast.length).toBeGreaterThanOrEqual(bytes)
      pool.give(atLeast)
    }
  })

  it('comes again for another length of its size, whatever part of it was given back', () => {
    const pool = new MemoryPool()
    const memory = pool.takeAtLeast(20_000)
    expect(memory.length).toBe(32_768)
    pool.give(memory.subarray(0, 16_384))
    const again = pool.take(30_000)
    expect(again.buffer).toBe(memory.buffer)
    expect(again.length).toBe(30_000)
    expect(pool.take(30_000).buffer).not.toBe(memory.buffer)
  })

  it('is never handed out short: memory of another make is left alone', () => {
    const pool = new MemoryPool()
    pool.give(new Uint8Array(9_000))
    pool.give(Buffer.alloc(16_384).subarray(0, 4_000))
    expect(pool.take(16_000).length).toBe(16_000)
    expect(pool.take(9_001).length).toBe(9_001)
    // A small piece is one of many in a buffer of Node's.
    const small = pool.take(1_000)
    pool.give(small)
    expect(pool.take(Buffer.poolSize).buffer).not.toBe(small.buffer)
  })

  it('is small pieces and huge ones only once, and does not lose room by them', () => {
    const pool = new MemoryPool()
    for (const bytes of [1_000, 3_000_000]) {
      const memory = pool.takeAtLeast(bytes)
      pool.give(memory.subarray(0, Math.min(bytes, 2_097_152)))
      const again = pool.takeAtLeast(bytes)
      // Small pieces may share a buffer, but not their bytes.
      expect(again.buffer === memory.buffer && again.byteOffset < memory.byteOffset + memory.length).toBe(false)
    }
    const usual = pool.take(1_048_576)
    pool.give(usual)
    expect(pool.take(1_048_576).buffer).toBe(usual.buffer)
  })

  it('is kept up to a bound', () => {
    const pool = new MemoryPool()
    const given = Array.from({ length: 10 }, () => pool.take(1_048_576))
    for (const memory of given) pool.give(memory)
    const buffers = new Set(given.map(({ buffer }) => buffer))
    const again = Array.from({ length: 10 }, () => pool.take(1_048_576))
    expect(again.filter(({ buffer }) => buffers.has(buffer)).length * 1_048_576).toBe(freeBytesMax)
    // Taken memory makes room for other memory.
    pool.give(again[0] as Uint8Array)
    expect(pool.take(1_048_576).buffer).toBe(again[0]?.buffer)
  })

  it('goes back to the system at once where it is not kept: beyond the bound, and what is too large to go round', () => {
    const pool = new MemoryPool()
    const given = Array.from({ length: 10 }, () => pool.take(1_048_576))
    const large = pool.take(3_000_000)
    for (const memory of [...given, large]) pool.give(memory.subarray(0, 500_000))
    const left = given.reduce((sum, { buffer }) => sum + buffer.byteLength, large.buffer.byteLength)
    expect(left).toBe(freeBytesMax)
  })

  it('is not taken from others: what is small, of another make, or part of a buffer of Node keeps its bytes', () => {
    const pool = new MemoryPool()
    const others = [new Uint8Array(100_000), pool.take(1_000), Buffer.alloc(9_000)]
    for (const memory of others) pool.give(memory)
    expect(others.map(({ length }) => length)).toEqual([100_000, 1_000, 9_000])
  })
})
