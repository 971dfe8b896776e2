/** What a configuration with tokens must say, and what it must not. */
import { describe, expect, it } from 'vitest'
import { configSchema } from '../src/config.ts'
import { needsUsers } from '../src/config-safety.ts'

const url = 'sasl.oauthbearer.jwks.endpoint.url'
const audience = 'sasl.oauthbearer.expected.audience'
const byToken = { kafka: [{ listen: '127.0.0.1:0', saslMechanisms: ['OAUTHBEARER'] }] }
const good = { listeners: byToken, kafka: { [url]: 'https://a/k', [audience]: 'headwater' } }

const named = { ...good, kafka: { ...good.kafka, 'sasl.oauthbearer.expected.issuer': 'https://a' } }
const other = { issuer: 'https://b', jwksUrl: 'https://b/k', userPrefix: 'b-' }

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
    ['several issuers', { ...named, oauthbearer: { issuers: [other] } }],
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
    ['several issuers of which one has no name', { ...good, oauthbearer: { issuers: [other] } }, /each must be named/],
    [
      'the same issuer twice',
      { ...named, oauthbearer: { issuers: [other, other] } },
      /issuers\/1\/issuer: https:\/\/b is there twice/,
    ],
    [
      'an issuer of the settings again',
      { ...named, oauthbearer: { issuers: [{ ...other, issuer: 'https://a' }] } },
      /there twice/,
    ],
    [
      'an issuer without a prefix',
      { ...named, oauthbearer: { issuers: [{ ...other, userPrefix: undefined }] } },
      /userPrefix/,
    ],
    [
      'keys of an issuer that anybody could change',
      { ...named, oauthbearer: { issuers: [{ ...other, jwksUrl: 'http://b/k' }] } },
      /issuers\/0\/jwksUrl: .*use https/,
    ],
    ['issuers that nobody asks', { oauthbearer: { issuers: [other] } }, /oauthbearer\/issuers: means nothing/],
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
