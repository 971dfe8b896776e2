/** What a configuration with tokens must say, and what it must not. */
import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { needsUsers } from '../src/config-safety.ts'

const url = 'sasl.oauthbearer.jwks.endpoint.url'
const audience = 'sasl.oauthbearer.expected.audience'
const byToken = { kafka: [{ listen: '127.0.0.1:0', saslMechanisms: ['OAUTHBEARER'] }] }
const good = { listeners: byToken, kafka: { [url]: 'https://a/k', [audience]: 'headwater' } }

const faults = (config: object): readonly string[] =>
  (configSchema.safeParse(config).error?.issues ?? []).map(({ path, message }) => `${path.join('/')}: ${message}`)

describe('a configuration with tokens', () => {
  it.each<[string, object]>([
    ['keys of a URL and an audience', good],
    ['an issuer', { ...good, kafka: { [url]: 'https://a/k', 'sasl.oauthbearer.expected.issuer': 'https://a' } }],
    ['authorities of its own', { ...good, oauthbearer: { jwksCa: '/etc/ca.pem', requiredScopes: ['plant/write'] } }],
    [
      'a password that is a token',
      { ...good, listeners: { mqtt: [{ listen: '127.0.0.1:0', authentication: 'token' }] } },
    ],
    ['AUTH of MQTT', { ...good, listeners: { mqtt: [{ listen: '127.0.0.1:0', saslMechanisms: ['OAUTHBEARER'] }] } }],
  ])('may have %s', (_, config) => expect(faults(config)).toEqual([]))

  it.each<[string, object, RegExp]>([
    ['no keys', { ...good, kafka: { [audience]: 'a' } }, /^kafka\/sasl.oauthbearer.jwks.endpoint.url: .*say where/],
    [
      'an audience of blanks',
      { ...good, kafka: { [url]: 'https://a/k', [audience]: ' ' } },
      /any token that the keys fit/,
    ],
    ['neither issuer nor audience', { ...good, kafka: { [url]: 'https://a/k' } }, /any token that the keys fit/],
    ['keys that anybody could change', { ...good, kafka: { ...good.kafka, [url]: 'http://a/k' } }, /use https/],
    ['a password in the URL', { ...good, kafka: { ...good.kafka, [url]: 'https://u:p@a/k' } }, /end up in logs/],
    [
      'authorities for a file',
      { ...good, kafka: { ...good.kafka, [url]: 'file:///k' }, oauthbearer: { jwksCa: 'c' } },
      /judges nothing/,
    ],
    ['a scope of two words', { ...good, oauthbearer: { requiredScopes: ['a b'] } }, /without blanks/],
    [
      'a claim without a name',
      { ...good, kafka: { ...good.kafka, 'sasl.oauthbearer.sub.claim.name': ' ' } },
      /a claim has a name/,
    ],
    ['settings that nobody reads', { kafka: good.kafka }, /means nothing while no listener takes tokens/],
    ['scopes that nobody asks for', { oauthbearer: { requiredScopes: ['a'] } }, /means nothing/],
    ['authorities that nobody asks for', { oauthbearer: { jwksCa: 'a' } }, /means nothing/],
  ])('is refused with %s', (_, config, message) => expect(faults(config).join('; ')).toMatch(message))

  it.each<[string, object, RegExp]>([
    [
      'GSSAPI without a key',
      { listeners: { kafka: [{ listen: '127.0.0.1:0', saslMechanisms: ['GSSAPI'] }] } },
      /say which service this is/,
    ],
    [
      'GSSAPI of MQTT without a key',
      { listeners: { mqtt: [{ listen: '127.0.0.1:0', saslMechanisms: ['GSSAPI'] }] } },
      /say which service this is/,
    ],
    ['a service without a listener', { kerberos: { keytab: 'k', principal: 'kafka/a@B' } }, /means nothing/],
    ['a principal that is no service', { kerberos: { keytab: 'k', principal: 'kafka@B' } }, /kafka\/HOST@REALM/],
    ['rules that nobody reads', { kafka: { 'sasl.kerberos.principal.to.local.rules': 'DEFAULT' } }, /means nothing/],
    [
      'rules that are none',
      { kafka: { 'sasl.kerberos.principal.to.local.rules': 'RULE' } },
      /neither DEFAULT nor RULE/,
    ],
  ])('is refused with %s', (_, config, message) => expect(faults(config).join('; ')).toMatch(message))

  it('needs no user where every way in is by tokens', () => {
    const needs = (listener: object): boolean => {
      const tls = { certificate: 'c', key: 'k' }
      const listeners = { mqtt: [{ listen: '0.0.0.0:1', tls, ...listener }] }
      return needsUsers(configSchema.parse({ ...good, listeners: { ...byToken, ...listeners } }).listeners)
    }
    expect(needs({ authentication: 'token' })).toBe(false)
    expect(needs({ saslMechanisms: ['OAUTHBEARER'] })).toBe(false)
    expect(needs({ authentication: 'password' })).toBe(true)
    expect(needs({ saslMechanisms: ['OAUTHBEARER', 'SCRAM-SHA-256'] })).toBe(true)
  })
})
