/** Records of `__cluster_metadata` about configuration, features, quotas and producer ids. */
import {
  array,
  bool,
  float64,
  int16,
  int32,
  int64,
  int8,
  message,
  string,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** One configuration value of a topic, broker, group or client-metrics subscription; a null value forgets it. */
export const ConfigRecord = message({
  name: 'ConfigRecord',
  apiKey: 4,
  versions: '0',
  flexible: '0+',
  fields: {
    /** 2 topic, 4 broker, 16 client metrics, 32 group. */
    resourceType: int8(),
    /** Of a broker its id; empty = the default of all. */
    resourceName: string(),
    name: string(),
    value: string('0+', { nullable: '0+' }),
  },
})
export type ConfigRecord = InferMessage<typeof ConfigRecord>
export type ConfigRecordInput = InferInput<typeof ConfigRecord>

/** The level the cluster runs a feature with; `metadata.version` is the first record of every log and snapshot. */
export const FeatureLevelRecord = message({
  name: 'FeatureLevelRecord',
  apiKey: 12,
  versions: '0',
  flexible: '0+',
  fields: {
    name: string(),
    /** 0 removes the feature. */
    featureLevel: int16(),
  },
})
export type FeatureLevelRecord = InferMessage<typeof FeatureLevelRecord>
export type FeatureLevelRecordInput = InferInput<typeof FeatureLevelRecord>

/** One quota of an entity. */
export const ClientQuotaRecord = message({
  name: 'ClientQuotaRecord',
  apiKey: 14,
  versions: '0',
  flexible: '0+',
  fields: {
    entity: array('0+', {
      /** `user`, `client-id` or `ip`. */
      entityType: string(),
      /** Null = the default of all. */
      entityName: string('0+', { nullable: '0+' }),
    }),
    key: string(),
    value: float64(),
    /** The quota is gone; `value` then means nothing. */
    remove: bool(),
  },
})
export type ClientQuotaRecord = InferMessage<typeof ClientQuotaRecord>
export type ClientQuotaRecordInput = InferInput<typeof ClientQuotaRecord>

/** A block of producer ids was handed to a broker. */
export const ProducerIdsRecord = message({
  name: 'ProducerIdsRecord',
  apiKey: 15,
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    /** Offset of the registration in this log. */
    brokerEpoch: int64('0+', { default: -1 }),
    /** First id that is still free. */
    nextProducerId: int64(),
  },
})
export type ProducerIdsRecord = InferMessage<typeof ProducerIdsRecord>
export type ProducerIdsRecordInput = InferInput<typeof ProducerIdsRecord>

/** Nothing; shows that the log moves on. */
export const NoOpRecord = message({
  name: 'NoOpRecord',
  apiKey: 20,
  versions: '0',
  flexible: '0+',
  fields: {},
})
export type NoOpRecord = InferMessage<typeof NoOpRecord>
export type NoOpRecordInput = InferInput<typeof NoOpRecord>

/** Only in logs that came from ZooKeeper. */
export const ZkMigrationStateRecord = message({
  name: 'ZkMigrationStateRecord',
  apiKey: 21,
  versions: '0',
  flexible: '0+',
  fields: {
    zkMigrationState: int8(),
  },
})
export type ZkMigrationStateRecord = InferMessage<typeof ZkMigrationStateRecord>
export type ZkMigrationStateRecordInput = InferInput<typeof ZkMigrationStateRecord>
