/**
 * `$SYS/broker/...`: figures of the broker under the names that Mosquitto gives them. They are not stored: made when somebody asks, and given like
 * retained messages; while anybody subscribes, what has changed is sent every ten seconds.
 */
import type { Clock, Timer } from '../../base/ports.ts'
import { filterMatches, isOfSys, plainFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { headerNames } from './record-headers.ts'
import type { RetainedEntry } from './retained-store.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import { SharedGroup } from './shared-group.ts'

/** What the topics tell. */
export interface SysFigures {
  readonly version: string
  readonly uptimeSeconds: number
  readonly connected: number
  readonly sessions: number
  readonly connectedMax: number
  readonly receivedMessages: number
  readonly receivedMessageBytes: number
  readonly sentMessages: number
  readonly sentMessageBytes: number
  readonly droppedMessages: number
  readonly receivedBytes: number
  readonly sentBytes: number
  readonly retained: number
  readonly subscriptions: number
}

const updateEveryMs = 10_000
const prefix = '$SYS/broker/'

const topics: Readonly<Record<string, (figures: SysFigures) => string>> = {
  version: ({ version }) => `headwater ${version}`,
  uptime: ({ uptimeSeconds }) => `${uptimeSeconds} seconds`,
  'clients/connected': ({ connected }) => String(connected),
  'clients/disconnected': ({ sessions, connected }) => String(Math.max(0, sessions - connected)),
  'clients/total': ({ sessions, connected }) => String(Math.max(sessions, connected)),
  'clients/maximum': ({ connectedMax }) => String(connectedMax),
  'publish/messages/received': ({ receivedMessages }) => String(receivedMessages),
  'publish/messages/sent': ({ sentMessages }) => String(sentMessages),
  'publish/messages/dropped': ({ droppedMessages }) => String(droppedMessages),
  'publish/bytes/received': ({ receivedMessageBytes }) => String(receivedMessageBytes),
  'publish/bytes/sent': ({ sentMessageBytes }) => String(sentMessageBytes),
  'bytes/received': ({ receivedBytes }) => String(receivedBytes),
  'bytes/sent': ({ sentBytes }) => String(sentBytes),
  'retained messages/count': ({ retained }) => String(retained),
  'subscriptions/count': ({ subscriptions }) => String(subscriptions),
}

/** Names of all of them. */
export const sysTopicNames: readonly string[] = Object.keys(topics).map((name) => prefix + name)

export interface SysTopicsOptions {
  readonly clock: Clock
  readonly subscriptions: SubscriptionIndex
  readonly figures: () => SysFigures
}

export class SysTopics {
  private readonly options: SysTopicsOptions
  private readonly sent = new Map<string, string>()
  private timer: Timer | null = null

  constructor(options: SysTopicsOptions) {
    this.options = options
  }

  /** What a new subscription with this filter is given. */
  *walk(filter: string): Generator<RetainedEntry, void, undefined> {
    if (!isOfSys(filter)) return
    const figures = this.options.figures()
    for (const [name, value] of Object.entries(topics)) {
      const topic = prefix + name
      if (filterMatches(filter, topic)) yield { topic, message: messageOf(topic, value(figures)) }
    }
  }

  /** Somebody may have subscribed. */
  onSubscribed(filter: string): void {
    if (this.timer !== null || !isOfSys(plainFilterOf(filter))) return
    this.schedule()
  }

  private schedule(): void {
    this.timer = this.options.clock.schedule(updateEveryMs, () => {
      this.timer = null
      if (this.update()) this.schedule()
      else this.sent.clear()
    })
  }

  /** Sends what has changed; false when nobody subscribes any more. */
  private update(): boolean {
    const { clock, subscriptions } = this.options
    const figures = this.options.figures()
    const wallMs = clock.wallMs()
    let hasSubscribers = false
    for (const [name, value] of Object.entries(topics)) {
      const topic = prefix + name
      const text = value(figures)
      const hasChanged = this.sent.get(topic) !== text
      const message = messageOf(topic, text)
      subscriptions.match(topic, (subscriber) => {
        hasSubscribers = true
        if (!hasChanged) return
        if (subscriber instanceof SharedGroup) subscriber.offer(message, wallMs)?.link?.flush()
        else {
          const { session, qos, retainAsPublished, subscriptionId } = subscriber
          const subscriptionIds = subscriptionId === 0 ? [] : [subscriptionId]
          if (session.rights?.mayReceive(topic) === false) return
          session.offer({ message, qos, retain: retainAsPublished, subscriptionIds, group: null }, wallMs)
          session.link?.flush()
        }
      })
      this.sent.set(topic, text)
    }
    return hasSubscribers
  }

  stop(): void {
    if (this.timer !== null) this.options.clock.cancel(this.timer)
    this.timer = null
  }
}

/** At QoS 0: the next one is never far. */
function messageOf(topic: string, text: string): OutgoingMessage {
  const headers = [{ key: headerNames.qos, value: Buffer.from('0') }]
  return new OutgoingMessage(Buffer.from(topic), Buffer.from(text), headers)
}
