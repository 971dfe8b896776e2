/** The messages of SCRAM (RFC 5802 section 7), read to the letter: what is not in its grammar is refused with the reason. */
import { strictUtf8 } from '../../base/strict-utf8.ts'
import { readSaslName } from './sasl-name.ts'

export interface ClientFirst {
  /** `n,,` or what else the client began with, exactly as sent: client-final repeats it. */
  readonly gs2Header: string
  /** The message without that: a part of what both sides sign. */
  readonly bare: string
  readonly userName: string
  readonly nonce: string
}

export interface ClientFinal {
  readonly withoutProof: string
  /** The channel binding, decoded. */
  readonly binding: string
  readonly nonce: string
  readonly proof: Uint8Array
}

/** Longest message: a user name, a nonce and a few extensions. */
export const scramMessageBytesMax = 4096
/** Attributes of one message. A list of thousands would take ten times the memory of its text. */
const attributesMax = 16
const userNameLengthMax = 255
const printable = /^[\x21-\x2b\x2d-\x7e]+$/
const attribute = /^[A-Za-z]=/

/** Reads client-first, or says what is wrong with it. */
export function readClientFirst(bytes: Uint8Array): ClientFirst | string {
  const text = textOf(bytes)
  if (text === null) return 'client-first is not UTF-8 or is too long'
  const parts = text.split(',', attributesMax + 1)
  if (parts.length > attributesMax) return 'client-first has too many attributes'
  const [binding, authorization, ...rest] = parts
  if (binding === undefined || authorization === undefined || rest.length < 2) return 'client-first is cut off'
  if (binding.startsWith('p=')) return 'channel binding is not offered'
  if (binding !== 'n' && binding !== 'y') return 'client-first does not begin with a GS2 header'
  const authorized = authorizationOf(authorization)
  if (authorized === null) return 'the authorization identity is malformed'
  const [name = '', nonceText = '', ...extensions] = rest
  if (name.startsWith('m=')) return 'a mandatory extension is not known'
  if (!name.startsWith('n=')) return 'client-first has no user name'
  const userName = readSaslName(name.slice(2))
  if (userName === null || userName.length > userNameLengthMax) return 'the user name is malformed'
  const nonce = nonceText.slice(2)
  if (!nonceText.startsWith('r=') || !printable.test(nonce)) return 'client-first has no nonce'
  const fault = extensionFault(extensions)
  if (fault !== null) return fault
  if (authorized !== '' && authorized !== userName) return 'the authorization identity is not the user name'
  return { gs2Header: `${binding},${authorization},`, bare: rest.join(','), userName, nonce }
}

/** Reads client-final, or says what is wrong with it. */
export function readClientFinal(bytes: Uint8Array): ClientFinal | string {
  const text = textOf(bytes)
  if (text === null) return 'client-final is not UTF-8 or is too long'
  const parts = text.split(',', attributesMax + 1)
  if (parts.length > attributesMax) return 'client-final has too many attributes'
  const [bindingText = '', nonceText = '', ...rest] = parts
  const proofText = rest.pop() ?? ''
  const binding = bindingText.startsWith('c=') ? fromBase64(bindingText.slice(2)) : null
  if (binding === null) return 'client-final has no channel binding'
  const nonce = nonceText.slice(2)
  if (!nonceText.startsWith('r=') || !printable.test(nonce)) return 'client-final has no nonce'
  const fault = extensionFault(rest)
  if (fault !== null) return fault
  const proof = proofText.startsWith('p=') ? fromBase64(proofText.slice(2)) : null
  if (proof === null) return 'client-final has no proof'
  const withoutProof = parts.slice(0, -1).join(',')
  return { withoutProof, binding: Buffer.from(binding).toString('latin1'), nonce, proof }
}

/** Kafka's extension for delegation tokens, which are not served. */
const tokenExtension = /^tokenauth=/

function extensionFault(extensions: readonly string[]): string | null {
  if (extensions.some((extension) => tokenExtension.test(extension))) return 'delegation tokens are not served'
  return extensions.every((extension) => attribute.test(extension)) ? null : 'an extension is malformed'
}

/** Empty when there is none; null when it is malformed. */
function authorizationOf(text: string): string | null {
  if (text === '') return ''
  return text.startsWith('a=') ? readSaslName(text.slice(2)) : null
}

function textOf(bytes: Uint8Array): string | null {
  return bytes.length > scramMessageBytesMax ? null : strictUtf8(bytes)
}

/** Base64 in its one canonical form; null for anything else. */
export function fromBase64(text: string): Uint8Array | null {
  const bytes = Buffer.from(text, 'base64')
  return text !== '' && bytes.toString('base64') === text ? new Uint8Array(bytes) : null
}
