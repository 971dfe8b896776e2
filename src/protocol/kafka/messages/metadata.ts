/** Kafka API 3, Metadata: versions 0 to 13. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  message,
  string,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for brokers, topics, partitions and their leaders. */
export const MetadataRequest = message({
  name: 'MetadataRequest',
  apiKey: 3,
  versions: '0-13',
  flexible: '9+',
  fields: {
    /** Null = all topics (an empty list means all in version 0, none later). */
    topics: array(
      '0+',
      {
        /** Stands in for the name from the version on that carries it; all zero = none. */
        topicId: uuid('10+', { ignorable: true }),
        name: string('0+', { nullable: '10+' }),
      },
      { nullable: '1+' },
    ),
    allowAutoTopicCreation: bool('4+', { default: true }),
    includeClusterAuthorizedOperations: bool('8-10'),
    includeTopicAuthorizedOperations: bool('8+'),
  },
})
export type MetadataRequest = InferMessage<typeof MetadataRequest>
export type MetadataRequestInput = InferInput<typeof MetadataRequest>

/** Brokers, topics, partitions and their leaders, as clients route by them. */
export const MetadataResponse = message({
  name: 'MetadataResponse',
  apiKey: 3,
  versions: '0-13',
  flexible: '9+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('3+', { ignorable: true }),
    brokers: array('0+', {
      nodeId: int32(),
      host: string(),
      port: int32(),
      rack: string('1+', { nullable: '0+', default: null, ignorable: true }),
    }),
    clusterId: string('2+', { nullable: '0+', default: null, ignorable: true }),
    /** -1 = not known. */
    controllerId: int32('1+', { default: -1, ignorable: true }),
    topics: array('0+', {
      errorCode: int16(),
      name: string('0+', { nullable: '12+' }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('10+', { ignorable: true }),
      /** Written by the brokers themselves. */
      isInternal: bool('1+', { ignorable: true }),
      partitions: array('0+', {
        errorCode: int16(),
        partitionIndex: int32(),
        leaderId: int32(),
        /** Fences stale metadata (KIP-320). */
        leaderEpoch: int32('7+', { default: -1, ignorable: true }),
        /** The first is the preferred leader. */
        replicaNodes: int32Array(),
        /** The replicas in sync with the leader. */
        isrNodes: int32Array(),
        offlineReplicas: int32Array('5+', { ignorable: true }),
      }),
      /** Bits of ACL operations; the smallest int32 = not asked for. */
      topicAuthorizedOperations: int32('8+', { default: -2_147_483_648 }),
    }),
    /** Bits of ACL operations; the smallest int32 = not asked for. */
    clusterAuthorizedOperations: int32('8-10', { default: -2_147_483_648 }),
    errorCode: int16('13+', { ignorable: true }),
  },
})
export type MetadataResponse = InferMessage<typeof MetadataResponse>
export type MetadataResponseInput = InferInput<typeof MetadataResponse>
