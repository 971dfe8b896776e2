import { defineEvents } from '../base/event-def.ts'

export const clusterEvents = defineEvents({
  strangeLog: {
    id: 'strange-log',
    level: 'warn',
    sentence: 'the log {log} (topic id {topicId}) belongs to no topic of this cluster: it is left alone and not served',
    fields: { log: 'string', topicId: 'string' },
  },
  snapshotIgnored: {
    id: 'metadata-snapshot-ignored',
    level: 'warn',
    sentence: 'the metadata snapshot {file} is not whole and was passed over: {reason}',
    fields: { file: 'string', reason: 'string' },
  },
})
