import { describe, expect, it } from 'vitest'
import { TurnPace } from '../../src/node/turn-pace.ts'

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('work that is paced', () => {
  it('is done at once up to the bound, then so many pieces a turn, in order', async () => {
    const pace = new TurnPace(3)
    const done: number[] = []
    for (let index = 0; index < 8; index++) pace.run(() => done.push(index))
    expect(done).toEqual([0, 1, 2])
    await nextTurn()
    expect(done).toEqual([0, 1, 2, 3, 4, 5])
    await nextTurn()
    expect(done).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
    await nextTurn()
    pace.run(() => done.push(8))
    expect(done.at(-1)).toBe(8)
  })

  it('does not overtake what waits', async () => {
    const pace = new TurnPace(1)
    const done: string[] = []
    pace.run(() => done.push('first'))
    pace.run(() => {
      done.push('second')
      pace.run(() => done.push('fourth'))
    })
    pace.run(() => done.push('third'))
    for (let turn = 0; turn < 3; turn++) await nextTurn()
    expect(done).toEqual(['first', 'second', 'third', 'fourth'])
  })
})
