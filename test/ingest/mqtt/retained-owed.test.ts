/** Retained messages that a new subscription of a kept session had not been sent, or had not acknowledged, when the daemon went. */
import { describe, expect, it } from 'vitest'
import { mqttSessionsTopic } from '../../../src/ingest/mqtt/packet-id-log.ts'
import { DoorWorld, type TestClient } from './door-world.ts'
import { CarefulReceiver, seedsTimeoutMs, sessionHistories, take } from './session-histories.ts'

const kept = { clean: false }
const ends = ['restart', 'powerCut', 'stopAndStart'] as const

/** Retains `count` messages under a/1, a/2, ...; answers their lines. */
async function retain(world: DoorWorld, count: number, qos: 0 | 1 | 2 = 1): Promise<string[]> {
  const publisher = await world.connect('p')
  const topics = Array.from({ length: count }, (_each, index) => `a/${index + 1}`)
  topics.forEach((topic, index) => publisher.publish(topic, 'kept', qos, qos * (index + 1), { retain: true }))
  publisher.publish('b', 'last', 1, 999)
  await publisher.until('puback#999')
  publisher.drop()
  await world.runFor(50)
  return topics.map((topic) => `${topic}=kept`)
}

/** What the log was told of the client's subscriptions, in its order. */
async function subscriptionRecords(world: DoorWorld, clientId: string): Promise<string[]> {
  const records = await world.records(mqttSessionsTopic.name)
  return records.filter(({ key }) => key.startsWith(`["subscription","${clientId}"`)).map(({ value }) => value)
}

async function openIds(world: DoorWorld): Promise<string[]> {
  const state = new Map((await world.records(mqttSessionsTopic.name)).map(({ key, value }) => [key, value]))
  return [...state].filter(([key, value]) => key.startsWith('["outgoing"') && value !== 'null').map(([key]) => key)
}

async function answer(world: DoorWorld, receiver: CarefulReceiver, client: TestClient, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 10) {
    receiver.react(client)
    await world.runFor(10)
  }
}

describe('retained messages that a kept session is owed', () => {
  it.each(ends)('come after a %s: those that were not acknowledged, and those that were not sent', async (end) => {
    const world = await DoorWorld.start({ sendWindowMax: 2 })
    const retained = await retain(world, 5)
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await client.until('publish#2')
    client.drop()
    await world.runFor(2000)
    await world[end]()
    await world.runFor(2000)
    await world[end]()
    const heard = await take(world, await world.connect('c', 4, kept), 1000)
    expect(heard.toSorted()).toEqual(retained)
  })

  it.each(ends)('do not come again after a %s when all were acknowledged', async (end) => {
    const world = await DoorWorld.start({ sendWindowMax: 2 })
    const retained = await retain(world, 5)
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    expect((await take(world, client, end === 'stopAndStart' ? 100 : 1500)).toSorted()).toEqual(retained)
    await world[end]()
    const back = await world.connect('c', 4, kept)
    expect(await back.look(1000)).toBe('connack 0 present')
  })

  it.each(ends)(
    'come after a %s where all were sent and one was not acknowledged; after a stop that one alone',
    async (end) => {
      const world = await DoorWorld.start()
      const retained = await retain(world, 5)
      const client = await world.subscribed(['c', 4, kept], 'a/#')
      await client.until('publish#5')
      for (const id of [1, 2, 4, 5]) client.puback(id)
      await world.runFor(20)
      client.drop()
      await world.runFor(3000)
      for (let life = 0; life < 2; life += 1) {
        await world[end]()
        const back = await world.connect('c', 4, kept)
        await back.until('publish')
        back.drop()
        await world.runFor(2000)
      }
      await world[end]()
      const heard = await take(world, await world.connect('c', 4, kept), 1500)
      expect(heard.toSorted()).toEqual(end === 'stopAndStart' ? ['a/3=kept'] : retained)
      await world[end]()
      expect(await take(world, await world.connect('c', 4, kept), 500)).toEqual([])
    },
  )

  it.each([0, 1] as const)(
    'come as they are by then, and with the flag, when they were published at QoS %i',
    async (qos) => {
      const world = await DoorWorld.start({ sendWindowMax: 1 })
      await retain(world, 1)
      await retain(world, 3, qos)
      const client = await world.connect('c', 4, kept)
      client.subscribe(1, 'a/#')
      client.stopReading()
      await world.runFor(50)
      client.drop()
      const publisher = await world.connect('p')
      publisher.publish('a/2', '', 1, 1, { retain: true })
      await publisher.until('puback')
      await world.restart()
      const back = await world.connect('c', 4, kept)
      const heard: string[] = []
      for (let turn = 0; turn < 40; turn += 1) {
        for (const packet of back.packets.splice(0)) {
          if (packet.cmd !== 'publish') continue
          heard.push(`${packet.retain ? 'r ' : ''}${packet.topic}=${String(packet.payload)}`)
          if (packet.qos > 0) back.puback(packet.messageId ?? 0)
        }
        await world.runFor(10)
      }
      expect(heard.toSorted()).toEqual(['a/2=', 'r a/1=kept', 'r a/3=kept'])
    },
  )

  it.each(ends)('are taken once at QoS 2, whatever had begun when a %s came', async (end) => {
    const world = await DoorWorld.start({ sendWindowMax: 2 })
    const retained = await retain(world, 7, 2)
    const receiver = new CarefulReceiver()
    const taken: string[] = []
    let client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
    for (const ms of [25, 1500, 45, 5000]) {
      for (let passed = 0; passed < ms; passed += 1) {
        for (const packet of client.packets) if (packet.cmd === 'publish' && !packet.dup) taken.push(packet.topic)
        receiver.react(client)
        // Of the first life only the beginning is answered.
        await world.runFor(ms === 1500 ? 10 : 1)
      }
      client.drop()
      await world.runFor(5)
      if (ms === 5000) break
      await world[end]()
      client = await world.connect('c', 4, kept)
    }
    expect(receiver.taken).toHaveLength(retained.length)
    expect(await openIds(world)).toEqual([])
  })

  it('cost one record when they begin to be owed, and one when they are not any more', async () => {
    const world = await DoorWorld.start({ sendWindowMax: 2 })
    await retain(world, 20)
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await take(world, client, 3000)
    const mark = { owed: 1 }
    const records = (await subscriptionRecords(world, 'c')).map((value) => JSON.parse(value) as Record<string, unknown>)
    expect(records).toEqual([expect.objectContaining(mark), expect.not.objectContaining(mark)])
    expect(records[1]).not.toHaveProperty('owed')
  })

  it('cost nothing where nothing is retained, where they are not asked for, and where the session is not kept', async () => {
    const world = await DoorWorld.start()
    await retain(world, 3)
    const properties = { sessionExpiryInterval: 600 }
    const client = await world.subscribed(['c', 5, { clean: false, properties }], 'x/#', { topic: 'a/#', rh: 2 })
    await world.subscribed(['d', 5], 'a/#')
    await take(world, client, 3000)
    const records = await subscriptionRecords(world, 'c')
    expect(records).toHaveLength(2)
    expect(records.join(' ')).not.toContain('owed')
    expect(await subscriptionRecords(world, 'd')).toEqual([])
  })

  it('are still owed when the client subscribes again without asking for them, and not when it unsubscribes', async () => {
    const world = await DoorWorld.start({ sendWindowMax: 1 })
    const retained = await retain(world, 3)
    const properties = { sessionExpiryInterval: 600 }
    const connect = { clean: false, properties }
    const client = await world.subscribed(['c', 5, connect], 'a/#')
    const other = await world.subscribed(['d', 5, connect], 'a/#')
    client.subscribe(2, { topic: 'a/#', rh: 1 })
    other.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a/#'] })
    await client.until('suback#2')
    await other.until('unsuback#2')
    await world.restart()
    expect((await take(world, await world.connect('c', 5, connect), 500)).toSorted()).toEqual(retained)
    expect(await take(world, await world.connect('d', 5, connect), 500)).toEqual([])
  })

  it('are not owed at QoS 2 beyond the ids that may be held for them: nothing comes twice, and all comes in one life', async () => {
    const world = await DoorWorld.start({ finishedIdsMax: 8, sendWindowMax: 4 })
    const retained = await retain(world, 30, 2)
    const receiver = new CarefulReceiver()
    const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
    await answer(world, receiver, client, 60)
    await world.powerCut()
    await answer(world, receiver, await world.connect('c', 4, kept), 3000)
    expect(receiver.taken.length).toBeLessThan(retained.length)
    expect(receiver.taken.length).toBeGreaterThan(4)
    const again = await world.subscribed(['d', 4, kept], { topic: 'a/#', qos: 2 })
    const second = new CarefulReceiver()
    await answer(world, second, again, 20_000)
    expect(second.taken).toHaveLength(retained.length)
    expect(await openIds(world)).toEqual([])
  })

  it(
    'all come, and at QoS 2 once, whatever happens (40 seeds of kills, power cuts and stops)',
    async () => {
      for (let seed = 1; seed <= 40; seed += 1) await sessionHistories.owesRetained.run(seed)
    },
    seedsTimeoutMs,
  )
})
