import { expect, test } from 'vitest'
import { dataDescriptorsByLimit } from '../../src/node/node-ports.ts'

test.each([
  [1, 16],
  [1_024, 512],
  [8_192, 4_096],
  [20_000, 15_904],
  [65_536, 24_576],
  [Number.MAX_SAFE_INTEGER, 24_576],
])('of a limit of %d open files %d are for data files', (limit, expected) => {
  expect(dataDescriptorsByLimit(limit)).toBe(expected)
})
