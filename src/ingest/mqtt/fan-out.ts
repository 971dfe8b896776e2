import { copyBytes } from '../../base/bytes.ts'
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { isValidTopicName, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { headersOf, type ScannedRecord } from './record-scan.ts'
import { type CachedByTopic, hashTopic, TopicCache } from './route-cache.ts'
import type { MqttSession, SessionLink, Subscription } from './session.ts'
import { SharedGroup } from './shared-group.ts'
import type { SubscriptionIndex } from './subscription-index.ts'

/** One session and its own subscriptions that match a topic. */
interface Match {
  readonly session: MqttSession
  readonly subscriptions: readonly Subscription[]
}

interface Matches {
  readonly own: readonly Match[]
  readonly groups: readonly SharedGroup[]
}

interface TopicMatches extends CachedByTopic {
  version: number
  matches: Matches
}

/** Topics whose matches are remembered. */
const cacheCapacity = 4096
const nobody: Matches = { own: [], groups: [] }

/** Gives one record to every session that subscribes to its topic. */
export class FanOut {
  private readonly subscriptions: SubscriptionIndex
  private readonly cache = new TopicCache<TopicMatches>(cacheCapacity)
  private readonly touched = new Set<SessionLink>()
  private readonly onDelivered: () => void
  private version = 0

  /** `onDelivered` is called after a flush that sent something. */
  constructor(subscriptions: SubscriptionIndex, onDelivered: () => void) {
    this.subscriptions = subscriptions
    this.onDelivered = onDelivered
  }

  /** Subscriptions have changed: what is remembered is looked up again. */
  onSubscriptionsChanged(): void {
    this.version += 1
  }

  /** Offers the record to its subscribers; `flush` sends what they were given. */
  offer(bytes: Uint8Array, record: ScannedRecord, wallMs: number): void {
    const isNamed = record.topicStart >= 0
    const start = isNamed ? record.topicStart : record.keyStart
    const end = isNamed ? record.topicEnd : record.keyEnd
    if (start < 0) return
    const matches = this.matchesOf(bytes, start, end)
    if (matches === nobody) return
    const payload = record.valueStart < 0 ? noBytes : copyBytes(bytes, record.valueStart, record.valueEnd)
    const message = new OutgoingMessage(copyBytes(bytes, start, end), payload, headersOf(bytes, record))
    if (message.isExpired(wallMs)) return
    for (const match of matches.own) this.deliver(message, match, wallMs)
    for (const group of matches.groups) {
      const link = group.offer(message, wallMs)?.link
      if (link != null) this.touched.add(link)
    }
  }

  private matchesOf(bytes: Uint8Array, start: number, end: number): Matches {
    const hash = hashTopic(bytes, start, end)
    let entry = this.cache.find(hash, bytes, start, end)
    if (entry === undefined) {
      if (!isValidTopicName(bytes, start, end)) return nobody
      entry = { topic: copyBytes(bytes, start, end), topicHash: hash, version: -1, matches: nobody }
      this.cache.add(entry)
    }
    if (entry.version !== this.version) {
      entry.matches = this.findMatches(utf8Text(bytes, start, end))
      entry.version = this.version
    }
    return entry.matches
  }

  private findMatches(topic: string): Matches {
    const bySession = new Map<MqttSession, Subscription[]>()
    const groups: SharedGroup[] = []
    this.subscriptions.match(topic, (subscriber) => {
      if (subscriber instanceof SharedGroup) {
        groups.push(subscriber)
        return
      }
      const known = bySession.get(subscriber.session)
      if (known === undefined) bySession.set(subscriber.session, [subscriber])
      else known.push(subscriber)
    })
    if (bySession.size === 0 && groups.length === 0) return nobody
    return { own: [...bySession].map(([session, subscriptions]) => ({ session, subscriptions })), groups }
  }

  /** One copy for each session, whatever the number of its matching subscriptions [MQTT-3.3.4-2], [MQTT-3.3.4-4]. */
  private deliver(message: OutgoingMessage, match: Match, wallMs: number): void {
    const { session } = match
    const isOwn = message.headers.clientId === session.clientId
    let granted = -1
    let retain = false
    let subscriptionIds: number[] | null = null
    for (const subscription of match.subscriptions) {
      if (isOwn && subscription.noLocal) continue // [MQTT-3.8.3-3]
      granted = Math.max(granted, subscription.qos)
      retain ||= subscription.retainAsPublished && message.headers.retain
      if (subscription.subscriptionId !== 0) {
        subscriptionIds ??= []
        subscriptionIds.push(subscription.subscriptionId)
      }
    }
    if (granted < 0) return
    session.offer(
      { message, qos: granted as QualityOfService, retain, subscriptionIds: subscriptionIds ?? noIds, group: null },
      wallMs,
    )
    if (session.link !== null) this.touched.add(session.link)
  }

  /** Sends what was queued since the last flush. */
  flush(): void {
    if (this.touched.size === 0) return
    for (const link of this.touched) link.flush()
    this.touched.clear()
    this.onDelivered()
  }
}

const noBytes = new Uint8Array(0)
const noIds: readonly number[] = []
