import { defineEvents } from './base/event-def.ts'

export const lifecycleEvents = defineEvents({
  stopFailed: {
    id: 'stop-failed',
    level: 'error',
    sentence: 'stopping {room} failed: {reason}; the next start will recover',
    fields: { room: 'string', reason: 'string' },
  },
  hangUpIgnored: {
    id: 'hang-up-ignored',
    level: 'info',
    sentence:
      'SIGHUP changes nothing here: certificates, revocation lists and credentials are read again by themselves, the configuration at the next start',
    fields: {},
  },
})
