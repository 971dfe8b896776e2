/**
 * The value of a record in `__cluster_metadata` and its snapshots: frame version, kind and version as unsigned varints, then the body.
 * All kinds that Apache Kafka 4.3 knows can be read.
 */
import { decodeMessage, encodeMessageWhole } from '../compile.ts'
import { ProtocolError } from '../protocol-error.ts'
import type { InferInput, InferMessage } from '../schema.ts'
import { appendUvarint, readUvarint } from '../uvarint.ts'
import {
  BrokerRegistrationChangeRecord,
  FenceBrokerRecord,
  RegisterBrokerRecord,
  RegisterControllerRecord,
  UnfenceBrokerRecord,
  UnregisterBrokerRecord,
} from './broker-records.ts'
import {
  ClientQuotaRecord,
  ConfigRecord,
  FeatureLevelRecord,
  NoOpRecord,
  ProducerIdsRecord,
  ZkMigrationStateRecord,
} from './config-records.ts'
import { AbortTransactionRecord, BeginTransactionRecord, EndTransactionRecord } from './metadata-transaction-records.ts'
import {
  AccessControlEntryRecord,
  DelegationTokenRecord,
  RemoveAccessControlEntryRecord,
  RemoveDelegationTokenRecord,
  RemoveUserScramCredentialRecord,
  UserScramCredentialRecord,
} from './security-records.ts'
import {
  ClearElrRecord,
  PartitionChangeRecord,
  PartitionRecord,
  RemoveTopicRecord,
  TopicRecord,
} from './topic-records.ts'

/** Every kind of metadata record, by its name. */
export const metadataRecords = {
  RegisterBrokerRecord,
  UnregisterBrokerRecord,
  TopicRecord,
  PartitionRecord,
  ConfigRecord,
  PartitionChangeRecord,
  AccessControlEntryRecord,
  FenceBrokerRecord,
  UnfenceBrokerRecord,
  RemoveTopicRecord,
  DelegationTokenRecord,
  UserScramCredentialRecord,
  FeatureLevelRecord,
  ClientQuotaRecord,
  ProducerIdsRecord,
  BrokerRegistrationChangeRecord,
  RemoveAccessControlEntryRecord,
  NoOpRecord,
  ZkMigrationStateRecord,
  RemoveUserScramCredentialRecord,
  BeginTransactionRecord,
  EndTransactionRecord,
  AbortTransactionRecord,
  RemoveDelegationTokenRecord,
  RegisterControllerRecord,
  ClearElrRecord,
} as const

export type MetadataRecordType = keyof typeof metadataRecords

/** A decoded record; `type` tells which `value` it is. */
export type MetadataRecord = {
  readonly [T in MetadataRecordType]: {
    readonly type: T
    readonly version: number
    readonly value: InferMessage<(typeof metadataRecords)[T]>
  }
}[MetadataRecordType]

/** What `encodeMetadataRecord` takes: the version decides which fields are written. */
export type MetadataRecordInput = {
  readonly [T in MetadataRecordType]: {
    readonly type: T
    readonly version: number
    readonly value: InferInput<(typeof metadataRecords)[T]>
  }
}[MetadataRecordType]

const frameVersion = 1

const typeByKey = new Map(
  Object.entries(metadataRecords).map(([type, schema]) => [schema.apiKey, type as MetadataRecordType]),
)

/** The bytes of a record's value, memory of its own. Throws a ProtocolError when the value does not fit the version. */
export function encodeMetadataRecord(record: MetadataRecordInput): Uint8Array {
  const schema = metadataRecords[record.type]
  const head: number[] = []
  appendUvarint(head, frameVersion)
  appendUvarint(head, schema.apiKey)
  appendUvarint(head, record.version)
  return encodeMessageWhole(schema, record.version, record.value, head)
}

/** Reads a record's value. Throws a ProtocolError on an unknown kind or version, and on bytes that do not fit. */
export function decodeMetadataRecord(bytes: Uint8Array): MetadataRecord {
  const frame = readUvarint(bytes, 0)
  if (frame.value !== frameVersion) throw new ProtocolError(`metadata record: unknown frame version ${frame.value}`)
  const key = readUvarint(bytes, frame.end)
  const version = readUvarint(bytes, key.end)
  const type = typeByKey.get(key.value)
  if (type === undefined) throw new ProtocolError(`metadata record: unknown kind ${key.value}`)
  const { value, end } = decodeMessage(metadataRecords[type], version.value, bytes, version.end)
  if (end !== bytes.length) throw new ProtocolError(`${type}: ${bytes.length - end} bytes too many`)
  return { type, version: version.value, value } as MetadataRecord
}
