import { expect, test } from 'vitest'
import type { Clock, Timer } from '../../../src/base/ports.ts'
import { Pacer } from '../../../src/log/compaction/pacer.ts'

/** A loop whose other users take the given milliseconds of each turn. */
class BusyLoop implements Clock {
  nowMs = 0
  readonly #othersMs: number

  constructor(othersMs: number) {
    this.#othersMs = othersMs
  }

  wallMs(): number {
    return this.nowMs
  }

  monotonicMs(): number {
    return this.nowMs
  }

  wallTrusted(): boolean {
    return true
  }

  raiseWallFloor(): void {}

  schedule(): Timer {
    throw new Error('no wait is due')
  }

  cancel(): void {}

  defer(task: () => void): void {
    this.nowMs += this.#othersMs
    queueMicrotask(task)
  }
}

/** The part of the time that a pass without a bound of bytes gets when each of its steps takes half a millisecond. */
async function shareOf(othersMs: number): Promise<number> {
  const loop = new BusyLoop(othersMs)
  const pacer = new Pacer(loop, Number.POSITIVE_INFINITY)
  let ownMs = 0
  while (loop.nowMs < 10_000) {
    loop.nowMs += 0.5
    ownMs += 0.5
    await pacer.breathe()
  }
  return ownMs / loop.nowMs
}

test.each([0.2, 1, 5])('a loop that others keep busy (%d ms a turn) is theirs for nine tenths', async (othersMs) => {
  expect(await shareOf(othersMs)).toBeLessThan(0.2)
  expect(await shareOf(othersMs)).toBeGreaterThan(0.05)
})

test('a loop that nobody else needs is left to compaction', async () => {
  expect(await shareOf(0.01)).toBeGreaterThan(0.9)
})
