/** Kafka API 31, DeleteAcls: versions 1-3. */
import { array, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Which access control entries to remove. */
export const DeleteAclsRequest = message({
  name: 'DeleteAclsRequest',
  apiKey: 31,
  versions: '1-3',
  flexible: '2+',
  fields: {
    filters: array('0+', {
      resourceTypeFilter: int8(),
      resourceNameFilter: string('0+', { nullable: '0+' }),
      patternTypeFilter: int8('1+', { default: 3 }),
      principalFilter: string('0+', { nullable: '0+' }),
      hostFilter: string('0+', { nullable: '0+' }),
      operation: int8(),
      permissionType: int8(),
    }),
  },
})
export type DeleteAclsRequest = InferMessage<typeof DeleteAclsRequest>
export type DeleteAclsRequestInput = InferInput<typeof DeleteAclsRequest>

/** Which were removed, by filter. */
export const DeleteAclsResponse = message({
  name: 'DeleteAclsResponse',
  apiKey: 31,
  versions: '1-3',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    filterResults: array('0+', {
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
      matchingAcls: array('0+', {
        errorCode: int16(),
        errorMessage: string('0+', { nullable: '0+' }),
        resourceType: int8(),
        resourceName: string(),
        patternType: int8('1+', { default: 3 }),
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
})
export type DeleteAclsResponse = InferMessage<typeof DeleteAclsResponse>
export type DeleteAclsResponseInput = InferInput<typeof DeleteAclsResponse>
