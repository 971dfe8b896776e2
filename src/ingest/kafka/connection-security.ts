/**
 * Who one connection speaks for, from its first byte on: SASL by SaslHandshake and SaslAuthenticate (KIP-43, 152), by bare tokens after
 * a handshake of version 0, and again before its session ends (KIP-368).
 *
 * Until a client has authenticated only ApiVersions, SaslHandshake and SaslAuthenticate are answered, its frames are small, and it has
 * ten seconds in all.
 */
import type { Clock, Timer } from '../../base/ports.ts'
import { errorCode } from '../../protocol/kafka/error-codes.ts'
import type {
  SaslAuthenticateRequest,
  SaslAuthenticateResponseInput,
} from '../../protocol/kafka/messages/sasl-authenticate.ts'
import type { SaslHandshakeRequest, SaslHandshakeResponseInput } from '../../protocol/kafka/messages/sasl-handshake.ts'
import type { Authenticator, SaslExchange } from '../../security/authenticator.ts'
import { anonymousPrincipal, userPrincipal } from '../../security/principal.ts'
import type { SaslMechanism, SaslStep } from '../../security/sasl/sasl-server.ts'

/** How a listener authenticates its clients. */
export interface SaslListener {
  readonly mechanisms: readonly SaslMechanism[]
  readonly authenticator: Authenticator
  /** connections.max.reauth.ms; 0 = a session has no end. */
  readonly sessionMs: () => number
}

export interface ConnectionSecurityOptions {
  /** Null: the connection speaks for `principal` from the start. */
  readonly sasl: SaslListener | null
  readonly principal: string
  readonly clock: Clock
  readonly host: string
  /** What the handshakes below have used of the time. */
  readonly openingMs: number
  /** The client has authenticated for the first time. */
  readonly onOpen: () => void
  /** It has not, in time. */
  readonly onLate: () => void
}

/** sasl.server.max.receive.size: Kafka's default. */
const unauthenticatedFrameBytesMax = 524_288
/** Of a stranger's frame that is announced; the rest gets memory as it comes. Most messages of SASL are shorter. */
const announcedBytesMax = 4096
/** From `accept` until the client has authenticated, however it spends them. */
const authenticateMs = 10_000
const handshakeApi = 17
const apiVersionsApi = 18
const authenticateApi = 36

/** The frames of a client that has not authenticated. */
export function strangersFrames(requestBytesMax: number) {
  return {
    frameBytesMax: Math.min(requestBytesMax, unauthenticatedFrameBytesMax),
    reservedBytesMax: announcedBytesMax,
  }
}

/** What to do with a frame: hand it to its handler, take it as a bare token, or close the connection. */
export type FrameVerdict = 'request' | 'token' | { readonly refused: string }

export class ConnectionSecurity {
  principal: string
  readonly #options: ConnectionSecurityOptions
  #state: 'open' | 'handshake' | 'authenticate' | 'token' | 'over'
  #exchange: SaslExchange | null = null
  #isBusy = false
  /** What the client authenticated by first: a renewal keeps it. */
  #mechanism: SaslMechanism | null = null
  #sessionEndMs = Number.POSITIVE_INFINITY
  /** How long the last authentication is good for; 0 = without end. */
  #sessionMs = 0
  #hasVersions = false
  /** What the client was told of its failure, by the mechanism. */
  #told: string | null = null
  #deadline: Timer | null = null

  constructor(options: ConnectionSecurityOptions) {
    const { sasl, principal, clock, openingMs } = options
    this.#options = options
    this.#state = sasl === null ? 'open' : 'handshake'
    this.principal = sasl === null ? principal : anonymousPrincipal
    if (sasl !== null) {
      this.#deadline = clock.schedule(Math.max(1, authenticateMs - openingMs), () => options.onLate())
    }
  }

  get isAuthenticated(): boolean {
    return this.#state === 'open' || this.#mechanism !== null
  }

  /** The exchange has failed: the connection ends with its answer. */
  get hasFailed(): boolean {
    return this.#state === 'over'
  }

  /** A step is being judged: the frames behind it wait. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  judge(apiKey: number): FrameVerdict {
    switch (this.#state) {
      case 'open':
        if (!this.#isExpired() || apiKey === handshakeApi) return 'request'
        return { refused: 'the session has ended and was not renewed' }
      case 'handshake':
        if (apiKey === handshakeApi || (apiKey === apiVersionsApi && !this.#hasVersions)) return 'request'
        return { refused: `API key ${apiKey} before SaslHandshake` }
      case 'authenticate':
        if (apiKey === authenticateApi || apiKey === handshakeApi) return 'request'
        // A client that renews its session may have requests under way.
        if (this.#mechanism !== null && !this.#isExpired()) return 'request'
        return { refused: `API key ${apiKey} in place of SaslAuthenticate` }
      case 'token':
        return 'token'
      case 'over':
        return { refused: 'a request after authentication has failed' }
    }
  }

  #isExpired(): boolean {
    return Number.isFinite(this.#sessionEndMs) && this.#options.clock.monotonicMs() >= this.#sessionEndMs
  }

  /** The connection is gone. */
  close(): void {
    if (this.#deadline !== null) this.#options.clock.cancel(this.#deadline)
    this.#deadline = null
  }

  /** The client was told which versions there are: a stranger asks once, as at Apache Kafka. */
  versionsTold(): void {
    this.#hasVersions = true
  }

  /** SaslHandshake 0-1. */
  handshake({ mechanism }: SaslHandshakeRequest, apiVersion: number): SaslHandshakeResponseInput {
    const { sasl, host } = this.#options
    // In the middle of an exchange it is the end of both.
    if (this.#state === 'authenticate') this.#state = 'over'
    if (sasl === null || !(this.#state === 'handshake' || this.#mayRenew())) {
      return { errorCode: errorCode('ILLEGAL_SASL_STATE'), mechanisms: [] }
    }
    const { mechanisms, authenticator } = sasl
    const chosen = mechanisms.find((each) => each === mechanism)
    if (chosen === undefined) {
      this.#state = 'over'
      return { errorCode: errorCode('UNSUPPORTED_SASL_MECHANISM'), mechanisms }
    }
    if (this.#mechanism !== null && this.#mechanism !== chosen) {
      this.#state = 'over'
      return { errorCode: errorCode('ILLEGAL_SASL_STATE'), mechanisms: [] }
    }
    this.#exchange = authenticator.begin(chosen, host)
    this.#state = apiVersion === 0 ? 'token' : 'authenticate'
    return { errorCode: 0, mechanisms }
  }

  /** As often as the client likes: kafkajs does with every request of a session's last ten seconds, and Apache Kafka refuses that. */
  #mayRenew(): boolean {
    return this.#state === 'open' && Number.isFinite(this.#sessionEndMs)
  }

  /** SaslAuthenticate 0-2. */
  async authenticate({ authBytes }: SaslAuthenticateRequest): Promise<SaslAuthenticateResponseInput> {
    if (this.#state !== 'authenticate') {
      const errorMessage = 'SaslAuthenticate request received after successful authentication'
      return { errorCode: errorCode('ILLEGAL_SASL_STATE'), errorMessage }
    }
    const bytes = await this.#step(authBytes)
    if (bytes === null) {
      const errorMessage = this.#told ?? 'Authentication failed: the credentials were not accepted'
      return { errorCode: errorCode('SASL_AUTHENTICATION_FAILED'), errorMessage }
    }
    const sessionLifetimeMs = this.#exchange === null ? this.#sessionMs : 0
    return { errorCode: 0, errorMessage: '', authBytes: bytes, sessionLifetimeMs }
  }

  /** A bare token; answers the server's, or null when the connection ends. */
  token(frame: Uint8Array): Promise<Uint8Array | null> {
    return this.#step(frame)
  }

  async #step(message: Uint8Array): Promise<Uint8Array | null> {
    const exchange = this.#exchange
    if (exchange === null) throw new Error('a SASL step without an exchange')
    this.#isBusy = true
    try {
      const step = await exchange.step(message, (user) => this.#objection(user))
      if (step.kind === 'failed') {
        this.#state = 'over'
        this.#told = step.told ?? null
        return null
      }
      if (step.kind === 'done') this.#done(step, exchange.mechanism)
      return step.bytes
    } finally {
      this.#isBusy = false
    }
  }

  #objection(user: string): string | null {
    const isOther = this.#mechanism !== null && this.principal !== userPrincipal(user)
    return isOther ? 'another user than the one whose session is renewed' : null
  }

  #done({ userName, lifetimeMs = 0 }: SaslStep & { readonly kind: 'done' }, mechanism: SaslMechanism): void {
    const { sasl, clock, onOpen } = this.#options
    const isFirst = this.#mechanism === null
    // Of the setting's and the credential's time the shorter one (KIP-368).
    const bounds = [sasl?.sessionMs() ?? 0, lifetimeMs].filter((boundMs) => boundMs > 0)
    const sessionMs = bounds.length === 0 ? 0 : Math.min(...bounds)
    this.principal = userPrincipal(userName)
    this.#sessionMs = sessionMs
    this.#mechanism = mechanism
    this.#exchange = null
    this.#state = 'open'
    this.#sessionEndMs = sessionMs > 0 ? clock.monotonicMs() + sessionMs : Number.POSITIVE_INFINITY
    this.close()
    if (isFirst) onOpen()
  }
}
