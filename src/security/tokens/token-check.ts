/** Judges tokens: the signature by the keys in force, then the claims. Bounded in how many are looked at at once. */
import type { Clock, TokenKeys } from '../../base/ports.ts'
import { type TokenFailure, tokenLengthMax } from '../sasl/oauth-bearer-messages.ts'
import { judgeClaims, type TokenPolicy } from './token-claims.ts'

export type TokenVerdict =
  | { readonly kind: 'right'; readonly userName: string; readonly lifetimeMs: number }
  | {
      readonly kind: 'wrong'
      readonly reason: string
      readonly status: TokenFailure
      /** Whom it names, when the signature is good. */
      readonly userName: string | null
      /** Anybody could have made it. One with a good signature that is too old or for somebody else is no try to break in. */
      readonly isGuess: boolean
    }
  | { readonly kind: 'busy'; readonly reason: string }

/** Whoever says whether a token is good. */
export interface TokenJudge {
  readonly requiredScopes: readonly string[]
  check(token: string): Promise<TokenVerdict>
}

/** Where the keys come from. */
export interface TokenKeySource {
  /** Null: there have been none yet. */
  readonly keys: TokenKeys | null
  /** A token names a key that is not there: perhaps the issuer has new ones. */
  missed(): void
}

export interface TokenCheckParts {
  readonly clock: Pick<Clock, 'wallMs' | 'wallTrusted'>
  readonly source: TokenKeySource
  readonly policy: TokenPolicy
}

/** Signatures that are checked at once; each takes the pool a fraction of a millisecond. */
const waitingMax = 256

export class TokenCheck implements TokenJudge {
  readonly #parts: TokenCheckParts
  #waiting = 0

  constructor(parts: TokenCheckParts) {
    this.#parts = parts
  }

  get requiredScopes(): readonly string[] {
    return this.#parts.policy.requiredScopes
  }

  async check(token: string): Promise<TokenVerdict> {
    const { source, policy, clock } = this.#parts
    if (token.length > tokenLengthMax) return guess('it is too long')
    const { keys } = source
    if (keys === null) return { kind: 'busy', reason: 'the keys of the issuer are not known yet' }
    if (this.#waiting >= waitingMax) return { kind: 'busy', reason: 'too many tokens wait to be checked' }
    this.#waiting++
    try {
      const signature = await keys.verify(token)
      if (signature.kind === 'refused') {
        if (signature.isKeyUnknown) source.missed()
        return guess(signature.reason)
      }
      const time = { wallMs: clock.wallMs(), isKnown: clock.wallTrusted() }
      const verdict = judgeClaims(signature.header, signature.claims, policy, time)
      return verdict.kind === 'right' ? verdict : { ...verdict, isGuess: false }
    } finally {
      this.#waiting--
    }
  }
}

function guess(reason: string): TokenVerdict {
  return { kind: 'wrong', reason, status: 'invalid_token', userName: null, isGuess: true }
}
