/** What a subscriber gets and how: QoS 2, aliases, sizes, through the whole door. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

const kept = { clean: false }

describe('delivery at QoS 2', () => {
  it.each([4, 5] as const)('goes PUBLISH, PUBREC, PUBREL, PUBCOMP at level %i', async (level) => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', level)
    subscriber.subscribe(1, { topic: 'a/#', qos: 2 })
    expect(await subscriber.look()).toBe('connack 0, suback#1 2')
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 2, 7)
    expect(await subscriber.look()).toBe('publish#1 a/x=one')
    subscriber.send({ cmd: 'pubrec', messageId: 1 })
    expect(await subscriber.look()).toBe('pubrel#1')
    subscriber.send({ cmd: 'pubcomp', messageId: 1 })
    publisher.publish('a/x', 'two', 2, 8)
    expect(await subscriber.look()).toBe('publish#2 a/x=two')
  })

  it('says again what was not finished when the client is back: PUBLISH with DUP, or PUBREL', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', 4, kept)
    subscriber.subscribe(1, { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p')
    for (const packetId of [1, 2, 3]) publisher.publish('a/x', `m${packetId}`, 2, packetId)
    expect(await subscriber.look()).toBe('connack 0, suback#1 2, publish#1 a/x=m1, publish#2 a/x=m2, publish#3 a/x=m3')
    subscriber.send({ cmd: 'pubrec', messageId: 2 }, { cmd: 'pubrec', messageId: 1 })
    expect(await subscriber.look()).toBe('pubrel#2, pubrel#1')
    subscriber.send({ cmd: 'pubcomp', messageId: 2 })
    await world.runFor(50)
    subscriber.drop()
    const again = await world.connect('s', 4, kept)
    expect(await again.look()).toBe('connack 0 present, publish#3! a/x=m3, pubrel#1')
  })

  it("never has more unfinished than the client's Receive Maximum", async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', 5, { properties: { receiveMaximum: 2 } })
    subscriber.subscribe(1, { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p')
    for (const packetId of [1, 2, 3, 4]) publisher.publish('a/x', `m${packetId}`, 2, packetId)
    expect(await subscriber.look()).toBe('connack 0, suback#1 2, publish#1 a/x=m1, publish#2 a/x=m2')
    subscriber.send({ cmd: 'pubrec', messageId: 1 })
    expect(await subscriber.look()).toBe('pubrel#1')
    subscriber.send({ cmd: 'pubcomp', messageId: 1 })
    expect(await subscriber.look()).toBe('publish#3 a/x=m3')
    subscriber.send({ cmd: 'pubrec', messageId: 2, reasonCode: 0x97 })
    expect(await subscriber.look()).toBe('publish#4 a/x=m4')
  })

  it('closes a client that answers with the acknowledgement of QoS 1', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', 5)
    subscriber.subscribe(1, { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 2, 7)
    await subscriber.look()
    subscriber.puback(1)
    expect(await subscriber.look()).toBe('disconnect 0x82, closed')
  })
})

describe('what a 5.0 subscriber can ask for', () => {
  it('names topics once and then by their aliases, no more than it takes, on each connection anew', async () => {
    const world = await DoorWorld.start()
    const connect = { clean: false, properties: { topicAliasMaximum: 2, sessionExpiryInterval: 60 } }
    const subscriber = await world.connect('s', 5, connect)
    subscriber.subscribe(1, 'a/#')
    const publisher = await world.connect('p')
    const seen = (client: TestClient): string[] =>
      client.packets.flatMap((packet) =>
        packet.cmd === 'publish' ? [`${packet.topic}${packet.properties?.topicAlias ?? ''}`] : [],
      )
    for (const [index, topic] of ['a/1', 'a/1', 'a/2', 'a/3', 'a/1', 'a/2', 'a/3'].entries()) {
      publisher.publish(topic, 'x', 1, index + 1)
      await publisher.until(`puback#${index + 1}`)
      await world.runFor(20)
    }
    expect(seen(subscriber)).toEqual(['a/11', '1', 'a/22', 'a/3', '1', '2', 'a/3'])
    subscriber.drop()
    const again = await world.connect('s', 5, connect)
    await world.runFor(100)
    expect(seen(again)).toEqual(['a/11', '1', 'a/22', 'a/3', '1', '2', 'a/3'])
  })

  it('is never sent a packet that is larger than it takes; the others come', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', 5, { properties: { maximumPacketSize: 100, topicAliasMaximum: 5 } })
    subscriber.subscribe(1, { topic: 'a/#', qos: 1 })
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'y'.repeat(100), 1, 1)
    publisher.publish('a/x', 'small', 1, 2)
    expect(await subscriber.look()).toBe('connack 0, suback#1 1, publish#2 a/x=small')
    await world.runFor(2000)
    expect(world.host.observer.figure('headwater_mqtt_dropped_deliveries_total', { reason: 'too_large' })).toBe(1)
  })
})
