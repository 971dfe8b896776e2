/** A stop that the daemon was asked for: who is given what afterwards. */
import { describe, expect, it } from 'vitest'
import type { Packet } from 'mqtt-packet'
import { DoorWorld, type TestClient } from './door-world.ts'
import { seedsTimeoutMs, sessionHistories, take } from './session-histories.ts'

const kept = { clean: false }

/** Acknowledges all that has come but these payloads, at QoS 1. */
function acknowledgeBut(client: TestClient, ...payloads: string[]): string[] {
  const taken: string[] = []
  for (const packet of client.packets.splice(0) as Packet[]) {
    if (packet.cmd !== 'publish') continue
    taken.push(String(packet.payload))
    if (!payloads.includes(String(packet.payload))) client.puback(packet.messageId ?? 0)
  }
  return taken
}

async function publish(world: DoorWorld, first: number, count: number, qos: 1 | 2 = 1): Promise<void> {
  const publisher = await world.connect('p')
  for (let id = first; id < first + count; id += 1) publisher.publish('a/x', `m${id}`, qos, id)
  await publisher.until(`${qos === 1 ? 'puback' : 'pubrec'}#${first + count - 1}`)
  publisher.drop()
  await world.runFor(50)
}

const lines = (...ids: number[]): string[] => ids.map((id) => `a/x=m${id}`)

/** A kept session has acknowledged ten messages but the second and the seventh. */
async function heldTwo(): Promise<DoorWorld> {
  const world = await DoorWorld.start()
  const client = await world.subscribed(['c', 4, kept], 'a/#')
  await publish(world, 1, 10)
  acknowledgeBut(client, 'm2', 'm7')
  return world
}

describe('after an orderly restart', () => {
  it('nothing comes again that was acknowledged, above a message that was not', async () => {
    const world = await heldTwo()
    await world.runFor(50)
    await world.stopAndStart()
    await publish(world, 11, 2)
    expect(await take(world, await world.connect('c', 4, kept))).toEqual(lines(2, 7, 11, 12))
  })

  it('nor after a second one, of what the client had not come back for', async () => {
    const world = await heldTwo()
    await world.runFor(50)
    await world.stopAndStart()
    await publish(world, 11, 2)
    await world.stopAndStart()
    const narrow = { clean: false, properties: { sessionExpiryInterval: 600, receiveMaximum: 1 } }
    const back = await world.connect('c', 5, narrow)
    await back.until('publish')
    expect(back.heard.at(-1)).toMatch(/a\/x=m2$/)
    await world.stopAndStart()
    expect(await take(world, await world.connect('c', 4, kept))).toEqual(lines(2, 7, 11, 12))
  })

  it('nor of what was acknowledged while more waited in the log than the session holds', async () => {
    const world = await DoorWorld.start({ sendWindowMax: 4, queuedMessagesMax: 4 })
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await publish(world, 1, 30)
    acknowledgeBut(client, 'm1')
    await world.runFor(50)
    acknowledgeBut(client, 'm1')
    await world.runFor(50)
    await world.stopAndStart()
    const heard = await take(world, await world.connect('c', 4, kept), 2000)
    expect(heard).toEqual(lines(1, ...Array.from({ length: 23 }, (_each, index) => index + 8)))
  })

  it('more is told apart than while the daemon runs: the whole window', async () => {
    const world = await DoorWorld.start()
    const client = await world.subscribed(['c', 4, kept], 'a/#')
    await publish(world, 1, 100)
    const odd = Array.from({ length: 50 }, (_each, index) => 2 * index + 1)
    acknowledgeBut(client, ...odd.map((id) => `m${id}`))
    await world.runFor(3000)
    await world.stopAndStart()
    expect(await take(world, await world.connect('c', 4, kept))).toEqual(lines(...odd))
  })

  it('a shared subscription goes on with what none of its members has acknowledged', async () => {
    const world = await DoorWorld.start()
    const member = await world.subscribed(['m', 4, kept], '$share/g/a/#')
    await world.subscribed(['passing', 4], '$share/g/a/#')
    await publish(world, 1, 10)
    const taken = acknowledgeBut(member, 'm1', 'm2')
    await world.runFor(50)
    await world.stopAndStart()
    const back = await take(world, await world.connect('m', 4, kept))
    const all = Array.from({ length: 10 }, (_each, index) => `m${index + 1}`)
    const done = taken.filter((payload) => payload !== 'm1' && payload !== 'm2')
    expect(done.length).toBeGreaterThan(2)
    expect(back.toSorted()).toEqual(
      all
        .filter((payload) => !done.includes(payload))
        .map((each) => `a/x=${each}`)
        .toSorted(),
    )
  })
})

describe('over orderly stops', () => {
  it(
    'nothing comes again and nothing is missed, in whatever order it is acknowledged (40 seeds)',
    async () => {
      for (let seed = 1; seed <= 40; seed += 1) await sessionHistories.repeatsNothing.run(seed)
    },
    seedsTimeoutMs,
  )
})

describe('after a power cut', () => {
  it('what was acknowledged above a message that was not does not come again, when it was a second ago', async () => {
    const world = await heldTwo()
    await world.runFor(3000)
    await world.powerCut()
    expect(await take(world, await world.connect('c', 4, kept))).toEqual(lines(2, 7))
  })

  it('a shared subscription has what a member held that is gone with its connection', async () => {
    const world = await DoorWorld.start()
    ;(await world.subscribed(['m', 4, kept], '$share/g/a/#')).drop()
    const passing = await world.subscribed(['passing', 4], '$share/g/a/#')
    await world.runFor(3000)
    await publish(world, 1, 3)
    expect(acknowledgeBut(passing, 'm1', 'm2', 'm3')).toEqual(['m1', 'm2', 'm3'])
    await world.runFor(3000)
    await world.powerCut()
    expect(await take(world, await world.connect('m', 4, kept))).toEqual(lines(1, 2, 3))
  })
})
