/** Log events about certificates, authentication and access. */
import { defineEvents } from '../base/event-def.ts'

export const securityEvents = defineEvents({
  tlsReloaded: {
    id: 'tls-certificate-reloaded',
    level: 'info',
    sentence: 'The listener {listener} has a new certificate, {subject}, valid until {notAfter}; open connections stay',
    fields: { listener: 'string', subject: 'string', notAfter: 'string' },
  },
  tlsReloadRefused: {
    id: 'tls-certificate-refused',
    level: 'error',
    sentence: 'The new certificate of the listener {listener} cannot be used and the old one stays: {reason}',
    fields: { listener: 'string', reason: 'string' },
  },
  tlsExpiresSoon: {
    id: 'tls-certificate-expires-soon',
    level: 'warn',
    sentence: 'The certificate of the listener {listener}, {subject}, expires in {days} days',
    fields: { listener: 'string', subject: 'string', days: 'number' },
  },
  tlsExpired: {
    id: 'tls-certificate-expired',
    level: 'error',
    sentence: 'The certificate of the listener {listener}, {subject}, expired at {notAfter}: clients will refuse it',
    fields: { listener: 'string', subject: 'string', notAfter: 'string' },
  },
  authenticationFailed: {
    id: 'authentication-failed',
    level: 'warn',
    sentence: 'A client at {client} could not authenticate as "{user}" by {mechanism}: {reason}',
    fields: { client: 'string', user: 'string', mechanism: 'string', reason: 'string' },
  },
  lockedOut: {
    id: 'authentication-locked-out',
    level: 'warn',
    sentence: 'Too many failures: {client} is locked out for a minute, last as "{user}"',
    fields: { client: 'string', user: 'string' },
  },
  listenerNameless: {
    id: 'listener-without-names',
    level: 'warn',
    sentence:
      'listeners.{listener} asks clients for no name although there is an admin: whoever reaches it is User:ANONYMOUS, with the rights of that name',
    fields: { listener: 'string' },
  },
  listenerUnprotected: {
    id: 'listener-unprotected',
    level: 'warn',
    sentence: 'Other hosts can reach listeners.{listener}, and {reason}: dangerouslyAllowUnprotected is set',
    fields: { listener: 'string', reason: 'string' },
  },
})
