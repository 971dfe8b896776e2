/** Kafka API 12, Heartbeat: versions 0 to 4. */
import { int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** A member is alive. */
export const HeartbeatRequest = message({
  name: 'HeartbeatRequest',
  apiKey: 12,
  versions: '0-4',
  flexible: '4+',
  fields: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    /** Static membership (KIP-345); null = dynamic. */
    groupInstanceId: string('3+', { nullable: '0+', default: null }),
  },
})
export type HeartbeatRequest = InferMessage<typeof HeartbeatRequest>
export type HeartbeatRequestInput = InferInput<typeof HeartbeatRequest>

/** REBALANCE_IN_PROGRESS asks the member to join again. */
export const HeartbeatResponse = message({
  name: 'HeartbeatResponse',
  apiKey: 12,
  versions: '0-4',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    errorCode: int16(),
  },
})
export type HeartbeatResponse = InferMessage<typeof HeartbeatResponse>
export type HeartbeatResponseInput = InferInput<typeof HeartbeatResponse>
