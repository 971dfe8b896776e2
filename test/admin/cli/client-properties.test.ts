import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readClientProperties } from '../../../src/admin/cli/client-properties.ts'

const folder = mkdtempSync(join(tmpdir(), 'headwater-properties-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let count = 0
function file(text: string): string {
  const path = join(folder, `file-${++count}`)
  writeFileSync(path, text)
  return path
}
const read = (...lines: readonly string[]) => readClientProperties(file(lines.join('\n')))

const certificate = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
const key = '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n'
const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule'
const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule'
const bearer = 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule'
const bytes = (text: string): Buffer => Buffer.from(text)

describe("a file of Kafka's own tools", () => {
  it('may say nothing, or that there is nothing to say', () => {
    expect(read('')).toEqual({ tls: null, login: null })
    expect(read('# notes', '! more', '', 'security.protocol = PLAINTEXT')).toEqual({ tls: null, login: null })
  })

  it('says how to encrypt', () => {
    expect(read('security.protocol=SSL')).toEqual({
      tls: { ca: null, certificate: null, key: null, serverName: null },
      login: null,
    })
    const stores = [`ssl.truststore.location=${file(certificate)}`, `ssl.keystore.location=${file(key + certificate)}`]
    const types = ['ssl.truststore.type=PEM', 'ssl.keystore.type=PEM', 'ssl.endpoint.identification.algorithm=https']
    expect(read('security.protocol: SSL', ...types, ...stores).tls).toEqual({
      ca: bytes(certificate),
      certificate: bytes(key + certificate),
      key: bytes(key + certificate),
      serverName: null,
    })
  })

  it('may hold the certificates itself, over several lines', () => {
    const written = (pem: string): string => pem.trim().replaceAll('\n', '\\n\\\n  ')
    const { tls } = read(
      'security.protocol=SSL',
      'ssl.truststore.type=PEM',
      `ssl.truststore.certificates=${written(certificate)}`,
      'ssl.keystore.type=PEM',
      `ssl.keystore.certificate.chain=${written(certificate)}`,
      `ssl.keystore.key=${written(key)}`,
    )
    expect(tls).toMatchObject({
      ca: bytes(certificate.trim()),
      certificate: bytes(certificate.trim()),
      key: bytes(key.trim()),
    })
  })

  it.each([
    ['SCRAM-SHA-256', `${scram} required username="alice" password="won\\"der;=";`, 'won"der;='],
    ['SCRAM-SHA-512', `${scram} required username='alice' password='wonder' ;`, 'wonder'],
    ['PLAIN', `${plain} required username=alice password=wonder;`, 'wonder'],
  ])('says who it is by %s', (mechanism, jaas, password) => {
    const lines = ['security.protocol=SASL_PLAINTEXT', `sasl.mechanism=${mechanism}`]
    // In a file of properties a backslash stands for itself when it is written twice.
    expect(read(...lines, `sasl.jaas.config=${jaas.replaceAll('\\', '\\\\')}`).login).toEqual({
      mechanism,
      userName: 'alice',
      password,
    })
  })

  it('says who it is by a token in a file', () => {
    const lines = ['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER', `sasl.jaas.config=${bearer} required;`]
    const token = file('a.b.c\n')
    expect(read(...lines, `sasl.oauthbearer.token.endpoint.url=file://${token}`).login).toEqual({
      mechanism: 'OAUTHBEARER',
      token: 'a.b.c',
    })
  })

  const sasl = ['security.protocol=SASL_SSL', 'sasl.mechanism=SCRAM-SHA-256']
  it.each<[string, readonly string[], RegExp]>([
    ['a name that it does not know', ['security.protocols=SSL'], /security.protocols: is not known/],
    ['a protocol that there is not', ['security.protocol=TLS'], /TLS is not PLAINTEXT/],
    ['a mechanism that there is not', ['security.protocol=SASL_SSL', 'sasl.mechanism=GSSAPI'], /GSSAPI is not PLAIN/],
    ['no mechanism', ['security.protocol=SASL_SSL'], /nothing is not PLAIN/],
    ['no user', [...sasl], /must be: org.*ScramLoginModule/],
    [
      'the module of another mechanism',
      [...sasl, `sasl.jaas.config=${plain} required username="a" password="b";`],
      /not the module/,
    ],
    ['no password', [...sasl, `sasl.jaas.config=${scram} required username="a";`], /needs username/],
    ['an open quote', [...sasl, `sasl.jaas.config=${scram} required username="a password="b";`], /must be/],
    ['a store that is not PEM', ['security.protocol=SSL', 'ssl.truststore.location=/a.jks'], /only PEM/],
    [
      'a store that is not there',
      ['security.protocol=SSL', 'ssl.truststore.type=PEM', 'ssl.truststore.location=/nowhere.pem'],
      /cannot read/,
    ],
    [
      'a store without a certificate',
      ['security.protocol=SSL', 'ssl.truststore.type=PEM', `ssl.truststore.location=${file('x')}`],
      /no certificate/,
    ],
    [
      'a key store without a key',
      ['security.protocol=SSL', 'ssl.keystore.type=PEM', `ssl.keystore.location=${file(certificate)}`],
      /no private key/,
    ],
    [
      'a chain without a key',
      [
        'security.protocol=SSL',
        'ssl.keystore.type=PEM',
        `ssl.keystore.certificate.chain=${certificate.trim().replaceAll('\n', '\\n')}`,
      ],
      /goes together/,
    ],
    ['names that are not looked at', ['security.protocol=SSL', 'ssl.endpoint.identification.algorithm='], /only https/],
    ['TLS that is not used', ['security.protocol=PLAINTEXT', 'ssl.truststore.type=PEM'], /means nothing/],
    ['a login that is not used', ['security.protocol=SSL', 'sasl.mechanism=PLAIN'], /means nothing/],
    [
      'a token from the network',
      ['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER', 'sasl.oauthbearer.token.endpoint.url=https://a/b'],
      /file:\/\/\/PATH/,
    ],
    ['a line without a value', ['security.protocol'], /NAME=VALUE/],
  ])('is refused with %s', (_, lines, message) => {
    expect(() => read(...lines)).toThrow(message)
  })

  it('that is not there is told', () => {
    expect(() => readClientProperties(join(folder, 'nowhere'))).toThrow(/cannot read/)
  })
})
