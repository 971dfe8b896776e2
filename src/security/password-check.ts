/**
 * Is this the password of this user? Answered by the user's SCRAM credential: nothing else of a password is kept. The derivation runs
 * off the loop; a name that is not there costs the same one.
 */
import type { Compute } from '../base/ports.ts'
import { inventCredential } from './invented-credential.ts'
import { digestOf, hmac, isSame, type ScramMechanism, scramKeysOf } from './sasl/scram-crypto.ts'
import type { ScramCredential, ScramCredentials } from './scram-credentials.ts'

export interface PasswordCheckParts {
  readonly credentials: ScramCredentials
  readonly compute: Pick<Compute, 'deriveKey'>
  /** Random bytes of this run. */
  readonly secret: Uint8Array
}

/** Derivations that run or wait: at some 3 ms each a wait of a second or two, and clients give up after ten. */
const derivationsMax = 500
/** Right answers that are remembered, by a keyed digest: a fleet that comes back after an outage shares a few of them. */
const rememberedMax = 1_024

export class PasswordCheck {
  readonly #parts: PasswordCheckParts
  #derivations = 0
  /** Digest of name and password to the credential that they were right for. */
  readonly #remembered = new Map<string, ScramCredential>()

  constructor(parts: PasswordCheckParts) {
    this.#parts = parts
  }

  /** `busy`: too many wait already; nothing was looked at. */
  async verify(userName: string, password: string): Promise<'right' | 'wrong' | 'busy'> {
    const { credentials, compute, secret } = this.#parts
    const known = firstOf(credentials, userName)
    // Invented for everybody: it takes a tenth of the derivation, and that would tell who is there.
    const usual = this.#usualMechanism()
    const mechanism = known?.mechanism ?? usual
    const invented = inventCredential(this.#parts, userName, mechanism)
    const credential = known?.credential ?? invented
    const key = Buffer.from(hmac('sha256', secret, JSON.stringify([userName, password]))).toString('base64')
    if (this.#remembered.get(key) === credential) return 'right'
    if (this.#derivations >= derivationsMax) return 'busy'
    this.#derivations++
    try {
      const digest = digestOf[mechanism]
      const salted = await compute.deriveKey({
        password: Buffer.from(password),
        salt: credential.salt,
        iterations: credential.iterations,
        digest,
      })
      const isRight = isSame(scramKeysOf(digest, salted).storedKey, credential.storedKey)
      if (!isRight || known === null) return 'wrong'
      this.#remember(key, credential)
      return 'right'
    } finally {
      this.#derivations--
    }
  }

  /** What an invented credential is of: the mechanism that most likely a real one would be. */
  #usualMechanism(): ScramMechanism {
    const { credentials } = this.#parts
    for (const userName of credentials.users()) return firstOf(credentials, userName)?.mechanism ?? 'SCRAM-SHA-256'
    return 'SCRAM-SHA-256'
  }

  #remember(key: string, credential: ScramCredential): void {
    this.#remembered.delete(key)
    this.#remembered.set(key, credential)
    for (const oldest of this.#remembered.keys()) {
      if (this.#remembered.size <= rememberedMax) return
      this.#remembered.delete(oldest)
    }
  }
}

function firstOf(
  credentials: ScramCredentials,
  userName: string,
): { readonly mechanism: ScramMechanism; readonly credential: ScramCredential } | null {
  for (const mechanism of ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const) {
    const credential = credentials.get(userName, mechanism)
    if (credential !== undefined) return { mechanism, credential }
  }
  return null
}
