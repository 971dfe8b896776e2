/** What waits for one session: messages of the log, and walks through the retained messages of new subscriptions. In their order. */
import { formOf, qosOf } from './delivery-form.ts'
import type { RetainedWalk, WalkReader, WalkStep } from './retained-walk.ts'
import type { Delivery, SessionBounds, SessionLink } from './session-types.ts'

type Waiting = Delivery | RetainedWalk

/** What a walk is counted as: its place in the tree. */
const walkBytes = 1024

export class DeliveryQueue {
  private readonly bounds: SessionBounds
  private items: Waiting[] = []
  private head = 0
  private bytes = 0

  constructor(bounds: SessionBounds) {
    this.bounds = bounds
  }

  get length(): number {
    return this.items.length - this.head
  }

  /** Less than half of what it may hold. */
  get isHalfEmpty(): boolean {
    const { queuedMessagesMax, queuedBytesMax } = this.bounds
    return this.length * 2 <= queuedMessagesMax && this.bytes * 2 <= queuedBytesMax
  }

  /** False = it has no room for it. `link` is where it will be sent, at `wallMs` or later; null = that is not known. */
  push(item: Waiting, link: SessionLink | null = null, wallMs = 0): boolean {
    const size = sizeOf(item)
    const { bounds } = this
    const isFull =
      this.bytes + size > bounds.queuedBytesMax || bounds.queuedBytesTotal + size > bounds.queuedBytesTotalMax
    if (isFull) return false
    if (isDelivery(item)) keep(item, link, wallMs)
    this.items.push(item)
    this.bytes += size
    bounds.queuedBytesTotal += size
    return true
  }

  /** Takes out the next one that may be sent now; null = there is none. A QoS 0 message needs no open window. */
  next(isWindowOpen: boolean, wallMs: number, reader: WalkReader): Delivery | null {
    while (this.head < this.items.length) {
      const item = this.items[this.head] as Waiting
      if (isDelivery(item)) {
        if (!isWindowOpen && qosOf(item) > 0) return null
        this.shift(item)
        return item
      }
      const step: WalkStep = item.next(isWindowOpen, wallMs, reader)
      if (step === 'later') return null
      if (step !== 'end') return step
      this.shift(item)
    }
    return null
  }

  private shift(item: Waiting): void {
    this.head += 1
    this.countOut(item)
    if (this.head < this.items.length && this.head <= 512) return
    this.items = this.items.slice(this.head)
    this.head = 0
  }

  /** Takes out what is asked for of the messages; the others and the walks stay. */
  takeOut(isAsked: (delivery: Delivery) => boolean): Delivery[] {
    const taken: Delivery[] = []
    const kept: Waiting[] = []
    for (const item of this.items.slice(this.head)) {
      if (!isDelivery(item) || !isAsked(item)) {
        kept.push(item)
        continue
      }
      taken.push(item)
      this.countOut(item)
    }
    this.items = kept
    this.head = 0
    return taken
  }

  /** The messages. */
  *[Symbol.iterator](): Iterator<Delivery> {
    for (let at = this.head; at < this.items.length; at += 1) {
      const item = this.items[at] as Waiting
      if (isDelivery(item)) yield item
    }
  }

  clear(): void {
    this.bounds.queuedBytesTotal -= this.bytes
    this.bytes = 0
    this.items = []
    this.head = 0
  }

  private countOut(item: Waiting): void {
    const size = sizeOf(item)
    this.bytes -= size
    this.bounds.queuedBytesTotal -= size
  }
}

/** Its bytes are no longer those that were read. */
function keep(delivery: Delivery, link: SessionLink | null, wallMs: number): void {
  const { message } = delivery
  if (link === null) message.keep()
  else message.keepAs(formOf(delivery, link, qosOf(delivery), message), wallMs)
}

function isDelivery(item: Waiting): item is Delivery {
  return 'message' in item
}

function sizeOf(item: Waiting): number {
  return isDelivery(item) ? item.message.sizeInBytes : walkBytes
}
