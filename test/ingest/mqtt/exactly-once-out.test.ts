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
