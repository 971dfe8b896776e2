/**
 * What the server keeps for one client id (4.1): subscriptions, QoS 2 packet ids of incoming messages, and messages on their way to the
 * client. Pure: it talks to the attached connection through `SessionLink` and is told the time.
 */
import { LateMap } from '../../base/late-map.ts'
import type { EncodedPublish } from '../../protocol/mqtt/encode.ts'
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { formOf, mayRead, qosOf } from './delivery-form.ts'
import { DeliveryQueue } from './delivery-queue.ts'
import { InflightDelivery } from './inflight-delivery.ts'
import { InflightTable } from './inflight-table.ts'
import type { MessageOrigin, OutgoingMessage } from './outgoing-message.ts'
import { type OutgoingId, OutgoingIds, type OutgoingPlace, recordPlace, retainedPlace } from './outgoing-ids.ts'
import type { LogReplay } from './log-replay.ts'
import type { DoneAbove, PlacedReader } from './reader-places.ts'
import { RetainedDebts } from './retained-debt.ts'
import type { RetainedWalk } from './retained-walk.ts'
import type { Delivery, ReceivedPublish, Release, SessionBounds, SessionLink, Subscription } from './session-types.ts'
import type { Will } from './will-keeper.ts'
import type { SharedGroup } from './shared-group.ts'
import type { SessionOwner, TopicRights } from './topic-rights.ts'

/** The largest packet id. */
export const packetIdMax = 65_535

export class MqttSession implements PlacedReader {
  readonly clientId: string
  readonly subscriptions = new LateMap<string, Subscription>()
  /** Shared subscriptions that it is a member of. */
  readonly groups = new LateMap<SharedGroup, true>()
  readonly received = new LateMap<number, ReceivedPublish>()
  /** Ids the client had not released before the daemon was restarted, with the fingerprints of their messages: see README. */
  readonly carriedIds = new LateMap<number, number>()
  /** Partitions of the log that it reads at a place of its own, and where: what it could not take waits there. */
  readonly behind = new LateMap<Partition, number>()
  readonly done = new LateMap<Partition, DoneAbove>()
  readonly debts: RetainedDebts
  /** The log knows of it. */
  isStored = false
  /** Owed when its connection is lost, or by now. */
  will: Will | null = null
  /** Whose it is; null until a client has been accepted. */
  owner: SessionOwner | null = null
  /** Null: it may publish and read everything. */
  rights: TopicRights | null = null
  /** How long it is kept after its connection closed; 0 = not at all. */
  expiryMs = 0
  private readonly bounds: SessionBounds
  private attached: SessionLink | null = null
  private readonly inflight: InflightTable
  /** QoS 2 messages that wait for PUBCOMP, in the order of the PUBRECs [MQTT-4.6.0-4]. */
  private readonly releasing = new LateMap<number, Release>()
  /** Made by the first QoS 2 message that it is sent. */
  private outgoing: OutgoingIds | null = null
  /** In-flight messages that must be sent again on this connection. */
  private resends: InflightDelivery[] = []
  /** Those begun on this connection, in their order, from the first one on whose id is not in the log yet. */
  private awaiting: InflightDelivery[] = []
  private readonly queue: DeliveryQueue
  private sentCount = 0
  /** PUBRELs of earlier connections: no message is begun in their places, but they need none themselves (4.9). */
  private olderReleases = 0
  private lastPacketId = 0

  constructor(clientId: string, bounds: SessionBounds) {
    this.clientId = clientId
    this.bounds = bounds
    this.queue = new DeliveryQueue(bounds)
    this.debts = new RetainedDebts(bounds.finishedIdsMax / 2)
    this.inflight = new InflightTable(bounds)
  }

  get link(): SessionLink | null {
    return this.attached
  }

  /** Messages of QoS 1 and 2 that are queued or not finished. */
  get pendingCount(): number {
    return this.queue.length + this.inflight.size + this.releasing.size
  }

  /** A further message would be sent at once. */
  get hasRoom(): boolean {
    return this.queue.length === 0 && this.maySend()
  }

  /** A connection takes the session over: what was not finished is said again, first, in its order [MQTT-4.4.0-1]. */
  attach(link: SessionLink, wallMs: number): void {
    this.attached = link
    this.sentCount = 0
    this.olderReleases = this.releasing.size
    this.resends = this.inflight.inOrder()
    for (const delivery of this.resends) delivery.isSent = false
    for (const release of this.releasing.values()) {
      release.isCounted = false
      if (release.state === 'sent') release.state = 'due'
    }
    this.pump(wallMs)
  }

  /** The connection has gone: what was not sent waits in the log, what was sent is kept. */
  detach(): void {
    this.attached = null
    this.resends = []
    this.awaiting = []
    for (const { message } of this.queue.takeOut(
      ({ message: { origin }, group }) => origin !== null && group === null,
    )) {
      const { partition, offset } = message.origin as MessageOrigin
      this.fallBehind(partition, offset)
    }
  }

  /**
   * Takes a message: it is sent when the window is open, or queued; at QoS 0 it is sent now or dropped, unless others are before it in the queue.
   * False = it has no room for it, or no connection: then it waits in the log.
   */
  offer(delivery: Delivery, wallMs: number): boolean {
    // The client had it before the restart.
    if (delivery.group === null && this.outgoing?.before(delivery.message.origin)?.isReleased === true) return true
    const isQos0 = qosOf(delivery) === 0
    if (isQos0 && (this.attached === null || this.queue.length === 0)) this.sendAtOnce(delivery, wallMs)
    else if (this.hasRoom) this.start(delivery, wallMs)
    else if (this.attached === null || !this.queue.takes(this.behind.size > 0)) return false
    else if (!this.queue.push(delivery, this.attached, wallMs)) return false
    this.bounds.onProgress(this)
    return true
  }

  /** It was begun before the restart: the client may hold its id, and waits for PUBREL, so it is sent again however old it is. */
  hasBegun({ origin }: OutgoingMessage): boolean {
    return this.outgoing?.before(origin) !== undefined
  }

  /** From this offset on it reads the partition by itself. */
  fallBehind(partition: Partition, offset: number): void {
    this.behind.set(partition, Math.min(offset, this.behind.get(partition) ?? offset))
    this.bounds.onProgress(this)
  }

  /** Takes the retained messages of a subscription: they wait for the socket and the window, at QoS 0 too. False = it has no room for the walk. */
  offerRetained(walk: RetainedWalk, wallMs: number): boolean {
    const isTaken = this.queue.push(walk)
    if (!isTaken) this.bounds.onDrop(this, 'queue_full')
    this.pump(wallMs)
    return isTaken
  }

  /** It has a connection and room for more than a few messages. */
  get wantsMore(): boolean {
    return this.attached?.isWritable === true && this.queue.isHalfEmpty
  }

  private sendAtOnce(delivery: Delivery, wallMs: number): void {
    const link = this.attached
    if (link === null) return this.bounds.onDrop(this, 'not_connected')
    if (!link.isWritable) return this.bounds.onDrop(this, 'slow')
    this.sendQos0(link, delivery, delivery.message, wallMs)
  }

  private sendQos0(link: SessionLink, delivery: Delivery, message: OutgoingMessage, wallMs: number): void {
    const form = formOf(delivery, link, 0, message)
    this.sendPacket(link, message, message.packet(form, wallMs), 0, false)
  }

  /** False when the packet is larger than the client takes: it is dropped and counted [MQTT-3.1.2-24], [MQTT-3.1.2-25]. */
  private sendPacket(
    link: SessionLink,
    message: OutgoingMessage,
    packet: EncodedPublish,
    packetId: number,
    duplicate: boolean,
  ): boolean {
    if (packet.end - packet.start > link.packetBytesMax) {
      this.bounds.onDrop(this, 'too_large')
      return false
    }
    link.aliases.keep(message.topic)
    link.sendPublish(packet, packetId, duplicate)
    return true
  }

  private maySend(): boolean {
    const link = this.attached
    if (link === null || !link.isWritable || this.resends.length > 0 || this.isOutOfIds) return false
    return this.sentCount + this.olderReleases < link.sendWindow && !this.inflight.isCrowded
  }

  private start(delivery: Delivery, wallMs: number): void {
    const link = this.attached as SessionLink
    const { message } = delivery
    if (message.isExpired(wallMs) && (delivery.group !== null || !this.hasBegun(message))) {
      return this.bounds.onDrop(this, 'expired')
    }
    if (this.rights !== null && message.command === null && !mayRead(this, message))
      return this.refuse(delivery, wallMs)
    const qos = qosOf(delivery)
    if (qos === 0) return this.sendQos0(link, delivery, message, wallMs)
    const started = InflightDelivery.of(delivery)
    started.qos = qos
    // A command without a place waits again after a restart, and is not carried.
    if (qos === 2 && (message.origin !== null || message.command === null)) return this.startRecorded(started, wallMs)
    started.packetId = this.freePacketId()
    const packet = message.packet(formOf(delivery, link, qos, message), wallMs)
    if (!this.sendPacket(link, message, packet, started.packetId, false)) return
    started.isSent = true
    started.wasSent = true
    this.inflight.add(started)
    this.sentCount += 1
  }

  /** Its client may not read what has waited for it any more: others of a shared subscription may. */
  private refuse(delivery: Delivery, wallMs: number): void {
    const { group, message } = delivery
    if (group?.hasReaderOf(message) === true) group.takeBack([delivery], wallMs)
    this.bounds.onProgress(this)
  }

  /** A QoS 2 message of a kept session: the log knows its id before the client does, so that it is not sent under another after a crash. */
  private startRecorded(started: InflightDelivery, wallMs: number): void {
    this.outgoing ??= new OutgoingIds(this.bounds.finishedIdsMax)
    const { origin } = started.message
    const isOwn = origin !== null && started.group === null
    const before = isOwn ? this.outgoing.before(origin) : undefined
    const packetId = before?.packetId ?? this.freePacketId()
    const place =
      origin === null ? retainedPlace(packetId, this.debts.mark(started)) : recordPlace(origin, started.group)
    this.outgoing.take(place)
    started.packetId = packetId
    started.place = place
    started.wasSent = before !== undefined
    started.record = before === undefined ? 'recording' : 'durable'
    this.inflight.add(started)
    this.awaiting.push(started)
    this.sentCount += 1
    const id = { packetId, isReleased: false }
    const isOnItsWay =
      before !== undefined ||
      this.bounds.recordOutgoing(this, { place, id, carried: isOwn ? null : started }, (laterMs) => {
        started.record = 'durable'
        if (!isOwn) this.bounds.onProgress(this)
        this.sendAwaiting(laterMs)
        if (this.resends.length > 0) this.pump(laterMs)
        this.attached?.flush()
      })
    if (!isOnItsWay) {
      started.record = 'none'
      started.place = null
    }
    this.sendAwaiting(wallMs)
  }

  /** Ids may become durable in another order than that of the messages, which is kept [MQTT-4.6.0-6]. */
  private sendAwaiting(wallMs: number): void {
    for (let next = this.awaiting[0]; next !== undefined && next.record !== 'recording'; next = this.awaiting[0]) {
      this.awaiting.shift()
      if (this.attached === null || this.inflight.get(next.packetId) !== next) continue
      this.sentCount -= 1
      this.resend(next, this.attached, wallMs)
    }
  }

  /** An id that is not in use [MQTT-2.2.1-4]; the window is smaller than the ids, so there is one. */
  private freePacketId(): number {
    do {
      this.lastPacketId = this.lastPacketId === packetIdMax ? 1 : this.lastPacketId + 1
    } while (this.isUsed(this.lastPacketId))
    return this.lastPacketId
  }

  private isUsed(packetId: number): boolean {
    return this.inflight.has(packetId) || this.releasing.has(packetId) || this.outgoing?.has(packetId) === true
  }

  /** PUBACK with any reason code: the message is done [MQTT-4.4.0-2]. Throws MqttProtocolError when the message wants PUBREC. */
  acknowledge(packetId: number, wallMs: number): void {
    const delivery = this.inflight.get(packetId)
    if (delivery === undefined && this.releasing.has(packetId)) outOfTurn('PUBACK for a QoS 2 message')
    if (delivery === undefined || !delivery.isSent) return
    if (delivery.qos !== 1) outOfTurn('PUBACK for a QoS 2 message')
    this.inflight.delete(packetId)
    this.sentCount -= 1
    this.bounds.onProgress(this)
    this.pump(wallMs)
  }

  /** Places in the log of what was taken and is not done with, of the session itself (null) or by way of a shared subscription. */
  *pendingOrigins(group: SharedGroup | null): Iterable<MessageOrigin> {
    for (const delivery of this.inflight.values()) {
      // What is carried is not read from the log again.
      if (group !== null && delivery.record === 'durable') continue
      if (delivery.group === group && delivery.message.origin !== null) yield delivery.message.origin
    }
    for (const delivery of this.queue) {
      if (delivery.group === group && delivery.message.origin !== null) yield delivery.message.origin
    }
  }

  /** Commands that were taken and are not done with. */
  *pendingCommands(): Iterable<Delivery> {
    for (const delivery of this.inflight.inOrder()) if (delivery.message.command !== null) yield delivery
    for (const delivery of this.queue) if (delivery.message.command !== null) yield delivery
  }

  /**
   * PUBREC: the client has the message, or refuses it; PUBREL is due unless it refuses. Answers false for an id that was not sent. Throws
   * MqttProtocolError when the message wants PUBACK.
   */
  receive(packetId: number, reason: number, wallMs: number): boolean {
    const release = this.releasing.get(packetId)
    if (release !== undefined) {
      if (reason < 0x80 && release.state === 'sent') this.attached?.sendRelease(packetId)
      return true
    }
    const delivery = this.inflight.get(packetId)
    if (delivery === undefined || !delivery.isSent) return false
    if (delivery.qos !== 2) outOfTurn('PUBREC for a QoS 1 message')
    this.inflight.delete(packetId)
    this.bounds.onProgress(this)
    if (reason >= 0x80) {
      this.sentCount -= 1
      this.finish(packetId, delivery.place)
      this.pump(wallMs)
    } else this.release(packetId, delivery.place)
    return true
  }

  /** From here on the message is not sent again [MQTT-4.3.3-6]; its place in the window stays taken until PUBCOMP. */
  private release(packetId: number, place: OutgoingPlace | null): void {
    const release: Release = { state: 'recording', isCounted: true, place }
    this.releasing.set(packetId, release)
    const isDue = (): void => {
      release.state = 'due'
      this.sayReleases()
    }
    const isOnItsWay =
      place !== null &&
      this.bounds.recordOutgoing(this, { place, id: { packetId, isReleased: true }, carried: null }, () => {
        if (this.releasing.get(packetId) !== release) return
        isDue()
        this.attached?.flush()
      })
    if (!isOnItsWay) isDue()
  }

  private finish(packetId: number, place: OutgoingPlace | null): void {
    if (place !== null) this.outgoing?.finish(packetId, place)
    this.bounds.onProgress(this)
  }

  /**
   * Ids go on behind this one. A client that was cut off may say on its next connection what it could not say on the last: that must not acknowledge
   * another message, to which this run has given the same id.
   */
  continueIds(packetId: number): void {
    this.lastPacketId = packetId
  }

  /** What the log knew of a QoS 2 message when the last run ended. */
  restoreOutgoing(place: OutgoingPlace, id: OutgoingId, carried: Delivery | null): void {
    this.outgoing ??= new OutgoingIds(this.bounds.finishedIdsMax)
    if (id.isReleased) this.releasing.set(id.packetId, { state: 'due', isCounted: false, place })
    if (carried === null) return this.outgoing.restore(place, id)
    const delivery = InflightDelivery.of(carried)
    delivery.packetId = id.packetId
    delivery.place = place
    delivery.record = 'durable'
    delivery.wasSent = true
    this.inflight.add(delivery)
  }

  /** Messages of QoS 1 and 2 that it has begun and its client has not acknowledged, in any order. */
  begunDeliveries(): Iterable<InflightDelivery> {
    return this.inflight.values()
  }

  /** Places of QoS 2 messages that have been begun and are not finished. */
  *begunPlaces(): Iterable<OutgoingPlace> {
    for (const { place } of this.inflight.values()) if (place !== null) yield place
    for (const { place } of this.releasing.values()) if (place !== null) yield place
  }

  /** Is there an id of a finished message that has been passed and is not forgotten? */
  hasFinished(isPassed: (place: OutgoingPlace) => boolean): boolean {
    return this.outgoing?.hasFinished(isPassed) === true
  }

  /** It begins no further message of QoS 2 before its place has passed finished ones. */
  get isOutOfIds(): boolean {
    return this.outgoing?.isFull === true
  }

  /** Messages of ids that the log may forget when it knows that the session's place has passed them. */
  passedOutgoing(isPassed: (place: OutgoingPlace) => boolean): OutgoingPlace[] {
    return this.outgoing?.passed(isPassed, (packetId) => this.releasing.has(packetId)) ?? []
  }

  /** PUBCOMP with any reason code: the id is free. */
  complete(packetId: number, wallMs: number): void {
    const release = this.releasing.get(packetId)
    if (release === undefined && this.inflight.get(packetId)?.isSent === true) outOfTurn('PUBCOMP in front of PUBREC')
    if (release?.state !== 'sent') return
    this.releasing.delete(packetId)
    if (release.isCounted) this.sentCount -= 1
    else this.olderReleases -= 1
    this.finish(packetId, release.place)
    this.pump(wallMs)
  }

  /** Sends what the window allows: after an acknowledgement, a drained socket, a reconnect. */
  pump(wallMs: number): void {
    const link = this.attached
    if (link === null) return
    this.sayAgain(link, wallMs)
    while (link.isWritable && this.queue.length > 0) {
      const delivery = this.queue.next(this.maySend(), wallMs, this)
      if (delivery === null) break
      this.start(delivery, wallMs)
    }
    if (this.wantsMore) this.bounds.onRoom(this)
  }

  /** What was put off is gone on with. */
  goOn(wallMs: number): void {
    this.pump(wallMs)
    this.attached?.flush()
  }

  private sayAgain(link: SessionLink, wallMs: number): void {
    let at = 0
    while (at < this.resends.length && link.isWritable && this.sentCount < link.sendWindow) {
      const next = this.resends[at] as InflightDelivery
      if (next.record === 'recording') break
      this.resend(next, link, wallMs)
      at += 1
    }
    if (at > 0) this.resends = this.resends.slice(at)
    this.sayReleases()
  }

  /**
   * In the order of the PUBRECs, in whatever order the log has taken them [MQTT-4.6.0-4]. Those of earlier connections do not wait for the window: where
   * the client takes fewer messages than before, those behind them hold it.
   */
  private sayReleases(): void {
    const link = this.attached
    for (const [packetId, release] of this.releasing) {
      if (release.state === 'sent') continue
      if (link === null || release.state === 'recording') return
      if (!release.isCounted && !link.isWritable) return
      release.state = 'sent'
      link.sendRelease(packetId)
    }
  }

  /** A message that was sent before keeps its id and is not dropped for its age (4.3.2: its delivery has begun). */
  private resend(delivery: InflightDelivery, link: SessionLink, wallMs: number): void {
    const { message, qos, packetId } = delivery
    const packet = message.packet(formOf(delivery, link, qos, message), wallMs)
    if (!this.sendPacket(link, message, packet, packetId, delivery.wasSent)) {
      this.inflight.delete(packetId)
      return this.finish(packetId, delivery.place)
    }
    delivery.isSent = true
    delivery.wasSent = true
    this.sentCount += 1
  }

  /** Takes out of the queue what came by a shared subscription (null = by any) and has not been sent. */
  giveBackQueued(group: SharedGroup | null): Delivery[] {
    return this.queue.takeOut((delivery) => delivery.group !== null && (group === null || delivery.group === group))
  }

  /** Drops what waits by a replay that has ended. */
  dropReplayed(replay: LogReplay): void {
    this.queue.takeOut((delivery) => delivery.replay === replay)
  }

  /** What a session that ends leaves to the other members of its shared subscriptions: not what has begun at QoS 2 [MQTT-4.8.2-5]. */
  giveBackAll(): Delivery[] {
    const sent = this.inflight.inOrder().filter(({ group, qos }) => group !== null && qos === 1)
    return [...sent, ...this.giveBackQueued(null)]
  }

  /** Gives back what it counts against the shared bounds: the session ends. */
  discard(): void {
    this.queue.clear()
    this.inflight.clear()
    this.releasing.clear()
    this.resends = []
    this.awaiting = []
  }
}

/** The client answers with another packet than the one whose turn it is (4.3). */
function outOfTurn(what: string): never {
  throw new MqttProtocolError(reasonCodes.protocolError, what)
}
