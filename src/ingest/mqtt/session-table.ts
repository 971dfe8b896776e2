import { MqttSession } from './session.ts'
import type { SessionBounds } from './session-types.ts'

export interface SessionTableOptions {
  /** Sessions kept at a time, connected ones included. */
  readonly sessionsMax: number
  readonly bounds: SessionBounds
  /** A session ended: expired, replaced by a clean start, or pushed out by the bound. */
  readonly onEnd: (session: MqttSession, cause: 'expired' | 'clean-start' | 'evicted') => void
}

/** The sessions of one door by client id, in the order in which they were last let go of. Pure. */
export class SessionTable {
  private readonly options: SessionTableOptions
  private readonly sessions = new Map<string, MqttSession>()

  constructor(options: SessionTableOptions) {
    this.options = options
  }

  get size(): number {
    return this.sessions.size
  }

  values(): IterableIterator<MqttSession> {
    return this.sessions.values()
  }

  get(clientId: string): MqttSession | undefined {
    return this.sessions.get(clientId)
  }

  /**
   * The session for a CONNECT: the kept one, or a new one [MQTT-3.1.2-4] to [MQTT-3.1.2-6]. The earlier connection must have been detached. Null when
   * the bound is reached by connected sessions alone.
   */
  open(clientId: string, cleanStart: boolean): { readonly session: MqttSession; readonly isPresent: boolean } | null {
    const known = this.sessions.get(clientId)
    if (known !== undefined && !cleanStart) return { session: known, isPresent: true }
    if (known !== undefined) this.end(known, 'clean-start')
    if (this.sessions.size >= this.options.sessionsMax && !this.evictOne()) return null
    const session = new MqttSession(clientId, this.options.bounds)
    this.sessions.set(clientId, session)
    return { session, isPresent: false }
  }

  /** A session of the last run, without a connection. */
  restore(clientId: string): MqttSession {
    const session = new MqttSession(clientId, this.options.bounds)
    this.sessions.set(clientId, session)
    return session
  }

  /** The session that has been without a connection for longest makes room. */
  private evictOne(): boolean {
    for (const session of this.sessions.values()) {
      if (session.link !== null) continue
      this.end(session, 'evicted')
      return true
    }
    return false
  }

  /** Moves a session that lost its connection to the end of the order. */
  touch(session: MqttSession): void {
    if (this.sessions.get(session.clientId) !== session) return
    this.sessions.delete(session.clientId)
    this.sessions.set(session.clientId, session)
  }

  /** Ends a session. Nothing happens when it has ended already. */
  end(session: MqttSession, cause: 'expired' | 'clean-start' | 'evicted'): void {
    if (this.sessions.get(session.clientId) !== session) return
    this.sessions.delete(session.clientId)
    this.options.onEnd(session, cause)
    session.discard()
  }
}
