import type { Clock } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { PendingBytesWaiter } from './door-services.ts'

/** Pending bytes of the broker are looked at again after this while somebody waits for them. */
const checkMs = 5

/** Connections that are not read until the broker has written down what it holds. */
export class PendingBytes {
  private readonly broker: Pick<Broker, 'pendingBytes'>
  private readonly clock: Clock
  private readonly bytesMax: number
  /** Bound: the connections. */
  private waiters: PendingBytesWaiter[] = []

  constructor(broker: Pick<Broker, 'pendingBytes'>, clock: Clock, bytesMax: number) {
    this.broker = broker
    this.clock = clock
    this.bytesMax = bytesMax
  }

  add(waiter: PendingBytesWaiter): void {
    this.waiters.push(waiter)
    if (this.waiters.length === 1) this.checkLater()
  }

  /** Other writers fill the log too: a commit of ours is not the only sign that it has drained. */
  private checkLater(): void {
    this.clock.schedule(checkMs, () => {
      this.check()
      if (this.waiters.length > 0) this.checkLater()
    })
  }

  /** Lets everybody go on when half of it is written. */
  check(): void {
    if (this.waiters.length === 0 || this.broker.pendingBytes > this.bytesMax / 2) return
    const waiters = this.waiters
    this.waiters = []
    for (const waiter of waiters) waiter.onPendingBytesDown()
  }
}
