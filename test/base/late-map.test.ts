import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { LateMap } from '../../src/base/late-map.ts'

type Step = readonly ['set' | 'delete' | 'clear', number]

const steps = fc.array(fc.tuple(fc.constantFrom('set', 'set', 'delete', 'clear'), fc.nat(5)))

describe('a late map', () => {
  test('answers as a map does, whatever was done to it', () => {
    fc.assert(
      fc.property(steps, (given) => {
        const late: Map<number, number> = new LateMap()
        const map = new Map<number, number>()
        for (const [at, [kind, key]] of (given as Step[]).entries()) {
          for (const each of [late, map]) {
            if (kind === 'set') each.set(key, at)
            else if (kind === 'clear') each.clear()
          }
          if (kind === 'delete') expect(late.delete(key)).toBe(map.delete(key))
          expect([...late]).toEqual([...map])
          expect([late.size, late.get(key), late.has(key)]).toEqual([map.size, map.get(key), map.has(key)])
          expect([[...late.keys()], [...late.values()]]).toEqual([[...map.keys()], [...map.values()]])
        }
      }),
    )
  })
})
