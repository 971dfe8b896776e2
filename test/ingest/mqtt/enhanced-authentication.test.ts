import { describe, expect, it } from 'vitest'
import type { MqttListenerOptions } from '../../../src/ingest/mqtt/listener-options.ts'
import { DoorWorld, type TestClient } from './door-world.ts'
import { addUser, type Mechanism, ScramClient } from './scram-client.ts'

const both: readonly Mechanism[] = ['SCRAM-SHA-256', 'SCRAM-SHA-512']

async function start(listener: MqttListenerOptions = {}): Promise<DoorWorld> {
  const world = await DoorWorld.start({ connectDeadlineMs: 5000 }, 1, { saslMechanisms: both, ...listener })
  for (const mechanism of both) {
    addUser(world.credentials, 'alice', 'wonder', mechanism)
    addUser(world.credentials, 'bob', 'builder', mechanism)
  }
  return world
}

interface AuthProperties {
  readonly authenticationMethod?: string
  readonly authenticationData?: Buffer
}

const propertiesOf = (client: TestClient): AuthProperties =>
  (client.packets.at(-1) as { properties?: AuthProperties } | undefined)?.properties ?? {}

/** The data of the newest packet. */
const dataOf = (client: TestClient): Buffer => propertiesOf(client).authenticationData ?? Buffer.alloc(0)

function auth(client: TestClient, reasonCode: number, method: string, data?: Buffer): void {
  const properties = { authenticationMethod: method, ...(data === undefined ? {} : { authenticationData: data }) }
  client.send({ cmd: 'auth', reasonCode, properties })
}

/** CONNECT with client-first, and AUTH with client-final. */
async function authenticate(
  world: DoorWorld,
  { mechanism = 'SCRAM-SHA-256' as Mechanism, user = 'alice', password = 'wonder', clientId = 'c' } = {},
): Promise<TestClient> {
  const client = await world.open(5)
  const scram = new ScramClient(mechanism, user, password)
  const properties = { authenticationMethod: mechanism, authenticationData: scram.first() }
  client.sendConnect(clientId, { properties })
  await client.until('auth')
  auth(client, 0x18, mechanism, scram.final(dataOf(client)))
  await world.runFor(300)
  if (scram.isServerProved(dataOf(client))) client.heard.push('proved')
  return client
}

describe('enhanced authentication', () => {
  it.each(both)('lets a user in by %s, and the server proves itself', async (mechanism) => {
    const world = await start()
    const client = await authenticate(world, { mechanism })
    expect(client.heard).toEqual(['auth 0x18', 'connack 0', 'proved'])
    expect(propertiesOf(client).authenticationMethod).toBe(mechanism)
    client.publish('a/x', 'by alice', 1, 1)
    await client.until('puback')
    expect(await world.values('a')).toBe('by alice')
  })

  it.each([
    ['a wrong password', { password: 'wrong' }],
    ['nobody we know', { user: 'mallory' }],
  ])('refuses %s with 0x87, after a while', async (_, who) => {
    const world = await start()
    const client = await authenticate(world, who)
    expect(client.heard).toEqual(['auth 0x18', 'connack 0x87', 'closed'])
  })

  it('takes nothing for a message once the client has spoken, and refuses it here', async () => {
    const world = await start()
    const client = await world.open(5)
    const scram = new ScramClient('SCRAM-SHA-256', 'alice', 'wonder')
    const properties = { authenticationMethod: 'SCRAM-SHA-256', authenticationData: scram.first() }
    client.sendConnect('c', { properties })
    await client.until('auth')
    auth(client, 0x18, 'SCRAM-SHA-256')
    await world.runFor(300)
    expect(client.heard).toEqual(['auth 0x18', 'connack 0x87', 'closed'])
  })

  it('does not offer GSSAPI where there is no Kerberos, and lets nobody in for it', async () => {
    const world = await start({ saslMechanisms: ['GSSAPI'] })
    const client = await world.open(5)
    const properties = { authenticationMethod: 'GSSAPI', authenticationData: Buffer.from('ticket') }
    client.sendConnect('c', { properties })
    await world.runFor(300)
    expect(client.heard).toEqual(['connack 0x8c', 'closed'])
    const nameless = await world.open(5)
    nameless.sendConnect('d', {})
    await world.runFor(300)
    expect(nameless.heard).toEqual(['connack 0x87', 'closed'])
  })

  it('asks a client that sends no data for its first word', async () => {
    const world = await start()
    const client = await world.open(5)
    const scram = new ScramClient('SCRAM-SHA-256', 'alice', 'wonder')
    client.sendConnect('c', { properties: { authenticationMethod: 'SCRAM-SHA-256' } })
    await client.until('auth')
    expect(propertiesOf(client)).toEqual({ authenticationMethod: 'SCRAM-SHA-256' })
    auth(client, 0x18, 'SCRAM-SHA-256', scram.first())
    await world.runFor(100)
    auth(client, 0x18, 'SCRAM-SHA-256', scram.final(dataOf(client)))
    await client.until('connack 0')
    expect(scram.isServerProved(dataOf(client))).toBe(true)
  })

  it.each<[string, MqttListenerOptions, string, string]>([
    ['a mechanism that the listener has not', { saslMechanisms: ['SCRAM-SHA-512'] }, 'SCRAM-SHA-256', '0x8c'],
    ['any mechanism where there is none', { saslMechanisms: [] }, 'SCRAM-SHA-256', '0x8c'],
    ['a name of prototypes', {}, '__proto__', '0x8c'],
    ['PLAIN', {}, 'PLAIN', '0x8c'],
  ])('refuses %s', async (_, listener, method, reason) => {
    const world = await start(listener)
    const client = await world.open(5)
    client.sendConnect('c', {
      properties: { authenticationMethod: method, authenticationData: Buffer.from('n,,n=a,r=b') },
    })
    expect(await client.look()).toBe(`connack ${reason}, closed`)
  })

  it('is the only way in where passwords are not asked for; where they are, either will do', async () => {
    const strict = await start()
    const lax = await start({ authentication: 'password' })
    const verdict = async (world: DoorWorld, level: 4 | 5): Promise<string> => {
      const client = await world.open(level)
      client.sendConnect(`p${level}`, { username: 'alice', password: 'wonder' })
      return client.look(1000)
    }
    expect([await verdict(strict, 5), await verdict(strict, 4)]).toEqual(['connack 0x87, closed', 'connack 5, closed'])
    expect([await verdict(lax, 5), await verdict(lax, 4)]).toEqual(['connack 0', 'connack 0'])
    expect((await authenticate(lax)).heard).toContain('proved')
  })

  const first = new ScramClient('SCRAM-SHA-256', 'alice', 'wonder').first()
  it.each<[string, (client: TestClient) => void, string]>([
    ['another method', (client) => auth(client, 0x18, 'SCRAM-SHA-512', first), '0x8c'],
    ['a request to begin again', (client) => auth(client, 0x19, 'SCRAM-SHA-256', first), '0x82'],
    ['success, which is the server’s to say', (client) => client.sendBytes(Buffer.from('f000', 'hex')), '0x82'],
    ['AUTH with reserved flags', (client) => client.sendBytes(Buffer.from('f1021800', 'hex')), '0x81'],
    ['AUTH without a method', (client) => client.sendBytes(Buffer.from('f0021800', 'hex')), '0x82'],
    ['SUBSCRIBE before CONNACK', (client) => client.subscribe(1, 'a'), '0x82'],
    ['a second CONNECT', (client) => client.sendConnect('c'), '0x82'],
  ])('ends when the client answers the challenge with %s', async (_, answer, reason) => {
    const world = await start()
    const client = await world.open(5)
    const properties = { authenticationMethod: 'SCRAM-SHA-256', authenticationData: first }
    client.sendConnect('c', { properties })
    await client.until('auth')
    answer(client)
    expect(await client.look()).toBe(`auth 0x18, connack ${reason}, closed`)
  })

  it('may be given up, and must be over by the deadline of CONNECT', async () => {
    const world = await start()
    const clients = [await world.open(5), await world.open(5)]
    for (const client of clients) {
      client.sendConnect('c', { properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: first } })
      await client.until('auth')
    }
    clients[0]?.send({ cmd: 'disconnect', reasonCode: 0 })
    await world.runFor(100)
    expect(clients.map(({ isClosed }) => isClosed)).toEqual([true, false])
    await world.runFor(5000)
    expect(clients[1]?.isClosed).toBe(true)
  })

  it('locks a guesser out, as passwords do', async () => {
    const world = await start()
    for (let guess = 0; guess < 10; guess++) await authenticate(world, { password: `guess ${guess}` })
    const client = await world.open(5)
    client.sendConnect('c', { properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: first } })
    expect(await client.look(1000)).toBe('connack 0x87, closed')
  })
})

describe('re-authentication', () => {
  it('goes on while messages flow, and ends with AUTH 0x00', async () => {
    const world = await start()
    const client = await authenticate(world)
    client.heard.length = 0
    const scram = new ScramClient('SCRAM-SHA-256', 'alice', 'wonder', 'again')
    auth(client, 0x19, 'SCRAM-SHA-256', scram.first())
    await client.until('auth 0x18')
    const challenge = dataOf(client)
    client.publish('a/x', 'meanwhile', 1, 1)
    await client.until('puback')
    auth(client, 0x18, 'SCRAM-SHA-256', scram.final(challenge))
    await world.runFor(300)
    expect(client.heard).toEqual(['auth 0x18', 'puback#1', 'auth'])
    expect(scram.isServerProved(dataOf(client))).toBe(true)
    expect(client.isClosed).toBe(false)
  })

  it.each<[string, string, string]>([
    ['a wrong password', 'alice', 'wrong'],
    ['another user, even with the right one', 'bob', 'builder'],
  ])('with %s ends the connection with 0x87', async (_, user, password) => {
    const world = await start()
    const client = await authenticate(world)
    client.heard.length = 0
    const scram = new ScramClient('SCRAM-SHA-256', user, password, 'again')
    auth(client, 0x19, 'SCRAM-SHA-256', scram.first())
    await client.until('auth 0x18')
    auth(client, 0x18, 'SCRAM-SHA-256', scram.final(dataOf(client)))
    expect(await client.look(1000)).toBe('auth 0x18, disconnect 0x87, closed')
  })

  it.each<[string, (client: TestClient) => void, string]>([
    ['by another method', (client) => auth(client, 0x19, 'SCRAM-SHA-512', Buffer.from('n,,n=alice,r=x')), '0x82'],
    ['in the middle of nothing', (client) => auth(client, 0x18, 'SCRAM-SHA-256', Buffer.from('c=biws')), '0x82'],
  ])('%s is refused', async (_, ask, reason) => {
    const world = await start()
    const client = await authenticate(world)
    client.heard.length = 0
    ask(client)
    expect(await client.look()).toBe(`disconnect ${reason}, closed`)
  })

  it('of a client that came by its password is a protocol error', async () => {
    const world = await start({ authentication: 'password' })
    const client = await world.connect('c', 5, { username: 'alice', password: 'wonder' })
    auth(client, 0x19, 'SCRAM-SHA-256', Buffer.from('n,,n=alice,r=x'))
    expect(await client.look()).toBe('connack 0, disconnect 0x82, closed')
  })
})
