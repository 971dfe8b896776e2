/** Kafka API 43, ElectLeaders: versions 0 to 2. */
import {
  array,
  int16,
  int32,
  int32Array,
  int8,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for elections of leaders (KIP-183, KIP-460). */
export const ElectLeadersRequest = message({
  name: 'ElectLeadersRequest',
  apiKey: 43,
  versions: '0-2',
  flexible: '2+',
  fields: {
    /** 0 = the preferred replica, 1 = any replica where no other can lead. */
    electionType: int8('1+'),
    /** Null = all. */
    topicPartitions: array(
      '0+',
      {
        topic: string(),
        partitions: int32Array(),
      },
      { nullable: '0+' },
    ),
    /** How long the broker may take, in milliseconds. */
    timeoutMs: int32('0+', { default: 60000 }),
  },
})
export type ElectLeadersRequest = InferMessage<typeof ElectLeadersRequest>
export type ElectLeadersRequestInput = InferInput<typeof ElectLeadersRequest>

/** How the elections went. */
export const ElectLeadersResponse = message({
  name: 'ElectLeadersResponse',
  apiKey: 43,
  versions: '0-2',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16('1+'),
    replicaElectionResults: array('0+', {
      topic: string(),
      partitionResult: array('0+', {
        partitionId: int32(),
        errorCode: int16(),
        /** For people; null = the error code says it all. */
        errorMessage: string('0+', { nullable: '0+' }),
      }),
    }),
  },
})
export type ElectLeadersResponse = InferMessage<typeof ElectLeadersResponse>
export type ElectLeadersResponseInput = InferInput<typeof ElectLeadersResponse>
