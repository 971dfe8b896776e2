import type { TopicFilterTrie } from '../../protocol/mqtt/topic-filter.ts'
import { isValidTopicName, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { headersOf, type ScannedRecord } from './record-scan.ts'
import { type CachedByTopic, hashTopic, TopicCache } from './route-cache.ts'
import type { MqttSession, SessionLink, Subscription } from './session.ts'

/** One session and its subscriptions that match a topic. */
interface Match {
  readonly session: MqttSession
  readonly subscriptions: readonly Subscription[]
}

interface TopicMatches extends CachedByTopic {
  version: number
  matches: readonly Match[]
}

/** Topics whose matches are remembered. */
const cacheCapacity = 4096
const nobody: readonly Match[] = []

/** Gives one record to every session that subscribes to its topic. */
export class FanOut {
  private readonly subscriptions: TopicFilterTrie<Subscription>
  private readonly cache = new TopicCache<TopicMatches>(cacheCapacity)
  private readonly touched = new Set<SessionLink>()
  private readonly onDelivered: () => void
  private version = 0

  /** `onDelivered` is called after a flush that sent something. */
  constructor(subscriptions: TopicFilterTrie<Subscription>, onDelivered: () => void) {
    this.subscriptions = subscriptions
    this.onDelivered = onDelivered
  }

  /** Subscriptions have changed: what is remembered is looked up again. */
  onSubscriptionsChanged(): void {
    this.version += 1
  }

  /** Offers a record of a Kafka topic to its subscribers; `flush` sends what they were given. */
  offer(bytes: Uint8Array, record: ScannedRecord, wallMs: number, kafkaTopic: string): void {
    const isNamed = record.topicStart >= 0
    const start = isNamed ? record.topicStart : record.keyStart
    const end = isNamed ? record.topicEnd : record.keyEnd
    if (start < 0) return
    const matches = this.matchesOf(bytes, start, end)
    if (matches.length === 0) return
    const payload = record.valueStart < 0 ? noBytes : bytes.slice(record.valueStart, record.valueEnd)
    const message = new OutgoingMessage(bytes.slice(start, end), payload, headersOf(bytes, record))
    if (message.isExpired(wallMs)) return
    for (const match of matches) {
      if (match.session.rights?.mayRead(kafkaTopic) !== false) this.deliver(message, match, wallMs)
    }
  }

  private matchesOf(bytes: Uint8Array, start: number, end: number): readonly Match[] {
    const hash = hashTopic(bytes, start, end)
    let entry = this.cache.find(hash, bytes, start, end)
    if (entry === undefined) {
      if (!isValidTopicName(bytes, start, end)) return nobody
      entry = { topic: bytes.slice(start, end), topicHash: hash, version: -1, matches: nobody }
      this.cache.add(entry)
    }
    if (entry.version !== this.version) {
      entry.matches = this.findMatches(utf8Text(bytes, start, end))
      entry.version = this.version
    }
    return entry.matches
  }

  private findMatches(topic: string): readonly Match[] {
    const bySession = new Map<MqttSession, Subscription[]>()
    this.subscriptions.match(topic, (subscription) => {
      const known = bySession.get(subscription.session)
      if (known === undefined) bySession.set(subscription.session, [subscription])
      else known.push(subscription)
    })
    return bySession.size === 0
      ? nobody
      : [...bySession].map(([session, subscriptions]) => ({ session, subscriptions }))
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
    const delivery = { message, retain, subscriptionIds: subscriptionIds ?? noIds }
    if (Math.min(granted, message.headers.qos) === 0) session.offerQos0(delivery, wallMs)
    else session.offerQos1(delivery, wallMs)
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
