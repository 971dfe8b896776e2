/** Kafka API 14, SyncGroup: versions 0 to 5. */
import { array, bytes, int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** The leader hands in the assignment, the others wait for theirs. */
export const SyncGroupRequest = message({
  name: 'SyncGroupRequest',
  apiKey: 14,
  versions: '0-5',
  flexible: '4+',
  fields: {
    groupId: string(),
    generationId: int32(),
    memberId: string(),
    /** Static membership (KIP-345); null = dynamic. */
    groupInstanceId: string('3+', { nullable: '0+', default: null }),
    /** `consumer`, `connect`, or what the application chose. */
    protocolType: string('5+', { nullable: '0+', default: null, ignorable: true }),
    /** The chosen assignor. */
    protocolName: string('5+', { nullable: '0+', default: null, ignorable: true }),
    /** From the leader; empty from the others. */
    assignments: array('0+', {
      memberId: string(),
      /** For `consumer`: a ConsumerProtocolAssignment. */
      assignment: bytes(),
    }),
  },
})
export type SyncGroupRequest = InferMessage<typeof SyncGroupRequest>
export type SyncGroupRequestInput = InferInput<typeof SyncGroupRequest>

/** The member's assignment. */
export const SyncGroupResponse = message({
  name: 'SyncGroupResponse',
  apiKey: 14,
  versions: '0-5',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    errorCode: int16(),
    /** `consumer`, `connect`, or what the application chose. */
    protocolType: string('5+', { nullable: '0+', default: null, ignorable: true }),
    /** The chosen assignor. */
    protocolName: string('5+', { nullable: '0+', default: null, ignorable: true }),
    /** For `consumer`: a ConsumerProtocolAssignment. */
    assignment: bytes(),
  },
})
export type SyncGroupResponse = InferMessage<typeof SyncGroupResponse>
export type SyncGroupResponseInput = InferInput<typeof SyncGroupResponse>
