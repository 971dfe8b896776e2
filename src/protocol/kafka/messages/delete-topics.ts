/** Kafka API 20, DeleteTopics: versions 1 to 6. */
import {
  array,
  int16,
  int32,
  message,
  string,
  stringArray,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Topics to delete. */
export const DeleteTopicsRequest = message({
  name: 'DeleteTopicsRequest',
  apiKey: 20,
  versions: '1-6',
  flexible: '4+',
  fields: {
    /** By name or by id (KIP-516). */
    topics: array('6+', {
      name: string('0+', { nullable: '0+', default: null }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid(),
    }),
    /** Versions before 6. */
    topicNames: stringArray('0-5', { ignorable: true }),
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32(),
  },
})
export type DeleteTopicsRequest = InferMessage<typeof DeleteTopicsRequest>
export type DeleteTopicsRequestInput = InferInput<typeof DeleteTopicsRequest>

/** Which of them were deleted. */
export const DeleteTopicsResponse = message({
  name: 'DeleteTopicsResponse',
  apiKey: 20,
  versions: '1-6',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    responses: array('0+', {
      name: string('0+', { nullable: '6+' }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('6+', { ignorable: true }),
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('5+', { nullable: '0+', default: null, ignorable: true }),
    }),
  },
})
export type DeleteTopicsResponse = InferMessage<typeof DeleteTopicsResponse>
export type DeleteTopicsResponseInput = InferInput<typeof DeleteTopicsResponse>
