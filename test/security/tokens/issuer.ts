/** An issuer of tokens: keys of several kinds, the set that it publishes, and tokens of every kind that may be wrong. */
import { createHmac, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { CompactSign, type CompactJWSHeaderParameters, exportJWK, type JWK } from 'jose'

/** In seconds: the time that these tests live in. */
export const nowSeconds = 1_800_000_000

export interface IssuerKey {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicJwk: JWK
}

export async function newKey(kid: string, alg = 'ES256'): Promise<IssuerKey> {
  const { privateKey, publicKey } = alg.startsWith('ES')
    ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
    : alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { kid, alg, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

export function setOf(...keys: readonly (IssuerKey | JWK)[]): Uint8Array {
  return Buffer.from(JSON.stringify({ keys: keys.map((key) => ('publicJwk' in key ? key.publicJwk : key)) }))
}

export const goodClaims = {
  iss: 'https://login.example.com',
  aud: 'headwater',
  sub: 'press-1',
  scope: 'read write',
  iat: nowSeconds - 60,
  exp: nowSeconds + 600,
}

/** A token signed by `key`; `payload` may be bytes that are no claims. */
export function sign(
  key: IssuerKey,
  payload: object | Uint8Array = goodClaims,
  header: Partial<CompactJWSHeaderParameters> = {},
): Promise<string> {
  const bytes = payload instanceof Uint8Array ? payload : Buffer.from(JSON.stringify(payload))
  const crit = header.crit === undefined ? {} : { crit: Object.fromEntries(header.crit.map((name) => [name, true])) }
  return new CompactSign(bytes)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'JWT', ...header })
    .sign(key.privateKey, crit)
}

/** The parts of a compact token put together by hand. */
export function forge(header: object, payload: object | string, signature: Uint8Array | string = ''): string {
  const part = (value: object | string): string =>
    Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
  const end = typeof signature === 'string' ? signature : Buffer.from(signature).toString('base64url')
  return `${part(header)}.${part(payload)}.${end}`
}

/** Signed with HMAC by whatever bytes somebody may take for a secret. */
export function forgeHmac(alg: 'HS256' | 'HS512', secret: string | Uint8Array, header: object = {}): string {
  const unsigned = forge({ alg, typ: 'JWT', ...header }, goodClaims).replace(/\.$/, '')
  const digest = createHmac(alg === 'HS256' ? 'sha256' : 'sha512', secret)
    .update(unsigned)
    .digest('base64url')
  return `${unsigned}.${digest}`
}
