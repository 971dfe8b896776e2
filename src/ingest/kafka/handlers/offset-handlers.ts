/** The handlers of committed offsets: OffsetCommit 2-9, OffsetFetch 1-9, OffsetDelete 0. */
import type { GroupCoordinator } from '../../../coordinator/group/group-coordinator.ts'
import type { FetchedOffset, OffsetToCommit } from '../../../coordinator/group/group-requests.ts'
import type { KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type { OffsetCommitRequest, OffsetCommitResponseInput } from '../../../protocol/kafka/messages/offset-commit.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponseInput } from '../../../protocol/kafka/messages/offset-delete.ts'
import type { OffsetFetchRequest, OffsetFetchResponseInput } from '../../../protocol/kafka/messages/offset-fetch.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import { codeOf } from './error-code-of.ts'

type PartitionCountOf = (topic: string) => number | undefined

/** The three rows of the table. */
export function offsetHandlers(
  coordinator: GroupCoordinator,
  partitionCountOf: PartitionCountOf,
): readonly HandlerEntry[] {
  return [
    [8, offsetCommit(coordinator, partitionCountOf)],
    [9, offsetFetch(coordinator)],
    [47, offsetDelete(coordinator, partitionCountOf)],
  ]
}

/** From here on a group that does not exist is said to be so; before, the generation is. */
const groupIdNotFoundVersionMin = 9

/** OffsetCommit 2-9. A commit for a partition that does not exist is refused, which also bounds what a group can keep. */
function offsetCommit(
  coordinator: GroupCoordinator,
  partitionCountOf: PartitionCountOf,
): KafkaHandler<OffsetCommitRequest, OffsetCommitResponseInput> {
  return async (request, { apiVersion }) => {
    const offsets: OffsetToCommit[] = []
    /** For each topic and partition of the request: its place in `offsets`, or -1. */
    const places = request.topics.map(({ name, partitions }) => {
      const count = partitionCountOf(name) ?? 0
      return partitions.map((partition) => {
        if (partition.partitionIndex < 0 || partition.partitionIndex >= count) return -1
        return (
          offsets.push({
            topic: name,
            partition: partition.partitionIndex,
            offset: partition.committedOffset,
            leaderEpoch: partition.committedLeaderEpoch,
            metadata: partition.committedMetadata ?? '',
          }) - 1
        )
      })
    })
    const { error, errors } =
      offsets.length === 0
        ? { error: null, errors: [] }
        : await coordinator.commit({
            groupId: request.groupId,
            memberId: request.memberId,
            groupInstanceId: request.groupInstanceId,
            generationId: request.generationIdOrMemberEpoch,
            retentionMs: request.retentionTimeMs < 0 ? null : request.retentionTimeMs,
            knowsGroupIdNotFound: apiVersion >= groupIdNotFoundVersionMin,
            offsets,
          })
    return {
      topics: request.topics.map(({ name, partitions }, topicAt) => ({
        name,
        partitions: partitions.map(({ partitionIndex }, at) => {
          const place = places[topicAt]?.[at] ?? -1
          const own = place === -1 ? 'UNKNOWN_TOPIC_OR_PARTITION' : (error ?? errors[place] ?? null)
          return { partitionIndex, errorCode: codeOf(own) }
        }),
      })),
    }
  }
}

const groupsVersionMin = 8
/** Before, an error of the group is told with each partition. */
const groupErrorVersionMin = 2

/** OffsetFetch 1-9: one group before version 8, several from then on. */
function offsetFetch(coordinator: GroupCoordinator): KafkaHandler<OffsetFetchRequest, OffsetFetchResponseInput> {
  const fetch = (
    groupId: string,
    topics: OffsetFetchRequest['topics'],
    requireStable: boolean,
  ): readonly FetchedOffset[] | KafkaErrorName =>
    coordinator.fetchOffsets({
      groupId,
      topics: topics?.map(({ name, partitionIndexes }) => ({ topic: name, partitions: partitionIndexes })) ?? null,
      requireStable,
    })
  return (request, { apiVersion }) => {
    if (apiVersion >= groupsVersionMin)
      return {
        groups: request.groups.map(({ groupId, topics }) => {
          const fetched = fetch(groupId, topics, request.requireStable)
          if (typeof fetched === 'string') return { groupId, errorCode: codeOf(fetched) }
          return { groupId, topics: byTopic(fetched) }
        }),
      }
    const fetched = fetch(request.groupId, request.topics, request.requireStable)
    if (typeof fetched !== 'string') return { topics: byTopic(fetched) }
    if (apiVersion >= groupErrorVersionMin) return { errorCode: codeOf(fetched) }
    const failed = (request.topics ?? []).flatMap(({ name, partitionIndexes }) =>
      partitionIndexes.map((partition) => ({ ...nothingCommitted, topic: name, partition, error: fetched })),
    )
    return { topics: byTopic(failed) }
  }
}

const nothingCommitted = { offset: -1, leaderEpoch: -1, metadata: '' }

interface FetchedTopic {
  readonly name: string
  readonly partitions: {
    readonly partitionIndex: number
    readonly committedOffset: number
    readonly committedLeaderEpoch: number
    readonly metadata: string
    readonly errorCode: number
  }[]
}

/** Offsets of one topic stand together. */
function byTopic(fetched: readonly FetchedOffset[]): readonly FetchedTopic[] {
  const topics = new Map<string, FetchedTopic>()
  for (const { topic, partition, offset, leaderEpoch, metadata, error } of fetched) {
    let known = topics.get(topic)
    if (known === undefined) {
      known = { name: topic, partitions: [] }
      topics.set(topic, known)
    }
    known.partitions.push({
      partitionIndex: partition,
      committedOffset: offset,
      committedLeaderEpoch: leaderEpoch,
      metadata,
      errorCode: codeOf(error),
    })
  }
  return [...topics.values()]
}

/** OffsetDelete 0. */
function offsetDelete(
  coordinator: GroupCoordinator,
  partitionCountOf: PartitionCountOf,
): KafkaHandler<OffsetDeleteRequest, OffsetDeleteResponseInput> {
  return async (request) => {
    const exists = (topic: string, partition: number): boolean =>
      partition >= 0 && partition < (partitionCountOf(topic) ?? 0)
    const known = request.topics.flatMap(({ name, partitions }) =>
      partitions
        .filter(({ partitionIndex }) => exists(name, partitionIndex))
        .map(({ partitionIndex }) => ({ topic: name, partition: partitionIndex })),
    )
    const { error, errors } = await coordinator.deleteOffsets(request.groupId, known)
    if (error !== null) return { errorCode: codeOf(error) }
    let at = 0
    return {
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex }) => ({
          partitionIndex,
          errorCode: codeOf(exists(name, partitionIndex) ? (errors[at++] ?? null) : 'UNKNOWN_TOPIC_OR_PARTITION'),
        })),
      })),
    }
  }
}
