import { defineEvents } from '../base/event-def.ts'

export const clusterEvents = defineEvents({
  strangeLog: {
    id: 'strange-log',
    level: 'warn',
    sentence: 'the log {log} (topic id {topicId}) belongs to no topic of this cluster: it is left alone and not served',
    fields: { log: 'string', topicId: 'string' },
  },
  snapshotTaken: {
    id: 'metadata-snapshot-taken',
    level: 'debug',
    sentence: 'wrote the metadata snapshot {file} of {records} records',
    fields: { file: 'string', records: 'number' },
  },
  metadataLost: {
    id: 'metadata-lost',
    level: 'error',
    sentence: 'the metadata records from offset {fromOffset} to below {endOffset} are lost: {reason}',
    fields: { fromOffset: 'number', endOffset: 'number', reason: 'string' },
  },
  metadataRebuilt: {
    id: 'metadata-rebuilt',
    level: 'error',
    sentence:
      'the metadata was made whole from the directories of the logs: {topics} topics and {partitions} partitions came back; nothing is deleted or compacted until `headwater recover confirm`',
    fields: { topics: 'number', partitions: 'number' },
  },
  deletionHeld: {
    id: 'deletion-held',
    level: 'warn',
    sentence: 'nothing is deleted or compacted until `headwater recover confirm`: {reason}',
    fields: { reason: 'string' },
  },
  recoveryConfirmed: {
    id: 'recovery-confirmed',
    level: 'info',
    sentence: 'the rebuilt metadata was confirmed: retention and compaction go on',
    fields: {},
  },
  transactionsOpen: {
    id: 'transactions-open',
    level: 'warn',
    sentence:
      'transactions of Apache Kafka are open in {partitions} partitions, the first is {log} from offset {offset} on: read_committed consumers, MQTT subscribers, mirrors and compaction stand still there until Apache Kafka has ended them',
    fields: { partitions: 'number', log: 'string', offset: 'number' },
  },
  logOfOther: {
    id: 'log-of-other-topic',
    level: 'error',
    sentence: 'partition {log} is not served: {reason}',
    fields: { log: 'string', reason: 'string' },
  },
  snapshotIgnored: {
    id: 'metadata-snapshot-ignored',
    level: 'warn',
    sentence: 'the metadata snapshot {file} is not whole and was passed over: {reason}',
    fields: { file: 'string', reason: 'string' },
  },
})
