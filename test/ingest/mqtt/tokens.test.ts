/** Tokens over the MQTT door: in AUTH packets of 5.0, and as the password of CONNECT. */
import { describe, expect, it } from 'vitest'
import type { MqttListenerOptions } from '../../../src/ingest/mqtt/listener-options.ts'
import { bearer, readableToken } from '../../security/tokens/readable-keys.ts'
import { worldStartWallMs } from '../../sim/sim-clock.ts'
import { DoorWorld, type TestClient } from './door-world.ts'

const method = 'OAUTHBEARER'
const start = (listener: MqttListenerOptions): Promise<DoorWorld> => DoorWorld.start({}, 1, listener)
const byAuth: MqttListenerOptions = { saslMechanisms: [method] }
const byPassword: MqttListenerOptions = { authentication: 'token' }

/** A token that ends in `seconds` of the world's time; negative = it has ended. */
function tokenOf(world: DoorWorld, name: string, seconds: number): string {
  const wallMs = worldStartWallMs + world.world.nowMs
  return seconds > 0 ? readableToken(name, wallMs, seconds) : readableToken(name, wallMs - 60_000, 60 + seconds)
}

async function connect(world: DoorWorld, token: string, clientId = 'c'): Promise<TestClient> {
  const client = await world.open(5)
  client.sendConnect(clientId, { properties: { authenticationMethod: method, authenticationData: bearer(token) } })
  await world.runFor(300)
  return client
}

function auth(client: TestClient, reasonCode: number, data: Buffer): void {
  client.send({ cmd: 'auth', reasonCode, properties: { authenticationMethod: method, authenticationData: data } })
}

describe('OAUTHBEARER in enhanced authentication', () => {
  it('lets a client in by one message, until the token ends: then it is told 0xA0', async () => {
    const world = await start(byAuth)
    const client = await connect(world, tokenOf(world, 'press-1', 60))
    expect(client.heard).toEqual(['connack 0'])
    client.publish('a/x', 'by token', 1, 1)
    await client.until('puback')
    await world.runFor(55_000)
    expect(client.isClosed).toBe(false)
    await world.runFor(6_000)
    expect(client.heard.slice(-2)).toEqual(['disconnect 0xa0', 'closed'])
  })

  it('goes on when it authenticates again in time', async () => {
    const world = await start(byAuth)
    const client = await connect(world, tokenOf(world, 'press-1', 60))
    await world.runFor(50_000)
    auth(client, 0x19, bearer(tokenOf(world, 'press-1', 60)))
    await client.until('auth')
    await world.runFor(50_000)
    expect(client.isClosed).toBe(false)
    await world.runFor(12_000)
    expect(client.heard.slice(-2)).toEqual(['disconnect 0xa0', 'closed'])
  })

  it('tells what is wrong with a token in JSON, and refuses after the reply', async () => {
    const world = await start(byAuth)
    const client = await connect(world, tokenOf(world, 'press-1', -1))
    const { properties } = client.packets.at(-1) as { readonly properties: { readonly authenticationData: Buffer } }
    expect(properties.authenticationData.toString()).toBe('{"status":"invalid_token"}')
    auth(client, 0x18, Buffer.from([1]))
    expect(await client.look()).toBe('auth 0x18, connack 0x87, closed')
  })

  it('with a token of somebody else ends the open connection', async () => {
    const world = await start(byAuth)
    const client = await connect(world, tokenOf(world, 'press-1', 60))
    auth(client, 0x19, bearer(tokenOf(world, 'press-2', 60)))
    expect(await client.look(1000)).toBe('connack 0, disconnect 0x87, closed')
  })
})

describe('a token as the password of CONNECT', () => {
  it.each([
    ['of 5.0', 5, 'disconnect 0xa0, closed'],
    ['of 3.1.1', 4, 'closed'],
  ] as const)('lets a client %s in until it ends', async (_, level, end) => {
    const world = await start(byPassword)
    const client = await world.connect('c', level, { username: 'press-1', password: tokenOf(world, 'press-1', 60) })
    await world.runFor(55_000)
    expect(client.isClosed).toBe(false)
    await world.runFor(6_000)
    expect(client.heard.join(', ')).toBe(`connack 0, ${end}`)
  })

  it.each([
    ['an empty one', { username: '' }, 'connack 0'],
    ['the one of the token', { username: 'press-1' }, 'connack 0'],
    ['another', { username: 'admin' }, 'connack 0x86, closed'],
  ])('may come with %s', async (_, name, answer) => {
    const world = await start(byPassword)
    const client = await world.open(5)
    client.sendConnect('c', { ...name, password: tokenOf(world, 'press-1', 60) })
    expect(await client.look(1000)).toBe(answer)
  })

  it.each([
    ['is missing', null, 5, 'connack 0x86, closed'],
    ['is a password', 'wonder', 5, 'connack 0x87, closed'],
    ['is a password', 'wonder', 4, 'connack 5, closed'],
    ['has expired', '', 5, 'connack 0x87, closed'],
  ] as const)('is refused when it %s', async (_, password, level, answer) => {
    const world = await start(byPassword)
    const client = await world.open(level)
    const shown = password === '' ? tokenOf(world, 'press-1', -1) : password
    client.sendConnect('c', { username: 'press-1', ...(shown === null ? {} : { password: shown }) })
    expect(await client.look(1000)).toBe(answer)
  })
})
