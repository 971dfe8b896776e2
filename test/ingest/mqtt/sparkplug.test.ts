/** Sparkplug B 3.0: order of each edge node in the log, and what an aware MQTT server owes (conformance statements `tck-id-conformance-mqtt-...`). */
import { describe, expect, it } from 'vitest'
import { AclTable } from '../../../src/security/acl-table.ts'
import { aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { Authorizer } from '../../../src/security/authorizer.ts'
import { mqttDoorDefaults } from '../../../src/ingest/mqtt/mqtt-options.ts'
import { TopicMapping } from '../../../src/ingest/mqtt/topic-mapping.ts'
import { rightsOf } from '../../../src/ingest/mqtt/topic-rights.ts'
import { certificateTopicOf, sparkplugRoutes } from '../../../src/ingest/mqtt/sparkplug.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const sparkplug = {
  topic: 'sparkplug',
  certificatesTopic: 'sparkplug.certificates',
  decodedTopic: null,
  decodedPayloadBytesMax: 262_144,
}
const aware = { sparkplug, routes: sparkplugRoutes(sparkplug) }
/** Not UTF-8, and with zeros: what protobuf looks like. */
const bytes = Buffer.from([8, 0, 18, 5, 0xff, 0xfe, 0, 0xc3, 0x28, 24, 0])
const certificates = '$sparkplug/certificates/spBv1.0'

async function publish(client: TestClient, topic: string, payload: Buffer, more: { qos?: 0 | 1; id?: number } = {}) {
  const { qos = 0, id = 0 } = more
  client.publish(topic, '', qos, id, { payload })
  if (qos === 1) await client.until(`puback#${id}`)
}

/** `retain topic payload qos` of every PUBLISH since the last look. */
async function look(world: DoorWorld, client: TestClient): Promise<string[]> {
  await world.runFor(200)
  return client.packets.splice(0).flatMap((packet) => {
    if (packet.cmd !== 'publish') return []
    if (packet.qos === 1) client.puback(packet.messageId ?? 0)
    const payload = Buffer.from(packet.payload as Buffer).toString('hex')
    return [`${packet.retain ? 'r' : '-'} ${packet.topic} ${payload} ${packet.qos}`]
  })
}

async function subscriber(world: DoorWorld, ...filters: string[]): Promise<TestClient> {
  const client = await world.subscribed([`host-${filters.join()}`], ...filters.map((topic) => ({ topic, qos: 1 })))
  return client
}

const hex = bytes.toString('hex')

describe('births (tck-id-conformance-mqtt-aware-...)', () => {
  it('...-store: NBIRTH and DBIRTH are kept as they pass, byte for byte, over a power cut', async () => {
    const world = await DoorWorld.start(aware)
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes)
    await publish(edge, 'spBv1.0/g/DBIRTH/e/d', bytes)
    await publish(edge, 'spBv1.0/g/NDATA/e', Buffer.from('x'), { qos: 1, id: 1 })
    await world.powerCut()
    const host = await subscriber(world, '$sparkplug/certificates/#')
    expect((await look(world, host)).toSorted()).toEqual([
      `r ${certificates}/g/DBIRTH/e/d ${hex} 1`,
      `r ${certificates}/g/NBIRTH/e ${hex} 1`,
    ])
  })

  it('...-nbirth-mqtt-topic, ...-nbirth-mqtt-retain: NBIRTH stands at its topic, retained, the newest one', async () => {
    const world = await DoorWorld.start(aware)
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes)
    await publish(edge, 'spBv1.0/g/NBIRTH/e', Buffer.from('new'), { qos: 1, id: 1 })
    const host = await subscriber(world, `${certificates}/g/NBIRTH/e`)
    expect(await look(world, host)).toEqual([`r ${certificates}/g/NBIRTH/e ${Buffer.from('new').toString('hex')} 1`])
  })

  it('...-dbirth-mqtt-topic, ...-dbirth-mqtt-retain: DBIRTH stands at its topic, retained, each device by itself', async () => {
    const world = await DoorWorld.start(aware)
    const edge = await world.connect('edge')
    for (const [index, device] of ['d1', 'd2'].entries())
      await publish(edge, `spBv1.0/g/DBIRTH/e/${device}`, Buffer.from(device), { qos: 1, id: index + 1 })
    const host = await subscriber(world, `${certificates}/+/DBIRTH/#`)
    expect((await look(world, host)).toSorted()).toEqual(
      ['d1', 'd2'].map((device) => `r ${certificates}/g/DBIRTH/e/${device} ${Buffer.from(device).toString('hex')} 1`),
    )
  })

  it('reach who subscribes to certificates already, once, and a kept session that is away', async () => {
    const world = await DoorWorld.start(aware)
    const kept = { clean: false }
    const away = await world.subscribed(['away', 4, kept], { topic: '$sparkplug/certificates/#', qos: 1 })
    away.drop()
    const host = await subscriber(world, '$sparkplug/certificates/#', '#')
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes)
    expect((await look(world, host)).toSorted()).toEqual([
      `- ${certificates}/g/NBIRTH/e ${hex} 1`,
      `- spBv1.0/g/NBIRTH/e ${hex} 0`,
    ])
    const back = await world.connect('away', 4, kept)
    expect(await look(world, back)).toEqual([`- ${certificates}/g/NBIRTH/e ${hex} 1`])
  })

  it('are the only messages that are kept so, and stay when the edge node dies', async () => {
    const world = await DoorWorld.start(aware)
    const will = { topic: 'spBv1.0/g/NDEATH/e', payload: 'dead', qos: 1, retain: false }
    const edge = await world.connect('edge', 4, { will })
    const topics = [
      'NDATA/e',
      'NCMD/e',
      'DDATA/e/d',
      'DDEATH/e/d',
      'NBIRTH',
      'DBIRTH/e',
      'NBIRTH/e/d',
      'NBIRTH/',
      'NBIRTH/e',
    ]
    for (const [index, topic] of topics.entries())
      await publish(edge, `spBv1.0/g/${topic}`, Buffer.from(topic), { qos: 1, id: index + 1 })
    await publish(edge, 'other/g/NBIRTH/e', Buffer.from('x'), { qos: 1, id: 100 })
    edge.drop()
    await world.runFor(200)
    const host = await subscriber(world, '$sparkplug/#', 'spBv1.0/#')
    expect(await look(world, host)).toEqual([
      `r ${certificates}/g/NBIRTH/e ${Buffer.from('NBIRTH/e').toString('hex')} 1`,
    ])
    expect((await world.records('sparkplug.certificates')).map(({ key }) => key)).toEqual([
      `${certificates}/g/NBIRTH/e`,
    ])
  })

  it('pass also when there is no room for what is retained, and that is told', async () => {
    const world = await DoorWorld.start({ ...aware, retainedBytesMax: 2000 })
    const host = await subscriber(world, '#')
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', Buffer.alloc(3000, 1), { qos: 1, id: 1 })
    expect(await look(world, host)).toHaveLength(1)
    expect(world.host.observer.eventsOf('mqtt-not-retained')).toHaveLength(1)
  })

  it('for which there is no room take the certificate before them away: its aliases may mean something else by now', async () => {
    const world = await DoorWorld.start({ ...aware, retainedBytesMax: 6000 })
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes, { qos: 1, id: 1 })
    const before = await subscriber(world, `${certificates}/#`)
    expect(await look(world, before)).toEqual([`r ${certificates}/g/NBIRTH/e ${hex} 1`])
    await publish(edge, 'spBv1.0/g/NBIRTH/e', Buffer.alloc(6000, 1), { qos: 1, id: 2 })
    for (const way of ['at once', 'after a restart']) {
      if (way === 'after a restart') await world.restart()
      expect(await look(world, await subscriber(world, `${certificates}/g/#`)), way).toEqual([])
    }
  })

  it('are the server’s alone to make: a client that publishes under $sparkplug is refused', async () => {
    const world = await DoorWorld.start(aware)
    const client = await world.connect('edge', 5)
    client.publish(`${certificates}/g/NBIRTH/e`, 'false', 1, 1, { retain: true })
    expect(await client.look()).toBe('connack 0, puback#1 0x90')
  })

  it('are messages like any other where nobody has asked for Sparkplug', async () => {
    const world = await DoorWorld.start()
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes, { qos: 1, id: 1 })
    expect(await look(world, await subscriber(world, '$sparkplug/#', '#'))).toEqual([])
    expect(world.broker.topicPartitions('sparkplug.certificates')).toBeUndefined()
  })

  it('a topic of a birth has the ids that the specification asks for', () => {
    const yes = ['spBv1.0/g/NBIRTH/e', 'spBv1.0/g g/DBIRTH/ü/d']
    const no = [
      'spBv1.0/g/NBIRTH',
      'spBv1.0//NBIRTH/e',
      'spBv1.0/g/DBIRTH/e',
      'spBv1.0/g/DBIRTH/e/',
      'spAv1.0/g/NBIRTH/e',
    ]
    expect([...yes, ...no].map(certificateTopicOf)).toEqual([
      ...yes.map((topic) => `$sparkplug/certificates/${topic}`),
      ...no.map(() => null),
    ])
  })
})

describe('access control', () => {
  it('lets those read certificates who may read their Kafka topic', () => {
    const table = new AclTable()
    const rule = {
      resourceType: aclResource.topic,
      patternType: aclPattern.literal,
      host: '*',
      operation: aclOperation.read,
    }
    const entry = { ...rule, permissionType: aclPermission.allow }
    table.add('1', { ...entry, principal: 'User:host', resourceName: 'sparkplug.certificates' })
    table.add('2', { ...entry, principal: 'User:viewer', resourceName: 'sparkplug' })
    const superUsers = new Set<string>()
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers, allowsWithoutAcl: false })
    const options = { ...mqttDoorDefaults, ...aware }
    const mapping = new TopicMapping(options.routes)
    const may = (user: string, topic: string): boolean | undefined =>
      rightsOf({ principal: `User:${user}`, host: '10.0.0.1' }, { authorizer, mapping, options })?.mayReceive(topic)
    expect(may('host', `${certificates}/g/NBIRTH/e`)).toBe(true)
    expect(may('host', 'spBv1.0/g/NBIRTH/e')).toBe(false)
    expect(may('viewer', `${certificates}/g/NBIRTH/e`)).toBe(false)
    expect(may('viewer', 'spBv1.0/g/NBIRTH/e')).toBe(true)
  })
})

describe('an MQTT server for Sparkplug (tck-id-conformance-mqtt-...)', () => {
  it('...-qos0, ...-qos1, ...-aware-basic: publishes and subscribes at QoS 0 and 1', async () => {
    const world = await DoorWorld.start(aware)
    const host = await world.subscribed(
      ['host'],
      { topic: 'spBv1.0/+/NDATA/#', qos: 0 },
      { topic: 'spBv1.0/+/NCMD/#', qos: 1 },
    )
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/g/NDATA/e', bytes)
    await publish(edge, 'spBv1.0/g/NCMD/e', bytes, { qos: 1, id: 1 })
    expect(await look(world, host)).toEqual([`- spBv1.0/g/NDATA/e ${hex} 0`, `- spBv1.0/g/NCMD/e ${hex} 1`])
  })

  it('...-will-messages: NDEATH comes once, as it was left at CONNECT, also when it is the server that went', async () => {
    for (const way of ['client', 'power'] as const) {
      const world = await DoorWorld.start(aware)
      const kept = { clean: false }
      let host = await world.connect('host', 4, kept)
      host.subscribe(1, { topic: 'spBv1.0/+/NDEATH/#', qos: 1 })
      await host.until('suback')
      const will = { topic: 'spBv1.0/g/NDEATH/e', payload: bytes, qos: 1, retain: false }
      const edge = await world.connect('edge', 4, { will })
      await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes)
      await world.runFor(50)
      if (way === 'client') edge.drop()
      else {
        await world.powerCut()
        host = await world.connect('host', 4, kept)
      }
      expect(await look(world, host), way).toEqual([`- spBv1.0/g/NDEATH/e ${hex} 1`])
      // A crash repeats at QoS 1 what was acknowledged within its last second.
      await world.runFor(1500)
      await world.powerCut()
      host = await world.connect('host', 4, kept)
      expect(await look(world, host), way).toEqual([])
    }
  })

  it('...-retained: STATE of a host stays at QoS 1, and its will replaces it', async () => {
    const world = await DoorWorld.start(aware)
    const topic = 'spBv1.0/STATE/scada'
    const will = { topic, payload: '{"online":false,"timestamp":1}', qos: 1, retain: true }
    const host = await world.connect('host', 4, { will })
    host.publish(topic, '{"online":true,"timestamp":1}', 1, 1, { retain: true })
    await host.until('puback#1')
    const text = (online: boolean): string =>
      `r ${topic} ${Buffer.from(`{"online":${online},"timestamp":1}`).toString('hex')} 1`
    expect(await look(world, await subscriber(world, topic))).toEqual([text(true)])
    host.drop()
    await world.runFor(100)
    expect(await look(world, await subscriber(world, 'spBv1.0/STATE/+'))).toEqual([text(false)])
    await world.powerCut()
    expect(await look(world, await subscriber(world, topic))).toEqual([text(false)])
  })
})

describe('the rules of the preset', () => {
  it('keep all messages of an edge node and its devices in one partition, in their order', async () => {
    const world = await DoorWorld.start(aware)
    const edges = ['e1', 'e2', 'e3', 'e4', 'e5']
    const clients = await Promise.all(edges.map((edge) => world.connect(edge)))
    for (let seq = 0; seq < 12; seq += 1) {
      for (const [index, edge] of edges.entries()) {
        const kind = ['NBIRTH', 'DBIRTH', 'NDATA', 'DDATA'][seq % 4] as string
        const device = kind.startsWith('D') ? '/d' : ''
        await publish(clients[index] as TestClient, `spBv1.0/g/${kind}/${edge}${device}`, Buffer.from(String(seq)), {
          qos: 1,
          id: seq + 1,
        })
      }
    }
    const inUse = new Set<number>()
    for (const edge of edges) {
      const ofEdge: string[][] = []
      for (const index of [0, 1]) {
        const records = await world.records('sparkplug', index)
        const mine = records.filter(({ key }) => key.split('/')[3] === edge).map(({ value }) => value)
        if (mine.length > 0) inUse.add(index)
        ofEdge.push(mine)
      }
      expect(ofEdge.filter((each) => each.length > 0)).toEqual([
        Array.from({ length: 12 }, (_each, seq) => String(seq)),
      ])
    }
    expect(inUse.size).toBe(2)
  })

  it('come behind those of the operator', async () => {
    const own = { match: 'spBv1.0/mine/#', topic: 'own' }
    const world = await DoorWorld.start({ ...aware, routes: [own, ...aware.routes] })
    const edge = await world.connect('edge')
    await publish(edge, 'spBv1.0/mine/NBIRTH/e', bytes, { qos: 1, id: 1 })
    await publish(edge, 'spBv1.0/g/NBIRTH/e', bytes, { qos: 1, id: 2 })
    expect((await world.records('own')).map(({ key }) => key)).toEqual(['spBv1.0/mine/NBIRTH/e'])
    expect((await world.records('sparkplug')).map(({ key }) => key)).toEqual(['spBv1.0/g/NBIRTH/e'])
    // A certificate of a birth is kept whatever rule the birth goes by.
    expect(await world.records('sparkplug.certificates')).toHaveLength(2)
  })
})
