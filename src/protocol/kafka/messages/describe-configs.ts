/** Kafka API 32, DescribeConfigs: versions 1 to 4. */
import {
  array,
  bool,
  int16,
  int32,
  int8,
  message,
  string,
  stringArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** Asks for the configuration of topics, brokers, groups. */
export const DescribeConfigsRequest = message({
  name: 'DescribeConfigsRequest',
  apiKey: 32,
  versions: '1-4',
  flexible: '4+',
  fields: {
    resources: array('0+', {
      /** 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group. */
      resourceType: int8(),
      resourceName: string(),
      /** Null = all. */
      configurationKeys: stringArray('0+', { nullable: '0+' }),
    }),
    includeSynonyms: bool(),
    includeDocumentation: bool('3+'),
  },
})
export type DescribeConfigsRequest = InferMessage<typeof DescribeConfigsRequest>
export type DescribeConfigsRequestInput = InferInput<typeof DescribeConfigsRequest>

/** Names, values and where each comes from. */
export const DescribeConfigsResponse = message({
  name: 'DescribeConfigsResponse',
  apiKey: 32,
  versions: '1-4',
  flexible: '4+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    results: array('0+', {
      errorCode: int16(),
      /** For people; null = the error code says it all. */
      errorMessage: string('0+', { nullable: '0+' }),
      /** 2 topic, 4 broker, 8 broker logger, 16 client metrics, 32 group. */
      resourceType: int8(),
      resourceName: string(),
      configs: array('0+', {
        name: string(),
        value: string('0+', { nullable: '0+' }),
        readOnly: bool(),
        /** 0 unknown, 1 topic, 2 broker, 3 broker default, 4 static file, 5 default, 6 broker logger, 7 client metrics, 8 group. */
        configSource: int8('0+', { default: -1 }),
        /** The value is then null. */
        isSensitive: bool(),
        /** Where the value comes from, the nearest first. */
        synonyms: array('0+', {
          name: string(),
          value: string('0+', { nullable: '0+' }),
          /** As `configSource`. */
          source: int8(),
        }),
        /** 0 unknown, 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9 password. */
        configType: int8('3+', { ignorable: true }),
        documentation: string('3+', { nullable: '0+', ignorable: true }),
      }),
    }),
  },
})
export type DescribeConfigsResponse = InferMessage<typeof DescribeConfigsResponse>
export type DescribeConfigsResponseInput = InferInput<typeof DescribeConfigsResponse>
