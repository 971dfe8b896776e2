/** The handlers about who leads: ElectLeaders, AlterPartitionReassignments, DescribeQuorum. One node leads everything, and votes alone. */
import type { KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type {
  AlterPartitionReassignmentsRequest,
  AlterPartitionReassignmentsResponseInput,
} from '../../../protocol/kafka/messages/alter-partition-reassignments.ts'
import type {
  DescribeQuorumRequest,
  DescribeQuorumResponseInput,
} from '../../../protocol/kafka/messages/describe-quorum.ts'
import type { ElectLeadersRequest, ElectLeadersResponseInput } from '../../../protocol/kafka/messages/elect-leaders.ts'
import { metadataTopic } from '../../../cluster/metadata/metadata-log.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'
import { codeOf } from './error-code-of.ts'

/** The three rows of the table. */
export function quorumHandlers(parts: AdminParts): readonly HandlerEntry[] {
  return [
    [43, electLeaders(parts)],
    [45, alterPartitionReassignments(parts)],
    [55, describeQuorum(parts)],
  ]
}

interface Verdict {
  readonly error: KafkaErrorName | null
  readonly message: string | null
}

const done: Verdict = { error: null, message: null }

function refusal(error: KafkaErrorName, message: string): Verdict {
  return { error, message }
}

/** Null when the partition is there. */
function missing({ cluster }: AdminParts, topic: string, index: number): Verdict | null {
  if (cluster.image.topic(topic) === undefined)
    return refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no topic ${topic}.`)
  if (cluster.partitions.get(topic, index) === undefined)
    return refusal('UNKNOWN_TOPIC_OR_PARTITION', `There is no partition ${topic}-${index}.`)
  return null
}

const electionTypes: ReadonlyMap<number, KafkaErrorName> = new Map([
  [0, 'PREFERRED_LEADER_NOT_AVAILABLE'],
  [1, 'ELIGIBLE_LEADERS_NOT_AVAILABLE'],
])

/** ElectLeaders 0-2: a partition has the one leader it can have, unless its log directory has failed. Of all partitions only those are told. */
function electLeaders(parts: AdminParts): KafkaHandler<ElectLeadersRequest, ElectLeadersResponseInput> {
  return ({ electionType, topicPartitions }) => {
    const unavailable = electionTypes.get(electionType)
    if (unavailable === undefined) return { errorCode: codeOf('INVALID_REQUEST'), replicaElectionResults: [] }
    const { partitions } = parts.cluster
    const elect = (topic: string, index: number): Verdict => {
      const fault = missing(parts, topic, index)
      if (fault !== null) return fault
      return partitions.get(topic, index)?.isLeader === true
        ? refusal('ELECTION_NOT_NEEDED', 'The partition is led by the replica that is to lead it.')
        : refusal(unavailable, 'The log directory of the only replica has failed.')
    }
    const replicaElectionResults = (topicPartitions ?? leaderless(parts)).map(({ topic, partitions: indexes }) => ({
      topic,
      partitionResult: indexes.map((index) => {
        const { error, message } = elect(topic, index)
        return { partitionId: index, errorCode: codeOf(error), errorMessage: message }
      }),
    }))
    return { errorCode: 0, replicaElectionResults }
  }
}

/** What is without its leader, topic by topic. */
function leaderless({ cluster }: AdminParts): { readonly topic: string; readonly partitions: readonly number[] }[] {
  const byTopic = new Map<string, number[]>()
  for (const { topic, index, isLeader } of cluster.partitions.values()) {
    if (isLeader) continue
    const indexes = byTopic.get(topic)
    if (indexes === undefined) byTopic.set(topic, [index])
    else indexes.push(index)
  }
  return [...byTopic].map(([topic, partitions]) => ({ topic, partitions }))
}

/** AlterPartitionReassignments 0-1: there is one place for a replica, and nothing to give up. */
function alterPartitionReassignments(
  parts: AdminParts,
): KafkaHandler<AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponseInput> {
  const move = (topic: string, index: number, replicas: readonly number[] | null): Verdict => {
    const fault = missing(parts, topic, index)
    if (fault !== null) return fault
    if (replicas === null) return refusal('NO_REASSIGNMENT_IN_PROGRESS', 'The partition is not being moved.')
    const stranger = replicas.find((id) => id !== parts.nodeId)
    if (stranger !== undefined)
      return refusal(
        'INVALID_REPLICA_ASSIGNMENT',
        `Broker ${stranger} is not registered: broker ${parts.nodeId} is alone.`,
      )
    if (replicas.length !== 1)
      return refusal('INVALID_REPLICA_ASSIGNMENT', 'A partition has each of its replicas once, and at least one.')
    return done
  }
  return ({ allowReplicationFactorChange, topics }) => ({
    allowReplicationFactorChange,
    errorCode: 0,
    errorMessage: null,
    responses: topics.map(({ name, partitions }) => ({
      name,
      partitions: partitions.map(({ partitionIndex, replicas }) => {
        const { error, message } = move(name, partitionIndex, replicas)
        return { partitionIndex, errorCode: codeOf(error), errorMessage: message }
      }),
    })),
  })
}

/** From here on voters have directories (KIP-853), and the answer names nodes. */
const directoriesVersionMin = 2
/** From here on replicas have the times of their last fetch (KIP-836). */
const stampsVersionMin = 1

/** DescribeQuorum 0-2: the metadata log, whose only voter is this node. No listener leads to a controller: none is told. */
function describeQuorum(parts: AdminParts): KafkaHandler<DescribeQuorumRequest, DescribeQuorumResponseInput> {
  const { clock, cluster, directoryId, nodeId } = parts
  return ({ topics }, { apiVersion }) => ({
    errorCode: 0,
    errorMessage: null,
    topics: topics.map(({ topicName, partitions }) => ({
      topicName,
      partitions: partitions.map(({ partitionIndex }) => {
        if (topicName !== metadataTopic || partitionIndex !== 0) {
          const errorMessage = `The quorum has the one log ${metadataTopic}-0.`
          return { partitionIndex, errorCode: codeOf('UNKNOWN_TOPIC_OR_PARTITION'), errorMessage, leaderId: -1 }
        }
        const nowMs = clock.wallMs()
        return {
          partitionIndex,
          errorCode: 0,
          errorMessage: null,
          leaderId: nodeId,
          leaderEpoch: cluster.metadataEpoch,
          highWatermark: cluster.metadataEndOffset,
          currentVoters: [
            {
              replicaId: nodeId,
              ...(apiVersion < directoriesVersionMin ? {} : { replicaDirectoryId: directoryId }),
              logEndOffset: cluster.metadataLogEndOffset,
              // The leader has caught up with itself, at any time that it is asked.
              ...(apiVersion < stampsVersionMin ? {} : { lastFetchTimestamp: nowMs, lastCaughtUpTimestamp: nowMs }),
            },
          ],
          observers: [],
        }
      }),
    })),
    ...(apiVersion < directoriesVersionMin ? {} : { nodes: [{ nodeId, listeners: [] }] }),
  })
}
