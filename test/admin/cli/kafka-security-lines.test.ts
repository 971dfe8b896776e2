import { describe, expect, it } from 'vitest'
import type { KafkaExport } from '../../../src/admin/cli/host.ts'
import { securityLinesOf } from '../../../src/admin/cli/kafka-security-lines.ts'
import { configSchema } from '../../../src/config.ts'
import { namedListeners } from '../../../src/kafka-end-points.ts'

const own = {
  controller: { host: '127.0.0.1', port: 9093 },
  internal: { host: '127.0.0.1', port: 9094 },
  secretFile: '/etc/kafka/broker.secret',
}
const tls = { certificate: '/etc/hw/edge.pem', key: '/etc/hw/edge.key' }
const standard = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'

/** What is printed for a configuration. */
function linesFor(kafka: readonly object[], settings: object = {}, more: object = {}) {
  const config = configSchema.parse({ listeners: { kafka }, kafka: settings, ...more })
  const facts: KafkaExport = {
    logDir: '/data/log',
    nodeId: 1,
    clusterId: 'c',
    wasClean: true,
    damagedLogs: [],
    unclaimedLogs: [],
    topics: [],
    listeners: namedListeners(config.listeners.kafka).map(({ listener, ...named }) => ({ ...named, ...listener })),
    requiredScopes: config.oauthbearer.requiredScopes,
    kerberos: config.kerberos,
    settings: [...config.kafka],
  }
  const { listeners, properties, comments } = securityLinesOf(facts, own)
  return {
    listeners: listeners.map(([name, { port }]) => `${name}:${port}`),
    properties: new Map(properties),
    comments,
  }
}

describe('the lines of security in server.properties', () => {
  it('are no more than the map where there is no security', () => {
    const { listeners, properties, comments } = linesFor([{ listen: '127.0.0.1:9092' }])
    expect(listeners).toEqual(['PLAINTEXT:9092', 'CONTROLLER:9093'])
    expect([...properties]).toEqual([['listener.security.protocol.map', 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT']])
    expect(comments).toEqual([])
  })

  it('say what each listener shows and whom it trusts, and what Kafka lacks', () => {
    const moreCertificates = [{ certificate: '/etc/hw/gate.pem', key: '/etc/hw/gate.key' }]
    const client = { clientCa: '/etc/hw/ca.pem', clientCrl: '/etc/hw/ca.crl', clientAuth: 'required', moreCertificates }
    const { listeners, properties, comments } = linesFor([
      { listen: '127.0.0.1:9092' },
      { listen: '127.0.0.1:9095', tls: { ...tls, ...client } },
    ])
    expect(listeners).toEqual(['PLAINTEXT:9092', 'SSL:9095', 'CONTROLLER:9093'])
    expect(Object.fromEntries(properties)).toMatchObject({
      'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,SSL:SSL,CONTROLLER:PLAINTEXT',
      'listener.name.ssl.ssl.keystore.location': '/etc/hw/edge.pem.store',
      'listener.name.ssl.ssl.truststore.location': '/etc/hw/ca.pem',
      'listener.name.ssl.ssl.client.auth': 'required',
    })
    expect(comments.join('\n')).toMatch(/cat \/etc\/hw\/edge.key \/etc\/hw\/edge.pem > /)
    expect(comments.join('\n')).toMatch(/Kafka shows one certificate/)
    expect(comments.join('\n')).toMatch(/no revocation lists/)
  })

  it.each<[string, readonly string[], string, RegExp | null]>([
    ['SCRAM', ['SCRAM-SHA-256'], 'SCRAM-SHA-256', null],
    ['SCRAM beside PLAIN', ['PLAIN', 'SCRAM-SHA-512'], 'SCRAM-SHA-512', /such clients change to SCRAM/],
    ['SCRAM in place of PLAIN', ['PLAIN'], 'SCRAM-SHA-256,SCRAM-SHA-512', /such clients change to SCRAM/],
  ])('serve %s', (_, mechanisms, served, comment) => {
    const { properties, comments } = linesFor([
      { listen: '127.0.0.1:9092' },
      { listen: '127.0.0.1:9095', saslMechanisms: mechanisms },
    ])
    expect(properties.get('listener.name.sasl_plaintext.sasl.enabled.mechanisms')).toBe(served)
    for (const mechanism of served.split(',')) {
      const name = `listener.name.sasl_plaintext.${mechanism.toLowerCase()}.sasl.jaas.config`
      expect(properties.get(name)).toBe('org.apache.kafka.common.security.scram.ScramLoginModule required;')
    }
    if (comment === null) expect(comments).toEqual([])
    else expect(comments.join()).toMatch(comment)
  })

  it('serve tokens, with what Java must be told and what Kafka does not ask for', () => {
    const settings = { 'sasl.oauthbearer.jwks.endpoint.url': 'https://a/k', 'sasl.oauthbearer.expected.audience': 'h' }
    const listeners = [{ listen: '127.0.0.1:9092' }, { listen: '127.0.0.1:9095', saslMechanisms: ['OAUTHBEARER'] }]
    const { properties, comments } = linesFor(listeners, settings, { oauthbearer: { requiredScopes: ['write'] } })
    expect(properties.get('listener.name.sasl_plaintext.oauthbearer.sasl.server.callback.handler.class')).toMatch(
      /OAuthBearerValidatorCallbackHandler$/,
    )
    expect(comments.join('\n')).toMatch(/allowed\.urls=https:\/\/a\/k[^]*tokens without write will be taken/)
  })

  it('serve tickets, by the same key', () => {
    const kerberos = { keytab: '/etc/hw/kafka.keytab', principal: 'kafka/edge.plant@PLANT' }
    const listeners = [{ listen: '127.0.0.1:9092' }, { listen: '127.0.0.1:9095', saslMechanisms: ['GSSAPI'] }]
    const { properties } = linesFor(listeners, {}, { kerberos })
    expect(properties.get('listener.name.sasl_plaintext.sasl.enabled.mechanisms')).toBe('GSSAPI')
    expect(properties.get('listener.name.sasl_plaintext.sasl.kerberos.service.name')).toBe('kafka')
    expect(properties.get('listener.name.sasl_plaintext.gssapi.sasl.jaas.config')).toMatch(
      /keyTab="\/etc\/hw\/kafka.keytab" principal="kafka\/edge.plant@PLANT";$/,
    )
  })

  it.each<[string, readonly object[], object, string]>([
    [
      'an authorizer is set',
      [{ listen: '127.0.0.1:9092' }],
      { 'authorizer.class.name': standard, 'super.users': 'User:admin' },
      'User:admin;User:kafka_internal_broker',
    ],
    [
      'no listener is plain',
      [{ listen: '127.0.0.1:9095', saslMechanisms: ['SCRAM-SHA-256'] }],
      {},
      'User:kafka_internal_broker',
    ],
  ])(
    'give the broker a user of its own where %s, whose password is nowhere but in a file',
    (_, kafka, settings, superUsers) => {
      const { listeners, properties, comments } = linesFor(kafka, settings)
      expect(listeners.slice(1)).toEqual(['INTERNAL:9094', 'CONTROLLER:9093'])
      expect(properties.get('listener.security.protocol.map')).toMatch(
        /INTERNAL:SASL_PLAINTEXT,CONTROLLER:SASL_PLAINTEXT$/,
      )
      expect(properties.get('super.users')).toBe(superUsers)
      expect(properties.get('inter.broker.listener.name')).toBe('INTERNAL')
      const login = properties.get('listener.name.controller.plain.sasl.jaas.config') ?? ''
      // biome-ignore lint/suspicious/noTemplateCurlyInString: it is Kafka's place for a value of a file.
      expect(login.match(/"[^"]*"/g)?.slice(1)).toEqual([
        '"${file:/etc/kafka/broker.secret:password}"',
        '"${file:/etc/kafka/broker.secret:password}"',
      ])
      expect(comments.join()).toMatch(/password=SOMETHING-LONG into \/etc\/kafka\/broker.secret, mode 0600/)
    },
  )
})
