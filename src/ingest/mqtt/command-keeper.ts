/**
 * Command routes at work: which records of the log are commands, who has them, and how far each route's consumer group is.
 *
 * A command goes the way of every message: the common reader gives it to all who subscribe to its topic. The group's offset stays in front of what
 * nobody has: what waits for a subscriber, what a session that is not kept has not acknowledged, what such a session was too slow for. A kept session
 * has a place of its own in the log, so what it is given is done with.
 */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock, Compute, Observer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { filterMatches, sharedFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { RecordView } from '../../protocol/records/record.ts'
import { CommandGiver } from './command-giver.ts'
import { CommandLedger, isDurable } from './command-ledger.ts'
import type { CommandOffsets } from './command-offsets.ts'
import { CommandBatches } from './command-batches.ts'
import { type CommandReadingOptions, readCommands } from './command-reading.ts'
import { type CommandPlan, type CompiledCommandRoute, commandGroup } from './command-route.ts'
import {
  addOrphans,
  type CommandOutcome,
  type CommandTrack,
  commandMessage,
  commandRecord,
  decodeTrack,
  waitingMax,
} from './command-track.ts'
import type { EventBudget } from './event-budget.ts'
import type { RecordPlace } from './fan-out.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { CommandMark, OutgoingMessage } from './outgoing-message.ts'
import { ReadCommand } from './read-command.ts'
import { headersOf, type ScannedRecord } from './record-scan.ts'
import type { MqttSession } from './session.ts'
import type { SessionTable } from './session-table.ts'
import type { SharedGroup } from './shared-group.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import { WaitingCommands } from './waiting-commands.ts'

export interface CommandKeeperOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly observer: Observer
  /** By Kafka topic. */
  readonly routes: ReadonlyMap<string, CompiledCommandRoute>
  readonly offsets: CommandOffsets
  readonly sessions: SessionTable
  readonly subscriptions: SubscriptionIndex
  readonly eventBudget: EventBudget
  readonly readBytes: number
  readonly decompressedBytesMax: number
  /** Where kept sessions of the last run go on; undefined = there are none. */
  readonly keptFrom: (partition: Partition) => number | undefined
  /** Offset below which the common reader has handed out everything; undefined = it does not read. */
  readonly livePosition: (partition: Partition) => number | undefined
  /** The common reader of a partition may go on. */
  readonly release: (partition: Partition) => void
}

/** A look through what was left waits this long for room. */
const roomCheckMs = 1000

export class CommandKeeper {
  private readonly options: CommandKeeperOptions
  private readonly reading: CommandReadingOptions
  private readonly tracks = new Map<Partition, CommandTrack>()
  private readonly batches: CommandBatches
  private readonly giver: CommandGiver
  private readonly ledger: CommandLedger
  private readonly waiting = new WaitingCommands()
  /** Who was given a command and may not be done with it. Bound: the sessions and their shared subscriptions. */
  private readonly holders = new Set<MqttSession | SharedGroup>()
  /** Kept sessions of the last run that have not come back. */
  private readonly away = new Set<MqttSession>()
  /** Who has subscribed while orphans are looked through. Bound: the sessions. */
  private readonly recent = new Set<MqttSession>()
  private isStopped = false

  constructor(options: CommandKeeperOptions) {
    this.options = options
    this.reading = { ...options, isStopped: () => this.isStopped }
    this.batches = new CommandBatches(this.reading)
    const { tracks, batches, waiting, holders } = this
    const count = (track: CommandTrack, outcome: CommandOutcome): void => this.count(track, outcome)
    this.ledger = new CommandLedger({ ...options, tracks, waiting, holders, count })
    const onChange = (): void => this.ledger.settleSoon()
    const onGiven = (session: MqttSession): void => void holders.add(session)
    this.giver = new CommandGiver({
      clock: options.clock,
      waiting,
      batches,
      count,
      onGiven,
      onChange,
      isStopped: this.reading.isStopped,
    })
  }

  // ------------------------------------------------------------------------------------------ the start

  /** Goes on where the last run ended, before anybody may connect; kept sessions have been restored. */
  async open(): Promise<void> {
    for (const session of this.options.sessions.values()) this.away.add(session)
    for (const compiled of this.options.routes.values()) {
      const { name, kafkaTopic } = compiled.route
      const partitions = this.options.broker.partitionsOf(kafkaTopic)
      if (partitions.length === 0) continue
      const indexes = partitions.map(({ index }) => index)
      const fetched = this.options.offsets.fetch(commandGroup(name), kafkaTopic, indexes)
      if (typeof fetched === 'string') {
        this.options.observer.event(mqttEvents.commandOffsetUnknown, { route: name, reason: fetched })
      }
      for (const partition of partitions) {
        const known =
          typeof fetched === 'string' ? undefined : fetched.find((each) => each.partition === partition.index)
        await this.openTrack(compiled, partition, known?.offset ?? -1, known?.metadata ?? '')
      }
    }
    await this.ledger.settle()
  }

  private async openTrack(
    compiled: CompiledCommandRoute,
    partition: Partition,
    offset: number,
    metadata: string,
  ): Promise<void> {
    const { highWatermark, log } = partition
    // What was there before the route is not carried out.
    const { endOffset, undone } = offset < 0 ? { endOffset: highWatermark, undone: [] } : decodeTrack(offset, metadata)
    const track = this.addTrack(compiled, partition, Math.min(Math.max(endOffset, log.logStartOffset), highWatermark))
    if (offset >= 0) track.written = `${offset} ${metadata}`
    if (compiled.route.unmatched === 'skip') return
    // As many as the metadata holds.
    for (const each of undone) {
      const record = await this.batches.record(partition, each)
      if (record === null) this.count(track, 'lost')
      else this.keepWaiting(track, record, () => true)
    }
    const keptFrom = this.options.keptFrom(partition)
    if (keptFrom === undefined || keptFrom <= track.endOffset) return
    // Kept sessions are past these, and still need not have had all of them: a session may have subscribed to what was waiting then.
    const range = { from: track.endOffset, to: keptFrom }
    const readTo = await readCommands(partition, range, this.reading, (record) => {
      if (track.waiting.size >= waitingMax) return false
      this.keepWaiting(track, record, () => true)
      return true
    })
    track.endOffset = keptFrom
    // The rest when there is room.
    if (readTo < keptFrom && track.waiting.size >= waitingMax) this.orphan(track, readTo, keptFrom, null)
  }

  private addTrack(compiled: CompiledCommandRoute, partition: Partition, endOffset: number): CommandTrack {
    const track: CommandTrack = {
      compiled,
      partition,
      endOffset,
      waiting: new Map(),
      orphans: [],
      scanOffset: null,
      isHeld: false,
      written: '',
    }
    this.tracks.set(partition, track)
    return track
  }

  /** Its records are commands: they wait for whoever comes, and are not too old for a subscription. */
  holds(partition: Partition): boolean {
    return this.tracks.has(partition)
  }

  /** Where the common reader begins when the first subscription is there; undefined = it is not for us to say. */
  startOf(partition: Partition): number | undefined {
    const track = this.tracks.get(partition)
    return track?.compiled.route.unmatched === 'wait' ? track.endOffset : undefined
  }

  /** The common reader stops: nobody subscribes any more. */
  onReaderStopped(partition: Partition, endOffset: number): void {
    const track = this.tracks.get(partition)
    if (track !== undefined) track.endOffset = Math.max(track.endOffset, endOffset)
  }

  /** Topics came, went or grew: new partitions are read from their beginning. */
  onPartitionsChanged(): void {
    const present = new Set<Partition>()
    for (const compiled of this.options.routes.values()) {
      for (const partition of this.options.broker.partitionsOf(compiled.route.kafkaTopic)) {
        present.add(partition)
        if (!this.tracks.has(partition)) this.addTrack(compiled, partition, partition.log.logStartOffset)
      }
    }
    for (const [partition, track] of [...this.tracks]) {
      if (present.has(partition)) continue
      this.waiting.drop(track)
      this.tracks.delete(partition)
    }
    this.ledger.settleSoon()
  }

  // ---------------------------------------------------------------------------------------- new records

  /**
   * What a record is: a command, null when it is no command and goes the common way, or `passed` when it is nobody's. `isFirst`: it is read for the first
   * time in this run, and counted.
   */
  read(
    bytes: Uint8Array,
    scanned: ScannedRecord,
    place: Pick<RecordPlace, 'partition' | 'offset'>,
    isFirst: boolean,
  ): ReadCommand | 'passed' | null {
    const track = this.tracks.get(place.partition)
    if (track === undefined) return null
    const record = {
      partition: place.partition.index,
      offset: place.offset,
      timestampMs: scanned.timestampMs,
      key: scanned.keyStart < 0 ? null : bytes.subarray(scanned.keyStart, scanned.keyEnd),
      headers: headersOf(bytes, scanned),
    }
    const plan = track.compiled.plan(record)
    if (isFirst) this.onRead(track, plan, place.offset)
    if (plan.kind === 'ordinary') return null
    if (plan.kind === 'invalid') return 'passed'
    const { topic, expiresMs } = plan
    const { valueStart, valueEnd } = scanned
    return new ReadCommand({ partition: track.partition, offset: place.offset, topic, expiresMs }, () => {
      const payload = valueStart < 0 ? noBytes : copyBytes(bytes, valueStart, valueEnd)
      return commandMessage(track, record, plan, { payload, hasOrigin: true })
    })
  }

  private onRead(track: CommandTrack, plan: CommandPlan, offset: number): void {
    this.ledger.settleSoon()
    if (plan.kind === 'ordinary') this.count(track, 'ordinary')
    if (plan.kind !== 'invalid') return
    this.count(track, 'invalid')
    if (!this.options.eventBudget.take()) return
    const { topic, index } = track.partition
    const { name: route } = track.compiled.route
    const where = { route, topic, partition: index, offset, reason: plan.reason }
    this.options.observer.event(mqttEvents.commandInvalid, where)
  }

  /** A new command is on its way to these. */
  onGiven({ command }: OutgoingMessage, readers: Iterable<MqttSession | SharedGroup>): void {
    const track = command === null ? undefined : this.tracks.get(command.partition)
    if (track !== undefined) this.count(track, 'given')
    for (const reader of readers) this.holders.add(reader)
  }

  /** Nobody subscribes to a new command. False = too many wait: the reader stands still until `release`. */
  takeUnmatched(command: CommandMark, wallMs: number): boolean {
    const track = this.tracks.get(command.partition)
    if (track === undefined || command.offset < track.endOffset) return true
    if (command.expiresMs <= wallMs) this.count(track, 'expired')
    else if (track.compiled.route.unmatched === 'skip') this.count(track, 'unmatched')
    else if (track.waiting.size >= waitingMax) {
      this.hold(track)
      return false
    } else this.addWaiting(track, command)
    return true
  }

  private hold(track: CommandTrack): void {
    if (track.isHeld) return
    track.isHeld = true
    const { topic, index } = track.partition
    const { name: route } = track.compiled.route
    const waiting = track.waiting.size
    if (this.options.eventBudget.take())
      this.options.observer.event(mqttEvents.commandsHeld, { route, topic, partition: index, waiting })
  }

  private addWaiting(track: CommandTrack, command: CommandMark): void {
    this.waiting.add(track, command)
    this.ledger.settleSoon()
  }

  /** Has a record of before wait, if it is a command that still counts. */
  private keepWaiting(track: CommandTrack, record: RecordView, isWanted: (topic: string) => boolean): void {
    const plan = track.compiled.plan(commandRecord(track, record))
    if (plan.kind !== 'command' || track.waiting.has(record.offset) || !isWanted(plan.topic)) return
    if (plan.expiresMs <= this.options.clock.wallMs()) return this.count(track, 'expired')
    const { topic, expiresMs } = plan
    this.addWaiting(track, { partition: track.partition, offset: record.offset, topic, expiresMs })
  }

  private count(track: CommandTrack, outcome: CommandOutcome): void {
    this.options.observer.add(mqttMetrics.commands, 1, { route: track.compiled.route.name, outcome })
  }

  // ------------------------------------------------------------------------------------------- sessions

  /** A session has a new subscription: what waits for its topics is given to it. */
  onSubscribed(session: MqttSession, filter: string): void {
    for (const { orphans } of this.tracks.values()) if (orphans.length > 0) this.recent.add(session)
    this.giver.give(session, [filter])
  }

  /** A session is about to have a connection. One of the last run may have been given what had waited, and have been cut off. */
  onAttached(session: MqttSession): void {
    if (this.away.delete(session)) this.giver.giveLater(session, session.subscriptions.keys())
  }

  /** The session could take more. */
  onRoom(session: MqttSession): void {
    this.giver.onRoom(session)
  }

  /** Something was given to a session or acknowledged by it. */
  onProgress(): void {
    this.ledger.onProgress()
  }

  /** A session ends, before anything is taken from it: what it had not acknowledged waits again. */
  onSessionEnd(session: MqttSession): void {
    this.giver.forget(session)
    this.holders.delete(session)
    this.away.delete(session)
    this.recent.delete(session)
    const isKept = isDurable(session)
    for (const { message, group } of session.pendingCommands()) {
      const { command } = message
      const track = command === null ? undefined : this.tracks.get(command.partition)
      if (command === null || track === undefined || group !== null) continue
      const waiting = track.waiting.get(command.offset)
      if (waiting?.holder === session) waiting.holder = null
      else if (!isKept && waiting === undefined) this.park(track, command)
    }
    if (!isKept) this.leave(session.behind, plainFilters(session.subscriptions.keys()))
    this.ledger.settleSoon()
  }

  /** A subscription ends while its session goes on. */
  onUnsubscribed(session: MqttSession, filter: string): void {
    if (!isDurable(session) && sharedFilterOf(filter) === null) this.leave(session.behind, [filter])
  }

  /** A shared subscription has lost its last member. */
  onGroupEnd(group: SharedGroup): void {
    this.holders.delete(group)
    for (const message of group.returnedMessages) this.onGivenBack(message)
    this.leave(group.behind, [group.filter])
  }

  /** Nobody is there to take what a member of a shared subscription has given back. */
  onGivenBack({ command }: OutgoingMessage): void {
    const track = command === null ? undefined : this.tracks.get(command.partition)
    if (command !== null && track !== undefined) this.park(track, command)
  }

  private park(track: CommandTrack, command: CommandMark): void {
    if (track.compiled.route.unmatched === 'skip') return this.count(track, 'unmatched')
    if (command.expiresMs <= this.options.clock.wallMs()) return this.count(track, 'expired')
    // Beyond the bound it is found again where it stands.
    if (track.waiting.size >= waitingMax) return this.orphan(track, command.offset, command.offset + 1, [command.topic])
    this.addWaiting(track, command)
  }

  /** What was not read for somebody is looked through. */
  private leave(behind: ReadonlyMap<Partition, number>, filters: readonly string[]): void {
    for (const [partition, from] of behind) {
      const track = this.tracks.get(partition)
      const to = this.options.livePosition(partition) ?? track?.endOffset ?? from
      if (track !== undefined && from < to && track.compiled.route.unmatched === 'wait')
        this.orphan(track, from, to, filters)
    }
  }

  private orphan(track: CommandTrack, from: number, to: number, filters: readonly string[] | null): void {
    addOrphans(track, { from, to, filters: filters === null ? null : [...filters] })
    if (track.scanOffset === null) void this.scan(track)
  }

  private async scan(track: CommandTrack): Promise<void> {
    for (let next = track.orphans[0]; next !== undefined && this.isTracked(track); next = track.orphans[0]) {
      const { from, to, filters } = next
      track.scanOffset = from
      const isTheirs = (topic: string): boolean =>
        filters === null || filters.some((each) => filterMatches(each, topic))
      await readCommands(track.partition, { from, to }, this.reading, async (record) => {
        track.scanOffset = record.offset
        while (track.waiting.size >= waitingMax && this.isTracked(track)) await this.pause(roomCheckMs)
        if (!this.isTracked(track)) return false
        this.keepWaiting(track, record, isTheirs)
        return true
      })
      if (!this.isTracked(track)) return
      track.orphans.shift()
    }
    track.scanOffset = null
    this.ledger.settleSoon()
    for (const session of this.recent) this.giver.give(session, session.subscriptions.keys())
    if ([...this.tracks.values()].every(({ orphans }) => orphans.length === 0)) this.recent.clear()
  }

  private isTracked(track: CommandTrack): boolean {
    return !this.isStopped && this.tracks.get(track.partition) === track
  }

  private pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.options.clock.schedule(ms, resolve))
  }

  /** Writes how far the routes are, for the last time. */
  async stop(): Promise<void> {
    if (this.isStopped) return
    this.isStopped = true
    this.batches.stop()
    await this.ledger.stop()
  }
}

function plainFilters(filters: Iterable<string>): string[] {
  return [...filters].filter((filter) => sharedFilterOf(filter) === null)
}

const noBytes = new Uint8Array(0)
