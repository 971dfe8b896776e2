import { defineEvents } from './base/event-def.ts'

/** What is told of the host's clock. */
export const clockEvents = defineEvents({
  untrusted: {
    id: 'clock-untrusted',
    level: 'warn',
    sentence:
      'the clock of the host is not believed; wall time counts on from {wallMs} (boot {bootId}, up for {uptimeMs} ms): nothing is deleted by time, records are marked',
    fields: { wallMs: 'number', bootId: 'string', uptimeMs: 'number' },
  },
  trusted: {
    id: 'clock-trusted',
    level: 'info',
    sentence: 'the time is known: uptime {uptimeMs} ms of boot {bootId} is wall time {wallMs}',
    fields: { bootId: 'string', uptimeMs: 'number', wallMs: 'number' },
  },
})
