import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock, Entropy, Observer, PeerFacts } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { PacketColumns } from '../../protocol/mqtt/packet-columns.ts'
import type { Authorizer } from '../../security/authorizer.ts'
import type { Authenticator } from '../../security/authenticator.ts'
import type { QuotaKeeper } from '../../security/quotas/quota-keeper.ts'
import type { CommandKeeper } from './command-keeper.ts'
import type { CommitBatches } from './commit-batch.ts'
import type { DoorCounters } from './door-counters.ts'
import type { EventBudget } from './event-budget.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'
import type { PacketIdLog } from './packet-id-log.ts'
import type { RetainedKeeper } from './retained-keeper.ts'
import type { ReplayTable } from './replay-table.ts'
import type { PayloadChecks } from './payload-check.ts'
import type { RouteTable } from './route-table.ts'
import type { MqttSession } from './session.ts'
import type { SessionKeeper } from './session-keeper.ts'
import type { SessionTable } from './session-table.ts'
import type { SparkplugDecoder } from './sparkplug-decoder.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import type { SysTopics } from './sys-topics.ts'
import type { TopicMapping } from './topic-mapping.ts'
import type { WillKeeper } from './will-keeper.ts'

/** What the connections of one door share. */
export interface DoorServices {
  readonly clock: Clock
  readonly entropy: Entropy
  readonly observer: Observer
  readonly broker: Broker
  readonly options: MqttDoorOptions
  /** Null: no listener checks passwords. */
  readonly authenticator: Authenticator | null
  /** Null: there are no quotas. */
  readonly quotas: QuotaKeeper | null
  /** Null: everybody may do everything. */
  readonly authorizer: Authorizer | null
  /** Who a connection speaks for where no password is asked for; null = nobody whom the door takes. */
  readonly principalOf: (peer: PeerFacts) => string | null
  readonly mapping: TopicMapping
  readonly routes: RouteTable
  /** Schemas of routes. */
  readonly checks: PayloadChecks
  readonly commits: CommitBatches
  readonly packetIds: PacketIdLog
  readonly sessions: SessionTable
  readonly subscriptions: SubscriptionIndex
  readonly wills: WillKeeper
  readonly keeper: SessionKeeper
  readonly retained: RetainedKeeper
  /** Null: messages of Sparkplug are not decoded. */
  readonly decoder: SparkplugDecoder | null
  readonly sys: SysTopics
  readonly replays: ReplayTable
  /** Null: there are no command routes. */
  readonly commands: CommandKeeper | null
  readonly eventBudget: EventBudget
  readonly counters: DoorCounters
  /** One set of columns for all connections: decoding is synchronous. */
  readonly columns: PacketColumns
  /** What marks a record received at this wall time; null while the time is known. */
  clockMark(wallMs: number): ClockMark | null
  /** Subscriptions were added or removed. */
  onSubscriptionsChanged(): void
  /** Offset from which a partition's records are still to be handed over; undefined = it is not read. */
  livePosition(partition: Partition): number | undefined
  /** Partitions in which committed messages (no commands) are still to be handed over, and where those end. */
  unread(): Iterable<readonly [Partition, number]>
  /** A session lost its connection: it is kept for a while, or ended. */
  onDetached(session: MqttSession): void
  /** A session has a connection again. */
  onAttached(session: MqttSession): void
  /** A connection waits until the broker's pending bytes have gone down; it is resumed by `onPendingBytesDown`. */
  waitForPendingBytes(waiter: PendingBytesWaiter): void
}

export interface PendingBytesWaiter {
  onPendingBytesDown(): void
}
