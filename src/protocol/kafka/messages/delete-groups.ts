/** Kafka API 42, DeleteGroups: versions 0 to 2. */
import { array, int16, int32, message, string, stringArray, type InferInput, type InferMessage } from '../schema.ts'

/** Groups to delete; they must be empty. */
export const DeleteGroupsRequest = message({
  name: 'DeleteGroupsRequest',
  apiKey: 42,
  versions: '0-2',
  flexible: '2+',
  fields: {
    groupsNames: stringArray(),
  },
})
export type DeleteGroupsRequest = InferMessage<typeof DeleteGroupsRequest>
export type DeleteGroupsRequestInput = InferInput<typeof DeleteGroupsRequest>

/** Which of them were deleted. */
export const DeleteGroupsResponse = message({
  name: 'DeleteGroupsResponse',
  apiKey: 42,
  versions: '0-2',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      groupId: string(),
      errorCode: int16(),
    }),
  },
})
export type DeleteGroupsResponse = InferMessage<typeof DeleteGroupsResponse>
export type DeleteGroupsResponseInput = InferInput<typeof DeleteGroupsResponse>
