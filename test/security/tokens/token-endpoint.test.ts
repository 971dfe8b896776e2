import { describe, expect, it } from 'vitest'
import type { DocumentRequest } from '../../../src/base/ports.ts'
import { readTokenAnswer, TokenEndpoint } from '../../../src/security/tokens/token-endpoint.ts'

const options = { url: 'https://issuer/token', clientId: 'plant 7', scope: null, isHeaderEncoded: false }
const secrets = { clientSecret: 'a:b/c', ca: null }

/** An issuer that answers what it is told to, or fails, and an endpoint on a clock that stands still. */
function issuer(isHeaderEncoded = false) {
  const asked: DocumentRequest[] = []
  let nowMs = 1_000
  let answer: () => object = () => ({ access_token: `t${asked.length}`, expires_in: 100 })
  const net = {
    fetchDocument: async (request: DocumentRequest) => {
      asked.push(request)
      return Buffer.from(JSON.stringify(answer()))
    },
  }
  const endpoint = new TokenEndpoint({ ...options, isHeaderEncoded }, { net, clock: { monotonicMs: () => nowMs } })
  return {
    asked,
    token: (clientSecret = secrets.clientSecret) => endpoint.token({ ...secrets, clientSecret }),
    pass: (ms: number) => void (nowMs += ms),
    answers: (next: () => object) => void (answer = next),
  }
}

const failing = (): object => {
  throw new Error('POST https://issuer/token: ECONNREFUSED')
}
const jwt = (claims: object): string => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.c2ln`

describe('a token of an issuer', () => {
  it.each([
    ['four fifths of a long life', 3_600, 2_880_000],
    ['its life but for the last minute', 200, 140_000],
    ['half of a short life', 100, 50_000],
  ])('is kept for %s', async (_, seconds, keptMs) => {
    const { asked, token, pass, answers } = issuer()
    answers(() => ({ access_token: `t${asked.length}`, expires_in: seconds }))
    expect(await token()).toBe('t1')
    pass(keptMs - 1)
    expect(await token()).toBe('t1')
    pass(1)
    expect(await token()).toBe('t2')
    expect(asked).toHaveLength(2)
  })

  it('is asked for once by many at a time', async () => {
    const { asked, token } = issuer()
    expect(await Promise.all([token(), token(), token()])).toEqual(['t1', 't1', 't1'])
    expect(asked).toHaveLength(1)
  })

  it('goes on while no new one is to be had, up to its end', async () => {
    const { token, pass, answers } = issuer()
    await token()
    answers(failing)
    pass(90_000)
    expect(await token()).toBe('t1')
    pass(6_000)
    await expect(token()).rejects.toThrow(/ECONNREFUSED/)
  })

  it('is not kept for another secret', async () => {
    const { token, answers } = issuer()
    await token()
    expect(await token('another')).toBe('t2')
    answers(failing)
    await expect(token()).rejects.toThrow(/ECONNREFUSED/)
  })

  it.each([
    [false, 'plant 7:a:b/c'],
    [true, 'plant+7:a%3Ab%2Fc'],
  ])('is asked for with the name and the secret, encoded: %s', async (isHeaderEncoded, written) => {
    const { asked, token } = issuer(isHeaderEncoded)
    await token()
    expect(asked[0]?.form).toEqual({
      fields: { grant_type: 'client_credentials' },
      authorization: `Basic ${Buffer.from(written).toString('base64')}`,
    })
  })

  it.each<[string, object, number]>([
    ['by what the issuer says', { access_token: jwt({ iat: 1, exp: 500 }), expires_in: 30 }, 30_000],
    ['by its claims', { access_token: jwt({ iat: 100, exp: 160 }), token_type: 'bearer' }, 60_000],
    ['not at all when nobody says how long', { access_token: 'opaque' }, 0],
    ['not at all when its claims make no sense', { access_token: jwt({ iat: 160, exp: 100 }) }, 0],
    ['a day at most', { access_token: 'opaque', expires_in: 1e9 }, 86_400_000],
  ])('lasts %s', (_, answer, lifetimeMs) => {
    expect(readTokenAnswer(Buffer.from(JSON.stringify(answer))).lifetimeMs).toBe(lifetimeMs)
  })

  it.each<[string, string, RegExp]>([
    ['no JSON', '<html>canary</html>', /no JSON object/],
    ['a list', '["canary"]', /no JSON object/],
    ['no token', '{"error":"canary"}', /no access_token/],
    ['a token that is a number', '{"access_token":7}', /no access_token/],
    ['a token of another type', '{"access_token":"canary","token_type":"mac"}', /no bearer token/],
    ['a token that breaks out of its message', '{"access_token":"canary\\u0001auth=x"}', /malformed/],
    ['a huge token', JSON.stringify({ access_token: 'canary'.repeat(5000) }), /malformed/],
  ])('is not taken from %s, and the reason holds nothing of the answer', (_, text, message) => {
    let said = ''
    try {
      readTokenAnswer(Buffer.from(text))
    } catch (thrown) {
      said = String(thrown)
    }
    expect(said).toMatch(message)
    expect(said).not.toContain('canary')
  })
})
