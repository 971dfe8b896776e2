import { describe, expect, it } from 'vitest'
import { Authenticator } from '../../../src/security/authenticator.ts'
import { readBearer } from '../../../src/security/sasl/oauth-bearer-messages.ts'
import { ScramCredentials } from '../../../src/security/scram-credentials.ts'
import type { TokenCheck, TokenVerdict } from '../../../src/security/tokens/token-check.ts'
import { simWorld } from '../../sim/world.ts'

const bytes = (text: string): Buffer => Buffer.from(text.replaceAll('^A', '\x01'))
const token = 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=='

describe('the first message', () => {
  it.each([
    [
      'of RFC 7628',
      `n,a=user@example.com,^Ahost=server.example.com^Aport=143^Aauth=Bearer ${token}^A^A`,
      'user@example.com',
    ],
    ['without a name', `n,,^Aauth=Bearer ${token}^A^A`, null],
    ['with y', `y,,^Aauth=Bearer ${token}^A^A`, null],
    [
      'with a name in which commas and equal signs are written out',
      `n,a=a=2Cb=3Dc,^Aauth=Bearer ${token}^A^A`,
      'a,b=c',
    ],
    ['with extensions', `n,,^Aauth=Bearer ${token}^Atenant=line 7^A^A`, null],
    ['with the scheme in small letters', `n,,^Aauth=bearer ${token}^A^A`, null],
  ])('%s is read', (_, text, authorization) => {
    expect(readBearer(bytes(text))).toEqual({ authorization, token })
  })

  it.each([
    ['nothing', ''],
    ['a hundred pairs', `n,,${'^Ax=1'.repeat(100)}^Aauth=Bearer ${token}^A^A`],
    ['one separator', '^A'],
    ['no GS2 header', `auth=Bearer ${token}^A^A`],
    ['half a GS2 header', `n,^Aauth=Bearer ${token}^A^A`],
    ['channel binding', `p=tls-unique,,^Aauth=Bearer ${token}^A^A`],
    ['an empty name', `n,a=,^Aauth=Bearer ${token}^A^A`],
    ['a name with a broken escape', `n,a=a=2,^Aauth=Bearer ${token}^A^A`],
    ['no end', `n,,^Aauth=Bearer ${token}`],
    ['half an end', `n,,^Aauth=Bearer ${token}^A`],
    ['something behind the end', `n,,^Aauth=Bearer ${token}^A^Ax`],
    ['no pairs', 'n,,^A^A'],
    ['no token', 'n,,^Ahost=a^A^A'],
    ['an empty token', 'n,,^Aauth=Bearer ^A^A'],
    ['another scheme', `n,,^Aauth=Basic ${token}^A^A`],
    ['two tokens', `n,,^Aauth=Bearer ${token}^Aauth=Bearer ${token}^A^A`],
    ['a token with a blank', 'n,,^Aauth=Bearer a b^A^A'],
    ['a token with a control character', 'n,,^Aauth=Bearer a\u0002b^A^A'],
    ['a key with a digit', `n,,^Aauth=Bearer ${token}^Aa1=b^A^A`],
    ['a pair without a key', `n,,^Aauth=Bearer ${token}^A=b^A^A`],
    ['a pair without a value', `n,,^Aauth=Bearer ${token}^Aa^A^A`],
    ['a value with a zero', `n,,^Aauth=Bearer ${token}^Aa=\0^A^A`],
    ['21,000 bytes', `n,,^Aauth=Bearer ${'a'.repeat(21_000)}^A^A`],
  ])('with %s is refused', (_, text) => {
    expect(readBearer(bytes(text))).toEqual(expect.any(String))
  })

  it('that is not UTF-8 is refused', () => {
    expect(readBearer(Buffer.from([0x6e, 0x2c, 0xff]))).toMatch(/UTF-8/)
  })
})

/** An authenticator whose tokens are judged as `verdict` says, on a simulated host. */
function exchanges(verdict: TokenVerdict, requiredScopes: readonly string[] = []) {
  const world = simWorld(5)
  const host = world.host('edge')
  const ports = host.boot()
  const tokens = { check: async () => verdict, requiredScopes } as unknown as TokenCheck
  const parts = { ...ports, credentials: new ScramCredentials(), failureDelayMs: () => 250, tokens }
  const authenticator = new Authenticator(parts)
  const begin = () => authenticator.begin('OAUTHBEARER', '10.0.0.7')
  return { world, authenticator, begin, eventIds: () => host.observer.events.map(({ id }) => id) }
}

const first = bytes(`n,,^Aauth=Bearer ${token}^A^A`)
const right: TokenVerdict = { kind: 'right', userName: 'press-1', lifetimeMs: 5000 }
const expired: TokenVerdict = {
  kind: 'wrong',
  status: 'invalid_token',
  reason: 'it has expired',
  userName: 'press-1',
  isGuess: false,
}

describe('an exchange', () => {
  it('ends after one message with an empty answer, and says how long the token is good for', async () => {
    const { world, begin } = exchanges(right)
    const step = await world.settle(begin().step(first))
    expect(step).toEqual({ kind: 'done', userName: 'press-1', bytes: new Uint8Array(0), lifetimeMs: 5000 })
  })

  it('takes the name of the token as the authorization identity, and no other', async () => {
    const { world, begin } = exchanges(right)
    const as = (name: string) => bytes(`n,a=${name},^Aauth=Bearer ${token}^A^A`)
    expect(await world.settle(begin().step(as('press-1')))).toMatchObject({ kind: 'done' })
    expect(await world.settle(begin().step(as('admin')))).toMatchObject({ kind: 'continue', refused: {} })
  })

  it.each([
    ['invalid_token', expired, [], '{"status":"invalid_token"}'],
    ['invalid_request', null, [], '{"status":"invalid_request"}'],
    [
      'insufficient_scope',
      { ...expired, status: 'insufficient_scope' },
      ['read', 'write'],
      '{"status":"insufficient_scope","scope":"read write"}',
    ],
  ] as const)('tells %s in JSON after the delay, then fails on the reply', async (_, verdict, scopes, text) => {
    const { world, begin, eventIds } = exchanges(verdict ?? right, scopes)
    const exchange = begin()
    const beganMs = world.nowMs
    const step = await world.settle(exchange.step(verdict === null ? bytes('n,,^A^A') : first))
    expect(world.nowMs - beganMs).toBeGreaterThanOrEqual(250)
    expect(step.kind === 'continue' && Buffer.from(step.bytes).toString()).toBe(text)
    expect(eventIds()).toEqual(['authentication-failed'])
    expect(await world.settle(exchange.step(bytes('^A')))).toMatchObject({ kind: 'failed' })
    // Counted and told once.
    expect(eventIds()).toEqual(['authentication-failed'])
  })

  it('does not take a token in place of the reply', async () => {
    const { world, begin } = exchanges(expired)
    const exchange = begin()
    await world.settle(exchange.step(first))
    expect(await world.settle(exchange.step(first))).toMatchObject({ kind: 'failed' })
    expect(await world.settle(exchange.step(first))).toMatchObject({ kind: 'failed' })
  })

  it('that cannot be judged fails without being counted', async () => {
    const { world, begin, eventIds } = exchanges({ kind: 'busy', reason: 'no keys' })
    expect(await world.settle(begin().step(first))).toMatchObject({ kind: 'failed', isBusy: true })
    expect(eventIds()).toEqual([])
  })
})

describe('lock-outs', () => {
  const tryOften = async (verdict: TokenVerdict): Promise<string[]> => {
    const { world, authenticator, begin, eventIds } = exchanges(verdict)
    for (let times = 0; times < 30; times++) {
      await world.settle(begin().step(first))
      await world.settle(authenticator.checkToken('10.0.0.7', token))
    }
    return eventIds()
  }
  it('come of tokens that anybody could have made', async () => {
    expect(await tryOften({ ...expired, userName: null, isGuess: true })).toContain('authentication-locked-out')
  })
  it('do not come of tokens that are too old: a fleet may share an address', async () => {
    expect(await tryOften(expired)).not.toContain('authentication-locked-out')
  })
})
