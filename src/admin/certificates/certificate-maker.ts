/**
 * X.509 as a private authority needs it (RFC 5280), made by `@peculiar/x509`: ECDSA on P-256 with SHA-256 throughout. Nothing here touches a file.
 */
import { webcrypto } from 'node:crypto'
import type * as x509Types from '@peculiar/x509'
import type { Extension, JsonGeneralNames, X509Certificate } from '@peculiar/x509'

export type Profile = 'server' | 'client'

/** A name or an address that a certificate is for. */
export interface AlternativeName {
  readonly type: 'dns' | 'ip'
  readonly value: string
}

export interface Validity {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** A certificate and its key, as PEM. */
export interface Issued {
  readonly certificate: string
  readonly key: string
}

export interface RevokedSerial {
  readonly serial: string
  readonly revokedMs: number
  readonly reason: RevocationReason
}

/** Those of RFC 5280, 5.3.1, that a small authority has a use for. */
export const revocationReasons = {
  unspecified: 0,
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
} as const
export type RevocationReason = keyof typeof revocationReasons

const keyAlgorithm = { name: 'ECDSA', namedCurve: 'P-256' } as const
const signingAlgorithm = { name: 'ECDSA', hash: 'SHA-256' } as const
const usages = { serverAuth: '1.3.6.1.5.5.7.3.1', clientAuth: '1.3.6.1.5.5.7.3.2' } as const
const crlNumberId = '2.5.29.20'

/** 126 random bits: unguessable, positive, never 0, and 16 bytes whatever they are. */
export function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16))
  bytes[0] = ((bytes[0] as number) & 0x7f) | 0x40
  return Buffer.from(bytes).toString('hex')
}

/** An authority that may sign certificates, and no further authorities. */
export async function makeAuthority(name: string, validity: Validity): Promise<Issued> {
  const x509 = await library()
  const keys = await newKeys()
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: randomSerial(),
    name: [{ CN: [name] }],
    ...dates(validity),
    signingAlgorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  })
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) }
}

export interface LeafRequest {
  readonly name: string
  readonly serial: string
  readonly profile: Profile
  readonly names: readonly AlternativeName[]
  readonly validity: Validity
}

/** A certificate with a new key, signed by the authority. */
export async function makeLeaf(authority: Issued, request: LeafRequest): Promise<Issued> {
  const x509 = await library()
  const { name, serial, profile, names, validity } = request
  const issuer = new x509.X509Certificate(authority.certificate)
  const keys = await newKeys()
  const extensions: Extension[] = [
    new x509.BasicConstraintsExtension(false, undefined, true),
    new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
    new x509.ExtendedKeyUsageExtension([profile === 'server' ? usages.serverAuth : usages.clientAuth]),
    await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    await authorityKeyIdentifier(issuer),
  ]
  const alternatives: JsonGeneralNames = names.map(({ type, value }) => ({ type, value }))
  if (alternatives.length > 0) extensions.push(new x509.SubjectAlternativeNameExtension(alternatives))
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial,
    subject: [{ CN: [name] }],
    issuer: issuer.subjectName,
    ...dates(validity),
    signingAlgorithm,
    publicKey: keys.publicKey,
    signingKey: await signingKey(authority),
    extensions,
  })
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) }
}

export interface ListRequest {
  /** Counts the lists of the authority. */
  readonly number: number
  readonly thisUpdateMs: number
  readonly nextUpdateMs: number
  readonly revoked: readonly RevokedSerial[]
}

/** A revocation list as PEM. */
export async function makeRevocationList(authority: Issued, request: ListRequest): Promise<string> {
  const x509 = await library()
  const issuer = new x509.X509Certificate(authority.certificate)
  const list = await x509.X509CrlGenerator.create({
    issuer: issuer.subjectName,
    thisUpdate: new Date(request.thisUpdateMs),
    nextUpdate: new Date(request.nextUpdateMs),
    signingAlgorithm,
    signingKey: await signingKey(authority),
    extensions: [
      await authorityKeyIdentifier(issuer),
      new x509.Extension(crlNumberId, false, derInteger(request.number)),
    ],
    entries: request.revoked.map(({ serial, revokedMs, reason }) => ({
      serialNumber: serial,
      revocationDate: new Date(revokedMs),
      // "unspecified" is not written (RFC 5280, 5.3.1).
      ...(reason === 'unspecified' ? {} : { reason: revocationReasons[reason] }),
    })),
  })
  // The library's own text has a label that OpenSSL does not know.
  return pemOf('X509 CRL', Buffer.from(list.rawData))
}

async function library(): Promise<typeof x509Types> {
  // Its dependency injection wants the polyfill to be there before it is loaded.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  x509.cryptoProvider.set(webcrypto)
  return x509
}

async function authorityKeyIdentifier(issuer: X509Certificate): Promise<Extension> {
  const x509 = await library()
  return x509.AuthorityKeyIdentifierExtension.create(await issuer.publicKey.export())
}

function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(keyAlgorithm, true, ['sign', 'verify'])
}

function signingKey({ key }: Issued): Promise<webcrypto.CryptoKey> {
  const body = Buffer.from(key.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  return webcrypto.subtle.importKey('pkcs8', body, keyAlgorithm, false, ['sign'])
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  const body = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key))
  return pemOf('PRIVATE KEY', body)
}

function pem(certificate: X509Certificate): string {
  return pemOf('CERTIFICATE', Buffer.from(certificate.rawData))
}

function pemOf(label: string, body: Buffer): string {
  const lines = body.toString('base64').replace(/.{64}/g, '$&\n').trim()
  return `-----BEGIN ${label}-----\n${lines}\n-----END ${label}-----\n`
}

/** Certificates count in whole seconds. */
function dates({ notBeforeMs, notAfterMs }: Validity): { readonly notBefore: Date; readonly notAfter: Date } {
  const whole = (ms: number): Date => new Date(Math.floor(ms / 1000) * 1000)
  return { notBefore: whole(notBeforeMs), notAfter: whole(notAfterMs) }
}

function derInteger(value: number): Uint8Array {
  const hex = value.toString(16)
  const bytes = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
  const content = (bytes[0] as number) < 0x80 ? bytes : Buffer.concat([Buffer.from([0]), bytes])
  return Buffer.concat([Buffer.from([0x02, content.length]), content])
}
