/** `$SYS/broker/...` as Mosquitto's users know it. */
import { describe, expect, it } from 'vitest'
import { sysTopicNames } from '../../../src/ingest/mqtt/sys-topics.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

function figures(client: TestClient): Map<string, string> {
  const found = new Map<string, string>()
  for (const packet of client.packets) if (packet.cmd === 'publish') found.set(packet.topic, String(packet.payload))
  return found
}

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

  it('cannot be published to', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    client.publish('$SYS/broker/version', 'mine', 1, 1, { retain: true })
    expect(await client.look()).toBe('connack 0, puback#1 0x90')
  })
})
