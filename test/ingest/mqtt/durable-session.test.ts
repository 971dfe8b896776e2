/** Sessions that outlive the daemon: kills, power cuts and stops between everything. */
import { describe, expect, it } from 'vitest'
import { mqttSessionsTopic } from '../../../src/ingest/mqtt/packet-id-log.ts'
import { DoorWorld } from './door-world.ts'
import { seedsTimeoutMs, sessionHistories, take } from './session-histories.ts'

const kept = { clean: false }
const keptFor = (seconds: number): Record<string, unknown> => ({
  clean: false,
  properties: { sessionExpiryInterval: seconds },
})

async function publish(world: DoorWorld, topic: string, ...payloads: string[]): Promise<void> {
  const publisher = await world.connect('p')
  for (const [index, payload] of payloads.entries()) publisher.publish(topic, payload, 1, index + 1)
  await publisher.until(`puback#${payloads.length}`)
  publisher.drop()
  await world.runFor(20)
}

describe('a kept session', () => {
  it.each(['restart', 'powerCut'] as const)(
    'is there after a %s, with its subscriptions and what came meanwhile',
    async (end) => {
      const world = await DoorWorld.start()
      const client = await world.connect('c', 5, keptFor(600))
      client.subscribe(1, { topic: 'a/#', qos: 1, rap: true })
      client.subscribe(2, 'b/x', 'gone')
      client.send({ cmd: 'unsubscribe', messageId: 3, unsubscriptions: ['gone'] })
      await client.until('unsuback')
      client.drop()
      await publish(world, 'a/x', '1', '2')
      await world[end]()
      expect(world.host.observer.eventsOf('mqtt-sessions-restored')[0]?.fields).toEqual({ sessions: 1 })
      await publish(world, 'b/x', '3')
      await publish(world, 'gone', '4')
      const back = await world.connect('c', 5, keptFor(600))
      expect(back.heard[0]).toBe('connack 0 present')
      expect((await take(world, back)).toSorted()).toEqual(['a/x=1', 'a/x=2', 'b/x=3'])
      await publish(world, 'a/x', '5')
      expect(await take(world, back)).toEqual(['a/x=5'])
    },
  )

  it('gets nothing twice after a stop', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, kept)
    client.subscribe(1, '#')
    await publish(world, 'a/x', '1', '2', '3')
    expect(await take(world, client)).toEqual(['a/x=1', 'a/x=2', 'a/x=3'])
    await world.settle(world.door.stop())
    await world.restart()
    const back = await world.connect('c', 4, kept)
    await publish(world, 'a/x', '4')
    expect(await take(world, back)).toEqual(['a/x=4'])
  })

  it('gets again what it had not acknowledged before a crash', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, kept)
    client.subscribe(1, '#')
    await publish(world, 'a/x', '1', '2', '3')
    await world.runFor(3000)
    client.puback(1)
    await world.runFor(3000)
    await world.powerCut()
    const back = await world.connect('c', 4, kept)
    expect(await take(world, back)).toEqual(['a/x=2', 'a/x=3'])
  })

  it(
    'is one of five whose places are written one after the other, and has lost nothing, whatever comes meanwhile (40 seeds)',
    async () => {
      for (let seed = 1; seed <= 40; seed += 1) await sessionHistories.keepsPlaces.run(seed)
    },
    seedsTimeoutMs,
  )

  it('is given again what an answer from before a crash does not mean', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await publish(world, 'a/x', '1', '2', '3')
    expect(await client.look()).toContain('publish#3 a/x=3')
    client.puback(1)
    client.puback(2)
    await world.runFor(2000)
    await world.powerCut()
    await publish(world, 'a/x', '4', '5')
    // As clients do that could not say it before they lost the connection.
    const cut = await world.connect('c', 4, kept)
    cut.puback(3)
    await world.runFor(20)
    cut.drop()
    const back = await world.connect('c', 4, kept)
    expect(await take(world, back)).toEqual(['a/x=3', 'a/x=4', 'a/x=5'])
  })

  it('hears nothing that is older than its subscription, however soon the crash comes', async () => {
    const world = await DoorWorld.start()
    await world.subscribed(['other', 4, kept], '#')
    await publish(world, 'a/x', 'before')
    await world.subscribed(['c', 4, kept], '#')
    await world.powerCut()
    await publish(world, 'a/x', 'after')
    expect(await take(world, await world.connect('c', 4, kept))).toEqual(['a/x=after'])
  })

  it('hears nothing that is older than its subscription, also where others have moved whose places are not written in one turn', async () => {
    const world = await DoorWorld.start({ checkpointReaders: 2 })
    for (let n = 1; n <= 9; n += 1) await world.subscribed([`other${n}`, 4, kept], '#')
    await world.runFor(3000)
    await publish(world, 'a/x', 'before')
    const own = await world.connect('c', 4, kept)
    const shared = await world.connect('d', 4, kept)
    own.subscribe(1, '#')
    shared.subscribe(1, '$share/g/#')
    for (const client of [own, shared]) await client.until('suback')
    await world.powerCut()
    await publish(world, 'a/x', 'after')
    for (const name of ['c', 'd']) expect(await take(world, await world.connect(name, 4, kept))).toEqual(['a/x=after'])
  })

  it('is told of a subscription when the places of all who have moved are written, a few of them in a turn of the loop', async () => {
    const world = await DoorWorld.start({ checkpointReaders: 4 })
    for (let n = 1; n <= 80; n += 1) await world.subscribed([`other${n}`, 4, kept], '#')
    const client = await world.connect('c', 4, kept)
    await world.runFor(3000)
    await publish(world, 'a/x', 'one')
    const before = world.ends(mqttSessionsTopic.name)
    client.subscribe(1, 'b/#')
    await client.until('suback#1 1')
    await world.runFor(20)
    const sizes = await world.batchSizes(mqttSessionsTopic.name, before)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeGreaterThan(80)
    expect(Math.max(...sizes)).toBeLessThan(8)
  })

  it.each([
    ['in its queue', 1000],
    ['in the log', 2],
  ] as const)(
    'hears nothing after a crash that is older than a subscription which it made while messages waited %s',
    async (_where, queuedMessagesMax) => {
      const world = await DoorWorld.start({ routes: [{ match: '#', topic: 'all' }], queuedMessagesMax })
      const slow = { clean: false, properties: { sessionExpiryInterval: 600, receiveMaximum: 1 } }
      const client = await world.subscribed(['c', 5, slow], 'a/#')
      await publish(world, 'a/x', '1', '2', '3', '4')
      await publish(world, 'b/x', 'old')
      await client.until('publish')
      client.subscribe(2, 'b/#')
      await client.until('suback#2')
      await publish(world, 'b/x', 'new')
      await world.powerCut()
      const back = await world.connect('c', 5, keptFor(600))
      expect(await take(world, back)).toEqual(['a/x=1', 'a/x=2', 'a/x=3', 'a/x=4', 'b/x=new'])
    },
  )

  it(
    'has lost nothing of what was acknowledged to its publishers (60 seeds of kills and power cuts)',
    async () => {
      for (let seed = 1; seed <= 60; seed += 1) await sessionHistories.losesNothing.run(seed)
    },
    seedsTimeoutMs,
  )

  it('ends when its time is over while the daemon is away, and not before', async () => {
    const world = await DoorWorld.start()
    for (const seconds of [10, 1000]) {
      const client = await world.subscribed([`c${seconds}`, 5, keptFor(seconds)], 'a')
      client.drop()
    }
    await world.runFor(50)
    world.host.kill()
    await world.runFor(20_000)
    await world.boot()
    expect(await (await world.connect('c10', 5, keptFor(10))).look()).toBe('connack 0')
    expect(await (await world.connect('c1000', 5, keptFor(1000))).look()).toBe('connack 0 present')
    await world.restart()
    expect(world.door.sessionCount).toBe(2)
  })

  it('does not come back when a clean start has ended it, however soon the crash comes', async () => {
    const world = await DoorWorld.start()
    await world.subscribed(['c', 4, kept], 'a/#')
    await world.connect('c', 4, { clean: true })
    await world.powerCut()
    expect(world.door.sessionCount).toBe(0)
    expect(await (await world.connect('c', 4, kept)).look()).toBe('connack 0')
  })

  it('is not promised before it is durable', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, kept)
    await client.look()
    world.host.stallDisk(2000)
    client.subscribe(1, 'a/#')
    client.send({ cmd: 'pingreq' })
    const other = await world.open(4)
    other.sendConnect('other', kept)
    other.publish('a/x', 'early', 1, 1)
    expect(await client.look(1000)).toBe('pingresp')
    expect(await other.look(0)).toBe('')
    expect(await client.look(3000)).toMatch(/^suback#1 1/)
    await other.until('puback#1')
    expect(other.heard.join(', ')).toBe('connack 0, puback#1')
  })

  it('refuses a client whose session cannot be written down', async () => {
    const world = await DoorWorld.start()
    await (await world.connect('x')).look()
    world.host.failDisk({ operation: 'write', code: 'EIO' })
    const client = await world.open(5)
    client.sendConnect('c', keptFor(100))
    await world.runFor(2000)
    expect(client.heard.join(', ')).toBe('connack 0x88, closed')
    // The log takes nothing any more.
    const next = await world.open(5)
    next.sendConnect('d', keptFor(100))
    await world.runFor(2000)
    expect(next.heard.join(', ')).toBe('connack 0x88, closed')
  })
})

describe('a shared subscription of kept sessions', () => {
  it('goes on after a crash with what nobody had acknowledged', async () => {
    const world = await DoorWorld.start()
    for (const clientId of ['m1', 'm2']) {
      const member = await world.subscribed([clientId, 4, kept], '$share/g/a/#')
      member.drop()
    }
    await publish(world, 'a/x', '1', '2', '3', '4')
    await world.powerCut()
    const members = [await world.connect('m1', 4, kept), await world.connect('m2', 4, kept)]
    const heard: string[] = []
    for (let round = 0; round < 20; round += 1)
      for (const member of members) heard.push(...(await take(world, member, 10)))
    expect(heard.toSorted()).toEqual(['a/x=1', 'a/x=2', 'a/x=3', 'a/x=4'])
  })

  it.each(['stopAndStart', 'restart', 'powerCut'] as const)(
    'has what came while its members were away, long before a %s',
    async (end) => {
      const world = await DoorWorld.start()
      const member = await world.subscribed(['m', 4, kept], '$share/g/a/#')
      await publish(world, 'a/x', 'first')
      expect(await take(world, member)).toEqual(['a/x=first'])
      await world.runFor(3000)
      member.drop()
      await world.runFor(3000)
      await publish(world, 'a/x', '1', '2', '3')
      await world.runFor(3000)
      await world[end]()
      expect(await take(world, await world.connect('m', 4, kept))).toEqual(['a/x=1', 'a/x=2', 'a/x=3'])
    },
  )
})

describe('a will', () => {
  const will = { topic: 'will/c', payload: 'gone', qos: 1, retain: false }

  it.each(['restart', 'powerCut'] as const)('is published once when a %s has taken the connection', async (end) => {
    const world = await DoorWorld.start()
    await world.connect('c', 4, { will })
    await world.connect('k', 4, { ...kept, will: { ...will, payload: 'kept' } })
    const polite = await world.connect('polite', 4, { will: { ...will, payload: 'polite' } })
    polite.send({ cmd: 'disconnect' })
    await world.runFor(50)
    await world[end]()
    await world.runFor(200)
    expect(await world.values('will')).toBe('gone kept')
    await world[end]()
    await world.runFor(200)
    expect(await world.values('will')).toBe('gone kept')
  })

  it(
    'is published once whenever the crash comes (60 seeds)',
    async () => {
      for (let seed = 1; seed <= 60; seed += 1) await sessionHistories.firesOnce.run(seed)
    },
    seedsTimeoutMs,
  )

  it('waits for its delay over a crash and over a stop', async () => {
    const world = await DoorWorld.start()
    const delayed = { ...will, properties: { willDelayInterval: 30 } }
    const client = await world.connect('c', 5, { ...keptFor(600), will: delayed })
    client.drop()
    await world.runFor(10_000)
    await world.powerCut()
    await world.runFor(5000)
    expect(await world.values('will')).toBe('')
    await world.settle(world.door.stop())
    await world.restart()
    await world.runFor(10_000)
    expect(await world.values('will')).toBe('')
    await world.runFor(8000)
    expect(await world.values('will')).toBe('gone')
    await world.restart()
    await world.runFor(60_000)
    expect(await world.values('will')).toBe('gone')
  })

  it('is taken back by a client that returns after the crash within the delay', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5, {
      ...keptFor(600),
      will: { ...will, properties: { willDelayInterval: 30 } },
    })
    client.drop()
    await world.runFor(100)
    await world.powerCut()
    await world.connect('c', 5, keptFor(600))
    await world.runFor(60_000)
    await world.restart()
    await world.runFor(60_000)
    expect(await world.values('will')).toBe('')
  })
})
