/** Classic groups in `__consumer_offsets`. */
import { array, bytes, int32, int64, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Key of a classic group, behind an int16 that names the kind: 2. */
export const GroupMetadataKey = message({
  name: 'GroupMetadataKey',
  apiKey: 2,
  versions: '0',
  flexible: 'none',
  fields: {
    group: string(),
  },
})
export type GroupMetadataKey = InferMessage<typeof GroupMetadataKey>
export type GroupMetadataKeyInput = InferInput<typeof GroupMetadataKey>

/** The classic group with its members, behind an int16 with its version. */
export const GroupMetadataValue = message({
  name: 'GroupMetadataValue',
  apiKey: 2,
  versions: '0-4',
  flexible: '4+',
  fields: {
    protocolType: string(),
    generation: int32(),
    /** The chosen assignor. */
    protocol: string('0+', { nullable: '0+' }),
    /** Member id. */
    leader: string('0+', { nullable: '0+' }),
    /** Milliseconds since 1970; -1 = not known. */
    currentStateTimestamp: int64('2+', { default: -1, ignorable: true }),
    members: array('0+', {
      /** Empty in the first join of a member. */
      memberId: string(),
      /** Static membership (KIP-345); null = dynamic. */
      groupInstanceId: string('3+', { nullable: '0+', default: null, ignorable: true }),
      clientId: string(),
      clientHost: string(),
      /** Milliseconds. */
      rebalanceTimeout: int32('1+', { default: -1, ignorable: true }),
      /** Milliseconds. */
      sessionTimeout: int32(),
      /** What the member sent in JoinGroup. */
      subscription: bytes(),
      /** What it got in SyncGroup. */
      assignment: bytes(),
    }),
  },
})
export type GroupMetadataValue = InferMessage<typeof GroupMetadataValue>
export type GroupMetadataValueInput = InferInput<typeof GroupMetadataValue>
