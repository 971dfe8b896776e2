/** Files of settings as Apache Kafka's tools take them with `--command-config`. */
import { readFileSync, writeFileSync } from 'node:fs'

export type ClientSettings = Readonly<Record<string, string | number>>

/** Writes the file and answers its path. */
export function writeClientProperties(path: string, settings: ClientSettings): string {
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
  writeFileSync(path, lines.join(''))
  return path
}

/** Of a client with a password, over plain text or (with the CA's certificate) over TLS. */
export function scramSettings(user: string, password: string, mechanism: string, ca?: string): ClientSettings {
  return {
    'security.protocol': ca === undefined ? 'SASL_PLAINTEXT' : 'SASL_SSL',
    ...(ca === undefined ? {} : { 'ssl.truststore.type': 'PEM', 'ssl.truststore.location': ca }),
    'sasl.mechanism': mechanism,
    'sasl.jaas.config': `org.apache.kafka.common.security.scram.ScramLoginModule required username="${user}" password="${password}";`,
  }
}

/** Key and certificates of `name`, issued in the folder `ca`, in the one file that `ssl.keystore.type=PEM` wants; answers its path. */
export function writeKeyStore(path: string, ca: string, name: string): string {
  writeFileSync(
    path,
    readFileSync(`${ca}/issued/${name}.key`, 'utf8') + readFileSync(`${ca}/issued/${name}.pem`, 'utf8'),
  )
  return path
}
