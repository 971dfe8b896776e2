/** What waits for one session: messages of the log, and walks through the retained messages of new subscriptions. In their order. */
import { formOf, qosOf } from './delivery-form.ts'
import type { RetainedWalk, WalkReader, WalkStep } from './retained-walk.ts'
import type { Delivery, SessionBounds, SessionLink } from './session-types.ts'

type Waiting = Delivery | RetainedWalk

/** What a walk is counted as: its place in the tree. */
const walkBytes = 1024

/**
 * Messages in advance of who is behind: enough for one window. Each lives for as long as those before it take, and what is many at a time outlives
 * a collection of the young generation, which costs several times what the message does.
 */
const backlogMessagesMax = 256

export class DeliveryQueue {
  private readonly bounds: SessionBounds
  /** What has left is not held on to. */
  private items: (Waiting | undefined)[] = []
  private head = 0
  private bytes = 0

  constructor(bounds: SessionBounds) {
    this.bounds = bounds
  }

  get length(): number {
    return this.items.length - this.head
  }

  /** It waits for more: less than half of what it takes of the log's backlog. */
  get isHalfEmpty(): boolean {
    return this.length * 2 <= this.backlogMax && this.bytes * 2 <= this.bounds.queuedBytesMax
  }

  /** It takes a further message; while its session is behind only a few in advance, of whatever partition: none is to be kept waiting by the others. */
  takes(isBehind: boolean): boolean {
    return this.length < (isBehind ? this.backlogMax : this.bounds.queuedMessagesMax)
  }

  private get backlogMax(): number {
    return Math.min(this.bounds.queuedMessagesMax, backlogMessagesMax)
  }

  /** False = it has no room for it. `link` is where it will be sent, at `wallMs` or later; null = that is not known. */
  push(item: Waiting, link: SessionLink | null = null, wallMs = 0): boolean {
    const size = sizeOf(item)
    const { bounds } = this
    const isFull =
      this.bytes + size > bounds.queuedBytesMax || bounds.queuedBytesTotal + size > bounds.queuedBytesTotalMax
    if (isFull) return false
    if (isDelivery(item)) {
      keep(item, link, wallMs)
      bounds.held.queued += 1
    }
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
    this.items[this.head] = undefined
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
    for (const item of this.items.slice(this.head) as Waiting[]) {
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
    for (const _ of this) this.bounds.held.queued -= 1
    this.bounds.queuedBytesTotal -= this.bytes
    this.bytes = 0
    this.items = []
    this.head = 0
  }

  private countOut(item: Waiting): void {
    const size = sizeOf(item)
    this.bytes -= size
    this.bounds.queuedBytesTotal -= size
    if (isDelivery(item)) this.bounds.held.queued -= 1
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
