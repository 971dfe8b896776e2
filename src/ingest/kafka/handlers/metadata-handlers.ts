/**
 * The handlers by which clients find their way: Metadata, DescribeCluster, DescribeTopicPartitions. The only broker is this node,
 * and a client is told the address by which it can reach it: the one of its own connection unless the listener names another.
 */
import type { TopicImage } from '../../../cluster/metadata/metadata-image.ts'
import { topicNameFault } from '../../../cluster/metadata/topic-names.ts'
import { zeroUuid } from '../../../base/ids.ts'
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type {
  DescribeClusterRequest,
  DescribeClusterResponseInput,
} from '../../../protocol/kafka/messages/describe-cluster.ts'
import type {
  DescribeTopicPartitionsRequest,
  DescribeTopicPartitionsResponseInput,
} from '../../../protocol/kafka/messages/describe-topic-partitions.ts'
import type { MetadataRequest, MetadataResponseInput } from '../../../protocol/kafka/messages/metadata.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import { type AdminParts, clusterOperations, operationsNotAsked, topicOperations } from './admin-parts.ts'

/** The three rows of the table. */
export function metadataHandlers(parts: AdminParts): readonly HandlerEntry[] {
  return [
    [3, metadata(parts)],
    [60, describeCluster(parts)],
    [75, describeTopicPartitions(parts)],
  ]
}

type MetadataTopic = NonNullable<MetadataResponseInput['topics']>[number]
type RequestedTopic = NonNullable<MetadataRequest['topics']>[number]

/** From here on a topic may be asked for by its id, and be answered without a name (KIP-516). */
const byIdVersionMin = 12

/**
 * Metadata 0-13. A topic that is asked for twice is told once. One that does not exist is created where that is allowed, and the answer waits for it. A topic whose logs are
 * just being made is told with LEADER_NOT_AVAILABLE. Not implemented: racks, authorization (every operation is allowed).
 */
function metadata(parts: AdminParts): KafkaHandler<MetadataRequest, MetadataResponseInput> {
  return async (request, { apiVersion, advertised }) => {
    const asked = new Map(request.topics?.map((topic) => [`${topic.topicId} ${topic.name}`, topic]))
    const wantsAll = request.topics === null || (apiVersion === 0 && request.topics.length === 0)
    const topics = wantsAll
      ? shownTopics(parts).map((topic) => knownTopic(parts, topic))
      : await Promise.all([...asked.values()].map((topic) => requestedTopic(parts, request, topic, apiVersion)))
    const operations = request.includeTopicAuthorizedOperations ? topicOperations : operationsNotAsked
    return {
      brokers: [{ nodeId: parts.nodeId, host: advertised.host, port: advertised.port, rack: null }],
      clusterId: parts.clusterId,
      controllerId: parts.nodeId,
      topics: topics.map((topic) =>
        topic.errorCode === 0 ? { ...topic, topicAuthorizedOperations: operations } : topic,
      ),
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations : operationsNotAsked,
    }
  }
}

/**
 * All topics but those that clients may not read, and those that are being made: who asks for one of these by name is told of it. Clients
 * take the list as a whole: one topic without a leader, made for somebody else, would fail them all.
 */
function shownTopics({ cluster, internalTopics }: AdminParts): readonly TopicImage[] {
  const topics = [...cluster.image.topics()]
  return topics.filter((topic) => internalTopics.isServed(topic.name) && !cluster.isBeingMade(topic))
}

async function requestedTopic(
  parts: AdminParts,
  request: MetadataRequest,
  { name, topicId }: RequestedTopic,
  apiVersion: number,
): Promise<MetadataTopic> {
  const { image } = parts.cluster
  if (topicId !== zeroUuid || name === null) {
    if (apiVersion < byIdVersionMin || topicId === zeroUuid) {
      return { ...noTopic('INVALID_REQUEST', name ?? ''), topicId }
    }
    const topic = image.topicById(topicId)
    return topic === undefined ? { ...noTopic('UNKNOWN_TOPIC_ID', null), topicId } : knownTopic(parts, topic)
  }
  const known = image.topic(name)
  if (known !== undefined) return knownTopic(parts, known)
  if (topicNameFault(name) !== null) return noTopic('INVALID_TOPIC_EXCEPTION', name)
  if (!request.allowAutoTopicCreation || parts.internalTopics.isInternal(name)) {
    return { ...noTopic('UNKNOWN_TOPIC_OR_PARTITION', name), isInternal: parts.internalTopics.isInternal(name) }
  }
  const error = await parts.topics.ensure(name)
  const created = image.topic(name)
  if (error !== null || created === undefined) return noTopic(error ?? 'UNKNOWN_TOPIC_OR_PARTITION', name)
  return knownTopic(parts, created)
}

function noTopic(error: KafkaErrorName, name: string | null): MetadataTopic {
  return { errorCode: errorCode(error), name, partitions: [] }
}

function knownTopic(parts: AdminParts, topic: TopicImage): MetadataTopic {
  return {
    errorCode: 0,
    name: topic.name,
    topicId: topic.topicId,
    isInternal: parts.internalTopics.isInternal(topic.name),
    partitions: topic.partitions.map((partition) => partitionFacts(parts, topic, partition)),
  }
}

interface PartitionFacts {
  readonly errorCode: number
  readonly partitionIndex: number
  readonly leaderId: number
  readonly leaderEpoch: number
  readonly replicaNodes: readonly number[]
  readonly isrNodes: readonly number[]
  readonly offlineReplicas: readonly number[]
}

function partitionFacts(
  { cluster, nodeId }: AdminParts,
  { name }: TopicImage,
  { partition, leaderEpoch, replicas, isr }: TopicImage['partitions'][number],
): PartitionFacts {
  const isServed = cluster.partitions.get(name, partition) !== undefined
  return {
    errorCode: isServed ? 0 : errorCode('LEADER_NOT_AVAILABLE'),
    partitionIndex: partition,
    leaderId: isServed ? nodeId : -1,
    leaderEpoch,
    replicaNodes: replicas,
    isrNodes: isr,
    offlineReplicas: [],
  }
}

/** The kinds of endpoints there are. Those of controllers are not shown by this listener. */
const endpointTypes = { broker: 1, controller: 2 } as const

/** DescribeCluster 0-2. Not implemented: endpoints of controllers (MISMATCHED_ENDPOINT_TYPE), fenced brokers (there is none). */
function describeCluster(parts: AdminParts): KafkaHandler<DescribeClusterRequest, DescribeClusterResponseInput> {
  return (request, { advertised }) => {
    const { endpointType } = request
    if (endpointType !== endpointTypes.broker) {
      const isKnown = endpointType === endpointTypes.controller
      return {
        errorCode: errorCode(isKnown ? 'MISMATCHED_ENDPOINT_TYPE' : 'UNSUPPORTED_ENDPOINT_TYPE'),
        errorMessage: isKnown
          ? 'This listener answers for brokers, not for controllers.'
          : `There are no endpoints of type ${endpointType}.`,
        clusterId: parts.clusterId,
      }
    }
    return {
      clusterId: parts.clusterId,
      controllerId: parts.nodeId,
      brokers: [{ brokerId: parts.nodeId, host: advertised.host, port: advertised.port, rack: null }],
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations ? clusterOperations : operationsNotAsked,
    }
  }
}

/** max.request.partition.size.limit: Kafka's default. */
const pagePartitionsMax = 2000

type TopicPage = NonNullable<DescribeTopicPartitionsResponseInput['topics']>[number]

/** DescribeTopicPartitions 0: topics in the order of their names, page by page. There are never other eligible leaders (KIP-966). */
function describeTopicPartitions(
  parts: AdminParts,
): KafkaHandler<DescribeTopicPartitionsRequest, DescribeTopicPartitionsResponseInput> {
  return ({ topics, cursor, responsePartitionLimit }) => {
    const { image } = parts.cluster
    const isFaulty =
      cursor !== null &&
      (cursor.partitionIndex < 0 || (topics.length > 0 && !topics.some(({ name }) => name === cursor.topicName)))
    if (isFaulty) {
      return { topics: topics.map(({ name }) => ({ errorCode: errorCode('INVALID_REQUEST'), name, partitions: [] })) }
    }
    const asked = (topics.length === 0 ? shownTopics(parts) : topics).map(({ name }) => name)
    const names = [...new Set(asked)].sort().filter((name) => cursor === null || name >= cursor.topicName)
    const pages: TopicPage[] = []
    let left = Math.min(Math.max(responsePartitionLimit, 1), pagePartitionsMax)
    for (const name of names) {
      const topic = image.topic(name)
      const from = cursor !== null && name === cursor.topicName ? cursor.partitionIndex : 0
      if (left === 0) return { topics: pages, nextCursor: { topicName: name, partitionIndex: from } }
      if (topic === undefined) {
        const error = topicNameFault(name) === null ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'INVALID_TOPIC_EXCEPTION'
        pages.push({ errorCode: errorCode(error), name, partitions: [], topicAuthorizedOperations: topicOperations })
        continue
      }
      const page = topic.partitions.slice(from, from + left)
      pages.push(topicPage(parts, topic, page))
      left -= page.length
      const next = from + page.length
      if (next < topic.partitions.length) {
        return { topics: pages, nextCursor: { topicName: name, partitionIndex: next } }
      }
    }
    return { topics: pages }
  }
}

function topicPage(parts: AdminParts, topic: TopicImage, page: TopicImage['partitions']): TopicPage {
  return {
    name: topic.name,
    topicId: topic.topicId,
    isInternal: parts.internalTopics.isInternal(topic.name),
    partitions: page.map((partition) => ({
      ...partitionFacts(parts, topic, partition),
      eligibleLeaderReplicas: [],
      lastKnownElr: [],
    })),
    topicAuthorizedOperations: topicOperations,
  }
}
