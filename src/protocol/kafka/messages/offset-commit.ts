/** Kafka API 8, OffsetCommit: versions 2 to 9. */
import { array, int16, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Positions of a group to be stored. */
export const OffsetCommitRequest = message({
  name: 'OffsetCommitRequest',
  apiKey: 8,
  versions: '2-9',
  flexible: '8+',
  fields: {
    groupId: string(),
    /** -1 = a commit from outside a group. */
    generationIdOrMemberEpoch: int32('0+', { default: -1 }),
    /** Empty for a commit from outside a group. */
    memberId: string(),
    /** Static membership (KIP-345); null = dynamic. */
    groupInstanceId: string('7+', { nullable: '0+', default: null }),
    /** Ignored by Kafka since 2.1; -1 = by the broker. */
    retentionTimeMs: int64('2-4', { default: -1, ignorable: true, saturates: true }),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** Next offset to read. */
        committedOffset: int64('0+', { saturates: true }),
        /** Epoch of the last record consumed; -1 = not known. */
        committedLeaderEpoch: int32('6+', { default: -1, ignorable: true }),
        /** Text of the application. */
        committedMetadata: string('0+', { nullable: '0+' }),
      }),
    }),
  },
})
export type OffsetCommitRequest = InferMessage<typeof OffsetCommitRequest>
export type OffsetCommitRequestInput = InferInput<typeof OffsetCommitRequest>

/** Which of them were. */
export const OffsetCommitResponse = message({
  name: 'OffsetCommitResponse',
  apiKey: 8,
  versions: '2-9',
  flexible: '8+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('3+', { ignorable: true }),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
      }),
    }),
  },
})
export type OffsetCommitResponse = InferMessage<typeof OffsetCommitResponse>
export type OffsetCommitResponseInput = InferInput<typeof OffsetCommitResponse>
