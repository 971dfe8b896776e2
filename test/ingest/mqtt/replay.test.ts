/** `SUBSCRIBE $log/TOPIC`: the log from a place of the client's choice, and on with what comes. */
import { describe, expect, it } from 'vitest'
import { setBatchLogAppendTime, updateBatchCrc } from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'
import { aclOperation, aclPattern, aclPermission, aclResource } from '../../../src/security/acl.ts'
import { AclTable } from '../../../src/security/acl-table.ts'
import { Authorizer } from '../../../src/security/authorizer.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

type Key = string | Uint8Array | null

/** One record, as a Kafka client would produce it. */
function record(
  key: Key,
  value: string,
  timestampMs = 1000,
  headers: Readonly<Record<string, string>> = {},
): Uint8Array {
  const builder = new RecordBatchBuilder()
  const list = Object.entries(headers).map(([name, text]) => ({ key: name, value: Buffer.from(text) }))
  const section = list.length === 0 ? null : encodeHeaders(list)
  builder.append(timestampMs, typeof key === 'string' ? Buffer.from(key) : key, Buffer.from(value), section)
  return builder.build()
}

/** A world with the Kafka topic `plant` of two partitions, and `count` records of one key in the first. */
async function plant(count: number, options: Parameters<typeof DoorWorld.start>[0] = {}): Promise<DoorWorld> {
  const world = await DoorWorld.start(options)
  await world.settle(world.broker.ensureTopic('plant'))
  for (let at = 0; at < count; at += 1) world.produce('plant', 0, record('plant/t', String(at), 1000 + at))
  await world.runFor(20)
  return world
}

function subscribe(
  client: TestClient,
  id: number,
  filter: string,
  offset?: string | string[],
  more: object = {},
): void {
  const properties = offset === undefined ? {} : { properties: { userProperties: { offset } } }
  const subscription = { topic: filter, qos: 1, nl: false, rap: false, rh: 0, ...more }
  client.send({ cmd: 'subscribe', messageId: id, subscriptions: [subscription], ...properties })
}

interface Heard {
  readonly topic: string
  readonly payload: string
  readonly properties: Readonly<Record<string, string>>
  readonly messageId: number
}

/** What was published to the client since the last call. */
function heard(client: TestClient): Heard[] {
  const found: Heard[] = []
  for (const packet of client.packets.splice(0)) {
    if (packet.cmd !== 'publish') continue
    const properties = { ...packet.properties?.userProperties } as Record<string, string>
    found.push({ topic: packet.topic, payload: String(packet.payload), properties, messageId: packet.messageId ?? 0 })
  }
  return found
}

function place({ properties }: Heard): string {
  return `${properties['log.topic']}-${properties['log.partition']}@${properties['log.offset']}`
}

/** Acknowledges until `count` messages have come. */
async function take(world: DoorWorld, client: TestClient, count: number): Promise<Heard[]> {
  const all: Heard[] = []
  for (let round = 0; round < 4000 && all.length < count; round += 1) {
    const now = heard(client)
    for (const { messageId } of now) if (messageId > 0) client.puback(messageId)
    all.push(...now)
    await world.runFor(5)
  }
  return all
}

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_each, index) => String(from + index))

/** What SUBACK said. */
function answer(client: TestClient, id = 1): { codes: string; reason: string } {
  const suback = client.packets.find(({ cmd, messageId }) => cmd === 'suback' && messageId === id) as unknown as {
    granted: number[]
    properties?: { reasonString?: string }
  }
  const codes = suback.granted.map((code) => (code >= 0x80 ? `0x${code.toString(16)}` : String(code))).join(' ')
  return { codes, reason: suback.properties?.reasonString ?? '' }
}

describe('a replay', () => {
  it.each([
    ['earliest', 0],
    ['3', 3],
    ['5', 5],
    ['@1002', 2],
    ['1970-01-01T00:00:01.004Z', 4],
    ['@0', 0],
    ['@9999999', 5],
    ['latest', 5],
    [undefined, 5],
  ] as const)('with offset %s begins there and goes on with what comes', async (offset, first) => {
    const world = await plant(5)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant/0', offset)
    await client.until('suback#1 1')
    world.produce('plant', 0, record('plant/t', '5'))
    const messages = await take(world, client, 6 - first)
    expect(messages.map(({ payload }) => payload)).toEqual(numbers(first, 5))
    expect(messages.map(place)).toEqual(numbers(first, 5).map((at) => `plant-0@${at}`))
    expect(await client.look()).not.toContain('publish#9')
  })

  it('tells the MQTT topic, the place, the time and what the record itself carries', async () => {
    const world = await plant(0)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant', 'earliest', { rap: true })
    await client.until('suback')
    const publisher = await world.connect('p', 5)
    const userProperties = { unit: 'bar' }
    publisher.publish('plant/press/4', 'x', 1, 1, { properties: { userProperties, contentType: 'text/plain' } })
    world.produce('plant', 0, record('not # a topic', 'y', 77, { trace: 't1' }))
    world.produce('plant', 1, record(null, 'z', 78))
    world.produce('plant', 1, record(Uint8Array.of(0xff), 'w', 79))
    world.produce('plant', 1, record('$SYS/broker/version', 'v', 80))
    world.produce('plant', 1, record('k', 'u', 81, { 'mqtt.topic': 'plant/named' }))
    const messages = await take(world, client, 6)
    const texts = messages.map(({ topic, payload, properties }) => {
      const { 'log.timestamp': timestamp, 'log.key': key, trace, unit } = properties
      return [payload, topic, Number(timestamp) < 100 ? timestamp : 'now', key, trace, unit].join(' ')
    })
    expect(texts.toSorted()).toEqual(
      [
        'x plant/press/4 now   bar',
        'y $log/plant/0 77 not # a topic t1 ',
        'z $log/plant/1 78   ',
        'w $log/plant/1 79   ',
        'v $log/plant/1 80 $SYS/broker/version  ',
        'u plant/named 81 k  ',
      ].toSorted(),
    )
  })

  it('gives thousands of records of both partitions once and in order, while more are published', async () => {
    const world = await plant(0, { queuedMessagesMax: 16, sendWindowMax: 4, tailReadBytes: 4096 })
    const produce = (from: number, to: number): void => {
      for (let at = from; at < to; at += 1) world.produce('plant', at % 2, record('plant/t', String(at)))
    }
    produce(0, 1500)
    await world.runFor(50)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant', 'earliest')
    await client.until('suback')
    const all: Heard[] = []
    for (let round = 0; round < 10; round += 1) {
      produce(1500 + round * 50, 1550 + round * 50)
      all.push(...(await take(world, client, 200)))
    }
    const room = await take(world, client, 2000 - all.length)
    const messages = [...all, ...room, ...(await take(world, client, 0))]
    for (const parity of [0, 1]) {
      const values = messages.filter(({ payload }) => Number(payload) % 2 === parity).map(({ payload }) => payload)
      expect(values).toEqual(numbers(0, 1999).filter((value) => Number(value) % 2 === parity))
    }
  })

  it('never has more unacknowledged than the Receive Maximum', async () => {
    const world = await plant(10)
    const client = await world.connect('c', 5, { properties: { receiveMaximum: 2 } })
    subscribe(client, 1, '$log/plant/0', 'earliest')
    await client.until('suback')
    await world.runFor(200)
    const first = heard(client)
    expect(first.map(({ payload }) => payload)).toEqual(['0', '1'])
    client.puback(first[0]?.messageId ?? 0)
    await world.runFor(200)
    expect(heard(client).map(({ payload }) => payload)).toEqual(['2'])
  })

  it('waits for a socket that takes nothing, also at QoS 0, and loses nothing', async () => {
    const world = await plant(0)
    const value = 'v'.repeat(20_000)
    for (let at = 0; at < 300; at += 1) world.produce('plant', 0, record('plant/t', `${at} ${value}`))
    await world.runFor(50)
    const client = await world.connect('c', 5)
    client.stopReading()
    subscribe(client, 1, '$log/plant/0', 'earliest', { qos: 0 })
    await world.runFor(2000)
    client.goOnReading()
    const messages = await take(world, client, 300)
    expect(messages.map(({ payload }) => payload.split(' ')[0])).toEqual(numbers(0, 299))
  })

  it('is written behind a question mark too, for clients without properties', async () => {
    const world = await plant(3)
    const client = await world.subscribed(['c', 4], '$log/plant/0?offset=1')
    expect(await client.look()).toBe('connack 0, suback#1 1, publish#1 plant/t=1, publish#2 plant/t=2')
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$log/plant/0'] })
    await client.until('unsuback')
    world.produce('plant', 0, record('plant/t', '3'))
    expect(await client.look()).toBe('unsuback#2')
  })

  it('ends with UNSUBSCRIBE, which knows it', async () => {
    const world = await plant(1)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant', 'earliest')
    await client.until('publish')
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['$log/plant', '$log/plant'] })
    await client.until('unsuback#2 0 17')
    world.produce('plant', 0, record('plant/t', '1'))
    await client.look()
    expect(heard(client).map(({ payload }) => payload)).toEqual(['0'])
  })

  it('begins anew when it is subscribed again, without what waited of the old one', async () => {
    const world = await plant(40, { sendWindowMax: 1 })
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant/0', 'earliest')
    await client.until('publish')
    await world.runFor(50)
    subscribe(client, 2, '$log/plant/0', '38')
    await client.until('suback#2')
    const messages = await take(world, client, 3)
    expect(messages.map(({ payload }) => payload)).toEqual(['0', '38', '39'])
  })

  it('is not kept: the session is, and what had not been sent does not come later', async () => {
    const world = await plant(40, { sendWindowMax: 2 })
    const kept = { clean: false, properties: { sessionExpiryInterval: 1000 } }
    const client = await world.connect('c', 5, kept)
    client.subscribe(1, { topic: 'plant/#', qos: 1 })
    subscribe(client, 2, '$log/plant/0', 'earliest')
    await client.until('publish#2')
    client.drop()
    await world.runFor(50)
    world.produce('plant', 0, record('plant/t', 'live'))
    const back = await world.connect('c', 5, kept)
    const messages = await take(world, back, 3)
    expect(messages.map(({ payload }) => payload)).toEqual(['0', '1', 'live'])
    await world.restart()
    world.produce('plant', 0, record('plant/t', 'after'))
    const again = await world.connect('c', 5, kept)
    const later = (await take(world, again, 1)).map(({ payload }) => payload)
    expect(later.filter((payload) => payload !== 'live')).toEqual(['after'])
  })

  it('goes on in partitions that come later, and without those of a topic that goes', async () => {
    const world = await plant(1)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant', 'earliest')
    await client.until('publish')
    await world.deleteTopic('plant')
    await world.settle(world.broker.ensureTopic('plant'))
    world.produce('plant', 1, record('plant/t', 'new'))
    expect((await take(world, client, 2)).map(place)).toEqual(['plant-0@0', 'plant-1@0'])
  })

  it('leaves out what has expired, and with no-local what the client published itself', async () => {
    const world = await plant(0)
    const client = await world.connect('c', 5)
    const other = await world.connect('o', 5)
    other.publish('plant/t', 'old', 1, 1, { properties: { messageExpiryInterval: 1 } })
    client.publish('plant/t', 'own', 1, 1)
    await world.runFor(2000)
    other.publish('plant/t', 'new', 1, 2)
    await other.until('puback#2')
    subscribe(client, 1, '$log/plant', 'earliest', { nl: true, qos: 0 })
    await client.until('suback')
    await world.runFor(200)
    expect(heard(client).map(({ payload }) => payload)).toEqual(['new'])
  })

  it('tells the time of each record of a batch, also where the broker has set it', async () => {
    const world = await plant(0)
    const builder = new RecordBatchBuilder()
    for (const timestampMs of [1000, 900, 1500]) builder.append(timestampMs, Buffer.from('k'), Buffer.from('v'), null)
    const batch = builder.build()
    world.produce('plant', 0, batch.slice())
    setBatchLogAppendTime(batch, 0, 7000)
    updateBatchCrc(batch)
    world.produce('plant', 0, batch)
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant', 'earliest')
    const messages = await take(world, client, 6)
    const times = messages.map(({ properties }) => properties['log.timestamp'])
    expect(times).toEqual(['1000', '900', '1500', '7000', '7000', '7000'])
  })

  it('carries its subscription identifier', async () => {
    const world = await plant(1)
    const client = await world.connect('c', 5)
    const properties = { subscriptionIdentifier: 9, userProperties: { offset: 'earliest' } }
    client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$log/plant', qos: 0 }], properties })
    await client.until('publish')
    expect(client.packets.at(-1)).toMatchObject({ qos: 0, properties: { subscriptionIdentifier: 9 } })
  })
})

describe('a replay is refused', () => {
  it.each([
    ['$log', undefined, '0x8f', 'the form is $log/TOPIC or $log/TOPIC/PARTITION'],
    ['$log/', undefined, '0x8f', 'the form is $log/TOPIC or $log/TOPIC/PARTITION'],
    ['$log/plant/0/1', undefined, '0x8f', 'the form is $log/TOPIC or $log/TOPIC/PARTITION'],
    ['$log/#', undefined, '0x8f', 'there are no wildcards under $log'],
    ['$log/+/0', undefined, '0x8f', 'there are no wildcards under $log'],
    ['$log/plant/x', undefined, '0x8f', '"x" is no partition'],
    ['$log/plant/00', undefined, '0x8f', '"00" is no partition'],
    ['$log/plant/2', undefined, '0x8f', 'plant has partitions 0 to 1'],
    ['$log/nothing', undefined, '0x8f', 'there is no Kafka topic nothing'],
    ['$log/__headwater_retained', undefined, '0x87', 'no right to read the Kafka topic __headwater_retained'],
    ['$share/g/$log/plant', undefined, '0x8f', ''],
    ['$log/plant', '3', '0x83', 'plant has 2 partitions: an offset needs one, as in $log/plant/0'],
    ['$log/plant/0', '4', '0x83', 'offset 4 is beyond the end, 3'],
    ['$log/plant/0', '-1', '0x83', /^offset "-1" is not earliest, latest, an offset/],
    ['$log/plant/0', '2026-13-01', '0x83', /^offset "2026-13-01" is not/],
    ['$log/plant/0', '99999999999999999999', '0x83', /is not earliest/],
    ['$log/plant/0', ['1', '2'], '0x83', 'the user property offset is there 2 times'],
    ['$log/plant/0?from=1', undefined, '0x83', 'behind the question mark stands offset=START and nothing else'],
    ['$log/plant/0?offset=', undefined, '0x83', /^offset "" is not/],
  ] as const)('%s from %s: %s', async (filter, offset, code, reason) => {
    const world = await plant(3)
    const client = await world.connect('c', 5)
    subscribe(client, 1, filter, offset as string | string[] | undefined)
    await client.until('suback')
    const said = answer(client)
    expect(said.codes).toBe(code)
    expect(said.reason).toMatch(
      typeof reason === 'string' ? new RegExp(`^${reason.replace(/[$+/."?]/g, '\\$&')}$`) : reason,
    )
    expect(await client.look()).not.toContain('publish')
  })

  it('one of several filters: the others are granted', async () => {
    const world = await plant(1)
    const client = await world.connect('c', 5)
    client.subscribe(1, 'a/#', '$log/none', { topic: '$log/plant', qos: 2 }, { topic: 'b', qos: 0 })
    await client.until('suback#1 1 0x8f 1 0')
  })

  it('beyond the bounds, until another ends', async () => {
    const world = await plant(1, { replaysPerConnectionMax: 2, replayPartitionsMax: 3 })
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/plant')
    subscribe(client, 2, '$log/plant/0')
    subscribe(client, 3, '$log/plant/1')
    await client.until('suback#3')
    expect(answer(client, 3)).toEqual({ codes: '0x97', reason: 'a connection may have 2 replays' })
    const other = await world.connect('o', 5)
    subscribe(other, 1, '$log/plant/0')
    await other.until('suback')
    expect(answer(other)).toEqual({ codes: '0x97', reason: 'all replays together read enough partitions' })
    client.send({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['$log/plant'] })
    await client.until('unsuback')
    subscribe(other, 2, '$log/plant/0')
    await other.until('suback#2 1')
  })

  it('without words for a client that wants none, or not so many', async () => {
    const world = await plant(1)
    for (const [at, properties] of [{ requestProblemInformation: false }, { maximumPacketSize: 40 }].entries()) {
      const client = await world.connect(`c${at}`, 5, { properties })
      subscribe(client, 1, '$log/none-of-this-rather-long-name')
      await client.until('suback#1 0x8f')
      expect(answer(client).reason).toBe('')
    }
  })

  it('to who may not read the topic, in the same words whether there is one, and nothing more comes once the right is gone', async () => {
    const table = new AclTable()
    const entry = {
      resourceType: aclResource.topic,
      resourceName: 'plant',
      patternType: aclPattern.literal,
      principal: 'User:*',
      host: '*',
      operation: aclOperation.read,
      permissionType: aclPermission.allow,
    }
    table.add('one', entry)
    const authorizer = new Authorizer({ table, isEnabled: true, superUsers: new Set(), allowsWithoutAcl: false })
    const world = await DoorWorld.start({}, 1, {}, authorizer)
    for (const topic of ['plant', 'secrets']) await world.settle(world.broker.ensureTopic(topic))
    const client = await world.connect('c', 5)
    subscribe(client, 1, '$log/secrets')
    subscribe(client, 2, '$log/missing')
    await client.until('suback#2')
    const subacks = client.packets.filter(({ cmd }) => cmd === 'suback')
    const words = JSON.stringify(subacks).replaceAll('secrets', 'missing').replaceAll('"messageId":1', '"messageId":2')
    const [one, two] = JSON.parse(words) as unknown[]
    expect(one).toEqual(two)
    expect(answer(client, 2)).toEqual({ codes: '0x87', reason: 'no right to read the Kafka topic missing' })
    subscribe(client, 3, '$log/plant')
    await client.until('suback#3 1')
    world.produce('plant', 0, record('plant/t', 'seen'))
    await client.until('publish')
    table.remove('one')
    world.produce('plant', 0, record('plant/t', 'hidden'))
    await world.runFor(200)
    expect(heard(client).map(({ payload }) => payload)).toEqual(['seen'])
  })
})

describe('the names under $log', () => {
  it('are matched by no wildcard, and take no message', async () => {
    const world = await plant(0)
    const client = await world.subscribed(['c', 5], '#', '+/plant/0')
    const publisher = await world.connect('p', 5)
    publisher.publish('$log/plant/0', 'x', 1, 1)
    await publisher.until('puback#1 0x90')
    world.produce('plant', 0, record('$log/plant/0', 'y'))
    world.produce('plant', 0, record('plant/0', 'z'))
    expect(await client.look()).toContain('publish#1 plant/0=z')
    expect(heard(client).map(({ payload }) => payload)).toEqual(['z'])
  })
})
