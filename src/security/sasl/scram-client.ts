/**
 * The client's side of SCRAM (RFC 5802, 7677). The server must know the password too: its signature is checked, and with it every message of
 * the exchange. What it may cost us is bounded, and a count of iterations that would give the password away is refused.
 */
import type { Compute, Entropy } from '../../base/ports.ts'
import { strictUtf8 } from '../../base/strict-utf8.ts'
import { writeSaslName } from './sasl-name.ts'
import { type SaslClient, SaslClientError } from './sasl-client.ts'
import { clientProofOf, digestOf, isSame, type ScramMechanism, serverSignatureOf } from './scram-crypto.ts'
import { fromBase64, scramMessageBytesMax } from './scram-messages.ts'

export interface ScramClientOptions {
  readonly mechanism: ScramMechanism
  readonly userName: string
  readonly password: string
  readonly entropy: Pick<Entropy, 'bytes'>
  readonly compute: Pick<Compute, 'deriveKey'>
}

const nonceBytes = 24
/** Kafka's least; RFC 7677 asks for as many. */
const iterationsMin = 4096
/** A second or so of one core: a server that asks for more wants to keep us busy. */
const iterationsMax = 1_000_000
const saltBytesMax = 1024
const gs2Header = 'n,,'

export class ScramClient implements SaslClient {
  readonly mechanism: ScramMechanism
  readonly #options: ScramClientOptions
  readonly #nonce: string
  readonly #bare: string
  #state: 'first' | 'final' | 'verify' | 'over' = 'first'
  #serverSignature: Uint8Array | null = null

  constructor(options: ScramClientOptions) {
    this.mechanism = options.mechanism
    this.#options = options
    this.#nonce = Buffer.from(options.entropy.bytes(nonceBytes)).toString('base64url')
    this.#bare = `n=${writeSaslName(options.userName)},r=${this.#nonce}`
  }

  get isDone(): boolean {
    return this.#state === 'verify' || this.#state === 'over'
  }

  async respond(challenge: Uint8Array | null): Promise<Uint8Array> {
    if (this.#state === 'first' && challenge === null) {
      this.#state = 'final'
      return Buffer.from(gs2Header + this.#bare)
    }
    if (this.#state !== 'final' || challenge === null) throw new SaslClientError('the exchange is out of step')
    this.#state = 'verify'
    return this.#prove(textOf(challenge))
  }

  finish(last: Uint8Array): void {
    if (this.#state !== 'verify' || this.#serverSignature === null) throw new SaslClientError('the exchange is cut off')
    this.#state = 'over'
    const text = textOf(last)
    if (text.startsWith('e=')) throw new SaslClientError('the server refuses the proof')
    const signature = fromBase64(/^v=([A-Za-z0-9+/=]+)(?:,[A-Za-z]=.*)?$/.exec(text)?.[1] ?? '')
    if (signature === null || !isSame(signature, this.#serverSignature)) {
      throw new SaslClientError('the server does not know the password: it is not the one it claims to be')
    }
  }

  async #prove(serverFirst: string): Promise<Uint8Array> {
    const { nonce, salt, iterations } = this.#readServerFirst(serverFirst)
    const digest = digestOf[this.mechanism]
    const { compute, password } = this.#options
    const saltedPassword = await compute.deriveKey({ password: Buffer.from(password), salt, iterations, digest })
    const withoutProof = `c=${Buffer.from(gs2Header).toString('base64')},r=${nonce}`
    const authMessage = `${this.#bare},${serverFirst},${withoutProof}`
    this.#serverSignature = serverSignatureOf(digest, saltedPassword, authMessage)
    const proof = clientProofOf(digest, saltedPassword, authMessage)
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`)
  }

  #readServerFirst(text: string): { readonly nonce: string; readonly salt: Uint8Array; readonly iterations: number } {
    if (text.startsWith('e=')) throw new SaslClientError('the server refuses the user')
    if (text.startsWith('m=')) throw new SaslClientError('the server demands an extension that is not known')
    const match = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/=]+),i=([1-9]\d{0,9})(?:,[A-Za-z]=.*)?$/.exec(text)
    const [, nonce = '', saltText, count] = match ?? []
    const salt = fromBase64(saltText ?? '')
    if (match === null || salt === null || salt.length > saltBytesMax) {
      throw new SaslClientError('the challenge of the server is malformed')
    }
    // Its part must be there, or an old exchange could be played again.
    if (!nonce.startsWith(this.#nonce) || nonce.length === this.#nonce.length) {
      throw new SaslClientError('the nonce of the server does not go on from ours')
    }
    const iterations = Number(count)
    if (iterations < iterationsMin || iterations > iterationsMax) {
      throw new SaslClientError(`${iterations} iterations are not between ${iterationsMin} and ${iterationsMax}`)
    }
    return { nonce, salt, iterations }
  }
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length > scramMessageBytesMax) throw new SaslClientError('a message of the server is too long')
  const text = strictUtf8(bytes)
  if (text === null) throw new SaslClientError('a message of the server is not UTF-8')
  return text
}
