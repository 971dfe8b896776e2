/** Log events of the operator's HTTP listener. */
import { defineEvents } from '../../base/event-def.ts'

export const httpEvents = defineEvents({
  requestFailed: {
    id: 'http-request-failed',
    level: 'error',
    sentence: '{method} {path} could not be answered: {error}',
    fields: { method: 'string', path: 'string', error: 'string' },
  },
})
