/**
 * What a connection of ours shows to others: TLS material and a login, from files that are read for each connection. A renewed file is in force with
 * the next one; while a file cannot be used, what was read last goes on, and that is told once.
 */
import { asError } from '../base/errors.ts'
import type { Clock, Compute, Disk, Net, Observer, OutboundTls } from '../base/ports.ts'
import type { SaslLogin } from './sasl/sasl-login.ts'
import { securityEvents } from './security-events.ts'
import { TokenEndpoint, type TokenEndpointOptions, type TokenEndpointSecrets } from './tokens/token-endpoint.ts'

export interface OutboundTlsFiles {
  readonly ca: string | null
  readonly certificate: string | null
  readonly key: string | null
  readonly serverName: string | null
}

export type OutboundSaslFiles =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly userName: string
      readonly passwordFile: string
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly tokenFile: string }
  | {
      readonly mechanism: 'OAUTHBEARER'
      readonly endpoint: TokenEndpointOptions
      readonly clientSecretFile: string
      readonly caFile: string | null
    }
  | {
      readonly mechanism: 'GSSAPI'
      readonly principal: string
      readonly keytab: string
      /** First part of the name of the other side's principal: `kafka`. */
      readonly serviceName: string
    }

export interface OutboundFiles {
  readonly tls: OutboundTlsFiles | null
  readonly sasl: OutboundSaslFiles | null
}

/** What credentials are made with. */
export interface OutboundPorts {
  readonly disk: Pick<Disk, 'readFile'>
  readonly observer: Observer
  readonly net: Pick<Net, 'fetchDocument'>
  readonly clock: Pick<Clock, 'monotonicMs'>
  readonly compute: Pick<Compute, 'gssInitiator'>
}

const pemBytesMax = 1_048_576
const secretBytesMax = 65_536

export class OutboundCredentials {
  readonly #owner: string
  readonly #files: OutboundFiles
  readonly #ports: OutboundPorts
  readonly #endpoint: TokenEndpoint | null
  #tls: OutboundTls | null = null
  #login: SaslLogin | null = null
  #issuer: TokenEndpointSecrets | null = null
  #told: string | null = null

  /** `owner` stands in the log. */
  constructor(owner: string, files: OutboundFiles, ports: OutboundPorts) {
    this.#owner = owner
    this.#files = files
    this.#ports = ports
    const { sasl } = files
    this.#endpoint = sasl !== null && 'endpoint' in sasl ? new TokenEndpoint(sasl.endpoint, ports) : null
  }

  get hasLogin(): boolean {
    return this.#files.sasl !== null
  }

  /** Null: the connection is not encrypted. Rejects when a file cannot be read and never could. */
  async tls(): Promise<OutboundTls | null> {
    const { tls } = this.#files
    if (tls === null) return null
    this.#tls = await this.#fresh(this.#tls, async () => ({
      ca: await this.#pem(tls.ca, 'CERTIFICATE'),
      certificate: await this.#pem(tls.certificate, 'CERTIFICATE'),
      key: await this.#pem(tls.key, 'PRIVATE KEY'),
      serverName: tls.serverName,
    }))
    return this.#tls
  }

  /** Of a connection to `host`. Rejects when a file cannot be read and never could, and when no token is to be had. */
  async login(host: string): Promise<SaslLogin> {
    const { sasl } = this.#files
    if (sasl === null) throw new Error('a login where none is asked for')
    if (sasl.mechanism === 'GSSAPI') {
      const { keytab, principal, serviceName } = sasl
      const context = this.#ports.compute.gssInitiator(keytab, principal, `${serviceName}@${host}`)
      return { mechanism: 'GSSAPI', context }
    }
    if ('endpoint' in sasl) return { mechanism: 'OAUTHBEARER', token: await this.#tokenOf(sasl) }
    this.#login = await this.#fresh(this.#login, async (): Promise<SaslLogin> => {
      if (sasl.mechanism === 'OAUTHBEARER')
        return { mechanism: 'OAUTHBEARER', token: await this.#secret(sasl.tokenFile) }
      const { mechanism, userName } = sasl
      return { mechanism, userName, password: await this.#secret(sasl.passwordFile) }
    })
    return this.#login
  }

  async #tokenOf(sasl: { readonly clientSecretFile: string; readonly caFile: string | null }): Promise<string> {
    this.#issuer = await this.#fresh(this.#issuer, async () => ({
      clientSecret: await this.#secret(sasl.clientSecretFile),
      ca: await this.#pem(sasl.caFile, 'CERTIFICATE'),
    }))
    if (this.#endpoint === null) throw new Error('an endpoint where none is asked for')
    return this.#endpoint.token(this.#issuer)
  }

  async #fresh<T>(last: T | null, read: () => Promise<T>): Promise<T> {
    try {
      const fresh = await read()
      this.#told = null
      return fresh
    } catch (thrown) {
      if (last === null) throw thrown
      const reason = asError(thrown).message
      if (this.#told !== reason) {
        this.#told = reason
        this.#ports.observer.event(securityEvents.outboundRefused, { owner: this.#owner, reason })
      }
      return last
    }
  }

  async #pem(path: string | null, label: string): Promise<Uint8Array | null> {
    if (path === null) return null
    const bytes = await this.#read(path, pemBytesMax)
    if (!Buffer.from(bytes).toString('latin1').includes(`${label}-----`))
      throw new Error(`${path} holds no ${label} in PEM`)
    return bytes
  }

  /** The first line of a file, which an editor may have ended. */
  async #secret(path: string): Promise<string> {
    const text = Buffer.from(await this.#read(path, secretBytesMax)).toString('utf8')
    const secret = /^[^\r\n]*/.exec(text)?.[0] ?? ''
    if (secret === '') throw new Error(`${path} is empty`)
    if (secret.includes('\0')) throw new Error(`${path} holds a zero byte`)
    return secret
  }

  async #read(path: string, bytesMax: number): Promise<Uint8Array> {
    const bytes = await this.#ports.disk.readFile(path, bytesMax)
    if (bytes === null) throw new Error(`there is no file ${path}`)
    return bytes
  }
}
