/** Metrics of certificates, authentication and access. */
import { defineMetrics } from '../base/metric-def.ts'

export const securityMetrics = defineMetrics({
  tlsNotAfter: {
    name: 'headwater_tls_certificate_not_after_seconds',
    kind: 'gauge',
    help: 'When the certificate of a listener expires, in seconds since the Unix epoch.',
    labels: ['listener'],
  },
  tlsCrlNextUpdate: {
    name: 'headwater_tls_crl_next_update_seconds',
    kind: 'gauge',
    help: 'When the first of the revocation lists of a listener is too old, in seconds since the Unix epoch.',
    labels: ['listener'],
  },
  tlsReloads: {
    name: 'headwater_tls_reloads_total',
    kind: 'counter',
    help: 'Certificates that were replaced while the listener was running.',
    labels: ['listener'],
  },
  tlsReloadsRefused: {
    name: 'headwater_tls_reloads_refused_total',
    kind: 'counter',
    help: 'New certificates that could not be used, so that the old one stayed.',
    labels: ['listener'],
  },
  tokenKeysRefreshed: {
    name: 'headwater_token_keys_refreshed_seconds',
    kind: 'gauge',
    help: 'When the keys that tokens are checked by were last read or fetched, in seconds since the Unix epoch, by their URL; not set while the time is not known.',
    labels: ['url'],
  },
  authentications: {
    name: 'headwater_authentications_total',
    kind: 'counter',
    help: 'Authentications that ended, by mechanism (a SASL mechanism, password or token) and outcome (done, failed).',
    labels: ['mechanism', 'outcome'],
  },
})
