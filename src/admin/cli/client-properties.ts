/**
 * `--command-config FILE`: how a command connects, in the file and by the names of Apache Kafka's own tools. Secrets stand in the file, never in an
 * argument. What is not known here is refused, so that nothing is believed to be in force that is not.
 */
import { readFileSync } from 'node:fs'
import { ApplianceError, asError } from '../../base/errors.ts'
import type { OutboundTls } from '../../base/ports.ts'
import { type ClientLogin, loginOf, saslNames } from './client-login.ts'
import { cliErrors } from './cli-errors.ts'

export interface ClientSecurity {
  readonly tls: OutboundTls | null
  readonly login: ClientLogin | null
}

const fileBytesMax = 1_048_576
const protocols = ['PLAINTEXT', 'SSL', 'SASL_PLAINTEXT', 'SASL_SSL']
const knownNames = new Set([
  ...['security.protocol', ...saslNames],
  ...['ssl.truststore.type', 'ssl.truststore.location', 'ssl.truststore.certificates'],
  ...['ssl.keystore.type', 'ssl.keystore.location', 'ssl.keystore.certificate.chain', 'ssl.keystore.key'],
  ...['ssl.endpoint.identification.algorithm'],
])

/** Reads the file. Throws CLI_FILE_UNREADABLE or CLI_VALUE_INVALID. */
export function readClientProperties(path: string): ClientSecurity {
  const settings = parseProperties(readText(path))
  for (const name of settings.keys())
    if (!knownNames.has(name)) throw invalid(name, `is not known to this command (${path})`)
  const protocol = settings.get('security.protocol') ?? 'PLAINTEXT'
  if (!protocols.includes(protocol)) throw invalid('security.protocol', `${protocol} is not ${protocols.join(', ')}`)
  const tls = protocol.endsWith('SSL') ? tlsOf(settings) : null
  const login = protocol.startsWith('SASL') ? loginOf({ settings, invalid, readText }) : null
  const idle = [...settings.keys()].find(
    (name) => (tls === null && name.startsWith('ssl.')) || (login === null && name.startsWith('sasl.')),
  )
  if (idle !== undefined) throw invalid(idle, `means nothing with security.protocol=${protocol}`)
  return { tls, login }
}

function tlsOf(settings: ReadonlyMap<string, string>): OutboundTls {
  const algorithm = settings.get('ssl.endpoint.identification.algorithm') ?? 'https'
  if (algorithm !== 'https') {
    throw invalid(
      'ssl.endpoint.identification.algorithm',
      'a server that need not prove its name may be anybody: only https is taken',
    )
  }
  const ca = pemOf(settings, 'truststore', 'ssl.truststore.certificates')
  const store = pemOf(settings, 'keystore', 'ssl.keystore.certificate.chain')
  const keyText = settings.get('ssl.keystore.key') ?? null
  // A PEM key store is one file with the key and the chain.
  const key = keyText === null ? store : keyText
  if ((keyText === null) !== (settings.get('ssl.keystore.certificate.chain') === undefined)) {
    throw invalid('ssl.keystore.key', 'goes together with ssl.keystore.certificate.chain')
  }
  if (store !== null && !/PRIVATE KEY-----/.test(key ?? ''))
    throw invalid('ssl.keystore.location', 'holds no private key in PEM')
  const bytes = (text: string | null): Uint8Array | null => (text === null ? null : Buffer.from(text))
  return { ca: bytes(ca), certificate: bytes(store), key: bytes(key), serverName: null }
}

/** PEM of a store: a file, or in the settings themselves; null = there is none. */
function pemOf(settings: ReadonlyMap<string, string>, store: 'truststore' | 'keystore', inline: string): string | null {
  const location = settings.get(`ssl.${store}.location`)
  const text = settings.get(inline)
  const type = settings.get(`ssl.${store}.type`)
  if (location === undefined && text === undefined) {
    if (type !== undefined) throw invalid(`ssl.${store}.type`, 'there is no store')
    return null
  }
  if (type !== 'PEM')
    throw invalid(`ssl.${store}.type`, 'only PEM is read; keytool and openssl turn other stores into it')
  if (location !== undefined && text !== undefined)
    throw invalid(inline, `and ssl.${store}.location exclude each other`)
  const pem = text ?? readText(location ?? '')
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw invalid(`ssl.${store}.location`, 'holds no certificate in PEM')
  return pem
}

/** Java's properties: `name=value`, comments, and lines that go on after a backslash. */
function parseProperties(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  for (const line of text.replace(/\\\r?\n[ \t]*/g, '').split(/\r?\n/)) {
    if (/^\s*(?:[#!].*)?$/.test(line)) continue
    const match = /^\s*([^\s=:]+)\s*[=:\s]\s*(.*?)\s*$/.exec(line)
    if (match === null) throw invalid('--command-config', 'holds a line that is no NAME=VALUE')
    const [, name = '', value = ''] = match
    settings.set(
      name,
      value.replace(/\\([nrt\\=:#! ])/g, (_, letter: string) => escapes[letter] ?? letter),
    )
  }
  return settings
}

const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }

function readText(file: string): string {
  try {
    const text = readFileSync(file, 'utf8')
    if (text.length <= fileBytesMax) return text
    throw new Error(`it has more than ${fileBytesMax} bytes`)
  } catch (thrown) {
    throw new ApplianceError(cliErrors.fileUnreadable, { file, detail: asError(thrown).message })
  }
}

function invalid(name: string, detail: string): ApplianceError {
  return new ApplianceError(cliErrors.valueInvalid, { name, detail })
}
