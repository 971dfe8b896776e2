/** The client's side of each mechanism, by what it shows. */
import type { Compute, Entropy, GssInitiator } from '../../base/ports.ts'
import { GssapiClient } from './gssapi-client.ts'
import { type SaslClient, SaslClientError } from './sasl-client.ts'
import type { SaslMechanism } from './sasl-server.ts'
import { ScramClient } from './scram-client.ts'
import type { ScramMechanism } from './scram-crypto.ts'

/** What a client shows. Secrets come from files and are kept in memory alone. */
export type SaslLogin =
  | { readonly mechanism: 'PLAIN'; readonly userName: string; readonly password: string }
  | { readonly mechanism: ScramMechanism; readonly userName: string; readonly password: string }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: string }
  | { readonly mechanism: 'GSSAPI'; readonly context: GssInitiator }

export function saslClientOf(
  login: SaslLogin,
  ports: { readonly entropy: Pick<Entropy, 'bytes'>; readonly compute: Pick<Compute, 'deriveKey'> },
): SaslClient {
  switch (login.mechanism) {
    case 'PLAIN':
      return new OneMessageClient('PLAIN', `\0${login.userName}\0${login.password}`)
    case 'OAUTHBEARER':
      return new OneMessageClient('OAUTHBEARER', `n,,\x01auth=Bearer ${login.token}\x01\x01`)
    case 'GSSAPI':
      return new GssapiClient(login.context)
    default:
      return new ScramClient({ ...login, ...ports })
  }
}

/** PLAIN (RFC 4616) and OAUTHBEARER (RFC 7628): one message says it all. */
class OneMessageClient implements SaslClient {
  readonly mechanism: SaslMechanism
  readonly #message: string
  #isSent = false

  constructor(mechanism: SaslMechanism, message: string) {
    this.mechanism = mechanism
    this.#message = message
  }

  get isDone(): boolean {
    return this.#isSent
  }

  respond(challenge: Uint8Array | null): Uint8Array {
    if (challenge === null) {
      this.#isSent = true
      return Buffer.from(this.#message)
    }
    throw new SaslClientError('the server asks for more than there is')
  }

  /** OAUTHBEARER: anything but nothing is the reason of a refusal, in JSON. */
  finish(last: Uint8Array): void {
    if (last.length === 0) return
    const status = /"status"\s*:\s*"([a-z_]{1,40})"/.exec(Buffer.from(last.subarray(0, 1024)).toString('latin1'))?.[1]
    throw new SaslClientError(`the server refuses: ${status ?? 'it does not say why'}`)
  }
}
