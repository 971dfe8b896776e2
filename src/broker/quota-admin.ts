/** Quotas of clients, described and altered (KIP-546). The changes of one entity are all or nothing; entities are judged one by one. */
import { isAddress } from '../base/connection-gate.ts'
import type { Observer } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Refusal } from '../cluster/metadata/metadata-controller.ts'
import type { MetadataImage } from '../cluster/metadata/metadata-image.ts'
import type { MetadataRecordInput } from '../protocol/kafka/stored/metadata-record.ts'
import {
  addressQuotaKey,
  clientQuotaKeys,
  type NamedEntity,
  entityOf,
  type QuotaEntity,
  type QuotaEntityType,
  quotaEntityTypes,
} from '../security/quotas/client-quotas.ts'
import { adminEvents } from './admin-events.ts'
import { storageRefusal } from './storage-refusal.ts'

export interface QuotaChange {
  readonly entity: readonly NamedEntity[]
  readonly ops: readonly { readonly key: string; readonly value: number; readonly remove: boolean }[]
}

export interface QuotaOutcome {
  readonly entity: readonly NamedEntity[]
  readonly refusal: Refusal | null
}

export interface QuotaFilter {
  readonly entityType: string
  /** 0 the name in `match`, 1 the default, 2 any that is set. */
  readonly matchType: number
  readonly match: string | null
}

export interface DescribedQuotas {
  readonly entity: readonly NamedEntity[]
  readonly values: readonly { readonly key: string; readonly value: number }[]
}

/** Entities with a quota: each is memory, and records at every start. */
const entitiesMax = 10_000
const nameLengthMax = 255
/** Kafka's types: a rate of bytes is a long (its largest is how one says "no bound"), of connections an int. */
const byteRateMax = 2 ** 63
const connectionRateMax = 2 ** 31 - 1
const matchExact = 0
const matchDefault = 1
const matchAny = 2

export class QuotaAdmin {
  readonly #cluster: Cluster
  readonly #observer: Observer

  constructor(cluster: Cluster, observer: Observer) {
    this.#cluster = cluster
    this.#observer = observer
  }

  /** The entities that fit every part of the filter (and with `isStrict` have no other part). */
  describe(filters: readonly QuotaFilter[], isStrict: boolean): readonly DescribedQuotas[] | Refusal {
    const fault = filterFault(filters)
    if (fault !== null) return fault
    const found: DescribedQuotas[] = []
    for (const { entity, values } of this.#cluster.image.quotas.entries()) {
      if (isStrict && entity.size !== filters.length) continue
      if (!filters.every((filter) => fits(entity, filter))) continue
      found.push({
        entity: [...entity].map(([entityType, entityName]) => ({ entityType, entityName })),
        values: [...values].map(([key, value]) => ({ key, value })),
      })
    }
    return found
  }

  /** Applies the changes, or only judges them; one answer for each. */
  async alter(changes: readonly QuotaChange[], validateOnly: boolean): Promise<readonly QuotaOutcome[]> {
    try {
      const outcomes = await this.#cluster.controller.write((image) => {
        const judged = judge(image, changes)
        const records = judged.flatMap(({ refusal }, index) =>
          refusal === null && !validateOnly ? recordsOf(image, changes[index] as QuotaChange) : [],
        )
        return { records, answer: judged }
      })
      if (!validateOnly) {
        for (const { entity, refusal } of outcomes)
          if (refusal === null) this.#observer.event(adminEvents.quotasChanged, { entity: textOf(entity) })
      }
      return outcomes
    } catch (thrown) {
      const refusal = storageRefusal(thrown)
      return changes.map(({ entity }) => ({ entity, refusal }))
    }
  }
}

function fits(entity: QuotaEntity, { entityType, matchType, match }: QuotaFilter): boolean {
  const name = entity.get(entityType as QuotaEntityType)
  if (name === undefined) return false
  if (matchType === matchAny) return true
  return matchType === matchDefault ? name === null : name === match
}

function filterFault(filters: readonly QuotaFilter[]): Refusal | null {
  const types = filters.map(({ entityType }) => entityType)
  const invalid = (message: string): Refusal => ({ error: 'INVALID_REQUEST', message })
  if (new Set(types).size !== types.length) return invalid('An entity type stands twice in the filter')
  for (const { entityType, matchType, match } of filters) {
    if (entityType === '') return invalid('Unexpected empty filter component entity type')
    if (!(quotaEntityTypes as readonly string[]).includes(entityType))
      return { error: 'UNSUPPORTED_VERSION', message: `Custom entity type '${entityType}' not supported` }
    if (matchType === matchExact && match === null) return invalid('An exact match needs a name')
    if (matchType !== matchExact && match !== null) return invalid(`A match of type ${matchType} takes no name`)
    if (![matchExact, matchDefault, matchAny].includes(matchType)) return invalid(`Unexpected match type ${matchType}`)
  }
  if (types.includes('ip') && types.length > 1)
    return invalid('An ip cannot stand in one filter with a user or a client-id')
  return null
}

function judge(image: MetadataImage, changes: readonly QuotaChange[]): readonly QuotaOutcome[] {
  const seen = new Set<string>()
  let entities = image.quotas.size
  return changes.map(({ entity, ops }) => {
    const invalid = (message: string): QuotaOutcome => ({ entity, refusal: { error: 'INVALID_REQUEST', message } })
    const text = textOf(entity)
    if (seen.has(text)) return invalid(`The entity ${text} stands twice in the request`)
    seen.add(text)
    const fault =
      entityFault(entity) ?? repeatedKey(ops) ?? ops.map((op) => opFault(entity, op)).find((each) => each !== null)
    if (fault !== undefined && fault !== null) return invalid(fault)
    if (!image.quotas.has(entityOf(entity)) && ops.some(({ remove }) => !remove) && ++entities > entitiesMax)
      return {
        entity,
        refusal: { error: 'POLICY_VIOLATION', message: `this node keeps quotas of ${entitiesMax} entities` },
      }
    return { entity, refusal: null }
  })
}

function entityFault(entity: readonly NamedEntity[]): string | null {
  const types = entity.map(({ entityType }) => entityType)
  if (types.length === 0) return 'Invalid empty client quota entity'
  for (const { entityType, entityName } of entity) {
    if (!(quotaEntityTypes as readonly string[]).includes(entityType))
      return `Unhandled client quota entity type: ${entityType}`
    if (entityName === '') return `Empty ${entityType} not supported`
    if ((entityName?.length ?? 0) > nameLengthMax) return `A ${entityType} has at most ${nameLengthMax} characters`
    if (entityType === 'ip' && entityName !== null && !isAddress(entityName))
      return `${entityName} is not an IP address; names are not resolved here`
  }
  if (new Set(types).size !== types.length) return 'An entity type stands twice in the entity'
  return types.includes('ip') && types.length > 1 ? 'Invalid client quota entity: an ip stands alone' : null
}

function repeatedKey(ops: QuotaChange['ops']): string | null {
  const keys = new Set<string>()
  for (const { key } of ops) {
    if (keys.has(key)) return `The quota ${key} stands twice in the request`
    keys.add(key)
  }
  return null
}

function opFault(entity: readonly NamedEntity[], op: QuotaChange['ops'][number]): string | null {
  const { key, value, remove } = op
  const keys: readonly string[] = entity.some(({ entityType }) => entityType === 'ip')
    ? [addressQuotaKey]
    : clientQuotaKeys
  // What is not there is taken back without a word, whatever it is.
  if (remove) return null
  if (key === 'controller_mutation_rate')
    return 'controller_mutation_rate is not bounded by this node: topics are bounded by their number and by its memory and files'
  if (!keys.includes(key)) return `Invalid configuration key ${key}: ${keys.join(', ')} can be set here`
  if (!(value > 0)) return `Quota ${key} must be greater than 0`
  if (!Number.isFinite(value)) return `Quota ${key} must be finite`
  if (key === 'request_percentage') return null
  if (!Number.isInteger(value)) return `${key} must be a whole number`
  const largest = key === addressQuotaKey ? connectionRateMax : byteRateMax
  return value > largest ? `${key} must be at most ${largest}` : null
}

function recordsOf(image: MetadataImage, { entity, ops }: QuotaChange): readonly MetadataRecordInput[] {
  const effective = ops.filter(({ key, remove }) => !remove || image.quotas.hasKey(entityOf(entity), key))
  return effective.map(({ key, value, remove }) => ({
    type: 'ClientQuotaRecord',
    version: 0,
    value: { entity: [...entity], key, value: remove ? 0 : value, remove },
  }))
}

function textOf(entity: readonly NamedEntity[]): string {
  const parts = entity.map(({ entityType, entityName }) => `${entityType}=${entityName ?? '<default>'}`)
  return parts.toSorted().join(', ')
}
