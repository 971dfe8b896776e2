import fc from 'fast-check'
import { expect, it } from 'vitest'
import { ShortQueue } from '../../src/base/short-queue.ts'

it('hands out what was put in, in that order, as a list does', () => {
  const step = fc.constantFrom('push', 'push', 'push', 'shift', 'shift', 'takeAll')
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), fc.nat(150), (steps, before) => {
      const queue = new ShortQueue<{ readonly number: number }>()
      const list: { readonly number: number }[] = []
      let number = 0
      for (const each of [...Array.from({ length: before }, () => 'push'), ...steps]) {
        if (each === 'push') {
          queue.push({ number: ++number })
          list.push({ number })
        } else if (each === 'shift') expect(queue.shift()).toEqual(list.shift() ?? null)
        else if (number % 3 === 0) expect(queue.takeAll()).toEqual(list.splice(0))
        expect(queue.length).toBe(list.length)
        expect(queue.first).toEqual(list[0] ?? null)
      }
    }),
  )
})
