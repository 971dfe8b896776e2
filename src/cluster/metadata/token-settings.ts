/** Kafka's settings of SASL/OAUTHBEARER (KIP-768) and SASL/GSSAPI on a broker, under its names and with its defaults. */
import { parseKerberosRules } from '../../security/kerberos-names.ts'
import { tokenKeyUrlFault } from '../../security/tokens/token-options.ts'
import type { ConfigTable } from './config-table.ts'

export const tokenSettings: ConfigTable = {
  'sasl.kerberos.principal.to.local.rules': {
    type: 'list',
    default: 'DEFAULT',
    doc: 'How a Kerberos principal becomes the name of its user (GSSAPI). DEFAULT: the first part of a principal of our own realm.',
    refuse: (value) => {
      const rules = parseKerberosRules(value)
      return typeof rules === 'string' ? rules : null
    },
  },
  'sasl.oauthbearer.jwks.endpoint.url': {
    type: 'string',
    default: '',
    doc: 'Where the public keys of the issuer of tokens are, as a JSON Web Key Set: https, http on this machine, or file:///PATH.',
    refuse: (value) => (value === '' ? null : tokenKeyUrlFault(value)),
  },
  'sasl.oauthbearer.jwks.endpoint.refresh.ms': {
    type: 'long',
    default: '3600000',
    least: 1000,
    most: 31_536_000_000,
    doc: 'Time between two questions for the keys. A file is looked at every five seconds.',
  },
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.ms': {
    type: 'long',
    default: '100',
    least: 1,
    most: 3_600_000,
    doc: 'Pause after a question that has failed; it doubles.',
  },
  'sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms': {
    type: 'long',
    default: '10000',
    least: 1,
    most: 86_400_000,
    doc: 'Longest such pause.',
  },
  'sasl.oauthbearer.expected.audience': {
    type: 'list',
    default: '',
    doc: 'Audiences, separated by commas: a token must be for one of them (claim aud).',
  },
  'sasl.oauthbearer.expected.issuer': {
    type: 'string',
    default: '',
    doc: 'Whose tokens they must be, letter for letter (claim iss).',
  },
  'sasl.oauthbearer.clock.skew.seconds': {
    type: 'int',
    default: '30',
    least: 0,
    most: 3600,
    doc: 'By how much the clock of the issuer and the one of this node may differ.',
  },
  'sasl.oauthbearer.scope.claim.name': {
    type: 'string',
    default: 'scope',
    doc: 'Claim with the scope of a token, for oauthbearer.requiredScopes.',
    refuse: claimNameFault,
  },
  'sasl.oauthbearer.sub.claim.name': {
    type: 'string',
    default: 'sub',
    doc: 'Claim that becomes the name of the principal.',
    refuse: claimNameFault,
  },
}

function claimNameFault(value: string): string | null {
  return value.trim() === '' || value.trim() !== value ? 'a claim has a name without blanks around it' : null
}
