import { sign as createSignature, generateKeyPairSync } from 'node:crypto'
import { exportJWK } from 'jose'
import { beforeAll, describe, expect, it, test } from 'vitest'
import { nodeCompute } from '../../../src/node/compute.ts'
import { TokenCheck, type TokenVerdict } from '../../../src/security/tokens/token-check.ts'
import type { TokenPolicy } from '../../../src/security/tokens/token-claims.ts'
import { forge, forgeHmac, goodClaims, type IssuerKey, newKey, nowSeconds, setOf, sign } from './issuer.ts'

const policy: TokenPolicy = {
  audiences: ['headwater'],
  issuer: goodClaims.iss,
  clockSkewMs: 30_000,
  scopeClaim: 'scope',
  subjectClaim: 'sub',
  requiredScopes: ['write'],
  userPrefix: '',
  whileTimeUnknown: 'refuse',
}
let ec: IssuerKey
let rsa: IssuerKey
let ed: IssuerKey
let stranger: IssuerKey
let set: Uint8Array

beforeAll(async () => {
  ;[ec, rsa, ed, stranger] = await Promise.all([
    newKey('ec-1'),
    newKey('rsa-1', 'RS256'),
    newKey('ed-1', 'EdDSA'),
    newKey('ec-1'),
  ])
  set = setOf(ec, rsa, ed)
})

interface Situation {
  readonly policy?: Partial<TokenPolicy>
  readonly isKnown?: boolean
  readonly wallMs?: number
  readonly set?: Uint8Array
}

async function check(token: string, situation: Situation = {}): Promise<TokenVerdict & { readonly missed: number }> {
  const { isKnown = true, wallMs = nowSeconds * 1000 } = situation
  const keys = await nodeCompute().tokenKeys(situation.set ?? set)
  let missed = 0
  const source = {
    keys,
    missed: () => {
      missed++
    },
  }
  const clock = { wallMs: () => wallMs, wallTrusted: () => isKnown }
  const verdict = await new TokenCheck({ clock, source, policy: { ...policy, ...situation.policy } }).check(token)
  return { ...verdict, missed }
}

/** `null` takes a claim away. */
const claims = (changes: Readonly<Record<string, unknown>>): object =>
  Object.fromEntries(Object.entries({ ...goodClaims, ...changes }).filter(([, value]) => value !== null))

describe('a token that is as it should be', () => {
  test.each([
    ['ES256', () => ec],
    ['RS256', () => rsa],
    ['EdDSA', () => ed],
  ])('signed by %s is taken until its end and the skew behind it', async (_, key) => {
    const verdict = await check(await sign(key()))
    expect(verdict).toMatchObject({ kind: 'right', userName: 'press-1', lifetimeMs: 630_000 })
  })

  test.each([
    ['audiences in a list', { aud: ['other', 'headwater'] }, {}],
    ['a scope in a list', { scope: ['write'] }, {}],
    ['a scope under another name', { scope: null, scp: ['read', 'write'] }, { scopeClaim: 'scp' }],
    ['a begin within the skew', { nbf: nowSeconds + 29 }, {}],
    ['an end within the skew', { exp: nowSeconds - 29 }, {}],
    ['a moment of issue within the skew', { iat: nowSeconds + 29 }, {}],
    ['fractions of seconds', { exp: nowSeconds + 0.5 }, {}],
    ['no scope where none is asked for', { scope: null }, { requiredScopes: [] }],
    ['another issuer where none is named', { iss: 'https://other.example.com' }, { issuer: null }],
    ['no audience where none is named', { aud: null }, { audiences: [] }],
  ] as const)('may have %s', async (_, changes, change) => {
    expect(await check(await sign(ec, claims(changes)), { policy: change })).toMatchObject({ kind: 'right' })
  })

  it.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'jwt'])('may call itself %s', async (typ) => {
    expect(await check(await sign(ec, goodClaims, { typ }))).toMatchObject({ kind: 'right' })
  })

  it('may leave out which key has signed it when only one can have', async () => {
    const token = await sign({ ...ec, kid: undefined as unknown as string }, goodClaims)
    expect(await check(token)).toMatchObject({ kind: 'right' })
  })

  it('names its principal by the claim that the setting says', async () => {
    const token = await sign(ec, claims({ client_id: 'line-7' }))
    expect(await check(token, { policy: { subjectClaim: 'client_id' } })).toMatchObject({ userName: 'line-7' })
  })
})

describe('a token whose claims do not fit is refused, and is no guess', () => {
  test.each([
    ['it has expired', { exp: nowSeconds - 31 }],
    ['it is not valid yet', { nbf: nowSeconds + 31 }],
    ['it was issued in the future', { iat: nowSeconds + 31 }],
    ['exp is missing', { exp: null }],
    ['exp is a text', { exp: String(goodClaims.exp) }],
    ['exp is beyond all numbers', { exp: 1e300 }],
    ['exp is negative', { exp: -1 }],
    ['iat is missing', { iat: null }],
    ['nbf is a text', { nbf: 'now' }],
    ['the issuer is another', { iss: 'https://login.example.com.evil.example' }],
    ['the issuer differs by a slash', { iss: `${goodClaims.iss}/` }],
    ['the issuer is missing', { iss: null }],
    ['the audience is another', { aud: 'tailwater' }],
    ['the audience is another in part', { aud: 'headwater-2' }],
    ['the audience is missing', { aud: null }],
    ['the audience is a list of others', { aud: ['a', 'b'] }],
    ['the audience is an object', { aud: { 0: 'headwater' } }],
    ['the subject is missing', { sub: null }],
    ['the subject is empty', { sub: '' }],
    ['the subject is a number', { sub: 7 }],
    ['the subject is a list', { sub: ['press-1'] }],
    ['the subject has a line feed', { sub: 'press-1\nroot' }],
    ['the subject has a zero', { sub: 'press-1\0' }],
    ['the subject turns the direction of writing', { sub: 'press\u202e1' }],
    ['the subject has blanks around it', { sub: ' press-1' }],
    ['the subject is too long', { sub: 'p'.repeat(256) }],
    ['the scope is an object', { scope: { write: true } }],
    ['the scope is a list of numbers', { scope: [1] }],
    ['it is bound to a key', { cnf: { jkt: 'x' } }],
  ])('%s', async (_, changes) => {
    const verdict = await check(await sign(ec, claims(changes)))
    expect(verdict).toMatchObject({ kind: 'wrong', status: 'invalid_token', isGuess: false })
  })

  test.each([
    ['the scope is missing', { scope: null }],
    ['the scope is another', { scope: 'read' }],
    ['the scope is only begun', { scope: 'writer' }],
    ['the scope is in another case', { scope: 'WRITE' }],
  ])('%s, and it says so by the name of RFC 6750', async (_, changes) => {
    const verdict = await check(await sign(ec, claims(changes)))
    expect(verdict).toMatchObject({ kind: 'wrong', status: 'insufficient_scope' })
  })

  test.each([
    ['logout+jwt', { typ: 'logout+jwt' }],
    ['secevent+jwt', { typ: 'secevent+jwt' }],
    ['a number', { typ: 7 as unknown as string }],
    ['nested (cty)', { cty: 'JWT' }],
  ])('its kind is %s', async (_, header) => {
    expect(await check(await sign(ec, goodClaims, header))).toMatchObject({ kind: 'wrong', isGuess: false })
  })
})

describe('a token that nobody has signed for us is a guess', () => {
  const publicPem = (): string =>
    `-----BEGIN PUBLIC KEY-----\n${Buffer.from(JSON.stringify(rsa.publicJwk)).toString('base64')}\n-----END PUBLIC KEY-----\n`
  const twisted = async (): Promise<string> => {
    const token = await sign(ec)
    const [header = '', payload = '', signature = ''] = token.split('.')
    const bytes = Buffer.from(signature, 'base64url')
    bytes[5] = (bytes[5] as number) ^ 1
    return `${header}.${payload}.${bytes.toString('base64url')}`
  }
  const withOtherClaims = async (): Promise<string> => {
    const [header = '', , signature = ''] = (await sign(ec)).split('.')
    return `${header}.${Buffer.from(JSON.stringify({ ...goodClaims, sub: 'admin' })).toString('base64url')}.${signature}`
  }
  const withOtherHeader = async (): Promise<string> => {
    const [, payload = '', signature = ''] = (await sign(ec)).split('.')
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'ec-1', typ: 'at+jwt' })).toString('base64url')
    return `${header}.${payload}.${signature}`
  }
  test.each<readonly [string, () => string | Promise<string>]>([
    ['alg none', () => forge({ alg: 'none', typ: 'JWT' }, goodClaims)],
    ['alg None', () => forge({ alg: 'None', kid: 'ec-1' }, goodClaims)],
    ['alg none with a signature', () => forge({ alg: 'none', kid: 'ec-1' }, goodClaims, 'AAAA')],
    ['no alg', () => forge({ typ: 'JWT' }, goodClaims, 'AAAA')],
    ['alg a list', () => forge({ alg: ['ES256', 'none'] }, goodClaims, 'AAAA')],
    ['HMAC by the public key as JSON', () => forgeHmac('HS256', JSON.stringify(rsa.publicJwk), { kid: 'rsa-1' })],
    ['HMAC by the public key as PEM', () => forgeHmac('HS256', publicPem(), { kid: 'rsa-1' })],
    [
      'HMAC by the modulus',
      () => forgeHmac('HS512', Buffer.from(rsa.publicJwk.n ?? '', 'base64url'), { kid: 'rsa-1' }),
    ],
    ['HMAC by nothing', () => forgeHmac('HS256', '')],
    ['the kid of ours and the key of another', () => sign(stranger)],
    ['the kid of an RSA key and ES256', () => sign(ec, goodClaims, { kid: 'rsa-1' })],
    ['an unknown kid', () => sign(ec, goodClaims, { kid: 'ec-2' })],
    ['a kid that is a path', () => sign(ec, goodClaims, { kid: '../../../../dev/null' })],
    ['a kid that is a query', () => sign(ec, goodClaims, { kid: "x' UNION SELECT 'key" })],
    ['a kid __proto__', () => sign(ec, goodClaims, { kid: '__proto__' })],
    ['its own key in jwk', () => sign(stranger, goodClaims, { jwk: stranger.publicJwk, kid: 'mine' })],
    ['its own key in jwk under a kid of ours', () => sign(stranger, goodClaims, { jwk: stranger.publicJwk })],
    ['jku', () => sign(stranger, goodClaims, { jku: 'http://127.0.0.1:1/keys' })],
    ['x5u', () => sign(stranger, goodClaims, { x5u: 'http://127.0.0.1:1/chain.pem' })],
    ['x5c', () => sign(stranger, goodClaims, { x5c: ['MIIB'] })],
    ['a critical header that is not known', () => sign(ec, goodClaims, { crit: ['lifetime'], lifetime: 1 })],
    ['a twisted signature', twisted],
    ['other claims under a signature', withOtherClaims],
    ['another header over a signature', withOtherHeader],
    ['a signature of zeros', () => forge({ alg: 'ES256', kid: 'ec-1' }, goodClaims, Buffer.alloc(64))],
    ['an empty signature', () => forge({ alg: 'ES256', kid: 'ec-1' }, goodClaims)],
    ['a token in a token', async () => sign(ec, Buffer.from(await sign(ec)))],
    ['a payload that is a list', () => sign(ec, [goodClaims])],
    ['a payload that is no JSON', () => sign(ec, Buffer.from('sub=press-1'))],
    ['a payload that is not UTF-8', () => sign(ec, Buffer.from([0x7b, 0xff, 0x7d]))],
    ['an encrypted form of five parts', () => 'e30.e30.e30.e30.e30'],
    ['two parts', () => 'e30.e30'],
    ['nothing', () => ''],
    ['two dots', () => '..'],
    ['blanks', () => ' . . '],
    ['a header of 100,000 brackets', () => `${Buffer.from('['.repeat(12_000)).toString('base64url')}.e30.AAAA`],
    ['17,000 characters', async () => sign(ec, claims({ note: 'n'.repeat(13_000) }))],
    ['a JSON text of the signature', () => JSON.stringify({ payload: 'e30', signatures: [] })],
  ])('%s', async (_, make) => {
    const verdict = await check(await make())
    expect(verdict).toMatchObject({ kind: 'wrong', status: 'invalid_token', isGuess: true, userName: null })
  })

  it('that names no key where two could have signed it', async () => {
    const two = setOf(ec, { ...stranger.publicJwk, kid: 'ec-2' })
    const token = await sign({ ...ec, kid: undefined as unknown as string }, goodClaims, {})
    expect(await check(token, { set: two })).toMatchObject({ kind: 'wrong', isGuess: true })
  })

  it.each(['HS256', 'none', 'RS1', 'ES256K', 'dir'])('whose algorithm is %s is not looked at further', async (alg) => {
    const verdict = await check(forge({ alg, kid: 'rsa-1' }, goodClaims, 'AAAA'))
    expect(verdict).toMatchObject({ kind: 'wrong', reason: 'its algorithm is not one that is taken' })
  })

  it('with a payload that is not encoded (RFC 7797)', async () => {
    const header = Buffer.from(JSON.stringify({ alg: 'ES256', kid: 'ec-1', b64: false, crit: ['b64'] }))
    const unsigned = `${header.toString('base64url')}.${JSON.stringify({ ...goodClaims, iss: 'us' })}`
    const key = { key: ec.privateKey, dsaEncoding: 'ieee-p1363' } as const
    const token = `${unsigned}.${createSignature('sha256', Buffer.from(unsigned), key).toString('base64url')}`
    expect(await check(token, { policy: { issuer: 'us' } })).toMatchObject({ kind: 'wrong', isGuess: true })
  })

  it('asks for new keys when its kid is not there, and not for any other fault', async () => {
    expect(await check(await sign(ec, goodClaims, { kid: 'ec-2' }))).toMatchObject({ missed: 1 })
    expect(await check(await sign(stranger))).toMatchObject({ missed: 0 })
    expect(await check(await twisted())).toMatchObject({ missed: 0 })
    expect(await check(forge({ alg: 'none', kid: 'ec-2' }, goodClaims))).toMatchObject({ missed: 0 })
  })
})

describe('while the time is not known', () => {
  it('tokens are refused, with the reason', async () => {
    const verdict = await check(await sign(ec), { isKnown: false })
    expect(verdict).toMatchObject({ kind: 'wrong', reason: 'this node does not know the time', isGuess: false })
  })

  const accept = { policy: { whileTimeUnknown: 'accept' }, isKnown: false } as const
  it('and the setting says so they are taken, for five minutes at most', async () => {
    const later = claims({ iat: nowSeconds + 86_400, nbf: nowSeconds + 86_400, exp: nowSeconds + 90_000 })
    expect(await check(await sign(ec, later), accept)).toMatchObject({ kind: 'right', lifetimeMs: 300_000 })
    const soon = claims({ exp: nowSeconds + 60 })
    expect(await check(await sign(ec, soon), accept)).toMatchObject({ kind: 'right', lifetimeMs: 90_000 })
  })
  it('what ended before the earliest time that it can be is refused nevertheless', async () => {
    expect(await check(await sign(ec, claims({ exp: nowSeconds - 31 })), accept)).toMatchObject({ kind: 'wrong' })
  })
})

describe('a set of keys', () => {
  const rejected = (bytes: Uint8Array | string) =>
    expect(nodeCompute().tokenKeys(typeof bytes === 'string' ? Buffer.from(bytes) : bytes)).rejects
  it.each([
    ['no JSON', '<html>'],
    ['not UTF-8', Buffer.from([0xff])],
    ['null', 'null'],
    ['a list', '[]'],
    ['without keys', '{}'],
    ['keys that are no list', '{"keys":{"length":1}}'],
    ['empty', '{"keys":[]}'],
    ['of things that are no keys', '{"keys":[null,1,"RSA",[]]}'],
    ['of shared secrets', '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'],
    ['of 101 keys', JSON.stringify({ keys: Array.from({ length: 101 }, () => ({ kty: 'RSA' })) })],
  ])('that is %s is refused', async (_, bytes) => {
    await rejected(bytes).toThrow(/^it /)
  })

  it('leaves out private keys, keys for encryption and keys of other algorithms', async () => {
    const left = [
      { ...ec.publicJwk, kid: 'private', d: 'AAAA' },
      { ...ec.publicJwk, kid: 'encryption', use: 'enc' },
      { ...ec.publicJwk, kid: 'operations', key_ops: ['encrypt'] },
      { ...rsa.publicJwk, kid: 'RSA1_5', alg: 'RSA1_5' },
      { ...rsa.publicJwk, kid: 'HS256', alg: 'HS256' },
    ]
    expect((await nodeCompute().tokenKeys(setOf(ec, ...left))).size).toBe(1)
    await rejected(setOf(...left)).toThrow(/no public key/)
  })

  it('with an RSA key of 1,024 bits takes no token by it', async () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 1024 })
    const weak = { ...(await exportJWK(publicKey)), kid: 'weak' }
    const token = await sign(rsa, goodClaims, { kid: 'weak' })
    expect(await check(token, { set: setOf(weak) })).toMatchObject({ kind: 'wrong', isGuess: true })
  })
})

it('looks at 256 tokens at once and tells the others to come again', async () => {
  const answer: (() => void)[] = []
  const keys = {
    size: 1,
    verify: () => new Promise<never>((resolve) => answer.push(resolve as () => void)),
  }
  const clock = { wallMs: () => 0, wallTrusted: () => true }
  const tokens = new TokenCheck({ clock, policy, source: { keys, missed: () => {} } })
  for (let count = 0; count < 256; count++) void tokens.check('t').catch(() => {})
  expect(await tokens.check('t')).toMatchObject({ kind: 'busy' })
  for (const resolve of answer) resolve()
})
