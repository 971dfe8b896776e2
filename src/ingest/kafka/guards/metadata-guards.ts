/** Rights of the APIs by which clients find their way. What may not be seen is as if it did not exist. */
import { zeroUuid } from '../../../base/ids.ts'
import type { MetadataImage } from '../../../cluster/metadata/metadata-image.ts'
import type {
  DescribeClusterRequest,
  DescribeClusterResponseInput,
} from '../../../protocol/kafka/messages/describe-cluster.ts'
import type {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponseInput,
} from '../../../protocol/kafka/messages/describe-topic-partitions.ts'
import type { MetadataRequest, MetadataResponseInput } from '../../../protocol/kafka/messages/metadata.ts'
import { aclOperation, aclResource, clusterResourceName } from '../../../security/acl.ts'
import { clusterOperations, topicOperations } from '../handlers/admin-parts.ts'
import {
  allowedBits,
  type Guard,
  type GuardContext,
  type GuardEntry,
  guardEntry,
  mayTopic,
  seesCluster,
  seesTopic,
  split,
  topicDenied,
} from './guard.ts'

const { create, describe } = aclOperation

/** Their rows of the table. */
export function metadataGuards(image: MetadataImage): readonly GuardEntry[] {
  return [
    guardEntry(3, 'TOPIC DESCRIBE; to create it CLUSTER CREATE or TOPIC CREATE', metadata(image)),
    guardEntry(60, 'nothing', describeCluster),
    guardEntry(75, 'TOPIC DESCRIBE', describeTopicPartitions),
  ]
}

type AskedTopic = NonNullable<MetadataRequest['topics']>[number]

function metadata(image: MetadataImage): Guard<MetadataRequest, MetadataResponseInput> {
  return async (request, context, next) => {
    const wantsAll = request.topics === null || (context.request.apiVersion === 0 && request.topics.length === 0)
    const { allowed, denied } = split(request.topics ?? [], (topic) => maySee(image, request, context, topic))
    // An empty list would ask version 0 for all topics.
    const isNothing = !wantsAll && allowed.length === 0 && context.request.apiVersion === 0
    const topics = isNothing ? [{ topicId: zeroUuid, name: '' }] : allowed
    const answer = await next(wantsAll ? request : { ...request, topics })
    const answered = isNothing ? [] : (answer?.topics ?? [])
    const seen = answered.filter(({ name }) => !wantsAll || seesTopic(context, describe, name ?? ''))
    const refused = denied.map(({ name, topicId }) => ({ errorCode: topicDenied, name, topicId, partitions: [] }))
    return {
      ...answer,
      topics: [
        ...seen.map((topic) =>
          request.includeTopicAuthorizedOperations && !topic.errorCode
            ? { ...topic, topicAuthorizedOperations: topicBits(context, topic.name ?? '') }
            : topic,
        ),
        ...refused,
      ],
      ...(request.includeClusterAuthorizedOperations ? { clusterAuthorizedOperations: clusterBits(context) } : {}),
    }
  }
}

/** A topic that would be created by being asked for needs the right to create it, too. */
function maySee(
  image: MetadataImage,
  request: MetadataRequest,
  context: GuardContext,
  { name, topicId }: AskedTopic,
): boolean {
  const known = topicId === zeroUuid ? name : image.topicById(topicId)?.name
  // An id that nobody has, or a request that the handler refuses.
  if (known === null || known === undefined) return true
  if (!mayTopic(context, describe, known)) return false
  if (!request.allowAutoTopicCreation || image.topic(known) !== undefined) return true
  return seesCluster(context, create) || mayTopic(context, create, known)
}

function topicBits(context: GuardContext, name: string): number {
  return allowedBits(context, { type: aclResource.topic, name, operations: topicOperations })
}

function clusterBits(context: GuardContext): number {
  return allowedBits(context, { type: aclResource.cluster, name: clusterResourceName, operations: clusterOperations })
}

const describeCluster: Guard<DescribeClusterRequest, DescribeClusterResponseInput> = async (request, context, next) => {
  const answer = await next(request)
  if (answer === null || !request.includeClusterAuthorizedOperations || answer.errorCode) return answer
  return { ...answer, clusterAuthorizedOperations: clusterBits(context) }
}

const describeTopicPartitions: Guard<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, describe, name))
  const wantsAll = request.topics.length === 0
  const cursor =
    request.cursor !== null && !wantsAll && !allowed.some(({ name }) => name === request.cursor?.topicName)
      ? null
      : request.cursor
  const answer = wantsAll || allowed.length > 0 ? await next({ ...request, topics: allowed, cursor }) : null
  const seen = (answer?.topics ?? []).filter(({ name }) => seesTopic(context, describe, name ?? ''))
  return {
    ...answer,
    topics: [
      ...seen.map((topic) => ({ ...topic, topicAuthorizedOperations: topicBits(context, topic.name ?? '') })),
      ...denied.map(({ name }) => ({ errorCode: topicDenied, name, partitions: [] })),
    ],
  }
}
