/** SCRAM credentials of users, as UserScramCredentialRecords tell them (KIP-554). Pure: the metadata image fills it. */
import type { ScramKeys, ScramMechanism } from './sasl/scram-crypto.ts'

export interface ScramCredential extends ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
}

export class ScramCredentials {
  /** By user; bounded by the controller, which refuses more than it says. */
  readonly #users = new Map<string, Map<ScramMechanism, ScramCredential>>()

  /** Users that have a credential. */
  get size(): number {
    return this.#users.size
  }

  get(userName: string, mechanism: ScramMechanism): ScramCredential | undefined {
    return this.#users.get(userName)?.get(mechanism)
  }

  ofUser(userName: string): ReadonlyMap<ScramMechanism, ScramCredential> | undefined {
    return this.#users.get(userName)
  }

  users(): IterableIterator<string> {
    return this.#users.keys()
  }

  set(userName: string, mechanism: ScramMechanism, credential: ScramCredential): void {
    const known = this.#users.get(userName) ?? new Map<ScramMechanism, ScramCredential>()
    known.set(mechanism, credential)
    this.#users.set(userName, known)
  }

  delete(userName: string, mechanism: ScramMechanism): void {
    const known = this.#users.get(userName)
    known?.delete(mechanism)
    if (known?.size === 0) this.#users.delete(userName)
  }
}
