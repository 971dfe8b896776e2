/**
 * Credentials of users that do not exist, so that they are answered like others: the same salt each time one name is tried, with a
 * salt length and iterations that some real credential has. The keys fit no password.
 */
import { digestBytes, digestOf, hmac, type ScramMechanism } from './sasl/scram-crypto.ts'
import type { ScramCredential, ScramCredentials } from './scram-credentials.ts'

/** What kafka-configs.sh makes when it is not told otherwise. */
const usualIterations = 4096
const usualSaltBytes = 20
/** Real credentials that an invented one may be like. */
const modelsMax = 64

export interface InventedCredentialOptions {
  readonly credentials: ScramCredentials
  /** Of this run: nobody can work out which salts are invented. */
  readonly secret: Uint8Array
}

/**
 * The credential of a user, or one invented for the name. Which of the two costs the same, down to the memory that is read: what a real user
 * has lies somewhere that nobody has looked at lately, so somebody else's is read for a name that is not there.
 */
export class CredentialLookup {
  readonly #options: InventedCredentialOptions
  /** Of all that was read: nothing is left out for being of no use. */
  #read = 0

  constructor(options: InventedCredentialOptions) {
    this.#options = options
  }

  find(
    userName: string,
    mechanism: ScramMechanism,
  ): { readonly credential: ScramCredential; readonly isReal: boolean } {
    const { credentials } = this.#options
    const invented = inventCredential(this.#options, userName, mechanism)
    const own = credentials.get(userName, mechanism)
    const place = Buffer.from(invented.serverKey).readUInt32BE(0)
    const other = credentials.nameAt(place) ?? ''
    const read = credentials.get(own === undefined ? other : userName, mechanism) ?? invented
    for (const bytes of [read.salt, read.storedKey]) for (const byte of bytes) this.#read = (this.#read + byte) | 0
    return { credential: own ?? invented, isReal: own !== undefined }
  }
}

export function inventCredential(
  { credentials, secret }: InventedCredentialOptions,
  userName: string,
  mechanism: ScramMechanism,
): ScramCredential {
  const seed = hmac('sha512', secret, `${mechanism} ${userName}`)
  const models: ScramCredential[] = []
  for (const name of credentials.users()) {
    const model = credentials.get(name, mechanism)
    if (model !== undefined && models.push(model) === modelsMax) break
  }
  const model = models[Buffer.from(seed).readUInt32BE(60) % Math.max(1, models.length)]
  const salt = hmac('sha512', seed, 'salt').slice(0, Math.min(64, model?.salt.length ?? usualSaltBytes))
  const bytes = digestBytes[digestOf[mechanism]]
  return {
    salt,
    iterations: model?.iterations ?? usualIterations,
    storedKey: hmac('sha512', seed, 'stored').slice(0, bytes),
    serverKey: hmac('sha512', seed, 'server').slice(0, bytes),
  }
}
