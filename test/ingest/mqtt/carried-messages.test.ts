/** QoS 2 messages that are not read from their topic again: retained ones and those of shared subscriptions, over kills, power cuts and stops. */
import { describe, expect, it } from 'vitest'
import { mqttSessionsTopic } from '../../../src/ingest/mqtt/packet-id-log.ts'
import { DoorWorld, type TestClient } from './door-world.ts'
import { CarefulReceiver, seedsTimeoutMs, sessionHistories } from './session-histories.ts'

const kept = { clean: false }
const ends = ['restart', 'powerCut', 'stopAndStart'] as const

async function publish(world: DoorWorld, count: number, more: Record<string, unknown> = {}): Promise<void> {
  const publisher = await world.connect('p', 5)
  for (let id = 1; id <= count; id += 1) publisher.publish('a/x', `m${id}`, 2, id, more)
  await publisher.until(`pubrec#${count}`)
  publisher.drop()
  await world.runFor(50)
}

async function open(world: DoorWorld): Promise<string[]> {
  const state = new Map((await world.records(mqttSessionsTopic.name)).map(({ key, value }) => [key, value]))
  return [...state].filter(([key, value]) => key.startsWith('["outgoing"') && value !== 'null').map(([key]) => key)
}

/** Answers everything for a while. */
async function answer(world: DoorWorld, receiver: CarefulReceiver, client: TestClient, ms = 500): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    receiver.react(client)
    await world.runFor(10)
  }
}

const shared = { topic: '$share/g/a/#', qos: 2 }

describe('a QoS 2 message of a shared subscription', () => {
  it.each(ends)(
    'is finished by the member that it was given to, under its id, after a %s, and given to no other',
    async (end) => {
      const world = await DoorWorld.start()
      const member = await world.subscribed(
        ['m', 5, { clean: false, properties: { sessionExpiryInterval: 600 } }],
        shared,
      )
      const properties = { userProperties: { colour: 'red' }, contentType: 'text/plain' }
      await publish(world, 3, { properties })
      expect(member.heard.filter((line) => line.startsWith('publish'))).toEqual([
        'publish#1 a/x=m1',
        'publish#2 a/x=m2',
        'publish#3 a/x=m3',
      ])
      const other = await world.subscribed(['o', 4, kept], shared)
      member.send({ cmd: 'pubrec', messageId: 2 })
      await member.until('pubrel#2')
      await world[end]()
      const elsewhere = await world.connect('o', 4, kept)
      expect(await elsewhere.look(300)).toBe('connack 0 present')
      const back = await world.connect('m', 5, { clean: false, properties: { sessionExpiryInterval: 600 } })
      const heard = (await back.look(300)).split(', ')
      expect(heard.toSorted()).toEqual(['connack 0 present', 'publish#1! a/x=m1', 'publish#3! a/x=m3', 'pubrel#2'])
      const again = back.packets.find((packet) => packet.cmd === 'publish')
      expect(again).toMatchObject({ properties: { userProperties: { colour: 'red' }, contentType: 'text/plain' } })
      other.drop()
    },
  )

  it.each(ends)("is nobody's when the session of its member ends, over a %s too [MQTT-4.8.2-5]", async (end) => {
    const world = await DoorWorld.start()
    await world.subscribed(['m', 4, kept], shared)
    ;(await world.subscribed(['o', 4, kept], shared)).drop()
    await world.runFor(2000)
    await publish(world, 2)
    await world[end]()
    await world.connect('m', 4, { clean: true })
    await world.runFor(20)
    await world[end]()
    const elsewhere = await world.connect('o', 4, kept)
    expect(await elsewhere.look(500)).toBe('connack 0 present')
    await publish(world, 1)
    await world.runFor(3000)
    expect((await open(world)).filter((key) => key.startsWith('["outgoing","m"'))).toEqual([])
  })

  it('is forgotten by the log when it is finished and the subscription has passed it', async () => {
    const world = await DoorWorld.start()
    const member = await world.subscribed(['m', 4, kept], shared)
    const receiver = new CarefulReceiver()
    await publish(world, 3)
    expect(await open(world)).toHaveLength(3)
    await answer(world, receiver, member)
    await answer(world, receiver, member, 4000)
    expect(receiver.taken).toEqual(['m1', 'm2', 'm3'])
    expect(await open(world)).toEqual([])
  })

  it(
    'is taken once by one of two members, whatever happens (40 seeds of kills, power cuts and stops)',
    async () => {
      for (let seed = 1; seed <= 40; seed += 1) await sessionHistories.sharesOnce.run(seed)
    },
    seedsTimeoutMs,
  )
})

describe('a retained message at QoS 2', () => {
  it.each(ends)(
    'is said again under its id after a %s, as it was sent, and PUBREL for what the client has',
    async (end) => {
      const world = await DoorWorld.start()
      const publisher = await world.connect('p')
      for (const id of [1, 2]) publisher.publish(`a/${id}`, `old${id}`, 2, id, { retain: true })
      await publisher.until('pubrec#2')
      const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
      await client.until('publish#2')
      client.send({ cmd: 'pubrec', messageId: 2 })
      await client.until('pubrel#2')
      client.drop()
      await world.runFor(20)
      for (const id of [1, 2]) publisher.pubrel(id)
      publisher.publish('a/1', 'new', 2, 3, { retain: true })
      await publisher.until('pubrec#3')
      await world[end]()
      const back = await world.connect('c', 4, kept)
      const heard = (await back.look(300)).split(', ').map((line) => line.replace(/#(?!1!)\d+ a/, '# a'))
      expect(heard.toSorted()).toEqual(['connack 0 present', 'publish# a/1=new', 'publish#1!r a/1=old1', 'pubrel#2'])
    },
  )

  it('is not sent before its id is durable, and forgotten when it is finished', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 2, 1, { retain: true })
    await publisher.until('pubrec')
    const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
    await client.until('publish#1')
    expect(await open(world)).toEqual(['["outgoing","c","retained 1"]'])
    await answer(world, new CarefulReceiver(), client, 3000)
    expect(await open(world)).toEqual([])
  })
})
