/** Kafka API 68, ConsumerGroupHeartbeat: versions 0 to 1. */
import {
  array,
  int16,
  int32,
  int32Array,
  message,
  string,
  stringArray,
  struct,
  uuid,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** A member of a group whose broker assigns the partitions (KIP-848): it joins, tells what has changed, stays, or leaves. */
export const ConsumerGroupHeartbeatRequest = message({
  name: 'ConsumerGroupHeartbeatRequest',
  apiKey: 68,
  versions: '0-1',
  flexible: '0+',
  fields: {
    groupId: string(),
    memberId: string(),
    /** 0 = joins, -1 = leaves, -2 = a static member that will be back. */
    memberEpoch: int32(),
    instanceId: string('0+', { nullable: '0+', default: null }),
    rackId: string('0+', { nullable: '0+', default: null }),
    rebalanceTimeoutMs: int32('0+', { default: -1 }),
    subscribedTopicNames: stringArray('0+', { nullable: '0+', default: null }),
    subscribedTopicRegex: string('1+', { nullable: '1+', default: null }),
    serverAssignor: string('0+', { nullable: '0+', default: null }),
    topicPartitions: array('0+', { topicId: uuid(), partitions: int32Array() }, { nullable: '0+', default: null }),
  },
})
export type ConsumerGroupHeartbeatRequest = InferMessage<typeof ConsumerGroupHeartbeatRequest>
export type ConsumerGroupHeartbeatRequestInput = InferInput<typeof ConsumerGroupHeartbeatRequest>

/** What the member is to read. */
export const ConsumerGroupHeartbeatResponse = message({
  name: 'ConsumerGroupHeartbeatResponse',
  apiKey: 68,
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+', default: null }),
    memberId: string('0+', { nullable: '0+', default: null }),
    memberEpoch: int32(),
    heartbeatIntervalMs: int32(),
    /** Null = as it was. */
    assignment: struct(
      '0+',
      { topicPartitions: array('0+', { topicId: uuid(), partitions: int32Array() }) },
      { nullable: '0+', default: null },
    ),
  },
})
export type ConsumerGroupHeartbeatResponse = InferMessage<typeof ConsumerGroupHeartbeatResponse>
export type ConsumerGroupHeartbeatResponseInput = InferInput<typeof ConsumerGroupHeartbeatResponse>
