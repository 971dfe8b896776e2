/** QoS 2 to a kept session over kills and power cuts of the daemon: the client takes each message once. */
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'
import { CarefulReceiver, seedsTimeoutMs, sessionHistories } from './session-histories.ts'

const kept = { clean: false }

describe('QoS 2 to a kept session', () => {
  it('says after a crash under the same id what the client has not released, and PUBREL for what it has', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p')
    for (const packetId of [1, 2, 3]) publisher.publish('a/x', `m${packetId}`, 2, packetId)
    expect(await client.look()).toBe('connack 0, suback#1 2, publish#1 a/x=m1, publish#2 a/x=m2, publish#3 a/x=m3')
    client.send({ cmd: 'pubrec', messageId: 1 }, { cmd: 'pubrec', messageId: 2 })
    await client.until('pubrel#2')
    client.send({ cmd: 'pubcomp', messageId: 1 })
    await world.runFor(20)
    await world.powerCut()
    const back = await world.connect('c', 4, kept)
    const heard = (await back.look(300)).split(', ').toSorted()
    // PUBCOMP is not written down: its PUBREL may come again.
    expect(heard.filter((line) => line !== 'pubrel#1')).toEqual(['connack 0 present', 'publish#3! a/x=m3', 'pubrel#2'])
  })

  it('is said again after a crash although it has expired meanwhile: the client may hold its id', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p', 5)
    publisher.publish('a/x', 'begun', 2, 1, { properties: { messageExpiryInterval: 5 } })
    await client.until('publish#1')
    client.drop()
    await world.runFor(20)
    publisher.publish('a/x', 'new', 2, 2, { properties: { messageExpiryInterval: 5 } })
    await publisher.until('pubrec#2')
    await world.powerCut()
    await world.runFor(10_000)
    const back = await world.connect('c', 4, kept)
    expect(await back.look(300)).toBe('connack 0 present, publish#1! a/x=begun')
    back.send({ cmd: 'pubrec', messageId: 1 })
    expect(await back.look(300)).toBe('pubrel#1')
  })

  it('says after a crash what came by a shared subscription, whatever became of its own copy', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 }, { topic: '$share/g/a/#', qos: 2 })
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'twice', 2, 1)
    await client.until('publish#2')
    const own = client.heard.findIndex((line) => line.startsWith('publish')) >= 0 ? 1 : 2
    await world.runFor(50)
    client.send({ cmd: 'pubrec', messageId: own })
    await client.until(`pubrel#${own}`)
    await world.powerCut()
    const back = await world.connect('c', 4, kept)
    const heard = (await back.look(500)).split(', ')
    expect(heard.filter((line) => line.endsWith('a/x=twice'))).toHaveLength(1)
    expect(heard.filter((line) => line.startsWith('pubrel'))).toHaveLength(1)
  })

  it('needs no ids any more for topics that were deleted: it goes on, and the log forgets them', async () => {
    const world = await DoorWorld.start({ finishedIdsMax: 4 })
    const client = await world.subscribed(['c', 4, kept], { topic: '#', qos: 2 })
    const receiver = new CarefulReceiver()
    const publisher = await world.connect('p', 5)
    for (let round = 0; round < 4; round += 1) {
      for (const id of [1, 2]) publisher.publish('gone/x', `m${round}-${id}`, 2, id)
      for (let step = 0; step < 10; step += 1) {
        await world.runFor(10)
        receiver.react(client)
      }
      for (const id of [1, 2]) publisher.pubrel(id)
      await world.deleteTopic('gone')
      await world.runFor(2000)
    }
    expect(receiver.taken).toEqual(['m0-1', 'm0-2', 'm1-1', 'm1-2', 'm2-1', 'm2-2', 'm3-1', 'm3-2'])
    const state = new Map((await world.records('__headwater_mqtt_sessions')).map(({ key, value }) => [key, value]))
    expect([...state].filter(([key, value]) => key.startsWith('["outgoing"') && value !== 'null')).toEqual([])
  })

  it('is not sent before its id is durable', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, kept)
    client.subscribe(1, { topic: 'a/#', qos: 2 })
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 2, 1)
    await client.until('publish#1')
    client.heard.splice(0)
    world.host.stallDisk(2000)
    client.send({ cmd: 'pubrec', messageId: 1 })
    expect(await client.look(1000)).toBe('')
    expect(await client.look(2000)).toBe('pubrel#1')
  })

  it.each([null, 'powerCut'] as const)(
    'waits with new ids while an old message holds the place back, and goes on when that is acknowledged (%s)',
    async (end) => {
      const world = await DoorWorld.start({ finishedIdsMax: 4, sendWindowMax: 2 })
      const values = Array.from({ length: 12 }, (_, index) => `m${index + 1}`)
      const receiver = new CarefulReceiver()
      let client = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
      const publisher = await world.connect('p')
      for (const [index, value] of values.entries()) publisher.publish('a/x', value, 2, index + 1)
      const answerFor = async (ms: number): Promise<void> => {
        for (let passed = 0; passed < ms; passed += 10) {
          await world.runFor(10)
          receiver.react(client)
        }
      }
      receiver.silentOn = 'm1'
      await answerFor(3000)
      expect(receiver.taken).toEqual(['m2', 'm3', 'm4', 'm5'])
      if (end !== null) {
        await world[end]()
        client = await world.connect('c', 4, kept)
        await answerFor(3000)
      }
      receiver.silentOn = null
      await answerFor(5000)
      expect(receiver.taken.toSorted()).toEqual(values.toSorted())
    },
  )

  it(
    'comes exactly once (40 seeds of kills and power cuts)',
    async () => {
      for (let seed = 1; seed <= 40; seed += 1) await sessionHistories.deliversOnce.run(seed)
    },
    seedsTimeoutMs,
  )
})
