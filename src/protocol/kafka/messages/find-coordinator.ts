/** Kafka API 10, FindCoordinator: versions 0 to 6. */
import {
  array,
  int16,
  int32,
  int8,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks which broker coordinates a group or transaction. */
export const FindCoordinatorRequest = message({
  name: 'FindCoordinatorRequest',
  apiKey: 10,
  versions: '0-6',
  flexible: '3+',
  fields: {
    /** Group id or transactional id, by `keyType`. */
    key: string('0-3'),
    /** 0 group, 1 transaction, 2 share. */
    keyType: int8('1+'),
    /** Several keys at once, from version 4 on instead of `key`. */
    coordinatorKeys: stringArray('4+'),
  },
})
export type FindCoordinatorRequest = InferMessage<typeof FindCoordinatorRequest>
export type FindCoordinatorRequestInput = InferInput<typeof FindCoordinatorRequest>

/** The coordinator. */
export const FindCoordinatorResponse = message({
  name: 'FindCoordinatorResponse',
  apiKey: 10,
  versions: '0-6',
  flexible: '3+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    errorCode: int16('0-3'),
    /** For people; null = the error code says it all. */
    errorMessage: string('1-3', { nullable: '0+', ignorable: true }),
    nodeId: int32('0-3'),
    host: string('0-3'),
    port: int32('0-3'),
    /** One for each key, from version 4 on. */
    coordinators: array('4+', {
      key: string(),
      nodeId: int32(),
      host: string(),
      port: int32(),
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
})
export type FindCoordinatorResponse = InferMessage<typeof FindCoordinatorResponse>
export type FindCoordinatorResponseInput = InferInput<typeof FindCoordinatorResponse>
