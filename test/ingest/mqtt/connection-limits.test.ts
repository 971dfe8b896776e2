import { describe, expect, it } from 'vitest'
import type { MqttListenerOptions } from '../../../src/ingest/mqtt/listener-options.ts'
import type { MqttDoorOptions } from '../../../src/ingest/mqtt/mqtt-options.ts'
import { entityOf } from '../../../src/security/quotas/client-quotas.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

async function start(options: Partial<MqttDoorOptions>, listener: MqttListenerOptions = {}): Promise<DoorWorld> {
  return DoorWorld.start(options, 1, listener)
}

/** What a client of a level is told that is one too many. */
async function told(world: DoorWorld, level: 4 | 5): Promise<string> {
  const client = await world.open(level)
  client.sendConnect(`late${level}`)
  return client.look()
}

describe('one connection too many', () => {
  it.each<[string, Partial<MqttDoorOptions>, MqttListenerOptions, string, string]>([
    ['connections', { connectionsMax: 1 }, {}, '0x97', '3'],
    ['listener_connections', {}, { connectionsMax: 1 }, '0x97', '3'],
    ['address_connections', { connectionsPerAddressMax: 1 }, {}, '0x97', '3'],
    ['address_connections', {}, { connectionsPerAddressMax: 1 }, '0x97', '3'],
    ['rate', { connectionsPerSecondMax: 1 }, {}, '0x9f', '3'],
    ['rate', {}, { connectionsPerSecondMax: 1 }, '0x9f', '3'],
  ])('is told so (%s), and the figure counts it', async (reason, options, listener, five, four) => {
    const world = await start(options, listener)
    const first = await world.connect('first', 5)
    expect(await told(world, 5)).toBe(`connack ${five}, closed`)
    expect(await told(world, 4)).toBe(`connack ${four}, closed`)
    const figure = world.host.observer.figure('headwater_mqtt_connections_refused_total', { reason })
    expect(figure).toBe(2)
    expect(first.isClosed).toBe(false)
    first.drop()
    await world.runFor(1500)
    const next = await world.connect('next', 5)
    expect(next.isClosed).toBe(false)
  })

  it('is told so by the quota of its address, from the moment it is set until it is taken back', async () => {
    const world = await start({})
    const rate = 'connection_creation_rate'
    const anybody = entityOf([{ entityType: 'ip', entityName: null }])
    for (let each = 0; each < 20; each++) (await world.connect(`before-${each}`)).drop()
    world.quotas.set(anybody, rate, 1)
    await world.runFor(2_000)
    await world.connect('first', 5)
    expect([await told(world, 5), await told(world, 4)]).toEqual(['connack 0x9f, closed', 'connack 3, closed'])
    const elsewhere = await world.open(5, world.world.host('elsewhere').boot())
    elsewhere.sendConnect('second')
    expect(await elsewhere.look()).toBe('connack 0')
    world.quotas.set(anybody, rate, null)
    for (let each = 0; each < 20; each++) await world.connect(`after-${each}`)
  })

  it('is closed at once when enough others are being told', async () => {
    const world = await start({ connectionsMax: 1, connectDeadlineMs: 60_000 })
    await world.connect('first')
    const waiting: TestClient[] = []
    for (let each = 0; each < 65; each++) waiting.push(await world.open(5))
    await world.runFor(100)
    expect(waiting.filter(({ isClosed }) => isClosed).length).toBe(1)
    expect(waiting.at(-1)?.isClosed).toBe(true)
  })

  it('of one address leaves others alone', async () => {
    const world = await start({ connectionsPerAddressMax: 1 })
    await world.connect('first')
    const elsewhere = await world.open(5, world.world.host('elsewhere').boot())
    elsewhere.sendConnect('second')
    expect(await elsewhere.look()).toBe('connack 0')
  })
})

describe('a listener’s own packet size', () => {
  it('is announced and enforced', async () => {
    const world = await start({ packetBytesMax: 100_000 }, { packetBytesMax: 2000 })
    const client = await world.connect('c', 5)
    expect(client.packets[0]).toMatchObject({ properties: { maximumPacketSize: 2000 } })
    client.publish('a/x', 'x'.repeat(2000), 1, 1)
    expect(await client.look()).toBe('connack 0, disconnect 0x95, closed')
  })
})
