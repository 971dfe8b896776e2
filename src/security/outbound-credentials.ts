/**
 * What a connection of ours shows to others: TLS material and a login, from files that are read for each connection. A renewed file is in force with
 * the next one; while a file cannot be used, what was read last goes on, and that is told once.
 */
import { asError } from '../base/errors.ts'
import type { Disk, Observer, OutboundTls } from '../base/ports.ts'
import type { SaslLogin } from './sasl/sasl-login.ts'
import { securityEvents } from './security-events.ts'

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

export interface OutboundFiles {
  readonly tls: OutboundTlsFiles | null
  readonly sasl: OutboundSaslFiles | null
}

const pemBytesMax = 1_048_576
const secretBytesMax = 65_536

export class OutboundCredentials {
  readonly #owner: string
  readonly #files: OutboundFiles
  readonly #disk: Pick<Disk, 'readFile'>
  readonly #observer: Observer
  #tls: OutboundTls | null = null
  #login: SaslLogin | null = null
  #told: string | null = null

  /** `owner` stands in the log. */
  constructor(
    owner: string,
    files: OutboundFiles,
    ports: { readonly disk: Pick<Disk, 'readFile'>; readonly observer: Observer },
  ) {
    this.#owner = owner
    this.#files = files
    this.#disk = ports.disk
    this.#observer = ports.observer
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

  /** Rejects when a file cannot be read and never could. */
  async login(): Promise<SaslLogin> {
    const { sasl } = this.#files
    if (sasl === null) throw new Error('a login where none is asked for')
    this.#login = await this.#fresh(this.#login, async (): Promise<SaslLogin> => {
      if (sasl.mechanism === 'OAUTHBEARER')
        return { mechanism: 'OAUTHBEARER', token: await this.#secret(sasl.tokenFile) }
      const { mechanism, userName } = sasl
      return { mechanism, userName, password: await this.#secret(sasl.passwordFile) }
    })
    return this.#login
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
        this.#observer.event(securityEvents.outboundRefused, { owner: this.#owner, reason })
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
    const bytes = await this.#disk.readFile(path, bytesMax)
    if (bytes === null) throw new Error(`there is no file ${path}`)
    return bytes
  }
}
