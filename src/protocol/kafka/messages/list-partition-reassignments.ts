/** Kafka API 46, ListPartitionReassignments: versions 0. */
import { array, int16, int32, int32Array, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks which partitions are being moved (KIP-455). */
export const ListPartitionReassignmentsRequest = message({
  name: 'ListPartitionReassignmentsRequest',
  apiKey: 46,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32('0+', { default: 60000 }),
    /** Null = all. */
    topics: array(
      '0+',
      {
        name: string(),
        partitionIndexes: int32Array(),
      },
      { nullable: '0+', default: null },
    ),
  },
})
export type ListPartitionReassignmentsRequest = InferMessage<typeof ListPartitionReassignmentsRequest>
export type ListPartitionReassignmentsRequestInput = InferInput<typeof ListPartitionReassignmentsRequest>

/** The partitions that are being moved. */
export const ListPartitionReassignmentsResponse = message({
  name: 'ListPartitionReassignmentsResponse',
  apiKey: 46,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    /** For people; null = the error code says it all. */
    errorMessage: string('0+', { nullable: '0+' }),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** The set during the move: old and new. */
        replicas: int32Array(),
        addingReplicas: int32Array(),
        removingReplicas: int32Array(),
      }),
    }),
  },
})
export type ListPartitionReassignmentsResponse = InferMessage<typeof ListPartitionReassignmentsResponse>
export type ListPartitionReassignmentsResponseInput = InferInput<typeof ListPartitionReassignmentsResponse>
