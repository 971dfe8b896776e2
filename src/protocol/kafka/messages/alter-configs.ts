/** Kafka API 33, AlterConfigs: versions 0 to 2. */
import { array, bool, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Replaces the whole configuration of resources; IncrementalAlterConfigs is the better way. */
export const AlterConfigsRequest = message({
  name: 'AlterConfigsRequest',
  apiKey: 33,
  versions: '0-2',
  flexible: '2+',
  fields: {
    resources: array('0+', {
      /** 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group. */
      resourceType: int8(),
      resourceName: string(),
      /** The whole set: what is not named goes back to its default. */
      configs: array('0+', {
        name: string(),
        /** Null = the default. */
        value: string('0+', { nullable: '0+' }),
      }),
    }),
    /** Check and answer, change nothing. */
    validateOnly: bool(),
  },
})
export type AlterConfigsRequest = InferMessage<typeof AlterConfigsRequest>
export type AlterConfigsRequestInput = InferInput<typeof AlterConfigsRequest>

/** Which of them were changed. */
export const AlterConfigsResponse = message({
  name: 'AlterConfigsResponse',
  apiKey: 33,
  versions: '0-2',
  flexible: '2+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    responses: array('0+', {
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('0+', { nullable: '0+' }),
      /** 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group. */
      resourceType: int8(),
      resourceName: string(),
    }),
  },
})
export type AlterConfigsResponse = InferMessage<typeof AlterConfigsResponse>
export type AlterConfigsResponseInput = InferInput<typeof AlterConfigsResponse>
