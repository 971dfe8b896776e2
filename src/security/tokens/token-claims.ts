/**
 * What a token with a good signature says of itself, held against what this node asks for (RFC 7519, 8725, 9068). Pure: it is told the time.
 */
import type { TokenFailure } from '../sasl/oauth-bearer-messages.ts'

export interface TokenPolicy {
  /** sasl.oauthbearer.expected.audience: one of them; empty = any. */
  readonly audiences: readonly string[]
  /** sasl.oauthbearer.expected.issuer; null = any whose keys are in the set. */
  readonly issuer: string | null
  /** sasl.oauthbearer.clock.skew.seconds */
  readonly clockSkewMs: number
  /** sasl.oauthbearer.scope.claim.name */
  readonly scopeClaim: string
  /** sasl.oauthbearer.sub.claim.name */
  readonly subjectClaim: string
  /** Put before the name: the same name of two issuers is two users. */
  readonly userPrefix: string
  /** All of them must be in the scope. */
  readonly requiredScopes: readonly string[]
  /** What happens to tokens while the time is not known. */
  readonly whileTimeUnknown: 'refuse' | 'accept'
}

export interface TokenTime {
  /** While it is not known: the earliest that it can be. */
  readonly wallMs: number
  readonly isKnown: boolean
}

export type ClaimsVerdict =
  | { readonly kind: 'right'; readonly userName: string; readonly lifetimeMs: number }
  | { readonly kind: 'wrong'; readonly reason: string; readonly status: TokenFailure; readonly userName: string | null }

/** Longest session by a token whose end cannot be told: until then the time may be known. */
export const unknownTimeSessionMs = 300_000
const nameLengthMax = 255
const scopesMax = 1_000
/** Types of a token that is meant for us; others (`logout+jwt`, `secevent+jwt`) are signed by the same issuer for other ends. */
const types = new Set(['jwt', 'at+jwt', 'application/jwt', 'application/at+jwt'])

/** Judges header and claims. */
export function judgeClaims(
  header: ReadonlyMap<string, unknown>,
  claims: ReadonlyMap<string, unknown>,
  policy: TokenPolicy,
  time: TokenTime,
): ClaimsVerdict {
  const userName = nameIn(claims.get(policy.subjectClaim), policy.userPrefix)
  const wrong = (reason: string, status: TokenFailure = 'invalid_token'): ClaimsVerdict => ({
    kind: 'wrong',
    reason,
    status,
    userName,
  })
  const fault = kindFault(header, claims) ?? originFault(claims, policy) ?? timeFault(claims, policy, time)
  if (fault !== null) return wrong(fault)
  if (userName === null) return wrong(`the claim ${policy.subjectClaim} is no name`)
  const scopes = scopesIn(claims.get(policy.scopeClaim))
  if (scopes === null) return wrong(`the claim ${policy.scopeClaim} is neither a text nor a list of texts`)
  const missing = policy.requiredScopes.find((scope) => !scopes.has(scope))
  if (missing !== undefined) return wrong(`the scope ${missing} is missing`, 'insufficient_scope')
  const leftMs = (claims.get('exp') as number) * 1000 + policy.clockSkewMs - time.wallMs
  const lifetimeMs = Math.max(1, Math.floor(time.isKnown ? leftMs : Math.min(leftMs, unknownTimeSessionMs)))
  return { kind: 'right', userName, lifetimeMs }
}

function kindFault(header: ReadonlyMap<string, unknown>, claims: ReadonlyMap<string, unknown>): string | null {
  const type = header.get('typ')
  if (type !== undefined && !(typeof type === 'string' && types.has(type.toLowerCase()))) return 'it is of another type'
  if (header.has('cty')) return 'it is a token in a token'
  // Whoever holds it would have to prove that he has the key (RFC 7800); a bearer token cannot.
  return claims.has('cnf') ? 'it is bound to a key (cnf)' : null
}

function originFault(claims: ReadonlyMap<string, unknown>, { issuer, audiences }: TokenPolicy): string | null {
  if (issuer !== null && claims.get('iss') !== issuer) return 'it is of another issuer'
  if (audiences.length === 0) return null
  const audience = claims.get('aud')
  const named = Array.isArray(audience) ? audience : [audience]
  return named.some((each) => audiences.includes(each as string)) ? null : 'it is for another audience'
}

function timeFault(
  claims: ReadonlyMap<string, unknown>,
  { clockSkewMs, whileTimeUnknown }: TokenPolicy,
  { wallMs, isKnown }: TokenTime,
): string | null {
  const [expires, issued, begins] = ['exp', 'iat', 'nbf'].map((name) => claims.get(name))
  if (!isSeconds(expires)) return 'the claim exp is missing or no number'
  if (!isSeconds(issued)) return 'the claim iat is missing or no number'
  if (begins !== undefined && !isSeconds(begins)) return 'the claim nbf is no number'
  if (expires * 1000 + clockSkewMs <= wallMs) return 'it has expired'
  if (!isKnown) return whileTimeUnknown === 'accept' ? null : 'this node does not know the time'
  if (issued * 1000 - clockSkewMs > wallMs) return 'it was issued in the future'
  return begins !== undefined && begins * 1000 - clockSkewMs > wallMs ? 'it is not valid yet' : null
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 && value < 1e11
}

/** Names with control characters would be other names in a log or in a tool. */
function nameIn(value: unknown, prefix: string): string | null {
  if (typeof value !== 'string' || value === '' || prefix.length + value.length > nameLengthMax) return null
  return /[\p{Cc}\p{Cf}\p{Cs}]/u.test(value) || value.trim() !== value ? null : prefix + value
}

function scopesIn(value: unknown): ReadonlySet<string> | null {
  if (value === undefined) return new Set()
  if (typeof value === 'string') return new Set(value.split(' ').slice(0, scopesMax))
  if (!Array.isArray(value) || value.some((each) => typeof each !== 'string')) return null
  return new Set((value as readonly string[]).slice(0, scopesMax))
}
