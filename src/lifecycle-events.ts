import { defineEvents } from './base/event-def.ts'

export const lifecycleEvents = defineEvents({
  stopFailed: {
    id: 'stop-failed',
    level: 'error',
    sentence: 'stopping {room} failed: {reason}; the next start will recover',
    fields: { room: 'string', reason: 'string' },
  },
})
