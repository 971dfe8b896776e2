/** Kafka API 30, CreateAcls: versions 1-3. */
import { array, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Access control entries to add. */
export const CreateAclsRequest = message({
  name: 'CreateAclsRequest',
  apiKey: 30,
  versions: '1-3',
  flexible: '2+',
  fields: {
    creations: array('0+', {
      resourceType: int8(),
      resourceName: string(),
      /** 3 literal, 4 prefixed. */
      resourcePatternType: int8('1+', { default: 3 }),
      principal: string(),
      host: string(),
      operation: int8(),
      /** 2 deny, 3 allow. */
      permissionType: int8(),
    }),
  },
})
export type CreateAclsRequest = InferMessage<typeof CreateAclsRequest>
export type CreateAclsRequestInput = InferInput<typeof CreateAclsRequest>

/** What became of each. */
export const CreateAclsResponse = message({
  name: 'CreateAclsResponse',
  apiKey: 30,
  versions: '1-3',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
})
export type CreateAclsResponse = InferMessage<typeof CreateAclsResponse>
export type CreateAclsResponseInput = InferInput<typeof CreateAclsResponse>
