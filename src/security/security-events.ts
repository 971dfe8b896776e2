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
  tlsCrlExpiresSoon: {
    id: 'tls-crl-expires-soon',
    level: 'warn',
    sentence:
      'A revocation list of the listener {listener} is good for {hours} more hours: put a newer one in its place',
    fields: { listener: 'string', hours: 'number' },
  },
  tlsCrlExpired: {
    id: 'tls-crl-expired',
    level: 'error',
    sentence:
      'A revocation list of the listener {listener} is too old: until there is a newer one no certificate of its authority is taken',
    fields: { listener: 'string' },
  },
  authenticationFailed: {
    id: 'authentication-failed',
    level: 'warn',
    sentence: 'A client at {client} could not authenticate as "{user}" by {mechanism}: {reason}',
    fields: { client: 'string', user: 'string', mechanism: 'string', reason: 'string' },
  },
  tokenKeysLoaded: {
    id: 'token-keys-loaded',
    level: 'info',
    sentence: 'Tokens are checked by the {keys} keys of {url}',
    fields: { url: 'string', keys: 'number' },
  },
  tokenKeysKept: {
    id: 'token-keys-kept',
    level: 'info',
    sentence: 'Until {url} answers tokens are checked by the {keys} keys that it had last',
    fields: { url: 'string', keys: 'number' },
  },
  tokenKeysRefused: {
    id: 'token-keys-refused',
    level: 'error',
    sentence: 'The keys of {url} cannot be had, and those that were there before, if any, stay: {reason}',
    fields: { url: 'string', reason: 'string' },
  },
  tokenKeysNotKept: {
    id: 'token-keys-not-kept',
    level: 'warn',
    sentence: 'The keys of {url} are in force but could not be kept for the next start: {reason}',
    fields: { url: 'string', reason: 'string' },
  },
  kerberosMissing: {
    id: 'kerberos-missing',
    level: 'error',
    sentence: 'GSSAPI is not offered, {principal} cannot be served: {reason}',
    fields: { principal: 'string', reason: 'string' },
  },
  lockedOut: {
    id: 'authentication-locked-out',
    level: 'warn',
    sentence: 'Too many failures: {client} is locked out for a minute, last as "{user}"',
    fields: { client: 'string', user: 'string' },
  },
  outboundRefused: {
    id: 'outbound-credentials-refused',
    level: 'error',
    sentence: '{owner}: what it shows to others cannot be read anew and what it had goes on: {reason}',
    fields: { owner: 'string', reason: 'string' },
  },
  setUp: {
    id: 'set-up',
    level: 'info',
    sentence:
      '{principal} has set this node up: {listeners} ask for names from now on, and {ended} connections without one were ended',
    fields: { principal: 'string', listeners: 'string', ended: 'number' },
  },
  listenersClosed: {
    id: 'listeners-closed',
    level: 'warn',
    sentence:
      '{principal} administers this node: {listeners} ask for names, although the configuration leaves them open, and {ended} connections without one were ended; headwater setup writes it into the configuration',
    fields: { principal: 'string', listeners: 'string', ended: 'number' },
  },
  listenerNameless: {
    id: 'listener-without-names',
    level: 'warn',
    sentence:
      'listeners.{listener} asks clients for no name: whoever reaches it is User:ANONYMOUS, with the rights of that name, and dangerouslyAllowUnprotected is set',
    fields: { listener: 'string' },
  },
  listenerUnprotected: {
    id: 'listener-unprotected',
    level: 'warn',
    sentence: 'Other hosts can reach listeners.{listener}, and {reason}: dangerouslyAllowUnprotected is set',
    fields: { listener: 'string', reason: 'string' },
  },
})
