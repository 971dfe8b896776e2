/** The consumer's own words inside JoinGroup and SyncGroup. */
import {
  array,
  bytes,
  int32,
  int32Array,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** What a consumer sends as the metadata of JoinGroup, behind an int16 with its version. A version newer than ours is read as ours: only fields are added. */
export const ConsumerProtocolSubscription = message({
  name: 'ConsumerProtocolSubscription',
  versions: '0-3',
  flexible: 'none',
  fields: {
    topics: stringArray(),
    /** The assignor's own. */
    userData: bytes('0+', { nullable: '0+', default: null }),
    /** What the member holds now, for cooperative assignors (KIP-429). */
    ownedPartitions: array(
      '1+',
      {
        topic: string(),
        partitions: int32Array(),
      },
      { ignorable: true },
    ),
    /** In which it got them; -1 = not known. */
    generationId: int32('2+', { default: -1, ignorable: true }),
    rackId: string('3+', { nullable: '0+', default: null, ignorable: true }),
  },
})
export type ConsumerProtocolSubscription = InferMessage<typeof ConsumerProtocolSubscription>
export type ConsumerProtocolSubscriptionInput = InferInput<typeof ConsumerProtocolSubscription>

/** What the leader sends to a consumer through SyncGroup, behind an int16 with its version. A version newer than ours is read as ours. */
export const ConsumerProtocolAssignment = message({
  name: 'ConsumerProtocolAssignment',
  versions: '0-3',
  flexible: 'none',
  fields: {
    assignedPartitions: array('0+', {
      topic: string(),
      partitions: int32Array(),
    }),
    /** The assignor's own. */
    userData: bytes('0+', { nullable: '0+', default: null }),
  },
})
export type ConsumerProtocolAssignment = InferMessage<typeof ConsumerProtocolAssignment>
export type ConsumerProtocolAssignmentInput = InferInput<typeof ConsumerProtocolAssignment>
