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

  it.each([4, 5] as const)(
    'is given up by a clean start for good: after a further restart it is not held (level %i)',
    async (level) => {
      const world = await DoorWorld.start()
      const before = await world.connect('careful', level)
      before.publish('a/0', 'on', 2, 7)
      await before.until('pubrec#7')
      await world.restart()
      await world.connect('careful', level)
      await world.restart()
      const client = await world.connect('careful', level, kept)
      client.publish('a/0', 'on', 2, 7)
      await client.until('pubrec#7')
      expect(await world.values('a')).toBe('on on')
    },
  )

  it('of an earlier connection is no part of the Receive Maximum of the next, and twice as many is the end', async () => {
    const world = await DoorWorld.start({ receiveMaximum: 4 })
    const session = { ...kept, properties: { sessionExpiryInterval: 100 } }
    const before = await world.connect('careful', 5, session)
    for (const id of [1, 2, 3, 4]) before.publish('a/0', `m${id}`, 2, id)
    await before.until('pubrec#4')
    before.drop()
    const client = await world.connect('careful', 5, session)
    client.pubrel(1)
    client.publish('a/0', 'm2', 2, 2, { dup: true })
    for (const id of [5, 6, 7, 8]) client.publish('a/0', `m${id}`, 2, id)
    const heard = 'connack 0 present, pubcomp#1, pubrec#2, pubrec#5, pubrec#6, pubrec#7, pubrec#8'
    expect(await client.look(300)).toBe(heard)
    client.publish('a/0', 'm9', 2, 9)
    expect(await client.look(300)).toBe('disconnect 0x93, closed')
    const last = await world.connect('careful', 5, session)
    last.publish('a/0', 'm9', 2, 9)
    last.publish('a/0', 'm10', 2, 10)
    expect(await last.look(300)).toBe('connack 0 present, disconnect 0x93, closed')
    expect(await world.values('a')).toBe('m1 m2 m3 m4 m5 m6 m7 m8 m9')
  })
})
