import { expect, test } from 'vitest'
import { mapBounded } from '../../src/base/map-bounded.ts'

test('what is mapped so many at a time comes in the order of the items, and never more of them are under way', async () => {
  const ends: (() => void)[] = []
  let most = 0
  const mapped = mapBounded([3, 1, 2, 5, 4], 2, (item) => {
    const result = new Promise<number>((resolve) => ends.push(() => resolve(item * 10)))
    most = Math.max(most, ends.length)
    return result
  })
  for (let ended = 0; ended < 5; ended++) {
    // The newest ends first.
    ends.pop()?.()
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(await mapped).toEqual([30, 10, 20, 50, 40])
  expect(most).toBe(2)
})

test('a failure is told, and nothing is begun for no items', async () => {
  const failing = mapBounded([1, 2], 1, (item) => (item === 2 ? Promise.reject(new Error('second')) : item))
  await expect(failing).rejects.toThrow('second')
  expect(await mapBounded([], 4, () => 1)).toEqual([])
})
