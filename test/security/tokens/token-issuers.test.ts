import { beforeAll, describe, expect, it } from 'vitest'
import { nodeCompute } from '../../../src/node/compute.ts'
import { TokenCheck, type TokenVerdict } from '../../../src/security/tokens/token-check.ts'
import type { TokenPolicy } from '../../../src/security/tokens/token-claims.ts'
import { issuerIn, TokenIssuers } from '../../../src/security/tokens/token-issuers.ts'
import { goodClaims, type IssuerKey, newKey, nowSeconds, setOf, sign } from './issuer.ts'

const own = 'https://plant.example'
const contractor = 'https://contractor.example'
let ownKey: IssuerKey
let contractorKey: IssuerKey
let judge: TokenIssuers

const clock = { wallMs: () => nowSeconds * 1000, wallTrusted: () => true }

async function checkOf(key: IssuerKey, changes: Partial<TokenPolicy>): Promise<TokenCheck> {
  const keys = await nodeCompute().tokenKeys(setOf(key))
  const policy: TokenPolicy = {
    audiences: ['headwater'],
    issuer: null,
    clockSkewMs: 30_000,
    scopeClaim: 'scope',
    subjectClaim: 'sub',
    userPrefix: '',
    requiredScopes: [],
    whileTimeUnknown: 'refuse',
    ...changes,
  }
  return new TokenCheck({ clock, policy, source: { keys, missed: () => {} } })
}

beforeAll(async () => {
  ;[ownKey, contractorKey] = await Promise.all([newKey('k'), newKey('k')])
  judge = new TokenIssuers(
    new Map([
      [own, await checkOf(ownKey, { issuer: own, requiredScopes: ['write'] })],
      [
        contractor,
        await checkOf(contractorKey, { issuer: contractor, userPrefix: 'contractor-', requiredScopes: ['read'] }),
      ],
    ]),
  )
})

const token = (key: IssuerKey, changes: object): Promise<string> => sign(key, { ...goodClaims, ...changes })
const nameIn = (verdict: TokenVerdict): string =>
  verdict.kind === 'right' ? verdict.userName : `${verdict.kind}: ${verdict.reason}`

describe('tokens of several issuers', () => {
  it('are judged by the issuer that they name, and the same name of two issuers is two users', async () => {
    const ours = await token(ownKey, { iss: own, sub: 'press-1', scope: 'write' })
    const theirs = await token(contractorKey, { iss: contractor, sub: 'press-1', scope: 'read' })
    expect(nameIn(await judge.check(ours))).toBe('press-1')
    expect(nameIn(await judge.check(theirs))).toBe('contractor-press-1')
  })

  it('are no better than their own keys: nobody signs for another issuer', async () => {
    const forged = await token(contractorKey, { iss: own, sub: 'press-1', scope: 'write' })
    expect(await judge.check(forged)).toMatchObject({ kind: 'wrong', isGuess: true, userName: null })
  })

  it('have the scopes of their issuer, and not those of the other one', async () => {
    const lacking = await token(contractorKey, { iss: contractor, sub: 'press-1', scope: 'write' })
    expect(await judge.check(lacking)).toMatchObject({ kind: 'wrong', status: 'insufficient_scope' })
    expect(judge.requiredScopes).toEqual(['write', 'read'])
  })

  it.each<[string, object]>([
    ['another issuer', { iss: 'https://elsewhere.example' }],
    ['no issuer', { iss: undefined }],
    ['an issuer that is a list', { iss: [own] }],
    ['a name of Object.prototype', { iss: '__proto__' }],
  ])('are refused from %s', async (_, changes) => {
    expect(await judge.check(await token(ownKey, changes))).toMatchObject({
      kind: 'wrong',
      reason: 'it names no issuer that is known here',
      isGuess: true,
    })
  })

  it.each(['', 'a', '...', 'a.b.c', `a.${Buffer.from('null').toString('base64url')}.c`, 'x'.repeat(20_000)])(
    'name nobody when they are none: %j',
    (text) => expect(issuerIn(text)).toBeNull(),
  )
})
