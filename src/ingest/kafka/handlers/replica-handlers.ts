/** The handlers about replicas on this node: AlterReplicaLogDirs, DescribeLogDirs, ListPartitionReassignments. */
import type { Partition } from '../../../cluster/partition/partition.ts'
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type {
  AlterReplicaLogDirsRequest,
  AlterReplicaLogDirsResponseInput,
} from '../../../protocol/kafka/messages/alter-replica-log-dirs.ts'
import type {
  DescribeLogDirsRequest,
  DescribeLogDirsResponseInput,
} from '../../../protocol/kafka/messages/describe-log-dirs.ts'
import type {
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponseInput,
} from '../../../protocol/kafka/messages/list-partition-reassignments.ts'
import type { HandlerEntry, KafkaHandler } from '../handler.ts'
import type { AdminParts } from './admin-parts.ts'
import { codeOf } from './error-code-of.ts'

/** The three rows of the table. */
export function replicaHandlers(parts: AdminParts): readonly HandlerEntry[] {
  return [
    [34, alterReplicaLogDirs(parts)],
    [35, describeLogDirs(parts)],
    [46, listPartitionReassignments],
  ]
}

/** AlterReplicaLogDirs 1-2: every replica is in the one directory there is, and there it stays. */
function alterReplicaLogDirs(
  parts: AdminParts,
): KafkaHandler<AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponseInput> {
  const errorOf = (path: string, topic: string, index: number): KafkaErrorName | null => {
    if (path !== parts.logDirectory) return 'LOG_DIR_NOT_FOUND'
    const partition = parts.cluster.partitions.get(topic, index)
    if (partition === undefined) return 'UNKNOWN_TOPIC_OR_PARTITION'
    return partition.isLeader ? null : 'KAFKA_STORAGE_ERROR'
  }
  return ({ dirs }) => ({
    results: dirs.flatMap(({ path, topics }) =>
      topics.map(({ name, partitions }) => ({
        topicName: name,
        partitions: partitions.map((index) => ({
          partitionIndex: index,
          errorCode: codeOf(errorOf(path, name, index)),
        })),
      })),
    ),
  })
}

/** DescribeLogDirs 1-4: there is one directory, and no replica moves between directories. */
function describeLogDirs(parts: AdminParts): KafkaHandler<DescribeLogDirsRequest, DescribeLogDirsResponseInput> {
  return async ({ topics }) => {
    const space = await parts.disk.space(parts.logDirectory).catch(() => null)
    const wanted = topics === null ? null : new Map(topics.map(({ topic, partitions }) => [topic, new Set(partitions)]))
    const byTopic = new Map<string, Partition[]>()
    let hasFailed = false
    for (const partition of parts.cluster.partitions.values()) {
      if (!partition.isLeader) hasFailed = true
      if (wanted !== null && wanted.get(partition.topic)?.has(partition.index) !== true) continue
      const same = byTopic.get(partition.topic)
      if (same === undefined) byTopic.set(partition.topic, [partition])
      else same.push(partition)
    }
    // Of a failed directory only the failure is told, as Kafka does.
    const told = hasFailed ? [] : [...byTopic]
    return {
      results: [
        {
          errorCode: hasFailed ? errorCode('KAFKA_STORAGE_ERROR') : 0,
          logDir: parts.logDirectory,
          topics: told.map(([name, partitions]) => ({
            name,
            partitions: partitions.map(({ index, log, highWatermark }) => ({
              partitionIndex: index,
              partitionSize: log.sizeInBytes,
              offsetLag: Math.max(0, log.logEndOffset - highWatermark),
              isFutureKey: false,
            })),
          })),
          totalBytes: space?.totalBytes ?? -1,
          usableBytes: space?.freeBytes ?? -1,
        },
      ],
    }
  }
}

/** ListPartitionReassignments 0: with one node nothing is ever moved. */
const listPartitionReassignments: KafkaHandler<
  ListPartitionReassignmentsRequest,
  ListPartitionReassignmentsResponseInput
> = () => ({ topics: [], errorMessage: null })
