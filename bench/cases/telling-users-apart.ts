/**
 * Can a stranger tell by the time of a refusal whether a user is there? Tries for users that are there and for names that are not, in an order
 * of chance, in this process: what a network adds only hides. A token whose secret is half right against one that is all wrong, the same way.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { AccessTokens, makeAccessToken } from '../../src/security/access-tokens.ts'
import { Authenticator } from '../../src/security/authenticator.ts'
import { digestBytes, scramKeysOf } from '../../src/security/sasl/scram-crypto.ts'
import { ScramCredentials } from '../../src/security/scram-credentials.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { NodeClock } from '../../src/node/clock.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { NodeEntropy } from '../../src/node/entropy.ts'
import type { Clock, Timer } from '../../src/base/ports.ts'
import type { BenchCase, Figure } from '../case.ts'
import { median } from '../measure.ts'

const userCount = 1_000
/** Of a task that has run. */
const noTimer = {} as Timer
const scramTries = 100_000
const passwordTries = 4_000
const iterations = 4_096
const differenceMax = 2
/** The standard error of a median of a normal distribution, in standard deviations of a sample of one. */
const medianError = 1.2533
/** From the median of absolute deviations to a standard deviation. */
const deviationOfMad = 1.4826

/** Times of tries of two kinds, microseconds. */
interface Times {
  readonly there: number[]
  readonly notThere: number[]
}

/** What is timed; what it needs has been made before. */
type Attempt = () => Promise<void>

export const tellingUsersApart: BenchCase = {
  name: 'telling-users-apart',
  missing: () => null,
  async run({ scale }) {
    const { authenticator, userOf, close } = withUsers()
    try {
      const scram = (isThere: boolean): Attempt => {
        const exchange = authenticator.begin('SCRAM-SHA-256', hostOf())
        const clientFirst = Buffer.from(`n,,n=${userOf(isThere)},r=${randomBytes(12).toString('hex')}`)
        const proof = randomBytes(32).toString('base64')
        return async () => {
          const first = await exchange.step(clientFirst)
          const text = first.kind === 'continue' ? Buffer.from(first.bytes).toString() : ''
          expectRefused(await exchange.step(Buffer.from(`c=biws,${text.split(',')[0]},p=${proof}`)))
        }
      }
      const password = (isThere: boolean): Attempt => {
        const exchange = authenticator.begin('PLAIN', hostOf())
        const message = Buffer.from(`\0${userOf(isThere)}\0${randomBytes(9).toString('hex')}`)
        return async () => expectRefused(await exchange.step(message))
      }
      const { find, tokenOf } = withTokens()
      const token = (isThere: boolean): Attempt => {
        // Out of bytes: a text that was put together is made whole by whoever looks at it first.
        const text = Buffer.from(tokenOf(isThere)).toString()
        return async () => {
          if (find(text) !== null) throw new Error('a wrong token was taken')
        }
      }
      const tries = (count: number): number => Math.max(200, Math.round(count * scale))
      return {
        figures: [
          judged(
            'SCRAM-SHA-256, of a user that is there and of one that is not',
            await timed(tries(scramTries), scram),
          ),
          judged('PLAIN, of a user that is there and of one that is not', await timed(tries(passwordTries), password)),
          judged(
            'token of the HTTP listener, its secret half right and all wrong',
            await timed(tries(scramTries), token),
          ),
        ],
      }
    } finally {
      close()
    }
  },
}

function withUsers() {
  const clock = new NodeClock()
  const credentials = new ScramCredentials()
  for (let at = 0; at < userCount; at++) {
    // Any salted password will do: nobody knows it.
    const keys = scramKeysOf('sha256', randomBytes(digestBytes.sha256))
    credentials.set(nameOf(at), 'SCRAM-SHA-256', { salt: new Uint8Array(randomBytes(20)), iterations, ...keys })
  }
  const authenticator = new Authenticator({
    // The wait of a failure is the same for all, and would hide the rest.
    clock: withoutWaits(clock),
    entropy: new NodeEntropy(),
    compute: nodeCompute(),
    observer: silentObserver,
    credentials,
    failureDelayMs: () => 0,
  })
  const userOf = (isThere: boolean): string => nameOf(isThere ? randomInt(userCount) : userCount + randomInt(userCount))
  return { authenticator, userOf, close: () => clock.close() }
}

function withoutWaits(clock: NodeClock): Clock {
  return {
    monotonicMs: () => clock.monotonicMs(),
    wallMs: () => clock.wallMs(),
    wallTrusted: () => clock.wallTrusted(),
    raiseWallFloor: (ms) => clock.raiseWallFloor(ms),
    defer: (task) => clock.defer(task),
    cancel: (timer) => clock.cancel(timer),
    schedule: (_, task) => {
      queueMicrotask(task)
      return noTimer
    },
  }
}

/** Names of one length. */
function nameOf(at: number): string {
  return `press-${String(at).padStart(6, '0')}`
}

/** Another one for each try: nobody is locked out. */
function hostOf(): string {
  return `10.${randomInt(256)}.${randomInt(256)}.${randomInt(256)}`
}

/** Tokens of which the first half of the secret is right, and tokens of which nothing is but the id. */
function withTokens() {
  const tokens = new AccessTokens()
  const entropy = new NodeEntropy()
  const facts = { principal: 'User:a', role: 'viewer', note: '', createdMs: 0, expiresMs: 1 } as const
  const texts = Array.from({ length: userCount }, () => {
    const { token, text } = makeAccessToken(facts, entropy)
    tokens.set(token)
    return text
  })
  const tokenOf = (isThere: boolean): string => {
    const text = texts[randomInt(userCount)] ?? ''
    const wrong = randomBytes(isThere ? 16 : 32).toString('hex')
    return text.slice(0, -wrong.length) + wrong
  }
  return { find: (text: string) => tokens.find(text, 0), tokenOf }
}

function expectRefused({ kind }: { readonly kind: string }): void {
  if (kind !== 'failed') throw new Error(`a wrong password was answered with ${kind}`)
}

/** So many tries of each kind, one after the other, which comes first by chance. */
async function timed(count: number, prepare: (isThere: boolean) => Attempt): Promise<Times> {
  const times: Times = { there: [], notThere: [] }
  const warmUp = Math.min(count, 2_000)
  for (let at = -warmUp; at < count; at++) {
    const isFirst = randomInt(2) === 1
    for (const isThere of [isFirst, !isFirst]) {
      const attempt = prepare(isThere)
      const began = process.hrtime.bigint()
      await attempt()
      const microseconds = Number(process.hrtime.bigint() - began) / 1_000
      if (at >= 0) times[isThere ? 'there' : 'notThere'].push(microseconds)
    }
  }
  return times
}

function judged(what: string, { there, notThere }: Times): Figure {
  const [known, unknown] = [median(there), median(notThere)]
  const difference = Math.abs(known - unknown)
  const errorOf = (times: readonly number[], middle: number): number => {
    const deviation = deviationOfMad * median(times.map((time) => Math.abs(time - middle)))
    return (medianError * deviation) / Math.sqrt(times.length)
  }
  const error = Math.hypot(errorOf(there, known), errorOf(notThere, unknown))
  return {
    name: `time of a refusal, ${what}`,
    unit: '% of difference',
    value: (difference / known) * 100,
    reach: { atMost: differenceMax },
    note: `medians ${known.toFixed(2)} and ${unknown.toFixed(2)} us of ${there.length} tries each, apart by ${(difference / error).toFixed(1)} standard errors`,
  }
}
