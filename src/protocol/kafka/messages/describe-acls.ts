/** Kafka API 29, DescribeAcls: versions 1-3. */
import { array, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Which access control entries to tell. */
export const DescribeAclsRequest = message({
  name: 'DescribeAclsRequest',
  apiKey: 29,
  versions: '1-3',
  flexible: '2+',
  fields: {
    resourceTypeFilter: int8(),
    /** Null = any name. */
    resourceNameFilter: string('0+', { nullable: '0+' }),
    /** 1 any, 2 match (every pattern that holds for the name), 3 literal, 4 prefixed. */
    patternTypeFilter: int8('1+', { default: 3 }),
    principalFilter: string('0+', { nullable: '0+' }),
    hostFilter: string('0+', { nullable: '0+' }),
    /** 1 = any. */
    operation: int8(),
    /** 1 any, 2 deny, 3 allow. */
    permissionType: int8(),
  },
})
export type DescribeAclsRequest = InferMessage<typeof DescribeAclsRequest>
export type DescribeAclsRequestInput = InferInput<typeof DescribeAclsRequest>

/** The entries, by resource. */
export const DescribeAclsResponse = message({
  name: 'DescribeAclsResponse',
  apiKey: 29,
  versions: '1-3',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    resources: array('0+', {
      resourceType: int8(),
      resourceName: string(),
      patternType: int8('1+', { default: 3 }),
      acls: array('0+', {
        principal: string(),
        host: string(),
        operation: int8(),
        permissionType: int8(),
      }),
    }),
  },
})
export type DescribeAclsResponse = InferMessage<typeof DescribeAclsResponse>
export type DescribeAclsResponseInput = InferInput<typeof DescribeAclsResponse>
