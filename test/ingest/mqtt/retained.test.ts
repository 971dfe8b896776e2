/** Retained messages through the whole door: set, replaced, taken away, kept over kills and power cuts, bounded. */
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'
import { retainedOf, seedsTimeoutMs, sessionHistories } from './session-histories.ts'

const retain = { retain: true }

describe('a retained message', () => {
  it.each([4, 5] as const)('is given to a later subscriber with the flag, at level %i', async (level) => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p', level)
    publisher.publish('a/x', 'old', 1, 1, retain)
    publisher.publish('a/x', 'new', 1, 2, retain)
    publisher.publish('a/x', 'not kept', 1, 3)
    publisher.publish('a/y', 'quiet', 0, 0, retain)
    await publisher.until('puback#3')
    const subscriber = await world.connect('s', level)
    subscriber.subscribe(1, 'a/#', 'a/x')
    expect((await subscriber.look()).split(', ').slice(1).toSorted()).toEqual([
      'publish#1r a/x=new',
      'publish#2r a/x=new',
      'publishr a/y=quiet',
      'suback#1 1 1',
    ])
    publisher.publish('a/x', 'live', 1, 4, retain)
    expect(await subscriber.look()).toBe('publish#3 a/x=live')
  })

  it.each([
    ['at QoS 0', 0, []],
    ['at QoS 1', 1, ['puback#1']],
  ] as const)(
    'published %s in front of a SUBSCRIBE is older than it: it comes once, and with the flag',
    async (_name, qos, acks) => {
      const world = await DoorWorld.start()
      await world.subscribed(['other'], '#')
      const client = await world.connect('c')
      client.publish('a/x', 'kept', qos, qos, retain)
      client.publish('a/x', 'passing', qos, qos * 2)
      client.subscribe(3, { topic: 'a/#', qos: 0 })
      client.publish('a/x', 'later')
      const heard = (await client.look()).split(', ').slice(1)
      expect(heard.filter((line) => !line.startsWith('puback'))).toEqual([
        'suback#3 0',
        'publishr a/x=kept',
        'publish a/x=later',
      ])
      expect(heard.slice(0, acks.length)).toEqual(acks)
      // The Kafka topic had to be made first: the connection is read on all the same.
      client.send({ cmd: 'pingreq' })
      expect(await client.look()).toBe('pingresp')
    },
  )

  it('is announced: CONNACK of 5.0 does not take it back', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    expect(client.packets[0]).not.toHaveProperty('properties.retainAvailable')
  })

  it('is taken away by an empty payload, which subscribers still get', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    const subscriber = await world.connect('s')
    subscriber.subscribe(1, 'a/x')
    publisher.publish('a/x', 'one', 1, 1, retain)
    publisher.publish('a/x', '', 1, 2, retain)
    expect(await subscriber.look()).toBe('connack 0, suback#1 1, publish#1 a/x=one, publish#2 a/x=')
    expect(await retainedOf(world, '#')).toBe('')
    await world.restart()
    expect(await retainedOf(world, '#')).toBe('')
  })

  it('is given by the retain handling of the subscription', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 1, 1, retain)
    await publisher.until('puback')
    const client = await world.connect('c', 5)
    client.subscribe(1, { topic: 'a/x', rh: 2 })
    expect(await client.look()).toBe('connack 0, suback#1 1')
    client.subscribe(2, { topic: 'a/x', rh: 1 })
    expect(await client.look()).toBe('suback#2 1')
    client.subscribe(3, { topic: 'a/x', rh: 0 })
    expect(await client.look()).toBe('suback#3 1, publish#1r a/x=one')
    client.subscribe(4, { topic: 'a/+', rh: 1 })
    expect(await client.look()).toBe('suback#4 1, publish#2r a/x=one')
  })

  it('carries the identifier of its subscription and its properties, and not to its own no-local publisher', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p', 5)
    const userProperties = { unit: 'bar' }
    publisher.publish('a/x', 'one', 1, 1, { retain: true, properties: { contentType: 'text/plain', userProperties } })
    await publisher.until('puback')
    publisher.subscribe(1, { topic: 'a/#', nl: true })
    expect(await publisher.look()).toBe('connack 0, puback#1, suback#1 1')
    const other = await world.connect('o', 5)
    other.send({
      cmd: 'subscribe',
      messageId: 1,
      subscriptions: [{ topic: 'a/#', qos: 1 }],
      properties: { subscriptionIdentifier: 9 },
    })
    await other.until('publish')
    expect(other.packets.at(-1)).toMatchObject({
      properties: { contentType: 'text/plain', userProperties, subscriptionIdentifier: 9 },
    })
  })

  it('expires, and what is left of its time is told', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p', 5)
    publisher.publish('a/x', 'short', 1, 1, { retain: true, properties: { messageExpiryInterval: 10 } })
    await publisher.until('puback')
    await world.runFor(6000)
    const subscriber = await world.connect('s', 5)
    subscriber.subscribe(1, 'a/x')
    await subscriber.until('publish')
    expect(subscriber.packets.at(-1)).toMatchObject({ properties: { messageExpiryInterval: 4 } })
    await world.runFor(5000)
    expect(await retainedOf(world, 'a/x')).toBe('')
    await world.restart()
    expect(await retainedOf(world, 'a/x')).toBe('')
  })

  it('is kept for a topic whose route has another key and no headers', async () => {
    const world = await DoorWorld.start({ routes: [{ match: 'a/{id}', topic: 'a', key: '{id}', headers: 'none' }] })
    const publisher = await world.connect('p', 5)
    publisher.publish('a/x', 'one', 1, 1, { retain: true, properties: { contentType: 'text/plain' } })
    await publisher.until('puback')
    await world.restart()
    expect(await retainedOf(world, 'a/+')).toBe('r a/x=one')
  })

  it('comes from a will too', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5, { will: { topic: 'state/c', payload: 'gone', qos: 1, retain: true } })
    client.drop()
    await world.runFor(100)
    expect(await retainedOf(world, 'state/c')).toBe('r state/c=gone')
  })

  it('is counted from the start on', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 1, 1, retain)
    await publisher.until('puback')
    await world.restart()
    await world.runFor(2000)
    expect(world.host.observer.figure('headwater_mqtt_retained_messages', {})).toBe(1)
  })

  it('is not seen before it is durable', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 1, 1, retain)
    await publisher.until('puback#1')
    world.host.stallDisk(3000)
    publisher.publish('a/x', 'two', 1, 2, retain)
    await world.runFor(100)
    expect(await retainedOf(world, 'a/x')).toBe('r a/x=one')
    await publisher.until('puback#2')
    expect(await retainedOf(world, 'a/x', 'again')).toBe('r a/x=two')
  })

  it(
    'that was acknowledged survives, and the topic has what the log has last (60 seeds of kills and power cuts)',
    async () => {
      for (let seed = 1; seed <= 60; seed += 1) await sessionHistories.keepsRetained.run(seed)
    },
    seedsTimeoutMs,
  )
})

describe('the budget of retained messages', () => {
  it('refuses what is beyond it with 0x97; a smaller message, a removal and expiry make room', async () => {
    const world = await DoorWorld.start({ retainedBytesMax: 5000 })
    const client = await world.connect('c', 5)
    client.publish('a/1', 'x'.repeat(1500), 1, 1, { retain: true, properties: { messageExpiryInterval: 60 } })
    client.publish('a/2', 'x'.repeat(1500), 1, 2, retain)
    client.publish('a/3', 'x'.repeat(1500), 1, 3, retain)
    client.publish('a/4', 'not retained', 1, 4)
    expect(await client.look()).toBe('connack 0, puback#1, puback#2, puback#3 0x97, puback#4')
    expect(world.host.observer.eventsOf('mqtt-not-retained')[0]?.fields).toMatchObject({ topic: 'a/3' })
    client.publish('a/2', 'small', 1, 5, retain)
    expect(await client.look()).toBe('puback#5')
    client.publish('a/3', 'x'.repeat(1000), 1, 6, retain)
    expect(await client.look()).toBe('puback#6')
    client.publish('a/5', 'x'.repeat(1500), 1, 7, retain)
    expect(await client.look()).toBe('puback#7 0x97')
    await world.runFor(61_000)
    client.publish('a/5', 'x'.repeat(1500), 1, 8, retain)
    expect(await client.look()).toBe('puback#8')
    client.publish('a/5', '', 1, 9, retain)
    expect(await client.look()).toBe('puback#9')
    client.publish('b/1', 'x'.repeat(1500), 1, 10, retain)
    expect(await client.look()).toBe('puback#10')
    expect(await world.values('a')).not.toContain('x'.repeat(1600))
  })

  it('refuses a topic of more levels than filters may have', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    client.publish(`a${'/'.repeat(256)}`, 'x', 1, 1, retain)
    client.publish(`a${'/'.repeat(255)}`, 'x', 1, 2, retain)
    expect(await client.look()).toBe('connack 0, puback#1 0x90, puback#2')
  })

  it('gives thousands to a subscriber at QoS 0 and at QoS 1, whatever its window and its queue', async () => {
    const world = await DoorWorld.start({ queuedMessagesMax: 10, sendWindowMax: 5, queuedBytesMax: 2048 })
    const publisher = await world.connect('p')
    for (let index = 1; index <= 2000; index += 1) publisher.publish(`a/${index}`, 'x', 1, index, retain)
    await publisher.until('puback#2000', 120_000)
    const quick = await world.connect('q')
    quick.subscribe(1, { topic: '#', qos: 0 })
    await world.runFor(2000)
    expect(quick.heard.filter((line) => line.startsWith('publishr'))).toHaveLength(2000)
    const careful = await world.connect('k')
    careful.subscribe(1, { topic: '#', qos: 1 })
    for (let round = 0; round < 1000 && careful.heard.length < 2002; round += 1) {
      await world.runFor(2)
      for (const packet of careful.packets.splice(0)) {
        if (packet.cmd === 'publish') careful.puback(packet.messageId ?? 0)
      }
    }
    expect(new Set(careful.heard.filter((line) => line.startsWith('publish'))).size).toBe(2000)
  })
})
