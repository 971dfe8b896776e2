/**
 * Signatures of tokens, checked by `jose`. The algorithm is one of a closed list of asymmetric ones, and the key comes from the given set
 * alone: what a header says of keys (`jwk`, `jku`, `x5c`, `x5u`) is not looked at (RFC 8725).
 */
import type { CompactVerifyGetKey, compactVerify, errors, JWK } from 'jose'
import type { SignatureVerdict, TokenKeys } from '../base/ports.ts'

/** No `none`, and no HMAC: whoever knows a public key must not be able to sign with it. */
export const tokenAlgorithms = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
]
/** An issuer publishes a handful, and a few more while it changes them. */
const keysMax = 100
const keyTypes = new Set(['RSA', 'EC', 'OKP'])

/** The keys of a set; throws an Error that says why it cannot be used. */
export async function tokenKeysOf(set: Uint8Array): Promise<TokenKeys> {
  const keys = readKeys(set).filter(isForSignatures)
  if (keys.length === 0) throw new Error('it holds no public key for signatures')
  const jose = await import('jose')
  const getKey = jose.createLocalJWKSet({ keys })
  return { size: keys.length, verify: (token) => verify(jose, getKey, token) }
}

function readKeys(set: Uint8Array): readonly unknown[] {
  let read: unknown
  try {
    read = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(set))
  } catch {
    throw new Error('it is not JSON')
  }
  const keys: unknown = typeof read === 'object' && read !== null && 'keys' in read ? read.keys : null
  if (!Array.isArray(keys)) throw new Error('it is no JSON Web Key Set: there is no list "keys"')
  if (keys.length > keysMax) throw new Error(`it holds more than ${keysMax} keys`)
  return keys
}

/** Private keys and shared ones have no business here: whoever published them has a fault that we do not build on. */
function isForSignatures(key: unknown): key is JWK {
  if (typeof key !== 'object' || key === null) return false
  const { kty, d, k, use, alg, key_ops: operations } = key as JWK
  if (typeof kty !== 'string' || !keyTypes.has(kty) || d !== undefined || k !== undefined) return false
  if (use !== undefined && use !== 'sig') return false
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return false
  return alg === undefined || tokenAlgorithms.includes(alg)
}

/** What is used of the library, which is loaded with the first set. */
interface Jose {
  readonly compactVerify: typeof compactVerify
  readonly errors: typeof errors
}

async function verify(jose: Jose, getKey: CompactVerifyGetKey, token: string): Promise<SignatureVerdict> {
  try {
    const { payload, protectedHeader } = await jose.compactVerify(token, getKey, { algorithms: tokenAlgorithms })
    if (protectedHeader.b64 === false) return refused('its payload is not encoded (RFC 7797)')
    const claims = objectOf(payload)
    if (claims === null) return refused('it holds no JSON object')
    return { kind: 'signed', header: new Map(Object.entries(protectedHeader)), claims }
  } catch (thrown) {
    const code = thrown instanceof jose.errors.JOSEError ? thrown.code : ''
    return refused(sentences.get(code) ?? 'it cannot be read', code === 'ERR_JWKS_NO_MATCHING_KEY')
  }
}

const sentences: ReadonlyMap<string, string> = new Map([
  ['ERR_JWKS_NO_MATCHING_KEY', 'it is signed with a key that is not in the set'],
  ['ERR_JWKS_MULTIPLE_MATCHING_KEYS', 'it does not say which of several keys has signed it (kid)'],
  ['ERR_JOSE_ALG_NOT_ALLOWED', 'its algorithm is not one that is taken'],
  ['ERR_JWS_SIGNATURE_VERIFICATION_FAILED', 'its signature is wrong'],
  ['ERR_JWS_INVALID', 'it is no signed token'],
  ['ERR_JOSE_NOT_SUPPORTED', 'it demands what is not known here (crit, or a kind of key)'],
])

function objectOf(payload: Uint8Array): ReadonlyMap<string, unknown> | null {
  try {
    const read: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload))
    return typeof read === 'object' && read !== null && !Array.isArray(read) ? new Map(Object.entries(read)) : null
  } catch {
    return null
  }
}

function refused(reason: string, isKeyUnknown = false): SignatureVerdict {
  return { kind: 'refused', reason, isKeyUnknown }
}
