/** Kafka API 60, DescribeCluster: versions 0 to 2. */
import { array, bool, int16, int32, int8, message, string, type InferInput, type InferMessage } from '../schema.ts'

/** Asks for the cluster id, brokers and controller (KIP-700). */
export const DescribeClusterRequest = message({
  name: 'DescribeClusterRequest',
  apiKey: 60,
  versions: '0-2',
  flexible: '0+',
  fields: {
    includeClusterAuthorizedOperations: bool(),
    /** 1 brokers, 2 controllers. */
    endpointType: int8('1+', { default: 1 }),
    includeFencedBrokers: bool('2+'),
  },
})
export type DescribeClusterRequest = InferMessage<typeof DescribeClusterRequest>
export type DescribeClusterRequestInput = InferInput<typeof DescribeClusterRequest>

/** The cluster as this listener shows it. */
export const DescribeClusterResponse = message({
  name: 'DescribeClusterResponse',
  apiKey: 60,
  versions: '0-2',
  flexible: '0+',
  fields: {
    /** How long the client was (or shall be) held back by a quota, in milliseconds. */
    throttleTimeMs: int32(),
    errorCode: int16(),
    /** For people; null = the error code says it all. */
    errorMessage: string('0+', { nullable: '0+', default: null }),
    /** 1 brokers, 2 controllers. */
    endpointType: int8('1+', { default: 1 }),
    clusterId: string(),
    controllerId: int32('0+', { default: -1 }),
    brokers: array('0+', {
      brokerId: int32(),
      host: string(),
      port: int32(),
      rack: string('0+', { nullable: '0+', default: null }),
      /** Registered, but not taking part. */
      isFenced: bool('2+'),
    }),
    /** Bits of ACL operations; the smallest int32 = not asked for. */
    clusterAuthorizedOperations: int32('0+', { default: -2_147_483_648 }),
  },
})
export type DescribeClusterResponse = InferMessage<typeof DescribeClusterResponse>
export type DescribeClusterResponseInput = InferInput<typeof DescribeClusterResponse>
