/** Kafka API 2, ListOffsets: versions 1 to 11. */
import { array, int16, int32, int64, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Looks offsets up by time or by position. */
export const ListOffsetsRequest = message({
  name: 'ListOffsetsRequest',
  apiKey: 2,
  versions: '1-11',
  flexible: '6+',
  fields: {
    /** A follower states its broker id; -1 = an ordinary client, -2 = a debugging one. */
    replicaId: int32(),
    /** 0 read uncommitted, 1 read committed. */
    isolationLevel: int8('2+'),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        /** What the client believes (KIP-320); -1 = do not check. */
        currentLeaderEpoch: int32('4+', { default: -1, ignorable: true }),
        /** Milliseconds since 1970, or -1 latest, -2 earliest, -3 of the largest timestamp, -4 earliest local, -5 latest tiered, -6 earliest pending upload. */
        timestamp: int64(),
      }),
    }),
    /** Bound for a lookup in the remote tier, in milliseconds. */
    timeoutMs: int32('10+', { ignorable: true }),
  },
})
export type ListOffsetsRequest = InferMessage<typeof ListOffsetsRequest>
export type ListOffsetsRequestInput = InferInput<typeof ListOffsetsRequest>

/** The offsets found. */
export const ListOffsetsResponse = message({
  name: 'ListOffsetsResponse',
  apiKey: 2,
  versions: '1-11',
  flexible: '6+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('2+', { ignorable: true }),
    topics: array('0+', {
      name: string(),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
        /** Of the record found; -1 for latest and earliest. */
        timestamp: int64('0+', { default: -1 }),
        /** -1 = nothing found. */
        offset: int64('0+', { default: -1 }),
        /** Of the record found; -1 = not known. */
        leaderEpoch: int32('4+', { default: -1 }),
      }),
    }),
  },
})
export type ListOffsetsResponse = InferMessage<typeof ListOffsetsResponse>
export type ListOffsetsResponseInput = InferInput<typeof ListOffsetsResponse>
