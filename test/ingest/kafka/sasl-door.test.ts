/** SASL over the door, byte by byte: what is answered before a client has authenticated, and what ends the connection. */
import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { KafkaDoor } from '../../../src/ingest/kafka/door.ts'
import { type KafkaDoorOptions, kafkaDoorDefaults } from '../../../src/ingest/kafka/door-options.ts'
import type { RequestContext } from '../../../src/ingest/kafka/handler.ts'
import { Authenticator } from '../../../src/security/authenticator.ts'
import type { SaslMechanism } from '../../../src/security/sasl/sasl-server.ts'
import { scramKeysOf } from '../../../src/security/sasl/scram-crypto.ts'
import { ScramCredentials } from '../../../src/security/scram-credentials.ts'
import { bearer, readableToken, readableTokens } from '../../security/tokens/readable-keys.ts'
import { simWorld } from '../../sim/world.ts'
import { frame, heartbeatBody, int32, noFeatures, RawClient, text } from './door-harness.ts'

const handshakeKey = 17
const authenticateKey = 36
const heartbeatKey = 12

const salt = Buffer.from('some salt')
const keysOf = (password: string) => scramKeysOf('sha256', pbkdf2Sync(password, salt, 4096, 32, 'sha256'))

interface SaslDoorOptions {
  readonly sessionMs?: number
  readonly mechanisms?: readonly SaslMechanism[]
  readonly bounds?: Partial<KafkaDoorOptions>
}

async function openSasl(options: SaslDoorOptions = {}) {
  const world = simWorld(11)
  const server = world.host('broker').boot()
  const host = world.host('client').boot()
  const credentials = new ScramCredentials()
  credentials.set('alice', 'SCRAM-SHA-256', { salt, iterations: 4096, ...keysOf('wonder') })
  credentials.set('bob', 'SCRAM-SHA-256', { salt, iterations: 4096, ...keysOf('builder') })
  const principals: string[] = []
  const door = new KafkaDoor({
    ...server,
    handlers: new Map([
      [
        heartbeatKey,
        (_: never, { principal }: RequestContext) => {
          principals.push(principal)
          return { errorCode: 0 }
        },
      ],
    ]),
    options: { ...kafkaDoorDefaults, features: () => noFeatures, ...options.bounds },
  })
  const { mechanisms = ['PLAIN', 'SCRAM-SHA-256'], sessionMs = 0 } = options
  const tokens = readableTokens(server.clock)
  const authenticator = new Authenticator({ ...server, credentials, failureDelayMs: () => 100, tokens })
  const sasl = { mechanisms, authenticator, sessionMs: () => sessionMs }
  await world.settle(door.listen({ host: '0.0.0.0', port: 9092 }, { sasl }))
  const connect = async (): Promise<RawClient> =>
    new RawClient(await world.settle(host.net.connect({ host: 'broker', port: 9092 }, 5_000)))
  /** Sends frames and waits for as many more answers, or for the end. */
  const ask = async (client: RawClient, ...frames: readonly Buffer[]): Promise<readonly Buffer[]> => {
    const before = client.frames.length
    client.send(...frames)
    await world.run(() => client.isClosed || client.frames.length === before + frames.length, 60_000)
    return client.frames.slice(before)
  }
  const wait = async (ms: number): Promise<void> => {
    let isOver = false
    world.at(world.nowMs + ms, 'wait', () => {
      isOver = true
    })
    await world.run(() => isOver)
  }
  const wallMs = (): number => server.clock.wallMs()
  return { world, connect, ask, wait, principals, wallMs }
}

const handshake = (mechanism: string, version = 1, correlation = 1): Buffer =>
  frame(handshakeKey, version, correlation, text(mechanism))
const authenticate = (token: string | Buffer, version = 1, correlation = 2): Buffer => {
  const bytes = typeof token === 'string' ? Buffer.from(token) : token
  return frame(authenticateKey, version, correlation, Buffer.concat([int32(bytes.length), bytes]))
}
const heartbeat = (correlation = 3): Buffer => frame(heartbeatKey, 0, correlation, heartbeatBody('m'))
const bare = (token: string): Buffer => Buffer.concat([int32(Buffer.byteLength(token)), Buffer.from(token)])
const errorOf = (answer: Buffer | undefined): number | undefined => answer?.readInt16BE(4)

describe('a listener with SASL', () => {
  test.each([0, 1])('takes PLAIN by SaslAuthenticate %i, and requests speak for the user', async (version) => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    const answers = await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder', version), heartbeat())
    expect(answers.map(errorOf)).toEqual([0, 0, 0])
    expect(principals).toEqual(['User:alice'])
  })

  test('reads no more of the large frames of strangers than there is memory for requests, and lets others in', async () => {
    const bounds = { requestBytesMax: 1_000_000, requestMemoryBytesMax: 1_000_000 }
    const { world, connect, ask } = await openSasl({ bounds })
    const large = authenticate(Buffer.alloc(500_000))
    for (let at = 0; at < 12; at++) {
      const stranger = await connect()
      stranger.send(handshake('PLAIN'))
      for (let sent = 0; sent < 490_000; sent += 10_000) stranger.send(large.subarray(sent, sent + 10_000))
    }
    await world.runFor(3_000)
    const { observer } = world.host('broker')
    // Of each that waits one more piece has come, as large as what it has.
    expect(observer.figure('headwater_kafka_received_bytes_total')).toBeLessThan(2_500_000)
    const client = await connect()
    const answers = await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'), heartbeat())
    expect(answers.map(errorOf)).toEqual([0, 0, 0])
  })

  test('takes bare tokens after SaslHandshake 0, as old clients send them', async () => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    const answers = await ask(client, handshake('PLAIN', 0), bare('\0bob\0builder'), heartbeat())
    expect(answers.map((answer) => answer.length)).toEqual([expect.any(Number), 0, 6])
    expect(principals).toEqual(['User:bob'])
  })

  test('tells of a wrong password after its delay, and closes', async () => {
    const { world, connect, ask, principals } = await openSasl()
    const client = await connect()
    await ask(client, handshake('PLAIN'))
    const beganMs = world.nowMs
    const answers = await ask(client, authenticate('\0alice\0guess'))
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(100)
    expect(answers.map(errorOf)).toEqual([58])
    client.send(heartbeat())
    await world.run(() => client.isClosed)
    expect(principals).toEqual([])
  })

  test('a wrong bare token ends the connection without an answer', async () => {
    const { connect, ask } = await openSasl()
    const client = await connect()
    expect(await ask(client, handshake('PLAIN', 0), bare('\0alice\0guess'))).toHaveLength(1)
    expect(client.isClosed).toBe(true)
  })

  test('says which mechanisms there are, and closes', async () => {
    const { world, connect, ask } = await openSasl()
    const client = await connect()
    const [answer] = await ask(client, handshake('SCRAM-SHA-512'))
    expect(errorOf(answer)).toBe(33)
    expect(answer?.toString('latin1')).toContain('SCRAM-SHA-256')
    await world.run(() => client.isClosed)
  })

  test.each([
    ['a request', heartbeat()],
    ['SaslAuthenticate', authenticate('\0alice\0wonder')],
    ['a request in an unknown version', frame(heartbeatKey, 99, 1)],
  ])('closes on %s before SaslHandshake', async (_, first) => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    expect(await ask(client, first)).toEqual([])
    expect(principals).toEqual([])
  })

  test('answers ApiVersions before anything else', async () => {
    const { connect, ask } = await openSasl()
    const [answer] = await ask(await connect(), frame(18, 0, 1))
    expect(errorOf(answer)).toBe(0)
  })

  test('tells a stranger its versions once', async () => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    const unknown = frame(18, 99, 1)
    expect((await ask(client, unknown, frame(18, 0, 1))).map(errorOf)).toEqual([35, 0])
    expect(await ask(client, frame(18, 0, 1))).toEqual([])
    expect(client.isClosed).toBe(true)
    const known = await connect()
    const behind = [handshake('PLAIN'), authenticate('\0alice\0wonder'), frame(18, 0, 1), frame(18, 0, 1)]
    expect((await ask(known, frame(18, 0, 1), ...behind)).map(errorOf)).toEqual([0, 0, 0, 0, 0])
    expect(principals).toEqual([])
  })

  test('answers a second SaslHandshake in an exchange with ILLEGAL_SASL_STATE, and closes', async () => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    const frames = [handshake('PLAIN'), handshake('SCRAM-SHA-256'), authenticate('\0alice\0wonder'), heartbeat()]
    expect((await ask(client, ...frames)).map(errorOf)).toEqual([0, 34])
    expect(client.isClosed).toBe(true)
    expect(principals).toEqual([])
  })

  test('says yes as Apache Kafka does, byte for byte', async () => {
    const { connect, ask } = await openSasl()
    const [, answer] = await ask(await connect(), handshake('PLAIN'), authenticate('\0alice\0wonder'))
    // Taken from Apache Kafka 4.3.1: correlation id, no error, an empty message, no bytes, no end of the session.
    expect(answer?.toString('hex')).toBe(`00000002${'0000'}${'0000'}${'00000000'}${'0000000000000000'}`)
  })

  test('closes on a request in place of SaslAuthenticate', async () => {
    const { connect, ask, principals } = await openSasl()
    expect(await ask(await connect(), handshake('PLAIN'), heartbeat())).toHaveLength(1)
    expect(principals).toEqual([])
  })

  test('refuses a frame above 512 KiB at its length until the client has authenticated', async () => {
    const { world, connect, ask } = await openSasl()
    const stranger = await connect()
    stranger.send(int32(524_289))
    await world.run(() => stranger.isClosed)
    const known = await connect()
    await ask(known, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    known.send(int32(524_289))
    expect(await ask(await connect(), frame(18, 0, 1))).toHaveLength(1)
    expect(known.isClosed).toBe(false)
  })

  test('closes a client that has not authenticated after ten seconds, however it spends them', async () => {
    const { world, connect, wait, ask } = await openSasl()
    const idle = await connect()
    const slow = await connect()
    const good = await connect()
    await ask(good, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    for (let second = 0; second < 9; second++) {
      await wait(1_000)
      slow.send(Buffer.from([0]).subarray(0, second === 0 ? 1 : 0))
      await ask(good, heartbeat())
    }
    expect([idle.isClosed, slow.isClosed]).toEqual([false, false])
    await world.run(() => idle.isClosed && slow.isClosed, 3_000)
    await wait(60_000)
    expect(good.isClosed).toBe(false)
  })

  test('counts the time of the handshakes below into those ten seconds', async () => {
    const { world, connect, wait } = await openSasl()
    world.network.openingMs = 9_000
    const client = await connect()
    await wait(500)
    expect(client.isClosed).toBe(false)
    await wait(1_000)
    expect(client.isClosed).toBe(true)
  })

  test('answers the frames behind an authentication only when it is decided', async () => {
    const { connect, ask, principals } = await openSasl()
    const client = await connect()
    const answers = await ask(client, handshake('PLAIN'), authenticate('\0alice\0guess'), heartbeat())
    expect(answers.map(errorOf)).toEqual([0, 58])
    expect(principals).toEqual([])
  })

  test('refuses a second authentication where sessions have no end', async () => {
    const { connect, ask } = await openSasl()
    const client = await connect()
    await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    expect((await ask(client, handshake('PLAIN'), authenticate('\0bob\0builder'), heartbeat())).map(errorOf)).toEqual([
      34, 34, 0,
    ])
  })
})

describe('a session with an end', () => {
  const sessionMs = 60_000
  const lifetimeOf = (answer: Buffer | undefined): number => Number(answer?.readBigInt64BE(answer.length - 8))

  test('is told to the client, and its connection closes on the first request after it', async () => {
    const { connect, ask, wait, principals } = await openSasl({ sessionMs })
    const client = await connect()
    const [, done] = await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    expect(lifetimeOf(done)).toBe(sessionMs)
    await wait(sessionMs - 1_000)
    expect(await ask(client, heartbeat())).toHaveLength(1)
    await wait(2_000)
    expect(await ask(client, heartbeat())).toEqual([])
    expect(principals).toHaveLength(1)
  })

  test('is renewed by the same user, before and after its end', async () => {
    const { connect, ask, wait, principals } = await openSasl({ sessionMs })
    const client = await connect()
    for (const waitMs of [0, 50_000, 70_000]) {
      await wait(waitMs)
      const answers = await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'), heartbeat())
      expect(answers.map(errorOf)).toEqual([0, 0, 0])
    }
    expect(principals).toEqual(['User:alice', 'User:alice', 'User:alice'])
  })

  test.each([
    ['another user', 'PLAIN', '\0bob\0builder', [0, 58]],
    ['a wrong password', 'PLAIN', '\0alice\0guess', [0, 58]],
    ['another mechanism', 'SCRAM-SHA-256', 'n,,n=alice,r=abc', [34]],
  ])('is not renewed by %s', async (_, mechanism, token, codes) => {
    const { connect, ask, principals } = await openSasl({ sessionMs })
    const client = await connect()
    await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    expect((await ask(client, handshake(mechanism), authenticate(token), heartbeat())).map(errorOf)).toEqual(codes)
    expect(client.isClosed).toBe(true)
    expect(principals).toEqual([])
  })

  test('ends with a renewal by a mechanism that is not offered', async () => {
    const { connect, ask } = await openSasl({ sessionMs })
    const client = await connect()
    await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    expect((await ask(client, handshake('NTLM'), heartbeat())).map(errorOf)).toEqual([33])
    expect(client.isClosed).toBe(true)
  })

  test('is renewed as often as the client likes', async () => {
    const { connect, ask } = await openSasl({ sessionMs })
    const client = await connect()
    const renewal = [handshake('PLAIN'), authenticate('\0alice\0wonder')]
    const answers = await ask(client, ...renewal, ...renewal, ...renewal, heartbeat())
    expect(answers.map(errorOf)).toEqual([0, 0, 0, 0, 0, 0, 0])
  })

  test('takes nothing but a renewal when it is over', async () => {
    const { connect, ask, wait } = await openSasl({ sessionMs })
    const client = await connect()
    await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    await wait(sessionMs)
    expect(await ask(client, frame(18, 0, 1))).toEqual([])
    expect(client.isClosed).toBe(true)
  })

  test('requests under way while it is renewed are still answered', async () => {
    const { connect, ask } = await openSasl({ sessionMs })
    const client = await connect()
    await ask(client, handshake('PLAIN'), authenticate('\0alice\0wonder'))
    const answers = await ask(client, handshake('PLAIN'), heartbeat(), authenticate('\0alice\0wonder'), heartbeat())
    expect(answers.map(errorOf)).toEqual([0, 0, 0, 0])
  })
})

describe('a listener with OAUTHBEARER', () => {
  const mechanisms: readonly SaslMechanism[] = ['OAUTHBEARER']
  /** What SaslAuthenticate 1 answers: error, bytes, session lifetime. */
  const said = (answer: Buffer | undefined) => {
    if (answer === undefined) return null
    const messageLength = answer.readInt16BE(6)
    const at = 8 + Math.max(0, messageLength)
    const length = answer.readInt32BE(at)
    const text = answer.subarray(at + 4, at + 4 + length).toString()
    return { error: answer.readInt16BE(4), text, lifetimeMs: Number(answer.readBigInt64BE(at + 4 + length)) }
  }

  test.each([
    ['the token is good for', 0, 30, 30_000],
    ['the setting allows, where that is shorter', 5_000, 30, 5_000],
    ['the token is good for, where the setting allows longer', 60_000, 30, 30_000],
  ])('lets a client in as long as %s', async (_, sessionMs, seconds, lifetimeMs) => {
    const { connect, ask, wait, wallMs, principals } = await openSasl({ mechanisms, sessionMs })
    const client = await connect()
    const token = readableToken('press-1', wallMs(), seconds)
    const [, answer] = await ask(client, handshake('OAUTHBEARER'), authenticate(bearer(token)), heartbeat())
    expect(said(answer)).toMatchObject({ error: 0, text: '' })
    expect(said(answer)?.lifetimeMs).toBeGreaterThan(lifetimeMs - 1_500)
    expect(said(answer)?.lifetimeMs).toBeLessThanOrEqual(lifetimeMs)
    expect(principals).toEqual(['User:press-1'])
    await wait(lifetimeMs - 2_000)
    expect(await ask(client, heartbeat())).toHaveLength(1)
    await wait(2_000)
    expect(await ask(client, heartbeat())).toEqual([])
    expect(client.isClosed).toBe(true)
  })

  test('goes on after its session with a new token of the same principal, and of no other', async () => {
    const { world, connect, ask, wait, wallMs, principals } = await openSasl({ mechanisms })
    const client = await connect()
    const renew = (name: string, seconds: number): readonly Buffer[] => {
      const token = readableToken(name, wallMs(), seconds)
      return [handshake('OAUTHBEARER'), authenticate(bearer(token))]
    }
    await ask(client, ...renew('press-1', 10))
    await wait(8_000)
    expect((await ask(client, ...renew('press-1', 10), heartbeat())).map(errorOf)).toEqual([0, 0, 0])
    await wait(8_000)
    expect((await ask(client, heartbeat())).map(errorOf)).toEqual([0])
    expect(principals).toEqual(['User:press-1', 'User:press-1'])
    expect((await ask(client, ...renew('press-2', 10))).map(errorOf)).toEqual([0, 58])
    await world.run(() => client.isClosed)
  })

  test.each([
    ['an expired token', (nowMs: number) => bearer(readableToken('press-1', nowMs - 60_000, 30)), 'invalid_token'],
    ['a forged token', () => bearer('forged.e30'), 'invalid_token'],
    ['no token', () => Buffer.from('n,,\x01\x01'), 'invalid_request'],
  ])('tells a client with %s so in JSON, and closes after its reply', async (_, message, status) => {
    const { connect, ask, wallMs, principals } = await openSasl({ mechanisms })
    const client = await connect()
    const [, answer] = await ask(client, handshake('OAUTHBEARER'), authenticate(message(wallMs())))
    expect(said(answer)).toEqual({ error: 0, text: JSON.stringify({ status }), lifetimeMs: 0 })
    const [end] = await ask(client, authenticate('\x01'))
    expect(errorOf(end)).toBe(58)
    // Apache Kafka's message of the failure is that text again: its Java client shows it.
    expect(end?.toString()).toContain(JSON.stringify({ status }))
    expect(await ask(client, heartbeat())).toEqual([])
    expect(principals).toEqual([])
  })

  test('answers no request of a client that was told no', async () => {
    const { connect, ask, wallMs, principals } = await openSasl({ mechanisms })
    const client = await connect()
    const old = bearer(readableToken('press-1', wallMs() - 60_000, 30))
    expect(await ask(client, handshake('OAUTHBEARER'), authenticate(old), heartbeat())).toHaveLength(2)
    expect(principals).toEqual([])
  })
})
