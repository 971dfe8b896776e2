/** From settings to what tokens are judged by and where the keys come from. */
import { isLoopbackHost } from '../../base/loopback.ts'
import type { TokenPolicy } from './token-claims.ts'
import type { TokenKeyOptions } from './token-key-keeper.ts'

/** The `oauthbearer` section of the configuration. */
export interface TokenSection {
  readonly requiredScopes: readonly string[]
  readonly whileTimeUnknown: 'refuse' | 'accept'
  readonly jwksCa: string | null
  /** Beside the one of the settings. */
  readonly issuers: readonly IssuerSection[]
}

export interface IssuerSection {
  readonly issuer: string
  readonly jwksUrl: string
  readonly jwksCa: string | null
  readonly audiences: readonly string[]
  readonly requiredScopes: readonly string[]
  readonly userPrefix: string
}

/** One issuer: what its tokens are judged by, and where its keys are. */
export interface TokenIssuer {
  readonly policy: TokenPolicy
  readonly keys: TokenKeyOptions
}

interface Settings {
  text(name: string): string
  number(name: string): number
}

/** What is wrong with the URL of a key set; null = nothing. */
export function tokenKeyUrlFault(written: string): string | null {
  return urlFault(written, 'whoever is on the way could put keys of his own in place of these')
}

/** What is wrong with the URL of a token endpoint, or of a token in a file; null = nothing. */
export function tokenEndpointFault(written: string): string | null {
  return urlFault(written, 'whoever is on the way could read the secret and the token')
}

function urlFault(written: string, danger: string): string | null {
  let url: URL
  try {
    url = new URL(written)
  } catch {
    return `${written} is no URL`
  }
  const { protocol, hostname, host, username, password } = url
  if (username !== '' || password !== '') return 'a name and a password in a URL end up in logs'
  if (protocol === 'https:') return null
  if (protocol === 'file:') return host === '' ? null : 'a file is written file:///PATH'
  if (protocol !== 'http:') return 'only https:, file: and (on this machine) http: are known'
  return isLoopbackHost(hostname) ? null : `${danger}: use https`
}

/** The issuer of the settings, and those of the section. `dataDir` holds what is kept of URLs. */
export function tokenIssuersOf(settings: Settings, section: TokenSection, dataDir: string): readonly TokenIssuer[] {
  const first = {
    policy: tokenPolicyOf(settings, section),
    keys: tokenKeyOptionsOf(settings, section, dataDir),
  }
  const others = section.issuers.map(({ issuer, jwksUrl, jwksCa, audiences, requiredScopes, userPrefix }, index) => ({
    policy: { ...first.policy, issuer, audiences, requiredScopes, userPrefix },
    keys: { ...first.keys, url: jwksUrl, ca: jwksCa, cachePath: `${dataDir}/state/token-keys-${index + 2}.json` },
  }))
  return [first, ...others]
}

function tokenPolicyOf(settings: Settings, section: TokenSection): TokenPolicy {
  const issuer = settings.text('sasl.oauthbearer.expected.issuer').trim()
  return {
    audiences: listOf(settings.text('sasl.oauthbearer.expected.audience')),
    issuer: issuer === '' ? null : issuer,
    clockSkewMs: settings.number('sasl.oauthbearer.clock.skew.seconds') * 1000,
    scopeClaim: settings.text('sasl.oauthbearer.scope.claim.name'),
    subjectClaim: settings.text('sasl.oauthbearer.sub.claim.name'),
    userPrefix: '',
    requiredScopes: section.requiredScopes,
    whileTimeUnknown: section.whileTimeUnknown,
  }
}

function tokenKeyOptionsOf(settings: Settings, section: TokenSection, dataDir: string): TokenKeyOptions {
  return {
    url: settings.text('sasl.oauthbearer.jwks.endpoint.url'),
    ca: section.jwksCa,
    refreshMs: settings.number('sasl.oauthbearer.jwks.endpoint.refresh.ms'),
    backoffMs: settings.number('sasl.oauthbearer.jwks.endpoint.retry.backoff.ms'),
    backoffMsMax: settings.number('sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms'),
    cachePath: `${dataDir}/state/token-keys.json`,
  }
}

function listOf(written: string): readonly string[] {
  return written
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
}
