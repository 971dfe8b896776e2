/** Kafka API 0, Produce: versions 0 to 13. */
import {
  array,
  int16,
  int32,
  int64,
  message,
  records,
  string,
  struct,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Record batches to append, by topic and partition. Versions 0 to 2 carry the message formats before batch v2. */
export const ProduceRequest = message({
  name: 'ProduceRequest',
  apiKey: 0,
  versions: '0-13',
  flexible: '9+',
  fields: {
    /** Null = not transactional. */
    transactionalId: string('3+', { nullable: '0+', default: null }),
    /** 0 no answer, 1 durable at the leader, -1 at all replicas in sync. */
    acks: int16(),
    /** How long the broker may wait for the replicas, in milliseconds. */
    timeoutMs: int32(),
    topicData: array('0+', {
      name: string('0-12', { ignorable: true }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('13+', { ignorable: true }),
      partitionData: array('0+', {
        index: int32(),
        /** One record batch (v2), a view into the frame. */
        records: records('0+', { nullable: '0+' }),
      }),
    }),
  },
})
export type ProduceRequest = InferMessage<typeof ProduceRequest>
export type ProduceRequestInput = InferInput<typeof ProduceRequest>

/** Where the batches landed, or why not. Not sent for acks=0. */
export const ProduceResponse = message({
  name: 'ProduceResponse',
  apiKey: 0,
  versions: '0-13',
  flexible: '9+',
  fields: {
    responses: array('0+', {
      name: string('0-12', { ignorable: true }),
      /** Stands in for the name from the version on that carries it; all zero = none. */
      topicId: uuid('13+', { ignorable: true }),
      partitionResponses: array('0+', {
        index: int32(),
        errorCode: int16(),
        /** Offset of the first record; -1 with an error. */
        baseOffset: int64(),
        /** The time stamped on the batch with LogAppendTime; -1 with CreateTime. */
        logAppendTimeMs: int64('2+', { default: -1, ignorable: true }),
        /** First offset that can be read; -1 = not known. */
        logStartOffset: int64('5+', { default: -1, ignorable: true }),
        /** Which records made the batch fail (KIP-467). */
        recordErrors: array(
          '8+',
          {
            /** Place of the record in the batch. */
            batchIndex: int32(),
            batchIndexErrorMessage: string('0+', { nullable: '0+', default: null }),
          },
          { ignorable: true },
        ),
        /** For people; null = the error code says it all. */
        errorMessage: string('8+', { nullable: '0+', default: null, ignorable: true }),
        /** Who leads now, with NOT_LEADER_OR_FOLLOWER or FENCED_LEADER_EPOCH (KIP-951). */
        currentLeader: struct(
          '10+',
          {
            leaderId: int32('0+', { default: -1 }),
            /** -1 = not known. */
            leaderEpoch: int32('0+', { default: -1 }),
          },
          { tag: 0 },
        ),
      }),
    }),
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    /** Where the leaders named above listen (KIP-951). */
    nodeEndpoints: array(
      '10+',
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
export type ProduceResponse = InferMessage<typeof ProduceResponse>
export type ProduceResponseInput = InferInput<typeof ProduceResponse>
