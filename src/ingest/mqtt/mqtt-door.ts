import type { Partition } from '../../cluster/partition/partition.ts'
import type { Listener, ListenPlace } from '../../base/ports.ts'
import { createPacketColumns } from '../../protocol/mqtt/packet-columns.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import { type CommitBatch, CommitBatches, reasonOf } from './commit-batch.ts'
import { CatchUp, type Reader } from './catch-up.ts'
import { ClockMarker } from './clock-marker.ts'
import { CommandKeeper } from './command-keeper.ts'
import { compileCommandRoutes } from './command-route.ts'
import { Delivery } from './delivery.ts'
import { DoorConnections } from './door-connections.ts'
import { DoorCounters } from './door-counters.ts'
import type { MqttDoorParts } from './door-parts.ts'
import type { DoorServices } from './door-services.ts'
import { settled } from './door-drain.ts'
import { DoorFigures } from './door-figures.ts'
import { type DoorSizes, sizesOf } from './door-sizes.ts'
import { EventBudget } from './event-budget.ts'
import { FanOut } from './fan-out.ts'
import { KeptRecords } from './kept-records.ts'
import type { MqttListenerOptions } from './listener-options.ts'
import { LogSummaries } from './log-summaries.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import { OvertakenReaders } from './overtaken-readers.ts'
import { mqttSessionsTopic, PacketIdLog } from './packet-id-log.ts'
import { noPayloadChecks } from './payload-check.ts'
import { PendingBytes } from './pending-bytes.ts'
import { ReplayTable } from './replay-table.ts'
import { RetainedKeeper, retainedTopic } from './retained-keeper.ts'
import { RouteTable } from './route-table.ts'
import { type MqttSession, packetIdMax } from './session.ts'
import type { Delivery as SessionDelivery, DropReason, SessionBounds } from './session-types.ts'
import type { ReplayOutcome } from './state-replay.ts'
import { SessionExpiries } from './session-expiries.ts'
import { SessionKeeper } from './session-keeper.ts'
import { SessionTable } from './session-table.ts'
import { deliverOwed, dropSubscriptions } from './subscribe-handler.ts'
import type { SharedGroup } from './shared-group.ts'
import { SparkplugDecoder } from './sparkplug-decoder.ts'
import { SubscriptionIndex } from './subscription-index.ts'
import { SysTopics } from './sys-topics.ts'
import { TopicMapping } from './topic-mapping.ts'
import { rightsOf, type SessionOwner, type TopicRights } from './topic-rights.ts'
import { type Will, WillKeeper } from './will-keeper.ts'

/** Rows of one decoder step: a chunk of 64 KB holds more only when its packets are tiny. */
const rowsMax = 1024
/** The MQTT door: takes connections, keeps sessions, stores what clients publish and delivers what they subscribe to. */
export class MqttDoor {
  private readonly marker: ClockMarker
  private readonly parts: MqttDoorParts
  private readonly services: DoorServices
  private readonly sessions: SessionTable
  private readonly subscriptions: SubscriptionIndex
  private readonly wills: WillKeeper
  private readonly routes: RouteTable
  private readonly commits: CommitBatches
  private readonly packetIds: PacketIdLog
  private readonly retained: RetainedKeeper
  private readonly decoder: SparkplugDecoder | null
  private readonly delivery: Delivery
  private readonly summaries: LogSummaries
  private readonly catchUp: CatchUp
  private readonly replays: ReplayTable
  private readonly commands: CommandKeeper | null
  private readonly keeper: SessionKeeper
  private readonly kept: KeptRecords
  private readonly sys: SysTopics
  private readonly bounds: SessionBounds
  private readonly counters = new DoorCounters()
  private readonly figures: DoorFigures
  private readonly pending: PendingBytes
  private readonly eventBudget: EventBudget
  private readonly connections: DoorConnections
  private readonly expiries: SessionExpiries
  private opening: Promise<void> | null = null
  private isStopping = false

  /** Throws ApplianceError MQTT_ROUTE_INVALID when a route cannot be used. */
  constructor(parts: MqttDoorParts) {
    this.parts = parts
    const { clock, observer, broker, compute, options } = parts
    const mapping = new TopicMapping(options.routes)
    this.eventBudget = new EventBudget(clock)
    this.expiries = new SessionExpiries(clock, (session) => this.onAwayTooLong(session))
    this.marker = new ClockMarker(clock, parts.bootId)
    this.pending = new PendingBytes(broker, clock, options.pendingBytesMax)
    const sizes = (): DoorSizes => this.sizes()
    this.figures = new DoorFigures({
      clock,
      observer,
      counters: this.counters,
      sizes,
      version: parts.version,
      routeNames: options.routes.map(({ match }) => match),
    })
    this.bounds = this.createBounds()
    this.sessions = new SessionTable({
      sessionsMax: options.sessionsMax,
      bounds: this.bounds,
      onEnd: (session, cause) => this.onSessionEnd(session, cause),
    })
    this.subscriptions = new SubscriptionIndex(options.subscriptionsMax, options.filterCharactersMax, (group) => {
      this.commands?.onGroupEnd(group)
      this.catchUp.forget(group)
      this.keeper.places.forgetGroup(group)
    })
    const { lastResortTopic, autoTopicsMax, sparkplug, retainedBytesMax: bytesMax } = options
    const checks = parts.checks ?? noPayloadChecks
    const routing = { broker, mapping, clock, observer, lastResortTopic, autoTopicsMax, checks, sparkplug }
    this.routes = new RouteTable(routing)
    this.commits = new CommitBatches({ broker, onSettled: (batch, error) => this.onCommitSettled(batch, error) })
    this.packetIds = new PacketIdLog(broker)
    this.retained = new RetainedKeeper({ broker, commits: this.commits, bytesMax, times: this.marker })
    this.decoder = this.createDecoder()
    const { routes, commits, counters, retained, decoder } = this
    const onPublished = (will: Will): void => this.keeper.willPublished(will)
    const clockMark = this.marker.at.bind(this.marker)
    this.wills = new WillKeeper({ clock, clockMark, routes, checks, commits, counters, retained, decoder, onPublished })
    const { tailReadBytes: readBytes, decompressedBytesMax } = options
    const onDelivered = (): void => this.figures.reportSoon()
    this.commands = this.createCommands(mapping)
    const onBehind = (reader: Reader, partition: Partition): void => this.catchUp.fellBehind(reader, partition)
    const hooks = { onDelivered, onBehind, commands: this.commands, times: this.marker }
    const fanOut = new FanOut(this.subscriptions, hooks)
    this.summaries = new LogSummaries(options.summaryBytesMax, options.summaryStretchBytes)
    const { summaries } = this
    const reading = { broker, clock, observer, compute, fanOut, summaries, readBytes, decompressedBytesMax }
    const livePosition = (partition: Partition): number | undefined => this.delivery.positionOf(partition)
    const overtaken = new OvertakenReaders(observer, this.eventBudget)
    const onMoved = (reader: Reader): void => this.keeper.places.onMoved(reader as MqttSession | SharedGroup)
    this.catchUp = new CatchUp({ ...reading, overtaken, livePosition, onMoved })
    const { omitsHeaders } = mapping
    this.replays = new ReplayTable({ ...reading, bounds: options, omitsHeaders, onDelivered })
    this.delivery = new Delivery({
      ...reading,
      onRead: () => this.keeper.places.onRead(),
      startOf: (partition) => this.keeper.startOf(partition) ?? this.commands?.startOf(partition),
      hasSubscriptions: () => this.subscriptions.size > 0,
      onReaderStopped: (partition, endOffset) => this.commands?.onReaderStopped(partition, endOffset),
    })
    const { sessions, subscriptions, wills, expiries } = this
    this.kept = this.createKept()
    const livePositions = (): Iterable<readonly [Partition, number]> => this.delivery.positions()
    const authorizer = parts.authorizer ?? null
    const rights = (owner: SessionOwner): TopicRights | null => rightsOf(owner, { authorizer, mapping, options })
    const keeping = { broker, clock, commits, sessions, subscriptions, wills, expiries, livePositions, rights }
    this.keeper = new SessionKeeper({ ...keeping, readersPerPart: options.checkpointReaders })
    this.sys = new SysTopics({ clock, subscriptions, figures: () => this.figures.ofSys() })
    this.services = this.createServices(mapping)
    this.connections = new DoorConnections({
      net: parts.net,
      clock,
      observer,
      options,
      services: () => this.services,
      onChange: () => this.onConnectionsChanged(),
    })
  }

  private createBounds(): SessionBounds {
    const { options } = this.parts
    return {
      queuedMessagesMax: options.queuedMessagesMax,
      queuedBytesMax: options.queuedBytesMax,
      queuedBytesTotalMax: options.queuedBytesTotalMax,
      finishedIdsMax: options.finishedIdsMax,
      queuedBytesTotal: 0,
      held: { queued: 0, inflight: 0 },
      onDrop: (session, reason) => this.onDrop(session, reason),
      onRoom: (session) => this.onRoom(session),
      onProgress: (session) => {
        this.keeper.places.onProgress(session)
        this.commands?.onProgress()
      },
      recordOutgoing: (session, record, then) => this.keeper.recordOutgoing(session, record, then),
    }
  }

  private createDecoder(): SparkplugDecoder | null {
    const { options, sparkplugCodec: codec, clock, observer } = this.parts
    if (options.sparkplug === null || options.sparkplug.decodedTopic === null) return null
    if (codec === undefined) throw new Error('messages of Sparkplug are to be decoded, and there is no codec')
    const { counters, retained } = this
    const payloadBytesMax = options.sparkplug.decodedPayloadBytesMax
    return new SparkplugDecoder({ codec, clock, observer, counters, retained, payloadBytesMax })
  }

  /** Throws ApplianceError MQTT_COMMAND_ROUTE_INVALID. */
  private createCommands(mapping: TopicMapping): CommandKeeper | null {
    const { options, commandOffsets: offsets } = this.parts
    const routes = compileCommandRoutes(options.commandRoutes, mapping)
    if (routes.size === 0) return null
    if (offsets === undefined) throw new Error('command routes without a place for their offsets')
    const { sessions, subscriptions, eventBudget } = this
    return new CommandKeeper({
      ...this.parts,
      routes,
      offsets,
      sessions,
      subscriptions,
      eventBudget,
      readBytes: options.tailReadBytes,
      decompressedBytesMax: options.decompressedBytesMax,
      keptFrom: (partition) => this.keeper.startOf(partition),
      livePosition: (partition) => this.delivery.positionOf(partition),
      release: (partition) => this.delivery.release(partition),
    })
  }

  private createKept(): KeptRecords {
    return new KeptRecords({
      clock: this.parts.clock,
      topics: this.parts.options.keepForSessions,
      livePosition: (partition) => this.delivery.positionOf(partition),
      sessions: () => this.sessions.values(),
      groups: () => this.subscriptions.shared(),
    })
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
      quotas: this.parts.quotas ?? null,
      principalOf: this.parts.principalOf ?? (() => anonymousPrincipal),
      mapping,
      routes: this.routes,
      checks: this.parts.checks ?? noPayloadChecks,
      commits: this.commits,
      packetIds: this.packetIds,
      sessions: this.sessions,
      subscriptions: this.subscriptions,
      wills: this.wills,
      retained: this.retained,
      decoder: this.decoder,
      keeper: this.keeper,
      sys: this.sys,
      replays: this.replays,
      commands: this.commands,
      eventBudget: this.eventBudget,
      counters: this.counters,
      columns: createPacketColumns(rowsMax),
      clockMark: (wallMs) => this.marker.at(wallMs),
      onSubscriptionsChanged: () => this.delivery.onSubscriptionsChanged(),
      livePosition: (partition) => this.delivery.positionOf(partition),
      unread: () => this.delivery.unread((partition) => this.commands?.holds(partition) !== true),
      onAttached: (session) => this.onAttached(session),
      onDetached: (session) => this.onDetached(session),
      waitForPendingBytes: (waiter) => this.pending.add(waiter),
    }
  }

  /** Connected clients. */
  get connectionCount(): number {
    return this.connections.size
  }

  /** Connected clients of the listeners with this name. */
  connectionsOf(listenerName: string): number {
    return this.connections.sizeOf(listenerName)
  }

  /** Sessions kept, connected or not. */
  get sessionCount(): number {
    return this.sessions.size
  }

  /**
   * Opens a listener; the first one reads back what is kept for clients before anybody may connect. Rejects with a NetError.
   */
  async listen(place: ListenPlace, options: MqttListenerOptions = {}): Promise<Listener> {
    this.opening ??= this.open()
    await this.opening
    return this.connections.listen(place, options)
  }

  /** What sessions may do is asked anew. Whoever comes by these listeners from now on says who it is; who came before goes. Answers how many. */
  askForNames(listeners: readonly Listener[]): number {
    this.keeper.refreshRights()
    return listeners.reduce((ended, listener) => ended + this.connections.askForNames(listener), 0)
  }

  private async open(): Promise<void> {
    const { observer, clock, options } = this.parts
    const replay = (key: Uint8Array, value: Uint8Array | null): void => this.keeper.replay(key, value)
    this.reportUnread(mqttSessionsTopic.name, await this.packetIds.open(options.tailReadBytes, replay))
    this.reportUnread(retainedTopic.name, await this.retained.open(options.tailReadBytes, clock.wallMs()))
    const packetIds = this.packetIds.openCount
    if (packetIds > 0) observer.event(mqttEvents.packetIdsReplayed, { packetIds })
    const restored = this.keeper.restore()
    await this.commands?.open()
    this.restoreSessions(restored)
    this.kept.watch(this.parts.broker.partitions.values())
  }

  /** Sessions of the last run go on; wills of those whose connection a crash has taken are due. */
  private restoreSessions(restored: ReturnType<SessionKeeper['restore']>): void {
    const { clock, entropy, observer } = this.parts
    const wallMs = clock.wallMs()
    for (const [session, stored] of restored) {
      session.continueIds(entropy.below(packetIdMax))
      for (const [packetId, fingerprint] of this.packetIds.takeCarried(session.clientId)) {
        session.carriedIds.set(packetId, fingerprint)
      }
      // Without a clock that can be trusted nobody's time is over.
      const { expiryMs, expiresAtMs, willDueMs } = stored
      const endsInMs = expiresAtMs === null || !clock.wallTrusted() ? expiryMs : Math.max(0, expiresAtMs - wallMs)
      if (endsInMs > 0) this.expiries.set(session, endsInMs)
      if (stored.will !== null && willDueMs === null) this.wills.fire(stored.will, endsInMs)
      else if (stored.will !== null) this.wills.fireIn(stored.will, Math.max(0, Number(willDueMs) - wallMs))
      if (endsInMs === 0) this.sessions.end(session, 'expired')
      else if (expiresAtMs === null) this.keeper.save(session)
    }
    this.delivery.onSubscriptionsChanged()
    this.keeper.forgetReplayed()
    if (restored.length > 0) observer.event(mqttEvents.sessionsRestored, { sessions: this.sessions.size })
    this.figures.reportSoon()
  }

  private reportUnread(topic: string, { unread }: ReplayOutcome): void {
    for (const { partition, fromOffset } of unread) {
      this.parts.observer.event(mqttEvents.stateUnreadable, { topic, partition, fromOffset })
    }
  }

  /** Topics were created, deleted or grown. */
  onPartitionsChanged(): void {
    this.routes.invalidate()
    this.commands?.onPartitionsChanged()
    this.delivery.onPartitionsChanged()
    this.replays.onPartitionsChanged()
    this.keeper.places.onPartitionsChanged()
    this.summaries.onPartitionsChanged((each) => this.isThere(each))
    this.kept.watch(this.parts.broker.partitions.values())
    for (const session of this.sessions.values()) this.forgetGone(session.behind)
    for (const group of this.subscriptions.shared()) this.forgetGone(group.behind)
  }

  /** Nobody waits for what was in a topic that is gone. */
  private forgetGone(behind: Map<Partition, number>): void {
    for (const partition of behind.keys()) if (!this.isThere(partition)) behind.delete(partition)
  }

  private isThere(partition: Partition): boolean {
    return this.parts.broker.partitions.get(partition.topic, partition.index) === partition
  }

  private onConnectionsChanged(): void {
    const { totals } = this.counters
    totals.connectedMax = Math.max(totals.connectedMax, this.connections.size)
    this.figures.reportSoon()
  }

  /**
   * No new connections, nothing more is read; what was taken is committed and acknowledged; then a last word for every client, wills included.
   * Resolves when that is done, or after the time it may take.
   */
  async stop(): Promise<void> {
    if (this.isStopping) return
    this.isStopping = true
    this.kept.stop()
    await this.connections.stopListening()
    this.connections.stopReading()
    await settled(this.parts.clock, () => this.commits.unsettledCount === 0 && this.wills.pendingCount === 0)
    this.connections.closeAll(reasonCodes.serverShuttingDown, 'the server stops')
    this.keeper.places.stop()
    await settled(this.parts.clock, () => this.commits.unsettledCount === 0 && this.wills.pendingCount === 0)
    this.wills.stop()
    this.decoder?.stop()
    this.delivery.stopAll()
    await this.commands?.stop()
    this.catchUp.stop()
    this.replays.stop()
    this.sys.stop()
    this.expiries.stop()
    this.figures.stop()
  }

  // ------------------------------------------------------------------------------------------- sessions

  private onAttached(session: MqttSession): void {
    this.expiries.clear(session)
    deliverOwed(this.services, session)
    this.commands?.onAttached(session)
    this.figures.reportSoon()
  }

  /** [MQTT-3.1.2-25], [MQTT-4.1.0-2] */
  private onDetached(session: MqttSession): void {
    this.replays.onDetached(session)
    this.catchUp.pause(session)
    // What was sent waits for the client [MQTT-4.8.2-4]; what was not need not wait.
    this.giveToGroups(session.giveBackQueued(null))
    if (session.expiryMs === 0) return this.sessions.end(session, 'expired')
    this.sessions.touch(session)
    this.keeper.save(session)
    if (!this.isStopping) this.expiries.set(session, session.expiryMs)
  }

  /** What waits for the session, or for a shared subscription that it is a member of, is read now. */
  private onRoom(session: MqttSession): void {
    this.catchUp.request(session)
    this.replays.onRoom(session)
    this.commands?.onRoom(session)
    for (const group of session.groups.keys()) {
      group.giveReturned(this.parts.clock.wallMs())
      this.catchUp.request(group)
    }
  }

  private giveToGroups(deliveries: readonly SessionDelivery[]): void {
    const wallMs = this.parts.clock.wallMs()
    for (const delivery of deliveries) {
      if (delivery.group?.size === 0) this.commands?.onGivenBack(delivery.message)
      else delivery.group?.takeBack([delivery], wallMs)
    }
  }

  private onAwayTooLong(session: MqttSession): void {
    this.counters.totals.expiredSessions += 1
    this.sessions.end(session, 'expired')
  }

  private onSessionEnd(session: MqttSession, cause: 'expired' | 'clean-start' | 'evicted'): void {
    this.expiries.clear(session)
    this.commands?.onSessionEnd(session)
    const left = session.giveBackAll()
    const filters = [...session.subscriptions.keys()]
    this.catchUp.forget(session)
    dropSubscriptions(this.services, session)
    this.giveToGroups(left)
    this.wills.fireDelayed(session.clientId)
    this.keeper.forget(session, filters)
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
    this.figures.reportSoon()
    if (reason === 'expired' || reason === 'not_connected' || !this.eventBudget.take()) return
    this.parts.observer.event(mqttEvents.subscriberDropping, { clientId: session.clientId, reason })
  }

  // -------------------------------------------------------------------------------------------- commits

  private onCommitSettled(batch: CommitBatch, error: string | null): void {
    const { observer } = this.parts
    if (error === null) {
      observer.add(mqttMetrics.published, batch.messages)
      observer.add(mqttMetrics.publishedBytes, batch.bytes)
      this.counters.totals.receivedMessages += batch.messages
      this.counters.totals.receivedMessageBytes += batch.bytes
    } else {
      observer.add(mqttMetrics.refused, batch.messages, { reason: reasonName(reasonOf(error)) })
      if (this.eventBudget.take()) observer.event(mqttEvents.appendFailed, { reason: error })
    }
    this.figures.reportSoon()
    this.pending.check()
  }

  private sizes(): DoorSizes {
    const { connections, sessions, subscriptions, replays, retained, bounds } = this
    return sizesOf({ connections, sessions, subscriptions, replays, retained, bounds })
  }
}
