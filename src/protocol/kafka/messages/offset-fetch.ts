/** Kafka API 9, OffsetFetch: versions 1 to 9. */
import {
  array,
  bool,
  int16,
  int32,
  int32Array,
  int64,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the stored positions of groups. */
export const OffsetFetchRequest = message({
  name: 'OffsetFetchRequest',
  apiKey: 9,
  versions: '1-9',
  flexible: '6+',
  fields: {
    groupId: string('0-7'),
    /** Null = every partition the group has committed. */
    topics: array(
      '0-7',
      {
        name: string(),
        partitionIndexes: int32Array(),
      },
      { nullable: '2+' },
    ),
    /** Several groups at once, from version 8 on. */
    groups: array('8+', {
      groupId: string(),
      /** KIP-848 only. */
      memberId: string('9+', { nullable: '0+', default: null, ignorable: true }),
      /** KIP-848 only; -1 = do not check. */
      memberEpoch: int32('9+', { default: -1, ignorable: true }),
      /** Null = every partition the group has committed. */
      topics: array(
        '0+',
        {
          name: string(),
          partitionIndexes: int32Array(),
        },
        { nullable: '0+' },
      ),
    }),
    /** Answer UNSTABLE_OFFSET_COMMIT while a transaction holds offsets (KIP-447). */
    requireStable: bool('7+'),
  },
})
export type OffsetFetchRequest = InferMessage<typeof OffsetFetchRequest>
export type OffsetFetchRequestInput = InferInput<typeof OffsetFetchRequest>

/** The stored positions. */
export const OffsetFetchResponse = message({
  name: 'OffsetFetchResponse',
  apiKey: 9,
  versions: '1-9',
  flexible: '6+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('3+', { ignorable: true }),
    topics: array('0-7', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** Next offset to read; -1 = nothing committed. */
        committedOffset: int64(),
        /** Epoch of the last record consumed; -1 = not known. */
        committedLeaderEpoch: int32('5+', { default: -1, ignorable: true }),
        /** Text of the application. */
        metadata: string('0+', { nullable: '0+' }),
        errorCode: int16(),
      }),
    }),
    errorCode: int16('2-7', { ignorable: true }),
    /** From version 8 on. */
    groups: array('8+', {
      groupId: string(),
      topics: array('0+', {
        name: string(),
        partitions: array('0+', {
          partitionIndex: int32(),
          /** Next offset to read; -1 = nothing committed. */
          committedOffset: int64(),
          /** Epoch of the last record consumed; -1 = not known. */
          committedLeaderEpoch: int32('0+', { default: -1 }),
          /** Text of the application. */
          metadata: string('0+', { nullable: '0+' }),
          errorCode: int16(),
        }),
      }),
      errorCode: int16(),
    }),
  },
})
export type OffsetFetchResponse = InferMessage<typeof OffsetFetchResponse>
export type OffsetFetchResponseInput = InferInput<typeof OffsetFetchResponse>
