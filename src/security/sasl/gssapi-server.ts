/**
 * The server's side of GSSAPI (RFC 4752): tokens of Kerberos until the context stands, then the choice of a security layer, of which only "none" is
 * offered: TLS is the layer below.
 */
import type { GssContext } from '../../base/ports.ts'
import { strictUtf8 } from '../../base/strict-utf8.ts'
import type { SaslServer, SaslStep } from './sasl-server.ts'

export interface GssapiServerOptions {
  readonly context: GssContext
  /** The name of a user for a Kerberos principal; null = no rule fits. */
  readonly localName: (principal: string) => string | null
}

/** Tickets with many groups in them grow; a Kafka client's are below 16 KiB. */
const tokenBytesMax = 65_536
/** Kerberos takes one or two. */
const tokensMax = 4
/** Bit 1: no security layer; no buffer, since nothing is wrapped. */
const layerOffer = Uint8Array.of(1, 0, 0, 0)
const noBytes = new Uint8Array(0)

export class GssapiServer implements SaslServer {
  readonly #options: GssapiServerOptions
  userName: string | null = null
  #principal = ''
  #state: 'tokens' | 'acknowledge' | 'layer' | 'over' = 'tokens'
  #tokens = 0

  constructor(options: GssapiServerOptions) {
    this.#options = options
  }

  async step(bytes: Uint8Array): Promise<SaslStep> {
    const state = this.#state
    this.#state = 'over'
    if (state === 'over') return failed('the exchange is over')
    if (bytes.length > tokenBytesMax) return failed('the message is too long')
    try {
      if (state === 'tokens') return await this.#accept(bytes)
      if (state === 'layer') return await this.#choose(bytes)
      return bytes.length === 0 ? await this.#offer() : failed('an empty message was due')
    } catch (thrown) {
      return failed(thrown instanceof Error ? thrown.message : String(thrown))
    }
  }

  async #accept(token: Uint8Array): Promise<SaslStep> {
    if (token.length === 0) return failed('an empty message in place of a token')
    if (++this.#tokens > tokensMax) return failed('the exchange has no end')
    const { context, localName } = this.#options
    const { bytes, name } = await context.accept(token)
    if (name === null) {
      this.#state = 'tokens'
      return { kind: 'continue', bytes }
    }
    this.#principal = name
    this.userName = localName(name)
    if (this.userName === null) return failed(`no rule of sasl.kerberos.principal.to.local.rules fits ${name}`)
    if (bytes.length === 0) return this.#offer()
    this.#state = 'acknowledge'
    return { kind: 'continue', bytes }
  }

  async #offer(): Promise<SaslStep> {
    const bytes = await this.#options.context.wrap(layerOffer)
    this.#state = 'layer'
    return { kind: 'continue', bytes }
  }

  async #choose(wrapped: Uint8Array): Promise<SaslStep> {
    const chosen = await this.#options.context.unwrap(wrapped)
    const { userName } = this
    if (chosen.length < 4 || userName === null) return failed('the choice of a security layer is cut off')
    if (chosen[0] !== 1) return failed('the client chooses a security layer that was not offered')
    const authorization = strictUtf8(chosen.subarray(4))
    if (authorization === null) return failed('the authorization identity is not UTF-8')
    // Who speaks for somebody else is refused.
    if (authorization !== '' && authorization !== userName && authorization !== this.#principal) {
      return failed('the authorization identity is not the one of the ticket')
    }
    return { kind: 'done', userName, bytes: noBytes }
  }
}

function failed(reason: string): SaslStep {
  return { kind: 'failed', reason }
}
