/** Keys of a simulated Compute port: a token is `signed.` and its claims as they are, so that worlds with one loop can judge it. */
import type { Clock, TokenKeys } from '../../../src/base/ports.ts'
import { TokenCheck } from '../../../src/security/tokens/token-check.ts'
import type { TokenPolicy } from '../../../src/security/tokens/token-claims.ts'

const keys: TokenKeys = {
  size: 1,
  verify: async (token) => {
    const [mark, payload = ''] = token.split('.')
    if (mark !== 'signed') return { kind: 'refused', reason: 'its signature is wrong', isKeyUnknown: false }
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object
    return { kind: 'signed', header: new Map(), claims: new Map(Object.entries(claims)) }
  },
}

const policy: TokenPolicy = {
  audiences: [],
  issuer: null,
  clockSkewMs: 0,
  scopeClaim: 'scope',
  subjectClaim: 'sub',
  requiredScopes: [],
  userPrefix: '',
  whileTimeUnknown: 'refuse',
}

export function readableTokens(clock: Clock): TokenCheck {
  return new TokenCheck({ clock, policy, source: { keys, missed: () => {} } })
}

/** A token of `sub` that ends in whole seconds from `wallMs`. */
export function readableToken(sub: string, wallMs: number, seconds: number): string {
  const now = Math.floor(wallMs / 1000)
  const claims = { sub, iat: now, exp: now + seconds }
  return `signed.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
}

export function bearer(token: string): Buffer {
  return Buffer.from(`n,,\x01auth=Bearer ${token}\x01\x01`)
}
