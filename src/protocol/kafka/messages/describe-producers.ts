/** Kafka API 61, DescribeProducers: versions 0. */
import {
  array,
  int16,
  int32,
  int32Array,
  int64,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the producers a partition remembers (KIP-664). */
export const DescribeProducersRequest = message({
  name: 'DescribeProducersRequest',
  apiKey: 61,
  versions: '0',
  flexible: '0+',
  fields: {
    topics: array('0+', {
      name: string(),
      partitionIndexes: int32Array(),
    }),
  },
})
export type DescribeProducersRequest = InferMessage<typeof DescribeProducersRequest>
export type DescribeProducersRequestInput = InferInput<typeof DescribeProducersRequest>

/** The producers, with their last sequence number. */
export const DescribeProducersResponse = message({
  name: 'DescribeProducersResponse',
  apiKey: 61,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
        /** For people; null = the error code says it all. */
        errorMessage: string('0+', { nullable: '0+', default: null }),
        activeProducers: array('0+', {
          producerId: int64(),
          producerEpoch: int32(),
          /** -1 = none. */
          lastSequence: int32('0+', { default: -1 }),
          /** Of its last batch; -1 = none. */
          lastTimestamp: int64('0+', { default: -1 }),
          /** Of the last marker; -1 = none. */
          coordinatorEpoch: int32(),
          /** First offset of the open transaction; -1 = none. */
          currentTxnStartOffset: int64('0+', { default: -1 }),
        }),
      }),
    }),
  },
})
export type DescribeProducersResponse = InferMessage<typeof DescribeProducersResponse>
export type DescribeProducersResponseInput = InferInput<typeof DescribeProducersResponse>
