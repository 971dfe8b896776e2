/**
 * Certificate revocation lists (RFC 5280 section 5) of a listener: PEM or DER. OpenSSL judges certificates by them; here is only what must be known
 * before that: whose they are, and until when they are good. OpenSSL checks every certificate of a chain, and refuses one whose authority has no list.
 */
import { type KeyObject, verify, X509Certificate } from 'node:crypto'
import { derChildren, type DerElement, derElement, DerError } from '../base/der.ts'
import type { CrlAge } from '../base/ports.ts'

export interface RevocationLists {
  /** One PEM text a list: Node reads the first list of a text only. */
  readonly pem: readonly string[]
  /** When the first of them is too old; null = none says so. */
  readonly nextUpdateMs: number | null
  readonly ages: readonly CrlAge[]
}

/** The digest of a signature algorithm; null where the algorithm brings its own. */
const digests: ReadonlyMap<string, string | null> = new Map([
  ['2a864886f70d01010b', 'sha256'],
  ['2a864886f70d01010c', 'sha384'],
  ['2a864886f70d01010d', 'sha512'],
  ['2a8648ce3d040302', 'sha256'],
  ['2a8648ce3d040303', 'sha384'],
  ['2a8648ce3d040304', 'sha512'],
  ['2b6570', null],
  ['2b6571', null],
])

const tags = {
  integer: 0x02,
  bitString: 0x03,
  objectId: 0x06,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  octets: 0x04,
  /** Of the extensions of a list. */
  extensions: 0xa0,
} as const
/** 2.5.29.20 */
const crlNumberId = '551d14'

/** Reads the lists of a file, and holds them against the authorities whose they must be. Throws an Error that says what is wrong. */
export function readRevocationLists(file: Uint8Array, authorities: Uint8Array): RevocationLists {
  const lists = blocksOf(file, 'X509 CRL').map(readWhole)
  if (lists.length === 0) throw new Error('it holds no revocation list')
  const keys = blocksOf(authorities, 'CERTIFICATE').map((der) => new X509Certificate(der))
  const signers = lists.map(({ isSignedBy }) => keys.findIndex(({ publicKey }) => isSignedBy(publicKey)))
  if (signers.includes(-1)) throw new Error('it holds a list that no authority of clientCa has signed')
  const without = keys.find((_, index) => !signers.includes(index))
  if (without !== undefined) {
    throw new Error(
      `it holds no list of ${without.subject.replaceAll('\n', ', ')}: no certificate of it would be taken`,
    )
  }
  const ends = lists.map(({ nextUpdateMs }) => nextUpdateMs).filter((endMs) => endMs !== null)
  return {
    pem: lists.map(({ pem }) => pem),
    nextUpdateMs: ends.length === 0 ? null : Math.min(...ends),
    ages: lists.map(({ number, madeMs }, index) => {
      const authority = (keys[signers[index] as number] as X509Certificate).fingerprint256
      return { authority, number, madeMs }
    }),
  }
}

interface List extends Pick<CrlAge, 'number' | 'madeMs'> {
  readonly pem: string
  readonly nextUpdateMs: number | null
  readonly isSignedBy: (key: KeyObject) => boolean
}

function readWhole(der: Uint8Array): List {
  try {
    return readList(der)
  } catch (thrown) {
    throw thrown instanceof DerError ? broken() : thrown
  }
}

function readList(der: Uint8Array): List {
  const list = derElement(der)
  if (list.tag !== tags.sequence) throw broken()
  const [signed, algorithm, signature] = derChildren(list.content)
  if (signed?.tag !== tags.sequence || algorithm?.tag !== tags.sequence || signature?.tag !== tags.bitString)
    throw broken()
  const [id] = derChildren(algorithm.content)
  if (id?.tag !== tags.objectId) throw broken()
  const digest = digests.get(Buffer.from(id.content).toString('hex'))
  if (digest === undefined) throw new Error('it holds a list with a signature of an unknown kind')
  const parts = derChildren(signed.content)
  // version (optional), signature, issuer, this update, next update (optional)
  const at = parts[0]?.tag === tags.integer ? 3 : 2
  const [begin, end] = [parts[at], parts[at + 1]]
  if (begin === undefined || !isTime(begin) || signature.content[0] !== 0) throw broken()
  const text = Buffer.from(der).toString('base64').replace(/.{64}/g, '$&\n')
  return {
    pem: `-----BEGIN X509 CRL-----\n${text}\n-----END X509 CRL-----\n`,
    madeMs: timeOf(begin),
    nextUpdateMs: end !== undefined && isTime(end) ? timeOf(end) : null,
    number: numberIn(parts),
    // The first byte of a bit string counts unused bits, of which a signature has none.
    isSignedBy: (key) => verify(digest, signed.whole, key, signature.content.subarray(1)),
  }
}

/** The extension that counts the lists of an authority; null = there is none. */
function numberIn(parts: readonly DerElement[]): bigint | null {
  const last = parts.at(-1)
  if (last?.tag !== tags.extensions) return null
  const [extensions] = derChildren(last.content)
  for (const extension of extensions === undefined ? [] : derChildren(extensions.content)) {
    const [id, ...rest] = derChildren(extension.content)
    const value = rest.at(-1)
    if (id === undefined || Buffer.from(id.content).toString('hex') !== crlNumberId) continue
    if (value?.tag !== tags.octets) throw broken()
    const number = derElement(value.content)
    if (number.tag !== tags.integer || number.content.length === 0) throw broken()
    return BigInt(`0x${Buffer.from(number.content).toString('hex')}`)
  }
  return null
}

/** DER of each PEM block of a kind; the file itself when it is DER. */
function blocksOf(file: Uint8Array, kind: string): readonly Buffer[] {
  const bytes = Buffer.from(file)
  if (bytes[0] === tags.sequence) return [bytes]
  const pattern = new RegExp(`-----BEGIN ${kind}-----([A-Za-z0-9+/=\\s]+)-----END ${kind}-----`, 'g')
  return [...bytes.toString('latin1').matchAll(pattern)].map(([, body = '']) => Buffer.from(body, 'base64'))
}

function isTime({ tag }: DerElement): boolean {
  return tag === tags.utcTime || tag === tags.generalizedTime
}

/** UTCTime (years from 1950 on) or GeneralizedTime, both in seconds and Z (RFC 5280, 4.1.2.5). */
function timeOf({ tag, content }: DerElement): number {
  const text = Buffer.from(content).toString('latin1')
  const century = tag === tags.utcTime ? (Number(text.slice(0, 2)) < 50 ? '20' : '19') : ''
  const match = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(century + text)
  const ms = match === null ? Number.NaN : Date.parse(`${match.slice(1, 4).join('-')}T${match.slice(4).join(':')}Z`)
  if (Number.isNaN(ms)) throw broken()
  return ms
}

function broken(): Error {
  return new Error('it holds a list that cannot be read')
}
