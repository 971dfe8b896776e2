/** QoS 2 to a kept session over kills and power cuts of the daemon: the client takes each message once. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

const kept = { clean: false }

/** What a client does that stores the ids of what it has received (4.3.3, method B): a message is new when its id is not held. */
class CarefulReceiver {
  readonly taken: string[] = []
  private readonly held = new Set<number>()

  react(client: TestClient): void {
    for (const packet of client.packets.splice(0)) {
      const messageId = packet.messageId ?? 0
      if (packet.cmd === 'publish') {
        if (!this.held.has(messageId)) this.taken.push(String(packet.payload))
        this.held.add(messageId)
        client.send({ cmd: 'pubrec', messageId })
      }
      if (packet.cmd === 'pubrel') {
        this.held.delete(messageId)
        client.send({ cmd: 'pubcomp', messageId })
      }
    }
  }
}

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

  it('comes exactly once (60 seeds of kills and power cuts)', async () => {
    for (let seed = 1; seed <= 60; seed += 1) {
      const world = await DoorWorld.start({ sendWindowMax: 4, queuedMessagesMax: 6 }, seed)
      const chance = world.world.prng
      const receiver = new CarefulReceiver()
      const first = await world.subscribed(['c', 4, kept], { topic: 'a/#', qos: 2 })
      first.drop()
      const stored = new Set<string>()
      let value = 0
      for (let round = 0; round < 4; round += 1) {
        const client = await world.connect('c', 4, kept)
        const publisher = await world.connect('p')
        for (let count = chance.below(15); count > 0; count -= 1) {
          value += 1
          publisher.publish(`a/${chance.below(2)}`, `m${value}`, 2, value)
          await world.runFor(chance.below(4))
          if (chance.below(3) > 0) receiver.react(client)
        }
        for (let turn = chance.below(12); turn > 0; turn -= 1) {
          await world.runFor(chance.below(6))
          receiver.react(client)
        }
        if (chance.below(4) === 0) await world.runFor(1500)
        receiver.react(client)
        await world.runFor(chance.below(3))
        if (chance.below(2) === 0) await world.powerCut()
        else await world.restart()
      }
      for (const { value: each } of await world.records('a')) stored.add(each)
      const client = await world.connect('c', 4, kept)
      for (let turn = 0; turn < 200; turn += 1) {
        await world.runFor(10)
        receiver.react(client)
      }
      expect(receiver.taken.toSorted(), `seed ${seed}`).toEqual([...stored].toSorted())
    }
  })
})
