/** Kafka API 75, DescribeTopicPartitions: versions 0. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  message,
  string,
  struct,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for topics page by page (KIP-966). */
export const DescribeTopicPartitionsRequest = message({
  name: 'DescribeTopicPartitionsRequest',
  apiKey: 75,
  versions: '0',
  flexible: '0+',
  fields: {
    topics: array('0+', {
      name: string(),
    }),
    /** Most partitions in one answer. */
    responsePartitionLimit: int32('0+', { default: 2000 }),
    /** Where to go on; null = from the start. */
    cursor: struct(
      '0+',
      {
        topicName: string(),
        partitionIndex: int32(),
      },
      { nullable: '0+', default: null },
    ),
  },
})
export type DescribeTopicPartitionsRequest = InferMessage<typeof DescribeTopicPartitionsRequest>
export type DescribeTopicPartitionsRequestInput = InferInput<typeof DescribeTopicPartitionsRequest>

/** One page of topics. */
export const DescribeTopicPartitionsResponse = message({
  name: 'DescribeTopicPartitionsResponse',
  apiKey: 75,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      errorCode: int16(),
      name: string('0+', { nullable: '0+' }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid(),
      /** Written by the brokers themselves. */
      isInternal: bool(),
      partitions: array('0+', {
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        /** -1 = not known. */
        leaderEpoch: int32('0+', { default: -1 }),
        /** The first is the preferred leader. */
        replicaNodes: int32Array(),
        /** The replicas in sync with the leader. */
        isrNodes: int32Array(),
        /** KIP-966. */
        eligibleLeaderReplicas: int32Array('0+', { nullable: '0+', default: null }),
        /** KIP-966. */
        lastKnownElr: int32Array('0+', { nullable: '0+', default: null }),
        offlineReplicas: int32Array(),
      }),
      /** Bits of ACL operations; the smallest int32 = not asked for. */
      topicAuthorizedOperations: int32('0+', { default: -2_147_483_648 }),
    }),
    /** Where to go on; null = this was all. */
    nextCursor: struct(
      '0+',
      {
        topicName: string(),
        partitionIndex: int32(),
      },
      { nullable: '0+', default: null },
    ),
  },
})
export type DescribeTopicPartitionsResponse = InferMessage<typeof DescribeTopicPartitionsResponse>
export type DescribeTopicPartitionsResponseInput = InferInput<typeof DescribeTopicPartitionsResponse>
