/** ListOffsets, OffsetForLeaderEpoch, DeleteRecords, DescribeProducers: questions about, and cuts of, the offsets of partitions. */
import { mapBounded } from '../base/map-bounded.ts'
import { ApplianceError } from '../base/errors.ts'
import { topicPartitionKey } from '../base/ids.ts'
import { type Clock, DiskError } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import { topicNameFault } from '../cluster/metadata/topic-names.ts'
import { errorCode, errorSentence, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { DeleteRecordsRequest, DeleteRecordsResponseInput } from '../protocol/kafka/messages/delete-records.ts'
import type {
  DescribeProducersRequest,
  DescribeProducersResponseInput,
} from '../protocol/kafka/messages/describe-producers.ts'
import type { ListOffsetsRequest, ListOffsetsResponseInput } from '../protocol/kafka/messages/list-offsets.ts'
import type {
  OffsetForLeaderEpochRequest,
  OffsetForLeaderEpochResponseInput,
} from '../protocol/kafka/messages/offset-for-leader-epoch.ts'
import { withinDeadline } from './deadline.ts'
import { epochFault } from './fetch-read.ts'

/** The special timestamps of ListOffsets; the last two look into remote storage, of which there is none. */
const special = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
} as const
/** First versions that know a special timestamp: an older request with it is answered UNSUPPORTED_VERSION, as Kafka does. */
const versionMinOf = new Map<number, number>([
  [special.maxTimestamp, 7],
  [special.earliestLocal, 8],
  [special.latestTiered, 9],
  [special.earliestPendingUpload, 11],
])

/** Look-ups of one request that are under way at a time: each may read index files and decompress a batch. */
const lookupsAtOnce = 8

export interface OffsetParts {
  readonly clock: Clock
  readonly partitions: PartitionTable
  readonly isServed: (topic: string) => boolean
  readonly isInternal: (topic: string) => boolean
}

/** First version whose answer names the leader epoch. */
const leaderEpochVersionMin = 4

interface FoundOffset {
  readonly errorCode: number
  readonly timestamp?: number
  readonly offset?: number
  readonly leaderEpoch: number
}

type ListedTopic = ListOffsetsRequest['topics'][number]
type ListedPartition = ListedTopic['partitions'][number]
type ListOffsetsAnswer = NonNullable<
  NonNullable<NonNullable<ListOffsetsResponseInput['topics']>[number]>['partitions']
>[number]

export async function listOffsets(
  request: ListOffsetsRequest,
  apiVersion: number,
  parts: OffsetParts,
): Promise<ListOffsetsResponseInput> {
  const asked = request.topics.flatMap(({ name, partitions }) => partitions.map((partition) => ({ name, partition })))
  const duplicates = duplicatesOf(asked.map(({ name, partition }) => topicPartitionKey(name, partition.partitionIndex)))
  const isReadCommitted = request.isolationLevel === 1
  const answers = await mapBounded(asked, lookupsAtOnce, ({ name, partition }) =>
    duplicates.has(topicPartitionKey(name, partition.partitionIndex))
      ? { partitionIndex: partition.partitionIndex, errorCode: errorCode('INVALID_REQUEST') }
      : listOne(name, partition, { apiVersion, isReadCommitted, parts }),
  )
  let next = 0
  return {
    topics: request.topics.map(({ name, partitions }) => {
      const first = next
      next += partitions.length
      return { name, partitions: answers.slice(first, next) }
    }),
  }
}

interface Listing {
  readonly apiVersion: number
  readonly isReadCommitted: boolean
  readonly parts: OffsetParts
}

async function listOne(
  topic: string,
  { partitionIndex, currentLeaderEpoch, timestamp }: ListedPartition,
  { apiVersion, isReadCommitted, parts }: Listing,
): Promise<ListOffsetsAnswer> {
  const refuse = (error: KafkaErrorName): ListOffsetsAnswer => ({ partitionIndex, errorCode: errorCode(error) })
  if (timestamp < special.earliestPendingUpload || apiVersion < (versionMinOf.get(timestamp) ?? 0)) {
    return refuse('UNSUPPORTED_VERSION')
  }
  const partition = readablePartition(parts, topic, partitionIndex)
  if (typeof partition === 'string') return refuse(partition)
  const fault = epochFault(partition, currentLeaderEpoch)
  if (fault !== null) return refuse(fault)
  const { leaderEpoch, ...found } = await findOffset(partition, timestamp, isReadCommitted)
  return { partitionIndex, ...found, ...(apiVersion < leaderEpochVersionMin ? {} : { leaderEpoch }) }
}

/** Those that are there more than once. */
function duplicatesOf(keys: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  const duplicates = new Set<string>()
  for (const key of keys) (seen.has(key) ? duplicates : seen).add(key)
  return duplicates
}

async function findOffset(partition: Partition, timestamp: number, isReadCommitted: boolean): Promise<FoundOffset> {
  const { log, leaderEpoch } = partition
  const end = isReadCommitted ? log.lastStableOffset : partition.highWatermark
  switch (timestamp) {
    case special.latest:
      return { errorCode: 0, offset: end, leaderEpoch }
    case special.earliest:
    case special.earliestLocal:
      return { errorCode: 0, offset: log.logStartOffset, leaderEpoch: log.epochs.epochAt(log.logStartOffset) }
    case special.latestTiered:
    case special.earliestPendingUpload:
      return { errorCode: 0, offset: -1, leaderEpoch: -1 }
    default:
  }
  try {
    const found =
      timestamp === special.maxTimestamp ? await log.offsetOfMaxTimestamp() : await log.offsetForTimestamp(timestamp)
    if (found === null || found.offset >= end) return { errorCode: 0, leaderEpoch: -1 }
    return { errorCode: 0, offset: found.offset, timestamp: found.timestampMs, leaderEpoch: found.leaderEpoch }
  } catch (thrown) {
    if (!(thrown instanceof DiskError)) throw thrown
    return {
      errorCode: errorCode(log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR'),
      leaderEpoch: -1,
    }
  }
}

export function offsetsForLeaderEpoch(
  request: OffsetForLeaderEpochRequest,
  parts: OffsetParts,
): OffsetForLeaderEpochResponseInput {
  return {
    topics: request.topics.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.map(({ partition: index, currentLeaderEpoch, leaderEpoch }) => {
        const partition = readablePartition(parts, topic, index)
        const fault = typeof partition === 'string' ? partition : epochFault(partition, currentLeaderEpoch)
        if (fault !== null || typeof partition === 'string')
          return { partition: index, errorCode: errorCode(fault ?? 'UNKNOWN_TOPIC_OR_PARTITION') }
        const { epoch, endOffset } = partition.log.endOffsetForEpoch(leaderEpoch)
        return { partition: index, errorCode: 0, leaderEpoch: epoch, endOffset }
      }),
    })),
  }
}

/**
 * The client's time is that of followers (clients send 0): for Kafka a cut of the leader takes none. Ours is durable first, and is given so much
 * at the least.
 */
const ownCutMs = 1_000

/** Answers when the new log start offsets are durable; REQUEST_TIMED_OUT past `timeoutMs` and `ownCutMs`, and the cut goes on. */
export async function deleteRecords(
  request: DeleteRecordsRequest,
  parts: OffsetParts,
): Promise<DeleteRecordsResponseInput> {
  const late = (): KafkaErrorName => 'REQUEST_TIMED_OUT'
  const timeoutMs = Math.max(request.timeoutMs, ownCutMs)
  const topics = request.topics.map(async ({ name, partitions }) => ({
    name,
    partitions: await Promise.all(
      partitions.map(async ({ partitionIndex, offset }) => {
        const cut = deleteBefore(parts, name, partitionIndex, offset)
        const outcome = await withinDeadline<number | KafkaErrorName>(parts.clock, timeoutMs, cut, late)
        return typeof outcome === 'number'
          ? { partitionIndex, lowWatermark: outcome, errorCode: 0 }
          : { partitionIndex, lowWatermark: -1, errorCode: errorCode(outcome) }
      }),
    ),
  }))
  return { topics: await Promise.all(topics) }
}

async function deleteBefore(
  parts: OffsetParts,
  topic: string,
  index: number,
  offset: number,
): Promise<number | KafkaErrorName> {
  if (parts.isInternal(topic)) return 'INVALID_TOPIC_EXCEPTION'
  const partition = parts.partitions.get(topic, index)
  if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  const { log } = partition
  // A topic with neither policy keeps everything, and lets what a client names go.
  if (log.config.cleanupPolicy.has('compact') && !log.config.cleanupPolicy.has('delete')) return 'POLICY_VIOLATION'
  const target = offset === -1 ? partition.highWatermark : offset
  if (target < 0 || target > partition.highWatermark) return 'OFFSET_OUT_OF_RANGE'
  try {
    return await log.deleteRecordsBefore(target)
  } catch (thrown) {
    if (!(thrown instanceof ApplianceError)) throw thrown
    return log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR'
  }
}

export function describeProducers(
  request: DescribeProducersRequest,
  parts: OffsetParts,
): DescribeProducersResponseInput {
  return {
    topics: request.topics.map(({ name, partitionIndexes }) => ({
      name,
      partitions: partitionIndexes.map((partitionIndex) => {
        const partition =
          topicNameFault(name) === null ? readablePartition(parts, name, partitionIndex) : 'INVALID_TOPIC_EXCEPTION'
        if (typeof partition === 'string')
          return { partitionIndex, errorCode: errorCode(partition), errorMessage: errorSentence(partition) }
        return {
          partitionIndex,
          errorCode: 0,
          activeProducers: partition.log.activeProducers().map((producer) => ({
            producerId: producer.producerId,
            producerEpoch: producer.producerEpoch,
            lastSequence: producer.lastSequence,
            lastTimestamp: producer.lastTimestampMs,
            coordinatorEpoch: producer.coordinatorEpoch,
            currentTxnStartOffset: producer.currentTransactionStartOffset,
          })),
        }
      }),
    })),
  }
}

function readablePartition(parts: OffsetParts, topic: string, index: number): Partition | KafkaErrorName {
  const partition = parts.partitions.get(topic, index)
  if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
  return parts.isServed(topic) ? partition : 'TOPIC_AUTHORIZATION_FAILED'
}
