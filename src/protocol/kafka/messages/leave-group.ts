/** Kafka API 13, LeaveGroup: versions 0 to 5. */
import { array, int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Members leave. */
export const LeaveGroupRequest = message({
  name: 'LeaveGroupRequest',
  apiKey: 13,
  versions: '0-5',
  flexible: '4+',
  fields: {
    groupId: string(),
    /** Versions before 3 name one member; later ones list them. */
    memberId: string('0-2'),
    /** From version 3 on. */
    members: array('3+', {
      memberId: string(),
      /** Static membership (KIP-345); null = dynamic. */
      groupInstanceId: string('0+', { nullable: '0+', default: null }),
      /** For the log of the coordinator (KIP-800). */
      reason: string('5+', { nullable: '0+', default: null, ignorable: true }),
    }),
  },
})
export type LeaveGroupRequest = InferMessage<typeof LeaveGroupRequest>
export type LeaveGroupRequestInput = InferInput<typeof LeaveGroupRequest>

/** Which of them could. */
export const LeaveGroupResponse = message({
  name: 'LeaveGroupResponse',
  apiKey: 13,
  versions: '0-5',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    errorCode: int16(),
    members: array('3+', {
      memberId: string(),
      /** Static membership (KIP-345); null = dynamic. */
      groupInstanceId: string('0+', { nullable: '0+' }),
      errorCode: int16(),
    }),
  },
})
export type LeaveGroupResponse = InferMessage<typeof LeaveGroupResponse>
export type LeaveGroupResponseInput = InferInput<typeof LeaveGroupResponse>
