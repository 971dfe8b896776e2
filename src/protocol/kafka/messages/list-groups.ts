/** Kafka API 16, ListGroups: versions 0 to 5. */
import { array, int16, int32, message, string, stringArray, type InferInput, type InferMessage } from '../schema.ts'

/** Asks for the groups of this broker. */
export const ListGroupsRequest = message({
  name: 'ListGroupsRequest',
  apiKey: 16,
  versions: '0-5',
  flexible: '3+',
  fields: {
    /** Empty = all states. */
    statesFilter: stringArray('4+'),
    /** `classic`, `consumer`, `share`, `streams`; empty = all. */
    typesFilter: stringArray('5+'),
  },
})
export type ListGroupsRequest = InferMessage<typeof ListGroupsRequest>
export type ListGroupsRequestInput = InferInput<typeof ListGroupsRequest>

/** The groups. */
export const ListGroupsResponse = message({
  name: 'ListGroupsResponse',
  apiKey: 16,
  versions: '0-5',
  flexible: '3+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32('1+', { ignorable: true }),
    errorCode: int16(),
    groups: array('0+', {
      groupId: string(),
      /** Empty for a group that only commits offsets. */
      protocolType: string(),
      /** Dead, Empty, PreparingRebalance, CompletingRebalance, Stable; Assigning and Reconciling of KIP-848. */
      groupState: string('4+', { ignorable: true }),
      /** `classic`, `consumer`, `share` or `streams`. */
      groupType: string('5+', { ignorable: true }),
    }),
  },
})
export type ListGroupsResponse = InferMessage<typeof ListGroupsResponse>
export type ListGroupsResponseInput = InferInput<typeof ListGroupsResponse>
