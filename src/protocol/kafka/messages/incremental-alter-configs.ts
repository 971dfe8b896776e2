/** Kafka API 44, IncrementalAlterConfigs: versions 0 to 1. */
import { array, bool, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Changes single configuration values (KIP-339). */
export const IncrementalAlterConfigsRequest = message({
  name: 'IncrementalAlterConfigsRequest',
  apiKey: 44,
  versions: '0-1',
  flexible: '1+',
  fields: {
    resources: array('0+', {
      /** 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group. */
      resourceType: int8(),
      resourceName: string(),
      configs: array('0+', {
        name: string(),
        /** 0 set, 1 delete, 2 append to a list, 3 take out of a list. */
        configOperation: int8(),
        value: string('0+', { nullable: '0+' }),
      }),
    }),
    /** Check and answer, change nothing. */
    validateOnly: bool(),
  },
})
export type IncrementalAlterConfigsRequest = InferMessage<typeof IncrementalAlterConfigsRequest>
export type IncrementalAlterConfigsRequestInput = InferInput<typeof IncrementalAlterConfigsRequest>

/** Which of the resources were changed. */
export const IncrementalAlterConfigsResponse = message({
  name: 'IncrementalAlterConfigsResponse',
  apiKey: 44,
  versions: '0-1',
  flexible: '1+',
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
export type IncrementalAlterConfigsResponse = InferMessage<typeof IncrementalAlterConfigsResponse>
export type IncrementalAlterConfigsResponseInput = InferInput<typeof IncrementalAlterConfigsResponse>
