/** `$SYS/broker/...` as Mosquitto's users know it. */
import { describe, expect, it } from 'vitest'
import { sysTopicNames } from '../../../src/ingest/mqtt/sys-topics.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

function figures(client: TestClient): Map<string, string> {
  const found = new Map<string, string>()
  for (const packet of client.packets) if (packet.cmd === 'publish') found.set(packet.topic, String(packet.payload))
  return found
}

const heldNames = [
  ...['messages/received', 'messages/sent', 'messages/inflight', 'messages/stored', 'store/messages/count'],
  ...['clients/expired', 'clients/active', 'clients/inactive', 'shared_subscriptions/count'],
]

describe('the $SYS topics', () => {
  it('are given to a new subscription like retained messages, and to no wildcard at the first level', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'hello', 1, 1, { retain: true })
    await publisher.until('puback')
    await world.runFor(5000)
    const client = await world.connect('c', 5)
    client.subscribe(1, '$SYS/#')
    await world.runFor(100)
    const seen = figures(client)
    expect([...seen.keys()].toSorted()).toEqual([...sysTopicNames].toSorted())
    expect(client.heard.filter((line) => line.startsWith('publish')).every((line) => line.startsWith('publishr'))).toBe(
      true,
    )
    expect(seen.get('$SYS/broker/version')).toBe('headwater 1.2.3')
    expect(seen.get('$SYS/broker/uptime')).toMatch(/^\d+ seconds$/)
    expect(seen.get('$SYS/broker/clients/connected')).toBe('2')
    expect(seen.get('$SYS/broker/publish/messages/received')).toBe('1')
    expect(seen.get('$SYS/broker/publish/bytes/received')).toBe('8')
    expect(seen.get('$SYS/broker/retained messages/count')).toBe('1')
    const other = await world.connect('o')
    other.subscribe(1, '#', '+/broker/version')
    await world.runFor(100)
    expect([...figures(other).keys()]).toEqual(['a/x'])
  })

  it('are sent again when they have changed, while somebody subscribes', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4)
    client.subscribe(1, '$SYS/broker/clients/connected', '$SYS/broker/version')
    await world.runFor(25_000)
    client.heard.splice(0)
    await world.connect('other')
    await world.runFor(11_000)
    expect(client.heard).toEqual(['publish $SYS/broker/clients/connected=2'])
    client.send({
      cmd: 'unsubscribe',
      messageId: 2,
      unsubscriptions: ['$SYS/broker/clients/connected', '$SYS/broker/version'],
    })
    await world.runFor(30_000)
    expect(client.heard.splice(1)).toEqual(['unsuback#2'])
  })

  it('count packets, what is held, what shares a subscription, who stayed away, and the load of the last minutes', async () => {
    const world = await DoorWorld.start({ sendWindowMax: 2 })
    const holder = await world.connect('h', 4, { clean: false })
    // It never acknowledges: two in flight, one queued.
    holder.subscribe(1, 'a/#', '$share/g/b')
    await holder.until('suback')
    const gone = await world.connect('gone', 5, { clean: false, properties: { sessionExpiryInterval: 5 } })
    await gone.until('connack')
    const publisher = await world.connect('p')
    publisher.publish('a/1', 'hello', 1, 1, { retain: true })
    publisher.publish('a/2', 'hello', 1, 2)
    publisher.publish('a/3', 'hello', 1, 3)
    await publisher.until('puback#3')
    await world.runFor(1000)
    gone.send({ cmd: 'disconnect' })
    await world.runFor(20_000)
    const client = await world.connect('c', 5)
    client.subscribe(1, '$SYS/#')
    await world.runFor(100)
    const seen = figures(client)
    const of = (name: string): string | undefined => seen.get(`$SYS/broker/${name}`)
    // 4 CONNECT, SUBSCRIBE, 3 PUBLISH and DISCONNECT, the SUBSCRIBE that asks not yet; 4 CONNACK, 2 SUBACK, 3 PUBACK, 2 PUBLISH.
    expect(Object.fromEntries(heldNames.map((name) => [name, of(name)]))).toEqual({
      'messages/received': '9',
      'messages/sent': '11',
      'messages/inflight': '2',
      'messages/stored': '4',
      'store/messages/count': '4',
      'clients/expired': '1',
      'clients/active': '3',
      'clients/inactive': '0',
      'shared_subscriptions/count': '1',
    })
    expect(Number(of('store/messages/bytes'))).toBeGreaterThan(4 * 5)
    // Three messages 20 s ago, in a minute's average: 3 * exp(-20 / 60), about.
    expect(Number(of('load/publish/received/1min'))).toBeCloseTo(3 * Math.exp(-21 / 60), 1)
    expect(Number(of('load/publish/received/15min'))).toBeCloseTo(3 / 15, 1)
    expect(Number(of('load/sockets/1min'))).toBeGreaterThan(Number(of('load/sockets/5min')))
    expect(of('load/publish/dropped/1min')).toBe('0.00')
  })

  it('cannot be published to', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    client.publish('$SYS/broker/version', 'mine', 1, 1, { retain: true })
    expect(await client.look()).toBe('connack 0, puback#1 0x90')
  })
})
