/**
 * Who has failed to authenticate too often. Counted for each address, and for each user at an address: counted by user alone anybody
 * could lock anybody out. A pure core; it is told the time.
 */

export interface FailedAttemptsOptions {
  /** Failures of one user at one address before they are locked out. */
  readonly perUserMax: number
  /** Failures of one address, whatever the users. */
  readonly perAddressMax: number
  /** Failures are forgotten when this long passes without another. */
  readonly forgetAfterMs: number
  readonly lockMs: number
  /** Entries that are kept; the one without a failure for longest makes room. */
  readonly entriesMax: number
}

export const failedAttemptsDefaults: FailedAttemptsOptions = {
  perUserMax: 10,
  perAddressMax: 50,
  forgetAfterMs: 300_000,
  lockMs: 60_000,
  entriesMax: 10_000,
}

interface Entry {
  failures: number
  lastMs: number
  lockedUntilMs: number
}

export class FailedAttempts {
  readonly #options: FailedAttemptsOptions
  /** In the order of their last failure. */
  readonly #entries = new Map<string, Entry>()

  constructor(options: FailedAttemptsOptions = failedAttemptsDefaults) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  /** `user` null: the client has not said who it is. */
  isLocked(host: string, user: string | null, nowMs: number): boolean {
    return keysOf(host, user).some(({ key }) => (this.#entries.get(key)?.lockedUntilMs ?? 0) > nowMs)
  }

  /** Counts a failure; true when it locks somebody out. */
  failed(host: string, user: string | null, nowMs: number): boolean {
    const { perUserMax, perAddressMax, forgetAfterMs, lockMs, entriesMax } = this.#options
    let isNewLock = false
    for (const { key, isUser } of keysOf(host, user)) {
      const known = this.#entries.get(key)
      const before = known !== undefined && nowMs - known.lastMs < forgetAfterMs ? known.failures : 0
      const entry: Entry = { failures: before + 1, lastMs: nowMs, lockedUntilMs: known?.lockedUntilMs ?? 0 }
      if (entry.failures >= (isUser ? perUserMax : perAddressMax)) {
        isNewLock = true
        entry.lockedUntilMs = nowMs + lockMs
        entry.failures = 0
      }
      this.#entries.delete(key)
      this.#entries.set(key, entry)
    }
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= entriesMax) break
      this.#entries.delete(oldest)
    }
    return isNewLock
  }

  /** The user's failures at this address are forgotten; those of the address are not: one good password must not buy guesses. */
  succeeded(host: string, user: string): void {
    this.#entries.delete(userKey(host, user))
  }
}

function keysOf(host: string, user: string | null): readonly { readonly key: string; readonly isUser: boolean }[] {
  const address = { key: JSON.stringify([host]), isUser: false }
  return user === null ? [address] : [address, { key: userKey(host, user), isUser: true }]
}

/** Names are cut: they come from outside. */
function userKey(host: string, user: string): string {
  return JSON.stringify([host, user.slice(0, 255)])
}
