/** What the server's side of a SASL mechanism is. */

export type SaslStep =
  /** The client's turn. `refused`: it is told no, and may reply to that; then the exchange fails. */
  | {
      readonly kind: 'continue'
      readonly bytes: Uint8Array
      readonly refused?: { readonly reason: string; readonly isGuess: boolean }
    }
  /** `lifetimeMs`: how long what was shown is good for; without it, without end. */
  | { readonly kind: 'done'; readonly userName: string; readonly bytes: Uint8Array; readonly lifetimeMs?: number }
  /**
   * The reason is for our log; the client is told nothing but the failure, and `told`, which it has been told before. `isBusy`: nothing was judged,
   * so nobody has failed.
   */
  | { readonly kind: 'failed'; readonly reason: string; readonly isBusy?: true; readonly told?: string }

export interface SaslServer {
  /** Whom the client says it is, as far as it has said so. */
  readonly userName: string | null
  step(message: Uint8Array): SaslStep | Promise<SaslStep>
}

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER' | 'GSSAPI'
