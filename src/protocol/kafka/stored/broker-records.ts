/** Records of `__cluster_metadata` about brokers and controllers. */
import {
  array,
  bool,
  int16,
  int32,
  int64,
  int8,
  message,
  string,
  uint16,
  uuid,
  uuidArray,
  type InferInput,
  type InferMessage,
} from '../schema.ts'

/** A broker, or a new incarnation of it. */
export const RegisterBrokerRecord = message({
  name: 'RegisterBrokerRecord',
  apiKey: 0,
  versions: '0-4',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    isMigratingZkBroker: bool('2+'),
    /** New with every start of the process. */
    incarnationId: uuid(),
    /** Offset of the registration in this log. */
    brokerEpoch: int64(),
    endPoints: array('0+', {
      name: string(),
      host: string(),
      port: uint16(),
      /** 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
      securityProtocol: int16(),
    }),
    features: array('0+', {
      name: string(),
      minSupportedVersion: int16(),
      maxSupportedVersion: int16(),
    }),
    rack: string('0+', { nullable: '0+' }),
    /** Registered, but not taking part. */
    fenced: bool('0+', { default: true }),
    inControlledShutdown: bool('1+'),
    /** Directory ids (KIP-858). */
    logDirs: uuidArray('3+', { tag: 0 }),
    /** Get no new replicas (KIP-1066); null = not told. */
    cordonedLogDirs: uuidArray('4+', { nullable: '0+', tag: 1, default: null }),
  },
})
export type RegisterBrokerRecord = InferMessage<typeof RegisterBrokerRecord>
export type RegisterBrokerRecordInput = InferInput<typeof RegisterBrokerRecord>

/** The broker is gone for good. */
export const UnregisterBrokerRecord = message({
  name: 'UnregisterBrokerRecord',
  apiKey: 1,
  versions: '0',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    /** Offset of the registration in this log. */
    brokerEpoch: int64(),
  },
})
export type UnregisterBrokerRecord = InferMessage<typeof UnregisterBrokerRecord>
export type UnregisterBrokerRecordInput = InferInput<typeof UnregisterBrokerRecord>

/** The broker missed its heartbeats. Kafka writes BrokerRegistrationChangeRecord since 3.0. */
export const FenceBrokerRecord = message({
  name: 'FenceBrokerRecord',
  apiKey: 7,
  versions: '0',
  flexible: '0+',
  fields: {
    id: int32(),
    epoch: int64(),
  },
})
export type FenceBrokerRecord = InferMessage<typeof FenceBrokerRecord>
export type FenceBrokerRecordInput = InferInput<typeof FenceBrokerRecord>

/** The broker takes part again. Kafka writes BrokerRegistrationChangeRecord since 3.0. */
export const UnfenceBrokerRecord = message({
  name: 'UnfenceBrokerRecord',
  apiKey: 8,
  versions: '0',
  flexible: '0+',
  fields: {
    id: int32(),
    epoch: int64(),
  },
})
export type UnfenceBrokerRecord = InferMessage<typeof UnfenceBrokerRecord>
export type UnfenceBrokerRecordInput = InferInput<typeof UnfenceBrokerRecord>

/** What changed of a registration. */
export const BrokerRegistrationChangeRecord = message({
  name: 'BrokerRegistrationChangeRecord',
  apiKey: 17,
  versions: '0-3',
  flexible: '0+',
  fields: {
    brokerId: int32(),
    /** Offset of the registration in this log. */
    brokerEpoch: int64(),
    /** -1 unfenced, 0 as before, 1 fenced. */
    fenced: int8('0+', { tag: 0 }),
    /** 0 as before, 1 yes. */
    inControlledShutdown: int8('1+', { tag: 1 }),
    /** Directory ids (KIP-858). */
    logDirs: uuidArray('2+', { tag: 2 }),
    /** Get no new replicas (KIP-1066); null = not told. */
    cordonedLogDirs: uuidArray('3+', { nullable: '0+', tag: 3, default: null }),
  },
})
export type BrokerRegistrationChangeRecord = InferMessage<typeof BrokerRegistrationChangeRecord>
export type BrokerRegistrationChangeRecordInput = InferInput<typeof BrokerRegistrationChangeRecord>

/** A controller, or a new incarnation of it (KIP-919). */
export const RegisterControllerRecord = message({
  name: 'RegisterControllerRecord',
  apiKey: 27,
  versions: '0',
  flexible: '0+',
  fields: {
    controllerId: int32(),
    /** New with every start of the process. */
    incarnationId: uuid(),
    zkMigrationReady: bool(),
    endPoints: array('0+', {
      name: string(),
      host: string(),
      port: uint16(),
      /** 0 PLAINTEXT, 1 SSL, 2 SASL_PLAINTEXT, 3 SASL_SSL. */
      securityProtocol: int16(),
    }),
    features: array('0+', {
      name: string(),
      minSupportedVersion: int16(),
      maxSupportedVersion: int16(),
    }),
  },
})
export type RegisterControllerRecord = InferMessage<typeof RegisterControllerRecord>
export type RegisterControllerRecordInput = InferInput<typeof RegisterControllerRecord>
