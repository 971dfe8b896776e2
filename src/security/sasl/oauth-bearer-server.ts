/**
 * The server's side of OAUTHBEARER (RFC 7628, KIP-255): one message with a token. What is not taken is said in JSON; the client replies with
 * one byte, and then the exchange fails.
 */
import type { TokenVerdict } from '../tokens/token-check.ts'
import { failureMessage, isFailureReply, readBearer, type TokenFailure } from './oauth-bearer-messages.ts'
import type { SaslServer, SaslStep } from './sasl-server.ts'

export interface OAuthBearerServerOptions {
  readonly check: (token: string) => Promise<TokenVerdict>
  /** What a token must be good for: told with `insufficient_scope`. */
  readonly scope: readonly string[]
}

export class OAuthBearerServer implements SaslServer {
  readonly #options: OAuthBearerServerOptions
  userName: string | null = null
  #state: 'first' | 'told' | 'over' = 'first'
  #told = ''

  constructor(options: OAuthBearerServerOptions) {
    this.#options = options
  }

  async step(bytes: Uint8Array): Promise<SaslStep> {
    const { check } = this.#options
    if (this.#state === 'over') return { kind: 'failed', reason: 'the exchange is over' }
    if (this.#state === 'told') {
      this.#state = 'over'
      const reason = isFailureReply(bytes) ? 'the token was refused' : 'a message after a refusal'
      return { kind: 'failed', reason, told: this.#told }
    }
    this.#state = 'over'
    const message = readBearer(bytes)
    if (typeof message === 'string') return this.#tell('invalid_request', message, true)
    const verdict = await check(message.token)
    if (verdict.kind === 'busy') return { kind: 'failed', reason: verdict.reason, isBusy: true }
    this.userName = verdict.userName
    if (verdict.kind === 'wrong') return this.#tell(verdict.status, verdict.reason, verdict.isGuess)
    // Who speaks for somebody else is refused, as everywhere (CVE-2017-12610).
    if (message.authorization !== null && message.authorization !== verdict.userName) {
      return this.#tell('invalid_token', 'the authorization identity is not the one of the token', false)
    }
    const { userName, lifetimeMs } = verdict
    return { kind: 'done', userName, bytes: new Uint8Array(0), lifetimeMs }
  }

  #tell(status: TokenFailure, reason: string, isGuess: boolean): SaslStep {
    this.#state = 'told'
    const { scope } = this.#options
    this.#told = failureMessage(status, status === 'insufficient_scope' ? scope : [])
    return { kind: 'continue', bytes: Buffer.from(this.#told), refused: { reason, isGuess } }
  }
}
