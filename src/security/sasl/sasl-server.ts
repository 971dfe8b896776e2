/** What the server's side of a SASL mechanism is. */

export type SaslStep =
  /** The client's turn. */
  | { readonly kind: 'continue'; readonly bytes: Uint8Array }
  | { readonly kind: 'done'; readonly userName: string; readonly bytes: Uint8Array }
  /** The reason is for our log; the client is told nothing but the failure. `isBusy`: nothing was judged, so nobody has failed. */
  | { readonly kind: 'failed'; readonly reason: string; readonly isBusy?: true }

export interface SaslServer {
  /** Whom the client says it is, as far as it has said so. */
  readonly userName: string | null
  step(message: Uint8Array): SaslStep | Promise<SaslStep>
}

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
export const saslMechanisms: readonly SaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
