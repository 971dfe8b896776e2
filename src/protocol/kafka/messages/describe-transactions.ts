/** Kafka API 65, DescribeTransactions: version 0. */
import {
  array,
  int16,
  int32,
  int32Array,
  int64,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks how the transactions of some ids stand (KIP-664). */
export const DescribeTransactionsRequest = message({
  name: 'DescribeTransactionsRequest',
  apiKey: 65,
  versions: '0',
  flexible: '0+',
  fields: {
    transactionalIds: stringArray(),
  },
})
export type DescribeTransactionsRequest = InferMessage<typeof DescribeTransactionsRequest>
export type DescribeTransactionsRequestInput = InferInput<typeof DescribeTransactionsRequest>

/** One answer an id. */
export const DescribeTransactionsResponse = message({
  name: 'DescribeTransactionsResponse',
  apiKey: 65,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    transactionStates: array('0+', {
      errorCode: int16(),
      transactionalId: string(),
      transactionState: string(),
      transactionTimeoutMs: int32(),
      transactionStartTimeMs: int64(),
      producerId: int64(),
      producerEpoch: int16(),
      topics: array('0+', {
        topic: string(),
        partitions: int32Array(),
      }),
    }),
  },
})
export type DescribeTransactionsResponse = InferMessage<typeof DescribeTransactionsResponse>
export type DescribeTransactionsResponseInput = InferInput<typeof DescribeTransactionsResponse>
