/**
 * Holds one client back while messages of its own wait for their commit: nothing more is read above a bound of bytes, and a SUBSCRIBE behind
 * them waits, so that they are older than the subscription (a retained one among them comes as retained, and once).
 */
import type { DoorServices, PendingBytesWaiter } from './door-services.ts'
import { type PauseSwitch, pauseReasons } from './pause-switch.ts'

/** What a connection lets be done to it. */
export interface HeldLink extends PendingBytesWaiter {
  readonly pauses: PauseSwitch
  unpause(reason: number): void
  /** Goes on with the packets that were not taken. */
  takeWaiting(): void
}

export class CommitHold {
  private readonly services: Pick<DoorServices, 'options' | 'broker' | 'waitForPendingBytes'>
  private readonly link: HeldLink

  constructor(services: Pick<DoorServices, 'options' | 'broker' | 'waitForPendingBytes'>, link: HeldLink) {
    this.services = services
    this.link = link
  }

  /** After packets were taken: looks at the bounds. */
  taken(uncommittedBytes: number): void {
    const { options, broker } = this.services
    const { pauses } = this.link
    if (uncommittedBytes > options.uncommittedBytesMax) pauses.add(pauseReasons.uncommitted)
    if (uncommittedBytes === 0 || broker.pendingBytes <= options.pendingBytesMax) return
    if (pauses.has(pauseReasons.pending)) return
    pauses.add(pauseReasons.pending)
    this.services.waitForPendingBytes(this.link)
  }

  /** True = the SUBSCRIBE is not to be taken now; `settled` sees to it that it comes again. */
  holdsSubscribe(uncommittedBytes: number): boolean {
    if (uncommittedBytes === 0) return false
    this.link.pauses.add(pauseReasons.order)
    return true
  }

  /** A commit was decided. */
  settled(uncommittedBytes: number): void {
    const { link } = this
    if (uncommittedBytes <= this.services.options.uncommittedBytesMax / 2) link.unpause(pauseReasons.uncommitted)
    if (uncommittedBytes > 0 || !link.pauses.has(pauseReasons.order)) return
    link.unpause(pauseReasons.order)
    link.takeWaiting()
  }
}
