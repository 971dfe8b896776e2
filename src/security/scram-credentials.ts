/** SCRAM credentials of users, as UserScramCredentialRecords tell them (KIP-554). Pure: the metadata image fills it. */
import type { ScramKeys, ScramMechanism } from './sasl/scram-crypto.ts'

export interface ScramCredential extends ScramKeys {
  readonly salt: Uint8Array
  readonly iterations: number
}

export class ScramCredentials {
  /** By user; bounded by the controller, which refuses more than it says. */
  readonly #users = new Map<string, Map<ScramMechanism, ScramCredential>>()
  /** The same users, to take one at a place, and the place of each. */
  readonly #names: string[] = []
  readonly #places = new Map<string, number>()

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

  /** Some user, the same for the same number as long as nobody comes or goes; undefined = there is none. */
  nameAt(place: number): string | undefined {
    return this.#names[place % this.#names.length]
  }

  set(userName: string, mechanism: ScramMechanism, credential: ScramCredential): void {
    let known = this.#users.get(userName)
    if (known === undefined) {
      known = new Map()
      this.#users.set(userName, known)
      this.#places.set(userName, this.#names.push(userName) - 1)
    }
    known.set(mechanism, credential)
  }

  delete(userName: string, mechanism: ScramMechanism): void {
    const known = this.#users.get(userName)
    known?.delete(mechanism)
    if (known?.size !== 0) return
    this.#users.delete(userName)
    const last = this.#names.pop() as string
    const place = this.#places.get(userName) as number
    this.#places.delete(userName)
    if (last === userName) return
    this.#names[place] = last
    this.#places.set(last, place)
  }
}
