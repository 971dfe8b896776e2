/** Kafka API 74, ListConfigResources: versions 0 to 1. */
import { array, int16, int32, int8, int8Array, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks what there is that can have settings (KIP-1142); version 0 is ListClientMetricsResources (KIP-714). */
export const ListConfigResourcesRequest = message({
  name: 'ListConfigResourcesRequest',
  apiKey: 74,
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** Kafka's numbers of kinds of resources; none = every kind. */
    resourceTypes: int8Array('1+'),
  },
})
export type ListConfigResourcesRequest = InferMessage<typeof ListConfigResourcesRequest>
export type ListConfigResourcesRequestInput = InferInput<typeof ListConfigResourcesRequest>

/** Names and kinds. */
export const ListConfigResourcesResponse = message({
  name: 'ListConfigResourcesResponse',
  apiKey: 74,
  versions: '0-1',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    configResources: array('0+', {
      resourceName: string(),
      /** 16 = client metrics, the only kind of version 0. */
      resourceType: int8('1+', { default: 16, ignorable: true }),
    }),
  },
})
export type ListConfigResourcesResponse = InferMessage<typeof ListConfigResourcesResponse>
export type ListConfigResourcesResponseInput = InferInput<typeof ListConfigResourcesResponse>
