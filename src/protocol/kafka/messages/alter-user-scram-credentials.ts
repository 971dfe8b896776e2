/** Kafka API 51, AlterUserScramCredentials: versions 0. */
import { array, bytes, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Credentials to remove, and to set. The client has salted and hashed the password itself. */
export const AlterUserScramCredentialsRequest = message({
  name: 'AlterUserScramCredentialsRequest',
  apiKey: 51,
  versions: '0',
  flexible: '0+',
  fields: {
    deletions: array('0+', {
      name: string(),
      /** 1 SCRAM-SHA-256, 2 SCRAM-SHA-512. */
      mechanism: int8(),
    }),
    upsertions: array('0+', {
      name: string(),
      mechanism: int8(),
      iterations: int32(),
      salt: bytes(),
      saltedPassword: bytes(),
    }),
  },
})
export type AlterUserScramCredentialsRequest = InferMessage<typeof AlterUserScramCredentialsRequest>
export type AlterUserScramCredentialsRequestInput = InferInput<typeof AlterUserScramCredentialsRequest>

/** What became of each user. */
export const AlterUserScramCredentialsResponse = message({
  name: 'AlterUserScramCredentialsResponse',
  apiKey: 51,
  versions: '0',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      user: string(),
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
    }),
  },
})
export type AlterUserScramCredentialsResponse = InferMessage<typeof AlterUserScramCredentialsResponse>
export type AlterUserScramCredentialsResponseInput = InferInput<typeof AlterUserScramCredentialsResponse>
