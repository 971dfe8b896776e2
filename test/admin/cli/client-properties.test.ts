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
const oauthPackage = 'org.apache.kafka.common.security.oauthbearer'
const krb5 = 'com.sun.security.auth.module.Krb5LoginModule'
const oauth = ['security.protocol=SASL_SSL', 'sasl.mechanism=OAUTHBEARER']
const tickets = ['security.protocol=SASL_SSL', 'sasl.mechanism=GSSAPI', 'sasl.kerberos.service.name=kafka']
const endpointName = 'sasl.oauthbearer.token.endpoint.url'
const credentials = 'sasl.oauthbearer.client.credentials.client'
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

  it.each([
    [
      'by the settings',
      [`${credentials}.id=plant-7`, `${credentials}.secret=s`, 'sasl.oauthbearer.scope=write'],
      bearer,
    ],
    ['by the module', [], `${bearer} required clientId="plant-7" clientSecret="s" scope="write"`],
  ])('says who it is at an issuer of tokens, %s', (_, lines, jaas) => {
    const module = `sasl.jaas.config=${jaas === bearer ? `${bearer} required` : jaas};`
    const { login } = read(...oauth, `${endpointName}=https://issuer/token`, module, ...lines)
    expect(login).toEqual({
      mechanism: 'OAUTHBEARER',
      endpoint: { url: 'https://issuer/token', clientId: 'plant-7', scope: 'write', isHeaderEncoded: false },
      clientSecret: 's',
    })
  })

  it('says who it is by the keys of a Kerberos principal', () => {
    const jaas = `${krb5} required useKeyTab=true storeKey=true keyTab="/etc/a.keytab" principal="alice@PLANT";`
    expect(read(...tickets, `sasl.jaas.config=${jaas}`).login).toEqual({
      mechanism: 'GSSAPI',
      keytab: '/etc/a.keytab',
      principal: 'alice@PLANT',
      serviceName: 'kafka',
    })
  })

  const sasl = ['security.protocol=SASL_SSL', 'sasl.mechanism=SCRAM-SHA-256']
  it.each<[string, readonly string[], RegExp]>([
    ['a name that it does not know', ['security.protocols=SSL'], /security.protocols: is not known/],
    ['a protocol that there is not', ['security.protocol=TLS'], /TLS is not PLAINTEXT/],
    [
      'a mechanism that there is not',
      ['security.protocol=SASL_SSL', 'sasl.mechanism=EXTERNAL'],
      /EXTERNAL is not PLAIN/,
    ],
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
    ['a token of nobody', [...oauth, `${endpointName}=https://a/b`], /client.id: the issuer asks who/],
    [
      'a token without a secret',
      [...oauth, `${endpointName}=https://a/b`, `${credentials}.id=a`],
      /secret: the issuer asks/,
    ],
    ['a token in the clear', [...oauth, `${endpointName}=http://a/b`], /could read the secret/],
    ['no place of a token', [...oauth], /must say where the token is/],
    [
      'a secret for a file',
      [...oauth, `${endpointName}=file:///t`, `${credentials}.id=a`],
      /means nothing with a token/,
    ],
    [
      'a class for another kind of token',
      [
        ...oauth,
        `${endpointName}=file:///t`,
        `sasl.oauthbearer.jwt.retriever.class=${oauthPackage}.JwtBearerJwtRetriever`,
      ],
      /is not .*FileJwtRetriever/,
    ],
    ['a token for a password', [...sasl, `${endpointName}=file:///t`], /means nothing with sasl.mechanism=SCRAM/],
    [
      'a ticket without keys',
      [...tickets, `sasl.jaas.config=${krb5} required useKeyTab=true;`],
      /needs useKeyTab=true keyTab/,
    ],
    [
      'a ticket of a cache',
      [...tickets, `sasl.jaas.config=${krb5} required useTicketCache=true;`],
      /useTicketCache=true is not known/,
    ],
    [
      'a ticket for no service',
      [...tickets.slice(0, 2), `sasl.jaas.config=${krb5} required useKeyTab=true keyTab="/k" principal="a@B";`],
      /must name the first part/,
    ],
    ['a line without a value', ['security.protocol'], /NAME=VALUE/],
  ])('is refused with %s', (_, lines, message) => {
    expect(() => read(...lines)).toThrow(message)
  })

  it('that is not there is told', () => {
    expect(() => readClientProperties(join(folder, 'nowhere'))).toThrow(/cannot read/)
  })
})
