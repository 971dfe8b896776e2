/** What 3.1.1 asks of a server by the byte, where 5.0 says it otherwise or has another answer. */
import { describe, expect, it } from 'vitest'
import { DoorWorld, type TestClient } from './door-world.ts'

const bytes = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

async function connected(): Promise<{ world: DoorWorld; client: TestClient }> {
  const world = await DoorWorld.start()
  const client = await world.connect('c', 4)
  client.heard.length = 0
  return { world, client }
}

describe('a CONNECT of 3.1.1', () => {
  const head = '0004 4d515454 04'
  it.each([
    ['with its reserved flag', `10 0f ${head} 03 0000 0003 616263`],
    ['with a will of QoS 3', `10 15 ${head} 1e 0000 0003 616263 0001 61 0001 62`],
    ['with the retain flag of a will that is not there', `10 0f ${head} 22 0000 0003 616263`],
    ['with the QoS of a will that is not there', `10 0f ${head} 0a 0000 0003 616263`],
    ['with a will flag and no will', `10 0f ${head} 06 0000 0003 616263`],
    ['with a password and no user name', `10 12 ${head} 42 0000 0003 616263 0001 70`],
    ['with a user name flag and no user name', `10 0f ${head} 82 0000 0003 616263`],
    ['without a client id', `10 0a ${head} 02 0000`],
    ['with a client id that is not UTF-8', `10 0e ${head} 02 0000 0002 c328`],
    ['with bytes behind its end', `10 10 ${head} 02 0000 0003 616263 00`],
    ['of another protocol', '10 0f 0004 4d515458 04 02 0000 0003 616263'],
  ])('%s is closed without a word', async (_, hex) => {
    const world = await DoorWorld.start()
    const client = await world.open(4)
    client.sendBytes(bytes(hex))
    expect(await client.look()).toBe('closed')
  })

  it.each([
    ['GET of a browser', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['half a PUBLISH', bytes('30 7f 00')],
    ['one byte', bytes('c0')],
  ])('must come first: %s is closed at once, before the deadline of CONNECT', async (_, first) => {
    const world = await DoorWorld.start()
    const client = await world.open(4)
    client.sendBytes(first)
    await world.runFor(50)
    expect(client.heard).toEqual(['closed'])
  })

  it('that is refused has Session Present 0, and nothing behind it is read', async () => {
    const world = await DoorWorld.start()
    const client = await world.open(4)
    // No client id with Clean Session 0, and a publish in the same breath.
    client.sendBytes(bytes(`10 0c ${head} 00 0000 0000 30 04 0001 61 78`))
    expect(await client.look()).toBe('connack 2, closed')
    expect(client.packets[0]).toMatchObject({ sessionPresent: false })
    expect(await world.records('a')).toEqual([])
  })

  it('may be followed by other packets at once', async () => {
    const world = await DoorWorld.start()
    const client = await world.open(4)
    client.sendBytes(bytes(`10 0f ${head} 02 0000 0003 616263 32 06 0001 61 0007 78 c0 00`))
    await client.until('puback#7')
    expect(client.heard).toEqual(['connack 0', 'pingresp', 'puback#7'])
  })

  it('says whether a session was there: never with Clean Session, with 0 when it was', async () => {
    const world = await DoorWorld.start()
    const told: string[] = []
    for (const clean of [false, false, true, false, false]) {
      const client = await world.connect('c', 4, { clean })
      told.push(client.heard[0] ?? '')
      client.send({ cmd: 'disconnect' })
      await world.runFor(50)
    }
    expect(told).toEqual(['connack 0', 'connack 0 present', 'connack 0', 'connack 0', 'connack 0 present'])
  })
})

describe('a CONNECT of 3.1', () => {
  it.each([
    ['whatever bits it leaves open', '14 0f 0006 4d5149736470 03 01 0000 0001 70', 'connack 0'],
    ['with a client id, and not without one', '10 0e 0006 4d5149736470 03 02 0000 0000', 'connack 2, closed'],
  ])('is taken %s', async (_, hex, heard) => {
    const world = await DoorWorld.start()
    const client = await world.open(3)
    client.sendBytes(bytes(hex))
    expect(await client.look()).toBe(heard)
  })

  it('goes on with its session and is not told so: the byte of CONNACK is reserved there', async () => {
    const world = await DoorWorld.start()
    const told: unknown[] = []
    for (const level of [3, 3, 4] as const) {
      const client = await world.connect('c', level, { clean: false })
      told.push(client.heard[0])
      client.send({ cmd: 'disconnect' })
      await world.runFor(50)
    }
    expect(told).toEqual(['connack 0', 'connack 0', 'connack 0 present'])
  })
})

describe('an open connection of 3.1.1', () => {
  it.each([
    ['SUBSCRIBE with other flags', '80 06 0001 0001 61 00'],
    ['SUBSCRIBE of QoS 3', '82 06 0001 0001 61 03'],
    ['SUBSCRIBE with reserved bits', '82 06 0001 0001 61 04'],
    ['SUBSCRIBE without a filter', '82 02 0001'],
    ['SUBSCRIBE with packet id 0', '82 06 0000 0001 61 00'],
    ['SUBSCRIBE with a filter that is not UTF-8', '82 07 0001 0002 c328 00'],
    ['SUBSCRIBE with an empty filter', '82 05 0001 0000 00'],
    ['UNSUBSCRIBE with other flags', 'a0 05 0001 0001 61'],
    ['UNSUBSCRIBE without a filter', 'a2 02 0001'],
    ['UNSUBSCRIBE with an empty filter behind a good one', 'a2 07 0001 0001 61 0000'],
    ['UNSUBSCRIBE with what is no filter', 'a2 06 0001 0002 612b'],
    ['PUBREL with other flags', '60 02 0001'],
    ['PINGREQ with flags', 'c1 00'],
    ['DISCONNECT with flags', 'e1 00'],
    ['PUBLISH of QoS 3', '36 06 0001 61 0001 78'],
    ['PUBLISH of QoS 0 with DUP', '38 04 0001 61 78'],
    ['PUBLISH of QoS 1 with packet id 0', '32 06 0001 61 0000 78'],
    ['a packet of the reserved type 0', '00 00'],
    ['a packet of the reserved type 15', 'f0 00'],
  ])('is closed by %s', async (_, hex) => {
    const { client } = await connected()
    client.sendBytes(bytes(hex))
    expect(await client.look()).toBe('closed')
  })

  it('gets one SUBACK with a return code for each filter in its order: the quality, or 0x80', async () => {
    const world = await DoorWorld.start({ subscriptionsPerSessionMax: 3 })
    const client = await world.connect('c', 4)
    client.heard.length = 0
    client.subscribe(
      9,
      { topic: 'a/#', qos: 2 },
      { topic: 'b', qos: 0 },
      { topic: 'c/+', qos: 1 },
      { topic: 'd', qos: 1 },
    )
    expect(await client.look()).toBe('suback#9 2 0 1 0x80')
  })

  it('gets an UNSUBACK of two bytes, also for what it had not subscribed to, and nothing more of what it had', async () => {
    const { world, client } = await connected()
    client.subscribe(1, 'a/+', 'b/x')
    await client.until('suback')
    client.send({ cmd: 'unsubscribe', messageId: 2, unsubscriptions: ['a/+', 'a/x', 'nothing'] })
    await client.until('unsuback')
    const publisher = await world.connect('p', 4)
    publisher.publish('a/x', 'not heard', 1, 1)
    publisher.publish('b/x', 'heard', 1, 2)
    await publisher.until('puback#2')
    expect(await client.look()).toBe('suback#1 1 1, unsuback#2, publish#1 b/x=heard')
  })

  it('is sent the retained messages again when it subscribes again, at the quality of the new subscription', async () => {
    const { client } = await connected()
    client.publish('a/x', 'kept', 1, 1, { retain: true })
    await client.until('puback')
    client.heard.length = 0
    client.subscribe(2, { topic: 'a/x', qos: 0 })
    expect(await client.look()).toBe('suback#2 0, publishr a/x=kept')
    client.subscribe(3, { topic: 'a/x', qos: 1 })
    expect(await client.look()).toBe('suback#3 1, publish#1r a/x=kept')
  })

  it('has what it published last with the retain flag kept, at QoS 0 too; without the flag nothing changes', async () => {
    const { world, client } = await connected()
    const retained = async (): Promise<string> => {
      const reader = await world.connect(`r${world.world.nowMs}`, 4)
      reader.heard.length = 0
      reader.subscribe(1, { topic: 'a/x', qos: 0 })
      return reader.look(500)
    }
    client.publish('a/x', 'first', 1, 1, { retain: true })
    client.publish('a/x', 'second', 0, 0, { retain: true })
    client.publish('a/x', 'third', 1, 2)
    await client.until('puback#2')
    expect(await retained()).toBe('suback#1 0, publishr a/x=second')
    client.publish('a/x', '', 1, 3, { retain: true })
    await client.until('puback#3')
    expect(await retained()).toBe('suback#1 0')
  })

  it('is closed by DISCONNECT, and its will is forgotten', async () => {
    const world = await DoorWorld.start()
    const watcher = await world.subscribed(['w', 4], '#')
    const will = { topic: 'a/will', payload: 'gone', qos: 1, retain: false }
    const client = await world.connect('c', 4, { will })
    client.heard.length = 0
    client.send({ cmd: 'disconnect' })
    expect(await client.look()).toBe('closed')
    await world.runFor(1000)
    expect(watcher.heard).toEqual(['connack 0', 'suback#1 1'])
  })
})
