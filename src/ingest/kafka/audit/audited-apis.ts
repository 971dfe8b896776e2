/** The APIs that change something, and what the audit is told of each. Passwords, salts and values of unknown settings are left out. */
import { brokerConfigTable } from '../../../cluster/metadata/broker-config.ts'
import { configResourceType } from '../../../cluster/metadata/metadata-image.ts'
import { topicConfigTable } from '../../../cluster/metadata/topic-config.ts'
import type {
  AlterClientQuotasRequest,
  AlterClientQuotasResponseInput,
} from '../../../protocol/kafka/messages/alter-client-quotas.ts'
import type { AlterConfigsRequest, AlterConfigsResponseInput } from '../../../protocol/kafka/messages/alter-configs.ts'
import type {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponseInput,
} from '../../../protocol/kafka/messages/alter-user-scram-credentials.ts'
import type { CreateAclsRequest, CreateAclsResponseInput } from '../../../protocol/kafka/messages/create-acls.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponseInput,
} from '../../../protocol/kafka/messages/create-partitions.ts'
import type { CreateTopicsRequest, CreateTopicsResponseInput } from '../../../protocol/kafka/messages/create-topics.ts'
import type { DeleteAclsRequest, DeleteAclsResponseInput } from '../../../protocol/kafka/messages/delete-acls.ts'
import type { DeleteGroupsRequest, DeleteGroupsResponseInput } from '../../../protocol/kafka/messages/delete-groups.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponseInput,
} from '../../../protocol/kafka/messages/delete-records.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponseInput } from '../../../protocol/kafka/messages/delete-topics.ts'
import type {
  IncrementalAlterConfigsRequest,
  IncrementalAlterConfigsResponseInput,
} from '../../../protocol/kafka/messages/incremental-alter-configs.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponseInput } from '../../../protocol/kafka/messages/offset-delete.ts'
import { aclText, resourceText } from '../../../security/acl-text.ts'
import { auditTypes } from '../../../security/audit/audit-types.ts'
import { scramMechanismOf } from '../../../security/sasl/scram-crypto.ts'
import { type AuditedApi, type Change, toldOf } from './audited-handler.ts'

export const auditedApis: readonly AuditedApi[] = [
  { apiKey: 19, changes: createTopics },
  { apiKey: 20, changes: deleteTopics },
  { apiKey: 21, changes: deleteRecords },
  { apiKey: 30, changes: createAcls },
  { apiKey: 31, changes: deleteAcls },
  { apiKey: 33, changes: alterConfigs },
  { apiKey: 37, changes: createPartitions },
  { apiKey: 42, changes: deleteGroups },
  { apiKey: 44, changes: alterIncrementally },
  { apiKey: 47, changes: deleteOffsets },
  { apiKey: 49, changes: alterQuotas },
  { apiKey: 51, changes: alterCredentials },
]

function createTopics(request: CreateTopicsRequest, answer: CreateTopicsResponseInput): readonly Change[] {
  if (request.validateOnly) return []
  const asked = new Map(request.topics.map((topic) => [topic.name, topic]))
  return (answer.topics ?? []).map((topic) => {
    const name = topic.name ?? ''
    const configs = asked.get(name)?.configs ?? []
    const partitions = topic.errorCode ? (asked.get(name)?.numPartitions ?? -1) : (topic.numPartitions ?? -1)
    const settings = configs.map((config) => settingText(configResourceType.topic, config.name, config.value))
    const detail = toldOf([...(partitions > 0 ? [`partitions=${partitions}`] : []), ...settings])
    return { definition: auditTypes.topicCreated, subject: name, errorCode: topic.errorCode ?? 0, detail }
  })
}

function deleteTopics(_: DeleteTopicsRequest, answer: DeleteTopicsResponseInput): readonly Change[] {
  return (answer.responses ?? []).map(({ name, topicId, errorCode }) => ({
    definition: auditTypes.topicDeleted,
    subject: name ?? topicId ?? '',
    errorCode: errorCode ?? 0,
    detail: `topic id ${topicId ?? ''}`,
  }))
}

function createPartitions(request: CreatePartitionsRequest, answer: CreatePartitionsResponseInput): readonly Change[] {
  if (request.validateOnly) return []
  const counts = new Map(request.topics.map(({ name, count }) => [name, count]))
  return (answer.results ?? []).map(({ name = '', errorCode }) => ({
    definition: auditTypes.topicGrown,
    subject: name,
    errorCode: errorCode ?? 0,
    detail: `partitions=${counts.get(name) ?? -1}`,
  }))
}

function deleteRecords(_: DeleteRecordsRequest, answer: DeleteRecordsResponseInput): readonly Change[] {
  return (answer.topics ?? []).map(({ name = '', partitions = [] }) => ({
    definition: auditTypes.recordsDeleted,
    subject: name,
    errorCode: firstError(partitions),
    detail: toldOf(
      partitions.map(
        ({ partitionIndex = 0, lowWatermark = -1 }) => `partition ${partitionIndex} begins at ${lowWatermark}`,
      ),
    ),
  }))
}

function deleteGroups(_: DeleteGroupsRequest, answer: DeleteGroupsResponseInput): readonly Change[] {
  return (answer.results ?? []).map(({ groupId = '', errorCode }) => ({
    definition: auditTypes.groupDeleted,
    subject: groupId,
    errorCode: errorCode ?? 0,
    detail: 'the group',
  }))
}

function deleteOffsets(request: OffsetDeleteRequest, answer: OffsetDeleteResponseInput): readonly Change[] {
  const topics = toldOf((answer.topics ?? []).map(({ name }) => name ?? ''))
  const inner = (answer.topics ?? []).flatMap(({ partitions }) => partitions ?? [])
  const errorCode = answer.errorCode ? answer.errorCode : firstError(inner)
  return [
    { definition: auditTypes.groupDeleted, subject: request.groupId, errorCode, detail: `its offsets of ${topics}` },
  ]
}

interface Resource {
  readonly resourceType?: number
  readonly resourceName?: string
}

function alterConfigs(request: AlterConfigsRequest, answer: AlterConfigsResponseInput): readonly Change[] {
  if (request.validateOnly) return []
  const asked = byResource(request.resources)
  return configChanges(answer.responses ?? [], (resource) => {
    const { resourceType = 0, configs = [] } = asked.get(keyOf(resource)) ?? {}
    return ['all of them', ...configs.map(({ name, value }) => settingText(resourceType, name, value))]
  })
}

const operations = ['', 'delete ', 'append ', 'subtract '] as const

function alterIncrementally(
  request: IncrementalAlterConfigsRequest,
  answer: IncrementalAlterConfigsResponseInput,
): readonly Change[] {
  if (request.validateOnly) return []
  const asked = byResource(request.resources)
  return configChanges(answer.responses ?? [], (resource) => {
    const { resourceType = 0, configs = [] } = asked.get(keyOf(resource)) ?? {}
    return configs.map(({ name, value, configOperation }) =>
      configOperation === 1
        ? `delete ${name}`
        : `${operations[configOperation] ?? ''}${settingText(resourceType, name, value)}`,
    )
  })
}

function keyOf({ resourceType, resourceName }: Resource): string {
  return `${resourceType} ${resourceName}`
}

function byResource<T extends Resource>(resources: readonly T[]): ReadonlyMap<string, T> {
  return new Map(resources.map((resource) => [keyOf(resource), resource]))
}

function configChanges(
  answers: readonly (Resource & { readonly errorCode?: number })[],
  detailOf: (resource: Resource) => readonly string[],
): readonly Change[] {
  return answers.map(({ errorCode, ...resource }) => {
    const { resourceType = 0, resourceName = '' } = resource
    const kind = Object.entries(configResourceType).find(([, code]) => code === resourceType)?.[0] ?? resourceType
    return {
      definition: auditTypes.configChanged,
      subject: `${kind}:${resourceName}`,
      errorCode: errorCode ?? 0,
      detail: toldOf(detailOf(resource)),
    }
  })
}

/** What is not known to be harmless is not written down. */
function settingText(resourceType: number, name: string, value: string | null): string {
  const table = resourceType === configResourceType.topic ? topicConfigTable : brokerConfigTable
  if (!Object.hasOwn(table, name)) return `${name} (value left out)`
  return value === null ? `${name} as by default` : `${name}=${value}`
}

function createAcls(request: CreateAclsRequest, answer: CreateAclsResponseInput): readonly Change[] {
  const results = answer.results ?? []
  return request.creations.map(({ resourcePatternType, ...entry }, at) => ({
    definition: auditTypes.aclCreated,
    subject: resourceText(entry.resourceType, entry.resourceName),
    errorCode: results[at]?.errorCode ?? 0,
    detail: aclText({ ...entry, patternType: resourcePatternType }),
  }))
}

function deleteAcls(request: DeleteAclsRequest, answer: DeleteAclsResponseInput): readonly Change[] {
  return (answer.filterResults ?? []).flatMap(({ errorCode, matchingAcls = [] }, at): Change[] => {
    const filter = request.filters[at]
    const subject = resourceText(filter?.resourceTypeFilter ?? 0, filter?.resourceNameFilter ?? '*')
    const definition = auditTypes.aclDeleted
    if (errorCode) return [{ definition, subject, errorCode, detail: '' }]
    return matchingAcls.map((entry) => ({
      definition,
      subject: resourceText(entry.resourceType ?? 0, entry.resourceName ?? ''),
      errorCode: entry.errorCode ?? 0,
      detail: aclText({
        resourceType: entry.resourceType ?? 0,
        resourceName: entry.resourceName ?? '',
        patternType: entry.patternType ?? 3,
        principal: entry.principal ?? '',
        host: entry.host ?? '',
        operation: entry.operation ?? 0,
        permissionType: entry.permissionType ?? 0,
      }),
    }))
  })
}

function alterQuotas(request: AlterClientQuotasRequest, answer: AlterClientQuotasResponseInput): readonly Change[] {
  if (request.validateOnly) return []
  return (answer.entries ?? []).map(({ errorCode, entity = [] }, at) => ({
    definition: auditTypes.quotaChanged,
    subject: toldOf(entity.map(({ entityType = '', entityName }) => `${entityType}:${entityName ?? '(default)'}`)),
    errorCode: errorCode ?? 0,
    detail: toldOf(
      (request.entries[at]?.ops ?? []).map(({ key, value, remove }) => (remove ? `delete ${key}` : `${key}=${value}`)),
    ),
  }))
}

/** Which mechanism, and how many iterations: nothing of the password, nor of its salt. */
function alterCredentials(
  request: AlterUserScramCredentialsRequest,
  answer: AlterUserScramCredentialsResponseInput,
): readonly Change[] {
  const mechanismOf = (code: number): string => scramMechanismOf(code) ?? String(code)
  const words = new Map<string, string[]>()
  const note = (user: string, word: string): void => {
    const known = words.get(user)
    if (known === undefined) words.set(user, [word])
    else known.push(word)
  }
  for (const { name, mechanism } of request.deletions) note(name, `delete ${mechanismOf(mechanism)}`)
  for (const { name, mechanism, iterations } of request.upsertions) {
    note(name, `set ${mechanismOf(mechanism)}, iterations=${iterations}`)
  }
  return (answer.results ?? []).map(({ user = '', errorCode }) => ({
    definition: auditTypes.userChanged,
    subject: `User:${user}`,
    errorCode: errorCode ?? 0,
    detail: toldOf(words.get(user) ?? []),
  }))
}

function firstError(partitions: readonly { readonly errorCode?: number }[]): number {
  return partitions.find(({ errorCode }) => errorCode)?.errorCode ?? 0
}
