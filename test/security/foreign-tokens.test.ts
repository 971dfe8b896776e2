/** Tokens of an issuer by programs that are not ours: the keys come over HTTP, the tokens by Kafka and MQTT clients. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import { connectAsync } from 'mqtt'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import type { Observer } from '../../src/base/ports.ts'
import { ApplianceWorld, type WorldOptions } from './appliance-world.ts'
import { goodClaims, type IssuerKey, newKey, setOf, sign } from './tokens/issuer.ts'

let world: ApplianceWorld
let key: IssuerKey
let server: http.Server
let url: string

beforeAll(async () => {
  key = await newKey('site-1')
  server = http.createServer((_, response) => response.end(setOf(key)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  world = await ApplianceWorld.create()
})
afterEach(() => world.stop())
afterAll(async () => {
  await world.remove()
  server.close()
})

const told: string[] = []
const observer: Observer = {
  ...silentObserver,
  event: (definition, fields) => told.push(JSON.stringify([definition.id, fields])),
  add: (metric, _, labels) => told.push(JSON.stringify([metric.name, labels])),
}

async function start(options: WorldOptions = {}) {
  told.length = 0
  const ready = await world.start({
    kafka: { saslMechanisms: ['OAUTHBEARER'] },
    mqtt: { saslMechanisms: ['OAUTHBEARER'] },
    settings: {
      'sasl.oauthbearer.jwks.endpoint.url': url,
      'sasl.oauthbearer.expected.audience': 'headwater, other',
      'sasl.oauthbearer.expected.issuer': goodClaims.iss,
    },
    observer,
    ...options,
  })
  while (!told.some((line) => /token-keys-(loaded|kept)/.test(line)))
    await new Promise((resolve) => setImmediate(resolve))
  return ready
}

/** A token of now, with its claims changed. */
function tokenOf(changes: object = {}, seconds = 600): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  return sign(key, { ...goodClaims, iat: now - 5, exp: now + seconds, ...changes })
}

describe('kafkajs', () => {
  const open = (broker: string, token: () => Promise<string>) =>
    new Kafka({
      brokers: [broker],
      sasl: { mechanism: 'oauthbearer', oauthBearerProvider: async () => ({ value: await token() }) },
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
    }).producer()

  it('produces with a token of the issuer, and not with any other', async () => {
    const { kafka } = await start()
    const producer = open(kafka, () => tokenOf())
    await producer.connect()
    expect((await producer.send({ topic: 'by-token', messages: [{ value: 'x' }] }))[0]?.errorCode).toBe(0)
    await producer.disconnect()
    const expired = () => tokenOf({}, -60)
    const elsewhere = () => tokenOf({ aud: 'tailwater' })
    const forged = async () => sign(await newKey('site-1'), { ...goodClaims, exp: Math.floor(Date.now() / 1000) + 600 })
    for (const token of [expired, elsewhere, forged]) {
      // kafkajs does not read what the answer says; its first request ends the connection.
      const refused = open(kafka, token)
      const produced = refused.connect().then(() => refused.send({ topic: 'by-token', messages: [{ value: 'y' }] }))
      await expect(produced).rejects.toThrow()
      await refused.disconnect()
    }
    expect(told.filter((line) => line.includes('"authentication-failed"')).length).toBeGreaterThanOrEqual(3)
  })

  it('goes on over the end of its tokens by authenticating again', async () => {
    const { kafka } = await start({
      settings: {
        'sasl.oauthbearer.jwks.endpoint.url': url,
        'sasl.oauthbearer.expected.issuer': goodClaims.iss,
        'sasl.oauthbearer.clock.skew.seconds': 0,
      },
    })
    let tokens = 0
    const producer = open(kafka, () => {
      tokens++
      return tokenOf({}, 2)
    })
    await producer.connect()
    const endMs = performance.now() + 20_000
    while (tokens < 3 && performance.now() < endMs) {
      await producer.send({ topic: 'by-token', messages: [{ value: 'x' }] })
    }
    expect(tokens).toBeGreaterThanOrEqual(3)
    await producer.disconnect()
  })
})

describe('MQTT.js', () => {
  it.each([4, 5] as const)(
    'is taken with a token as its password, refused with another (version %i)',
    async (version) => {
      const { mqtt } = await start({ mqtt: { authentication: 'token' } })
      const open = (password: string) =>
        connectAsync(`mqtt://${mqtt}`, { protocolVersion: version, username: 'press-1', password, reconnectPeriod: 0 })
      const client = await open(await tokenOf())
      await client.publishAsync('plant/a', '1', { qos: 1 })
      await client.endAsync()
      await expect(open(await tokenOf({}, -60))).rejects.toMatchObject({ code: version === 5 ? 0x87 : 5 })
    },
  )

  it('authenticates by AUTH', async () => {
    const { mqtt } = await start()
    const open = (token: string) =>
      connectAsync(`mqtt://${mqtt}`, {
        protocolVersion: 5,
        reconnectPeriod: 0,
        properties: {
          authenticationMethod: 'OAUTHBEARER',
          authenticationData: Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`),
        },
      })
    const client = await open(await tokenOf())
    await client.publishAsync('plant/a', '1', { qos: 1 })
    await client.endAsync()
  })
})

it('lets the users of a second issuer in under names of their own, by its keys alone', async () => {
  const other = await newKey('site-1')
  const folder = await mkdtemp(join(tmpdir(), 'headwater-issuer-'))
  try {
    await writeFile(join(folder, 'keys.json'), setOf(other))
    const issuer = 'https://contractor.example'
    const second = {
      issuer,
      jwksUrl: `file://${folder}/keys.json`,
      audiences: ['headwater'],
      userPrefix: 'contractor-',
    }
    const { mqtt } = await start({ mqtt: { authentication: 'token' }, oauthbearer: { issuers: [second] } })
    const now = Math.floor(Date.now() / 1000)
    const tokenBy = (signer: IssuerKey) => sign(signer, { ...goodClaims, iss: issuer, iat: now - 5, exp: now + 600 })
    const open = (username: string, password: string) =>
      connectAsync(`mqtt://${mqtt}`, { protocolVersion: 5, username, password, reconnectPeriod: 0 })
    for (const [user, token] of [
      [goodClaims.sub, await tokenOf()],
      [`contractor-${goodClaims.sub}`, await tokenBy(other)],
    ] as const)
      await (await open(user, token)).endAsync()
    for (const [user, token] of [
      [goodClaims.sub, await tokenBy(other)],
      [`contractor-${goodClaims.sub}`, await tokenBy(key)],
    ] as const)
      await expect(open(user, token)).rejects.toThrow(/Connection refused/)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

it('keeps the keys over a restart without the issuer', async () => {
  await start()
  const answers = server.listeners('request')
  server
    .removeAllListeners('request')
    .on('request', (_, response: http.ServerResponse) => response.writeHead(503).end())
  try {
    const { mqtt } = await start({ mqtt: { authentication: 'token' } })
    const client = await connectAsync(`mqtt://${mqtt}`, {
      username: 'press-1',
      password: await tokenOf(),
      reconnectPeriod: 0,
    })
    await client.endAsync()
    expect(told.join('\n')).toContain('token-keys-kept')
  } finally {
    server.removeAllListeners('request')
    for (const answer of answers) server.on('request', answer as http.RequestListener)
  }
})

it('logs no token and no part of one', async () => {
  const { mqtt } = await start({ mqtt: { authentication: 'token' } })
  const tokens = [await tokenOf(), await tokenOf({}, -60), 'canary.canary.canary', await tokenOf({ sub: 'x' })]
  for (const password of tokens) {
    const outcome = connectAsync(`mqtt://${mqtt}`, { username: 'press-1', password, reconnectPeriod: 0 })
    await outcome.then((client) => client.endAsync()).catch(() => {})
  }
  const parts = tokens.flatMap((token) => token.split('.'))
  expect(told.length).toBeGreaterThan(4)
  expect(parts.filter((part) => told.some((line) => line.includes(part)))).toEqual([])
})
