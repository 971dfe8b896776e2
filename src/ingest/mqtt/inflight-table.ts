/**
 * Messages of QoS 1 and 2 that one session has begun and its client has not acknowledged, by packet id. They count against the bytes that all sessions
 * may hold: each with its entry, and each message once, however many sessions it is on its way to.
 */
import { LateMap } from '../../base/late-map.ts'
import type { InflightDelivery, SessionBounds } from './session-types.ts'

/** What an entry takes, about. */
const entryBytes = 200

export class InflightTable {
  private readonly bounds: SessionBounds
  private readonly deliveries = new LateMap<number, InflightDelivery>()

  constructor(bounds: SessionBounds) {
    this.bounds = bounds
  }

  get size(): number {
    return this.deliveries.size
  }

  /** All sessions together hold what they may, and this one has something in flight: its acknowledgement goes on with the rest. */
  get isCrowded(): boolean {
    return this.size > 0 && this.bounds.queuedBytesTotal >= this.bounds.queuedBytesTotalMax
  }

  add(delivery: InflightDelivery): void {
    this.deliveries.set(delivery.packetId, delivery)
    this.bounds.queuedBytesTotal += entryBytes + delivery.message.hold()
  }

  has(packetId: number): boolean {
    return this.deliveries.has(packetId)
  }

  get(packetId: number): InflightDelivery | undefined {
    return this.deliveries.get(packetId)
  }

  delete(packetId: number): void {
    const delivery = this.deliveries.get(packetId)
    if (delivery === undefined) return
    this.deliveries.delete(packetId)
    this.bounds.queuedBytesTotal -= entryBytes + delivery.message.letGo()
  }

  /** In the order in which they were begun. */
  values(): MapIterator<InflightDelivery> {
    return this.deliveries.values()
  }

  clear(): void {
    for (const packetId of [...this.deliveries.keys()]) this.delete(packetId)
  }
}
