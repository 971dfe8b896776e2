/** Shared subscriptions (4.8.2) through the whole door. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 60 } }

/** Payloads of what was heard, in order. */
function payloads(client: TestClient): string[] {
  return client.heard.filter((line) => line.startsWith('publish')).map((line) => line.slice(line.indexOf('=') + 1))
}

async function member(
  world: DoorWorld,
  clientId: string,
  connect: Record<string, unknown> = {},
  filter: Record<string, unknown> = {},
): Promise<TestClient> {
  const client = await world.subscribed([clientId, 5, connect], { topic: '$share/g/a/#', qos: 1, ...filter })
  return client
}

async function publish(world: DoorWorld, count: number, qos: 0 | 1 | 2 = 1): Promise<void> {
  const publisher = await world.connect('p')
  for (let packetId = 1; packetId <= count; packetId += 1) publisher.publish('a/x', `m${packetId}`, qos, packetId)
  await world.runFor(200)
}

const all = (count: number): string[] => Array.from({ length: count }, (_each, index) => `m${index + 1}`).toSorted()

describe('a shared subscription', () => {
  it('gives each message to one member, in turns, beside what the others subscribe to', async () => {
    const world = await DoorWorld.start()
    const members = [await member(world, 'm1'), await member(world, 'm2'), await member(world, 'm3')]
    const other = await world.subscribed(['o', 5], 'a/#', '$share/h/a/x')
    expect(other.heard.at(-1)).toBe('suback#1 1 1')
    await publish(world, 9)
    expect(members.map((client) => payloads(client).length)).toEqual([3, 3, 3])
    expect(members.flatMap(payloads).toSorted()).toEqual(all(9))
    expect(payloads(other).toSorted()).toEqual([...all(9), ...all(9)].toSorted())
  })

  it('is served before 5.0 too, and told nothing about in CONNACK', async () => {
    const world = await DoorWorld.start()
    const old = await world.connect('old', 4)
    old.subscribe(1, '$share/g/a/#')
    const modern = await member(world, 'm')
    expect(modern.packets[0]).not.toHaveProperty('properties.sharedSubscriptionAvailable')
    await publish(world, 4)
    expect([payloads(old).length, payloads(modern).length]).toEqual([2, 2])
  })

  it('goes round a member whose window is full', async () => {
    const world = await DoorWorld.start()
    const narrow = await member(world, 'narrow', { properties: { receiveMaximum: 1 } })
    const wide = await member(world, 'wide')
    await publish(world, 10)
    expect([payloads(narrow).length, payloads(wide).length]).toEqual([1, 9])
  })

  it('goes round a member that is offline', async () => {
    const world = await DoorWorld.start()
    const away = await member(world, 'away', kept)
    const here = await member(world, 'here')
    away.drop()
    await world.runFor(50)
    await publish(world, 5)
    expect(payloads(here).toSorted()).toEqual(all(5))
  })

  it('keeps what comes while all members are offline', async () => {
    const world = await DoorWorld.start()
    const away = await member(world, 'away', kept)
    away.drop()
    await world.runFor(50)
    await publish(world, 5)
    const back = await world.connect('away', 5, kept)
    await world.runFor(100)
    expect(payloads(back).toSorted()).toEqual(all(5))
  })

  it('gives what a member had not acknowledged at QoS 1 to another when its session ends', async () => {
    const world = await DoorWorld.start()
    const first = await member(world, 'first', { ...kept, properties: { sessionExpiryInterval: 5, receiveMaximum: 2 } })
    await publish(world, 6)
    expect(payloads(first)).toEqual(['m1', 'm2'])
    first.puback(1)
    await world.runFor(50)
    first.drop()
    const second = await member(world, 'second')
    await world.runFor(100)
    expect(payloads(second)).toEqual([])
    await world.runFor(6000)
    expect(payloads(second).toSorted()).toEqual(['m2', 'm3', 'm4', 'm5', 'm6'])
  })

  it('gives what has not been sent to another as soon as the connection is gone, or the member leaves', async () => {
    const world = await DoorWorld.start()
    const first = await member(world, 'first', {
      ...kept,
      properties: { sessionExpiryInterval: 60, receiveMaximum: 1 },
    })
    const second = await member(world, 'second', { properties: { receiveMaximum: 1 } })
    const third = await member(world, 'third', { properties: { receiveMaximum: 1 } })
    await publish(world, 9)
    expect([first, second, third].flatMap(payloads)).toHaveLength(3)
    first.drop()
    third.send({ cmd: 'unsubscribe', messageId: 9, unsubscriptions: ['$share/g/a/#'] })
    for (let round = 0; round < 20; round += 1) {
      await world.runFor(50)
      for (const packet of second.packets.splice(0)) {
        if (packet.cmd === 'publish') second.puback(packet.messageId ?? 0)
      }
    }
    const waitsAtFirst = payloads(first)
    expect([...payloads(second), ...waitsAtFirst, ...payloads(third)].toSorted()).toEqual(all(9))
    expect([waitsAtFirst.length, payloads(third).length]).toEqual([1, 1])
  })

  it('never gives a QoS 2 message that was begun to another member', async () => {
    const world = await DoorWorld.start()
    const first = await member(world, 'first', { properties: { receiveMaximum: 5 } }, { qos: 2 })
    await publish(world, 2, 2)
    expect(payloads(first)).toEqual(['m1', 'm2'])
    const second = await member(world, 'second', {}, { qos: 2 })
    first.drop()
    await world.runFor(200)
    expect(payloads(second)).toEqual([])
  })

  it('gets no retained messages when it is made', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'kept', 1, 1, { retain: true })
    await publisher.until('puback')
    const client = await member(world, 'm')
    await world.runFor(100)
    expect(payloads(client)).toEqual([])
  })

  it('is refused with no-local, and without a name or a filter', async () => {
    const world = await DoorWorld.start()
    const refusal = async (topic: string, more: Record<string, unknown> = {}): Promise<string> => {
      const client = await world.connect('c', 5)
      client.subscribe(1, { topic, ...more })
      return client.look()
    }
    expect(await refusal('$share/g/a', { nl: true })).toBe('connack 0, disconnect 0x82, closed')
    for (const filter of ['$share', '$share/g', '$share//a', '$share/g/', '$share/+/a', '$share/g/a+'])
      expect(await refusal(filter), filter).toBe('connack 0, disconnect 0x81, closed')
    expect(await refusal('$share/g/$share/g/a')).toBe('connack 0, suback#1 1')
  })
})
