/** The messages of OAUTHBEARER (RFC 7628 section 3): the client's first one, read to the letter, and the server's word of a failure. */
import { strictUtf8 } from '../../base/strict-utf8.ts'
import { readSaslName } from './sasl-name.ts'

/** Why a token is not taken, by the names of RFC 6750. */
export type TokenFailure = 'invalid_request' | 'invalid_token' | 'insufficient_scope'

export interface BearerMessage {
  /** Whom the client wants to speak for; null = whom the token names. */
  readonly authorization: string | null
  readonly token: string
}

/** Longest token. Each costs a copy and a digest before anything is known of it. */
export const tokenLengthMax = 16_384
const messageBytesMax = tokenLengthMax + 4096
/** A host, a port, the token, and what else a client may say of itself. */
const pairsMax = 64
/** b64token of RFC 6750. */
const b64token = String.raw`[A-Za-z0-9\-._~+/]+=*`
export const tokenPattern = new RegExp(`^${b64token}$`)
const bearerPattern = new RegExp(`^bearer +(${b64token})$`, 'i')
const keyPattern = /^[A-Za-z]+$/
const valuePattern = /^[\x20-\x7e\t\r\n]*$/
const separator = '\x01'

/** Reads the client's first message, or says what is wrong with it. */
export function readBearer(bytes: Uint8Array): BearerMessage | string {
  if (bytes.length > messageBytesMax) return 'the message is too long'
  const text = strictUtf8(bytes)
  if (text === null) return 'the message is not UTF-8'
  const [header = '', ...parts] = text.split(separator, pairsMax + 1)
  if (parts.length >= pairsMax) return 'the message has too many pairs'
  const gs2 = /^([ny]|p=[^,]*),(?:a=([^,]*))?,$/.exec(header)
  if (gs2 === null) return 'the message does not begin with a GS2 header'
  if (gs2[1]?.startsWith('p') === true) return 'channel binding is not offered'
  // Each pair ends with a separator, and so does their list.
  if (parts.pop() !== '' || parts.pop() !== '' || parts.length === 0) return 'the message is cut off'
  const authorization = gs2[2] === undefined ? null : readSaslName(gs2[2])
  if (gs2[2] !== undefined && authorization === null) return 'the authorization identity is malformed'
  let bearer: string | null = null
  for (const part of parts) {
    const at = part.indexOf('=')
    const key = part.slice(0, Math.max(0, at))
    const value = part.slice(at + 1)
    if (at < 1 || !keyPattern.test(key) || !valuePattern.test(value)) return 'a key or its value is malformed'
    if (key !== 'auth') continue
    if (bearer !== null) return 'there are two tokens'
    bearer = value
  }
  if (bearer === null) return 'there is no token'
  const token = bearerPattern.exec(bearer)?.[1]
  if (token === undefined) return 'the token is malformed'
  return { authorization, token }
}

/** What the client is told of a failure: nothing that would tell a stranger more than that. */
export function failureMessage(status: TokenFailure, scope: readonly string[]): string {
  return JSON.stringify({ status, ...(scope.length === 0 ? {} : { scope: scope.join(' ') }) })
}

/** The client's reply to that, after which the server says no. */
export function isFailureReply(bytes: Uint8Array): boolean {
  return bytes.length === 1 && bytes[0] === 1
}
