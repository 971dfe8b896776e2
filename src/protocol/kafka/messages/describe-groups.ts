/** Kafka API 15, DescribeGroups: versions 0 to 6. */
import {
  array,
  bool,
  bytes,
  int16,
  int32,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the state and members of groups. */
export const DescribeGroupsRequest = message({
  name: 'DescribeGroupsRequest',
  apiKey: 15,
  versions: '0-6',
  flexible: '5+',
  fields: {
    groups: stringArray(),
    includeAuthorizedOperations: bool('3+'),
  },
})
export type DescribeGroupsRequest = InferMessage<typeof DescribeGroupsRequest>
export type DescribeGroupsRequestInput = InferInput<typeof DescribeGroupsRequest>

/** State and members. */
export const DescribeGroupsResponse = message({
  name: 'DescribeGroupsResponse',
  apiKey: 15,
  versions: '0-6',
  flexible: '5+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    groups: array('0+', {
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('6+', { nullable: '0+', default: null }),
      groupId: string(),
      /** Dead, Empty, PreparingRebalance, CompletingRebalance, Stable; Assigning and Reconciling of KIP-848. */
      groupState: string(),
      /** `consumer`, `connect`, or what the application chose. */
      protocolType: string(),
      /** The chosen assignor. */
      protocolData: string(),
      members: array('0+', {
        memberId: string(),
        /** Static membership (KIP-345); null = dynamic. */
        groupInstanceId: string('4+', { nullable: '0+', default: null, ignorable: true }),
        clientId: string(),
        clientHost: string(),
        /** What the member sent in JoinGroup. */
        memberMetadata: bytes(),
        /** What it got in SyncGroup. */
        memberAssignment: bytes(),
      }),
      /** Bits of ACL operations; the smallest int32 = not asked for. */
      authorizedOperations: int32('3+', { default: -2_147_483_648 }),
    }),
  },
})
export type DescribeGroupsResponse = InferMessage<typeof DescribeGroupsResponse>
export type DescribeGroupsResponseInput = InferInput<typeof DescribeGroupsResponse>
