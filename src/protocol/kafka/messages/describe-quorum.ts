/** Kafka API 55, DescribeQuorum: versions 0 to 2. */
import {
  array,
  int16,
  int32,
  int64,
  message,
  string,
  uint16,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the state of the metadata quorum (KIP-595, KIP-836, KIP-853). */
export const DescribeQuorumRequest = message({
  name: 'DescribeQuorumRequest',
  apiKey: 55,
  versions: '0-2',
  flexible: '0+',
  fields: {
    topics: array('0+', {
      topicName: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
      }),
    }),
  },
})
export type DescribeQuorumRequest = InferMessage<typeof DescribeQuorumRequest>
export type DescribeQuorumRequestInput = InferInput<typeof DescribeQuorumRequest>

const replicaStates = () =>
  array('0+', {
    replicaId: int32(),
    replicaDirectoryId: uuid('2+'),
    /** As the leader knows it; -1 = not at all. */
    logEndOffset: int64(),
    /** Wall ms of its last fetch; -1 = unknown. */
    lastFetchTimestamp: int64('1+', { default: -1, ignorable: true }),
    /** Wall ms when it last had everything; -1 = unknown. */
    lastCaughtUpTimestamp: int64('1+', { default: -1, ignorable: true }),
  })

/** Who leads, who votes, who listens, and how far each is. */
export const DescribeQuorumResponse = message({
  name: 'DescribeQuorumResponse',
  apiKey: 55,
  versions: '0-2',
  flexible: '0+',
  fields: {
    errorCode: int16(),
    /** For people; null = the error code says it all. */
    errorMessage: string('2+', { nullable: '2+', ignorable: true }),
    topics: array('0+', {
      topicName: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
        /** For people; null = the error code says it all. */
        errorMessage: string('2+', { nullable: '2+', ignorable: true }),
        leaderId: int32(),
        leaderEpoch: int32(),
        highWatermark: int64(),
        currentVoters: replicaStates(),
        observers: replicaStates(),
      }),
    }),
    nodes: array('2+', {
      nodeId: int32('2+'),
      /** Where controllers are reached. */
      listeners: array('2+', {
        name: string('2+'),
        host: string('2+'),
        port: uint16('2+'),
      }),
    }),
  },
})
export type DescribeQuorumResponse = InferMessage<typeof DescribeQuorumResponse>
export type DescribeQuorumResponseInput = InferInput<typeof DescribeQuorumResponse>
