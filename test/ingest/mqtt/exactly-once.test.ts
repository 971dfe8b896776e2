/** Power cuts under a QoS 2 publisher that keeps its own state: every message is in the log once, and acknowledged ones are there. */
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'
import { seedsTimeoutMs, sessionHistories } from './session-histories.ts'

describe('QoS 2 under kills and power cuts', () => {
  it(
    'stores every message of a client that keeps its own state exactly once (60 seeds)',
    async () => {
      for (let seed = 1; seed <= 60; seed += 1) await sessionHistories.storesOnce.run(seed)
    },
    seedsTimeoutMs,
  )
})

describe('a QoS 2 packet id', () => {
  const kept = { clean: false }

  it.each([
    [4, true],
    [5, true],
    [4, false],
    [5, false],
  ] as const)(
    'from before a restart is held by the same message only (level %i: kept, gone; DUP: %s)',
    async (level, dup) => {
      const world = await DoorWorld.start()
      const before = await world.connect('careful', level, kept)
      before.publish('a/0', 'one', 2, 7)
      await before.until('pubrec#7')
      await world.restart()
      const client = await world.connect('careful', level, kept)
      client.publish('a/0', 'one', 2, 7, { dup })
      await client.until('pubrec#7')
      expect(await world.values('a')).toBe('one')
      await world.restart()
      const later = await world.connect('careful', level, kept)
      later.publish('a/0', 'two', 2, 7, { dup })
      await later.until('pubrec#7')
      expect(await world.values('a')).toBe('one two')
    },
  )

  it('is given back when its release is durable, however often that is asked for', async () => {
    const world = await DoorWorld.start()
    const before = await world.connect('careful', 4, kept)
    before.publish('a/0', 'one', 2, 7)
    await before.until('pubrec#7')
    world.host.stallDisk(500)
    before.pubrel(7)
    await world.runFor(5)
    before.drop()
    const client = await world.connect('careful', 4, kept)
    client.pubrel(7)
    expect(await client.look(100)).toBe('connack 0 present, pubcomp#7')
  })

  it('that is repeated on another connection before the commit is acknowledged once it is there', async () => {
    const world = await DoorWorld.start()
    const before = await world.connect('careful', 4, kept)
    before.publish('a/0', 'zero', 2, 6)
    await before.until('pubrec#6')
    world.host.stallDisk(500)
    before.publish('a/0', 'one', 2, 7)
    await world.runFor(5)
    before.drop()
    const client = await world.connect('careful', 4, kept)
    client.publish('a/0', 'one', 2, 7, { dup: true })
    expect(await client.look(100)).toBe('connack 0 present, pubrec#7')
    expect(await world.values('a')).toBe('one zero')
  })
})
