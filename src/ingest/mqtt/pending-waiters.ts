import type { Clock } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { PendingBytesWaiter } from './door-services.ts'

/** Pending bytes of the broker are looked at again after this while somebody waits for them. */
const pendingCheckMs = 5

/** Connections that read on when fewer bytes of the broker wait for a commit. Bound: the connections. */
export class PendingWaiters {
  private readonly clock: Clock
  private readonly broker: Broker
  private readonly pendingBytesMax: number
  private waiters: PendingBytesWaiter[] = []

  constructor(clock: Clock, broker: Broker, pendingBytesMax: number) {
    this.clock = clock
    this.broker = broker
    this.pendingBytesMax = pendingBytesMax
  }

  add(waiter: PendingBytesWaiter): void {
    this.waiters.push(waiter)
    if (this.waiters.length === 1) this.checkLater()
  }

  /** Other writers fill the log too: a commit of ours is not the only sign that it has drained. */
  private checkLater(): void {
    this.clock.schedule(pendingCheckMs, () => {
      this.check()
      if (this.waiters.length > 0) this.checkLater()
    })
  }

  check(): void {
    if (this.waiters.length === 0) return
    if (this.broker.pendingBytes > this.pendingBytesMax / 2) return
    const waiters = this.waiters
    this.waiters = []
    for (const waiter of waiters) waiter.onPendingBytesDown()
  }
}
