/** A client of ours that says who it is, on a simulated network: the login itself, its renewal, and brokers that refuse or lie. */
import { pbkdf2Sync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { KafkaDoor } from '../../src/ingest/kafka/door.ts'
import { kafkaDoorDefaults } from '../../src/ingest/kafka/door-options.ts'
import { KafkaClientConnection } from '../../src/protocol/kafka/client-connection.ts'
import { heartbeatApi, saslAuthenticateApi, saslHandshakeApi } from '../../src/protocol/kafka/apis.ts'
import { Authenticator } from '../../src/security/authenticator.ts'
import { kafkaLogin } from '../../src/security/kafka-login.ts'
import type { SaslLogin } from '../../src/security/sasl/sasl-login.ts'
import type { SaslMechanism } from '../../src/security/sasl/sasl-server.ts'
import { scramKeysOf } from '../../src/security/sasl/scram-crypto.ts'
import { ScramCredentials } from '../../src/security/scram-credentials.ts'
import { noFeatures } from '../ingest/kafka/door-harness.ts'
import { simWorld } from '../sim/world.ts'

const salt = Buffer.from('some salt')
const alice: SaslLogin = { mechanism: 'SCRAM-SHA-256', userName: 'alice', password: 'wonder' }

async function openSite(sessionMs = 0, mechanisms: readonly SaslMechanism[] = ['SCRAM-SHA-256', 'PLAIN']) {
  const world = simWorld(4)
  const server = world.host('broker').boot()
  const ports = world.host('client').boot()
  const credentials = new ScramCredentials()
  const setPassword = (password: string): void => {
    const keys = scramKeysOf('sha256', pbkdf2Sync(password, salt, 4096, 32, 'sha256'))
    credentials.set('alice', 'SCRAM-SHA-256', { salt, iterations: 4096, ...keys })
  }
  setPassword('wonder')
  const principals: string[] = []
  const handshakes: string[] = []
  let exchanging = false
  let outOfPlace = 0
  const door = new KafkaDoor({
    ...server,
    handlers: new Map([
      [
        heartbeatApi.key,
        (_: never, { principal }: { readonly principal: string }) => {
          principals.push(principal)
          if (exchanging) outOfPlace++
          return { errorCode: 0 }
        },
      ],
    ]),
    options: { ...kafkaDoorDefaults, features: () => noFeatures },
  })
  const authenticator = new Authenticator({ ...server, credentials, failureDelayMs: () => 100 })
  const begin = authenticator.begin.bind(authenticator)
  authenticator.begin = (mechanism, host) => {
    handshakes.push(mechanism)
    exchanging = true
    const exchange = begin(mechanism, host)
    const step = exchange.step.bind(exchange)
    exchange.step = async (...words) => {
      const outcome = await step(...words)
      if (outcome.kind !== 'continue') exchanging = false
      return outcome
    }
    return exchange
  }
  await world.settle(
    door.listen({ host: '0.0.0.0', port: 9092 }, { sasl: { mechanisms, authenticator, sessionMs: () => sessionMs } }),
  )
  const open = (login: () => Promise<SaslLogin>) =>
    world.settle(
      KafkaClientConnection.open({
        ...ports,
        address: { host: 'broker', port: 9092 },
        clientId: 'test',
        connectTimeoutMs: 1000,
        requestTimeoutMs: 5000,
        frameBytesMax: 1_000_000,
        login: kafkaLogin(login, ports),
      }),
    )
  return { world, open, principals, handshakes, setPassword, outOfPlace: () => outOfPlace }
}

const heartbeat = { groupId: 'g', generationId: 1, memberId: 'm' }

describe('a login', () => {
  it.each<SaslLogin>([alice, { ...alice, mechanism: 'PLAIN' }])(
    'by $mechanism makes requests speak for the user',
    async (login) => {
      const { world, open, principals } = await openSite()
      const connection = await open(async () => login)
      await world.settle(connection.send(heartbeatApi, heartbeat))
      expect(principals).toEqual(['User:alice'])
    },
  )

  it.each<[string, SaslLogin, RegExp]>([
    ['a wrong password', { ...alice, password: 'guess' }, /SCRAM-SHA-256: Authentication failed/],
    ['a user that is not there', { ...alice, userName: 'nobody' }, /SCRAM-SHA-256: Authentication failed/],
    [
      'a mechanism that is not offered',
      { ...alice, mechanism: 'SCRAM-SHA-512' },
      /UNSUPPORTED_SASL_MECHANISM; the server offers SCRAM-SHA-256, PLAIN/,
    ],
  ])('is refused with %s, and says so without the secret', async (_, login, message) => {
    const { open } = await openSite()
    const failure = await open(async () => login).catch((thrown: Error) => thrown.message)
    expect(failure).toMatch(message)
    expect(failure).not.toMatch(/guess|wonder/)
  })

  it('is renewed on the same connection before its session ends, while requests go on', async () => {
    const { world, open, principals, handshakes, outOfPlace } = await openSite(10_000)
    const connection = await open(async () => alice)
    let answered = 0
    for (let tenths = 0; tenths < 600; tenths++) {
      // Not waited for: some are always under way, and some are sent while a login is.
      for (let count = 0; count < 3; count++) void connection.send(heartbeatApi, heartbeat).then(() => answered++)
      await world.runFor(100)
    }
    await world.runFor(1_000)
    expect(connection.isClosed).toBe(false)
    expect([answered, principals.length]).toEqual([1800, 1800])
    expect(handshakes.length).toBeGreaterThanOrEqual(7)
    // Apache Kafka takes nothing else between SaslHandshake and the end of the exchange.
    expect(outOfPlace()).toBe(0)
  })

  it('takes what is shown anew at each renewal', async () => {
    const { world, open, setPassword } = await openSite(10_000)
    let password = 'wonder'
    const connection = await open(async () => ({ ...alice, password }))
    password = 'changed'
    setPassword('changed')
    await world.runFor(30_000)
    expect(connection.isClosed).toBe(false)
    password = 'wrong'
    await world.runFor(10_000)
    expect(connection.isClosed).toBe(true)
    await expect(connection.send(heartbeatApi, heartbeat)).rejects.toThrow(/Authentication failed/)
  })
})

describe('a broker that lies', () => {
  /** Answers each step of a login from a list. */
  const login = (
    answers: readonly { readonly errorCode?: number; readonly authBytes?: string; readonly errorMessage?: string }[],
  ) => {
    let step = 0
    const ask = async (api: { readonly key: number }): Promise<unknown> => {
      if (api.key === saslHandshakeApi.key) return { errorCode: 0, mechanisms: [] }
      expect(api.key).toBe(saslAuthenticateApi.key)
      const { errorCode = 0, authBytes = '', errorMessage = null } = answers[Math.min(step++, answers.length - 1)] ?? {}
      return { errorCode, errorMessage, authBytes: Buffer.from(authBytes), sessionLifetimeMs: 0 }
    }
    const ports = simWorld(1).host('h').boot()
    return kafkaLogin(async () => alice, ports)(ask as never)
  }

  it('is not believed when it says yes without knowing the password', async () => {
    await expect(login([{ authBytes: '' }])).rejects.toThrow(/malformed/)
    await expect(login([{ authBytes: 'v=AAAA' }])).rejects.toThrow(/malformed/)
  })

  it('cannot put control characters or a novel into the log', async () => {
    const failure = await login([{ errorCode: 58, errorMessage: `\u001b[31m\n${'x'.repeat(5000)}` }]).catch(
      (thrown: Error) => thrown.message,
    )
    expect(failure).toMatch(/^authentication: SCRAM-SHA-256: \?\[31m\?x+$/)
    expect(String(failure).length).toBeLessThan(300)
  })
})
