/** Access control entries as an operator would say them. */
import { type AclEntry, aclOperation, aclPattern, aclPermission, aclResource } from './acl.ts'

export function aclText(entry: AclEntry): string {
  const { resourceType, resourceName, patternType, principal, host, operation, permissionType } = entry
  const words = [nameOf(aclPermission, permissionType), principal, `from ${host}`, nameOf(aclOperation, operation)]
  return [...words, nameOf(aclResource, resourceType), `${nameOf(aclPattern, patternType)} "${resourceName}"`].join(' ')
}

/** `topic:press` */
export function resourceText(resourceType: number, name: string): string {
  return `${nameOf(aclResource, resourceType)}:${name}`
}

/** `read` */
export function operationName(operation: number): string {
  return nameOf(aclOperation, operation)
}

function nameOf(table: Readonly<Record<string, number>>, code: number): string {
  return Object.entries(table).find(([, value]) => value === code)?.[0] ?? String(code)
}
