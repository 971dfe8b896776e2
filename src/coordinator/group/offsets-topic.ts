/** The topic of the group coordinator, and which of its partitions a group belongs to. */
import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'

/**
 * Kafka's own name and record formats, so that its tools can read it. 8 partitions (Kafka: 50) and 8 MiB segments (Kafka: 100 MiB)
 * suit a small host; the number is fixed when the topic is created.
 */
export const offsetsTopic: InternalTopicDefinition = offsetsTopicOf(8, 8 * 1_048_576)

/** The same with `offsets.topic.num.partitions` and `offsets.topic.segment.bytes` as they are set. */
export function offsetsTopicOf(partitions: number, segmentBytes: number): InternalTopicDefinition {
  return {
    name: '__consumer_offsets',
    partitions,
    configs: {
      'cleanup.policy': 'compact',
      'segment.bytes': String(segmentBytes),
      'compression.type': 'producer',
    },
    readable: true,
    holds: "Committed offsets and the members and assignments of consumer groups, in Apache Kafka's record formats.",
  }
}

/** The partition of a group: Java's `String.hashCode`, made positive as Kafka does, modulo the number of partitions. */
export function offsetsPartitionOf(groupId: string, partitionCount: number): number {
  let hash = 0
  for (let at = 0; at < groupId.length; at++) hash = (Math.imul(31, hash) + groupId.charCodeAt(at)) | 0
  return (hash === -0x8000_0000 ? 0 : Math.abs(hash)) % partitionCount
}
