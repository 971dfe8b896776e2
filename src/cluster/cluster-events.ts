import { defineEvents } from '../base/event-def.ts'

export const clusterEvents = defineEvents({
  strangeLog: {
    id: 'strange-log',
    level: 'warn',
    sentence: 'the log {log} (topic id {topicId}) belongs to no topic of this cluster: it is left alone and not served',
    fields: { log: 'string', topicId: 'string' },
  },
})
