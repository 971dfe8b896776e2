/** Kafka API 37, CreatePartitions: versions 0 to 3. */
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

/** Partitions to add (KIP-195). */
export const CreatePartitionsRequest = message({
  name: 'CreatePartitionsRequest',
  apiKey: 37,
  versions: '0-3',
  flexible: '2+',
  fields: {
    topics: array('0+', {
      name: string(),
      /** New total of partitions. */
      count: int32(),
      /** Replicas of the new partitions by hand; null = the broker chooses. */
      assignments: array(
        '0+',
        {
          brokerIds: int32Array(),
        },
        { nullable: '0+' },
      ),
    }),
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32(),
    /** Check and answer, change nothing. */
    validateOnly: bool(),
  },
})
export type CreatePartitionsRequest = InferMessage<typeof CreatePartitionsRequest>
export type CreatePartitionsRequestInput = InferInput<typeof CreatePartitionsRequest>

/** Where they were added. */
export const CreatePartitionsResponse = message({
  name: 'CreatePartitionsResponse',
  apiKey: 37,
  versions: '0-3',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      name: string(),
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('0+', { nullable: '0+', default: null }),
    }),
  },
})
export type CreatePartitionsResponse = InferMessage<typeof CreatePartitionsResponse>
export type CreatePartitionsResponseInput = InferInput<typeof CreatePartitionsResponse>
