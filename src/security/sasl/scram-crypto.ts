/** The arithmetic of SCRAM (RFC 5802 section 3): digests only, deterministic. */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
export type Digest = 'sha256' | 'sha512'

/** Kafka's numbers of the mechanisms, in records and requests. */
export const scramMechanismCode: Readonly<Record<ScramMechanism, number>> = { 'SCRAM-SHA-256': 1, 'SCRAM-SHA-512': 2 }

export const digestOf: Readonly<Record<ScramMechanism, Digest>> = {
  'SCRAM-SHA-256': 'sha256',
  'SCRAM-SHA-512': 'sha512',
}
export const digestBytes: Readonly<Record<Digest, number>> = { sha256: 32, sha512: 64 }

/** The mechanism of a number; undefined for one that there is not. */
export function scramMechanismOf(code: number): ScramMechanism | undefined {
  if (code === 1) return 'SCRAM-SHA-256'
  return code === 2 ? 'SCRAM-SHA-512' : undefined
}

export function hmac(digest: Digest, key: Uint8Array, text: Uint8Array | string): Uint8Array {
  return createHmac(digest, key).update(text).digest()
}

export function hash(digest: Digest, bytes: Uint8Array): Uint8Array {
  return createHash(digest).update(bytes).digest()
}

/** What a server keeps: neither key lets anybody find the password, or play the client, without guessing. */
export interface ScramKeys {
  readonly storedKey: Uint8Array
  readonly serverKey: Uint8Array
}

/** StoredKey := H(HMAC(SaltedPassword, "Client Key")), ServerKey := HMAC(SaltedPassword, "Server Key"). */
export function scramKeysOf(digest: Digest, saltedPassword: Uint8Array): ScramKeys {
  return {
    storedKey: hash(digest, hmac(digest, saltedPassword, 'Client Key')),
    serverKey: hmac(digest, saltedPassword, 'Server Key'),
  }
}

/** Is H(proof XOR HMAC(StoredKey, AuthMessage)) the StoredKey? In the same time whatever the answer is. */
export function isClientProof(digest: Digest, storedKey: Uint8Array, authMessage: string, proof: Uint8Array): boolean {
  const signature = hmac(digest, storedKey, authMessage)
  if (proof.length !== signature.length) return false
  const clientKey = proof.map((byte, at) => byte ^ (signature[at] as number))
  return isSame(hash(digest, clientKey), storedKey)
}

/** ClientProof := ClientKey XOR HMAC(StoredKey, AuthMessage). */
export function clientProofOf(digest: Digest, saltedPassword: Uint8Array, authMessage: string): Uint8Array {
  const clientKey = hmac(digest, saltedPassword, 'Client Key')
  const signature = hmac(digest, hash(digest, clientKey), authMessage)
  return clientKey.map((byte, at) => byte ^ (signature[at] as number))
}

/** ServerSignature := HMAC(ServerKey, AuthMessage). */
export function serverSignatureOf(digest: Digest, saltedPassword: Uint8Array, authMessage: string): Uint8Array {
  return hmac(digest, scramKeysOf(digest, saltedPassword).serverKey, authMessage)
}

/** Compares digests in constant time. */
export function isSame(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right)
}
