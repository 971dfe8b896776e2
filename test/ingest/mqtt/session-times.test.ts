/** How long sessions and wills are kept: longer than a timer of the platform, over stops and crashes, and where the time is not known. */
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'

const daySeconds = 86_400

const keptFor = (seconds: number, willDelayInterval: number | null = null): Record<string, unknown> => ({
  clean: false,
  properties: { sessionExpiryInterval: seconds },
  ...(willDelayInterval === null
    ? {}
    : { will: { topic: 'w/x', payload: 'gone', qos: 1, retain: false, properties: { willDelayInterval } } }),
})

async function isPresent(world: DoorWorld, seconds: number): Promise<boolean> {
  const back = await world.connect('c', 5, keptFor(seconds))
  return back.heard[0] === 'connack 0 present'
}

describe('a session', () => {
  it('and its will are kept for longer than 31 bits of milliseconds', async () => {
    const world = await DoorWorld.start({ sessionExpirySecondsMax: 100 * daySeconds })
    const client = await world.connect('c', 5, keptFor(60 * daySeconds, 50 * daySeconds))
    client.drop()
    await world.runFor(25 * daySeconds * 1000)
    expect(await world.values('w')).toBe('')
    expect(await isPresent(world, 60 * daySeconds)).toBe(true)
  })

  it('is not kept longer because its will was published meanwhile', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5, keptFor(100, 90))
    client.drop()
    await world.runFor(95_000)
    expect(await world.values('w')).toBe('gone')
    await world.stop()
    await world.runFor(20_000)
    await world.restart()
    expect(await isPresent(world, 100)).toBe(false)
  })

  it.each([
    ['ends', 60_000, false],
    ['is still there', 45_000, true],
  ] as const)('%s in its time, counted from the first of two power cuts', async (_what, betweenMs, isThere) => {
    const world = await DoorWorld.start()
    await world.connect('c', 5, keptFor(100))
    for (let cut = 0; cut < 2; cut += 1) {
      await world.powerCut()
      await world.runFor(betweenMs)
    }
    expect(await isPresent(world, 100)).toBe(isThere)
  })

  it('whose client went while the time was not known is not over when the clock is set', async () => {
    const world = await DoorWorld.start()
    world.host.wallTrusted = false
    const client = await world.connect('c', 5, keptFor(3600, 3000))
    client.drop()
    await world.runFor(1000)
    world.host.wallTrusted = true
    world.host.wallOffsetMs = 10 * 3_600_000
    await world.stopAndStart()
    expect(await world.values('w')).toBe('')
    expect(await isPresent(world, 3600)).toBe(true)
  })
})
