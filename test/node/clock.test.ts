import { afterEach, describe, expect, it } from 'vitest'
import { NodeClock } from '../../src/node/clock.ts'
import { NodeEntropy } from '../../src/node/entropy.ts'

const clocks: NodeClock[] = []
afterEach(() => {
  for (const clock of clocks.splice(0)) clock.close()
})

function newClock(): NodeClock {
  const clock = new NodeClock()
  clocks.push(clock)
  return clock
}

describe('the clock', () => {
  it('tells whole milliseconds of wall time and a monotonic time that does not go back', () => {
    const clock = newClock()
    expect(Number.isInteger(clock.wallMs())).toBe(true)
    expect(Math.abs(clock.wallMs() - Date.now())).toBeLessThan(1000)
    let before = clock.monotonicMs()
    for (let i = 0; i < 1000; i++) {
      const now = clock.monotonicMs()
      expect(now).toBeGreaterThanOrEqual(before)
      before = now
    }
    expect(clock.wallTrusted()).toBe(true)
  })

  it('wall time does not run behind our own newest stamp', () => {
    const clock = newClock()
    const ahead = Date.now() + 1_000_000
    clock.raiseWallFloor(ahead)
    expect(clock.wallMs()).toBeGreaterThanOrEqual(ahead)
    clock.raiseWallFloor(ahead - 500_000)
    expect(clock.wallMs()).toBeGreaterThanOrEqual(ahead)
    expect(clock.wallMs()).toBeLessThan(ahead + 60_000)
  })

  it('a task runs once, not before its time, and not when it was cancelled', async () => {
    const clock = newClock()
    const start = clock.monotonicMs()
    const ran: string[] = []
    const cancelled = clock.schedule(1, () => ran.push('cancelled'))
    await new Promise<void>((resolve) => {
      clock.schedule(0, () => ran.push('soon'))
      clock.schedule(5.5, () => {
        ran.push('later')
        resolve()
      })
      clock.cancel(cancelled)
      clock.cancel(cancelled)
    })
    expect(ran).toEqual(['soon', 'later'])
    expect(clock.monotonicMs() - start).toBeGreaterThanOrEqual(5)
  })

  it('a task of the far future does not run now', async () => {
    const clock = newClock()
    let ran = false
    const timer = clock.schedule(2 ** 40, () => {
      ran = true
    })
    await new Promise<void>((resolve) => clock.schedule(3, resolve))
    expect(ran).toBe(false)
    clock.cancel(timer)
  })

  it('deferred tasks run after the promises of this turn', async () => {
    const clock = newClock()
    const order: string[] = []
    const done = new Promise<void>((resolve) => {
      clock.defer(() => {
        order.push('deferred')
        resolve()
      })
    })
    void Promise.resolve().then(() => order.push('promise'))
    await done
    expect(order).toEqual(['promise', 'deferred'])
  })

  it('after close nothing is scheduled any more', async () => {
    const clock = newClock()
    let ran = 0
    clock.schedule(1, () => ran++)
    clock.close()
    clock.schedule(1, () => ran++)
    await new Promise<void>((resolve) => newClock().schedule(5, resolve))
    expect(ran).toBe(0)
  })
})

describe('entropy', () => {
  it('draws below its bound, every value, without a favourite', () => {
    const entropy = new NodeEntropy()
    const counts = [0, 0, 0]
    for (let i = 0; i < 30_000; i++) {
      const drawn = entropy.below(3)
      counts[drawn] = (counts[drawn] ?? 0) + 1
    }
    expect(counts.length).toBe(3)
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(800)
    expect(entropy.below(1)).toBe(0)
    expect(entropy.below(2 ** 32)).toBeLessThan(2 ** 32)
  })

  it('bytes are of the length asked for and not the same twice', () => {
    const entropy = new NodeEntropy()
    expect(entropy.bytes(16).length).toBe(16)
    expect(Buffer.compare(entropy.bytes(16), entropy.bytes(16))).not.toBe(0)
    expect(entropy.uint32()).toBeLessThan(2 ** 32)
  })
})
