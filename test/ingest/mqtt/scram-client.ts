/** The client's side of SCRAM (RFC 5802), written from the standard alone. */
import { createHash, createHmac, pbkdf2Sync } from 'node:crypto'
import { scramKeysOf } from '../../../src/security/sasl/scram-crypto.ts'
import type { ScramCredentials } from '../../../src/security/scram-credentials.ts'

export type Mechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
const digestOf = { 'SCRAM-SHA-256': 'sha256', 'SCRAM-SHA-512': 'sha512' } as const
const iterations = 4096

export function addUser(credentials: ScramCredentials, name: string, password: string, mechanism: Mechanism): void {
  const digest = digestOf[mechanism]
  const salt = Buffer.from(`salt of ${name}`)
  const size = digest === 'sha256' ? 32 : 64
  const keys = scramKeysOf(digest, pbkdf2Sync(password, salt, iterations, size, digest))
  credentials.set(name, mechanism, { salt, iterations, ...keys })
}

export class ScramClient {
  readonly #digest: 'sha256' | 'sha512'
  readonly #bare: string
  readonly #password: string
  #serverSignature = ''

  constructor(mechanism: Mechanism, user: string, password: string, nonce = 'clientnonce') {
    this.#digest = digestOf[mechanism]
    this.#bare = `n=${user},r=${nonce}`
    this.#password = password
  }

  first(): Buffer {
    return Buffer.from(`n,,${this.#bare}`)
  }

  final(challenge: Uint8Array): Buffer {
    const serverFirst = Buffer.from(challenge).toString()
    const {
      r = '',
      s = '',
      i = '',
    } = Object.fromEntries(serverFirst.split(',').map((part) => [part[0], part.slice(2)])) as Record<string, string>
    const digest = this.#digest
    const size = digest === 'sha256' ? 32 : 64
    const salted = pbkdf2Sync(this.#password, Buffer.from(s, 'base64'), Number(i), size, digest)
    const hmac = (key: Uint8Array, text: string): Buffer => createHmac(digest, key).update(text).digest()
    const clientKey = hmac(salted, 'Client Key')
    const withoutProof = `c=biws,r=${r}`
    const message = `${this.#bare},${serverFirst},${withoutProof}`
    const signature = hmac(createHash(digest).update(clientKey).digest(), message)
    const proof = Buffer.from(clientKey.map((byte, at) => byte ^ (signature[at] ?? 0)))
    this.#serverSignature = hmac(hmac(salted, 'Server Key'), message).toString('base64')
    return Buffer.from(`${withoutProof},p=${proof.toString('base64')}`)
  }

  /** Has the server shown that it knows the user? */
  isServerProved(data: Uint8Array): boolean {
    return Buffer.from(data).toString() === `v=${this.#serverSignature}`
  }
}
