import type { ClockMark } from '../../base/clock-mark.ts'
import type { Broker } from '../../broker/broker.ts'
import type {
  Clock,
  Compute,
  Connection,
  Entropy,
  ListenAddress,
  Listener,
  Net,
  Observer,
  PeerFacts,
  Timer,
} from '../../base/ports.ts'
import { createPacketColumns } from '../../protocol/mqtt/packet-columns.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { TopicFilterTrie } from '../../protocol/mqtt/topic-filter.ts'
import type { Authorizer } from '../../security/authorizer.ts'
import type { Authenticator } from '../../security/authenticator.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import { type CommitBatch, CommitBatches, reasonOf } from './commit-batch.ts'
import type { MqttListenerOptions } from './connect-handler.ts'
import { MqttConnection } from './connection.ts'
import { Delivery } from './delivery.ts'
import { DoorCounters } from './door-counters.ts'
import type { DoorServices, PendingBytesWaiter } from './door-services.ts'
import { EventBudget } from './event-budget.ts'
import { FanOut } from './fan-out.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { MqttDoorOptions } from './mqtt-options.ts'
import { PacketIdLog } from './packet-id-log.ts'
import { RouteTable } from './route-table.ts'
import type { DropReason, MqttSession, SessionBounds, Subscription } from './session.ts'
import { SessionTable } from './session-table.ts'
import { dropSubscriptions } from './subscribe-handler.ts'
import { TopicMapping } from './topic-mapping.ts'
import { WillKeeper } from './will-keeper.ts'

export interface MqttDoorParts {
  readonly net: Net
  readonly clock: Clock
  readonly entropy: Entropy
  readonly compute: Compute
  readonly observer: Observer
  readonly broker: Broker
  readonly options: MqttDoorOptions
  /** For listeners with passwords. */
  readonly authenticator?: Authenticator
  /** Omitted: everybody may do everything. */
  readonly authorizer?: Authorizer
  /** Names the client of a certificate; omitted: everybody is anonymous. */
  readonly principalOf?: (peer: PeerFacts) => string | null
  /** Of this run, in hexadecimal: marks records that are received while the time is not known. */
  readonly bootId: string
}

/** Rows of one decoder step: a chunk of 64 KB holds more only when its packets are tiny. */
const rowsMax = 1024
/** Figures go out this often while there is something new. */
const figuresEveryMs = 1000
/** Pending bytes of the broker are looked at again after this while somebody waits for them. */
const pendingCheckMs = 5
/** Timers of the platform hold 31 bits. */
const timerMsMax = 2_147_483_647
/** How long each half of a stop waits for what was taken to be committed, and how often it looks. */
const drainMs = 5000
const drainCheckMs = 5

/** The MQTT door: takes connections, keeps sessions, stores what clients publish and delivers what they subscribe to. */
export class MqttDoor {
  private markedWallMs = -1
  private mark: ClockMark | null = null
  private readonly parts: MqttDoorParts
  private readonly services: DoorServices
  private readonly sessions: SessionTable
  private readonly subscriptions: TopicFilterTrie<Subscription>
  private readonly wills: WillKeeper
  private readonly routes: RouteTable
  private readonly commits: CommitBatches
  private readonly packetIds: PacketIdLog
  private readonly delivery: Delivery
  private readonly bounds: SessionBounds
  private readonly counters = new DoorCounters()
  private readonly eventBudget: EventBudget
  private readonly connections = new Set<MqttConnection>()
  private readonly expiries = new Map<MqttSession, Timer>()
  private readonly listeners: Listener[] = []
  private waiters: PendingBytesWaiter[] = []
  private opening: Promise<void> | null = null
  private figuresTimer: Timer | null = null
  private isStopping = false

  /** Throws ApplianceError MQTT_ROUTE_INVALID when a route cannot be used. */
  constructor(parts: MqttDoorParts) {
    this.parts = parts
    const { clock, observer, broker, options } = parts
    const mapping = new TopicMapping(options.routes)
    this.eventBudget = new EventBudget(clock)
    this.bounds = {
      queuedMessagesMax: options.queuedMessagesMax,
      queuedBytesMax: options.queuedBytesMax,
      queuedBytesTotalMax: options.queuedBytesTotalMax,
      queuedBytesTotal: 0,
      onDrop: (session, reason) => this.onDrop(session, reason),
    }
    this.sessions = new SessionTable({
      sessionsMax: options.sessionsMax,
      bounds: this.bounds,
      onEnd: (session, cause) => this.onSessionEnd(session, cause),
    })
    this.subscriptions = new TopicFilterTrie(options.subscriptionsMax, options.filterCharactersMax)
    const { lastResortTopic, autoTopicsMax } = options
    this.routes = new RouteTable({ broker, mapping, clock, observer, lastResortTopic, autoTopicsMax })
    this.commits = new CommitBatches({ broker, onSettled: (batch, error) => this.onCommitSettled(batch, error) })
    this.packetIds = new PacketIdLog(broker)
    const clockMark = (wallMs: number): ClockMark | null => this.clockMark(wallMs)
    this.wills = new WillKeeper({
      clock,
      clockMark,
      routes: this.routes,
      commits: this.commits,
      counters: this.counters,
    })
    this.delivery = new Delivery({
      broker,
      clock,
      observer,
      compute: parts.compute,
      fanOut: new FanOut(this.subscriptions, () => this.reportFiguresSoon()),
      readBytes: options.tailReadBytes,
      decompressedBytesMax: options.decompressedBytesMax,
      hasSubscriptions: () => this.subscriptions.size > 0,
    })
    this.services = this.createServices(mapping)
  }

  private createServices(mapping: TopicMapping): DoorServices {
    const { clock, entropy, observer, broker, options } = this.parts
    return {
      clock,
      entropy,
      observer,
      broker,
      options,
      authenticator: this.parts.authenticator ?? null,
      authorizer: this.parts.authorizer ?? null,
      principalOf: this.parts.principalOf ?? (() => anonymousPrincipal),
      mapping,
      routes: this.routes,
      commits: this.commits,
      packetIds: this.packetIds,
      sessions: this.sessions,
      subscriptions: this.subscriptions,
      wills: this.wills,
      eventBudget: this.eventBudget,
      retainWarned: new Set(),
      counters: this.counters,
      columns: createPacketColumns(rowsMax),
      clockMark: (wallMs) => this.clockMark(wallMs),
      onSubscriptionsChanged: () => this.delivery.onSubscriptionsChanged(),
      onAttached: (session) => this.onAttached(session),
      onDetached: (session) => this.onDetached(session),
      waitForPendingBytes: (waiter) => this.waitForPendingBytes(waiter),
    }
  }

  /** Connected clients. */
  get connectionCount(): number {
    return this.connections.size
  }

  /** Sessions kept, connected or not. */
  get sessionCount(): number {
    return this.sessions.size
  }

  /**
   * Opens a listener; the first one reads the packet ids of unfinished QoS 2 messages back before anybody may connect. Rejects with a NetError.
   */
  async listen(address: ListenAddress, options: MqttListenerOptions = {}): Promise<Listener> {
    this.opening ??= this.open()
    await this.opening
    const listener = await this.parts.net.listen(
      'mqtt',
      address,
      (socket) => this.onConnection(socket, options),
      options.tls,
    )
    this.listeners.push(listener)
    return listener
  }

  private async open(): Promise<void> {
    const packetIds = await this.packetIds.open(this.parts.options.tailReadBytes)
    if (packetIds > 0) this.parts.observer.event(mqttEvents.packetIdsReplayed, { packetIds })
  }

  /** Topics were created, deleted or grown. */
  onPartitionsChanged(): void {
    this.routes.invalidate()
    this.delivery.onPartitionsChanged()
  }

  private onConnection(socket: Connection, listener: MqttListenerOptions): void {
    if (this.isStopping || this.connections.size >= this.parts.options.connectionsMax) {
      socket.destroy()
      this.parts.observer.add(mqttMetrics.disconnects, 1, { reason: 'refused' })
      return
    }
    const connection = new MqttConnection(socket, listener, this.services, (ended) => {
      this.connections.delete(ended)
      this.reportFiguresSoon()
    })
    this.connections.add(connection)
    this.reportFiguresSoon()
  }

  /**
   * No new connections, nothing more is read; what was taken is committed and acknowledged; then a last word for every client, wills included.
   * Resolves when that is done, or after the time it may take.
   */
  async stop(): Promise<void> {
    if (this.isStopping) return
    this.isStopping = true
    await Promise.all(this.listeners.map((listener) => listener.close()))
    for (const connection of this.connections) connection.stopReading()
    await this.settled()
    for (const connection of [...this.connections]) connection.close(reasonCodes.serverShuttingDown, 'the server stops')
    this.wills.fireAll()
    await this.settled()
    this.delivery.stopAll()
    for (const timer of this.expiries.values()) this.parts.clock.cancel(timer)
    this.expiries.clear()
    if (this.figuresTimer !== null) this.parts.clock.cancel(this.figuresTimer)
    this.reportFigures()
  }

  /** Resolves when nothing waits for a commit any more, or when it has taken too long. */
  private settled(): Promise<void> {
    const { clock } = this.parts
    const deadlineMs = clock.monotonicMs() + drainMs
    return new Promise((resolve) => {
      const look = (): void => {
        const isSettled = this.commits.unsettledCount === 0 && this.wills.pendingCount === 0
        if (isSettled || clock.monotonicMs() >= deadlineMs) resolve()
        else clock.schedule(drainCheckMs, look)
      }
      look()
    })
  }

  // ------------------------------------------------------------------------------------------- sessions

  /** Asked of the clock once a millisecond, not once a message. */
  private clockMark(wallMs: number): ClockMark | null {
    if (wallMs === this.markedWallMs) return this.mark
    const { clock, bootId } = this.parts
    this.markedWallMs = wallMs
    this.mark = clock.wallTrusted() ? null : { bootId, uptimeMs: clock.monotonicMs() }
    return this.mark
  }

  private onAttached(session: MqttSession): void {
    const timer = this.expiries.get(session)
    if (timer !== undefined) this.parts.clock.cancel(timer)
    this.expiries.delete(session)
    this.reportFiguresSoon()
  }

  /** [MQTT-3.1.2-25], [MQTT-4.1.0-2] */
  private onDetached(session: MqttSession): void {
    if (session.expiryMs === 0) return this.sessions.end(session, 'expired')
    this.sessions.touch(session)
    this.expiries.set(
      session,
      this.parts.clock.schedule(Math.min(session.expiryMs, timerMsMax), () => this.sessions.end(session, 'expired')),
    )
  }

  private onSessionEnd(session: MqttSession, cause: 'expired' | 'clean-start' | 'evicted'): void {
    const timer = this.expiries.get(session)
    if (timer !== undefined) this.parts.clock.cancel(timer)
    this.expiries.delete(session)
    dropSubscriptions(this.services, session)
    this.wills.fireDelayed(session.clientId)
    this.forgetPacketIds(session)
    if (cause !== 'evicted' || !this.eventBudget.take()) return
    const { observer, options } = this.parts
    observer.event(mqttEvents.sessionEvicted, { clientId: session.clientId, sessionsMax: options.sessionsMax })
  }

  /** The ids of an ended session mean nothing any more; nobody waits for it to be written. */
  private forgetPacketIds(session: MqttSession): void {
    const wallMs = this.parts.clock.wallMs()
    for (const packetId of [...session.received.keys(), ...session.carriedIds.keys()]) {
      this.packetIds.appendReleased(this.commits.current().turn, session.clientId, packetId, wallMs)
    }
  }

  private onDrop(session: MqttSession, reason: DropReason): void {
    this.counters.drop(reason)
    this.reportFiguresSoon()
    if (reason === 'expired' || reason === 'not_connected' || !this.eventBudget.take()) return
    this.parts.observer.event(mqttEvents.subscriberDropping, { clientId: session.clientId, reason })
  }

  // -------------------------------------------------------------------------------------------- commits

  private onCommitSettled(batch: CommitBatch, error: string | null): void {
    const { observer } = this.parts
    if (error === null) {
      observer.add(mqttMetrics.published, batch.messages)
      observer.add(mqttMetrics.publishedBytes, batch.bytes)
    } else {
      observer.add(mqttMetrics.refused, batch.messages, { reason: reasonName(reasonOf(error)) })
      if (this.eventBudget.take()) observer.event(mqttEvents.appendFailed, { reason: error })
    }
    this.reportFiguresSoon()
    this.checkPendingBytes()
  }

  private waitForPendingBytes(waiter: PendingBytesWaiter): void {
    this.waiters.push(waiter)
    if (this.waiters.length === 1) this.checkPendingBytesLater()
  }

  /** Other writers fill the log too: a commit of ours is not the only sign that it has drained. */
  private checkPendingBytesLater(): void {
    this.parts.clock.schedule(pendingCheckMs, () => {
      this.checkPendingBytes()
      if (this.waiters.length > 0) this.checkPendingBytesLater()
    })
  }

  private checkPendingBytes(): void {
    if (this.waiters.length === 0) return
    if (this.parts.broker.pendingBytes > this.parts.options.pendingBytesMax / 2) return
    const waiters = this.waiters
    this.waiters = []
    for (const waiter of waiters) waiter.onPendingBytesDown()
  }

  // -------------------------------------------------------------------------------------------- figures

  /** Nothing is scheduled while nothing happens. */
  private reportFiguresSoon(): void {
    if (this.figuresTimer !== null || this.isStopping) return
    this.figuresTimer = this.parts.clock.schedule(figuresEveryMs, () => {
      this.figuresTimer = null
      this.reportFigures()
    })
  }

  private reportFigures(): void {
    const { observer } = this.parts
    const { counters } = this
    observer.set(mqttMetrics.connections, this.connections.size)
    observer.set(mqttMetrics.sessions, this.sessions.size)
    observer.set(mqttMetrics.subscriptions, this.subscriptions.size)
    observer.set(mqttMetrics.queuedBytes, this.bounds.queuedBytesTotal)
    if (counters.delivered > 0) observer.add(mqttMetrics.delivered, counters.delivered)
    for (const [reason, count] of counters.dropped) observer.add(mqttMetrics.dropped, count, { reason })
    for (const [reason, count] of counters.refused) observer.add(mqttMetrics.refused, count, { reason })
    counters.delivered = 0
    counters.dropped.clear()
    counters.refused.clear()
  }
}
