/** Kafka API 48, DescribeClientQuotas: versions 0-1. */
import {
  array,
  bool,
  float64,
  int16,
  int32,
  int8,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Whose quotas to tell. */
export const DescribeClientQuotasRequest = message({
  name: 'DescribeClientQuotasRequest',
  apiKey: 48,
  versions: '0-1',
  flexible: '1+',
  fields: {
    components: array('0+', {
      entityType: string(),
      /** 0 the name in `match`, 1 the default, 2 any name. */
      matchType: int8(),
      match: string('0+', { nullable: '0+' }),
    }),
    strict: bool(),
  },
})
export type DescribeClientQuotasRequest = InferMessage<typeof DescribeClientQuotasRequest>
export type DescribeClientQuotasRequestInput = InferInput<typeof DescribeClientQuotasRequest>

/** The quotas that are set. */
export const DescribeClientQuotasResponse = message({
  name: 'DescribeClientQuotasResponse',
  apiKey: 48,
  versions: '0-1',
  flexible: '1+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    errorMessage: string('0+', { nullable: '0+' }),
    entries: array(
      '0+',
      {
        entity: array('0+', {
          entityType: string(),
          entityName: string('0+', { nullable: '0+' }),
        }),
        values: array('0+', {
          key: string(),
          value: float64(),
        }),
      },
      { nullable: '0+' },
    ),
  },
})
export type DescribeClientQuotasResponse = InferMessage<typeof DescribeClientQuotasResponse>
export type DescribeClientQuotasResponseInput = InferInput<typeof DescribeClientQuotasResponse>
