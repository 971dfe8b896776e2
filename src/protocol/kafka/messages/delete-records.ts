/** Kafka API 21, DeleteRecords: versions 0 to 2. */
import { array, int16, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Cuts the beginning of logs (KIP-107). */
export const DeleteRecordsRequest = message({
  name: 'DeleteRecordsRequest',
  apiKey: 21,
  versions: '0-2',
  flexible: '2+',
  fields: {
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** Records before this offset go; -1 = up to the high watermark. */
        offset: int64('0+', { saturates: true }),
      }),
    }),
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32(),
  },
})
export type DeleteRecordsRequest = InferMessage<typeof DeleteRecordsRequest>
export type DeleteRecordsRequestInput = InferInput<typeof DeleteRecordsRequest>

/** The new first offsets. */
export const DeleteRecordsResponse = message({
  name: 'DeleteRecordsResponse',
  apiKey: 21,
  versions: '0-2',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** The first offset that can be read now; -1 with an error. */
        lowWatermark: int64(),
        errorCode: int16(),
      }),
    }),
  },
})
export type DeleteRecordsResponse = InferMessage<typeof DeleteRecordsResponse>
export type DeleteRecordsResponseInput = InferInput<typeof DeleteRecordsResponse>
