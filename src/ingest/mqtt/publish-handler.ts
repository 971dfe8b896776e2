/**
 * PUBLISH and PUBREL of one client, 3.1 to 5.0: packet id and alias rules, routing, the append, what is retained, and the acknowledgement
 * that is owed.
 */
import { copyBytes } from '../../base/bytes.ts'
import { crc32c } from '../../base/crc32c.ts'
import { LateMap } from '../../base/late-map.ts'
import { encodeRefusal } from '../../protocol/mqtt/encode.ts'
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import type { PacketColumns } from '../../protocol/mqtt/packet-columns.ts'
import { packetTypes } from '../../protocol/mqtt/packet-types.ts'
import { decodeProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { inspectUtf8, isTextPayload, utf8Malformed, utf8Text } from '../../protocol/mqtt/utf8.ts'
import { type AckGroup, AckQueue, type Committer } from './ack-queue.ts'
import { type CertificatePlace, keepCertificate } from './birth-certificate.ts'
import { type CommitBatch, reasonOf } from './commit-batch.ts'
import type { WhenDecided } from './decoding-queue.ts'
import type { DoorServices } from './door-services.ts'
import { mqttEvents } from './mqtt-events.ts'
import { tellNotRetained } from './not-retained.ts'
import { payloadFault } from './payload-check.ts'
import type { RequestLink } from './request-handler.ts'
import type { ReceivedId } from './packet-id-log.ts'
import { RecordHeaderEncoder } from './record-headers.ts'
import type { RetainedMessage } from './retained-keeper.ts'
import type { Route } from './route-table.ts'
import type { MqttSession } from './session.ts'
import { type Decoding, type DecodingSlot, decodedProperties } from './sparkplug-decoder.ts'
import type { JoinCommit, ReceivedPublish } from './session-types.ts'

/** Bytes that a record takes beside its topic, payload and headers. */
const recordOverheadBytes = 40

export interface PublishHandlerOptions {
  readonly services: DoorServices
  readonly session: MqttSession
  readonly level: 3 | 4 | 5
  readonly userName: string | null
  readonly committer: Committer
  readonly link: Pick<RequestLink, 'takesReasons' | 'packetBytesMax'>
}

export class PublishHandler {
  readonly acks = new AckQueue()
  /** Bytes of messages that are appended and not committed. */
  uncommittedBytes = 0
  /** Bytes of all messages that were taken. */
  takenBytes = 0
  private readonly services: DoorServices
  private readonly session: MqttSession
  private readonly level: 3 | 4 | 5
  private readonly committer: Committer
  private readonly link: PublishHandlerOptions['link']
  private readonly headers: RecordHeaderEncoder
  private readonly aliases: (Uint8Array | undefined)[] = []
  /** QoS 2 ids that an earlier connection of the session left: they are no part of what this one may send [MQTT-3.3.4-7]. */
  private readonly idsBefore = new LateMap<number, true>()
  private batch: CommitBatch | null = null
  private group: AckGroup | null = null
  private readonly decodingSlot: DecodingSlot = { pending: null }
  // Where the topic of the current PUBLISH stands: in its packet, or in the alias.
  private topicSource: Uint8Array = noBytes
  private topicStart = 0
  private topicEnd = 0

  constructor(options: PublishHandlerOptions) {
    this.services = options.services
    this.session = options.session
    this.level = options.level
    this.committer = options.committer
    this.link = options.link
    for (const packetId of options.session.received.keys()) this.idsBefore.set(packetId, true)
    const { userName, level } = options
    this.headers = new RecordHeaderEncoder({ clientId: options.session.clientId, userName, level })
  }

  /**
   * Takes the PUBLISH of a row. Answers null when it was taken, or what must be decided first (its route, its decoding): then nothing has happened and the
   * row comes again. Throws MqttProtocolError.
   */
  publish(source: Uint8Array, columns: PacketColumns, row: number, wallMs: number): WhenDecided | null {
    const flags = columns.firstByte[row] as number
    const qos = (flags >>> 1) & 3
    this.findTopic(source, columns, row)
    const packetId = columns.packetId[row] as number
    if (qos === 2) {
      this.recallCarried(source, columns, row)
      if (this.repeatsReceived(packetId)) return null
    }
    if (qos > 0) this.checkReceiveMaximum(qos)
    if (this.isFalseText(source, columns, row)) {
      this.refuse(qos, packetId, reasonCodes.payloadFormatInvalid)
      return null
    }
    const { rights } = this.session
    // Before the route: to look for it may create its Kafka topic.
    if (rights !== null && !rights.mayPublish(this.topicSource, this.topicStart, this.topicEnd)) {
      this.refuse(qos, packetId, reasonCodes.notAuthorized)
      return null
    }
    const route = this.services.routes.find(this.topicSource, this.topicStart, this.topicEnd, wallMs)
    if (route === null) this.refuseTopic()
    if (route.state === 'waiting') return this.services.routes.whenDecided(route)
    if (rights !== null && route.partition !== null && !rights.mayWrite(route.partition.topic)) {
      this.refuse(qos, packetId, reasonCodes.notAuthorized)
    } else if (route.state !== 'ready') this.refuse(qos, packetId, route.reason)
    else {
      const decoding = this.decode(route, source, columns, row)
      if (typeof decoding === 'function') return decoding
      const fault = route.checkedRule === null ? null : this.schemaFault(route.checkedRule, source, columns, row)
      if (fault === null) this.append(route, source, columns, row, wallMs, decoding)
      else this.refuse(qos, packetId, reasonCodes.payloadFormatInvalid, fault)
    }
    return null
  }

  /** What the schema of the route has against the payload; the log is told. */
  private schemaFault(rule: number, source: Uint8Array, columns: PacketColumns, row: number): string | null {
    const { checks, counters, eventBudget, observer } = this.services
    const start = columns.payloadStart[row] as number
    const end = columns.bodyEnd[row] as number
    const retain = ((columns.firstByte[row] as number) & 1) === 1
    const reason = payloadFault(checks, rule, { source, start, end, retain }, counters)
    if (reason !== null && eventBudget.take()) {
      const topic = utf8Text(this.topicSource, this.topicStart, this.topicEnd)
      observer.event(mqttEvents.payloadRefused, { clientId: this.session.clientId, topic, reason })
    }
    return reason
  }

  /** What becomes of a Sparkplug message that is to be decoded; null = it is none. */
  private decode(route: Route, source: Uint8Array, columns: PacketColumns, row: number): Decoding | WhenDecided | null {
    if (route.decoded === null || this.services.decoder === null) return null
    const payload = source.subarray(columns.payloadStart[row], columns.bodyEnd[row])
    return this.services.decoder.decode(route.decoded, payload, this.decodingSlot)
  }

  /** The client says that the payload is UTF-8, and it is not (3.3.2.3.2). */
  private isFalseText(source: Uint8Array, columns: PacketColumns, row: number): boolean {
    if (columns.claimsText[row] !== 1 || !this.services.options.checkPayloadFormat) return false
    return !isTextPayload(source.subarray(columns.payloadStart[row], columns.bodyEnd[row]))
  }

  /** Topic or alias (3.3.2.3.4). */
  private findTopic(source: Uint8Array, columns: PacketColumns, row: number): void {
    this.topicSource = source
    this.topicStart = columns.topicStart[row] as number
    this.topicEnd = columns.topicEnd[row] as number
    const alias = columns.topicAlias[row] as number
    if (alias === 0) return
    if (alias > this.services.options.topicAliasMaximum) {
      throw new MqttProtocolError(reasonCodes.topicAliasInvalid, `topic alias ${alias}`) // [MQTT-3.3.2-9]
    }
    if (this.topicEnd > this.topicStart) {
      this.aliases[alias] = copyBytes(source, this.topicStart, this.topicEnd)
      return
    }
    const topic = this.aliases[alias]
    if (topic === undefined) throw new MqttProtocolError(reasonCodes.protocolError, `topic alias ${alias} is not set`)
    this.topicSource = topic
    this.topicStart = 0
    this.topicEnd = topic.length
  }

  private refuseTopic(): never {
    if (this.topicEnd === this.topicStart) throw new MqttProtocolError(reasonCodes.protocolError, 'an empty topic')
    const isMalformed = (inspectUtf8(this.topicSource, this.topicStart, this.topicEnd) & utf8Malformed) !== 0
    throw isMalformed
      ? new MqttProtocolError(reasonCodes.malformedPacket, 'a topic is not well-formed UTF-8')
      : new MqttProtocolError(reasonCodes.topicNameInvalid, 'a topic holds a wildcard') // [MQTT-3.3.2-2]
  }

  /**
   * [MQTT-3.3.4-7]. Earlier versions know no such bound: their QoS 1 messages are bounded by the paused socket, their QoS 2 ids must be bounded here.
   * The count begins anew with each connection (4.9); with what is left of earlier ones it may be twice as high.
   */
  private checkReceiveMaximum(qos: number): void {
    const { receiveMaximum } = this.services.options
    const held = this.session.received.size
    const count = this.level === 5 ? this.acks.pubackCount + held : qos === 2 ? held : 0
    if (count < receiveMaximum && !this.acks.isFull) return
    if (count - this.heldBefore() < receiveMaximum && held < receiveMaximum * 2 && !this.acks.isFull) return
    throw new MqttProtocolError(reasonCodes.receiveMaximumExceeded, 'too many messages without an acknowledgement')
  }

  /** Ids of earlier connections that are still held. */
  private heldBefore(): number {
    const { received } = this.session
    for (const packetId of this.idsBefore.keys()) if (!received.has(packetId)) this.idsBefore.delete(packetId)
    return this.idsBefore.size
  }

  /**
   * An id from before a restart is held only by the same message again [MQTT-4.3.3-10]. With another content it is a new message under an old id: the
   * session may be gone, or the client was told of a failure and the commit went through after all. DUP is not looked at: there are clients that repeat
   * without it.
   */
  private recallCarried(source: Uint8Array, columns: PacketColumns, row: number): void {
    const { received, carriedIds } = this.session
    const packetId = columns.packetId[row] as number
    const fingerprint = carriedIds.get(packetId)
    if (fingerprint === undefined) return
    carriedIds.delete(packetId)
    if (fingerprint !== this.fingerprintOf(source, columns, row)) return
    received.set(packetId, { phase: 'received', joinCommit: null })
    this.idsBefore.set(packetId, true)
  }

  private fingerprintOf(source: Uint8Array, columns: PacketColumns, row: number): number {
    const topic = this.topicSource.subarray(this.topicStart, this.topicEnd)
    return crc32c(source.subarray(columns.payloadStart[row], columns.bodyEnd[row]), crc32c(topic))
  }

  /** A QoS 2 PUBLISH whose id is held already: only acknowledged [MQTT-4.3.3-10]. Answers false for a new message. */
  private repeatsReceived(packetId: number): boolean {
    const { received } = this.session
    const entry = received.get(packetId)
    if (entry === undefined || entry.phase === 'releasing') return false
    if (entry.phase === 'appending' && entry.joinCommit !== null) {
      this.waitWith(entry.joinCommit, packetTypes.pubrec, packetId)
    } else {
      this.acks.pushDecided(packetTypes.pubrec, packetId, reasonCodes.success)
    }
    return true
  }

  /** What was said again is answered when what was said first is decided. */
  private waitWith(joinCommit: JoinCommit, type: number, packetId: number): void {
    const group = this.acks.openGroup()
    this.acks.pushWaiting(group, type, packetId)
    this.group = null
    // Not the connection that said it first: that one may be gone.
    joinCommit(this.committer, group)
  }

  private append(
    route: Route,
    source: Uint8Array,
    columns: PacketColumns,
    row: number,
    wallMs: number,
    decoding: Decoding | null,
  ): void {
    const flags = columns.firstByte[row] as number
    const qos = (flags >>> 1) & 3
    const packetId = columns.packetId[row] as number
    const payloadStart = columns.payloadStart[row] as number
    const payloadLength = (columns.bodyEnd[row] as number) - payloadStart
    const topicLength = this.topicEnd - this.topicStart
    const headers = this.headersFor(route, source, columns, row, wallMs)
    const retained = (flags & 1) === 0 ? null : this.retainedOf(route, source, columns, row, { headers, wallMs })
    if (typeof retained === 'number') return this.refuse(qos, packetId, retained)
    const batch = this.services.commits.current()
    const jsonLength = decoding?.json?.length ?? 0
    if (jsonLength > 0 || route.certificate !== null) {
      // A birth stands there three times: as itself, as its certificate, as what is retained.
      const once = payloadLength + topicLength * 2 + headers.length + recordOverheadBytes
      batch.turn.keepTogether(once * (route.certificate === null ? 1 : 3) + jsonLength + topicLength + headers.length)
    }
    const hasOwnKey = route.key !== null
    const error = batch.turn.appendSlices(
      route.partition as NonNullable<Route['partition']>,
      wallMs,
      hasOwnKey ? (route.key as Uint8Array) : this.topicSource,
      hasOwnKey ? 0 : this.topicStart,
      // A rule whose captures are empty gives no key: null, not one that all such records share.
      hasOwnKey ? (route.key as Uint8Array).length || -1 : topicLength,
      source,
      payloadStart,
      payloadLength,
      headers,
    )
    if (error !== null) {
      // The partition may be gone or may have moved: the next message looks again.
      route.state = 'stale'
      this.refuse(qos, packetId, reasonOf(error))
      return
    }
    const refusal = retained === null ? reasonCodes.success : this.services.retained.set(batch, retained)
    if (refusal !== reasonCodes.success) return this.refuse(qos, packetId, refusal)
    if (decoding !== null) this.keepDecoded(batch, route, decoding, { source, columns, row }, wallMs)
    if (route.certificate !== null && payloadLength > 0)
      this.keepBirth(batch, route.certificate, source, columns, row, wallMs)
    const group = this.groupOf(batch)
    const size = topicLength + payloadLength + headers.length + recordOverheadBytes
    // What is made of it waits for the commit too, and is not what the client has sent.
    group.bytes += size + jsonLength
    this.uncommittedBytes += size + jsonLength
    this.takenBytes += size
    batch.messages += 1
    batch.bytes += topicLength + payloadLength
    if (qos === 1) this.acks.pushWaiting(group, packetTypes.puback, packetId)
    else if (qos === 2) {
      this.receive(batch, group, { packetId, wallMs, fingerprint: this.fingerprintOf(source, columns, row) })
    }
  }

  /** The message as JSON, beside itself; only its quality and its properties are those of the message. */
  private keepDecoded(
    batch: CommitBatch,
    route: Route,
    decoding: Decoding,
    packet: { readonly source: Uint8Array; readonly columns: PacketColumns; readonly row: number },
    wallMs: number,
  ): void {
    const { source, columns, row } = packet
    const { decoder } = this.services
    if (route.decoded === null || decoder === null) return
    const headers = (): Uint8Array => {
      const start = columns.propertiesStart[row] as number
      const end = columns.propertiesEnd[row] as number
      const properties = decodedProperties(start === end ? {} : decodeProperties(source, start, end, 'publish'))
      const qos = ((columns.firstByte[row] as number) >>> 1) & 3
      const facts = { headers: 'minimal', qos, retain: false, isWill: false, topic: null, wallMs } as const
      return this.headers.build({ ...facts, properties, clockMark: this.services.clockMark(wallMs) })
    }
    const { clientId } = this.session
    // Its partition may be gone or may have moved.
    if (!decoder.keep(batch, route.decoded, decoding, { clientId, headers, wallMs })) route.state = 'stale'
  }

  /** The birth of an edge node or device of Sparkplug; its bytes are as they came. */
  private keepBirth(
    batch: CommitBatch,
    place: CertificatePlace,
    source: Uint8Array,
    columns: PacketColumns,
    row: number,
    wallMs: number,
  ): void {
    const start = columns.propertiesStart[row] as number
    const end = columns.propertiesEnd[row] as number
    const clockMark = this.services.clockMark(wallMs)
    const facts = { headers: 'minimal', qos: 1, retain: true, isWill: false, topic: null, wallMs, clockMark } as const
    const headers = this.headers.withProperties(facts, source, start, end)
    const payload = copyBytes(source, columns.payloadStart[row], columns.bodyEnd[row])
    keepCertificate(this.services, batch, place, { clientId: this.session.clientId, payload, headers, wallMs })
  }

  /** What is to be retained, or why it cannot be. Its record has the MQTT topic as its key and all the headers, whatever the route says. */
  private retainedOf(
    route: Route,
    source: Uint8Array,
    columns: PacketColumns,
    row: number,
    record: { readonly headers: Uint8Array; readonly wallMs: number },
  ): RetainedMessage | number {
    const topic = copyBytes(this.topicSource, this.topicStart, this.topicEnd)
    const { wallMs } = record
    const hasAll = route.key === null && route.headers !== 'none'
    const headers = hasAll
      ? record.headers
      : this.headersFor({ ...route, key: null, headers: 'minimal' }, source, columns, row, wallMs)
    const payload = copyBytes(source, columns.payloadStart[row], columns.bodyEnd[row])
    if (payload.length > 0) {
      const verdict = this.services.retained.judge(topic, topic.length + payload.length + headers.length, wallMs)
      if (verdict !== reasonCodes.success) {
        tellNotRetained(this.services, this.session.clientId, topic, verdict)
        return verdict
      }
    }
    return { topic, payload, headers, wallMs }
  }

  private headersFor(
    route: Route,
    source: Uint8Array,
    columns: PacketColumns,
    row: number,
    wallMs: number,
  ): Uint8Array {
    const flags = columns.firstByte[row] as number
    const start = columns.propertiesStart[row] as number
    const end = columns.propertiesEnd[row] as number
    const qos = (flags >>> 1) & 3
    const retain = (flags & 1) !== 0
    const clockMark = this.services.clockMark(wallMs)
    if (start === end && route.key === null && clockMark === null) return this.headers.plain(route.headers, qos, retain)
    const facts = {
      headers: route.headers,
      qos,
      retain,
      isWill: false,
      topic: route.key === null ? null : route.topic,
      wallMs,
      clockMark,
    }
    return this.headers.withProperties(facts, source, start, end)
  }

  /** The id joins the message's set: both are durable, or neither. */
  private receive(batch: CommitBatch, group: AckGroup, id: ReceivedId): void {
    const { packetIds } = this.services
    const { packetId } = id
    const error = packetIds.appendReceived(batch.turn, this.session.clientId, id)
    if (error !== null) {
      // The message is in the set already; the client repeats it, which QoS 2 forbids us to promise away: it is told that we failed.
      this.acks.pushDecided(packetTypes.pubrec, packetId, reasonOf(error))
      return
    }
    const entry: ReceivedPublish = {
      phase: 'appending',
      joinCommit: (committer, repeated) => batch.join(committer, repeated),
    }
    this.session.received.set(packetId, entry)
    this.idsBefore.delete(packetId)
    batch.addStep({ session: this.session, packetId, entry, kind: 'received' })
    this.acks.pushWaiting(group, packetTypes.pubrec, packetId)
  }

  /** This connection's group in the batch of the turn. */
  private groupOf(batch: CommitBatch): AckGroup {
    if (this.batch === batch && this.group !== null) return this.group
    const group = this.acks.openGroup()
    this.batch = batch
    this.group = group
    batch.join(this.committer, group)
    return group
  }

  /** Not stored. QoS 0 has nobody to tell. */
  private refuse(qos: number, packetId: number, reason: number, because: string | null = null): void {
    this.services.counters.refuse(reasonName(reason))
    if (qos === 0) return
    const type = qos === 1 ? packetTypes.puback : packetTypes.pubrec
    const isTold = because !== null && this.link.takesReasons
    const packet = isTold ? encodeRefusal(type, packetId, reason, because) : null
    // [MQTT-3.4.2-2], [MQTT-3.5.2-2]
    const fits = packet !== null && packet.length <= this.link.packetBytesMax
    this.acks.pushDecided(type, packetId, reason, fits ? packet : null)
  }

  /** PUBREL: the id is given up, durably, before PUBCOMP says so. */
  release(packetId: number, wallMs: number): void {
    const isCarried = this.session.carriedIds.delete(packetId)
    const entry = this.session.received.get(packetId)
    if (!isCarried && entry === undefined) {
      this.acks.pushDecided(packetTypes.pubcomp, packetId, reasonCodes.packetIdentifierNotFound)
      return
    }
    if (entry?.phase === 'releasing' && entry.joinCommit !== null) {
      return this.waitWith(entry.joinCommit, packetTypes.pubcomp, packetId)
    }
    const batch = this.services.commits.current()
    const error = this.services.packetIds.appendReleased(batch.turn, this.session.clientId, packetId, wallMs)
    if (error !== null)
      throw new MqttProtocolError(reasonCodes.implementationSpecificError, `a release failed: ${error}`)
    const released: ReceivedPublish = {
      phase: 'releasing',
      joinCommit: (committer, repeated) => batch.join(committer, repeated),
    }
    this.session.received.set(packetId, released)
    batch.addStep({ session: this.session, packetId, entry: released, kind: 'released' })
    this.acks.pushWaiting(this.groupOf(batch), packetTypes.pubcomp, packetId)
  }
}

const noBytes = new Uint8Array(0)
