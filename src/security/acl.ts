/** Access control entries (KIP-11, 290), with Kafka's numbers. */

export const aclResource = {
  any: 1,
  topic: 2,
  group: 3,
  cluster: 4,
  transactionalId: 5,
  delegationToken: 6,
  user: 7,
} as const
export const aclPattern = { any: 1, match: 2, literal: 3, prefixed: 4 } as const
export const aclPermission = { any: 1, deny: 2, allow: 3 } as const
export const aclOperation = {
  any: 1,
  all: 2,
  read: 3,
  write: 4,
  create: 5,
  delete: 6,
  alter: 7,
  describe: 8,
  clusterAction: 9,
  describeConfigs: 10,
  alterConfigs: 11,
  idempotentWrite: 12,
  createTokens: 13,
  describeTokens: 14,
  /** KIP-939: kept for clusters that ask for it; nothing of ours does. */
  twoPhaseCommit: 15,
} as const

/** The one resource of the kind "cluster". */
export const clusterResourceName = 'kafka-cluster'
/** As a literal name: every resource of the kind. As a principal's name or a host: everybody. */
export const wildcard = '*'
export const everybody = 'User:*'

export interface AclEntry {
  readonly resourceType: number
  readonly resourceName: string
  readonly patternType: number
  readonly principal: string
  readonly host: string
  readonly operation: number
  readonly permissionType: number
}

/** Entries to find: null and "any" stand for everything. */
export interface AclFilter {
  readonly resourceType: number
  readonly resourceName: string | null
  readonly patternType: number
  readonly principal: string | null
  readonly host: string | null
  readonly operation: number
  readonly permissionType: number
}

/** Does an entry answer a filter? A filter whose pattern is "match" finds every entry that holds for its name. */
export function isMatch(filter: AclFilter, entry: AclEntry): boolean {
  const { resourceType, operation, permissionType, principal, host } = filter
  return (
    (resourceType === aclResource.any || resourceType === entry.resourceType) &&
    (operation === aclOperation.any || operation === entry.operation) &&
    (permissionType === aclPermission.any || permissionType === entry.permissionType) &&
    (principal === null || principal === entry.principal) &&
    (host === null || host === entry.host) &&
    isPatternMatch(filter, entry)
  )
}

function isPatternMatch({ patternType, resourceName }: AclFilter, entry: AclEntry): boolean {
  const isKind = patternType === entry.patternType || patternType === aclPattern.any || patternType === aclPattern.match
  if (!isKind || resourceName === null) return isKind
  if (patternType !== aclPattern.match) return resourceName === entry.resourceName
  return holdsFor(entry, resourceName)
}

/** Is the resource of this name one that the entry speaks of? */
export function holdsFor({ patternType, resourceName }: AclEntry, name: string): boolean {
  if (patternType === aclPattern.prefixed) return name.startsWith(resourceName)
  return resourceName === name || resourceName === wildcard
}

/** One text for each different entry. */
export function aclKey(entry: AclEntry): string {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = entry
  return JSON.stringify([resourceType, resourceName, patternType, principal, host, operation, permissionType])
}
