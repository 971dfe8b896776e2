/**
 * Tokens of the operator's HTTP listener: `hw1_ID_SECRET`. Each speaks for a user with the rights of a role at most, until it expires or is
 * revoked. Only a digest of the secret is kept, which is random and long: guessing it needs no slow hash to be hopeless. Pure.
 */
import type { Entropy } from '../base/ports.ts'
import { type RoleName, roleNames } from './roles.ts'
import { hash, isSame } from './sasl/scram-crypto.ts'

export interface AccessToken {
  readonly id: string
  /** `User:name`: whom it speaks for. */
  readonly principal: string
  readonly role: RoleName
  /** What it is for, in the words of whoever made it. */
  readonly note: string
  readonly createdMs: number
  readonly expiresMs: number
  /** Hexadecimal SHA-256 of the secret. */
  readonly digest: string
}

/** Tokens that are kept; each is memory and a record. */
export const accessTokensMax = 1_000
const idBytes = 8
const secretBytes = 32
const pattern = /^hw1_([0-9a-f]{16})_([0-9a-f]{64})$/
const nothing = '0'.repeat(64)

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')

/** A new token, and the only time that its text is seen. */
export function makeAccessToken(
  facts: Omit<AccessToken, 'id' | 'digest'>,
  entropy: Pick<Entropy, 'bytes'>,
): { readonly token: AccessToken; readonly text: string } {
  const id = hex(entropy.bytes(idBytes))
  const secret = hex(entropy.bytes(secretBytes))
  return { token: { ...facts, id, digest: digestOf(secret) }, text: `hw1_${id}_${secret}` }
}

function digestOf(secret: string): string {
  return hex(hash('sha256', Buffer.from(secret, 'hex')))
}

export class AccessTokens {
  readonly #tokens = new Map<string, AccessToken>()

  get size(): number {
    return this.#tokens.size
  }

  values(): IterableIterator<AccessToken> {
    return this.#tokens.values()
  }

  get(id: string): AccessToken | undefined {
    return this.#tokens.get(id)
  }

  set(token: AccessToken): void {
    this.#tokens.set(token.id, token)
  }

  delete(id: string): void {
    this.#tokens.delete(id)
  }

  /** The token that a client shows, or null: of no form, not known, not its secret, or expired. */
  find(text: string, nowMs: number): AccessToken | null {
    const [, id = '', secret = ''] = pattern.exec(text) ?? []
    const known = this.#tokens.get(id)
    const isRight = isSame(Buffer.from(known?.digest ?? nothing, 'hex'), Buffer.from(digestOf(secret), 'hex'))
    return known !== undefined && isRight && nowMs < known.expiresMs ? known : null
  }
}

/** One record of `__headwater_tokens`, or null for what is none. */
export function readAccessToken(id: string, value: Uint8Array): AccessToken | null {
  let json: unknown
  try {
    json = JSON.parse(Buffer.from(value).toString('utf8'))
  } catch {
    return null
  }
  if (typeof json !== 'object' || json === null) return null
  const { principal, role, note, createdMs, expiresMs, digest } = json as Readonly<Record<string, unknown>>
  const known = roleNames.find((name) => name === role)
  if (known === undefined || typeof principal !== 'string' || typeof note !== 'string') return null
  if (typeof createdMs !== 'number' || typeof expiresMs !== 'number') return null
  if (typeof digest !== 'string' || !/^[0-9a-f]{64}$/.test(digest)) return null
  return { id, principal, role: known, note, createdMs, expiresMs, digest }
}
