/** The handlers of access control entries: DescribeAcls, CreateAcls, DeleteAcls. They translate; `broker/acl-admin.ts` does it. */
import type { AclAdmin } from '../../../broker/acl-admin.ts'
import type { Refusal } from '../../../cluster/metadata/metadata-controller.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type { CreateAclsRequest, CreateAclsResponseInput } from '../../../protocol/kafka/messages/create-acls.ts'
import type { DeleteAclsRequest, DeleteAclsResponseInput } from '../../../protocol/kafka/messages/delete-acls.ts'
import type { DescribeAclsRequest, DescribeAclsResponseInput } from '../../../protocol/kafka/messages/describe-acls.ts'
import type { AclEntry, AclFilter } from '../../../security/acl.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'

/** The three rows of the table. `isEnabled` false: there is no authorizer, and entries would be kept in vain. */
export function aclHandlers(acls: AclAdmin, isEnabled: () => boolean): readonly HandlerEntry[] {
  return [
    [29, describeAcls(acls, isEnabled)],
    [30, createAcls(acls, isEnabled)],
    [31, deleteAcls(acls, isEnabled)],
  ]
}

const disabled: Refusal = {
  error: 'SECURITY_DISABLED',
  message: 'No Authorizer is configured: kafka.authorizer.class.name is empty.',
}

function refusalFields({ error, message }: Refusal): { readonly errorCode: number; readonly errorMessage: string } {
  return { errorCode: errorCode(error), errorMessage: message }
}

/** DescribeAcls 1-3. */
function describeAcls(
  acls: AclAdmin,
  isEnabled: () => boolean,
): KafkaHandler<DescribeAclsRequest, DescribeAclsResponseInput> {
  return (request) => {
    if (!isEnabled()) return refusalFields(disabled)
    const outcome = acls.find(filterOf(request))
    if (outcome.kind === 'refused') return refusalFields(outcome)
    const resources = new Map<string, AclEntry[]>()
    for (const entry of outcome.entries) {
      const key = JSON.stringify([entry.resourceType, entry.patternType, entry.resourceName])
      const known = resources.get(key)
      if (known === undefined) resources.set(key, [entry])
      else known.push(entry)
    }
    return {
      errorCode: 0,
      errorMessage: '',
      resources: [...resources.values()].map((entries) => ({
        resourceType: entries[0]?.resourceType ?? 0,
        resourceName: entries[0]?.resourceName ?? '',
        patternType: entries[0]?.patternType ?? 0,
        acls: entries.map(({ principal, host, operation, permissionType }) => ({
          principal,
          host,
          operation,
          permissionType,
        })),
      })),
    }
  }
}

/** CreateAcls 1-3. */
function createAcls(
  acls: AclAdmin,
  isEnabled: () => boolean,
): KafkaHandler<CreateAclsRequest, CreateAclsResponseInput> {
  return async ({ creations }) => {
    if (!isEnabled()) return { results: creations.map(() => refusalFields(disabled)) }
    const entries = creations.map(({ resourcePatternType, ...rest }): AclEntry => {
      const { resourceType, resourceName, principal, host, operation, permissionType } = rest
      return {
        resourceType,
        resourceName,
        patternType: resourcePatternType,
        principal,
        host,
        operation,
        permissionType,
      }
    })
    const refusals = await acls.create(entries)
    return {
      results: refusals.map((refusal) =>
        refusal === null ? { errorCode: 0, errorMessage: '' } : refusalFields(refusal),
      ),
    }
  }
}

/** DeleteAcls 1-3. */
function deleteAcls(
  acls: AclAdmin,
  isEnabled: () => boolean,
): KafkaHandler<DeleteAclsRequest, DeleteAclsResponseInput> {
  return async ({ filters }) => {
    if (!isEnabled()) return { filterResults: filters.map(() => refusalFields(disabled)) }
    const outcomes = await acls.delete(filters.map(filterOf))
    return {
      filterResults: outcomes.map((outcome) => {
        if (outcome.kind === 'refused') return refusalFields(outcome)
        const matchingAcls = outcome.entries.map((entry) => ({ errorCode: 0, errorMessage: null, ...entry }))
        return { errorCode: 0, errorMessage: null, matchingAcls }
      }),
    }
  }
}

type WireFilter = DescribeAclsRequest | DeleteAclsRequest['filters'][number]

function filterOf(filter: WireFilter): AclFilter {
  return {
    resourceType: filter.resourceTypeFilter,
    resourceName: filter.resourceNameFilter,
    patternType: filter.patternTypeFilter,
    principal: filter.principalFilter,
    host: filter.hostFilter,
    operation: filter.operation,
    permissionType: filter.permissionType,
  }
}
