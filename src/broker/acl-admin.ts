/** Access control entries described, created and deleted, as AccessControlEntryRecords of the metadata log. */
import { uuidToString } from '../base/ids.ts'
import type { Entropy, Observer } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { Refusal } from '../cluster/metadata/metadata-controller.ts'
import type { MetadataRecordInput } from '../protocol/kafka/stored/metadata-record.ts'
import {
  type AclEntry,
  type AclFilter,
  aclKey,
  aclOperation,
  aclPattern,
  aclPermission,
  aclResource,
  clusterResourceName,
  isMatch,
} from '../security/acl.ts'
import { aclText } from '../security/acl-text.ts'
import { adminEvents } from './admin-events.ts'
import { storageRefusal } from './storage-refusal.ts'

/** Entries of the cluster: each is memory, a record at every start, and work of a decision. */
const entriesMax = 10_000
/** Names of resources, principals and hosts: what a metadata record may hold, and a reader may look at. */
const nameLengthMax = 1_000

export type FilterOutcome =
  | { readonly kind: 'found'; readonly entries: readonly AclEntry[] }
  | ({ readonly kind: 'refused' } & Refusal)

export interface AclAdminParts {
  readonly cluster: Cluster
  readonly entropy: Pick<Entropy, 'bytes'>
  readonly observer: Observer
}

export class AclAdmin {
  readonly #parts: AclAdminParts

  constructor(parts: AclAdminParts) {
    this.#parts = parts
  }

  find(filter: AclFilter): FilterOutcome {
    const fault = filterFault(filter)
    if (fault !== null) return { kind: 'refused', error: 'INVALID_REQUEST', message: fault }
    return { kind: 'found', entries: [...this.#parts.cluster.image.acls.entries().values()].filter(fits(filter)) }
  }

  /** Adds entries; one answer each, null = it is there now. What was there already stays once. */
  async create(entries: readonly AclEntry[]): Promise<readonly (Refusal | null)[]> {
    const { cluster, entropy, observer } = this.#parts
    try {
      return await cluster.changeAccess((image) => {
        const records: MetadataRecordInput[] = []
        const added = new Set<string>()
        const answer = entries.map((entry): Refusal | null => {
          const fault = entryFault(entry)
          if (fault !== null) return { error: 'INVALID_REQUEST', message: fault }
          if (image.acls.has(entry) || added.has(aclKey(entry))) return null
          if (image.acls.size + added.size >= entriesMax) {
            return { error: 'POLICY_VIOLATION', message: `this node keeps ${entriesMax} access control entries` }
          }
          added.add(aclKey(entry))
          const id = uuidToString(Uint8Array.from(entropy.bytes(16)))
          records.push({ type: 'AccessControlEntryRecord', version: 0, value: { id, ...entry } })
          observer.event(adminEvents.aclCreated, { entry: aclText(entry) })
          return null
        })
        return { records, answer }
      })
    } catch (thrown) {
      const refusal = storageRefusal(thrown)
      return entries.map(() => refusal)
    }
  }

  /** Removes what the filters find; one answer for each filter. */
  async delete(filters: readonly AclFilter[]): Promise<readonly FilterOutcome[]> {
    const { cluster, observer } = this.#parts
    try {
      return await cluster.changeAccess((image) => {
        const doomed = new Map<string, AclEntry>()
        const answer = filters.map((filter): FilterOutcome => {
          const fault = filterFault(filter)
          if (fault !== null) return { kind: 'refused', error: 'INVALID_REQUEST', message: fault }
          const found = [...image.acls.entries()].filter(([, entry]) => isMatch(filter, entry))
          for (const [id, entry] of found) doomed.set(id, entry)
          return { kind: 'found', entries: found.map(([, entry]) => entry) }
        })
        for (const entry of doomed.values()) observer.event(adminEvents.aclDeleted, { entry: aclText(entry) })
        const records = [...doomed.keys()].map(
          (id): MetadataRecordInput => ({ type: 'RemoveAccessControlEntryRecord', version: 0, value: { id } }),
        )
        return { records, answer }
      })
    } catch (thrown) {
      const refusal = storageRefusal(thrown)
      return filters.map(() => ({ kind: 'refused', ...refusal }))
    }
  }
}

function fits(filter: AclFilter): (entry: AclEntry) => boolean {
  return (entry) => isMatch(filter, entry)
}

const isIn = (table: Readonly<Record<string, number>>, code: number): boolean => Object.values(table).includes(code)

function filterFault(filter: AclFilter): string | null {
  const { resourceType, patternType, operation, permissionType } = filter
  if (!isIn(aclResource, resourceType)) return 'The filter has an unknown resource type.'
  if (!isIn(aclPattern, patternType)) return 'The filter has an unknown pattern type.'
  if (!isIn(aclOperation, operation)) return 'The filter has an unknown operation.'
  return isIn(aclPermission, permissionType) ? null : 'The filter has an unknown permission type.'
}

function entryFault(entry: AclEntry): string | null {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = entry
  if (!isIn(aclResource, resourceType) || resourceType === aclResource.any)
    return `Invalid resourceType ${resourceType}`
  if (patternType !== aclPattern.literal && patternType !== aclPattern.prefixed) {
    return `Invalid patternType ${patternType}`
  }
  if (!isIn(aclOperation, operation) || operation === aclOperation.any) return `Invalid operation ${operation}`
  if (permissionType !== aclPermission.deny && permissionType !== aclPermission.allow) {
    return `Invalid permissionType ${permissionType}`
  }
  if (resourceName === '') return 'Resource name should not be empty'
  if (resourceType === aclResource.cluster && resourceName !== clusterResourceName) {
    return `The only valid name for the CLUSTER resource is ${clusterResourceName}`
  }
  if (!/^[^:]+:./.test(principal)) return `Could not parse principal from "${principal}": it is written User:NAME`
  if (host === '') return 'Host should not be empty'
  const names = [resourceName, principal, host]
  if (names.some((text) => text.includes('\0'))) return 'A name holds no NUL'
  return names.some((text) => text.length > nameLengthMax) ? `A name has at most ${nameLengthMax} characters` : null
}
