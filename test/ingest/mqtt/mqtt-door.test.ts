import { describe, expect, it } from 'vitest'
import { gzipSync } from 'node:zlib'
import { batchHeaderBytes, updateBatchCrc } from '../../../src/protocol/records/record-batch.ts'
import { encodeHeaders } from '../../../src/protocol/records/record.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { autoTopicsMax } from './broker-world.ts'
import { DoorWorld } from './door-world.ts'

function batch(records: readonly (readonly [key: string | null, value: string])[], trace?: string): Uint8Array {
  const builder = new RecordBatchBuilder()
  const headers = trace === undefined ? null : encodeHeaders([{ key: 'trace', value: Buffer.from(trace) }])
  for (const [key, value] of records)
    builder.append(1000, key === null ? null : Buffer.from(key), Buffer.from(value), headers)
  return builder.build()
}

/** The same batch with its records compressed, as a producer would send it. */
function gzipped(plain: Uint8Array): Uint8Array {
  const bytes = Buffer.concat([plain.subarray(0, batchHeaderBytes), gzipSync(plain.subarray(batchHeaderBytes))])
  bytes.writeInt32BE(bytes.length - 12, 8)
  bytes.writeInt16BE(1, 21)
  updateBatchCrc(bytes)
  return bytes
}

describe('publishing', () => {
  it('acknowledges QoS 1 in order, after the commit, and the log has key, value and headers', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('sensor-7')
    client.publish('sensors/a', 'one', 1, 10)
    client.publish('sensors/b', 'two', 1, 11)
    client.publish('sensors/a', 'zero', 0)
    client.publish('sensors/a', 'three', 1, 12)
    expect(await client.look()).toBe('connack 0, puback#10, puback#11, puback#12')
    const records = await world.records('sensors')
    const ofA = records.filter(({ key }) => key === 'sensors/a')
    expect(ofA.map(({ value }) => value)).toEqual(['one', 'zero', 'three'])
    expect(ofA.map(({ headers }) => headers.join())).toEqual([
      'mqtt.client=sensor-7,mqtt.qos=1',
      'mqtt.client=sensor-7,mqtt.qos=0',
      'mqtt.client=sensor-7,mqtt.qos=1',
    ])
  })

  it('marks what it receives while the time is not known with the boot and its uptime, whatever the route keeps', async () => {
    const world = await DoorWorld.start({
      routes: [{ match: 'bare/#', topic: 'bare', key: '{mqtt.topic}', partitionBy: null, headers: 'none' }],
    })
    const client = await world.connect('sensor-7')
    world.host.wallTrusted = false
    await world.runFor(5)
    client.publish('sensors/a', 'one', 1, 10)
    client.publish('bare/a', 'two', 1, 11)
    await client.look()
    world.host.wallTrusted = true
    await world.runFor(5)
    client.publish('sensors/a', 'three', 1, 12)
    await client.look()
    const mark = /^mqtt\.clock=untrusted boot=b001 uptime=\d+$/
    const [one, three] = (await world.records('sensors')).map(({ headers }) => headers)
    expect(one).toEqual([expect.stringMatching(mark), 'mqtt.client=sensor-7', 'mqtt.qos=1'])
    expect(three).toEqual(['mqtt.client=sensor-7', 'mqtt.qos=1'])
    expect((await world.records('bare')).map(({ headers }) => headers)).toEqual([[expect.stringMatching(mark)]])
  })

  it('acknowledges nothing while the disk stands still', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c')
    client.publish('sensors/a', 'first', 1, 1)
    await client.until('puback')
    world.host.stallDisk(5000)
    client.publish('sensors/a', 'x', 1, 2)
    client.publish('sensors/a', 'y', 2, 3)
    expect(await client.look(4000)).toBe('connack 0, puback#1')
    expect(await client.look(3000)).toBe('puback#2, pubrec#3')
  })

  it('keeps messages in order while their topic is being created', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c')
    client.publish('new/a', '1', 1, 1)
    client.publish('other/a', '2', 1, 2)
    client.publish('new/a', '3', 1, 3)
    client.send({ cmd: 'pingreq' })
    expect(await client.look(500)).toBe('connack 0, puback#1, pingresp, puback#2, puback#3')
    expect((await world.records('new')).map(({ value }) => value)).toEqual(['1', '3'])
  })

  it('routes by rules: topic, key and partition', async () => {
    const world = await DoorWorld.start({
      routes: [{ match: 'site/{site}/{device}/#', topic: 'site-{site}', key: '{device}', partitionBy: '{site}' }],
    })
    const client = await world.connect('c')
    client.publish('site/north/d1/temp', 'x', 1, 1)
    client.publish('site/north/d2/temp', 'y', 1, 2)
    await client.look()
    const records = await world.records('site-north')
    expect(records.map(({ key, value }) => `${key}=${value}`)).toEqual(['d1=x', 'd2=y'])
    expect(records[0]?.headers).toContain('mqtt.topic=site/north/d1/temp')
  })

  it('sends what cannot be routed to the last-resort topic, and stops creating topics at the bound', async () => {
    const world = await DoorWorld.start({ autoTopicsMax: 2 })
    const client = await world.connect('c')
    let packetId = 0
    for (const topic of ['a/1', 'b/1', 'c/1', '/leading', 'forbidden/x', 'a/2']) {
      packetId += 1
      client.publish(topic, topic, 1, packetId)
    }
    expect(await client.look(500)).toBe('connack 0, puback#1, puback#2, puback#3, puback#4, puback#5, puback#6')
    expect(await world.values('mqtt.unrouted')).toBe('/leading c/1 forbidden/x')
    expect(world.host.observer.eventsOf('mqtt-topic-unrouted').length).toBe(3)
  })

  it('goes on when a topic is deleted under its publishers and subscribers', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    client.subscribe(1, 'a/#')
    client.publish('a/x', 'one', 1, 1)
    expect((await client.look(500)).split(', ').toSorted()).toEqual([
      'connack 0',
      'puback#1',
      'publish#1 a/x=one',
      'suback#1 1',
    ])
    await world.deleteTopic('a')
    client.publish('a/x', 'two', 1, 2)
    expect((await client.look(500)).split(', ').toSorted()).toEqual(['puback#2', 'publish#2 a/x=two'])
    expect(await world.values('a')).toBe('two')
  })

  it('tells a 5.0 client when not even the last-resort topic can be created', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    for (let packetId = 1; packetId <= autoTopicsMax; packetId += 1) client.publish(`t${packetId}`, 'x', 1, packetId)
    await client.until(`puback#${autoTopicsMax}`)
    await client.look()
    client.publish('more', 'x', 1, 50)
    client.publish('t1', 'x', 1, 51)
    expect(await client.look()).toBe('puback#50 0x90, puback#51')
  })

  it('refuses a $ topic with the reason in 5.0 and by closing before', async () => {
    const world = await DoorWorld.start()
    const modern = await world.connect('m', 5)
    modern.publish('$SYS/x', 'x', 1, 1)
    modern.publish('$SYS/x', 'x', 2, 2)
    modern.publish('$SYS/x', 'x', 0)
    modern.publish('a/x', 'x', 1, 3)
    expect(await modern.look()).toBe('connack 0, puback#1 0x90, pubrec#2 0x90, puback#3')
    const old = await world.connect('o', 4)
    old.publish('a/x', 'x', 1, 1)
    old.publish('$SYS/x', 'x', 1, 2)
    old.publish('a/x', 'x', 1, 3)
    expect(await old.look(1500)).toBe('connack 0, puback#1')
    expect(await old.look(1500)).toBe('closed')
  })

  it('takes topic aliases of 5.0 and refuses those it did not announce', async () => {
    const world = await DoorWorld.start({ topicAliasMaximum: 2 })
    const client = await world.connect('c', 5)
    expect(client.packets[0]).toMatchObject({ properties: { topicAliasMaximum: 2 } })
    const alias = (topic: string, payload: string, messageId: number, topicAlias: number): void =>
      client.publish(topic, payload, 1, messageId, { properties: { topicAlias } })
    alias('a/1', 'one', 1, 1)
    alias('', 'two', 2, 1)
    alias('a/2', 'three', 3, 1)
    alias('', 'four', 4, 1)
    expect(await client.look()).toBe('connack 0, puback#1, puback#2, puback#3, puback#4')
    const stored = (await world.records('a')).map(({ key, value }) => `${key}=${value}`)
    expect(stored.toSorted()).toEqual(['a/1=one', 'a/1=two', 'a/2=four', 'a/2=three'])
    alias('', 'x', 5, 2)
    expect(await client.look()).toBe('disconnect 0x82, closed')
    const other = await world.connect('d', 5)
    other.publish('a/1', 'x', 1, 1, { properties: { topicAlias: 3 } })
    expect(await other.look()).toBe('connack 0, disconnect 0x94, closed')
  })

  it('disconnects a 5.0 client that exceeds Receive Maximum', async () => {
    const world = await DoorWorld.start({ receiveMaximum: 3 })
    const client = await world.connect('c', 5)
    expect(client.packets[0]).toMatchObject({ properties: { receiveMaximum: 3 } })
    client.publish('a/x', 'x', 1, 1)
    await client.until('puback')
    world.host.stallDisk(1000)
    client.publish('a/x', 'x', 1, 2)
    client.publish('a/x', 'x', 2, 3)
    client.publish('a/x', 'x', 1, 4)
    client.publish('a/x', 'x', 0)
    expect(await client.look(500)).toBe('connack 0, puback#1')
    client.publish('a/x', 'x', 1, 5)
    expect(await client.look(200)).toBe('disconnect 0x93, closed')
  })

  it('closes an older client that holds more QoS 2 ids than it may', async () => {
    const world = await DoorWorld.start({ receiveMaximum: 3 })
    const client = await world.connect('c', 4)
    for (let packetId = 1; packetId <= 4; packetId += 1) client.publish('a/x', 'x', 2, packetId)
    for (let packetId = 5; packetId <= 9; packetId += 1) client.publish('a/x', 'x', 1, packetId)
    expect(await client.look()).toBe('connack 0, closed')
    const other = await world.connect('d', 4)
    for (let packetId = 1; packetId <= 9; packetId += 1) other.publish('a/x', 'x', 1, packetId)
    await other.until('puback#9')
  })

  it('takes topics of any length, remembered or not', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c')
    client.subscribe(1, '#')
    await client.look()
    const topic = `new/${'x'.repeat(5000)}`
    client.publish(topic, 'long', 1, 1)
    client.publish(topic, 'again', 1, 2)
    expect((await client.look()).replaceAll(topic, 'T').split(', ').toSorted()).toEqual([
      'puback#1',
      'puback#2',
      'publish#1 T=long',
      'publish#2 T=again',
    ])
  })

  it('pauses a client above its uncommitted bytes, and the client goes on when they are committed', async () => {
    const world = await DoorWorld.start({ uncommittedBytesMax: 100_000 })
    const client = await world.connect('c')
    client.publish('a/x', 'x', 1, 1)
    await client.until('puback')
    world.host.stallDisk(20_000)
    const payload = 'y'.repeat(10_000)
    for (let packetId = 2; packetId <= 101; packetId += 1) client.publish('a/x', payload, 1, packetId)
    await world.runFor(10_000)
    // One more read of 64 KB may have been on its way.
    expect(world.broker.pendingBytes).toBeLessThan(250_000)
    expect(client.heard.filter((line) => line.startsWith('puback'))).toHaveLength(1)
    await client.until('puback#101')
    expect(await world.records('a')).toHaveLength(101)
  })

  it('pauses publishers while the whole broker has too much to commit', async () => {
    const world = await DoorWorld.start({ pendingBytesMax: 20_000 })
    const first = await world.connect('c1')
    const second = await world.connect('c2')
    first.publish('a/x', 'x', 1, 1)
    await first.until('puback')
    world.host.stallDisk(3000)
    for (let packetId = 2; packetId <= 40; packetId += 1) {
      first.publish('a/x', 'y'.repeat(5000), 1, packetId)
      second.publish('a/x', 'z'.repeat(5000), 1, packetId)
    }
    await world.runFor(1000)
    expect(world.broker.pendingBytes).toBeLessThan(150_000)
    await first.until('puback#40')
    await second.until('puback#40')
  })

  it('tells a 5.0 client that the disk is full; an older one is kept waiting and closed', async () => {
    const world = await DoorWorld.start({ failurePauseMs: 1000 })
    const modern = await world.connect('m', 5)
    const old = await world.connect('o', 4)
    modern.publish('a/x', 'x', 1, 1)
    await modern.until('puback')
    const recover = world.host.failDisk({ operation: 'write', code: 'ENOSPC' })
    // What was taken before anybody knew waits for the disk; what comes later is refused, without a doubt.
    modern.publish('a/x', 'y', 1, 2)
    await world.runFor(500)
    modern.publish('a/x', 'z', 2, 3)
    const late = await world.connect('l', 5)
    late.publish('a/x', 'z', 1, 1)
    old.publish('a/x', 'x', 1, 1)
    await world.runFor(500)
    expect(modern.heard.join(', ')).toBe('connack 0, puback#1')
    expect(late.heard.join(', ')).toBe('connack 0, puback#1 0x97')
    expect(old.heard.join(', ')).toBe('connack 0')
    await world.runFor(1500)
    expect(old.heard.join(', ')).toBe('connack 0, closed')
    recover()
    await modern.until('pubrec#3 0x97')
    expect(modern.heard.join(', ')).toBe('connack 0, puback#1, puback#2, pubrec#3 0x97')
    await world.runFor(3000)
    late.publish('a/x', 'w', 1, 2)
    await late.until('puback#2')
    expect(await world.values('a')).toBe('w x y')
  })
})

describe('on a full disk', () => {
  it('what a kept session is told is written down, whatever is published in the same turn', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('kept', 4, { clean: false })
    client.publish('a/x', 'x', 1, 1)
    await client.until('puback')
    const recover = world.host.failDisk({ operation: 'write', code: 'ENOSPC', path: /\/a-\d/ })
    client.publish('a/x', 'y', 1, 2)
    await world.runFor(500)
    const publish = { cmd: 'publish', topic: 'a/x', payload: 'z', qos: 0, dup: false, retain: false }
    client.send(publish, { cmd: 'subscribe', messageId: 3, subscriptions: [{ topic: 'b/+', qos: 1 }] })
    await client.until('suback')
    expect(client.heard.at(-1)).toBe('suback#3 1')
    recover()
  })
})

describe('QoS 2', () => {
  it('stores a repeated message once, over a reconnect, and forgets the id with PUBREL', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, { clean: false })
    client.publish('a/x', 'once', 2, 7)
    expect(await client.look()).toBe('connack 0, pubrec#7')
    client.publish('a/x', 'once', 2, 7, { dup: true })
    expect(await client.look()).toBe('pubrec#7')
    client.drop()
    const again = await world.connect('c', 4, { clean: false })
    again.publish('a/x', 'once', 2, 7, { dup: true })
    again.pubrel(7)
    expect(await again.look()).toBe('connack 0 present, pubrec#7, pubcomp#7')
    again.pubrel(7)
    again.publish('a/x', 'twice', 2, 7)
    expect(await again.look()).toBe('pubcomp#7, pubrec#7')
    expect(await world.values('a')).toBe('once twice')
  })

  it('waits for the first commit when the repeat comes before it', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5, { clean: false, properties: { sessionExpiryInterval: 100 } })
    client.publish('a/x', 'warm', 1, 1)
    await client.until('puback')
    world.host.stallDisk(2000)
    client.publish('a/x', 'once', 2, 7)
    await world.runFor(200)
    client.drop()
    const again = await world.connect('c', 5, { clean: false, properties: { sessionExpiryInterval: 100 } })
    again.publish('a/x', 'once', 2, 7, { dup: true })
    again.publish('a/x', 'next', 1, 8)
    expect(await again.look(3000)).toBe('connack 0 present, pubrec#7, puback#8')
    expect(await world.values('a')).toBe('next once warm')
    again.send({ cmd: 'pubrel', messageId: 99 })
    expect(await again.look()).toBe('pubcomp#99 0x92')
  })

  it('holds after a restart the ids that were not released, and no others', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 4, { clean: false })
    for (const packetId of [7, 8, 9]) client.publish('a/x', `m${packetId}`, 2, packetId)
    expect(await client.look()).toBe('connack 0, pubrec#7, pubrec#8, pubrec#9')
    client.pubrel(9)
    expect(await client.look()).toBe('pubcomp#9')
    await world.restart()
    expect(world.host.observer.eventsOf('mqtt-packet-ids-replayed')[0]?.fields).toEqual({ packetIds: 2 })
    const again = await world.connect('c', 4, { clean: false })
    again.publish('a/x', 'm7', 2, 7, { dup: true })
    again.publish('a/x', 'm8', 2, 8, { dup: true })
    again.publish('a/x', 'new9', 2, 9)
    expect(await again.look()).toBe('connack 0 present, pubrec#7, pubrec#8, pubrec#9')
    for (const packetId of [7, 8, 9]) again.pubrel(packetId)
    expect(await again.look()).toBe('pubcomp#7, pubcomp#8, pubcomp#9')
    expect(await world.values('a')).toBe('m7 m8 m9 new9')
    await world.restart()
    expect(world.host.observer.eventsOf('mqtt-packet-ids-replayed')).toEqual([])
  })
})

describe('subscribing', () => {
  it('delivers what is committed at the lower of the two qualities, once for overlapping filters', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s')
    subscriber.subscribe(
      1,
      { topic: 'a/#', qos: 0 },
      { topic: 'a/+', qos: 1 },
      { topic: 'b/x', qos: 2 },
      { topic: 'c/x', qos: 0 },
    )
    expect(await subscriber.look()).toBe('connack 0, suback#1 0 1 2 0')
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'one', 1, 1)
    publisher.publish('a/x/y', 'two', 1, 2)
    publisher.publish('b/x', 'three', 2, 3)
    publisher.publish('a/x', 'four', 0)
    publisher.publish('c/x', 'five', 1, 4)
    publisher.publish('d/x', 'six', 1, 5)
    expect((await subscriber.look()).split(', ').toSorted()).toEqual([
      'publish a/x/y=two',
      'publish a/x=four',
      'publish c/x=five',
      'publish#1 a/x=one',
      'publish#2 b/x=three',
    ])
  })

  it('keeps a session: what came meanwhile is delivered, what was not acknowledged comes again with DUP', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s', 4, { clean: false })
    subscriber.subscribe(1, 'a/#')
    const publisher = await world.connect('p')
    publisher.publish('a/x', '1', 1, 1)
    publisher.publish('a/x', '2', 1, 2)
    await world.runFor(100)
    expect(await subscriber.look()).toBe('connack 0, suback#1 1, publish#1 a/x=1, publish#2 a/x=2')
    subscriber.puback(1)
    await world.runFor(50)
    subscriber.drop()
    // The broker has noticed: what comes now is not sent to nobody.
    await world.runFor(50)
    publisher.publish('a/x', '3', 1, 3)
    publisher.publish('a/x', '4', 0)
    await world.runFor(100)
    const again = await world.connect('s', 4, { clean: false })
    expect(await again.look()).toBe('connack 0 present, publish#2! a/x=2, publish#3 a/x=3, publish a/x=4')
    again.send({ cmd: 'unsubscribe', messageId: 5, unsubscriptions: ['a/#', 'never'] })
    expect(await again.look()).toBe('unsuback#5')
    publisher.publish('a/x', '5', 1, 4)
    expect(await again.look()).toBe('')
    const clean = await world.connect('s', 4, { clean: true })
    expect(await clean.look()).toBe('connack 0')
    expect(await again.look()).toBe('closed')
  })

  it('hands records of Kafka clients over, plain and compressed, whatever topic they are in', async () => {
    const world = await DoorWorld.start()
    await world.settle(world.broker.ensureTopic('commands'))
    const subscriber = await world.connect('s', 5)
    subscriber.subscribe(1, 'pump/+/set')
    await subscriber.look()
    world.produce(
      'commands',
      0,
      batch(
        [
          ['pump/1/set', 'on'],
          [null, 'x'],
          ['pump/#', 'bad'],
          ['fan/1', 'x'],
        ],
        't1',
      ),
    )
    expect(await subscriber.look()).toBe('publish#1 pump/1/set=on')
    expect(subscriber.packets.at(-1)).toMatchObject({ properties: { userProperties: { trace: 't1' } } })
    world.produce(
      'commands',
      0,
      gzipped(
        batch([
          ['pump/2/set', 'off'],
          ['pump/3/set', 'on'],
        ]),
      ),
    )
    world.produce('commands', 0, batch([['pump/4/set', 'on']]))
    expect(await subscriber.look()).toBe('publish#2 pump/2/set=off, publish#3 pump/3/set=on, publish#4 pump/4/set=on')
  })

  it('hears nothing under $SYS that a Kafka client has written', async () => {
    const world = await DoorWorld.start()
    await world.settle(world.broker.ensureTopic('commands'))
    const subscriber = await world.connect('s', 5)
    subscriber.subscribe(1, '$SYS/alarm/#', 'plain/#')
    await subscriber.look()
    world.produce(
      'commands',
      0,
      batch([
        ['$SYS/alarm/fire', 'a lie'],
        ['plain/x', 'heard'],
      ]),
    )
    expect(await subscriber.look()).toBe('publish#1 plain/x=heard')
  })

  it('hears a topic that is created after the subscription from its first record', async () => {
    const world = await DoorWorld.start()
    const subscriber = await world.connect('s')
    subscriber.subscribe(1, '#')
    await subscriber.look()
    const publisher = await world.connect('p')
    publisher.publish('brand/new', 'first', 1, 1)
    expect(await subscriber.look(500)).toBe('publish#1 brand/new=first')
  })

  it('hears nothing that was published before', async () => {
    const world = await DoorWorld.start()
    const publisher = await world.connect('p')
    publisher.publish('a/x', 'before', 1, 1)
    await publisher.until('puback')
    const subscriber = await world.connect('s')
    subscriber.subscribe(1, 'a/#')
    expect(await subscriber.look()).toBe('connack 0, suback#1 1')
  })

  it('honours no-local, retain-as-published, identifiers, and sends properties unaltered', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5)
    const send = (messageId: number, subscription: Record<string, unknown>, subscriptionIdentifier: number): void =>
      client.send({
        cmd: 'subscribe',
        messageId,
        subscriptions: [{ qos: 1, ...subscription }],
        properties: { subscriptionIdentifier },
      })
    send(1, { topic: 'a/own', nl: true }, 5)
    send(2, { topic: 'a/#', nl: true, rap: true }, 6)
    send(3, { topic: 'a/+', nl: true }, 7)
    await client.look()
    client.publish('a/own', 'mine', 1, 9)
    expect(await client.look()).toBe('puback#9')
    const other = await world.connect('o', 4)
    other.publish('a/own', 'theirs', 1, 1, { retain: true })
    expect(await client.look()).toBe('publish#1r a/own=theirs')
    const heard = client.packets.at(-1) as unknown as { properties: { subscriptionIdentifier: number[] } }
    expect(heard.properties.subscriptionIdentifier.toSorted((left, right) => left - right)).toEqual([5, 6, 7])
    const modern = await world.connect('m', 5)
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 30,
      contentType: 'text/plain',
      responseTopic: 'answers/1',
      correlationData: Buffer.from('c'),
      userProperties: { b: ['1', '2'], a: '3' },
    }
    modern.publish('a/x', 'full', 1, 1, { properties })
    await client.look()
    expect(client.packets.at(-1)).toMatchObject({ properties: { ...properties, messageExpiryInterval: 30 } })
  })

  it('holds to its bounds on subscriptions', async () => {
    const world = await DoorWorld.start({ subscriptionsPerSessionMax: 2 })
    const client = await world.connect('c', 5)
    client.subscribe(1, 'a', 'b', 'c', 'a', `${'x/'.repeat(256)}y`)
    expect(await client.look()).toBe('connack 0, suback#1 1 1 0x97 1 0x8f')
  })

  it('keeps a slow subscriber within its bound, and gives it everything in the end; the others do not wait', async () => {
    const world = await DoorWorld.start({ queuedMessagesMax: 20, sendWindowMax: 5 })
    const slow = await world.connect('slow', 5, { properties: { receiveMaximum: 2 } })
    const quick = await world.connect('quick')
    for (const client of [slow, quick]) client.subscribe(1, { topic: 'a/#', qos: client === slow ? 1 : 0 })
    await world.runFor(100)
    const publisher = await world.connect('p')
    for (let packetId = 1; packetId <= 60; packetId += 1) publisher.publish('a/x', String(packetId), 1, packetId)
    await publisher.until('puback#60')
    await world.runFor(1500)
    expect(quick.heard.filter((line) => line.startsWith('publish'))).toHaveLength(60)
    expect((await slow.look()).split(', ').slice(2)).toEqual(['publish#1 a/x=1', 'publish#2 a/x=2'])
    expect(world.host.observer.figure('headwater_mqtt_queued_bytes', {})).toBeLessThan(20 * 100)
    // What it had no room for waits in the log.
    const values: string[] = []
    for (let round = 0; round < 200 && values.length < 60; round += 1) {
      for (const packet of slow.packets.splice(0)) {
        if (packet.cmd !== 'publish') continue
        values.push(String(packet.payload))
        slow.puback(packet.messageId ?? 0)
      }
      await world.runFor(20)
    }
    expect(values).toEqual(Array.from({ length: 60 }, (_each, index) => String(index + 1)))
  })

  it('closes a client that never reads, and the daemon and its other clients go on', async () => {
    const world = await DoorWorld.start({ drainDeadlineMs: 10_000 })
    const deaf = await world.connect('deaf')
    deaf.subscribe(1, { topic: 'a/#', qos: 0 })
    await world.runFor(100)
    deaf.stopReading()
    const publisher = await world.connect('p')
    for (let packetId = 1; packetId <= 200; packetId += 1) publisher.publish('a/x', 'z'.repeat(10_000), 1, packetId)
    await publisher.until('puback#200')
    await world.runFor(2000)
    expect(world.door.connectionCount).toBe(2)
    await world.runFor(20_000)
    expect(world.door.connectionCount).toBe(1)
    publisher.publish('a/x', 'x', 1, 201)
    await publisher.until('puback#201')
  })
})

describe('sessions and wills', () => {
  it('takes a session over from an earlier connection', async () => {
    const world = await DoorWorld.start()
    const first = await world.connect('c', 5, { clean: true, properties: { sessionExpiryInterval: 60 } })
    first.subscribe(1, 'a')
    await first.look()
    const second = await world.connect('c', 5, { clean: false, properties: { sessionExpiryInterval: 60 } })
    expect(await first.look()).toBe('disconnect 0x8e, closed')
    expect(await second.look()).toBe('connack 0 present')
    const third = await world.connect('c', 5, { clean: true })
    expect(await third.look()).toBe('connack 0')
    expect(await second.look()).toBe('disconnect 0x8e, closed')
  })

  it('ends a session when its expiry has passed, or at once without one', async () => {
    const world = await DoorWorld.start()
    const expiring = { clean: false, properties: { sessionExpiryInterval: 10 } }
    const client = await world.connect('c', 5, expiring)
    client.subscribe(1, 'a')
    await client.look()
    client.drop()
    await world.runFor(5000)
    const again = await world.connect('c', 5, expiring)
    expect(await again.look()).toBe('connack 0 present')
    again.send({ cmd: 'disconnect', reasonCode: 0, properties: { sessionExpiryInterval: 2 } })
    await world.runFor(3000)
    expect(world.door.sessionCount).toBe(0)
    const late = await world.connect('c', 5, { clean: false })
    expect(await late.look()).toBe('connack 0')
    late.drop()
    await world.runFor(100)
    expect(world.door.sessionCount).toBe(0)
  })

  const will = { topic: 'will/c', payload: 'gone', qos: 1, retain: false }

  it('publishes the will when the connection is lost, not after DISCONNECT', async () => {
    const world = await DoorWorld.start()
    const lost = await world.connect('lost', 4, { will: { ...will, payload: 'lost' } })
    const polite = await world.connect('polite', 4, { will: { ...will, payload: 'polite' } })
    const asks = await world.connect('asks', 5, { will: { ...will, payload: 'asks' } })
    const silent = await world.connect('silent', 4, { keepalive: 10, will: { ...will, payload: 'silent' } })
    const faulty = await world.connect('faulty', 4, { will: { ...will, payload: 'faulty' } })
    lost.drop()
    polite.send({ cmd: 'disconnect' })
    asks.send({ cmd: 'disconnect', reasonCode: 4 })
    faulty.sendBytes(Buffer.from('3605000161000178', 'hex'))
    await world.runFor(16_000)
    expect(await silent.look()).toBe('connack 0, closed')
    expect(await world.values('will')).toBe('asks faulty lost silent')
    expect((await world.records('will'))[0]?.headers).toContain('mqtt.will=1')
  })

  it('holds a delayed will back until its time, or the end of the session, unless the client returns', async () => {
    const world = await DoorWorld.start()
    const delayed = (payload: string, sessionExpiryInterval: number): Record<string, unknown> => ({
      clean: false,
      properties: { sessionExpiryInterval },
      will: { ...will, payload, properties: { willDelayInterval: 10 } },
    })
    const clients = [
      await world.connect('waits', 5, delayed('waits', 60)),
      await world.connect('ends', 5, delayed('ends', 3)),
      await world.connect('returns', 5, delayed('returns', 60)),
      await world.connect('restarts', 5, delayed('restarts', 60)),
    ]
    for (const client of clients) client.drop()
    await world.runFor(2000)
    expect(await world.values('will')).toBe('')
    await world.connect('returns', 5, { clean: false })
    await world.connect('restarts', 5, { clean: true })
    await world.runFor(2000)
    expect(await world.values('will')).toBe('ends restarts')
    await world.runFor(8000)
    expect(await world.values('will')).toBe('ends restarts waits')
  })

  it('publishes wills and says goodbye when the door stops', async () => {
    const world = await DoorWorld.start()
    const old = await world.connect('o', 4, { will })
    const modern = await world.connect('m', 5)
    await world.settle(world.door.stop())
    await world.runFor(100)
    expect(await modern.look()).toBe('connack 0, disconnect 0x8b, closed')
    expect(await old.look()).toBe('connack 0, closed')
    expect(await world.values('will')).toBe('gone')
  })

  it('acknowledges what it has taken before it stops', async () => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', 5, { will: { ...will, topic: 'fresh/will' } })
    client.publish('a/x', 'x', 1, 1)
    await client.until('puback')
    world.host.stallDisk(1000)
    client.publish('a/x', 'y', 1, 2)
    await world.runFor(100)
    await world.settle(world.door.stop())
    await world.runFor(100)
    expect(await client.look()).toBe('connack 0, puback#1, puback#2, disconnect 0x8b, closed')
    expect(await world.values('fresh')).toBe('gone')
  })

  it('disconnects a silent client after one and a half keep-alives, but not while it is itself not reading', async () => {
    const world = await DoorWorld.start({ uncommittedBytesMax: 10_000 })
    const client = await world.connect('c', 5, { keepalive: 10 })
    client.publish('a/x', 'x', 1, 1)
    await client.until('puback')
    world.host.stallDisk(60_000)
    client.publish('a/x', 'y'.repeat(20_000), 1, 2)
    await world.runFor(55_000)
    expect(client.isClosed).toBe(false)
    await client.until('puback#2')
    await world.runFor(14_000)
    expect(client.isClosed).toBe(false)
    await client.look()
    expect(await client.look(4000)).toBe('disconnect 0x8d, closed')
  })
})

describe('connecting', () => {
  it('assigns a client id to whoever has none', async () => {
    const world = await DoorWorld.start()
    const modern = await world.connect('', 5)
    expect(modern.packets[0]).toMatchObject({
      properties: { assignedClientIdentifier: expect.stringMatching(/^hw-[0-9a-f]{24}$/) },
    })
    const old = await world.connect('', 4)
    expect(await old.look()).toBe('connack 0')
    const kept = await world.open(4)
    // The foreign writer refuses to write this one.
    kept.sendBytes(Buffer.from('100c00044d5154540400000a0000', 'hex'))
    expect(await kept.look()).toBe('connack 2, closed')
  })

  it('announces what it bounds', async () => {
    const world = await DoorWorld.start({
      keepAliveSecondsMax: 100,
      sessionExpirySecondsMax: 1000,
      packetBytesMax: 5000,
    })
    const client = await world.connect('c', 5, { keepalive: 0, properties: { sessionExpiryInterval: 0xffff_ffff } })
    expect(client.packets[0]).toMatchObject({
      properties: { serverKeepAlive: 100, sessionExpiryInterval: 1000, maximumPacketSize: 5000 },
    })
    client.publish('a/x', 'x'.repeat(6000), 1, 1)
    expect(await client.look()).toBe('connack 0, disconnect 0x95, closed')
  })

  it('refuses enhanced authentication, wills that cannot be stored and long client ids with their reasons', async () => {
    const world = await DoorWorld.start()
    const verdict = async (level: 4 | 5, clientId: string, connect: Record<string, unknown>): Promise<string> => {
      const client = await world.open(level)
      client.sendConnect(clientId, connect)
      return client.look()
    }
    expect(await verdict(5, 'c', { properties: { authenticationMethod: 'SCRAM' } })).toBe('connack 0x8c, closed')
    const will = { topic: '$SYS/x', payload: 'x', qos: 0, retain: false }
    expect(await verdict(5, 'c', { will })).toBe('connack 0x90, closed')
    expect(await verdict(5, 'x'.repeat(257), {})).toBe('connack 0x85, closed')
    expect(await verdict(4, 'x'.repeat(257), {})).toBe('connack 2, closed')
    expect(await verdict(4, 'x'.repeat(70), {})).toBe('connack 0')
  })

  it('closes a connection that does not send CONNECT in time', async () => {
    const world = await DoorWorld.start({ connectDeadlineMs: 3000 })
    const idle = await world.open()
    const other = await world.connect('c')
    await world.runFor(100)
    expect(idle.isClosed).toBe(false)
    await world.runFor(4000)
    expect([idle.isClosed, other.isClosed]).toEqual([true, false])
  })

  it('counts the time of the handshakes below into the deadline of CONNECT', async () => {
    const world = await DoorWorld.start({ connectDeadlineMs: 10_000 })
    world.world.network.openingMs = 9000
    const late = await world.open()
    await world.runFor(500)
    expect(late.isClosed).toBe(false)
    await world.runFor(1000)
    expect(late.isClosed).toBe(true)
  })

  it.each<[string, 4 | 5, string, string]>([
    ['PUBLISH before CONNECT', 4, '30 03 0001 61', 'closed'],
    ['a wrong protocol name', 4, '10 10 0004 4d515455 04 02 000a 0004 61626364', 'closed'],
    ['level 6', 5, '10 10 0004 4d515454 06 02 000a 0004 61626364', 'connack 0x84, closed'],
    ['level 2', 4, '10 10 0004 4d515454 02 02 000a 0004 61626364', 'connack 1, closed'],
    ['a malformed CONNECT of 3.1.1', 4, '10 10 0004 4d515454 04 03 000a 0004 61626364', 'closed'],
    ['a malformed CONNECT of 5.0', 5, '10 11 0004 4d515454 05 03 000a 00 0004 61626364', 'connack 0x81, closed'],
    ['an announced size that is too large', 4, '10 ff ff ff 7f', 'closed'],
  ])('answers %s', async (_what, level, hex, expected) => {
    const world = await DoorWorld.start()
    const client = await world.open(level)
    client.sendBytes(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    expect(await client.look()).toBe(expected)
  })

  it.each<[string, 4 | 5, string, string]>([
    ['a second CONNECT', 5, '10 11 0004 4d515454 05 02 000a 00 0004 61626364', 'disconnect 0x82, closed'],
    ['a second CONNECT of 3.1.1', 4, '10 10 0004 4d515454 04 02 000a 0004 61626364', 'closed'],
    ['a wildcard in a topic', 5, '30 04 0001 23 00', 'disconnect 0x90, closed'],
    ['an empty topic', 5, '30 03 0000 00', 'disconnect 0x82, closed'],
    ['U+0000 in a topic', 5, '30 04 0001 00 00', 'disconnect 0x81, closed'],
    ['a topic that is not UTF-8', 4, '30 04 0002 c328', 'closed'],
    ['AUTH', 5, 'f0 00', 'disconnect 0x82, closed'],
    ['SUBACK', 5, '90 04 0001 00 00', 'disconnect 0x82, closed'],
    ['a malformed filter', 5, '82 09 0001 00 0003 612f2b 00', 'suback#1 0'],
    ['a filter with a misplaced wildcard', 5, '82 08 0001 00 0002 612b 00', 'disconnect 0x81, closed'],
    ['the same before 5.0', 4, '82 07 0001 0002 612b 00', 'closed'],
    ['PUBREC for what was never sent', 5, '50 02 0009', 'pubrel#9 0x92'],
    ['PUBACK for what was never sent', 4, '40 02 0009', ''],
  ])('answers %s on an open connection', async (_what, level, hex, expected) => {
    const world = await DoorWorld.start()
    const client = await world.connect('c', level)
    client.sendBytes(Buffer.from(hex.replaceAll(' ', ''), 'hex'))
    expect(await client.look()).toBe(expected === '' ? 'connack 0' : `connack 0, ${expected}`)
    const other = await world.connect('other', 4)
    other.publish('a/x', 'still serving', 1, 1)
    await other.until('puback')
  })
})
