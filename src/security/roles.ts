/**
 * Roles: templates of access control entries. Granting one writes ordinary entries, which Kafka's own tools show, change and remove; there is
 * nothing else behind a role.
 */
import {
  type AclEntry,
  aclOperation,
  aclPattern,
  aclPermission,
  aclResource,
  clusterResourceName,
  wildcard,
} from './acl.ts'

export const roleNames = ['viewer', 'operator', 'admin', 'device'] as const
export type RoleName = (typeof roleNames)[number]

interface RoleDefinition {
  /** One sentence for help and docs. */
  readonly says: string
  /** Must the topics be named? */
  readonly needsTopics: boolean
  readonly cluster: readonly number[]
  readonly topics: readonly number[]
  readonly groups: readonly number[]
  readonly transactionalIds: readonly number[]
}

const { all, read, write, create, delete: remove, alter, describe, describeConfigs, alterConfigs } = aclOperation

export const roles: Readonly<Record<RoleName, RoleDefinition>> = {
  viewer: {
    says: 'sees status, figures, topics, settings and groups, and no record',
    needsTopics: false,
    cluster: [describe, describeConfigs],
    topics: [describe, describeConfigs],
    groups: [describe],
    transactionalIds: [],
  },
  operator: {
    says: 'a viewer who also makes, changes and deletes topics, groups, settings and quotas; no records, no users, no entries',
    needsTopics: false,
    cluster: [describe, describeConfigs, create, alterConfigs],
    topics: [describe, describeConfigs, create, alter, alterConfigs, remove],
    groups: [describe, remove],
    transactionalIds: [],
  },
  admin: {
    says: 'may do everything, as a superuser does',
    needsTopics: false,
    cluster: [all],
    topics: [all],
    groups: [all],
    transactionalIds: [all],
  },
  device: {
    says: 'writes and reads the topics of a prefix, with consumer groups of that prefix',
    needsTopics: true,
    cluster: [],
    topics: [write, read],
    groups: [read],
    transactionalIds: [],
  },
}

/** The entries of a role. `prefix`: of topics and groups; null = all of them. */
export function entriesOfRole(role: RoleName, principal: string, prefix: string | null): readonly AclEntry[] {
  const { cluster, topics, groups, transactionalIds } = roles[role]
  const entry = (resourceType: number, resourceName: string, operation: number): AclEntry => ({
    resourceType,
    resourceName,
    patternType: resourceName === prefix ? aclPattern.prefixed : aclPattern.literal,
    principal,
    host: wildcard,
    operation,
    permissionType: aclPermission.allow,
  })
  const name = prefix ?? wildcard
  return [
    ...cluster.map((operation) => entry(aclResource.cluster, clusterResourceName, operation)),
    ...topics.map((operation) => entry(aclResource.topic, name, operation)),
    ...groups.map((operation) => entry(aclResource.group, name, operation)),
    ...transactionalIds.map((operation) => entry(aclResource.transactionalId, wildcard, operation)),
  ]
}
