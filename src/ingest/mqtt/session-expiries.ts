import type { Clock, Timer } from '../../base/ports.ts'
import type { MqttSession } from './session.ts'

/** Ends sessions whose connection has been gone for too long [MQTT-3.1.2-23]. */
export class SessionExpiries {
  private readonly clock: Clock
  private readonly end: (session: MqttSession) => void
  /** Bound: the sessions. */
  private readonly timers = new Map<MqttSession, { readonly timer: Timer; readonly dueMs: number }>()

  constructor(clock: Clock, end: (session: MqttSession) => void) {
    this.clock = clock
    this.end = end
  }

  set(session: MqttSession, delayMs: number): void {
    const timer = this.clock.schedule(delayMs, () => this.end(session))
    this.timers.set(session, { timer, dueMs: this.clock.monotonicMs() + delayMs })
  }

  /** How long a session without a connection is still kept. */
  leftMs(session: MqttSession): number {
    const known = this.timers.get(session)
    return known === undefined ? session.expiryMs : Math.max(0, known.dueMs - this.clock.monotonicMs())
  }

  /** The session has a connection, or has ended. */
  clear(session: MqttSession): void {
    const known = this.timers.get(session)
    if (known !== undefined) this.clock.cancel(known.timer)
    this.timers.delete(session)
  }

  stop(): void {
    for (const { timer } of this.timers.values()) this.clock.cancel(timer)
    this.timers.clear()
  }
}
