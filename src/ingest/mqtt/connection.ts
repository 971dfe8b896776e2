/**
 * One MQTT connection: reads, decodes, hands packets to their handlers, sends what they owe, and ends. Versions 3.1, 3.1.1 and 5.0 of the server's
 * side.
 */
import type { Connection, PeerFacts } from '../../base/ports.ts'
import { encodeConnack, encodeDisconnect, type EncodedPublish } from '../../protocol/mqtt/encode.ts'
import { MqttProtocolError } from '../../protocol/mqtt/mqtt-protocol-error.ts'
import type { PacketColumns } from '../../protocol/mqtt/packet-columns.ts'
import { packetTypes } from '../../protocol/mqtt/packet-types.ts'
import { type ConnectPacket, decodeDisconnect, type PacketBody } from '../../protocol/mqtt/packets.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { MqttStreamDecoder } from '../../protocol/mqtt/stream-decoder.ts'
import type { AckGroup } from './ack-queue.ts'
import { type ConnectGrant, openSession } from './connect-handler.ts'
import { CommitHold } from './commit-hold.ts'
import { ConnectionOutput } from './connection-output.ts'
import type { ConnectionRoles } from './connection-roles.ts'
import { Deadline } from './deadline.ts'
import type { DoorServices } from './door-services.ts'
import { Handshake } from './handshake.ts'
import { limitsOf, type MqttListenerOptions } from './listener-options.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import { PauseSwitch, pauseReasons } from './pause-switch.ts'
import { QuotaHold } from './quota-hold.ts'
import { PublishHandler } from './publish-handler.ts'
import { answerRequest, encodeRelease } from './request-handler.ts'
import type { WhenDecided } from './decoding-queue.ts'
import type { MqttSession } from './session.ts'
import { TopicAliases } from './topic-aliases.ts'
import type { Will } from './will-keeper.ts'

/** A closing socket may take this long to send its last packet. */
const lingerMs = 5000

export class MqttConnection implements ConnectionRoles {
  level: 3 | 4 | 5 = 4
  sendWindow = 0
  packetBytesMax = Number.POSITIVE_INFINITY
  takesReasons = true
  aliases = new TopicAliases(0)
  private readonly socket: Connection
  readonly listener: MqttListenerOptions
  readonly services: DoorServices
  private readonly onEnded: (connection: MqttConnection) => void
  private readonly decoder: MqttStreamDecoder
  private readonly output: ConnectionOutput
  readonly pauses: PauseSwitch
  private readonly quota: QuotaHold
  private readonly commits: CommitHold
  /** `opening`: the session is being written down, CONNACK is due. */
  private state: 'waiting' | 'opening' | 'open' | 'closed' = 'waiting'
  private session: MqttSession | null = null
  /** Made by the first PUBLISH: most clients only listen. */
  private publisher: PublishHandler | null = null
  private userName: string | null = null
  private will: Will | null = null
  private expiryMs = 0
  private keepAliveMs = 0
  private lastReceivedMs: number
  /** CONNECT must have come; later: something must have come; after a failure: the end. */
  private readonly deadline: Deadline
  /** Made when the client first does not read. */
  private drainDeadline: Deadline | null = null
  private linger: Deadline | null = null
  private waitingFor: WhenDecided | null = null
  private readonly handshake: Handshake

  /** `onEnded` is called once, when nothing of the connection is left. */
  constructor(
    socket: Connection,
    listener: MqttListenerOptions,
    services: DoorServices,
    onEnded: (connection: MqttConnection) => void,
  ) {
    this.socket = socket
    this.listener = listener
    this.services = services
    this.onEnded = onEnded
    this.handshake = new Handshake(this)
    this.pauses = new PauseSwitch(socket)
    this.quota = new QuotaHold(services, this)
    this.output = new ConnectionOutput(socket, services.counters, this.quota)
    this.commits = new CommitHold(services, this)
    const { columns, options } = services
    this.decoder = new MqttStreamDecoder(columns, limitsOf(listener, options), this)
    const { clock } = services
    this.lastReceivedMs = clock.monotonicMs()
    this.deadline = new Deadline(clock)
    const { openingMs } = socket.peer
    this.deadline.arm(Math.max(1, options.connectDeadlineMs - openingMs), () =>
      this.refuseSilently('no CONNECT in time'),
    )
    socket.start(this)
  }

  window(): Uint8Array | null {
    return this.state === 'closed' ? null : this.decoder.window()
  }

  // ------------------------------------------------------------------------------------------------- in

  onBytes(bytes: Uint8Array): void {
    if (this.state === 'closed') return
    this.lastReceivedMs = this.services.clock.monotonicMs()
    this.services.counters.totals.receivedBytes += bytes.length
    try {
      this.decoder.push(bytes)
    } catch (error) {
      this.fail(error)
    }
    this.afterRows()
  }

  /** What a message waited for is decided; what is stalled now waits for something else, or (`order`) is a SUBSCRIBE behind it. */
  private onDecided(): void {
    this.takeWaiting()
    if (this.state === 'closed') return
    if (!this.decoder.isStalled || this.pauses.has(pauseReasons.order)) this.unpause(pauseReasons.topic)
  }

  /** Takes the rows that waited. */
  takeWaiting(): void {
    if (this.state === 'closed') return
    try {
      this.decoder.resume()
    } catch (error) {
      this.fail(error)
    }
    this.afterRows()
  }

  onRows(source: Uint8Array, columns: PacketColumns): number {
    return this.services.counters.take(this.takeRows(source, columns))
  }

  private takeRows(source: Uint8Array, columns: PacketColumns): number {
    if (this.pauses.has(pauseReasons.identity)) return 0
    const wallMs = this.services.clock.wallMs()
    for (let row = 0; row < columns.count; row += 1) {
      if (this.state === 'closed' || this.state === 'opening') return row
      const type = (columns.firstByte[row] as number) >>> 4
      if (type === packetTypes.publish && this.session !== null) {
        const whenDecided = this.publisherOf(this.session).publish(source, columns, row, wallMs)
        if (whenDecided === null) continue
        this.waitingFor = whenDecided
        return row
      }
      if (type === packetTypes.subscribe && this.commits.holdsSubscribe(this.uncommittedBytes)) return row
      if (type === packetTypes.puback && this.session !== null) {
        this.session.acknowledge(columns.packetId[row] as number, wallMs)
      } else {
        this.onPacket(type, source, columns, row, wallMs)
      }
    }
    return columns.count
  }

  /** The packets that are rare, or that the specification has in another place. */
  private onPacket(type: number, source: Uint8Array, columns: PacketColumns, row: number, wallMs: number): void {
    const firstByte = columns.firstByte[row] as number
    const body = { source, start: columns.bodyStart[row] as number, end: columns.bodyEnd[row] as number }
    const { services, session } = this
    if (session === null) {
      if (type === packetTypes.connect) return this.handshake.connect(firstByte, body)
      // Between CONNECT and CONNACK there may be AUTH and DISCONNECT [MQTT-3.1.2-30].
      if (type === packetTypes.auth && this.handshake.hasBegun) return this.handshake.auth(firstByte, body)
      if (type === packetTypes.disconnect && this.handshake.hasBegun) return this.onDisconnect(firstByte, body)
      throw new MqttProtocolError(reasonCodes.protocolError, 'the first packet is not CONNECT') // [MQTT-3.1.0-1]
    }
    const packetId = columns.packetId[row] as number
    if (type === packetTypes.pubrel) return this.publisherOf(session).release(packetId, wallMs)
    if (type === packetTypes.pubcomp) return session.complete(packetId, wallMs)
    if (type === packetTypes.pubrec) return this.onPubrec(session, packetId, columns.reasonCode[row] as number, wallMs)
    if (type === packetTypes.disconnect) return this.onDisconnect(firstByte, body)
    if (type === packetTypes.auth && this.level === 5) return this.handshake.auth(firstByte, body)
    if (answerRequest(firstByte, body, { services, session, link: this })) return
    // A second CONNECT [MQTT-3.1.0-2], and what only servers send.
    throw new MqttProtocolError(reasonCodes.protocolError, `packet type ${type} is out of place`)
  }

  private publisherOf(session: MqttSession): PublishHandler {
    const { services, level, userName } = this
    this.publisher ??= new PublishHandler({ services, session, level, userName, committer: this, link: this })
    return this.publisher
  }

  private onPubrec(session: MqttSession, packetId: number, reason: number, wallMs: number): void {
    const isKnown = session.receive(packetId, reason, wallMs)
    if (!isKnown && reason < 0x80) this.send(encodeRelease(this.level, packetId, false))
  }

  /** After everything that came at once was taken: what is owed leaves, and the bounds are looked at. */
  private afterRows(): void {
    if (this.state === 'closed') return
    if (this.waitingFor !== null) {
      const whenDecided = this.waitingFor
      this.waitingFor = null
      this.pauses.add(pauseReasons.topic)
      whenDecided(() => this.onDecided())
    }
    this.sendOwed()
    this.quota.published(this.publisher?.takenBytes ?? 0)
    this.commits.taken(this.uncommittedBytes)
  }

  private get uncommittedBytes(): number {
    return this.publisher?.uncommittedBytes ?? 0
  }

  /** The door stops: what was taken is still acknowledged. */
  stopReading(): void {
    this.pauses.add(pauseReasons.stop)
  }

  onPendingBytesDown(): void {
    if (this.state !== 'closed') this.unpause(pauseReasons.pending)
  }

  unpause(reason: number): void {
    const wasOurs = this.pauses.isOurs
    this.pauses.remove(reason)
    // What the client sent while we did not read counts as sent now.
    if (wasOurs && !this.pauses.isOurs) this.lastReceivedMs = this.services.clock.monotonicMs()
  }

  // --------------------------------------------------------------------------------------------- CONNECT

  get peer(): PeerFacts {
    return this.socket.peer
  }

  get isClosed(): boolean {
    return this.state === 'closed'
  }

  claimLevel(level: 4 | 5): void {
    this.level = level
  }

  readConnect({ level, properties }: ConnectPacket): void {
    this.level = level
    // What follows the CONNECT is read by the rules of its version.
    this.decoder.level = level
    this.packetBytesMax = properties.maximumPacketSize ?? Number.POSITIVE_INFINITY
    this.takesReasons = level === 5 && properties.requestProblemInformation !== 0
  }

  hold(): void {
    this.pauses.add(pauseReasons.identity)
  }

  goOn(): void {
    this.unpause(pauseReasons.identity)
    this.takeWaiting()
  }

  identified(principal: string, packet: ConnectPacket, verdict: ConnectGrant, proof: MqttProperties): void {
    const wallMs = this.services.clock.wallMs()
    this.quota.open(principal, verdict.clientId)
    const who = { clientId: verdict.clientId, principal, host: this.socket.peer.remoteHost }
    const opened = openSession(packet, who, this.services)
    if (opened.kind === 'refused') return this.refuse(opened.reason, opened.because)
    const { session, isPresent, wasStored } = opened
    this.accept(packet, verdict, session)
    this.services.onAttached(session)
    session.attach(this, wallMs)
    const assigned = verdict.isAssignedClientId ? { assignedClientIdentifier: verdict.clientId } : {}
    const properties = { ...verdict.properties, ...assigned, ...proof }
    const connack = encodeConnack(this.level, isPresent, reasonCodes.success, properties)
    const { keeper, commits } = this.services
    const batch = keeper.save(session) ?? (wasStored ? commits.current() : null)
    if (batch === null) return this.open(session, connack)
    // What the client is told of its session must be true after a crash.
    this.pauses.add(pauseReasons.connect)
    batch.whenSettled((isSaved) => {
      if (this.state !== 'opening') return
      if (!isSaved) return this.refuse(reasonCodes.serverUnavailable, 'the session could not be written down')
      this.open(session, connack)
      this.takeWaiting()
      this.unpause(pauseReasons.connect)
    })
  }

  private open(session: MqttSession, connack: Uint8Array | null): void {
    this.state = 'open'
    if (connack !== null) this.send(connack)
    session.pump(this.services.clock.wallMs())
  }

  private accept(packet: ConnectPacket, grant: ConnectGrant, session: MqttSession): void {
    const { services } = this
    const { options } = services
    this.state = 'opening'
    this.socket.trust()
    this.session = session
    this.expiryMs = grant.sessionExpiryMs
    session.expiryMs = grant.sessionExpiryMs
    this.sendWindow = Math.min(packet.properties.receiveMaximum ?? 65_535, options.sendWindowMax)
    this.aliases = new TopicAliases(Math.min(packet.properties.topicAliasMaximum ?? 0, options.topicAliasMaximum))
    const { level, userName } = packet
    this.userName = userName
    if (packet.will !== null) {
      this.will = {
        message: packet.will,
        publisher: { clientId: session.clientId, userName, level },
        rights: () => session.rights,
      }
    }
    session.will = this.will
    this.keepAliveMs = grant.keepAliveMs * 1.5
    this.deadline.disarm()
    if (this.keepAliveMs > 0) this.deadline.arm(this.keepAliveMs, () => this.onKeepAlive())
  }

  /** Closes once the client was silent for one and a half keep-alives [MQTT-3.1.2-24], not counting time in which we did not read. */
  private onKeepAlive(): void {
    const silentMs = this.pauses.isOurs ? 0 : this.services.clock.monotonicMs() - this.lastReceivedMs
    if (silentMs >= this.keepAliveMs) return this.close(reasonCodes.keepAliveTimeout, 'keep-alive timeout')
    this.deadline.arm(this.keepAliveMs - silentMs, () => this.onKeepAlive())
  }

  // ------------------------------------------------------------------------------------------------- out

  get isWritable(): boolean {
    return this.state === 'open' && !this.output.isBlocked && !this.quota.isHoldingSends
  }

  sendPublish(packet: EncodedPublish, packetId: number, duplicate: boolean): void {
    if (this.state !== 'open') return
    this.services.counters.deliver(packet.end - packet.start)
    this.output.pushPublish(packet, packetId, duplicate)
  }

  sendRelease(packetId: number): void {
    if (this.state === 'open') this.output.push(encodeRelease(this.level, packetId, true))
  }

  flush(): void {
    if (this.state === 'closed') return
    this.output.flush()
    if (!this.output.isBlocked || this.pauses.has(pauseReasons.backlog)) return
    this.pauses.add(pauseReasons.backlog)
    this.drainDeadline ??= new Deadline(this.services.clock)
    this.drainDeadline.arm(this.services.options.drainDeadlineMs, () => this.close(null, 'the client does not read'))
  }

  onDrain(): void {
    if (this.state === 'closed') return
    this.output.unblock()
    this.drainDeadline?.disarm()
    this.pauses.remove(pauseReasons.backlog)
    this.pumpAndFlush()
  }

  pumpAndFlush(): void {
    this.session?.pump(this.services.clock.wallMs())
    this.flush()
  }

  /** Packets that are neither messages nor their acknowledgements. */
  send(packet: Uint8Array): void {
    if (this.state === 'closed') return
    if (packet.length > this.packetBytesMax) {
      // [MQTT-3.1.2-27]; the client cannot be answered.
      return this.close(reasonCodes.packetTooLarge, `an answer of ${packet.length} bytes is more than the client takes`)
    }
    this.output.push(packet)
  }

  onCommitSettled(group: AckGroup): void {
    if (this.publisher === null) return
    this.publisher.uncommittedBytes -= group.bytes
    if (this.state === 'closed') return
    this.sendOwed()
    this.commits.settled(this.uncommittedBytes)
  }

  /** Acknowledgements whose turn has come, then everything else that is queued: one write. */
  private sendOwed(): void {
    if (this.publisher !== null && !this.pauses.has(pauseReasons.failure)) {
      const { bytes, count, withheld } = this.publisher.acks.release(this.level)
      if (bytes !== null) this.output.push(bytes, count)
      if (withheld !== 0) this.waitAndClose(withheld)
    }
    this.flush()
  }

  /** The failure cannot be said: the client gets no acknowledgement, has to wait, and will send again on its next connection. */
  private waitAndClose(reason: number): void {
    this.pauses.add(pauseReasons.failure)
    this.deadline.arm(this.services.options.failurePauseMs, () => this.close(reason, 'a message could not be stored'))
  }

  // ------------------------------------------------------------------------------------------------- end

  private onDisconnect(firstByte: number, body: PacketBody): void {
    const { reasonCode, properties } = decodeDisconnect(firstByte, body, this.level)
    const expirySeconds = properties.sessionExpiryInterval
    if (expirySeconds !== undefined) {
      if (this.expiryMs === 0 && expirySeconds > 0) {
        throw new MqttProtocolError(reasonCodes.protocolError, 'a session expiry where there was none') // 3.14.2.2.2
      }
      const secondsMax = this.services.options.sessionExpirySecondsMax
      if (this.session !== null) this.session.expiryMs = Math.min(expirySeconds, secondsMax) * 1000
    }
    if (reasonCode === reasonCodes.success) this.dropWill() // [MQTT-3.14.4-3]
    this.end()
  }

  private dropWill(): void {
    this.will = null
    if (this.session !== null) this.session.will = null
  }

  /** The client broke the rules, or (before CONNECT) was not understood. Anything else thrown is our own fault. */
  private fail(error: unknown): void {
    if (!(error instanceof MqttProtocolError)) throw error
    if (this.state === 'waiting' || this.state === 'opening') {
      return this.handshake.hasBegun ? this.refuse(error.reasonCode, error.message) : this.refuseSilently(error.message)
    }
    if (this.state === 'open' && this.services.eventBudget.take()) {
      this.services.observer.event(mqttEvents.clientFaulted, {
        clientId: this.session?.clientId ?? '',
        remoteHost: this.socket.peer.remoteHost,
        reason: error.message,
      })
    }
    this.close(error.reasonCode, error.message)
  }

  refuse(reason: number, because: string): void {
    const connack = encodeConnack(this.level, false, reason)
    if (connack !== null) this.output.push(connack)
    this.refuseSilently(because)
  }

  private refuseSilently(because: string): void {
    if (this.services.eventBudget.take()) {
      const { remoteHost } = this.socket.peer
      this.services.observer.event(mqttEvents.clientRefused, { remoteHost, reason: because })
    }
    this.services.observer.add(mqttMetrics.disconnects, 1, { reason: 'refused' })
    this.end()
  }

  takeOver(cleanStart: boolean): void {
    const willDelay = this.will?.message.properties.willDelayInterval ?? 0
    // The session goes on in time for a delayed will [MQTT-3.1.2-26], unless it ends with this connection.
    if (!cleanStart && willDelay > 0 && this.session !== null && this.session.expiryMs > 0) this.dropWill()
    this.close(reasonCodes.sessionTakenOver, 'another connection brings the same client id')
  }

  /** Closes from our side: 5.0 is told why (`reason` null = nothing can be said). */
  close(reason: number | null, because: string): void {
    if (this.state === 'closed') return
    this.services.observer.add(mqttMetrics.disconnects, 1, { reason: reason === null ? 'slow' : reasonName(reason) })
    if (this.state === 'open' && this.level === 5 && reason !== null) {
      // [MQTT-3.14.2-3]: the text only where the client takes it.
      const withText = encodeDisconnect(reason, { reasonString: because })
      const packet = withText.length <= this.packetBytesMax ? withText : encodeDisconnect(reason)
      if (packet.length <= this.packetBytesMax) this.output.push(packet)
    }
    this.end()
  }

  /** Sends what is queued, then closes. */
  private end(): void {
    if (this.state === 'closed') return
    this.output.flush()
    this.letGo()
    this.socket.end()
    this.linger = new Deadline(this.services.clock)
    this.linger.arm(lingerMs, () => this.socket.destroy())
  }

  onClose(_error: Error | null): void {
    this.linger?.disarm()
    this.letGo()
    this.onEnded(this)
  }

  /** The session goes on without us, or ends; the will is due unless it was taken back. */
  private letGo(): void {
    if (this.state === 'closed') return
    this.state = 'closed'
    this.deadline.disarm()
    this.drainDeadline?.disarm()
    this.handshake.close()
    this.quota.close()
    const { session, will } = this
    if (session === null) return
    this.will = null
    session.detach()
    if (will !== null) this.services.wills.fire(will, session.expiryMs)
    this.services.onDetached(session)
  }
}
