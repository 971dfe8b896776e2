/** Rights of the APIs of administration: topics, settings, access control, credentials. */
import { zeroUuid } from '../../../base/ids.ts'
import type { MetadataImage } from '../../../cluster/metadata/metadata-image.ts'
import { configResourceType } from '../../../cluster/metadata/metadata-image.ts'
import type {
  AlterClientQuotasRequest,
  AlterClientQuotasResponseInput,
} from '../../../protocol/kafka/messages/alter-client-quotas.ts'
import type {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponseInput,
} from '../../../protocol/kafka/messages/alter-replica-log-dirs.ts'
import type { ElectLeadersRequest, ElectLeadersResponseInput } from '../../../protocol/kafka/messages/elect-leaders.ts'
import type { AlterConfigsRequest, AlterConfigsResponseInput } from '../../../protocol/kafka/messages/alter-configs.ts'
import type { CreateAclsRequest, CreateAclsResponseInput } from '../../../protocol/kafka/messages/create-acls.ts'
import type {
  CreatePartitionsRequest,
  CreatePartitionsResponseInput,
} from '../../../protocol/kafka/messages/create-partitions.ts'
import type { CreateTopicsRequest, CreateTopicsResponseInput } from '../../../protocol/kafka/messages/create-topics.ts'
import type { DeleteAclsRequest, DeleteAclsResponseInput } from '../../../protocol/kafka/messages/delete-acls.ts'
import type { DeleteTopicsRequest, DeleteTopicsResponseInput } from '../../../protocol/kafka/messages/delete-topics.ts'
import type {
  AlterUserScramCredentialsRequest,
  AlterUserScramCredentialsResponseInput,
} from '../../../protocol/kafka/messages/alter-user-scram-credentials.ts'
import type {
  DescribeConfigsRequest,
  DescribeConfigsResponseInput,
} from '../../../protocol/kafka/messages/describe-configs.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import { aclOperation } from '../../../security/acl.ts'
import {
  clusterDenied,
  type Guard,
  type GuardContext,
  type GuardEntry,
  guardEntry,
  mayCluster,
  mayTopic,
  seesCluster,
  seesTopic,
  split,
  topicDenied,
} from './guard.ts'

const { create, delete: remove, alter, describe, describeConfigs, alterConfigs } = aclOperation
const notAuthorized = 'Not authorized.'

/** Their rows of the table. */
export function adminGuards(image: MetadataImage): readonly GuardEntry[] {
  return [
    guardEntry(19, 'CLUSTER CREATE, or TOPIC CREATE', createTopics),
    guardEntry(20, 'TOPIC DELETE', deleteTopics(image)),
    guardEntry(29, 'CLUSTER DESCRIBE', clusterGuard(describe)),
    guardEntry(30, 'CLUSTER ALTER', createAcls),
    guardEntry(31, 'CLUSTER ALTER', deleteAcls),
    guardEntry(32, 'TOPIC DESCRIBE_CONFIGS; for brokers CLUSTER DESCRIBE_CONFIGS', describeSettings),
    guardEntry(33, 'TOPIC ALTER_CONFIGS; for brokers CLUSTER ALTER_CONFIGS', alterSettings),
    guardEntry(34, 'CLUSTER ALTER', alterReplicaLogDirs),
    guardEntry(35, 'CLUSTER DESCRIBE', clusterGuard(describe)),
    guardEntry(37, 'TOPIC ALTER', createPartitions),
    guardEntry(43, 'CLUSTER ALTER', electLeaders),
    guardEntry(44, 'TOPIC ALTER_CONFIGS; for brokers CLUSTER ALTER_CONFIGS', alterSettings),
    guardEntry(45, 'CLUSTER ALTER', clusterGuard(alter)),
    guardEntry(46, 'CLUSTER DESCRIBE', clusterGuard(describe)),
    guardEntry(48, 'CLUSTER DESCRIBE_CONFIGS', clusterGuard(describeConfigs)),
    guardEntry(49, 'CLUSTER ALTER_CONFIGS', alterQuotas),
    guardEntry(50, 'CLUSTER DESCRIBE', clusterGuard(describe)),
    guardEntry(51, 'CLUSTER ALTER', alterCredentials),
    guardEntry(55, 'CLUSTER DESCRIBE', clusterGuard(describe)),
    guardEntry(74, 'CLUSTER DESCRIBE_CONFIGS', clusterGuard(describeConfigs)),
  ]
}

/** An API whose answer has an error of its own. */
function clusterGuard(operation: number): Guard<unknown, { readonly errorCode: number }> {
  return (request, context, next) =>
    mayCluster(context, operation) ? next(request) : { errorCode: clusterDenied, errorMessage: notAuthorized }
}

const alterReplicaLogDirs: Guard<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponseInput> = (
  request,
  context,
  next,
) => {
  if (mayCluster(context, alter)) return next(request)
  const results = request.dirs.flatMap(({ topics }) =>
    topics.map(({ name, partitions }) => ({
      topicName: name,
      partitions: partitions.map((partitionIndex) => ({ partitionIndex, errorCode: clusterDenied })),
    })),
  )
  return { results }
}

/** Version 0 has no error of its own. */
const electLeaders: Guard<ElectLeadersRequest, ElectLeadersResponseInput> = (request, context, next) => {
  if (mayCluster(context, alter)) return next(request)
  if (context.request.apiVersion > 0) return { errorCode: clusterDenied, replicaElectionResults: [] }
  const replicaElectionResults = (request.topicPartitions ?? []).map(({ topic, partitions }) => ({
    topic,
    partitionResult: partitions.map((partitionId) => ({
      partitionId,
      errorCode: clusterDenied,
      errorMessage: notAuthorized,
    })),
  }))
  return { replicaElectionResults }
}

const createTopics: Guard<CreateTopicsRequest, CreateTopicsResponseInput> = async (request, context, next) => {
  const may = ({ name }: { readonly name: string }): boolean =>
    seesCluster(context, create) || mayTopic(context, create, name)
  const { allowed, denied } = split(request.topics, may)
  const answer = await next({ ...request, topics: allowed })
  const topics = (answer?.topics ?? []).map((topic) =>
    topic.errorCode || seesTopic(context, describeConfigs, topic.name ?? '')
      ? topic
      : { ...topic, topicConfigErrorCode: topicDenied, configs: null, numPartitions: -1, replicationFactor: -1 },
  )
  const refused = [...new Set(denied.map(({ name }) => name))].map((name) => ({
    name,
    errorCode: topicDenied,
    errorMessage: notAuthorized,
  }))
  return { ...answer, topics: [...topics, ...refused] }
}

/** Who may not see a topic learns neither the name of an id nor whether a name exists. */
function deleteTopics(image: MetadataImage): Guard<DeleteTopicsRequest, DeleteTopicsResponseInput> {
  return async (request, context, next) => {
    type Named = DeleteTopicsRequest['topics'][number]
    const denied: { name: string | null; topicId: string; errorCode: number; errorMessage: string }[] = []
    const isAllowed = ({ name, topicId }: Named): boolean => {
      const known = name ?? image.topicById(topicId)?.name
      if (known === undefined || mayTopic(context, remove, known)) return true
      const maySee = name !== null || seesTopic(context, describe, known)
      denied.push({ name: maySee ? known : null, topicId, errorCode: topicDenied, errorMessage: notAuthorized })
      return false
    }
    const topics = request.topics.filter(isAllowed)
    const topicNames = request.topicNames.filter((name) => isAllowed({ name, topicId: zeroUuid }))
    const answer = await next({ ...request, topics, topicNames })
    return { ...answer, responses: [...(answer?.responses ?? []), ...denied] }
  }
}

const createPartitions: Guard<CreatePartitionsRequest, CreatePartitionsResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, alter, name))
  const answer = await next({ ...request, topics: allowed })
  const refused = denied.map(({ name }) => ({ name, errorCode: topicDenied, errorMessage: notAuthorized }))
  return { ...answer, results: [...(answer?.results ?? []), ...refused] }
}

interface Resource {
  readonly resourceType: number
  readonly resourceName: string
}

/** Topics have rights of their own; everything else that has settings belongs to the cluster. */
function mayConfigure(context: GuardContext, operation: number): (resource: Resource) => boolean {
  return ({ resourceType, resourceName }) =>
    resourceType === configResourceType.topic
      ? mayTopic(context, operation, resourceName)
      : mayCluster(context, operation)
}

function refusedResource({ resourceType, resourceName }: Resource) {
  const isTopic = resourceType === configResourceType.topic
  return {
    errorCode: isTopic ? topicDenied : clusterDenied,
    errorMessage: notAuthorized,
    resourceType,
    resourceName,
  }
}

const describeSettings: Guard<DescribeConfigsRequest, DescribeConfigsResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.resources, mayConfigure(context, describeConfigs))
  const answer = await next({ ...request, resources: allowed })
  return { ...answer, results: [...(answer?.results ?? []), ...denied.map(refusedResource)] }
}

const alterSettings: Guard<AlterConfigsRequest, AlterConfigsResponseInput> = async (request, context, next) => {
  const { allowed, denied } = split(request.resources, mayConfigure(context, alterConfigs))
  const answer = await next({ ...request, resources: allowed })
  return { ...answer, responses: [...(answer?.responses ?? []), ...denied.map(refusedResource)] }
}

const createAcls: Guard<CreateAclsRequest, CreateAclsResponseInput> = (request, context, next) => {
  if (mayCluster(context, alter)) return next(request)
  return { results: request.creations.map(() => ({ errorCode: clusterDenied, errorMessage: notAuthorized })) }
}

const deleteAcls: Guard<DeleteAclsRequest, DeleteAclsResponseInput> = (request, context, next) => {
  if (mayCluster(context, alter)) return next(request)
  return { filterResults: request.filters.map(() => ({ errorCode: clusterDenied, errorMessage: notAuthorized })) }
}

const alterQuotas: Guard<AlterClientQuotasRequest, AlterClientQuotasResponseInput> = (request, context, next) => {
  if (mayCluster(context, alterConfigs)) return next(request)
  const refusal = { errorCode: clusterDenied, errorMessage: notAuthorized }
  return { entries: request.entries.map(({ entity }) => ({ ...refusal, entity })) }
}

const alterCredentials: Guard<AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponseInput> = (
  request,
  context,
  next,
) => {
  if (mayCluster(context, alter)) return next(request)
  const users = new Set([...request.deletions, ...request.upsertions].map(({ name }) => name))
  const errorMessage = notAuthorized
  return {
    results: [...users].map((user) => ({ user, errorCode: errorCode('CLUSTER_AUTHORIZATION_FAILED'), errorMessage })),
  }
}
