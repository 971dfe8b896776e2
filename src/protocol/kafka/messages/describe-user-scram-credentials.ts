/** Kafka API 50, DescribeUserScramCredentials: versions 0. */
import { array, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Users to tell of; null or empty = all that have a credential. */
export const DescribeUserScramCredentialsRequest = message({
  name: 'DescribeUserScramCredentialsRequest',
  apiKey: 50,
  versions: '0',
  flexible: '0+',
  fields: {
    users: array('0+', { name: string() }, { nullable: '0+' }),
  },
})
export type DescribeUserScramCredentialsRequest = InferMessage<typeof DescribeUserScramCredentialsRequest>
export type DescribeUserScramCredentialsRequestInput = InferInput<typeof DescribeUserScramCredentialsRequest>

/** Their mechanisms; never what a password could be found from. */
export const DescribeUserScramCredentialsResponse = message({
  name: 'DescribeUserScramCredentialsResponse',
  apiKey: 50,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    results: array('0+', {
      user: string(),
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
      credentialInfos: array('0+', {
        /** 1 SCRAM-SHA-256, 2 SCRAM-SHA-512. */
        mechanism: int8(),
        iterations: int32(),
      }),
    }),
  },
})
export type DescribeUserScramCredentialsResponse = InferMessage<typeof DescribeUserScramCredentialsResponse>
export type DescribeUserScramCredentialsResponseInput = InferInput<typeof DescribeUserScramCredentialsResponse>
