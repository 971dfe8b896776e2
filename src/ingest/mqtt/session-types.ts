/** What a session is told and tells: its connection, its subscriptions, what it delivers, its bounds. */
import type { Partition } from '../../cluster/partition/partition.ts'
import type { EncodedPublish } from '../../protocol/mqtt/encode.ts'
import type { QualityOfService } from '../../protocol/mqtt/packet-types.ts'
import type { AckGroup, Committer } from './ack-queue.ts'
import type { InflightDelivery } from './inflight-delivery.ts'
import type { OutgoingId, OutgoingPlace } from './outgoing-ids.ts'
import type { LogReplay } from './log-replay.ts'
import type { RetainedDebt } from './retained-debt.ts'
import type { OutgoingMessage } from './outgoing-message.ts'
import type { MqttSession } from './session.ts'
import type { TopicAliases } from './topic-aliases.ts'
import type { SharedGroup } from './shared-group.ts'

/** The connection that is attached to a session. */
export interface SessionLink {
  readonly level: 3 | 4 | 5
  /** Unfinished QoS 1 and 2 messages that the client takes at a time: its Receive Maximum, and our own bound. */
  readonly sendWindow: number
  /** Topics that the client knows by a number. */
  readonly aliases: TopicAliases
  /** Largest packet the client takes. */
  readonly packetBytesMax: number
  /** False while what was sent before waits in the socket's backlog. */
  readonly isWritable: boolean
  /** Queues a packet, at QoS 1 and 2 under this id; `flush` sends what is queued. */
  sendPublish(packet: EncodedPublish, packetId: number, duplicate: boolean): void
  /** Queues PUBREL. */
  sendRelease(packetId: number): void
  flush(): void
  /** Another connection brings the same client id. */
  takeOver(cleanStart: boolean): void
}

export interface Subscription {
  readonly session: MqttSession
  /** As the client wrote it: `$share/NAME/FILTER` for a shared one. */
  readonly filter: string
  readonly qos: QualityOfService
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0 = none. */
  readonly subscriptionId: number
  /** Where it begins in partitions of which older messages were still to be handed over when it was made; null = everywhere at the live end. */
  readonly since: ReadonlyMap<Partition, number> | null
}

/** How a message goes to one session; the form's level is that of the connection at the time. */
export interface Delivery {
  readonly message: OutgoingMessage
  /** The subscription's. A message goes at this or at its own, whichever is lower. */
  readonly qos: QualityOfService
  readonly retain: boolean
  readonly subscriptionIds: readonly number[]
  /** The shared subscription that it came by; null = one of the session's own. */
  readonly group: SharedGroup | null
  /** The replay that it came by; such a message is never kept beyond the connection, unless it was sent. */
  readonly replay?: LogReplay | undefined
  /** What is owed until it is acknowledged: it is a retained message of a kept session. */
  readonly debt?: RetainedDebt | undefined
}

/** What the log is told of a QoS 2 message that has begun. */
export interface OutgoingRecord {
  readonly place: OutgoingPlace
  readonly id: OutgoingId
  /** The message, where it is not read from the log again: a retained one, or one of a shared subscription, whose others must not have it. */
  readonly carried: InflightDelivery | null
}

/** A QoS 2 message that the client has (PUBREC): `recording` until the log knows that, then PUBREL is `due`, then `sent`. */
export interface Release {
  state: 'recording' | 'due' | 'sent'
  /** It has its place in the window of this connection: its message was sent on it. */
  isCounted: boolean
  /** Null = the log does not know the id. */
  readonly place: OutgoingPlace | null
}

/** Has the group of a connection's acknowledgements settle with a commit that is under way. */
export type JoinCommit = (committer: Committer, group: AckGroup) => void

/** A QoS 2 PUBLISH that was taken and not yet released. */
export interface ReceivedPublish {
  /**
   * `appending`: message and id are on their way to the log; `received`: durable, PUBREC is due or sent; `releasing`: the removal of the id is on
   * its way.
   */
  phase: 'appending' | 'received' | 'releasing'
  /** `appending`, `releasing`: lets a repeated PUBLISH or PUBREL wait for the same commit. */
  joinCommit: JoinCommit | null
}

export type DropReason = 'queue_full' | 'not_connected' | 'slow' | 'too_large' | 'expired'

/** Bounds and counters that all sessions of a door share. */
export interface SessionBounds {
  readonly queuedMessagesMax: number
  readonly queuedBytesMax: number
  readonly queuedBytesTotalMax: number
  /** QoS 2 ids of one session that wait, finished, for its place in the log to pass them. */
  readonly finishedIdsMax: number
  /** Bytes queued or in flight in all sessions. */
  queuedBytesTotal: number
  /** Messages queued, and at QoS 1 and 2 in flight, in all sessions. */
  readonly held: { queued: number; inflight: number }
  onDrop(session: MqttSession, reason: DropReason): void
  /**
   * Writes what is known of a QoS 2 message on its way to a kept session; `then` is called with the wall ms when that is durable. False = the session is
   * not kept, or it does not fit into a record: nothing is written.
   */
  recordOutgoing(session: MqttSession, record: OutgoingRecord, then: (wallMs: number) => void): boolean
  /** Where it is in the log has changed. */
  onProgress(session: MqttSession): void
  /** The session could take more than it is given. */
  onRoom(session: MqttSession): void
}
