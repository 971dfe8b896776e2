/** Kafka API 49, AlterClientQuotas: versions 0-1. */
import { array, bool, float64, int16, int32, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Quotas to set or to take back (KIP-546). */
export const AlterClientQuotasRequest = message({
  name: 'AlterClientQuotasRequest',
  apiKey: 49,
  versions: '0-1',
  flexible: '1+',
  fields: {
    entries: array('0+', {
      entity: array('0+', {
        /** `user`, `client-id` or `ip`. */
        entityType: string(),
        /** Null = the default of all. */
        entityName: string('0+', { nullable: '0+' }),
      }),
      ops: array('0+', {
        key: string(),
        value: float64(),
        remove: bool(),
      }),
    }),
    validateOnly: bool(),
  },
})
export type AlterClientQuotasRequest = InferMessage<typeof AlterClientQuotasRequest>
export type AlterClientQuotasRequestInput = InferInput<typeof AlterClientQuotasRequest>

/** One answer for each entity. */
export const AlterClientQuotasResponse = message({
  name: 'AlterClientQuotasResponse',
  apiKey: 49,
  versions: '0-1',
  flexible: '1+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    entries: array('0+', {
      errorCode: int16(),
      errorMessage: string('0+', { nullable: '0+' }),
      entity: array('0+', {
        entityType: string(),
        entityName: string('0+', { nullable: '0+' }),
      }),
    }),
  },
})
export type AlterClientQuotasResponse = InferMessage<typeof AlterClientQuotasResponse>
export type AlterClientQuotasResponseInput = InferInput<typeof AlterClientQuotasResponse>
