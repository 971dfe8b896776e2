import { describe, expect, test } from 'vitest'
import { crc32c, crc32cScript } from '../../src/base/crc32c.ts'

/** RFC 3720 appendix B.4, and the check value of the CRC catalogue. */
const published: readonly (readonly [string, Uint8Array, number])[] = [
  ['32 bytes of zeros', new Uint8Array(32), 0x8a9136aa],
  ['32 bytes of ones', new Uint8Array(32).fill(0xff), 0x62a8ab43],
  ['32 bytes ascending', Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd794e],
  ['32 bytes descending', Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113fdb5c],
  ['the digits 1 to 9', Buffer.from('123456789'), 0xe3069283],
]

describe('crc32c', () => {
  test.each(published)('answers the published sum of %s', (_name, bytes, sum) => {
    expect(crc32c(bytes)).toBe(sum)
    expect(crc32cScript(bytes)).toBe(sum)
  })

  test('is the same in script and library at every length and alignment, and continues from a seed', () => {
    const bytes = Uint8Array.from({ length: 700 }, (_, index) => (index * 167 + (index >> 3)) & 0xff)
    for (let length = 0; length < 400; length += 7) {
      for (const start of [0, 1, 5, 8]) {
        const part = bytes.subarray(start, start + length)
        const sum = crc32cScript(part)
        expect(crc32c(part)).toBe(sum)
        expect(crc32c(part.subarray(length >> 1), crc32c(part.subarray(0, length >> 1)))).toBe(sum)
      }
    }
  })
})
