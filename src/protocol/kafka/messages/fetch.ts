/** Kafka API 1, Fetch: versions 4 to 18. */
import {
  array,
  bigint64,
  int16,
  int32,
  int32Array,
  int64,
  int8,
  message,
  records,
  string,
  struct,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Long-poll read of records: size bounds (KIP-74), sessions (KIP-227), fencing (KIP-320), topic ids (KIP-516). */
export const FetchRequest = message({
  name: 'FetchRequest',
  apiKey: 1,
  versions: '4-18',
  flexible: '12+',
  fields: {
    /** Lets the quorum refuse a fetch of another cluster; null = do not check. */
    clusterId: string('12+', { nullable: '0+', tag: 0, default: null, ignorable: true }),
    /** A follower states its broker id; -1 = an ordinary client, -2 = a debugging one. */
    replicaId: int32('0-14', { default: -1 }),
    /** The follower, from version 15 on (KIP-903). */
    replicaState: struct(
      '15+',
      {
        /** A follower states its broker id; -1 = an ordinary client, -2 = a debugging one. */
        replicaId: int32('0+', { default: -1 }),
        replicaEpoch: int64('0+', { default: -1 }),
      },
      { tag: 1 },
    ),
    /** Longest time the answer may be held back, in milliseconds. */
    maxWaitMs: int32(),
    /** The answer is held back until this much is there. */
    minBytes: int32(),
    /** Bound of the whole answer; one batch always goes (KIP-74). */
    maxBytes: int32('0+', { default: 0x7fff_ffff }),
    /** 0 read uncommitted, 1 read committed. */
    isolationLevel: int8(),
    /** 0 = no session yet (KIP-227). */
    sessionId: int32('7+', { ignorable: true }),
    /** 0 opens a session, -1 is a full fetch outside any. */
    sessionEpoch: int32('7+', { default: -1, ignorable: true }),
    topics: array('0+', {
      topic: string('0-12', { ignorable: true }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('13+', { ignorable: true }),
      partitions: array('0+', {
        partition: int32(),
        /** What the client believes (KIP-320); -1 = do not check. */
        currentLeaderEpoch: int32('9+', { default: -1, ignorable: true }),
        fetchOffset: int64('0+', { saturates: true }),
        /** Epoch of the record before `fetchOffset`; -1 = not known (KIP-595). */
        lastFetchedEpoch: int32('12+', { default: -1 }),
        /** The follower's first offset; -1 from a consumer. */
        logStartOffset: int64('5+', { default: -1, ignorable: true }),
        /** Bound of this partition; the first batch of the answer goes nevertheless. */
        partitionMaxBytes: int32(),
        /** Directory of the follower (KIP-853). */
        replicaDirectoryId: uuid('17+', { tag: 0, ignorable: true }),
        /** What the follower last heard, so that it need not wait to hear it again (KIP-1166). */
        highWatermark: bigint64('18+', { tag: 1, default: 9223372036854775807n, ignorable: true }),
      }),
    }),
    /** Leave the fetch session. */
    forgottenTopicsData: array('7+', {
      topic: string('7-12', { ignorable: true }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('13+', { ignorable: true }),
      partitions: int32Array(),
    }),
    /** Where the consumer stands (KIP-392). */
    rackId: string('11+', { ignorable: true }),
  },
})
export type FetchRequest = InferMessage<typeof FetchRequest>
export type FetchRequestInput = InferInput<typeof FetchRequest>

/** Record batches as stored, by topic and partition. */
export const FetchResponse = message({
  name: 'FetchResponse',
  apiKey: 1,
  versions: '4-18',
  flexible: '12+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16('7+', { ignorable: true }),
    /** 0 = no session was made (KIP-227). */
    sessionId: int32('7+'),
    responses: array('0+', {
      topic: string('0-12', { ignorable: true }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('13+', { ignorable: true }),
      partitions: array('0+', {
        partitionIndex: int32(),
        errorCode: int16(),
        highWatermark: int64(),
        /** Below it every transaction is decided; -1 = not known. */
        lastStableOffset: int64('0+', { default: -1 }),
        /** First offset that can be read; -1 = not known. */
        logStartOffset: int64('5+', { default: -1, ignorable: true }),
        /** The client's log parted from ours: the largest common epoch and its end. */
        divergingEpoch: struct(
          '12+',
          {
            epoch: int32('0+', { default: -1 }),
            endOffset: int64('0+', { default: -1 }),
          },
          { tag: 0 },
        ),
        /** Who leads now, with NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH (KIP-951). */
        currentLeader: struct(
          '12+',
          {
            leaderId: int32('0+', { default: -1 }),
            /** -1 = not known. */
            leaderEpoch: int32('0+', { default: -1 }),
          },
          { tag: 1 },
        ),
        /** Of the metadata log: the snapshot to read instead. */
        snapshotId: struct(
          '12+',
          {
            endOffset: int64('0+', { default: -1 }),
            epoch: int32('0+', { default: -1 }),
          },
          { tag: 2 },
        ),
        /** Ordered by first offset; null when reading uncommitted. */
        abortedTransactions: array(
          '0+',
          {
            producerId: int64(),
            firstOffset: int64(),
          },
          { nullable: '0+' },
        ),
        /** -1 = read from the leader. */
        preferredReadReplica: int32('11+', { default: -1 }),
        /** Whole batches as stored; the first may begin below the offset asked for. */
        records: records('0+', { nullable: '0+' }),
      }),
    }),
    /** Where the leaders named above listen (KIP-951). */
    nodeEndpoints: array(
      '16+',
      {
        nodeId: int32(),
        host: string(),
        port: int32(),
        rack: string('0+', { nullable: '0+', default: null }),
      },
      { tag: 0 },
    ),
  },
})
export type FetchResponse = InferMessage<typeof FetchResponse>
export type FetchResponseInput = InferInput<typeof FetchResponse>
