/** Kafka API 11, JoinGroup: versions 0 to 9. */
import { array, bool, bytes, int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** A member enters, or enters again, a classic group. */
export const JoinGroupRequest = message({
  name: 'JoinGroupRequest',
  apiKey: 11,
  versions: '0-9',
  flexible: '6+',
  fields: {
    groupId: string(),
    /** Without a heartbeat for so long the member is dropped. */
    sessionTimeoutMs: int32(),
    /** How long a rebalance waits for this member; -1 = the session timeout. */
    rebalanceTimeoutMs: int32('1+', { default: -1, ignorable: true }),
    /** Empty in the first join of a member. */
    memberId: string(),
    /** Static membership (KIP-345); null = dynamic. */
    groupInstanceId: string('5+', { nullable: '0+', default: null }),
    /** `consumer`, `connect`, or what the application chose. */
    protocolType: string(),
    /** In the member's order of preference. */
    protocols: array('0+', {
      name: string(),
      /** For `consumer`: a ConsumerProtocolSubscription. */
      metadata: bytes(),
    }),
    /** For the log of the coordinator (KIP-800). */
    reason: string('8+', { nullable: '0+', default: null, ignorable: true }),
  },
})
export type JoinGroupRequest = InferMessage<typeof JoinGroupRequest>
export type JoinGroupRequestInput = InferInput<typeof JoinGroupRequest>

/** The generation; for the leader also the members. */
export const JoinGroupResponse = message({
  name: 'JoinGroupResponse',
  apiKey: 11,
  versions: '0-9',
  flexible: '6+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('2+', { ignorable: true }),
    errorCode: int16(),
    generationId: int32('0+', { default: -1 }),
    /** `consumer`, `connect`, or what the application chose. */
    protocolType: string('7+', { nullable: '0+', default: null, ignorable: true }),
    /** The chosen assignor; null with an error from version 7 on. */
    protocolName: string('0+', { nullable: '7+' }),
    /** Member id of the one that assigns. */
    leader: string(),
    /** The leader need not assign: a static member came back (KIP-814). */
    skipAssignment: bool('9+'),
    memberId: string(),
    /** Only for the leader. */
    members: array('0+', {
      memberId: string(),
      /** Static membership (KIP-345); null = dynamic. */
      groupInstanceId: string('5+', { nullable: '0+', default: null, ignorable: true }),
      metadata: bytes(),
    }),
  },
})
export type JoinGroupResponse = InferMessage<typeof JoinGroupResponse>
export type JoinGroupResponseInput = InferInput<typeof JoinGroupResponse>
