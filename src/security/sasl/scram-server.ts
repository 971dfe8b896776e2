/**
 * The server's side of one SCRAM exchange (RFC 5802, 7677). Pure: it is given the credential and the nonce, and answers steps.
 *
 * A user that is not there is answered like one that is, up to the proof, which then cannot be right: nobody learns who exists.
 */
import { digestOf, hmac, isClientProof, type ScramMechanism } from './scram-crypto.ts'
import { type ClientFirst, readClientFinal, readClientFirst } from './scram-messages.ts'
import type { SaslServer, SaslStep } from './sasl-server.ts'
import type { ScramCredential } from '../scram-credentials.ts'

export interface ScramServerOptions {
  readonly mechanism: ScramMechanism
  /** Ours: printable, without a comma, never used before. */
  readonly nonce: string
  /** The user's credential, or an invented one: see `isReal`. */
  readonly credentialOf: (userName: string) => { readonly credential: ScramCredential; readonly isReal: boolean }
}

interface Challenged {
  readonly first: ClientFirst
  readonly serverFirst: string
  readonly nonce: string
  readonly credential: ScramCredential
  readonly isReal: boolean
}

export class ScramServer implements SaslServer {
  readonly #options: ScramServerOptions
  #challenged: Challenged | null = null
  #isOver = false

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  get userName(): string | null {
    return this.#challenged?.first.userName ?? null
  }

  step(message: Uint8Array): SaslStep {
    if (this.#isOver) return { kind: 'failed', reason: 'the exchange is over' }
    const step = this.#challenged === null ? this.#challenge(message) : this.#finish(message, this.#challenged)
    this.#isOver = step.kind !== 'continue'
    return step
  }

  #challenge(message: Uint8Array): SaslStep {
    const first = readClientFirst(message)
    if (typeof first === 'string') return { kind: 'failed', reason: first }
    const { credential, isReal } = this.#options.credentialOf(first.userName)
    const nonce = first.nonce + this.#options.nonce
    const salt = Buffer.from(credential.salt).toString('base64')
    const serverFirst = `r=${nonce},s=${salt},i=${credential.iterations}`
    this.#challenged = { first, serverFirst, nonce, credential, isReal }
    return { kind: 'continue', bytes: Buffer.from(serverFirst) }
  }

  #finish(message: Uint8Array, { first, serverFirst, nonce, credential, isReal }: Challenged): SaslStep {
    const digest = digestOf[this.#options.mechanism]
    const final = readClientFinal(message)
    if (typeof final === 'string') return { kind: 'failed', reason: final }
    if (final.nonce !== nonce) return { kind: 'failed', reason: 'the nonce is not the one of this exchange' }
    if (final.binding !== Buffer.from(first.gs2Header).toString('latin1')) {
      return { kind: 'failed', reason: 'the channel binding is not the one of client-first' }
    }
    const authMessage = `${first.bare},${serverFirst},${final.withoutProof}`
    const isProved = isClientProof(digest, credential.storedKey, authMessage, final.proof)
    if (!isProved || !isReal) return { kind: 'failed', reason: isReal ? 'wrong password' : 'unknown user' }
    const signature = Buffer.from(hmac(digest, credential.serverKey, authMessage)).toString('base64')
    return { kind: 'done', userName: first.userName, bytes: Buffer.from(`v=${signature}`) }
  }
}
