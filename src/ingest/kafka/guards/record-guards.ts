/** Rights of the APIs of records and offsets. A topic that may not be seen is answered alike whether it exists or not. */
import type { MetadataImage } from '../../../cluster/metadata/metadata-image.ts'
import { errorCode } from '../../../protocol/kafka/error-codes.ts'
import type {
  DeleteRecordsRequest,
  DeleteRecordsResponseInput,
} from '../../../protocol/kafka/messages/delete-records.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponseInput,
} from '../../../protocol/kafka/messages/describe-producers.ts'
import type {
  DescribeTransactionsRequest,
  DescribeTransactionsResponseInput,
} from '../../../protocol/kafka/messages/describe-transactions.ts'
import type {
  InitProducerIdRequest,
  InitProducerIdResponseInput,
} from '../../../protocol/kafka/messages/init-producer-id.ts'
import type { ListOffsetsRequest, ListOffsetsResponseInput } from '../../../protocol/kafka/messages/list-offsets.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponseInput,
} from '../../../protocol/kafka/messages/offset-for-leader-epoch.ts'
import type { ProduceRequest, ProduceResponseInput } from '../../../protocol/kafka/messages/produce.ts'
import { aclOperation, aclResource } from '../../../security/acl.ts'
import {
  type Guard,
  type GuardEntry,
  guardEntry,
  mayCluster,
  mayTopic,
  open,
  refusedTopics,
  seesCluster,
  split,
  topicDenied,
} from './guard.ts'

const { read, write, describe, delete: remove, idempotentWrite } = aclOperation

/** Their rows of the table. */
export function recordGuards(image: MetadataImage): readonly GuardEntry[] {
  return [
    guardEntry(0, 'TOPIC WRITE', produce(image)),
    // The topics of an incremental Fetch stand in its session: broker/fetch.ts asks.
    guardEntry(1, 'TOPIC READ', open),
    guardEntry(2, 'TOPIC DESCRIBE', listOffsets),
    guardEntry(21, 'TOPIC DELETE', deleteRecords),
    guardEntry(22, 'CLUSTER IDEMPOTENT_WRITE, or TOPIC WRITE on any topic', initProducerId),
    guardEntry(23, 'TOPIC DESCRIBE', offsetForLeaderEpoch),
    guardEntry(61, 'TOPIC READ', describeProducers),
    guardEntry(65, 'TRANSACTIONAL_ID DESCRIBE', describeTransactions),
    // Of transactional ids that may not be seen none is listed; there is none.
    guardEntry(66, 'nothing', open),
  ]
}

function produce(image: MetadataImage): Guard<ProduceRequest, ProduceResponseInput> {
  return (request, context, next) => {
    const { allowed, denied } = split(request.topicData, ({ name, topicId }) => {
      const topic = name === '' ? image.topicById(topicId)?.name : name
      // An id that nobody has tells nothing: the handler answers it.
      return topic === undefined || mayTopic(context, write, topic)
    })
    if (denied.length === 0) return next(request)
    const refused = denied.map(({ name, topicId, partitionData }) => ({
      name,
      topicId,
      partitionResponses: partitionData.map(({ index }) => ({ index, errorCode: topicDenied, baseOffset: -1 })),
    }))
    const rest = allowed.length === 0 ? null : next({ ...request, topicData: allowed })
    if (request.acks === 0) return Promise.resolve(rest).then(() => null)
    return Promise.resolve(rest).then((answer) => ({
      ...answer,
      responses: [...(answer?.responses ?? []), ...refused],
    }))
  }
}

const listOffsets: Guard<ListOffsetsRequest, ListOffsetsResponseInput> = async (request, context, next) => {
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, describe, name))
  const answer = await next({ ...request, topics: allowed })
  const refused = refusedTopics(denied, topicDenied)
  return { ...answer, topics: [...(answer?.topics ?? []), ...refused] }
}

const deleteRecords: Guard<DeleteRecordsRequest, DeleteRecordsResponseInput> = async (request, context, next) => {
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, remove, name))
  const answer = await next({ ...request, topics: allowed })
  const refused = denied.map(({ name, partitions }) => ({
    name,
    partitions: partitions.map(({ partitionIndex }) => ({ partitionIndex, lowWatermark: -1, errorCode: topicDenied })),
  }))
  return { ...answer, topics: [...(answer?.topics ?? []), ...refused] }
}

const offsetForLeaderEpoch: Guard<OffsetForLeaderEpochRequest, OffsetForLeaderEpochResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.topics, ({ topic }) => mayTopic(context, describe, topic))
  const answer = await next({ ...request, topics: allowed })
  const refused = denied.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map(({ partition }) => ({ partition, errorCode: topicDenied })),
  }))
  return { ...answer, topics: [...(answer?.topics ?? []), ...refused] }
}

const describeProducers: Guard<DescribeProducersRequest, DescribeProducersResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, read, name))
  const answer = await next({ ...request, topics: allowed })
  const refused = denied.map(({ name, partitionIndexes }) => ({
    name,
    partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, errorCode: topicDenied })),
  }))
  return { ...answer, topics: [...(answer?.topics ?? []), ...refused] }
}

const initProducerId: Guard<InitProducerIdRequest, InitProducerIdResponseInput> = (request, context, next) => {
  const may = seesCluster(context, idempotentWrite) || context.subject.allowsSome(write, aclResource.topic)
  if (may || mayCluster(context, idempotentWrite)) return next(request)
  return { errorCode: errorCode('CLUSTER_AUTHORIZATION_FAILED'), producerId: -1, producerEpoch: -1 }
}

const describeTransactions: Guard<DescribeTransactionsRequest, DescribeTransactionsResponseInput> = async (
  request,
  context,
  next,
) => {
  const { allowed, denied } = split(request.transactionalIds, (id) =>
    context.subject.demands(describe, aclResource.transactionalId, id),
  )
  const answer = allowed.length === 0 ? null : await next({ transactionalIds: allowed })
  const refused = denied.map((transactionalId) => ({
    errorCode: errorCode('TRANSACTIONAL_ID_AUTHORIZATION_FAILED'),
    transactionalId,
  }))
  return { ...answer, transactionStates: [...(answer?.transactionStates ?? []), ...refused] }
}
