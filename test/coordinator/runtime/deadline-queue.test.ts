import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { DeadlineQueue } from '../../../src/coordinator/runtime/deadline-queue.ts'

test('every deadline comes up once, not before its time, and in order, however often it was moved', () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('set' as const), name: fc.nat(8), afterMs: fc.nat(50) }),
    fc.record({ kind: fc.constant('delete' as const), name: fc.nat(8), afterMs: fc.constant(0) }),
    fc.record({ kind: fc.constant('advance' as const), name: fc.constant(0), afterMs: fc.nat(30) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const queue = new DeadlineQueue()
      const model = new Map<string, number>()
      let nowMs = 0
      const fired: string[] = []
      const advance = (toMs: number): void => {
        nowMs = toMs
        const due = [...model].filter(([, atMs]) => atMs <= nowMs)
        for (const [name] of due) model.delete(name)
        fired.length = 0
        for (let task = queue.takeDue(nowMs); task !== null; task = queue.takeDue(nowMs)) task()
        expect([...fired].sort()).toEqual(due.map(([name]) => name).sort())
        const next = Math.min(...model.values(), Number.POSITIVE_INFINITY)
        expect(queue.nextMs ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(next)
        expect(queue.size).toBe(model.size)
      }
      for (const { kind, name, afterMs } of steps) {
        const key = `n${name}`
        if (kind === 'set') {
          queue.set(key, nowMs + afterMs, () => fired.push(key))
          model.set(key, nowMs + afterMs)
        } else if (kind === 'delete') {
          queue.delete(key)
          model.delete(key)
        } else advance(nowMs + afterMs)
      }
      advance(nowMs + 100)
    }),
  )
})

test('deadlines of one pass come up soonest first', () => {
  const queue = new DeadlineQueue()
  const fired: string[] = []
  for (const [name, atMs] of [
    ['c', 30],
    ['a', 10],
    ['d', 40],
    ['b', 20],
  ] as const)
    queue.set(name, atMs, () => fired.push(name))
  for (let task = queue.takeDue(35); task !== null; task = queue.takeDue(35)) task()
  expect(fired).toEqual(['a', 'b', 'c'])
  expect(queue.nextMs).toBe(40)
})
