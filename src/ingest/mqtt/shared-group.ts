import type { Partition } from '../../cluster/partition/partition.ts'
import { mayRead } from './delivery-form.ts'
import { InflightDelivery } from './inflight-delivery.ts'
import type { MessageOrigin, OutgoingMessage } from './outgoing-message.ts'
import type { DoneAbove, PlacedReader } from './reader-places.ts'
import type { MqttSession } from './session.ts'
import type { Delivery, Subscription } from './session-types.ts'

/**
 * A shared subscription (4.8.2): each message goes to one member. Members that are online and have room in their window take turns; then it
 * queues for the online one that is owed the least; else it waits in the log. What a member gives back goes to another.
 */
export class SharedGroup implements PlacedReader {
  /** `$share/NAME/FILTER`. */
  readonly key: string
  /** The filter alone. */
  readonly filter: string
  private readonly members = new Map<MqttSession, Subscription>()
  /** The same, in the order of their turns. */
  private order: MqttSession[] = []
  /** Partitions of the log that it reads at a place of its own, and where. */
  readonly behind = new Map<Partition, number>()
  readonly done = new Map<Partition, DoneAbove>()
  /** Taken back from members. Bound: the queues and windows that they were in. */
  private readonly returned: OutgoingMessage[] = []
  private turn = 0
  /** Records that a member had begun at QoS 2 before the restart. Bound: what its members carry of it. */
  private readonly taken = new Map<Partition, Set<number>>()

  constructor(key: string, filter: string) {
    this.key = key
    this.filter = filter
  }

  get size(): number {
    return this.members.size
  }

  /** Adds a member, or gives it another subscription. */
  set(subscription: Subscription): void {
    const { session } = subscription
    if (!this.members.has(session)) this.order.push(session)
    this.members.set(session, subscription)
  }

  /** Takes a member out; what it has not begun to send goes to the others. */
  delete(session: MqttSession): boolean {
    if (!this.members.delete(session)) return false
    this.order = this.order.filter((member) => member !== session)
    return true
  }

  /** Places in the log of what its members were given and are not done with. */
  *pendingOrigins(): Iterable<MessageOrigin> {
    for (const member of this.order) yield* member.pendingOrigins(this)
    for (const { origin } of this.returned) if (origin !== null) yield origin
  }

  /** Taken back from members and not given again. */
  get returnedMessages(): readonly OutgoingMessage[] {
    return this.returned
  }

  get sessions(): readonly MqttSession[] {
    return this.order
  }

  hasMember(isAsked: (session: MqttSession) => boolean): boolean {
    return this.order.some(isAsked)
  }

  /** A member is online and has room. */
  get wantsMore(): boolean {
    return this.order.some((member) => member.wantsMore)
  }

  /** Is there a member that may read it? */
  hasReaderOf(message: OutgoingMessage): boolean {
    return this.order.some((member) => mayRead(member, message))
  }

  /** A member carries the record, or has had it: it is nobody's to give. */
  take({ partition, offset }: MessageOrigin): void {
    const known = this.taken.get(partition)
    if (known === undefined) this.taken.set(partition, new Set([offset]))
    else known.add(offset)
  }

  /** The place of the subscription has passed it. */
  forgetTaken({ partition, offset }: MessageOrigin): void {
    const known = this.taken.get(partition)
    if (known?.delete(offset) === true && known.size === 0) this.taken.delete(partition)
  }

  hasTaken({ origin }: OutgoingMessage): boolean {
    return this.taken.size > 0 && origin !== null && this.taken.get(origin.partition)?.has(origin.offset) === true
  }

  /** Gives the message to a member; null when none takes it: then it waits in the log. */
  offer(message: OutgoingMessage, wallMs: number): MqttSession | null {
    const count = this.order.length
    let best: MqttSession | null = null
    for (let step = 0; step < count; step += 1) {
      const at = (this.turn + step) % count
      const member = this.order[at] as MqttSession
      if (!mayRead(member, message)) continue
      if (member.hasRoom) {
        this.turn = (at + 1) % count
        return this.give(member, message, wallMs) ? member : null
      }
      if (member.link !== null && (best === null || member.pendingCount < best.pendingCount)) best = member
    }
    return best !== null && this.give(best, message, wallMs) ? best : null
  }

  private give(member: MqttSession, message: OutgoingMessage, wallMs: number): boolean {
    const { qos, retainAsPublished, subscriptionId } = this.members.get(member) as Subscription
    const retain = retainAsPublished && message.headers.retain
    const subscriptionIds = subscriptionId === 0 ? [] : [subscriptionId]
    return member.offer(new InflightDelivery({ message, qos, retain, subscriptionIds, group: this }), wallMs)
  }

  /** Messages that a member will not deliver: it has left, or its connection has gone before they were sent. They come first again. */
  takeBack(deliveries: readonly Delivery[], wallMs: number): void {
    for (const { message } of deliveries) this.returned.push(message)
    this.giveReturned(wallMs)
  }

  /** Gives what was taken back to whoever has room. */
  giveReturned(wallMs: number): void {
    let given = 0
    for (const message of this.returned) {
      const member = this.offer(message, wallMs)
      if (member === null) break
      given += 1
      member.link?.flush()
    }
    this.returned.splice(0, given)
  }
}
