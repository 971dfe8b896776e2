import { copyBytes } from '../../base/bytes.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import { isValidTopicName, utf8Text } from '../../protocol/mqtt/utf8.ts'
import type { Reader } from './catch-up.ts'
import type { CommandKeeper } from './command-keeper.ts'
import { mayRead } from './delivery-form.ts'
import { LogPlace, type MessageOrigin, OutgoingMessage } from './outgoing-message.ts'
import { InflightDelivery } from './inflight-delivery.ts'
import { HeaderCache } from './header-cache.ts'
import type { ReadCommand } from './read-command.ts'
import { isDoneWith } from './reader-places.ts'
import type { MarkedTimes } from './record-headers.ts'
import type { ScannedRecord } from './record-scan.ts'
import type { OpenStretch } from './log-summaries.ts'
import { hashTopic, TopicCache } from './route-cache.ts'
import type { MqttSession } from './session.ts'
import type { SessionLink, Subscription } from './session-types.ts'
import { SharedGroup } from './shared-group.ts'
import { certificatePrefix, decodedPrefix } from './sparkplug.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import { type SummarizedTopic, unsummarized } from './topic-summary.ts'

/** Names that begin with $ are what the server itself says: no record may, but for what it makes of Sparkplug's messages, which are records. */
function isServersOwn(bytes: Uint8Array, start: number, end: number): boolean {
  if (bytes[start] !== dollar) return false
  const name = utf8Text(bytes, start, end)
  return !name.startsWith(certificatePrefix) && !name.startsWith(decodedPrefix)
}

const dollar = 0x24

interface Matches {
  readonly own: ReadonlyMap<MqttSession, readonly Subscription[]>
  readonly groups: readonly SharedGroup[]
}

interface TopicMatches extends SummarizedTopic {
  version: number
  matches: Matches
}

/** Where the record stands, and when it is looked at. */
export interface RecordPlace {
  readonly partition: Partition
  readonly offset: number
  readonly wallMs: number
  /** Where it is noted which topics there are; null = nowhere. */
  readonly summary: OpenStretch | null
}

export interface FanOutHooks {
  /** Called after a flush that sent something. */
  readonly onDelivered: () => void
  /** For who could not take a record at the live end. */
  readonly onBehind: (reader: Reader, partition: Partition) => void
  /** Null = there are no command routes. */
  readonly commands: CommandKeeper | null
  readonly times?: MarkedTimes
}

/** Topics whose matches are remembered. */
const cacheCapacity = 4096
const nobody: Matches = { own: new Map(), groups: [] }

/** Gives one record to every session that subscribes to its topic. */
export class FanOut {
  private readonly subscriptions: SubscriptionIndex
  private readonly cache = new TopicCache<TopicMatches>(cacheCapacity)
  private readonly touched = new Set<SessionLink>()
  private readonly hooks: FanOutHooks
  private readonly headers: HeaderCache
  private version = 0

  constructor(subscriptions: SubscriptionIndex, hooks: FanOutHooks) {
    this.subscriptions = subscriptions
    this.hooks = hooks
    this.headers = new HeaderCache(hooks.times)
  }

  /** Subscriptions have changed: what is remembered is looked up again. */
  onSubscriptionsChanged(): void {
    this.version += 1
  }

  /**
   * Offers the record to all its subscribers that are at the live end; `flush` sends what they were given. False = it is a command that cannot be taken
   * yet: it is to be offered again.
   */
  offer(bytes: Uint8Array, record: ScannedRecord, place: RecordPlace): boolean {
    const { commands } = this.hooks
    const command = commands === null ? null : commands.read(bytes, record, place, true)
    if (command === 'passed') return true
    if (commands !== null && command !== null) return this.offerCommand(commands, command, place)
    const found = this.find(bytes, record, place)
    // One that is read again for all who wait for it is not made here for nobody.
    if (found !== null && isAwaited(found.matches, place.partition)) {
      this.give(found.matches, this.messageOf(found, bytes, record, place), place.wallMs)
    }
    return true
  }

  private offerCommand(commands: CommandKeeper, command: ReadCommand, place: RecordPlace): boolean {
    const { wallMs } = place
    const matches = this.findCommand(command, place)
    if (matches === nobody) return commands.takeUnmatched(command.mark, wallMs)
    const { message } = command
    const hasReader =
      [...matches.own.keys()].some((session) => mayRead(session, message)) ||
      matches.groups.some((group) => group.hasReaderOf(message))
    if (!hasReader || message.isExpired(wallMs)) return commands.takeUnmatched(command.mark, wallMs)
    commands.onGiven(message, [...matches.own.keys(), ...matches.groups])
    this.give(matches, message, wallMs)
    return true
  }

  private give(matches: Matches, message: OutgoingMessage, wallMs: number): void {
    const isExpired = message.isExpired(wallMs)
    const { partition, offset } = message.origin as MessageOrigin
    for (const [session, subscriptions] of matches.own) {
      if (session.behind.has(partition) || (isExpired && !session.hasBegun(message))) continue
      if (!this.deliver(message, session, subscriptions, wallMs)) {
        session.fallBehind(partition, offset)
        this.hooks.onBehind(session, partition)
      }
    }
    for (const group of isExpired ? [] : matches.groups) {
      if (group.behind.has(partition)) continue
      if (!this.deliverShared(message, group, wallMs)) {
        group.behind.set(partition, offset)
        this.hooks.onBehind(group, partition)
      }
    }
  }

  /**
   * Offers the record to those of the readers whose place is not behind it. `onFull` is told who takes no more now, and may take it out of `readers`.
   * Answers how many have taken it.
   */
  offerToAll(
    readers: ReadonlySet<Reader>,
    bytes: Uint8Array,
    record: ScannedRecord,
    place: RecordPlace,
    onFull: (reader: Reader) => void,
  ): number {
    const command = this.hooks.commands?.read(bytes, record, place, false) ?? null
    if (command === 'passed') return 0
    const found = command === null ? this.find(bytes, record, place) : null
    const matches = command === null ? found?.matches : this.findCommand(command, place)
    if (matches === undefined || matches === nobody) return 0
    const { partition, offset, wallMs } = place
    let message: OutgoingMessage | null = null
    let count = 0
    // The shorter of two ways to those who subscribe and are asked.
    const areFew = readers.size <= matches.own.size + matches.groups.length
    for (const reader of areFew ? readers : subscribersOf(matches)) {
      if (areFew ? !isSubscribed(reader, matches) : !readers.has(reader)) continue
      if ((reader.behind.get(partition) ?? offset) > offset || isDoneWith(reader, partition, offset)) continue
      message ??= command?.message ?? this.messageOf(found as TopicMatches, bytes, record, place)
      if (message.isExpired(wallMs) && (reader instanceof SharedGroup || !(reader as MqttSession).hasBegun(message)))
        continue
      const isTaken =
        reader instanceof SharedGroup
          ? this.deliverShared(message, reader, wallMs)
          : this.deliver(message, reader as MqttSession, matches.own.get(reader as MqttSession) ?? [], wallMs)
      if (isTaken) count += 1
      else onFull(reader)
    }
    return count
  }

  private deliverShared(message: OutgoingMessage, group: SharedGroup, wallMs: number): boolean {
    // What none of them may read is not waited with.
    if (group.hasTaken(message) || !group.hasReaderOf(message)) return true
    const member = group.offer(message, wallMs)
    if (member?.link != null) this.touched.add(member.link)
    return member !== null
  }

  /** The topic of a record that somebody subscribes to; null = nobody does, or it has none. */
  private find(bytes: Uint8Array, record: ScannedRecord, { summary, offset }: RecordPlace): TopicMatches | null {
    const isNamed = record.topicStart >= 0
    const start = isNamed ? record.topicStart : record.keyStart
    if (start < 0) return null
    const topic = this.topicOf(bytes, start, isNamed ? record.topicEnd : record.keyEnd)
    if (topic === null) return null
    summary?.note(topic, offset)
    return topic.matches === nobody ? null : topic
  }

  private messageOf(
    { topic }: TopicMatches,
    bytes: Uint8Array,
    record: ScannedRecord,
    { partition, offset }: RecordPlace,
  ): OutgoingMessage {
    const payload = record.valueStart < 0 ? noBytes : bytes.subarray(record.valueStart, record.valueEnd)
    return OutgoingMessage.passing(topic, payload, this.headers.read(bytes, record), new LogPlace(partition, offset))
  }

  private findCommand({ topic }: ReadCommand, { summary, offset }: RecordPlace): Matches {
    const known = this.topicOf(topic, 0, topic.length)
    if (known === null) return nobody
    summary?.note(known, offset)
    return known.matches
  }

  /** What is known of a topic; null = it is no topic name. */
  private topicOf(bytes: Uint8Array, start: number, end: number): TopicMatches | null {
    const topicHash = hashTopic(bytes, start, end)
    let entry = this.cache.find(topicHash, bytes, start, end)
    if (entry === undefined) {
      if (!isValidTopicName(bytes, start, end) || isServersOwn(bytes, start, end)) return null
      entry = { topic: copyBytes(bytes, start, end), topicHash, version: -1, matches: nobody, ...unsummarized }
      this.cache.add(entry)
    }
    if (entry.version !== this.version) {
      entry.matches = this.findMatches(utf8Text(bytes, start, end))
      entry.version = this.version
    }
    return entry
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
    return { own: bySession, groups }
  }

  /** One copy for each session, whatever the number of its matching subscriptions [MQTT-3.3.4-2], [MQTT-3.3.4-4]. */
  private deliver(
    message: OutgoingMessage,
    session: MqttSession,
    subscriptions: readonly Subscription[],
    wallMs: number,
  ): boolean {
    if (!mayRead(session, message)) return true
    const isOwn = message.headers.clientId === session.clientId
    let granted = -1
    let retain = false
    let subscriptionIds: number[] | null = null
    for (const subscription of subscriptions) {
      if (isOwn && subscription.noLocal) continue // [MQTT-3.8.3-3]
      if (!hasBegun(subscription, message)) continue
      granted = Math.max(granted, subscription.qos)
      retain ||= subscription.retainAsPublished && message.headers.retain
      if (subscription.subscriptionId !== 0) {
        subscriptionIds ??= []
        subscriptionIds.push(subscription.subscriptionId)
      }
    }
    if (granted < 0) return true
    const qos = granted as QualityOfService
    const isTaken = session.offer(
      new InflightDelivery({ message, qos, retain, subscriptionIds: subscriptionIds ?? noIds, group: null }),
      wallMs,
    )
    if (session.link !== null) this.touched.add(session.link)
    return isTaken
  }

  /** Sends what was queued since the last flush. */
  flush(): void {
    if (this.touched.size === 0) return
    for (const link of this.touched) link.flush()
    this.touched.clear()
    this.hooks.onDelivered()
  }
}

/** Does any of them take the partition at its live end? */
function isAwaited({ own, groups }: Matches, partition: Partition): boolean {
  for (const session of own.keys()) if (!session.behind.has(partition)) return true
  for (const group of groups) if (!group.behind.has(partition)) return true
  return false
}

function isSubscribed(reader: Reader, { own, groups }: Matches): boolean {
  return reader instanceof SharedGroup ? groups.includes(reader) : own.has(reader as MqttSession)
}

function subscribersOf({ own, groups }: Matches): readonly Reader[] {
  return [...own.keys(), ...groups]
}

/** False for what the log held before the subscription was made. */
function hasBegun({ since }: Subscription, { origin }: OutgoingMessage): boolean {
  return since === null || origin === null || origin.offset >= (since.get(origin.partition) ?? 0)
}

const noBytes = new Uint8Array(0)
const noIds: readonly number[] = []
