/** Quotas of users, client ids and addresses, as ClientQuotaRecords tell them (KIP-13, KIP-257, KIP-546). Pure: the metadata image fills it. */

export const quotaEntityTypes = ['user', 'client-id', 'ip'] as const
export type QuotaEntityType = (typeof quotaEntityTypes)[number]

/** An entity as requests and records name it. */
export interface NamedEntity {
  readonly entityType: string
  /** Null = the default of all. */
  readonly entityName: string | null
}

/** By type a name, or null for the default of all. */
export type QuotaEntity = ReadonlyMap<QuotaEntityType, string | null>

/** What may be bounded, for users and client ids; an address has `connection_creation_rate`. */
export const clientQuotaKeys = ['producer_byte_rate', 'consumer_byte_rate', 'request_percentage'] as const
export type ClientQuotaKey = (typeof clientQuotaKeys)[number]
export const addressQuotaKey = 'connection_creation_rate'

/** A bound, and the name of those who share it. */
export interface ClientBound {
  readonly bound: number
  readonly sharedBy: string
}

interface Entry {
  readonly entity: QuotaEntity
  readonly values: Map<string, number>
}

export class ClientQuotas {
  /** Bounded by the controller, which refuses more than it says. */
  readonly #entries = new Map<string, Entry>()
  /** Grows with each change. */
  version = 0

  get size(): number {
    return this.#entries.size
  }

  entries(): IterableIterator<{ readonly entity: QuotaEntity; readonly values: ReadonlyMap<string, number> }> {
    return this.#entries.values()
  }

  hasKey(entity: QuotaEntity, key: string): boolean {
    return this.#entries.get(keyOf(entity))?.values.has(key) === true
  }

  has(entity: QuotaEntity): boolean {
    return this.#entries.has(keyOf(entity))
  }

  /** Sets one quota, or takes it back (null). */
  set(entity: QuotaEntity, key: string, value: number | null): void {
    this.version++
    const place = keyOf(entity)
    const entry = this.#entries.get(place) ?? { entity, values: new Map<string, number>() }
    if (value === null) entry.values.delete(key)
    else entry.values.set(key, value)
    if (entry.values.size === 0) this.#entries.delete(place)
    else this.#entries.set(place, entry)
  }

  /** What bounds this user with this client id: the most exact quota that is set, a user's before a client id's, as in Apache Kafka. */
  boundOf(user: string, clientId: string, key: ClientQuotaKey): ClientBound | null {
    for (const [quotaUser, quotaClient] of [
      [user, clientId],
      [user, null],
      [user, undefined],
      [null, clientId],
      [null, null],
      [null, undefined],
      [undefined, clientId],
      [undefined, null],
    ] as const) {
      const bound = this.#entries.get(placeOf(quotaUser, quotaClient))?.values.get(key)
      if (bound === undefined) continue
      // Whom a default is for each has it alone.
      const shares = [key, quotaUser === undefined ? '' : user, quotaClient === undefined ? '' : clientId]
      return { bound, sharedBy: JSON.stringify(shares) }
    }
    return null
  }

  /** New connections a second of an address; Infinity = no bound. */
  connectionRateOf(address: string): number {
    const own = this.#entries.get(`ip:${JSON.stringify(address)}`) ?? this.#entries.get('ip:null')
    return own?.values.get(addressQuotaKey) ?? Infinity
  }
}

function placeOf(user: string | null | undefined, clientId: string | null | undefined): string {
  const parts: string[] = []
  if (user !== undefined) parts.push(`user:${JSON.stringify(user)}`)
  if (clientId !== undefined) parts.push(`client-id:${JSON.stringify(clientId)}`)
  return parts.join(' ')
}

function keyOf(entity: QuotaEntity): string {
  if (entity.has('ip')) return `ip:${JSON.stringify(entity.get('ip') ?? null)}`
  return placeOf(entity.get('user'), entity.get('client-id'))
}

/** The entity of a record or a request; parts of types that this node does not know are left out. */
export function entityOf(named: readonly NamedEntity[]): QuotaEntity {
  const known = named.filter(({ entityType }) => (quotaEntityTypes as readonly string[]).includes(entityType))
  return new Map(known.map(({ entityType, entityName }) => [entityType as QuotaEntityType, entityName]))
}
