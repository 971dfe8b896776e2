/**
 * The client's side of GSSAPI (RFC 4752): tokens of Kerberos until both sides know each other, then the choice of a security layer, which is
 * always "none": TLS is the layer below.
 */
import type { GssInitiator } from '../../base/ports.ts'
import { asError } from '../../base/errors.ts'
import { type SaslClient, SaslClientError } from './sasl-client.ts'

const noBytes = new Uint8Array(0)
/** Bit 1 of an offer: no security layer. */
const noLayer = 1
const offerBytes = 4
/** No layer, no buffer, and no name: whoever the ticket names. */
const choice = Uint8Array.of(noLayer, 0, 0, 0)

export class GssapiClient implements SaslClient {
  readonly mechanism = 'GSSAPI'
  readonly #context: GssInitiator
  #state: 'tokens' | 'layer' | 'done' = 'tokens'

  constructor(context: GssInitiator) {
    this.#context = context
  }

  get isDone(): boolean {
    return this.#state === 'done'
  }

  async respond(challenge: Uint8Array | null): Promise<Uint8Array> {
    try {
      return this.#state === 'tokens' ? await this.#initiate(challenge) : await this.#choose(challenge ?? noBytes)
    } catch (thrown) {
      if (thrown instanceof SaslClientError) throw thrown
      throw new SaslClientError(`GSSAPI: ${asError(thrown).message}`)
    }
  }

  async #initiate(challenge: Uint8Array | null): Promise<Uint8Array> {
    const { bytes, isComplete } = await this.#context.initiate(challenge ?? noBytes)
    if (isComplete) this.#state = 'layer'
    return bytes
  }

  async #choose(challenge: Uint8Array): Promise<Uint8Array> {
    const offer = await this.#context.unwrap(challenge)
    if (offer.length !== offerBytes) throw new SaslClientError('the offer of security layers is cut off')
    if (((offer[0] as number) & noLayer) === 0) {
      throw new SaslClientError('the server demands a security layer of Kerberos, which is not spoken: use TLS')
    }
    this.#state = 'done'
    return this.#context.wrap(choice)
  }

  finish(last: Uint8Array): void {
    if (last.length > 0) throw new SaslClientError('the server goes on after the end')
  }
}
