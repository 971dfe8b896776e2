/** Kafka API 66, ListTransactions: versions 0 to 2. */
import {
  array,
  int16,
  int32,
  int64,
  int64Array,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks which transactional ids a coordinator knows (KIP-664). */
export const ListTransactionsRequest = message({
  name: 'ListTransactionsRequest',
  apiKey: 66,
  versions: '0-2',
  flexible: '0+',
  fields: {
    /** Kafka's names of states; none = in any state. */
    stateFilters: stringArray(),
    /** None = of any producer. */
    producerIdFilters: int64Array(),
    /** Only transactions that have run for longer, in milliseconds; below 0 = all (KIP-994). */
    durationFilter: int64('1+', { default: -1 }),
    /** Only ids that match the regular expression; null or empty = all (KIP-1152). */
    transactionalIdPattern: string('2+', { nullable: '2+', default: null }),
  },
})
export type ListTransactionsRequest = InferMessage<typeof ListTransactionsRequest>
export type ListTransactionsRequestInput = InferInput<typeof ListTransactionsRequest>

/** The ids found. */
export const ListTransactionsResponse = message({
  name: 'ListTransactionsResponse',
  apiKey: 66,
  versions: '0-2',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    /** Those of the filters that name no state. */
    unknownStateFilters: stringArray(),
    transactionStates: array('0+', {
      transactionalId: string(),
      producerId: int64(),
      transactionState: string(),
    }),
  },
})
export type ListTransactionsResponse = InferMessage<typeof ListTransactionsResponse>
export type ListTransactionsResponseInput = InferInput<typeof ListTransactionsResponse>
