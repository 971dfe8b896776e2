import { expect, test } from 'vitest'
import { LineWriter } from '../../src/log/line-writer.ts'
import { Prng } from '../sim/prng.ts'

const textOf = (lines: LineWriter): string => Buffer.from(lines.bytes()).toString('latin1')

test('numbers are written as JavaScript writes them', () => {
  const powers = Array.from({ length: 16 }, (_, exponent) => 10 ** exponent)
  const values = [0, -1, 9_007_199_254_740_991, -9_007_199_254_740_991, ...powers, ...powers.map((power) => power - 1)]
  const prng = new Prng(7)
  for (let round = 0; round < 2000; round++) values.push(prng.below(2 ** (1 + prng.below(52))))
  const lines = new LineWriter(1)
  for (const value of values) lines.number(value).text('\n')
  expect(textOf(lines)).toBe(values.map((value) => `${value}\n`).join(''))
})

test('bytes of every length are written in base64 as others write it, also where the memory has to grow', () => {
  const prng = new Prng(8)
  const lines = new LineWriter(3)
  let expected = ''
  for (let length = 0; length < 200; length++) {
    const bytes = Uint8Array.from({ length }, () => prng.below(256))
    lines.base64(bytes).text(' ')
    expected += `${Buffer.from(bytes).toString('base64')} `
    const count = prng.below(length + 1)
    lines.base64(bytes, count).text(' ')
    expected += `${Buffer.from(bytes.subarray(0, count)).toString('base64')} `
  }
  expect(textOf(lines)).toBe(expected)
})
