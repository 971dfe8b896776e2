/**
 * `$SYS/broker/...`: figures of the broker under the names that Mosquitto gives them. They are not stored: made when somebody asks, and given like
 * retained messages; while anybody subscribes, what has changed is sent every ten seconds.
 */
import type { Clock, Timer } from '../../base/ports.ts'
import { filterMatches, isOfSys, plainFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { DoorTotals } from './door-counters.ts'
import type { DoorSizes } from './door-sizes.ts'
import { loadWindows } from './load-averages.ts'
import { OutgoingMessage } from './outgoing-message.ts'
import { headerNames } from './record-headers.ts'
import type { RetainedEntry } from './retained-store.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import { SharedGroup } from './shared-group.ts'

/** What the topics tell. */
export interface SysFigures {
  readonly version: string
  readonly uptimeSeconds: number
  /** Since the start. */
  readonly totals: DoorTotals
  /** Now. */
  readonly sizes: DoorSizes
  /** A minute, averaged over 1, 5 and 15 of them. */
  readonly load: (name: LoadName) => readonly number[]
}

const updateEveryMs = 10_000
const prefix = '$SYS/broker/'

type Figure = (figures: SysFigures) => string | number

/** What a load is the average of. */
const loads = {
  connections: 'connects',
  'bytes/received': 'receivedBytes',
  'bytes/sent': 'sentBytes',
  'messages/received': 'receivedPackets',
  'messages/sent': 'sentPackets',
  'publish/dropped': 'droppedMessages',
  'publish/received': 'receivedMessages',
  'publish/sent': 'sentMessages',
  sockets: 'sockets',
} as const satisfies Record<string, keyof DoorTotals>

export type LoadName = (typeof loads)[keyof typeof loads]
export const loadNames: readonly LoadName[] = Object.values(loads)

/** What waits in the log alone is not counted: its messages are not known before they are read. */
const heldMessages: Figure = ({ sizes }) => sizes.retainedMessages + sizes.queuedMessages + sizes.inflightMessages
const disconnected: Figure = ({ sizes }) => Math.max(0, sizes.sessions - sizes.connections)

const topics: Readonly<Record<string, Figure>> = {
  version: ({ version }) => `headwater ${version}`,
  uptime: ({ uptimeSeconds }) => `${uptimeSeconds} seconds`,
  'clients/connected': ({ sizes }) => sizes.connections,
  'clients/active': ({ sizes }) => sizes.connections,
  'clients/disconnected': disconnected,
  'clients/inactive': disconnected,
  'clients/total': ({ sizes }) => Math.max(sizes.sessions, sizes.connections),
  'clients/maximum': ({ totals }) => totals.connectedMax,
  'clients/expired': ({ totals }) => totals.expiredSessions,
  'messages/received': ({ totals }) => totals.receivedPackets,
  'messages/sent': ({ totals }) => totals.sentPackets,
  'messages/inflight': ({ sizes }) => sizes.inflightMessages,
  'messages/stored': heldMessages,
  'store/messages/count': heldMessages,
  'store/messages/bytes': ({ sizes }) => sizes.retainedBytes + sizes.queuedBytes,
  'publish/messages/received': ({ totals }) => totals.receivedMessages,
  'publish/messages/sent': ({ totals }) => totals.sentMessages,
  'publish/messages/dropped': ({ totals }) => totals.droppedMessages,
  'publish/bytes/received': ({ totals }) => totals.receivedMessageBytes,
  'publish/bytes/sent': ({ totals }) => totals.sentMessageBytes,
  'bytes/received': ({ totals }) => totals.receivedBytes,
  'bytes/sent': ({ totals }) => totals.sentBytes,
  'retained messages/count': ({ sizes }) => sizes.retainedMessages,
  'subscriptions/count': ({ sizes }) => sizes.subscriptions,
  'shared_subscriptions/count': ({ sizes }) => sizes.sharedSubscriptions,
  ...loadTopics(),
}

function loadTopics(): Record<string, Figure> {
  const made: Record<string, Figure> = {}
  for (const [name, total] of Object.entries(loads)) {
    for (const [at, window] of Object.keys(loadWindows).entries()) {
      made[`load/${name}/${window}`] = ({ load }) => (load(total)[at] ?? 0).toFixed(2)
    }
  }
  return made
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
      if (filterMatches(filter, topic)) yield { topic, message: messageOf(topic, String(value(figures))) }
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
      const text = String(value(figures))
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
