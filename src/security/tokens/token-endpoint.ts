/**
 * Tokens from an issuer, by the client credentials grant (RFC 6749, section 4.4), as Apache Kafka's clients get theirs (KIP-768). A token is shown
 * while enough of its life is left for a session; then a new one is asked for, and while none can be had the old one goes on to its end.
 */
import type { Clock, Net } from '../../base/ports.ts'
import { tokenLengthMax, tokenPattern } from '../sasl/oauth-bearer-messages.ts'

export interface TokenEndpointOptions {
  /** Judged by `tokenEndpointFault`; no file. */
  readonly url: string
  readonly clientId: string
  readonly scope: string | null
  /** sasl.oauthbearer.header.urlencode: id and secret are encoded before they are joined, as RFC 6749 wants it. Kafka's default is false. */
  readonly isHeaderEncoded: boolean
}

export interface TokenEndpointSecrets {
  readonly clientSecret: string
  /** PEM; null = the public authorities. */
  readonly ca: Uint8Array | null
}

const fetchMs = 10_000
const answerBytesMax = 65_536
/** Share of its life after which a token is old: sasl.login.refresh.window.factor of Apache Kafka. A session ends with the token it began with. */
const freshShare = 0.8
/** That much is left of it at least, of a short life half. */
const leftMsMin = 60_000
const freshShareMin = 0.5
/** A token that ends within this time is not shown any more: it has to reach the other side, whose clock is another one. */
const lastMs = 5_000
/** Longest that a token is kept, whatever it says. */
const keptMsMax = 86_400_000

interface KeptToken {
  readonly token: string
  readonly clientSecret: string
  /** Monotonic. */
  readonly freshUntilMs: number
  readonly endsMs: number
}

export class TokenEndpoint {
  readonly #options: TokenEndpointOptions
  readonly #ports: { readonly net: Pick<Net, 'fetchDocument'>; readonly clock: Pick<Clock, 'monotonicMs'> }
  #kept: KeptToken | null = null
  #asking: Promise<KeptToken> | null = null

  constructor(
    options: TokenEndpointOptions,
    ports: { readonly net: Pick<Net, 'fetchDocument'>; readonly clock: Pick<Clock, 'monotonicMs'> },
  ) {
    this.#options = options
    this.#ports = ports
  }

  /** A token that is good for a while. Rejects when there is none, with the reason and without a secret. */
  async token(secrets: TokenEndpointSecrets): Promise<string> {
    const nowMs = this.#ports.clock.monotonicMs()
    // A token that was got with another secret is another client's.
    const kept = this.#kept?.clientSecret === secrets.clientSecret ? this.#kept : null
    if (kept !== null && nowMs < kept.freshUntilMs) return kept.token
    this.#asking ??= this.#ask(secrets).finally(() => {
      this.#asking = null
    })
    try {
      this.#kept = await this.#asking
      return this.#kept.token
    } catch (thrown) {
      if (kept !== null && this.#ports.clock.monotonicMs() < kept.endsMs) return kept.token
      throw thrown
    }
  }

  async #ask({ clientSecret, ca }: TokenEndpointSecrets): Promise<KeptToken> {
    const { url, clientId, scope, isHeaderEncoded } = this.#options
    const { net, clock } = this.#ports
    const askedMs = clock.monotonicMs()
    const encoded = (text: string): string => (isHeaderEncoded ? formEncoded(text) : text)
    const answer = await net.fetchDocument({
      url,
      timeoutMs: fetchMs,
      bytesMax: answerBytesMax,
      ca,
      form: {
        fields: { grant_type: 'client_credentials', ...(scope === null ? {} : { scope }) },
        authorization: `Basic ${Buffer.from(`${encoded(clientId)}:${encoded(clientSecret)}`).toString('base64')}`,
      },
    })
    const { token, lifetimeMs } = readTokenAnswer(answer)
    return {
      token,
      clientSecret,
      freshUntilMs: askedMs + freshMsOf(lifetimeMs),
      endsMs: askedMs + lifetimeMs - lastMs,
    }
  }
}

function freshMsOf(lifetimeMs: number): number {
  return Math.max(lifetimeMs * freshShareMin, Math.min(lifetimeMs * freshShare, lifetimeMs - leftMsMin))
}

/** The answer of an issuer (RFC 6749, section 5.1). Throws an Error that says what is wrong with it. */
export function readTokenAnswer(bytes: Uint8Array): { readonly token: string; readonly lifetimeMs: number } {
  const answer = objectOf(Buffer.from(bytes).toString('utf8'))
  if (answer === null) throw new Error('the issuer answers with something that is no JSON object')
  const token = answer.get('access_token')
  const type = answer.get('token_type')
  if (typeof token !== 'string') throw new Error('the answer of the issuer holds no access_token')
  if (type !== undefined && (typeof type !== 'string' || type.toLowerCase() !== 'bearer')) {
    throw new Error('the token of the issuer is no bearer token')
  }
  if (token.length > tokenLengthMax || !tokenPattern.test(token))
    throw new Error('the token of the issuer is malformed')
  return { token, lifetimeMs: Math.min(keptMsMax, lifetimeOf(answer.get('expires_in'), token)) }
}

/** By what the issuer says of it, or by its own claims; a token that tells neither is asked for each time. */
function lifetimeOf(expiresIn: unknown, token: string): number {
  if (typeof expiresIn === 'number' && expiresIn > 0) return expiresIn * 1000
  const claims = objectOf(Buffer.from(token.split('.', 3)[1] ?? '', 'base64url').toString('utf8'))
  const [issued, ends] = [claims?.get('iat'), claims?.get('exp')]
  return typeof issued === 'number' && typeof ends === 'number' && ends > issued ? (ends - issued) * 1000 : 0
}

function objectOf(text: string): ReadonlyMap<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(text)
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? new Map(Object.entries(read)) : null
  } catch {
    return null
  }
}

/** One value of application/x-www-form-urlencoded. */
function formEncoded(text: string): string {
  return new URLSearchParams({ '': text }).toString().slice(1)
}
