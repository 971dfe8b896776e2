/** Tokens of the HTTP listener, as a table: found by what a client shows, and by nothing that is like it. */
import { describe, expect, it } from 'vitest'
import { type AccessToken, AccessTokens, makeAccessToken, readAccessToken } from '../../src/security/access-tokens.ts'

let next = 0
const entropy = { bytes: (length: number) => new Uint8Array(length).fill(++next) }
const facts = { principal: 'User:alice', role: 'viewer', note: '', createdMs: 1_000, expiresMs: 2_000 } as const

describe('an access token', () => {
  const tokens = new AccessTokens()
  const { token, text } = makeAccessToken(facts, entropy)
  tokens.set(token)
  const other = makeAccessToken(facts, entropy)
  tokens.set(other.token)

  it('is found by its digest, which is all that is kept', () => {
    expect(tokens.find(text, 1_500)).toBe(token)
    expect(JSON.stringify([...tokens.values()])).not.toContain(text.split('_')[2])
  })

  it.each([
    ['the secret of another', `hw1_${token.id}_${other.text.split('_')[2]}`],
    ['the id of another', `hw1_${other.token.id}_${text.split('_')[2]}`],
    ['a secret that is cut', text.slice(0, -1)],
    ['more behind it', `${text}0`],
    ['capital letters', text.toUpperCase()],
    ['an id that there is not', `hw1_${'f'.repeat(16)}_${text.split('_')[2]}`],
    ['its digest in place of the secret', `hw1_${token.id}_${token.digest}`],
    ['nothing', ''],
    ['zeros', `hw1_${'0'.repeat(16)}_${'0'.repeat(64)}`],
  ])('is not found with %s', (_, shown) => expect(tokens.find(shown, 1_500)).toBeNull())

  it('is over when its time is', () => {
    expect(tokens.find(text, 1_999)).toBe(token)
    expect(tokens.find(text, 2_000)).toBeNull()
  })

  it('comes back from its record, and what is none is none', () => {
    const { id, ...value } = token
    const bytes = (what: unknown) => Buffer.from(JSON.stringify(what))
    expect(readAccessToken(id, bytes(value))).toEqual(token)
    const broken: object[] = [
      { ...value, role: 'king' },
      { ...value, digest: 'short' },
      { ...value, expiresMs: 'never' },
      { ...value, principal: undefined },
      [],
    ]
    for (const each of broken) expect(readAccessToken(id, bytes(each)), JSON.stringify(each)).toBeNull()
    expect(readAccessToken(id, Buffer.from('{'))).toBeNull()
    const none: AccessToken | undefined = tokens.get('__proto__')
    expect(none).toBeUndefined()
  })
})
