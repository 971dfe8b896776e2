/** Kafka API 47, OffsetDelete: versions 0. */
import { array, int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Positions of a group to forget (KIP-496). */
export const OffsetDeleteRequest = message({
  name: 'OffsetDeleteRequest',
  apiKey: 47,
  versions: '0',
  flexible: 'none',
  fields: {
    groupId: string(),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
      }),
    }),
  },
})
export type OffsetDeleteRequest = InferMessage<typeof OffsetDeleteRequest>
export type OffsetDeleteRequestInput = InferInput<typeof OffsetDeleteRequest>

/** Which of them were forgotten. */
export const OffsetDeleteResponse = message({
  name: 'OffsetDeleteResponse',
  apiKey: 47,
  versions: '0',
  flexible: 'none',
  fields: {
    errorCode: int16(),
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
})
export type OffsetDeleteResponse = InferMessage<typeof OffsetDeleteResponse>
export type OffsetDeleteResponseInput = InferInput<typeof OffsetDeleteResponse>
