/** Kafka API 23, OffsetForLeaderEpoch: versions 2 to 4. */
import { array, int16, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks where a leader epoch ended, to find out whether a log was cut (KIP-320). */
export const OffsetForLeaderEpochRequest = message({
  name: 'OffsetForLeaderEpochRequest',
  apiKey: 23,
  versions: '2-4',
  flexible: '4+',
  fields: {
    /** A follower states its broker id; -1 = an ordinary client, -2 = a debugging one. */
    replicaId: int32('3+', { default: -2, ignorable: true }),
    topics: array('0+', {
      topic: string(),
      partitions: array('0+', {
        partition: int32(),
        /** What the client believes (KIP-320); -1 = do not check. */
        currentLeaderEpoch: int32('0+', { default: -1 }),
        /** The epoch whose end is asked for. */
        leaderEpoch: int32(),
      }),
    }),
  },
})
export type OffsetForLeaderEpochRequest = InferMessage<typeof OffsetForLeaderEpochRequest>
export type OffsetForLeaderEpochRequestInput = InferInput<typeof OffsetForLeaderEpochRequest>

/** The end of the epoch. */
export const OffsetForLeaderEpochResponse = message({
  name: 'OffsetForLeaderEpochResponse',
  apiKey: 23,
  versions: '2-4',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    topics: array('0+', {
      topic: string(),
      partitions: array('0+', {
        errorCode: int16(),
        partition: int32(),
        /** The largest epoch the log holds that is not above the one asked for. */
        leaderEpoch: int32('0+', { default: -1 }),
        /** One past the last record of that epoch; -1 = not known. */
        endOffset: int64('0+', { default: -1 }),
      }),
    }),
  },
})
export type OffsetForLeaderEpochResponse = InferMessage<typeof OffsetForLeaderEpochResponse>
export type OffsetForLeaderEpochResponseInput = InferInput<typeof OffsetForLeaderEpochResponse>
