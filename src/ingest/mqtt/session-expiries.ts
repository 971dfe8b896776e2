import type { Clock, Timer } from '../../base/ports.ts'
import type { MqttSession } from './session.ts'

/** Timers of the platform hold 31 bits. */
const timerMsMax = 2_147_483_647

/** Ends sessions whose connection has been gone for too long [MQTT-3.1.2-23]. */
export class SessionExpiries {
  private readonly clock: Clock
  private readonly end: (session: MqttSession) => void
  /** Bound: the sessions. */
  private readonly timers = new Map<MqttSession, Timer>()

  constructor(clock: Clock, end: (session: MqttSession) => void) {
    this.clock = clock
    this.end = end
  }

  set(session: MqttSession, delayMs: number): void {
    const timer = this.clock.schedule(Math.min(delayMs, timerMsMax), () => this.end(session))
    this.timers.set(session, timer)
  }

  /** The session has a connection, or has ended. */
  clear(session: MqttSession): void {
    const timer = this.timers.get(session)
    if (timer !== undefined) this.clock.cancel(timer)
    this.timers.delete(session)
  }

  stop(): void {
    for (const timer of this.timers.values()) this.clock.cancel(timer)
    this.timers.clear()
  }
}
