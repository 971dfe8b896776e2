/** Log events of the ports on the operating system. */
import { defineEvents } from '../base/event-def.ts'

export const nodeEvents = defineEvents({
  addOnMissing: {
    id: 'add-on-missing',
    level: 'warn',
    sentence:
      'The native add-on could not be loaded ({reason}): hot reads wait for the thread pool and the directory lock is weaker.',
    fields: { reason: 'string' },
  },
  lockIsWeak: {
    id: 'directory-lock-is-weak',
    level: 'warn',
    sentence:
      '{path} is guarded by a process id file only: Apache Kafka does not honour it, and two hosts that share the directory can both take it.',
    fields: { path: 'string' },
  },
  staleLockTaken: {
    id: 'stale-directory-lock-taken',
    level: 'warn',
    sentence: 'The process {holder} that {path} names is gone: its lock is taken over.',
    fields: { path: 'string', holder: 'number' },
  },
  writerLost: {
    id: 'writer-thread-lost',
    level: 'fatal',
    sentence: 'The thread that writes to the disk has ended ({reason}): nothing is acknowledged any more.',
    fields: { reason: 'string' },
  },
  acceptFailed: {
    id: 'accept-failed',
    level: 'error',
    sentence: 'The listener {listener} could not accept a connection: {code}.',
    fields: { listener: 'string', code: 'string' },
  },
  connectionRefused: {
    id: 'connection-refused',
    level: 'warn',
    sentence: 'The listener {listener} closed a connection of {client}: {reason}.',
    fields: { listener: 'string', client: 'string', reason: 'string' },
  },
  tlsHandshakeFailed: {
    id: 'tls-handshake-failed',
    level: 'warn',
    sentence: 'A TLS handshake on the listener {listener} failed with {client}: {reason}.',
    fields: { listener: 'string', client: 'string', reason: 'string' },
  },
})
