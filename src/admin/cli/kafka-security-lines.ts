/**
 * The lines of server.properties that say how Apache Kafka's listeners know their clients, made of the listeners of a configuration. Never a secret:
 * where Kafka needs one it is told to read it from a file, and a comment says what belongs there.
 */
import { resolve } from 'node:path'
import type { ListenAddress } from '../../base/ports.ts'
import type { KafkaExport, KafkaExportListener } from './host.ts'

export interface SecurityLines {
  readonly listeners: readonly (readonly [name: string, place: ListenAddress])[]
  readonly properties: readonly (readonly [name: string, value: string])[]
  readonly comments: readonly string[]
}

export interface OwnListeners {
  readonly controller: ListenAddress
  /** For what brokers say to each other, where clients' listeners will not do. */
  readonly internal: ListenAddress
  /** File with the password of the broker itself. */
  readonly secretFile: string
}

/** The broker's own user, on listeners of its own. */
const brokerUser = 'kafka_internal_broker'
const jaas = 'org.apache.kafka.common.security'
const validator = `${jaas}.oauthbearer.OAuthBearerValidatorCallbackHandler`

export function securityLinesOf(facts: KafkaExport, own: OwnListeners): SecurityLines {
  const isAuthorized = (new Map(facts.settings).get('authorizer.class.name') ?? '') !== ''
  const hasPlain = facts.listeners.some(({ name }) => name === 'PLAINTEXT')
  // With an authorizer the broker must be somebody; without a plain listener of clients it has nowhere to speak to itself.
  const needsOwn = isAuthorized || !hasPlain
  const parts = facts.listeners.map((listener) => linesOf(listener, facts))
  const broker = needsOwn ? brokerLines(facts, own) : noLines
  const protocols = [
    ...facts.listeners.map(({ name, protocol }) => `${name}:${protocol}`),
    ...(needsOwn ? ['INTERNAL:SASL_PLAINTEXT', 'CONTROLLER:SASL_PLAINTEXT'] : ['CONTROLLER:PLAINTEXT']),
  ]
  return {
    listeners: [
      ...facts.listeners.map(({ name, listen }) => [name, listen] as const),
      ...(needsOwn ? [['INTERNAL', own.internal] as const] : []),
      ['CONTROLLER', own.controller],
    ],
    properties: [
      ['listener.security.protocol.map', protocols.join(',')],
      ...parts.flatMap(({ properties }) => properties),
      ...broker.properties,
    ],
    comments: [...parts.flatMap(({ comments }) => comments), ...broker.comments],
  }
}

type Lines = Pick<SecurityLines, 'properties' | 'comments'>
const noLines: Lines = { properties: [], comments: [] }

function linesOf({ name, tls, saslMechanisms }: KafkaExportListener, facts: KafkaExport): Lines {
  const prefix = `listener.name.${name.toLowerCase()}.`
  const encrypted = tls === null ? noLines : tlsLines(prefix, name, tls)
  const known = saslMechanisms.length === 0 ? noLines : saslLines(prefix, name, saslMechanisms, facts)
  return {
    properties: [...encrypted.properties, ...known.properties],
    comments: [...encrypted.comments, ...known.comments],
  }
}

function tlsLines(prefix: string, name: string, tls: NonNullable<KafkaExportListener['tls']>): Lines {
  const [certificate, key] = [resolve(tls.certificate), resolve(tls.key)]
  const store = `${certificate}.store`
  const properties: [string, string][] = [
    [`${prefix}ssl.keystore.type`, 'PEM'],
    [`${prefix}ssl.keystore.location`, store],
    [`${prefix}ssl.client.auth`, tls.clientAuth],
  ]
  if (tls.clientCa !== null) {
    properties.push(
      [`${prefix}ssl.truststore.type`, 'PEM'],
      [`${prefix}ssl.truststore.location`, resolve(tls.clientCa)],
    )
  }
  const comments = [
    `${name}: Kafka wants the key (PKCS #8) and the certificates in one file: cat ${key} ${certificate} > ${store}`,
  ]
  if (tls.moreCertificates.length > 0)
    comments.push(
      `${name}: Kafka shows one certificate, whatever name is asked for: ${certificate} must be for all of them`,
    )
  if (tls.clientCrl !== null)
    comments.push(`${name}: Kafka reads no revocation lists: what stands in ${tls.clientCrl} will be taken`)
  return { properties, comments }
}

function saslLines(prefix: string, name: string, mechanisms: readonly string[], facts: KafkaExport): Lines {
  const comments: string[] = []
  const scram = mechanisms.filter((mechanism) => mechanism.startsWith('SCRAM-'))
  const served = [...scram]
  if (mechanisms.includes('PLAIN')) {
    // The users are SCRAM credentials; Kafka's PLAIN knows only passwords in its own file.
    if (scram.length === 0) served.push('SCRAM-SHA-256', 'SCRAM-SHA-512')
    comments.push(
      `${name}: PLAIN in Kafka does not know the users of the cluster: such clients change to SCRAM, with the same password`,
    )
  }
  const properties = served.map((mechanism): [string, string] => [
    `${prefix}${mechanism.toLowerCase()}.sasl.jaas.config`,
    `${jaas}.scram.ScramLoginModule required;`,
  ])
  if (mechanisms.includes('OAUTHBEARER')) {
    served.push('OAUTHBEARER')
    properties.push(
      [`${prefix}oauthbearer.sasl.jaas.config`, `${jaas}.oauthbearer.OAuthBearerLoginModule required;`],
      [`${prefix}oauthbearer.sasl.server.callback.handler.class`, validator],
    )
    const url = new Map(facts.settings).get('sasl.oauthbearer.jwks.endpoint.url') ?? ''
    comments.push(
      `${name}: Kafka fetches keys from what its Java is told: -Dorg.apache.kafka.sasl.oauthbearer.allowed.urls=${url}`,
    )
    if (facts.requiredScopes.length > 0) {
      comments.push(`${name}: Kafka asks for no scope: tokens without ${facts.requiredScopes.join(' ')} will be taken`)
    }
  }
  const { kerberos } = facts
  if (mechanisms.includes('GSSAPI') && kerberos !== null) {
    served.push('GSSAPI')
    const login = `com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true keyTab="${resolve(kerberos.keytab)}" principal="${kerberos.principal}";`
    properties.push([`${prefix}gssapi.sasl.jaas.config`, login])
    properties.push([
      `${prefix}sasl.kerberos.service.name`,
      kerberos.principal.slice(0, kerberos.principal.indexOf('/')),
    ])
  }
  return { properties: [[`${prefix}sasl.enabled.mechanisms`, served.join(',')], ...properties], comments }
}

/** The broker as a user of its own, on listeners that nobody else may use. */
function brokerLines(facts: KafkaExport, { secretFile }: OwnListeners): Lines {
  const secret = `\${file:${resolve(secretFile)}:password}`
  const login = `${jaas}.plain.PlainLoginModule required username="${brokerUser}" password="${secret}" user_${brokerUser}="${secret}";`
  const superUsers = (new Map(facts.settings).get('super.users') ?? '').split(';').map((user) => user.trim())
  const own = ['internal', 'controller'].flatMap((name): [string, string][] => [
    [`listener.name.${name}.sasl.enabled.mechanisms`, 'PLAIN'],
    [`listener.name.${name}.plain.sasl.jaas.config`, login],
  ])
  return {
    properties: [
      ['config.providers', 'file'],
      ['config.providers.file.class', 'org.apache.kafka.common.config.provider.FileConfigProvider'],
      ...own,
      ['inter.broker.listener.name', 'INTERNAL'],
      ['sasl.mechanism.inter.broker.protocol', 'PLAIN'],
      ['sasl.mechanism.controller.protocol', 'PLAIN'],
      ['super.users', [...superUsers.filter((user) => user !== ''), `User:${brokerUser}`].join(';')],
    ],
    comments: [
      `the broker speaks to itself as ${brokerUser}: put a line password=SOMETHING-LONG into ${resolve(secretFile)}, mode 0600`,
    ],
  }
}
