/**
 * Who administers this node by a name and a password: a superuser, or whom an entry lets alter the cluster, and who has a SCRAM credential to
 * prove it by. Whoever may alter the cluster may give himself every other right.
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
import type { AclTable } from './acl-table.ts'
import type { Authorizer } from './authorizer.ts'
import { userPrincipal } from './principal.ts'
import type { ScramCredentials } from './scram-credentials.ts'

export interface AdministratorParts {
  readonly credentials: ScramCredentials
  readonly acls: AclTable
  readonly authorizer: Authorizer
  readonly superUsers: ReadonlySet<string>
}

/** An entry for one host counts where that host is this machine: set-up is done from here. */
const here = '127.0.0.1'

/** The first administrator that has a password, as a principal; null = there is none. */
export function administratorOf(parts: AdministratorParts): string | null {
  for (const user of parts.credentials.users()) {
    const principal = userPrincipal(user)
    if (parts.superUsers.has(principal) || isNamedByEntries(principal, parts)) return principal
  }
  return null
}

/** Entries for everybody make nobody an administrator, and without an authorizer none means anything. */
function isNamedByEntries(principal: string, { acls, authorizer }: AdministratorParts): boolean {
  if (!authorizer.isEnabled || !acls.ofPrincipal(principal).some(namesAdministrator)) return false
  return authorizer.subject(principal, here).allows(aclOperation.alter, aclResource.cluster, clusterResourceName)
}

function namesAdministrator({ resourceType, resourceName, patternType, operation, permissionType }: AclEntry): boolean {
  return (
    permissionType === aclPermission.allow &&
    (operation === aclOperation.all || operation === aclOperation.alter) &&
    resourceType === aclResource.cluster &&
    patternType === aclPattern.literal &&
    (resourceName === clusterResourceName || resourceName === wildcard)
  )
}
