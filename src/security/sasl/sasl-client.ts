/** What the client's side of a SASL mechanism is: towards a central cluster, or from the command line to a node. */
import type { SaslMechanism } from './sasl-server.ts'

export interface SaslClient {
  readonly mechanism: SaslMechanism
  /** The client's next message; `challenge` is null for the first. Throws a SaslClientError when the server is not to be believed. */
  respond(challenge: Uint8Array | null): Uint8Array | Promise<Uint8Array>
  /** The server has said its last word. Throws a SaslClientError when that does not prove what it must. */
  finish(last: Uint8Array): void
  /** Nothing but the server's last word is awaited. */
  readonly isDone: boolean
}

export class SaslClientError extends Error {
  readonly code = 'SASL_AUTHENTICATION_FAILED'
  constructor(reason: string) {
    super(`authentication: ${reason}`)
    this.name = 'SaslClientError'
  }
}
