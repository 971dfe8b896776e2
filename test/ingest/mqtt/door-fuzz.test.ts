/** Clients that send anything: the daemon stays up and serves the others. */
import fc from 'fast-check'
import mqttPacket, { type Packet } from 'mqtt-packet'
import { describe, expect, it } from 'vitest'
import { DoorWorld } from './door-world.ts'

function valid(level: 4 | 5): Uint8Array[] {
  const write = (packet: Record<string, unknown>): Uint8Array =>
    mqttPacket.generate(packet as unknown as Packet, { protocolVersion: level })
  const publish = { cmd: 'publish', topic: 'a/x', payload: 'p', dup: false, retain: false }
  return [
    write({ ...publish, qos: 0 }),
    write({ ...publish, qos: 1, messageId: 1 }),
    write({ ...publish, qos: 2, messageId: 2, properties: { topicAlias: 1, contentType: 'x' } }),
    write({ ...publish, topic: '$SYS/x', qos: 1, messageId: 4 }),
    write({ cmd: 'pubrel', messageId: 2, qos: 1 }),
    write({ cmd: 'puback', messageId: 1 }),
    write({ cmd: 'pubrec', messageId: 3 }),
    write({ cmd: 'pubcomp', messageId: 3 }),
    write({ cmd: 'subscribe', messageId: 5, subscriptions: [{ topic: 'a/#', qos: 2, nl: false, rap: true, rh: 0 }] }),
    write({ cmd: 'subscribe', messageId: 6, subscriptions: [{ topic: '$share/g/a', qos: 1 }] }),
    write({ cmd: 'unsubscribe', messageId: 7, unsubscriptions: ['a/#'] }),
    write({ cmd: 'pingreq' }),
    write({ cmd: 'disconnect', reasonCode: 4 }),
  ]
}

interface Abuse {
  readonly level: 4 | 5
  readonly clientId: string
  readonly clean: boolean
  readonly bytes: Uint8Array
  readonly drops: boolean
}

const abuses = fc.constantFrom(4 as const, 5 as const).chain((level): fc.Arbitrary<Abuse> => {
  const packets = valid(level)
  const garbled = fc.tuple(fc.constantFrom(...packets), fc.nat(40), fc.nat(255)).map(([packet, at, value]) => {
    const bytes = Uint8Array.from(packet)
    bytes[at % bytes.length] = value
    return bytes
  })
  const stream = fc.array(fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...packets) }, garbled), { maxLength: 12 })
  return fc.record({
    level: fc.constant(level),
    clientId: fc.constantFrom('one', 'two', 'three'),
    clean: fc.boolean(),
    bytes: stream.map((list) => Buffer.concat(list)),
    drops: fc.boolean(),
  })
})

describe('the door', () => {
  it('outlives clients that send anything, in sessions that they fight over', async () => {
    const world = await DoorWorld.start()
    const watcher = await world.connect('watcher')
    watcher.subscribe(1, 'honest/#')
    let round = 0
    await fc.assert(
      fc.asyncProperty(fc.array(abuses, { minLength: 1, maxLength: 4 }), async (list) => {
        round += 1
        for (const { level, clientId, clean, bytes, drops } of list) {
          const client = await world.open(level)
          client.sendConnect(clientId, { clean })
          client.sendBytes(bytes)
          await world.runFor(2)
          if (drops) client.drop()
        }
        const honest = await world.connect('honest')
        honest.publish('honest/x', `round ${round}`, 1, 1)
        await honest.until('puback#1')
        await watcher.until(`publish#${round} honest/x=round ${round}`)
        watcher.puback(round)
        honest.send({ cmd: 'disconnect' })
      }),
      { numRuns: 150, endOnFailure: true },
    )
    expect(world.door.sessionCount).toBeLessThanOrEqual(5)
  })

  it('outlives clients that send noise', async () => {
    const world = await DoorWorld.start()
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 64 }), fc.boolean(), async (bytes, isConnected) => {
        const client = isConnected ? await world.connect('noise', 5) : await world.open(5)
        client.sendBytes(bytes)
        await world.runFor(2)
        client.drop()
      }),
      { numRuns: 200 },
    )
    const honest = await world.connect('honest')
    honest.publish('a/x', 'x', 1, 1)
    await honest.until('puback#1')
  })
})
