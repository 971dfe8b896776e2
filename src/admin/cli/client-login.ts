/**
 * Who a command is, by the SASL settings of a `--command-config` file: a password, a token (from a file or from an issuer, KIP-768), or a
 * Kerberos principal with its keys. The names are those of Apache Kafka's clients.
 */
import type { ApplianceError } from '../../base/errors.ts'
import type { SaslLogin } from '../../security/sasl/sasl-login.ts'
import { TokenEndpoint, type TokenEndpointOptions } from '../../security/tokens/token-endpoint.ts'
import { tokenEndpointFault } from '../../security/tokens/token-options.ts'
import type { ClientPorts } from './kafka-client.ts'

export type ClientLogin =
  | Exclude<SaslLogin, { readonly mechanism: 'GSSAPI' }>
  | {
      readonly mechanism: 'OAUTHBEARER'
      readonly endpoint: TokenEndpointOptions
      readonly clientSecret: string
    }
  | {
      readonly mechanism: 'GSSAPI'
      readonly principal: string
      readonly keytab: string
      readonly serviceName: string
    }

/** A file that is being read. */
export interface PropertySource {
  readonly settings: ReadonlyMap<string, string>
  /** An error that names a setting. */
  readonly invalid: (name: string, detail: string) => ApplianceError
  readonly readText: (file: string) => string
}

const mechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER', 'GSSAPI'] as const
type Mechanism = (typeof mechanisms)[number]
const common = 'org.apache.kafka.common.security'
const modules: Readonly<Record<Mechanism, string>> = {
  PLAIN: `${common}.plain.PlainLoginModule`,
  'SCRAM-SHA-256': `${common}.scram.ScramLoginModule`,
  'SCRAM-SHA-512': `${common}.scram.ScramLoginModule`,
  OAUTHBEARER: `${common}.oauthbearer.OAuthBearerLoginModule`,
  GSSAPI: 'com.sun.security.auth.module.Krb5LoginModule',
}
const retrievers = `${common}.oauthbearer`
const names = {
  jaas: 'sasl.jaas.config',
  mechanism: 'sasl.mechanism',
  url: 'sasl.oauthbearer.token.endpoint.url',
  retriever: 'sasl.oauthbearer.jwt.retriever.class',
  callback: 'sasl.login.callback.handler.class',
  clientId: 'sasl.oauthbearer.client.credentials.client.id',
  clientSecret: 'sasl.oauthbearer.client.credentials.client.secret',
  scope: 'sasl.oauthbearer.scope',
  encode: 'sasl.oauthbearer.header.urlencode',
  service: 'sasl.kerberos.service.name',
} as const
export const saslNames: readonly string[] = Object.values(names)
/** Of each mechanism, beside `sasl.mechanism` and `sasl.jaas.config`. */
const own: Readonly<Partial<Record<Mechanism, readonly string[]>>> = {
  OAUTHBEARER: [
    names.url,
    names.retriever,
    names.callback,
    names.clientId,
    names.clientSecret,
    names.scope,
    names.encode,
  ],
  GSSAPI: [names.service],
}

/** Throws what `invalid` makes. */
export function loginOf(source: PropertySource): ClientLogin {
  const { settings, invalid } = source
  const mechanism = mechanisms.find((each) => each === settings.get(names.mechanism))
  if (mechanism === undefined) {
    throw invalid(names.mechanism, `${settings.get(names.mechanism) ?? 'nothing'} is not ${mechanisms.join(', ')}`)
  }
  const known = new Set<string>([names.mechanism, names.jaas, ...(own[mechanism] ?? [])])
  const idle = saslNames.find((name) => settings.has(name) && !known.has(name))
  if (idle !== undefined) throw invalid(idle, `means nothing with sasl.mechanism=${mechanism}`)
  if (mechanism === 'OAUTHBEARER') return bearerOf(source)
  const options = jaasOf(source, mechanism)
  if (mechanism === 'GSSAPI') return ticketOf(source, options)
  const [userName = '', password = ''] = [options.get('username'), options.get('password')]
  if (userName === '' || password === '') throw invalid(names.jaas, 'needs username="..." and password="..."')
  return { mechanism, userName, password }
}

/** What a client shows at a connection to `host`; a token of an issuer is asked for when it is needed. */
export function credentialsOf(login: ClientLogin, ports: ClientPorts): (host: string) => Promise<SaslLogin> {
  if (login.mechanism === 'GSSAPI') {
    const { mechanism, keytab, principal, serviceName } = login
    return async (host) => ({
      mechanism,
      context: ports.compute.gssInitiator(keytab, principal, `${serviceName}@${host}`),
    })
  }
  if (!('endpoint' in login)) return async () => login
  const endpoint = new TokenEndpoint(login.endpoint, ports)
  const { mechanism, clientSecret } = login
  return async () => ({ mechanism, token: await endpoint.token({ clientSecret, ca: null }) })
}

/** Whom a refusal is told of. */
export function userOf(login: ClientLogin): string {
  if ('userName' in login) return login.userName
  if ('principal' in login) return login.principal
  return 'endpoint' in login ? login.endpoint.clientId : 'the holder of the token'
}

// ------------------------------------------------------------------------------------------------------- tokens

function bearerOf(source: PropertySource): ClientLogin {
  const { settings, invalid, readText } = source
  const jaas = settings.has(names.jaas) ? jaasOf(source, 'OAUTHBEARER') : new Map<string, string>()
  const url = settings.get(names.url) ?? ''
  const fault = url === '' ? 'must say where the token is' : tokenEndpointFault(url)
  if (fault !== null) throw invalid(names.url, fault)
  const isFile = url.startsWith('file:')
  judgeClasses(source, isFile)
  const fromIssuer = [names.clientId, names.clientSecret, names.scope, names.encode].find((name) => settings.has(name))
  if (isFile) {
    if (fromIssuer !== undefined) throw invalid(fromIssuer, 'means nothing with a token in a file')
    return { mechanism: 'OAUTHBEARER', token: readText(decodeURIComponent(new URL(url).pathname)).trim() }
  }
  const clientId = settings.get(names.clientId) ?? jaas.get('clientId') ?? ''
  const clientSecret = settings.get(names.clientSecret) ?? jaas.get('clientSecret') ?? ''
  if (clientId === '') throw invalid(names.clientId, 'the issuer asks who wants a token')
  if (clientSecret === '') throw invalid(names.clientSecret, 'the issuer asks for the secret of its client')
  const encode = settings.get(names.encode) ?? 'false'
  if (encode !== 'true' && encode !== 'false') throw invalid(names.encode, 'is true or false')
  const scope = settings.get(names.scope) ?? jaas.get('scope') ?? null
  const endpoint = { url, clientId, scope, isHeaderEncoded: encode === 'true' }
  return { mechanism: 'OAUTHBEARER', endpoint, clientSecret }
}

/** What Kafka's clients load as classes is built in here: those that mean what is done are taken, others are not. */
function judgeClasses({ settings, invalid }: PropertySource, isFile: boolean): void {
  const retriever = settings.get(names.retriever)
  const fitting = isFile ? 'FileJwtRetriever' : 'ClientCredentialsJwtRetriever'
  if (
    retriever !== undefined &&
    ![`${retrievers}.DefaultJwtRetriever`, `${retrievers}.${fitting}`].includes(retriever)
  ) {
    throw invalid(names.retriever, `${retriever} is not ${retrievers}.${fitting}, which this URL needs`)
  }
  const callback = settings.get(names.callback)
  const handlers = ['OAuthBearerLoginCallbackHandler', 'secured.OAuthBearerLoginCallbackHandler']
  if (callback !== undefined && !handlers.some((name) => callback === `${retrievers}.${name}`)) {
    throw invalid(names.callback, `${callback} is not ${retrievers}.${handlers[0]}`)
  }
}

// ------------------------------------------------------------------------------------------------------ tickets

/** Options of Java's module that say what is done here anyway. */
const usual: Readonly<Record<string, readonly string[]>> = {
  useKeyTab: ['true'],
  storeKey: ['true', 'false'],
  doNotPrompt: ['true', 'false'],
  useTicketCache: ['false'],
}

function ticketOf({ settings, invalid }: PropertySource, options: ReadonlyMap<string, string>): ClientLogin {
  for (const [name, value] of options) {
    if (name === 'keyTab' || name === 'principal') continue
    if (usual[name]?.includes(value) === true) continue
    throw invalid(
      names.jaas,
      `${name}=${value} is not known: tickets are got by useKeyTab=true, keyTab="..." and principal="..."`,
    )
  }
  const [keytab = '', principal = ''] = [options.get('keyTab'), options.get('principal')]
  if (options.get('useKeyTab') !== 'true' || keytab === '' || principal === '') {
    throw invalid(names.jaas, 'needs useKeyTab=true keyTab="..." principal="..."')
  }
  const serviceName = settings.get(names.service) ?? ''
  if (serviceName === '') throw invalid(names.service, "must name the first part of the brokers' principals")
  return { mechanism: 'GSSAPI', principal, keytab, serviceName }
}

/** `MODULE required name="value" ...;` */
function jaasOf({ settings, invalid }: PropertySource, mechanism: Mechanism): ReadonlyMap<string, string> {
  const module = modules[mechanism]
  const text = settings.get(names.jaas) ?? ''
  const match = /^\s*([\w.$]+)\s+required((?:\s+\w+\s*=\s*(?:"(?:\\.|[^"\\])*"|'[^']*'|[^\s;"']+))*)\s*;\s*$/.exec(text)
  if (match === null) throw invalid(names.jaas, `must be: ${module} required username="..." password="...";`)
  if (match[1] !== module) throw invalid(names.jaas, `${match[1]} is not the module of the mechanism, ${module}`)
  const options = new Map<string, string>()
  for (const [, name = '', written = ''] of (match[2] ?? '').matchAll(
    /(\w+)\s*=\s*("(?:\\.|[^"\\])*"|'[^']*'|[^\s;"']+)/g,
  )) {
    const inner = /^["']/.test(written) ? written.slice(1, -1) : written
    options.set(name, written.startsWith('"') ? inner.replace(/\\(.)/g, '$1') : inner)
  }
  return options
}
