/** Kafka records as commands to devices, through the whole door. */
import { describe, expect, it } from 'vitest'
import { aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { AclTable } from '../../../src/security/acl-table.ts'
import { Authorizer } from '../../../src/security/authorizer.ts'
import { command, commandWorld, propertiesOf, pumpsGroup, take } from './command-world.ts'
import { Prng } from '../../sim/prng.ts'
import type { DoorWorld, TestClient } from './door-world.ts'

const kept = { clean: false, properties: { sessionExpiryInterval: 10_000 } }
const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_each, at) => String(from + at))
const committed = (world: DoorWorld, partition = 0): number => world.committed(pumpsGroup, 'commands', partition)

describe('a command route', () => {
  it('gives a record to the subscribers of the topic that its template makes, with its headers as properties', async () => {
    const world = await commandWorld({
      route: { mqttTopic: 'pump/{key}/{header.what}/{partition}', correlationData: 'id' },
    })
    const client = await world.subscribed(['c', 5], { topic: 'pump/#', qos: 2 })
    const headers = {
      what: 'set',
      id: 'c-9',
      'mqtt.response-topic': 'reply/9',
      'content-type': 'text/plain',
      unit: 'bar',
    }
    command(world, '7/left', 'on', { headers, partition: 1 })
    await client.until('publish')
    expect(client.packets.at(-1)).toMatchObject({
      topic: 'pump/7/left/set/1',
      qos: 1,
      properties: {
        responseTopic: 'reply/9',
        contentType: 'text/plain',
        messageExpiryInterval: 3600,
        userProperties: { what: 'set', unit: 'bar' },
      },
    })
    expect(String(propertiesOf(client)?.correlationData)).toBe('c-9')
  })

  it.each([
    [{ qos: 0 }, {}, 0],
    [{ qos: 2 }, {}, 2],
    [{ qos: 2 }, { 'mqtt.qos': '1' }, 1],
  ] as const)('has the QoS of the route or of the record (%j, %j)', async (route, headers, qos) => {
    const world = await commandWorld({ route })
    const client = await world.subscribed(['c', 5], { topic: 'pump/#', qos: 2 })
    command(world, '1', 'on', { headers })
    await client.until('publish')
    expect(client.packets.at(-1)).toMatchObject({ qos })
  })

  it('leaves user properties away where it says so', async () => {
    const world = await commandWorld({ route: { userProperties: false } })
    const client = await world.subscribed(['c', 5], 'pump/#')
    command(world, '1', 'on', { headers: { unit: 'bar', 'mqtt.up.x': 'y', 'mqtt.pfi': '1' } })
    await client.until('publish')
    expect(propertiesOf(client)).toEqual({ payloadFormatIndicator: true, messageExpiryInterval: 3600 })
  })

  it('passes over what gives no topic name, says so and goes on', async () => {
    const world = await commandWorld({ route: { mqttTopic: 'pump/{header.a}/{key}' } })
    const client = await world.subscribed(['c', 5], '#')
    command(world, '#', 'wildcard', { headers: { a: '1' } })
    command(world, '1', 'no header')
    command(world, null, 'no key', { headers: { a: '1' } })
    command(world, '1', 'good', { headers: { a: '1' } })
    expect(await take(world, client, 1)).toEqual(['good'])
    await world.runFor(2000)
    expect(committed(world)).toBe(4)
    const events = world.host.observer.events.filter(({ id }) => id === 'mqtt-command-invalid')
    expect(events.map(({ fields }) => `${fields['offset']} ${fields['reason']}`)).toEqual([
      '0 "pump/1/#" has a wildcard or is no text of MQTT',
      '1 it has no header a that is text',
      '2 it has no key that is text',
    ])
  })

  it('takes nothing for a command that came in by MQTT, and a command that its device publishes does not come round', async () => {
    const world = await commandWorld({ door: { routes: [{ match: 'pump/#', topic: 'commands' }] } })
    const device = await world.connect('device', 5)
    device.subscribe(1, 'pump/1/set')
    const all = await world.subscribed(['all', 5], 'pump/#')
    command(world, '1', 'on', { partition: 1 })
    expect(await take(world, device, 1)).toEqual(['on'])
    device.publish('pump/1/set', 'on', 1, 1)
    device.publish('pump/1/state', 'is on', 1, 2)
    expect((await take(world, all, 3)).toSorted()).toEqual(['is on', 'on', 'on'])
    expect(await take(world, device, 1)).toEqual(['on'])
  })
})

describe('the offset of a command route', () => {
  it('begins at the end for what was there before the route, and at the beginning of a topic that comes later', async () => {
    const world = await commandWorld()
    expect([committed(world), committed(world, 1)]).toEqual([0, 0])
    command(world, '1', 'first')
    const client = await world.connect('c', 5)
    client.subscribe(1, 'pump/#')
    expect(await take(world, client, 1)).toEqual(['first'])
  })

  it('stays before what a clean session has not acknowledged, and goes on when it has', async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5], 'pump/#')
    command(world, '1', 'a')
    command(world, '2', 'b')
    await client.until('publish#2')
    client.puback(2)
    await world.runFor(2000)
    expect(committed(world)).toBe(0)
    client.puback(1)
    await world.runFor(2000)
    expect(committed(world)).toBe(2)
  })

  it('goes on at once for a kept session, also when its client is away', async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5, kept], 'pump/#')
    client.drop()
    await world.runFor(50)
    command(world, '1', 'a')
    await world.runFor(2000)
    expect(committed(world)).toBe(1)
    await world.restart()
    const back = await world.connect('c', 5, kept)
    expect(await take(world, back, 1)).toEqual(['a'])
  })

  it.each(['drop', 'crash'] as const)(
    'does not forget what a session had that was kept and is not any more (%s)',
    async (end) => {
      const world = await commandWorld()
      const client = await world.subscribed(['c', 5, kept], 'pump/#')
      client.drop()
      await world.runFor(50)
      command(world, '1', 'a')
      await world.runFor(2000)
      const back = await world.connect('c', 5, { clean: false, properties: { sessionExpiryInterval: 0 } })
      await back.until('publish')
      await world.runFor(2000)
      if (end === 'drop') back.drop()
      else await world.powerCut()
      await world.runFor(2000)
      const next = await world.connect('next', 5)
      next.subscribe(1, 'pump/#')
      expect(await take(world, next, 1)).toEqual(['a'])
    },
  )

  it('is found by a kept session in stretches of the log that are known by their topics', async () => {
    const world = await commandWorld({ door: { summaryStretchBytes: 2000, tailReadBytes: 1000 } })
    const other = await world.connect('o', 5)
    other.subscribe(1, 'pump/9/set')
    const client = await world.subscribed(['c', 5, kept], 'pump/1/set')
    client.drop()
    await world.runFor(50)
    for (const each of numbers(0, 199)) command(world, Number(each) % 50 === 7 ? '1' : '9', `c${each}`)
    await world.runFor(100)
    const back = await world.connect('c', 5, kept)
    expect(await take(world, back, 4)).toEqual(['c7', 'c57', 'c107', 'c157'])
  })

  it('waits for a subscriber that is not there yet, over a restart, and gives each command once', async () => {
    const world = await commandWorld()
    for (let at = 1; at <= 5; at += 1) command(world, String(at), `c${at}`)
    const other = await world.connect('other', 5)
    other.subscribe(1, 'pump/2/set', 'pump/4/set')
    expect(await take(world, other, 2)).toEqual(['c2', 'c4'])
    await world.runFor(2000)
    expect(committed(world)).toBe(0)
    await world.stopAndStart()
    const again = await world.connect('other', 5)
    again.subscribe(1, 'pump/2/set', 'pump/4/set')
    const rest = await world.connect('rest', 5)
    rest.subscribe(1, 'pump/#')
    expect(await take(world, rest, 3)).toEqual(['c1', 'c3', 'c5'])
    expect(await take(world, again, 0)).toEqual([])
    await world.runFor(2000)
    expect(committed(world)).toBe(5)
  })

  it('comes back to a clean session that goes without an acknowledgement: sent, waiting or not read for it yet', async () => {
    const world = await commandWorld({ door: { queuedMessagesMax: 4, sendWindowMax: 2 } })
    const client = await world.subscribed(['c', 5], 'pump/1/set')
    for (let at = 0; at < 20; at += 1) command(world, '1', `c${at}`)
    await client.until('publish#2')
    client.puback(1)
    await world.runFor(100)
    client.drop()
    await world.runFor(2000)
    expect(committed(world)).toBe(1)
    const back = await world.connect('c', 5)
    back.subscribe(1, 'pump/1/set')
    const heard = await take(world, back, 19)
    expect(heard.toSorted()).toEqual(Array.from({ length: 19 }, (_each, at) => `c${at + 1}`).toSorted())
    await world.runFor(2000)
    expect(committed(world)).toBe(20)
  })

  it('loses nothing that was not acknowledged in a crash', async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5], 'pump/#')
    for (let at = 0; at < 6; at += 1) command(world, '1', `c${at}`)
    await client.until('publish#6')
    for (const id of [1, 2, 4]) client.puback(id)
    await world.runFor(2000)
    await world.powerCut()
    const back = await world.connect('c', 5)
    back.subscribe(1, 'pump/#')
    expect(await take(world, back, 3)).toEqual(['c2', 'c4', 'c5'])
  })

  it('comes again to a kept session that a crash cuts off from what had waited for it', async () => {
    const world = await commandWorld()
    await world.subscribed(['o', 5], 'other')
    command(world, '1', 'a')
    await world.runFor(20)
    const client = await world.connect('c', 5, kept)
    client.subscribe(1, 'pump/#')
    await client.until('publish#1')
    await world.runFor(2000)
    expect(committed(world)).toBe(0)
    await world.powerCut()
    const back = await world.connect('c', 5, kept)
    expect(await take(world, back, 1)).toEqual(['a'])
    await world.runFor(2000)
    expect(committed(world)).toBe(1)
  })

  it('is written at a stop: what was acknowledged just before does not come again', async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5], 'pump/#')
    command(world, '1', 'a')
    await client.until('publish#1')
    client.puback(1)
    await world.runFor(20)
    await world.stopAndStart()
    const back = await world.connect('c', 5)
    back.subscribe(1, 'pump/#')
    expect(await take(world, back, 0)).toEqual([])
    expect(committed(world)).toBe(1)
  })

  it('does not wait for who subscribes while what another has left is looked through', async () => {
    const world = await commandWorld({ door: { queuedMessagesMax: 2, sendWindowMax: 1, tailReadBytes: 256 } })
    const client = await world.connect('c', 5)
    const other = await world.connect('o', 5)
    client.subscribe(1, 'pump/1/#')
    await client.until('suback')
    for (let at = 0; at < 5; at += 1) command(world, '1', `c${at}`)
    for (let at = 0; at < 400; at += 1) command(world, '9', 'of another')
    command(world, '1/last', 'last')
    await client.until('publish#1')
    await world.runFor(200)
    client.drop()
    await world.world.run(() => world.door.connectionCount === 1, 1000)
    other.subscribe(1, 'pump/1/last/set')
    expect(await take(world, other, 1)).toEqual(['last'])
  })

  it('is kept while the route is idle, longer than those of other groups', async () => {
    const world = await commandWorld()
    command(world, '1', 'a')
    const client = await world.connect('c', 5)
    client.subscribe(1, 'pump/#')
    expect(await take(world, client, 1)).toEqual(['a'])
    client.drop()
    await world.runFor(9 * 86_400_000)
    expect(committed(world)).toBe(1)
    await world.restart()
    expect(committed(world)).toBe(1)
  })

  it('gives everything after a crash, also more than may wait', async () => {
    const world = await commandWorld()
    for (const device of numbers(0, 4)) {
      await world.subscribed([`d${device}`, 5], `pump/${device}/set`)
    }
    for (const each of numbers(0, 1199)) command(world, String(Number(each) % 5), `c${each}`)
    await world.runFor(3000)
    expect(committed(world)).toBe(0)
    await world.powerCut()
    const rest = await world.connect('rest', 5)
    rest.subscribe(1, 'pump/#')
    expect((await take(world, rest, 1200)).toSorted()).toEqual(
      numbers(0, 1199)
        .map((each) => `c${each}`)
        .toSorted(),
    )
    await world.runFor(3000)
    expect(committed(world)).toBe(1200)
  })

  it('passes what has expired, and tells the subscriber how long the rest counts', async () => {
    const world = await commandWorld({ route: { messageExpiryMs: 10_000 } })
    command(world, '1', 'old', { ageMs: 9000 })
    command(world, '1', 'long ago', { ageMs: 60_000 })
    command(world, '1', 'given', { headers: { 'mqtt.expires': String(world.broker.clock.wallMs() + 100_000) } })
    const client = await world.connect('c', 5)
    client.subscribe(1, 'other')
    await world.runFor(3000)
    client.subscribe(2, 'pump/#')
    expect(await take(world, client, 1)).toEqual(['given'])
    await world.runFor(2000)
    expect(committed(world)).toBe(3)
  })

  it('does not wait where the route skips what nobody subscribes to', async () => {
    const world = await commandWorld({ route: { unmatched: 'skip' } })
    const client = await world.subscribed(['c', 5], 'pump/2/set')
    command(world, '1', 'nobody')
    command(world, '2', 'somebody')
    expect(await take(world, client, 1)).toEqual(['somebody'])
    await world.runFor(2000)
    expect(committed(world)).toBe(2)
    client.subscribe(2, 'pump/#')
    expect(await take(world, client, 0)).toEqual([])
  })

  it('stands still when too many wait, and goes on with the next when there is room', async () => {
    const world = await commandWorld()
    const client = await world.subscribed(['c', 5], 'other')
    for (let at = 0; at < 1010; at += 1) command(world, String(at % 10), `c${at}`)
    await world.runFor(3000)
    expect(world.host.observer.events.map(({ id }) => id)).toContain('mqtt-commands-held')
    client.subscribe(2, 'pump/#')
    const heard = await take(world, client, 1010)
    expect(new Set(heard).size).toBe(1010)
    expect(heard).toHaveLength(1010)
    await world.runFor(3000)
    expect(committed(world)).toBe(1010)
  })

  it('counts a shared subscription like a session: kept by its members, or acknowledged', async () => {
    const world = await commandWorld()
    const one = await world.subscribed(['one', 5, { properties: { receiveMaximum: 2 } }], '$share/g/pump/#')
    for (const value of ['a', 'b', 'c', 'd', 'e', 'f']) command(world, '1', value)
    await one.until('publish#1')
    await world.runFor(2000)
    expect(committed(world)).toBe(0)
    one.drop()
    await world.runFor(2000)
    const two = await world.connect('two', 5)
    two.subscribe(1, '$share/g/pump/#')
    expect((await take(world, two, 6)).toSorted()).toEqual(['a', 'b', 'c', 'd', 'e', 'f'])
    await world.runFor(2000)
    expect(committed(world)).toBe(6)
  })

  it('does not stay for a shared subscription with a kept member', async () => {
    const world = await commandWorld()
    const one = await world.subscribed(['one', 5, kept], '$share/g/pump/#')
    command(world, '1', 'a')
    await one.until('publish#1')
    await world.runFor(2000)
    expect(committed(world)).toBe(1)
    await world.powerCut()
    const back = await world.connect('one', 5, kept)
    expect(await take(world, back, 1)).toEqual(['a'])
  })
})

describe('no command is lost', () => {
  it('that a session was given, which had just subscribed and is kept, when the power goes before the offset is written', async () => {
    const world = await commandWorld()
    await world.subscribed(['other', 5], 'elsewhere')
    command(world, '1', 'a')
    await world.runFor(10)
    const client = await world.subscribed(['c', 5, kept], 'pump/#')
    await client.until('publish')
    command(world, '1', 'b')
    await client.until('publish#2')
    await world.runFor(100)
    await world.powerCut()
    const back = await world.connect('c', 5, kept)
    expect((await take(world, back, 2)).toSorted()).toEqual(['a', 'b'])
  })

  it.each(Array.from({ length: 40 }, (_each, seed) => seed + 1))(
    'whatever devices and the daemon do (seed %i)',
    async (seed) => {
      const prng = new Prng(seed, 'commands')
      const world = await commandWorld({ door: { queuedMessagesMax: 4, sendWindowMax: 3, tailReadBytes: 512 } })
      const devices = [false, true, false, true]
      const clients = new Map<number, TestClient>()
      const acknowledged = new Set<string>()
      let produced = 0
      const connect = async (device: number): Promise<void> => {
        const client = await world.connect(`d${device}`, 5, devices[device] === true ? kept : {})
        clients.set(device, client)
        client.subscribe(1, `pump/${device}/set`)
        await client.until('suback')
      }
      const acknowledge = (chance: number): void => {
        for (const client of clients.values()) {
          for (const packet of client.packets.splice(0)) {
            if (packet.cmd !== 'publish' || prng.below(100) >= chance) continue
            acknowledged.add(String(packet.payload))
            client.puback(packet.messageId ?? 0)
          }
        }
      }
      for (let step = 0; step < 40; step += 1) {
        const device = prng.below(devices.length)
        const action = prng.below(20)
        if (action < 9) {
          for (let more = prng.below(6); more >= 0; more -= 1) {
            command(world, String(prng.below(devices.length)), `c${produced}`, { partition: prng.below(2) })
            produced += 1
          }
        } else if (action < 13 && !clients.has(device)) await connect(device)
        else if (action < 15 && clients.has(device)) {
          clients.get(device)?.drop()
          clients.delete(device)
        } else if (action === 18 || action === 19) {
          clients.clear()
          await (action === 18 ? world.powerCut() : world.stopAndStart())
        } else acknowledge(70)
        await world.runFor(prng.below(3) === 0 ? 1500 : prng.below(40))
      }
      clients.clear()
      await world.restart()
      for (const device of devices.keys()) await connect(device)
      for (let round = 0; round < 400; round += 1) {
        acknowledge(100)
        await world.runFor(10)
      }
      // What a power cut took before it was committed was never there.
      const all = (await world.values('commands')).split(' ')
      expect(all.filter((value) => !acknowledged.has(value))).toEqual([])
      await world.runFor(2000)
      const ends = [0, 1].map((index) => world.broker.partitions.get('commands', index)?.highWatermark)
      expect([committed(world), committed(world, 1)]).toEqual(ends)
    },
  )
})

describe('rights on commands', () => {
  it('are those on the Kafka topic that the MQTT topic belongs to; without them nothing is given', async () => {
    const table = new AclTable()
    table.add('one', {
      resourceType: aclResource.topic,
      resourceName: 'pump',
      patternType: aclPattern.literal,
      principal: 'User:*',
      host: '*',
      operation: aclOperation.read,
      permissionType: aclPermission.allow,
    })
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers: new Set(), allowsWithoutAcl: false })
    const world = await commandWorld({ authorizer, route: { mqttTopic: '{key}/set' } })
    const client = await world.subscribed(['c', 5], '#')
    command(world, 'valve/1', 'hidden')
    command(world, 'pump/1', 'seen')
    expect(await take(world, client, 1)).toEqual(['seen'])
    await world.runFor(2000)
    expect(committed(world)).toBe(0)
    const other = await world.connect('o', 5)
    other.subscribe(1, '#')
    expect(await take(world, other, 0)).toEqual([])
  })
})
