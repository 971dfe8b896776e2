import { expect, test } from 'vitest'
import { dataDescriptorsByLimit } from '../../src/node/node-ports.ts'

test.each([
  [1, 16],
  [1_024, 512],
  [14_336, 7_168],
  [20_000, 12_832],
  [65_536, 16_384],
  [Number.MAX_SAFE_INTEGER, 16_384],
])('of a limit of %d open files %d are for data files', (limit, expected) => {
  expect(dataDescriptorsByLimit(limit)).toBe(expected)
})
