/** QoS 2 on its way to a subscriber, through the whole door. */
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'

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
