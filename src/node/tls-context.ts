/**
 * What our TLS servers show and accept. TLS 1.2 and 1.3, suites with forward secrecy and authenticated encryption only, no
 * renegotiation. A new certificate brings new ticket keys, so that no session is resumed that an older client CA has judged.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { asError } from '../base/errors.ts'
import {
  NetError,
  type TlsClientAuth,
  type TlsContext,
  type TlsFacts,
  type TlsKeyPair,
  type TlsMaterial,
} from '../base/ports.ts'
import { readRevocationLists, type RevocationLists } from './crl.ts'

const ciphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')

const nobody = new Uint8Array(0)

/** A client that has not finished its handshake by then is cut. */
const handshakeMs = 10_000

export class NodeTlsContext implements TlsContext {
  readonly clientAuth: TlsClientAuth
  #options: tls.SecureContextOptions | null = null
  #current: tls.SecureContext | null = null
  #named: NamedContexts | null = null
  readonly #servers = new Set<tls.Server>()

  constructor(clientAuth: TlsClientAuth) {
    this.clientAuth = clientAuth
  }

  replace(material: TlsMaterial): TlsFacts {
    const { clientCa, clientCrl = null } = material
    const lists =
      clientCrl === null
        ? null
        : attempt('the revocation list cannot be used', () => readRevocationLists(clientCrl, clientCa ?? nobody))
    const optionsOf = (pair: TlsKeyPair): tls.SecureContextOptions => this.#contextOptions(pair, clientCa, lists)
    const options = optionsOf(material)
    const first = tried(material, clientCa, options)
    const more = (material.more ?? []).map((pair, index) =>
      attempt(`moreCertificates[${index}]`, () => tried(pair, clientCa, optionsOf(pair))),
    )
    const certificates = [first, ...more].map(({ certificate }) => certificate)
    const { subject, validToDate } = certificates.reduce((soon, next) =>
      next.validToDate < soon.validToDate ? next : soon,
    )
    this.#named = more.length === 0 ? null : new NamedContexts(first, more)
    this.#options = options
    this.#current = first.context
    for (const server of this.#servers) server.setSecureContext(options)
    return {
      subject: subject.replaceAll('\n', ', '),
      notAfterMs: validToDate.getTime(),
      notAfter: validToDate.toISOString(),
      crlNextUpdateMs: lists?.nextUpdateMs ?? null,
      crlAges: lists?.ages ?? [],
    }
  }

  /** For the next handshake; throws while `replace` has not succeeded. */
  get current(): tls.SecureContext {
    if (this.#current === null) throw new Error('a TLS context is used before it has a certificate')
    return this.#current
  }

  /** There is more than one certificate to choose from. */
  get hasNames(): boolean {
    return this.#named !== null
  }

  /** For clients that ask for this name; undefined = the current one. */
  contextFor(name: string): tls.SecureContext | undefined {
    return this.#named?.of(name)
  }

  /** Options of `tls.createServer` and `https.createServer`; throws while `replace` has not succeeded. */
  serverOptions(): tls.TlsOptions {
    if (this.#options === null) throw new Error('a TLS context is used before it has a certificate')
    return {
      ...this.#options,
      requestCert: this.clientAuth !== 'none',
      rejectUnauthorized: this.clientAuth === 'required',
      handshakeTimeout: handshakeMs,
      // Asked in each handshake, so only where there is a choice.
      ...(this.#named === null
        ? {}
        : { SNICallback: (name: string, done: SniAnswer) => done(null, this.contextFor(name)) }),
    }
  }

  /** The server gets every later certificate too. */
  attach(server: tls.Server): void {
    this.#servers.add(server)
    server.once('close', () => this.#servers.delete(server))
    // `requested`: no certificate is well, a bad one is not.
    server.prependListener('secureConnection', (socket: tls.TLSSocket) => {
      if (this.clientAuth === 'none' || socket.authorized || socket.getPeerX509Certificate() === undefined) return
      socket.on('error', () => {})
      socket.destroy()
    })
  }

  #contextOptions(
    { certificate, key }: TlsKeyPair,
    clientCa: Uint8Array | null,
    lists: RevocationLists | null,
  ): tls.SecureContextOptions {
    return {
      ...(lists === null ? {} : { crl: [...lists.pem] }),
      cert: Buffer.from(certificate),
      key: Buffer.from(key),
      // Without a list Node would trust the public authorities.
      ca: clientCa === null ? [] : Buffer.from(clientCa),
      minVersion: 'TLSv1.2',
      ciphers,
      honorCipherOrder: true,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
      sessionIdContext: 'headwater',
    }
  }
}

type SniAnswer = (error: Error | null, context?: tls.SecureContext) => void

/** A certificate, and what is shown with it. */
interface Tried {
  readonly certificate: X509Certificate
  readonly context: tls.SecureContext
}

/**
 * Certificates by the host names in them. Each context holds the client CA and the revocation lists too: OpenSSL judges clients by those
 * of the context that the name has chosen.
 */
class NamedContexts {
  readonly #first: Tried
  readonly #others: readonly Tried[]

  constructor(first: Tried, others: readonly Tried[]) {
    this.#first = first
    this.#others = others
  }

  /** undefined = the first one: it is for this name, or none is. */
  of(name: string): tls.SecureContext | undefined {
    if (isFor(this.#first.certificate, name)) return undefined
    return this.#others.find(({ certificate }) => isFor(certificate, name))?.context
  }
}

/** A stranger says the name: what is none is nobody's. */
function isFor(certificate: X509Certificate, name: string): boolean {
  try {
    return certificate.checkHost(name) !== undefined
  } catch {
    return false
  }
}

/** Tries a certificate out; throws TLS_UNUSABLE with the reason. */
function tried(pair: TlsKeyPair, clientCa: Uint8Array | null, options: tls.SecureContextOptions): Tried {
  const certificate = attempt('the certificate cannot be read', () => new X509Certificate(pair.certificate))
  const key = attempt('the key cannot be read (an encrypted key is not supported)', () =>
    createPrivateKey(Buffer.from(pair.key)),
  )
  if (!certificate.checkPrivateKey(key)) throw unusable('the key does not belong to the certificate')
  const context = attempt('the material cannot be used', () => tls.createSecureContext(options))
  if (clientCa !== null) {
    const authority = Buffer.from(clientCa)
    attempt('the client CA cannot be read', () => new X509Certificate(authority))
  }
  return { certificate, context }
}

function attempt<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw unusable(`${what}: ${asError(thrown).message}`)
  }
}

function unusable(reason: string): NetError {
  const error = new NetError('TLS_UNUSABLE', reason)
  error.message = reason
  return error
}
