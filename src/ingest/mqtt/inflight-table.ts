/**
 * Messages of QoS 1 and 2 that one session has begun and its client has not acknowledged, by packet id. They count against the bytes that all sessions
 * may hold: each with its entry, and each message once, however many sessions it is on its way to.
 *
 * Not a `Map`: one that is filled at one end and emptied at the other gets a new table again and again, each known to the one before. Once one of
 * them is old, all that come after are kept until the next full collection, and with them all that ever stood in them.
 */
import type { InflightDelivery } from './inflight-delivery.ts'
import type { SessionBounds } from './session-types.ts'

/** What an entry takes, about. */
const entryBytes = 200
/** A power of two. */
const slotsMin = 8
/** More than these are given back when nothing is in flight. */
const slotsKeptMax = 512

type Slot = InflightDelivery | null

const none: Slot[] = []

export class InflightTable {
  private readonly bounds: SessionBounds
  /** Chains, by the low bits of the packet id: ids are mostly given one after the other, so most are of one. As many as the most that were there. */
  private slots: Slot[] = none
  private count = 0
  private begun = 0

  constructor(bounds: SessionBounds) {
    this.bounds = bounds
  }

  get size(): number {
    return this.count
  }

  /** All sessions together hold what they may, and this one has something in flight: its acknowledgement goes on with the rest. */
  get isCrowded(): boolean {
    return this.count > 0 && this.bounds.queuedBytesTotal >= this.bounds.queuedBytesTotalMax
  }

  /** Its packet id is not in the table. */
  add(delivery: InflightDelivery): void {
    if (this.count === this.slots.length) this.resize(Math.max(slotsMin, this.count * 2))
    delivery.order = this.begun
    this.begun += 1
    this.count += 1
    this.bounds.held.inflight += 1
    this.link(delivery)
    this.bounds.queuedBytesTotal += entryBytes + delivery.message.hold()
  }

  has(packetId: number): boolean {
    return this.get(packetId) !== undefined
  }

  get(packetId: number): InflightDelivery | undefined {
    if (this.count === 0) return undefined
    let at = this.slots[packetId & (this.slots.length - 1)] ?? null
    while (at !== null && at.packetId !== packetId) at = at.next
    return at ?? undefined
  }

  delete(packetId: number): void {
    const delivery = this.get(packetId)
    if (delivery === undefined) return
    const slot = packetId & (this.slots.length - 1)
    let before: Slot = null
    for (let at = this.slots[slot] ?? null; at !== delivery && at !== null; at = at.next) before = at
    if (before === null) this.slots[slot] = delivery.next
    else before.next = delivery.next
    delivery.next = null
    this.count -= 1
    this.bounds.held.inflight -= 1
    this.bounds.queuedBytesTotal -= entryBytes + delivery.message.letGo()
    if (this.count === 0 && this.slots.length > slotsKeptMax) this.slots = none
  }

  /** In any order. */
  *values(): Iterable<InflightDelivery> {
    for (const first of this.slots) for (let at = first; at !== null; at = at.next) yield at
  }

  /** In the order in which they were begun. */
  inOrder(): InflightDelivery[] {
    return [...this.values()].sort((a, b) => a.order - b.order)
  }

  clear(): void {
    for (const { packetId } of [...this.values()]) this.delete(packetId)
    this.slots = none
  }

  private resize(length: number): void {
    const all = [...this.values()]
    this.slots = new Array<Slot>(length).fill(null)
    for (const delivery of all) this.link(delivery)
  }

  private link(delivery: InflightDelivery): void {
    const slot = delivery.packetId & (this.slots.length - 1)
    delivery.next = this.slots[slot] ?? null
    this.slots[slot] = delivery
  }
}
