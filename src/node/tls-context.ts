/**
 * What our TLS servers show and accept. TLS 1.2 and 1.3, suites with forward secrecy and authenticated encryption only, no
 * renegotiation. A new certificate brings new ticket keys, so that no session is resumed that an older client CA has judged.
 */
import { constants, createPrivateKey, X509Certificate } from 'node:crypto'
import tls from 'node:tls'
import { asError } from '../base/errors.ts'
import { NetError, type TlsClientAuth, type TlsContext, type TlsFacts, type TlsMaterial } from '../base/ports.ts'
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
    const options = this.#contextOptions(material, lists)
    const facts = { ...judged(material, options), crlNextUpdateMs: lists?.nextUpdateMs ?? null }
    this.#options = options
    for (const server of this.#servers) server.setSecureContext(options)
    return facts
  }

  /** Options of `tls.createServer` and `https.createServer`; throws while `replace` has not succeeded. */
  serverOptions(): tls.TlsOptions {
    if (this.#options === null) throw new Error('a TLS context is used before it has a certificate')
    return {
      ...this.#options,
      requestCert: this.clientAuth !== 'none',
      rejectUnauthorized: this.clientAuth === 'required',
      handshakeTimeout: handshakeMs,
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
    { certificate, key, clientCa }: TlsMaterial,
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
    }
  }
}

/** Tries the material out; throws TLS_UNUSABLE with the reason. */
function judged(material: TlsMaterial, options: tls.SecureContextOptions): Omit<TlsFacts, 'crlNextUpdateMs'> {
  const certificate = attempt('the certificate cannot be read', () => new X509Certificate(material.certificate))
  const key = attempt('the key cannot be read (an encrypted key is not supported)', () =>
    createPrivateKey(Buffer.from(material.key)),
  )
  if (!certificate.checkPrivateKey(key)) throw unusable('the key does not belong to the certificate')
  attempt('the material cannot be used', () => tls.createSecureContext(options))
  if (material.clientCa !== null) {
    const authority = Buffer.from(material.clientCa)
    attempt('the client CA cannot be read', () => new X509Certificate(authority))
  }
  const { subject, validToDate } = certificate
  return {
    subject: subject.replaceAll('\n', ', '),
    notAfterMs: validToDate.getTime(),
    notAfter: validToDate.toISOString(),
  }
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
