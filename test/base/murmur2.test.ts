import { createRequire } from 'node:module'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { murmur2, partitionForKey } from '../../src/base/murmur2.ts'

const foreign = createRequire(import.meta.url)('kafkajs/src/producer/partitioners/default/murmur2') as (
  bytes: Buffer,
) => number

describe('murmur2', () => {
  // org.apache.kafka.common.utils.UtilsTest
  it.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s is that of the Java client', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash)
  })

  it('chooses the partition that kafkajs chooses', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.integer({ min: 1, max: 500 }), (key, count) => {
        expect(partitionForKey(key, count)).toBe((foreign(Buffer.from(key)) & 0x7fff_ffff) % count)
      }),
    )
  })
})
