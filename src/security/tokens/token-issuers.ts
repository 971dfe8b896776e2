/**
 * Tokens of several issuers: each is judged by the keys and the rules of the issuer that it names, and by nobody else's. The name is read before
 * anything is proved; it only chooses who must have signed.
 */
import { tokenLengthMax } from '../sasl/oauth-bearer-messages.ts'
import type { TokenCheck, TokenJudge, TokenVerdict } from './token-check.ts'

export class TokenIssuers implements TokenJudge {
  /** By the claim `iss`. */
  readonly #checks: ReadonlyMap<string, TokenCheck>

  constructor(checks: ReadonlyMap<string, TokenCheck>) {
    this.#checks = checks
  }

  /** What a client may be told that it lacks: each issuer's. */
  get requiredScopes(): readonly string[] {
    return [...new Set([...this.#checks.values()].flatMap(({ requiredScopes }) => requiredScopes))]
  }

  async check(token: string): Promise<TokenVerdict> {
    const check = this.#checks.get(issuerIn(token) ?? '')
    if (check !== undefined) return check.check(token)
    const reason = 'it names no issuer that is known here'
    return { kind: 'wrong', reason, status: 'invalid_token', userName: null, isGuess: true }
  }
}

/** The claim `iss` of a token whose signature nobody has looked at; null = there is none. */
export function issuerIn(token: string): string | null {
  if (token.length > tokenLengthMax) return null
  try {
    const claims: unknown = JSON.parse(Buffer.from(token.split('.', 3)[1] ?? '', 'base64url').toString('utf8'))
    const issuer: unknown =
      typeof claims === 'object' && claims !== null && Object.hasOwn(claims, 'iss') && 'iss' in claims
        ? claims.iss
        : null
    return typeof issuer === 'string' ? issuer : null
  } catch {
    return null
  }
}
