/**
 * What the server keeps for one client id (4.1): subscriptions, QoS 2 packet ids of incoming messages, and messages on their way to the
 * client. Pure: it talks to the attached connection through `SessionLink` and is told the time.
 */
import type { OutgoingMessage, PublishForm } from './outgoing-message.ts'
import type { AckGroup, Committer } from './ack-queue.ts'
import type { TopicRights } from './topic-rights.ts'

/** The connection that is attached to a session. */
export interface SessionLink {
  readonly level: 3 | 4 | 5
  /** Unacknowledged QoS 1 messages that the client takes at a time: its Receive Maximum, and our own bound. */
  readonly sendWindow: number
  /** Largest packet the client takes. */
  readonly packetBytesMax: number
  /** False while what was sent before waits in the socket's backlog. */
  readonly isWritable: boolean
  /** Queues a packet; `flush` sends what is queued. */
  sendPublish(packet: Uint8Array): void
  flush(): void
  /** Another connection brings the same client id. */
  takeOver(cleanStart: boolean): void
}

export interface Subscription {
  readonly session: MqttSession
  readonly filter: string
  readonly qos: 0 | 1
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  /** 0 = none. */
  readonly subscriptionId: number
}

/** How a message goes to one session; the form's level is that of the connection at the time. */
export interface Delivery {
  readonly message: OutgoingMessage
  readonly retain: boolean
  readonly subscriptionIds: readonly number[]
}

interface InflightDelivery extends Delivery {
  readonly packetId: number
  /** False after a reconnect until it was sent again. */
  isSent: boolean
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
  /** Bytes queued in all sessions. */
  queuedBytesTotal: number
  onDrop(session: MqttSession, reason: DropReason): void
}

const packetIdMax = 65_535

export class MqttSession {
  readonly clientId: string
  readonly subscriptions = new Map<string, Subscription>()
  readonly received = new Map<number, ReceivedPublish>()
  /** Ids the client had not released before the daemon was restarted, with the fingerprints of their messages: see README. */
  readonly carriedIds = new Map<number, number>()
  /** The principal whose it is; null until a client has been accepted. */
  owner: string | null = null
  /** Null: it may publish and read everything. */
  rights: TopicRights | null = null
  /** How long it is kept after its connection closed; 0 = not at all. */
  expiryMs = 0
  private readonly bounds: SessionBounds
  private attached: SessionLink | null = null
  private readonly inflight = new Map<number, InflightDelivery>()
  /** In-flight messages that must be sent again on this connection. */
  private resends: InflightDelivery[] = []
  private queue: Delivery[] = []
  private queueHead = 0
  private queuedBytes = 0
  private sentCount = 0
  private lastPacketId = 0

  constructor(clientId: string, bounds: SessionBounds) {
    this.clientId = clientId
    this.bounds = bounds
  }

  get link(): SessionLink | null {
    return this.attached
  }

  /** QoS 1 messages that are queued or not acknowledged. */
  get pendingCount(): number {
    return this.queue.length - this.queueHead + this.inflight.size
  }

  /** A connection takes the session over: what was not acknowledged is sent again, first, in its order [MQTT-4.4.0-1]. */
  attach(link: SessionLink, wallMs: number): void {
    this.attached = link
    this.sentCount = 0
    this.resends = [...this.inflight.values()]
    for (const delivery of this.resends) delivery.isSent = false
    this.pump(wallMs)
  }

  detach(): void {
    this.attached = null
    this.resends = []
  }

  /** Takes a message at QoS 0: it is sent now or not at all. */
  offerQos0(delivery: Delivery, wallMs: number): void {
    const link = this.attached
    if (link === null) return this.bounds.onDrop(this, 'not_connected')
    if (!link.isWritable) return this.bounds.onDrop(this, 'slow')
    const packet = delivery.message.packetQos0(formOf(delivery, link, 0), wallMs)
    if (packet.length > link.packetBytesMax) return this.bounds.onDrop(this, 'too_large') // [MQTT-3.1.2-28]
    link.sendPublish(packet)
  }

  /** Takes a message at QoS 1: sent when the window is open, else queued, else dropped and counted. */
  offerQos1(delivery: Delivery, wallMs: number): void {
    const size = delivery.message.sizeInBytes
    if (this.queue.length > this.queueHead || !this.maySend()) {
      const isFull =
        this.queue.length - this.queueHead >= this.bounds.queuedMessagesMax ||
        this.queuedBytes + size > this.bounds.queuedBytesMax ||
        this.bounds.queuedBytesTotal + size > this.bounds.queuedBytesTotalMax
      if (isFull) return this.bounds.onDrop(this, 'queue_full')
      this.queue.push(delivery)
      this.queuedBytes += size
      this.bounds.queuedBytesTotal += size
      return
    }
    this.start(delivery, wallMs)
  }

  private maySend(): boolean {
    const link = this.attached
    return link !== null && link.isWritable && this.resends.length === 0 && this.sentCount < link.sendWindow
  }

  private start(delivery: Delivery, wallMs: number): void {
    const link = this.attached as SessionLink
    if (delivery.message.isExpired(wallMs)) return this.bounds.onDrop(this, 'expired')
    const packetId = this.freePacketId()
    const packet = delivery.message.packetQos1(formOf(delivery, link, 1), packetId, false, wallMs)
    if (packet.length > link.packetBytesMax) return this.bounds.onDrop(this, 'too_large')
    this.inflight.set(packetId, { ...delivery, packetId, isSent: true })
    this.sentCount += 1
    link.sendPublish(packet)
  }

  /** An id that is not in use [MQTT-2.2.1-4]; the window is smaller than the ids, so there is one. */
  private freePacketId(): number {
    do {
      this.lastPacketId = this.lastPacketId === packetIdMax ? 1 : this.lastPacketId + 1
    } while (this.inflight.has(this.lastPacketId))
    return this.lastPacketId
  }

  /** PUBACK with any reason code: the message is done [MQTT-4.4.0-2]. Answers whether it was owed. */
  acknowledge(packetId: number, wallMs: number): boolean {
    const delivery = this.inflight.get(packetId)
    if (delivery === undefined || !delivery.isSent) return false
    this.inflight.delete(packetId)
    this.sentCount -= 1
    this.pump(wallMs)
    return true
  }

  /** Sends what the window allows: after an acknowledgement, a drained socket, a reconnect. */
  pump(wallMs: number): void {
    const link = this.attached
    if (link === null) return
    let at = 0
    while (at < this.resends.length && link.isWritable && this.sentCount < link.sendWindow) {
      this.resend(this.resends[at] as InflightDelivery, link, wallMs)
      at += 1
    }
    if (at > 0) this.resends = this.resends.slice(at)
    while (this.queueHead < this.queue.length && this.maySend()) {
      const delivery = this.queue[this.queueHead] as Delivery
      this.queueHead += 1
      this.queuedBytes -= delivery.message.sizeInBytes
      this.bounds.queuedBytesTotal -= delivery.message.sizeInBytes
      this.start(delivery, wallMs)
    }
    if (this.queueHead > 0 && (this.queueHead === this.queue.length || this.queueHead > 512)) {
      this.queue = this.queue.slice(this.queueHead)
      this.queueHead = 0
    }
  }

  /** A message that was sent before keeps its id and is not dropped for its age (4.3.2: its delivery has begun). */
  private resend(delivery: InflightDelivery, link: SessionLink, wallMs: number): void {
    const packet = delivery.message.packetQos1(formOf(delivery, link, 1), delivery.packetId, true, wallMs)
    if (packet.length > link.packetBytesMax) {
      this.inflight.delete(delivery.packetId)
      return this.bounds.onDrop(this, 'too_large')
    }
    delivery.isSent = true
    this.sentCount += 1
    link.sendPublish(packet)
  }

  /** Gives back what it counts against the shared bounds: the session ends. */
  discard(): void {
    this.bounds.queuedBytesTotal -= this.queuedBytes
    this.queuedBytes = 0
    this.queue = []
    this.queueHead = 0
    this.inflight.clear()
    this.resends = []
  }
}

function formOf(delivery: Delivery, link: SessionLink, qos: 0 | 1): PublishForm {
  return {
    level: link.level,
    qos,
    retain: delivery.retain,
    subscriptionIds: link.level === 5 ? delivery.subscriptionIds : none,
  }
}

const none: readonly number[] = []
