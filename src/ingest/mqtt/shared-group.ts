import type { OutgoingMessage } from './outgoing-message.ts'
import type { LogDelivery, MqttSession, Subscription } from './session.ts'

/**
 * A shared subscription (4.8.2): each message goes to one member. Members that are online and have room in their window take turns; when none
 * has, the message waits for the one that is owed the least. What a member gives back goes to another.
 */
export class SharedGroup {
  /** `$share/NAME/FILTER`. */
  readonly key: string
  /** The filter alone. */
  readonly filter: string
  private readonly members = new Map<MqttSession, Subscription>()
  /** The same, in the order of their turns. */
  private order: MqttSession[] = []
  private turn = 0

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

  /** Gives the message to a member. */
  offer(message: OutgoingMessage, wallMs: number): MqttSession | null {
    const member = this.choose()
    const subscription = member === null ? undefined : this.members.get(member)
    if (member === null || subscription === undefined) return null
    const { qos, retainAsPublished, subscriptionId } = subscription
    member.offer(
      {
        message,
        qos,
        retain: retainAsPublished && message.headers.retain,
        subscriptionIds: subscriptionId === 0 ? [] : [subscriptionId],
        group: this,
      },
      wallMs,
    )
    return member
  }

  /** Messages that a member will not deliver: it has left, or its connection has gone before they were sent. */
  takeBack(deliveries: readonly LogDelivery[], wallMs: number): void {
    for (const { message } of deliveries) this.offer(message, wallMs)?.link?.flush()
  }

  private choose(): MqttSession | null {
    const count = this.order.length
    let best: MqttSession | null = null
    for (let step = 0; step < count; step += 1) {
      const at = (this.turn + step) % count
      const member = this.order[at] as MqttSession
      if (member.hasRoom) {
        this.turn = (at + 1) % count
        return member
      }
      if (best === null || owesLess(member, best)) best = member
    }
    return best
  }
}

/** Those who are online come first, then those who wait for less. */
function owesLess(one: MqttSession, other: MqttSession): boolean {
  const isOnline = one.link !== null
  if (isOnline !== (other.link !== null)) return isOnline
  return one.pendingCount < other.pendingCount
}
