/** Messages of Sparkplug that are stored as JSON beside themselves (`mqtt.sparkplug.decodedTopic`). */
import { BinaryWriter } from '@bufbuild/protobuf/wire'
import { describe, expect, it } from 'vitest'
import { mqttDoorDefaults } from '../../../src/ingest/mqtt/mqtt-options.ts'
import { sparkplugRoutes } from '../../../src/ingest/mqtt/sparkplug.ts'
import { TopicMapping } from '../../../src/ingest/mqtt/topic-mapping.ts'
import { rightsOf } from '../../../src/ingest/mqtt/topic-rights.ts'
import { AclTable } from '../../../src/security/acl-table.ts'
import { aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { Authorizer } from '../../../src/security/authorizer.ts'
import { foreignPayload } from '../../protocol/sparkplug/foreign-payloads.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const sparkplug = {
  topic: 'sparkplug',
  certificatesTopic: 'sparkplug.certificates',
  decodedTopic: 'sparkplug.decoded',
  decodedPayloadBytesMax: 262_144,
}
const decoding = { sparkplug, routes: sparkplugRoutes(sparkplug) }
const figure = 'headwater_mqtt_sparkplug_decodings_total'

interface Decoded {
  readonly messageType: string
  readonly edgeNodeId: string
  readonly deviceId?: string
  readonly seq?: number
  readonly metrics: readonly { readonly name?: string; readonly alias?: number; readonly value: unknown }[]
}

/** Publishes at QoS 1 and waits for the PUBACK. */
let lastId = 0
async function say(client: TestClient, topic: string, payload: Uint8Array): Promise<void> {
  lastId = (lastId % 65_535) + 1
  client.publish(topic, '', 1, lastId, { payload: Buffer.from(payload) })
  await client.until(`puback#${lastId}`)
}

async function decodedOf(world: DoorWorld): Promise<Decoded[]> {
  return (await world.records('sparkplug.decoded')).map(({ value }) => JSON.parse(value) as Decoded)
}

/** `TYPE name=value ...` of each decoded message. */
async function story(world: DoorWorld): Promise<string[]> {
  return (await decodedOf(world)).map(({ messageType, metrics }) => {
    const values = metrics.map(({ name, alias, value }) => `${name ?? `#${alias}`}=${String(value)}`)
    return `${messageType} ${values.join(' ')}`
  })
}

/** A payload of metrics, each with a name or an alias or both, an Int32 with or without its type. */
function payloadOf(...metrics: readonly { name?: string; alias?: number; type?: number; value: number }[]): Uint8Array {
  const writer = new BinaryWriter().tag(1, 0).uint64(1n)
  for (const { name, alias, type, value } of metrics) {
    writer.tag(2, 2).fork()
    if (name !== undefined) writer.tag(1, 2).string(name)
    if (alias !== undefined) writer.tag(2, 0).uint64(BigInt(alias))
    if (type !== undefined) writer.tag(4, 0).uint32(type)
    writer
      .tag(10, 0)
      .uint32(value >>> 0)
      .join()
  }
  return writer.finish()
}

const birth = (name: string): Uint8Array => payloadOf({ name, alias: 1, type: 3, value: -1 })
const data = (value: number): Uint8Array => payloadOf({ alias: 1, value })

describe('a Sparkplug message', () => {
  it('is stored as it came, and as JSON with the names of its birth, in the order of its edge node', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    const messages = [
      ['NBIRTH/e', 'tahu-nbirth'],
      ['NDATA/e', 'tahu-ndata'],
      ['DBIRTH/e/d', 'tahu-dbirth'],
      ['DDATA/e/d', 'tahu-ddata'],
      ['NCMD/e', 'tahu-ndata'],
    ] as const
    for (const [topic, name] of messages) await say(edge, `spBv1.0/g/${topic}`, foreignPayload(name))
    const raw = await world.records('sparkplug')
    const json = await world.records('sparkplug.decoded')
    const topics = messages.map(([topic]) => `spBv1.0/g/${topic}`)
    expect(raw.map(({ key }) => key)).toEqual(topics)
    expect(json.map(({ key }) => key)).toEqual(topics.map((topic) => `$sparkplug/decoded/${topic}`))
    expect(json[0]?.headers).toEqual(['mqtt.client=edge', 'mqtt.qos=1', 'mqtt.pfi=1', 'content-type=application/json'])
    const decoded = await decodedOf(world)
    expect(
      decoded.map(({ messageType, edgeNodeId, deviceId, seq }) => [messageType, edgeNodeId, deviceId, seq]),
    ).toEqual([
      ['NBIRTH', 'e', undefined, 0],
      ['NDATA', 'e', undefined, 1],
      ['DBIRTH', 'e', 'd', 2],
      ['DDATA', 'e', 'd', 3],
      ['NCMD', 'e', undefined, 1],
    ])
    expect(decoded[1]?.metrics.map(({ name }) => name)).toEqual([
      'Int8',
      'Int32',
      'Int64',
      'UInt64',
      'DateTime',
      undefined,
    ])
    expect(decoded[3]?.metrics[0]).toMatchObject({
      name: 'Left motor',
      value: { metrics: [{ name: 'Torque', value: -6 }] },
    })
    // The partition is that of the edge node, whatever the message is about.
    const partitions = await Promise.all([0, 1].map((index) => world.records('sparkplug.decoded', index)))
    expect(partitions.map((records) => records.length).toSorted((a, b) => a - b)).toEqual([0, 5])
  })

  it('has names after a restart and after a power cut without a new birth: the kept one gives them', async () => {
    const world = await DoorWorld.start(decoding)
    let edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NBIRTH/e', birth('load'))
    await say(edge, 'spBv1.0/g/DBIRTH/e/d', birth('pressure'))
    await world.powerCut()
    edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NDATA/e', data(-2))
    await world.stopAndStart()
    edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/DDATA/e/d', data(-3))
    expect((await story(world)).slice(2)).toEqual(['NDATA load=-2', 'DDATA pressure=-3'])
  })

  it('is understood by the newest birth of its node or device, and of no other', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    for (const [topic, payload] of [
      ['NBIRTH/e', birth('old')],
      ['NBIRTH/f', birth('other')],
      ['DBIRTH/e/d', birth('device')],
      ['NBIRTH/e', birth('new')],
      ['NDATA/e', data(1)],
      ['DDATA/e/d', data(2)],
      ['DDATA/e/x', data(3)],
    ] as const)
      await say(edge, `spBv1.0/g/${topic}`, payload)
    const after = (await story(world)).filter((line) => line.includes('DATA'))
    expect(after).toEqual(['NDATA new=1', 'DDATA device=2', 'DDATA #1=3'])
    await world.runFor(2000)
    expect(world.host.observer.figure(figure, { outcome: 'decoded' })).toBe(6)
    expect(world.host.observer.figure(figure, { outcome: 'unnamed' })).toBe(1)
    expect(world.host.observer.eventsOf('mqtt-sparkplug-unnamed')).toHaveLength(1)
  })

  it('is understood by a birth that came with it and is not durable yet', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NBIRTH/e', birth('old'))
    const packet = (id: number, topic: string, payload: Uint8Array) => {
      return { cmd: 'publish', topic: `spBv1.0/g/${topic}`, payload: Buffer.from(payload), qos: 1, messageId: id }
    }
    edge.send(packet(100, 'NBIRTH/e', birth('new')), packet(101, 'NDATA/e', data(1)))
    await edge.until('puback#101')
    expect((await story(world)).at(-1)).toBe('NDATA new=1')
  })

  it('that is no protobuf is stored and acknowledged all the same, counted and told', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    const broken = Buffer.from([0x12, 0x7f, 1])
    await say(edge, 'spBv1.0/g/NDATA/e', broken)
    await say(edge, 'spBv1.0/g/NDATA/e', Buffer.alloc(0))
    await say(edge, 'spBv1.0/g/NDATA/e', payloadOf({ name: 'a', value: 1 }))
    expect(await world.records('sparkplug')).toHaveLength(3)
    expect(await story(world)).toEqual(['NDATA a=1'])
    await world.runFor(2000)
    expect(world.host.observer.figure(figure, { outcome: 'malformed' })).toBe(2)
    const told = world.host.observer.eventsOf('mqtt-sparkplug-undecoded')
    expect(told.map(({ fields }) => [fields['clientId'], fields['topic'], fields['reason']])).toEqual([
      ['edge', 'spBv1.0/g/NDATA/e', 'a field ends behind the payload'],
      ['edge', 'spBv1.0/g/NDATA/e', 'it is empty'],
    ])
  })

  it('after a birth that cannot be read has no names: those of an older birth may be wrong', async () => {
    const world = await DoorWorld.start(decoding)
    let edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NBIRTH/e', birth('old'))
    await say(edge, 'spBv1.0/g/NBIRTH/e', Buffer.from([0x12, 0x7f]))
    await say(edge, 'spBv1.0/g/NDATA/e', data(1))
    await world.restart()
    edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NDATA/e', data(2))
    expect((await story(world)).slice(1)).toEqual(['NDATA #1=1', 'NDATA #1=2'])
  })

  it('that is left as a will (NDEATH) is decoded as well', async () => {
    const world = await DoorWorld.start(decoding)
    const will = { topic: 'spBv1.0/g/NDEATH/e', payload: foreignPayload('tahu-ndeath'), qos: 1, retain: false }
    const edge = await world.connect('edge', 4, { will })
    edge.drop()
    await world.runFor(500)
    expect(await story(world)).toEqual(['NDEATH bdSeq=7'])
    expect((await decodedOf(world))[0]).toMatchObject({ bdSeq: 7 })
    expect((await world.records('sparkplug.decoded'))[0]?.headers).toContain('mqtt.will=1')
    expect(await world.records('sparkplug')).toHaveLength(1)
  })

  it('keeps its user properties in its JSON record', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge', 5)
    edge.publish('spBv1.0/g/NDATA/e', '', 1, 1, {
      payload: Buffer.from(payloadOf({ name: 'a', value: 1 })),
      properties: { userProperties: { line: '4' }, contentType: 'application/x-protobuf' },
    })
    await edge.until('puback#1')
    expect((await world.records('sparkplug.decoded'))[0]?.headers).toEqual([
      ...['mqtt.client=edge', 'mqtt.qos=1', 'mqtt.pfi=1', 'content-type=application/json', 'line=4'],
    ])
  })

  it('of more bytes than are decoded, or that the topic does not take as JSON, is stored alone', async () => {
    const options = { ...sparkplug, decodedPayloadBytesMax: 1024 }
    const world = await DoorWorld.start({ ...decoding, sparkplug: options })
    const edge = await world.connect('edge')
    const many = (count: number): Uint8Array =>
      payloadOf(...Array.from({ length: count }, (_each, value) => ({ name: `m${value}`, value })))
    await say(edge, 'spBv1.0/g/NDATA/e', many(200))
    await say(edge, 'spBv1.0/g/NDATA/e', many(1))
    world.configure('sparkplug.decoded', { maxMessageBytes: 1500 })
    await say(edge, 'spBv1.0/g/NDATA/e', many(60))
    await say(edge, 'spBv1.0/g/NDATA/e', many(2))
    expect(await world.records('sparkplug')).toHaveLength(4)
    expect(await story(world)).toEqual(['NDATA m0=0', 'NDATA m0=0 m1=1'])
    await world.runFor(2000)
    expect(world.host.observer.figure(figure, { outcome: 'too_large' })).toBe(2)
    const told = world.host.observer.eventsOf('mqtt-sparkplug-undecoded').map(({ fields }) => fields['reason'])
    expect(told).toEqual([
      expect.stringMatching(/^it has \d+ bytes, more than the 1024 that are decoded$/),
      'sparkplug.decoded does not take it (MESSAGE_TOO_LARGE)',
    ])
  })

  it('is stored alone where nobody has asked for more, and STATE is none', async () => {
    const plain = await DoorWorld.start({ ...decoding, sparkplug: { ...sparkplug, decodedTopic: null } })
    await say(await plain.connect('edge'), 'spBv1.0/g/NDATA/e', data(1))
    expect(plain.broker.topicPartitions('sparkplug.decoded')).toBeUndefined()
    const world = await DoorWorld.start(decoding)
    const host = await world.connect('host')
    await say(host, 'spBv1.0/STATE/scada', Buffer.from('{"online":true}'))
    await say(host, 'spBv1.0/g/NDATA', data(1))
    await say(host, 'spBv1.0/g/NBIRTH/e/x', birth('x'))
    expect(world.broker.topicPartitions('sparkplug.decoded')).toBeUndefined()
    expect(await world.records('sparkplug')).toHaveLength(3)
  })
})

describe('a message and its JSON', () => {
  it('are both in the log after a power cut, or neither, and both when the client was told', async () => {
    const world = await DoorWorld.start(decoding)
    const chance = world.world.prng
    await say(await world.connect('edge'), 'spBv1.0/g/NDATA/e', payloadOf({ name: 'first', value: 0 }))
    const told = new Set<string>()
    const sent = 60
    for (let id = 1; id <= sent; id += 1) {
      const edge = await world.connect('edge')
      const name = `m${id}-${'x'.repeat(chance.below(200_000))}`
      edge.publish(`spBv1.0/g/NDATA/e${id}`, '', 1, id, { payload: Buffer.from(payloadOf({ name, value: id })) })
      // The power goes somewhere on its way: before it has come, while it is written, after it was acknowledged.
      await world.runFor(chance.below(20))
      if (edge.packets.some((packet) => packet.cmd === 'puback')) told.add(`e${id}`)
      await world.powerCut()
    }
    const idsOf = async (topic: string): Promise<string[]> =>
      (await world.records(topic)).map(({ key }) => key.slice(key.lastIndexOf('/') + 1)).toSorted(byText)
    const stored = await idsOf('sparkplug')
    expect(await idsOf('sparkplug.decoded')).toEqual(stored)
    expect([...told].filter((id) => !stored.includes(id))).toEqual([])
    // Both ends were seen: else the test shows nothing.
    expect([stored.length > 10, stored.length < sent - 10]).toEqual([true, true])
  })
})

describe('a message whose JSON the log refuses at the last', () => {
  it('is refused with it, and the client is not told that it is stored', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge', 5)
    await say(edge, 'spBv1.0/g/NDATA/e', payloadOf({ name: 'a', value: 1 }))
    // The topic goes after the message has joined the turn's set.
    for (const { topic, log } of world.broker.partitions.values()) {
      if (topic === 'sparkplug.decoded') log.isDeleted = true
    }
    edge.publish('spBv1.0/g/NDATA/e', '', 1, 9, { payload: Buffer.from(payloadOf({ name: 'b', value: 2 })) })
    await edge.until('puback#9')
    expect(edge.heard.at(-1)).toBe('puback#9 0x90')
    expect(await world.records('sparkplug')).toHaveLength(1)
  })
})

const byText = (a: string, b: string): number => a.localeCompare(b)

describe('a payload that is too much work for one turn of the loop', () => {
  const large = (prefix: string): Uint8Array =>
    payloadOf(
      ...Array.from({ length: 4000 }, (_each, index) => ({
        name: `${prefix}/tag ${index}`,
        alias: index,
        type: 3,
        value: -index,
      })),
    )

  it('keeps the order of its client, and nobody else waits for it', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    const other = await world.connect('other')
    await say(other, 'spBv1.0/g/NDATA/o', payloadOf({ name: 'first', value: 0 }))
    edge.publish('spBv1.0/g/NBIRTH/e', '', 1, 1, { payload: Buffer.from(large('a')) })
    edge.publish('spBv1.0/g/NDATA/e', '', 1, 2, { payload: Buffer.from(data(5)) })
    // It has come, and is under way.
    await world.runFor(4)
    await say(other, 'spBv1.0/g/NDATA/o', payloadOf({ name: 'second', value: 0 }))
    expect(await edge.look(0)).toBe('connack 0')
    await edge.until('puback#2')
    expect(await edge.look(0)).toBe('puback#1, puback#2')
    const raw = (await world.records('sparkplug')).map(({ key }) => key.split('/').slice(2).join('/'))
    expect(raw.filter((key) => key.endsWith('e'))).toEqual(['NBIRTH/e', 'NDATA/e'])
    const decoded = await decodedOf(world)
    const ofEdge = decoded.filter(({ edgeNodeId }) => edgeNodeId === 'e')
    expect(ofEdge[0]?.metrics).toHaveLength(4000)
    expect(ofEdge[1]?.metrics).toEqual([{ name: 'a/tag 1', alias: 1, dataType: 'Int32', value: 5 }])
  })

  it('waits for its place among those of many clients, and all come', async () => {
    const world = await DoorWorld.start(decoding)
    const edges = await Promise.all(Array.from({ length: 40 }, (_each, index) => world.connect(`edge${index}`)))
    const payload = Buffer.from(large('b'))
    for (const [index, edge] of edges.entries()) edge.publish(`spBv1.0/g/NBIRTH/e${index}`, '', 1, 1, { payload })
    for (const edge of edges) await edge.until('puback#1')
    expect(await decodedOf(world)).toHaveLength(40)
  })

  it('is read again from its kept birth after a restart, in slices too', async () => {
    const world = await DoorWorld.start(decoding)
    await say(await world.connect('edge'), 'spBv1.0/g/NBIRTH/e', large('c'))
    await world.restart()
    const edge = await world.connect('edge')
    edge.publish('spBv1.0/g/NDATA/e', '', 1, 1, { payload: Buffer.from(data(7)) })
    await world.runFor(2)
    expect(await edge.look(0)).toBe('connack 0')
    await edge.until('puback#1')
    expect((await story(world)).at(-1)).toBe('NDATA c/tag 1=7')
  })

  it('whose client goes away meanwhile is not stored, and holds nobody up', async () => {
    const world = await DoorWorld.start(decoding)
    const edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NDATA/e', payloadOf({ name: 'first', value: 0 }))
    edge.publish('spBv1.0/g/NBIRTH/e', '', 1, 1, { payload: Buffer.from(large('d')) })
    await world.runFor(4)
    edge.drop()
    const again = await world.connect('edge')
    await say(again, 'spBv1.0/g/NBIRTH/e', large('e'))
    await say(again, 'spBv1.0/g/NDATA/e', data(8))
    expect((await story(world)).at(-1)).toBe('NDATA e/tag 1=8')
    const births = (await world.records('sparkplug')).filter(({ key }) => key.includes('NBIRTH'))
    expect(births).toHaveLength(1)
  })
})

describe('decoded messages over MQTT', () => {
  it('reach who subscribes under $sparkplug/decoded/, and nobody who does not', async () => {
    const world = await DoorWorld.start(decoding)
    const reader = await world.subscribed(['reader'], { topic: '$sparkplug/decoded/spBv1.0/+/NDATA/#', qos: 1 })
    const all = await world.subscribed(['all'], { topic: '#', qos: 0 })
    const edge = await world.connect('edge')
    await say(edge, 'spBv1.0/g/NDATA/e', payloadOf({ name: 'a', type: 3, value: 1 }))
    const json =
      '{"groupId":"g","messageType":"NDATA","edgeNodeId":"e","timestamp":1,"metrics":[{"name":"a","dataType":"Int32","value":1}]}'
    await world.runFor(200)
    expect(reader.heard.filter((line) => line.startsWith('publish'))).toEqual([
      `publish#1 $sparkplug/decoded/spBv1.0/g/NDATA/e=${json}`,
    ])
    const heard = all.packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.topic] : []))
    expect(heard).toEqual(['spBv1.0/g/NDATA/e'])
  })

  it('are the server’s alone to make', async () => {
    const world = await DoorWorld.start(decoding)
    const client = await world.connect('edge', 5)
    client.publish('$sparkplug/decoded/spBv1.0/g/NDATA/e', '{}', 1, 1)
    expect(await client.look()).toBe('connack 0, puback#1 0x90')
  })

  it('may be read by those who may read their Kafka topic; edge nodes need no right on it', () => {
    const table = new AclTable()
    const allow = (principal: string, operation: number, resourceName: string): void =>
      table.add(`${principal}${resourceName}`, {
        ...{ resourceType: aclResource.topic, patternType: aclPattern.literal, host: '*', operation, resourceName },
        ...{ permissionType: aclPermission.allow, principal: `User:${principal}` },
      })
    allow('analyst', aclOperation.read, 'sparkplug.decoded')
    allow('viewer', aclOperation.read, 'sparkplug')
    allow('edge', aclOperation.write, 'sparkplug')
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers: new Set(), allowsWithoutAcl: false })
    const options = { ...mqttDoorDefaults, ...decoding }
    const mapping = new TopicMapping(options.routes)
    const of = (user: string) =>
      rightsOf({ principal: `User:${user}`, host: '10.0.0.1' }, { authorizer, mapping, options })
    const decodedName = '$sparkplug/decoded/spBv1.0/g/NDATA/e'
    expect([of('analyst')?.mayReceive(decodedName), of('analyst')?.mayReceive('spBv1.0/g/NDATA/e')]).toEqual([
      true,
      false,
    ])
    expect(of('viewer')?.mayReceive(decodedName)).toBe(false)
    expect(of('edge')?.mayPublishTo('spBv1.0/g/NDATA/e')).toBe(true)
  })
})
