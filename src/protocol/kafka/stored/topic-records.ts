/** Records of `__cluster_metadata` about topics and partitions. */
import {
  int32,
  int32Array,
  int8,
  message,
  string,
  uuid,
  uuidArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** A topic came to be. */
export const TopicRecord = message({
  name: 'TopicRecord',
  apiKey: 2,
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    topicId: uuid(),
  },
})
export type TopicRecord = InferMessage<typeof TopicRecord>
export type TopicRecordInput = InferInput<typeof TopicRecord>

/** A partition, as a whole. */
export const PartitionRecord = message({
  name: 'PartitionRecord',
  apiKey: 3,
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32('0+', { default: -1 }),
    topicId: uuid(),
    /** The first is the preferred leader. */
    replicas: int32Array(),
    isr: int32Array(),
    removingReplicas: int32Array(),
    addingReplicas: int32Array(),
    /** -1 = none. */
    leader: int32('0+', { default: -1 }),
    /** 0 recovered, 1 recovering after an unclean election. */
    leaderRecoveryState: int8('0+', { tag: 0 }),
    leaderEpoch: int32('0+', { default: -1 }),
    /** Grows with every change of the partition. */
    partitionEpoch: int32('0+', { default: -1 }),
    /** Of the replicas, in the same order (KIP-858). A replica without its directory id reads as empty after a restart of Apache Kafka. */
    directories: uuidArray('1+'),
    /** KIP-966. */
    eligibleLeaderReplicas: int32Array('2+', { nullable: '0+', tag: 1, default: null }),
    /** KIP-966. */
    lastKnownElr: int32Array('2+', { nullable: '0+', tag: 2, default: null }),
  },
})
export type PartitionRecord = InferMessage<typeof PartitionRecord>
export type PartitionRecordInput = InferInput<typeof PartitionRecord>

/** What changed of a partition; what is null or -2 did not. */
export const PartitionChangeRecord = message({
  name: 'PartitionChangeRecord',
  apiKey: 5,
  versions: '0-2',
  flexible: '0+',
  fields: {
    partitionId: int32('0+', { default: -1 }),
    topicId: uuid(),
    /** Null = as before. */
    isr: int32Array('0+', { nullable: '0+', tag: 0, default: null }),
    /** -2 = as before, -1 = none. */
    leader: int32('0+', { tag: 1, default: -2 }),
    /** Null = as before. */
    replicas: int32Array('0+', { nullable: '0+', tag: 2, default: null }),
    /** Null = as before. */
    removingReplicas: int32Array('0+', { nullable: '0+', tag: 3, default: null }),
    /** Null = as before. */
    addingReplicas: int32Array('0+', { nullable: '0+', tag: 4, default: null }),
    /** -1 = as before. */
    leaderRecoveryState: int8('0+', { tag: 5, default: -1 }),
    /** Null = as before. */
    directories: uuidArray('1+', { nullable: '0+', tag: 8, default: null }),
    /** Null = as before. */
    eligibleLeaderReplicas: int32Array('2+', { nullable: '0+', tag: 6, default: null }),
    /** Null = as before. */
    lastKnownElr: int32Array('2+', { nullable: '0+', tag: 7, default: null }),
  },
})
export type PartitionChangeRecord = InferMessage<typeof PartitionChangeRecord>
export type PartitionChangeRecordInput = InferInput<typeof PartitionChangeRecord>

/** A topic and its partitions are gone. */
export const RemoveTopicRecord = message({
  name: 'RemoveTopicRecord',
  apiKey: 9,
  versions: '0',
  flexible: '0+',
  fields: {
    topicId: uuid(),
  },
})
export type RemoveTopicRecord = InferMessage<typeof RemoveTopicRecord>
export type RemoveTopicRecordInput = InferInput<typeof RemoveTopicRecord>

/** Forgets the eligible leader replicas of one topic, or of all (KIP-966). */
export const ClearElrRecord = message({
  name: 'ClearElrRecord',
  apiKey: 28,
  versions: '0',
  flexible: '0+',
  fields: {
    /** Empty = all topics. */
    topicName: string(),
  },
})
export type ClearElrRecord = InferMessage<typeof ClearElrRecord>
export type ClearElrRecordInput = InferInput<typeof ClearElrRecord>
