/** Log events of the Kafka door. */
import { defineEvents } from '../../base/event-def.ts'

export const kafkaDoorEvents = defineEvents({
  requestRefused: {
    id: 'kafka-request-refused',
    level: 'warn',
    sentence: 'closed connection {connection} of {client}: {reason}',
    fields: { connection: 'number', client: 'string', reason: 'string' },
  },
  refusalsNotLogged: {
    id: 'kafka-refusals-not-logged',
    level: 'warn',
    sentence: '{count} more connections were closed for bad requests than were logged',
    fields: { count: 'number' },
  },
  requestFailed: {
    id: 'kafka-request-failed',
    level: 'error',
    sentence: 'closed connection {connection} of {client}: {api} v{version} could not be answered: {error}',
    fields: { connection: 'number', client: 'string', api: 'string', version: 'number', error: 'string' },
  },
  connectionsExhausted: {
    id: 'kafka-connections-exhausted',
    level: 'warn',
    sentence: 'refused a connection of {client}, which is beyond a limit: {reason}',
    fields: { client: 'string', reason: 'string' },
  },
  connectionStalled: {
    id: 'kafka-connection-stalled',
    level: 'warn',
    sentence: 'closed connection {connection} of {client}: it holds {bytes} bytes that others need and does not move',
    fields: { connection: 'number', client: 'string', bytes: 'number' },
  },
  principalRefused: {
    id: 'kafka-principal-refused',
    level: 'warn',
    sentence: 'refused a connection of {client}: no rule of ssl.principal.mapping.rules fits its certificate',
    fields: { client: 'string' },
  },
  stopTimedOut: {
    id: 'kafka-stop-timed-out',
    level: 'warn',
    sentence: 'closed {connections} connections with requests that were still running',
    fields: { connections: 'number' },
  },
})
