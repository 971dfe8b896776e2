/**
 * Sessions of browsers: a random id in a cookie that scripts cannot read and other sites cannot make the browser send. They live in
 * memory alone; a restart ends them, and so does the end of what they were begun by: another password, a token that is revoked or too old.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Caller } from '../access.ts'

export const sessionCookie = 'headwater_session'
const sessionsMax = 1_000
/** Without a request for this long it is over. */
const idleMs = 30 * 60_000
/** Whatever happens. */
const lifeMs = 12 * 3_600_000
const idBytes = 32

interface Session {
  readonly caller: Caller
  /** What the password or the token was good by. */
  readonly mark: string
  readonly beganMs: number
  seenMs: number
}

export class HttpSessions {
  readonly #now: () => number
  /** By the digest of the id, in the order in which they were last seen. */
  readonly #sessions = new Map<string, Session>()

  constructor(monotonicMs: () => number) {
    this.#now = monotonicMs
  }

  /** Answers the value of the cookie. */
  begin(caller: Caller, mark: string): string {
    const id = randomBytes(idBytes).toString('hex')
    const nowMs = this.#now()
    this.#sessions.set(keyOf(id), { caller, mark, beganMs: nowMs, seenMs: nowMs })
    for (const oldest of this.#sessions.keys()) {
      if (this.#sessions.size <= sessionsMax) break
      this.#sessions.delete(oldest)
    }
    return id
  }

  /** Whose session it is, from the same address; null = nobody's. `markOf`: what it was begun by, as it is now. */
  find(id: string, client: string, markOf: (caller: Caller) => string | null): Caller | null {
    const key = keyOf(id)
    const session = this.#sessions.get(key)
    if (session === undefined) return null
    const nowMs = this.#now()
    const { caller, mark, beganMs, seenMs } = session
    this.#sessions.delete(key)
    const isOver = nowMs - seenMs > idleMs || nowMs - beganMs > lifeMs
    if (isOver || caller.client !== client || mark !== markOf(caller)) return null
    session.seenMs = nowMs
    this.#sessions.set(key, session)
    return caller
  }

  end(id: string): void {
    this.#sessions.delete(keyOf(id))
  }
}

/** The id itself is kept nowhere, and no comparison tells how much of it was right. */
function keyOf(id: string): string {
  return createHash('sha256').update(id).digest('hex')
}

/** The id in a Cookie header; null = there is none. */
export function sessionIdOf(header: string | undefined): string | null {
  for (const part of (header ?? '').split(';')) {
    const [name = '', value = ''] = part.trim().split('=')
    if (name === sessionCookie && /^[0-9a-f]{64}$/.test(value)) return value
  }
  return null
}
