/** Kafka API 19, CreateTopics: versions 2 to 7. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  int8,
  message,
  string,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Topics to create. */
export const CreateTopicsRequest = message({
  name: 'CreateTopicsRequest',
  apiKey: 19,
  versions: '2-7',
  flexible: '5+',
  fields: {
    topics: array('0+', {
      name: string(),
      /** -1 = the default of the broker. */
      numPartitions: int32(),
      /** -1 = the default of the broker. */
      replicationFactor: int16(),
      /** Replicas by hand; empty = the broker chooses. */
      assignments: array('0+', {
        partitionIndex: int32(),
        brokerIds: int32Array(),
      }),
      configs: array('0+', {
        name: string(),
        /** Null = the default. */
        value: string('0+', { nullable: '0+' }),
      }),
    }),
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32('0+', { default: 60000 }),
    /** Check and answer, change nothing. */
    validateOnly: bool(),
  },
})
export type CreateTopicsRequest = InferMessage<typeof CreateTopicsRequest>
export type CreateTopicsRequestInput = InferInput<typeof CreateTopicsRequest>

/** Which of them were created, and how. */
export const CreateTopicsResponse = message({
  name: 'CreateTopicsResponse',
  apiKey: 19,
  versions: '2-7',
  flexible: '5+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      name: string(),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('7+', { ignorable: true }),
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('0+', { nullable: '0+' }),
      /** Why `configs` is missing. */
      topicConfigErrorCode: int16('5+', { tag: 0, ignorable: true }),
      /** -1 = not told. */
      numPartitions: int32('5+', { default: -1, ignorable: true }),
      /** -1 = not told. */
      replicationFactor: int16('5+', { default: -1, ignorable: true }),
      /** What the topic got; null when the client may not see it. */
      configs: array(
        '5+',
        {
          name: string(),
          value: string('0+', { nullable: '0+' }),
          readOnly: bool(),
          /** 0 unknown, 1 topic, 2 broker, 3 broker default, 4 static file, 5 default, 6 broker logger, 7 client metrics, 8 group. */
          configSource: int8('0+', { default: -1 }),
          /** The value is then null. */
          isSensitive: bool(),
        },
        { nullable: '0+', ignorable: true },
      ),
    }),
  },
})
export type CreateTopicsResponse = InferMessage<typeof CreateTopicsResponse>
export type CreateTopicsResponseInput = InferInput<typeof CreateTopicsResponse>
