/**
 * SCRAM credentials of users, described and altered (KIP-554). A change of one user is all or nothing; users are judged one by one. What
 * comes is a password that the client has salted and hashed, what is kept cannot play the client.
 */
import type { Observer } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { MetadataImage } from '../cluster/metadata/metadata-image.ts'
import type { Refusal } from '../cluster/metadata/metadata-controller.ts'
import type { MetadataRecordInput } from '../protocol/kafka/stored/metadata-record.ts'
import { digestOf, scramKeysOf, scramMechanismCode, scramMechanismOf } from '../security/sasl/scram-crypto.ts'
import { adminEvents } from './admin-events.ts'
import { storageRefusal } from './storage-refusal.ts'

export interface ScramDeletion {
  readonly name: string
  readonly mechanism: number
}

export interface ScramUpsertion extends ScramDeletion {
  readonly iterations: number
  readonly salt: Uint8Array
  readonly saltedPassword: Uint8Array
}

export interface UserOutcome {
  readonly user: string
  readonly refusal: Refusal | null
}

export interface DescribedUser extends UserOutcome {
  readonly credentials: readonly { readonly mechanism: number; readonly iterations: number }[]
}

/** Kafka's bounds: fewer can be guessed too fast, more is work for us at each password. */
const iterationsMin = 4096
const iterationsMax = 16_384
/** Users with a credential: each is memory, and a record at every start. */
const usersMax = 10_000
const nameLengthMax = 255
const saltBytesMax = 1024

export class ScramAdmin {
  readonly #cluster: Cluster
  readonly #observer: Observer

  constructor(cluster: Cluster, observer: Observer) {
    this.#cluster = cluster
    this.#observer = observer
  }

  /** Mechanisms and iterations of the users that are named, or (null or none) of all that have a credential. */
  describe(names: readonly string[] | null): readonly DescribedUser[] {
    const { credentials } = this.#cluster.image
    const counts = new Map<string, number>()
    for (const name of names ?? []) counts.set(name, (counts.get(name) ?? 0) + 1)
    const wanted = counts.size === 0 ? [...credentials.users()] : [...counts.keys()]
    return wanted.map((user) => {
      if ((counts.get(user) ?? 1) > 1) {
        const message = `Cannot describe SCRAM credentials for the same user twice in a single request: ${user}`
        return { user, refusal: { error: 'DUPLICATE_RESOURCE', message }, credentials: [] }
      }
      const own = credentials.ofUser(user)
      if (own === undefined) {
        const message = `Attempt to describe a user credential that does not exist: ${user}`
        return { user, refusal: { error: 'RESOURCE_NOT_FOUND', message }, credentials: [] }
      }
      const told = [...own].map(([mechanism, { iterations }]) => ({
        mechanism: scramMechanismCode[mechanism],
        iterations,
      }))
      return { user, refusal: null, credentials: told }
    })
  }

  /** Applies the changes; one answer for each user that is named. */
  async alter(
    deletions: readonly ScramDeletion[],
    upsertions: readonly ScramUpsertion[],
  ): Promise<readonly UserOutcome[]> {
    const users = [...new Set([...deletions, ...upsertions].map(({ name }) => name))]
    try {
      const outcomes = await this.#cluster.changeAccess((image) => {
        const refusals = refusalsOf(image, deletions, upsertions)
        const isFine = ({ name }: ScramDeletion): boolean => !refusals.has(name)
        const records = [...deletions.filter(isFine).map(removal), ...upsertions.filter(isFine).map(insertion)]
        return { records, answer: users.map((user) => ({ user, refusal: refusals.get(user) ?? null })) }
      })
      for (const { user, refusal } of outcomes) if (refusal === null) this.#changed(user)
      return outcomes
    } catch (thrown) {
      const refusal = storageRefusal(thrown)
      return users.map((user) => ({ user, refusal }))
    }
  }

  #changed(user: string): void {
    const own = this.#cluster.image.credentials.ofUser(user)
    const mechanisms = own === undefined ? 'none' : [...own.keys()].join(', ')
    this.#observer.event(adminEvents.credentialsChanged, { user, mechanisms })
  }
}

/** Why users are refused, by name. */
function refusalsOf(
  image: MetadataImage,
  deletions: readonly ScramDeletion[],
  upsertions: readonly ScramUpsertion[],
): ReadonlyMap<string, Refusal> {
  const refusals = new Map<string, Refusal>()
  const seen = new Set<string>()
  const refuse = (name: string, error: Refusal['error'], message: string): void => {
    if (!refusals.has(name)) refusals.set(name, { error, message })
  }
  for (const change of [...deletions, ...upsertions]) {
    const { name, mechanism } = change
    const key = `${mechanism} ${name}`
    if (seen.has(key))
      refuse(name, 'DUPLICATE_RESOURCE', 'A user credential cannot be altered twice in the same request')
    seen.add(key)
    if (name === '') refuse(name, 'UNACCEPTABLE_CREDENTIAL', 'Username must not be empty')
    if (name.length > nameLengthMax || name.includes('\0')) {
      refuse(name, 'UNACCEPTABLE_CREDENTIAL', `A user name has at most ${nameLengthMax} characters`)
    }
    const known = scramMechanismOf(mechanism)
    if (known === undefined) refuse(name, 'UNSUPPORTED_SASL_MECHANISM', 'Unknown SCRAM mechanism')
    else if (!('saltedPassword' in change) && image.credentials.get(name, known) === undefined) {
      refuse(name, 'RESOURCE_NOT_FOUND', 'Attempt to delete a user credential that does not exist')
    }
  }
  let users = image.credentials.size
  for (const change of upsertions) {
    const fault = upsertionFault(change)
    if (fault !== null) refuse(change.name, 'UNACCEPTABLE_CREDENTIAL', fault)
    else if (image.credentials.ofUser(change.name) === undefined && ++users > usersMax) {
      refuse(change.name, 'POLICY_VIOLATION', `this node keeps credentials of ${usersMax} users`)
    }
  }
  return refusals
}

function upsertionFault({ iterations, salt, saltedPassword }: ScramUpsertion): string | null {
  if (iterations < iterationsMin) return `Too few iterations: the least is ${iterationsMin}`
  if (iterations > iterationsMax) return `Too many iterations: the most is ${iterationsMax}`
  if (salt.length === 0 || salt.length > saltBytesMax) return `A salt has 1 to ${saltBytesMax} bytes`
  // Of any length, as with Kafka: the keys that are made of it have theirs, and one that is too short lets nobody in.
  const isFine = saltedPassword.length > 0 && saltedPassword.length <= saltBytesMax
  return isFine ? null : `A salted password has 1 to ${saltBytesMax} bytes`
}

function removal({ name, mechanism }: ScramDeletion): MetadataRecordInput {
  return { type: 'RemoveUserScramCredentialRecord', version: 0, value: { name, mechanism } }
}

function insertion({ name, mechanism, iterations, salt, saltedPassword }: ScramUpsertion): MetadataRecordInput {
  const digest = digestOf[scramMechanismOf(mechanism) ?? 'SCRAM-SHA-256']
  const { storedKey, serverKey } = scramKeysOf(digest, saltedPassword)
  return {
    type: 'UserScramCredentialRecord',
    version: 0,
    value: { name, mechanism, salt, storedKey, serverKey, iterations },
  }
}
