/** Kafka API 45, AlterPartitionReassignments: versions 0 to 1. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for partitions to be moved to other replicas, or for a move to be given up (KIP-455, KIP-860). */
export const AlterPartitionReassignmentsRequest = message({
  name: 'AlterPartitionReassignmentsRequest',
  apiKey: 45,
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32('0+', { default: 60000 }),
    /** May a partition get more or fewer replicas than it has? */
    allowReplicationFactorChange: bool('1+', { default: true }),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** Null = the move under way is given up. */
        replicas: int32Array('0+', { nullable: '0+', default: null }),
      }),
    }),
  },
})
export type AlterPartitionReassignmentsRequest = InferMessage<typeof AlterPartitionReassignmentsRequest>
export type AlterPartitionReassignmentsRequestInput = InferInput<typeof AlterPartitionReassignmentsRequest>

/** Which moves have begun. */
export const AlterPartitionReassignmentsResponse = message({
  name: 'AlterPartitionReassignmentsResponse',
  apiKey: 45,
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    allowReplicationFactorChange: bool('1+', { default: true, ignorable: true }),
    errorCode: int16(),
    /** For people; null = the error code says it all. */
    errorMessage: string('0+', { nullable: '0+' }),
    responses: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
        /** For people; null = the error code says it all. */
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
})
export type AlterPartitionReassignmentsResponse = InferMessage<typeof AlterPartitionReassignmentsResponse>
export type AlterPartitionReassignmentsResponseInput = InferInput<typeof AlterPartitionReassignmentsResponse>
