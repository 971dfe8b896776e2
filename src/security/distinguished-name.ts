/**
 * The subject of an X.509 certificate as RFC 2253 text, written as Java's `X500Principal.getName()` does, because Kafka's principals
 * and the patterns of `ssl.principal.mapping.rules` are made of that text: most specific first, no spaces, `#hex` for attributes
 * whose names RFC 2253 does not have.
 */
import { derChildren, type DerElement, derElement } from '../base/der.ts'

const sequence = 0x30
const set = 0x31
const objectIdentifier = 0x06
/** `[0] EXPLICIT Version` in front of the serial number. */
const versionTag = 0xa0

/** String types whose content is shown as text: UTF8, printable, T.61, IA5, general; and BMP, in UTF-16. */
const latinTypes: ReadonlySet<number> = new Set([0x13, 0x14, 0x16, 0x1b])
const utf8Type = 0x0c
const bmpType = 0x1e

/** Attribute names of RFC 2253. */
const keywords: ReadonlyMap<string, string> = new Map([
  ['2.5.4.3', 'CN'],
  ['2.5.4.6', 'C'],
  ['2.5.4.7', 'L'],
  ['2.5.4.8', 'ST'],
  ['2.5.4.9', 'STREET'],
  ['2.5.4.10', 'O'],
  ['2.5.4.11', 'OU'],
  ['0.9.2342.19200300.100.1.25', 'DC'],
  ['0.9.2342.19200300.100.1.1', 'UID'],
])

/** The subject of a certificate (DER). Throws when the bytes are no certificate. */
export function subjectOf(certificate: Uint8Array): string {
  const signed = derChildren(needed(derElement(certificate), sequence).content)
  const parts = derChildren(needed(signed[0], sequence).content)
  // version (optional), serial number, signature, issuer, validity, subject
  const at = parts[0]?.tag === versionTag ? 5 : 4
  return nameText(needed(parts[at], sequence).content)
}

function nameText(name: Uint8Array): string {
  return derChildren(name)
    .toReversed()
    .map((relative) => derChildren(needed(relative, set).content).map(attributeText).join('+'))
    .join(',')
}

function attributeText(attribute: DerElement): string {
  const [type, value] = derChildren(needed(attribute, sequence).content)
  const oid = oidText(needed(type, objectIdentifier).content)
  if (value === undefined) throw new Error('an attribute without a value')
  const keyword = keywords.get(oid)
  const text = keyword === undefined ? null : stringValue(value)
  return `${keyword ?? oid}=${text === null ? `#${Buffer.from(value.whole).toString('hex')}` : escaped(text)}`
}

function stringValue({ tag, content }: DerElement): string | null {
  const bytes = Buffer.from(content)
  if (tag === utf8Type) return bytes.toString('utf8')
  if (latinTypes.has(tag)) return bytes.toString('latin1')
  if (tag === bmpType && bytes.length % 2 === 0) return bytes.swap16().toString('utf16le')
  return null
}

/** RFC 2253, section 2.4, and a NUL as `\00`. */
function escaped(text: string): string {
  const inner = text.replace(/[,=+<>#;"\\]/g, '\\$&').replaceAll('\0', '\\00')
  const lead = /^ +/.exec(inner)?.[0].length ?? 0
  const trail = lead === inner.length ? 0 : (/ +$/.exec(inner)?.[0].length ?? 0)
  return `${'\\ '.repeat(lead)}${inner.slice(lead, inner.length - trail)}${'\\ '.repeat(trail)}`
}

function oidText(bytes: Uint8Array): string {
  const parts: bigint[] = []
  let value = 0n
  for (const byte of bytes) {
    value = (value << 7n) | BigInt(byte & 0x7f)
    if (byte >= 0x80) continue
    if (parts.length === 0) {
      const first = value < 80n ? value / 40n : 2n
      parts.push(first, value - first * 40n)
    } else parts.push(value)
    value = 0n
  }
  return parts.join('.')
}

function needed(element: DerElement | undefined, tag: number): DerElement {
  if (element?.tag !== tag) throw new Error('this is no certificate')
  return element
}
