/** Gives sessions the commands that have waited for them: reads them again, at the pace that the session takes them. */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/ports.ts'
import { filterMatches, plainFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { RecordView } from '../../protocol/records/record.ts'
import type { CommandBatches } from './command-batches.ts'
import {
  type CommandOutcome,
  type CommandTrack,
  commandMessage,
  commandRecord,
  type WaitingCommand,
} from './command-track.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'
import type { WaitingCommands } from './waiting-commands.ts'

export interface CommandGiverOptions {
  readonly clock: Clock
  readonly waiting: WaitingCommands
  readonly batches: CommandBatches
  readonly count: (track: CommandTrack, outcome: CommandOutcome) => void
  /** A session has been given a command. */
  readonly onGiven: (session: MqttSession) => void
  /** What waits has changed. */
  readonly onChange: () => void
  /** Nothing more is given then. */
  readonly isStopped: () => boolean
}

/** Sessions that are given something at a time: each reads the log. */
const runningMax = 4
/** A session that has room, but not for the next command, is asked again after this. */
const crowdedMs = 100

type Filters = Set<string>

export class CommandGiver {
  private readonly options: CommandGiverOptions
  /** Subscriptions that are still to be given what waits for them, in the order of their sessions. Bound: the subscriptions; so too below. */
  private readonly due = new Map<MqttSession, Filters>()
  private readonly running = new Set<MqttSession>()
  /** The same of sessions that have no room, or no connection. */
  private readonly paused = new Map<MqttSession, Filters>()

  constructor(options: CommandGiverOptions) {
    this.options = options
  }

  /** Gives the session what waits for these of its subscriptions. */
  give(session: MqttSession, filters: Iterable<string>): void {
    if (this.options.isStopped()) return
    add(this.due, session, filters)
    this.startSome()
  }

  /** The same as soon as it has a connection and room. */
  giveLater(session: MqttSession, filters: Iterable<string>): void {
    add(this.paused, session, filters)
  }

  /** The session could take more. */
  onRoom(session: MqttSession): void {
    const filters = this.paused.get(session)
    if (filters === undefined) return
    this.paused.delete(session)
    this.give(session, filters)
  }

  /** The session ends. */
  forget(session: MqttSession): void {
    this.due.delete(session)
    this.paused.delete(session)
  }

  private startSome(): void {
    for (const [session, filters] of this.due) {
      if (this.running.size >= runningMax) return
      if (this.running.has(session)) continue
      this.due.delete(session)
      this.running.add(session)
      void this.giveAll(session, filters).then((left) => {
        this.running.delete(session)
        if (left !== null && !this.options.isStopped()) this.giveLater(session, left)
        this.startSome()
      })
    }
  }

  /** Answers the filters that are not done with, for lack of room; null when nothing is left. */
  private async giveAll(session: MqttSession, filters: Filters): Promise<Filters | null> {
    const { clock, waiting } = this.options
    for (const filter of filters) {
      for (const command of waiting.matching(plainFilterOf(filter))) {
        if (command.holder !== null || session.rights?.mayReceive(command.topic) === false) continue
        // Unsubscribed meanwhile, or the session has ended.
        if (!session.subscriptions.has(filter)) break
        if (!session.wantsMore) return filters
        const outcome = await this.giveOne(session, command)
        if (this.options.isStopped()) return null
        if (outcome === 'full') {
          if (session.wantsMore) clock.schedule(crowdedMs, () => this.onRoom(session))
          return filters
        }
      }
      filters.delete(filter)
    }
    return null
  }

  private async giveOne(session: MqttSession, command: WaitingCommand): Promise<'done' | 'full'> {
    const { clock, waiting, batches, count, onChange } = this.options
    const { track, offset, expiresMs } = command
    const record = await batches.record(track.partition, offset)
    if (track.waiting.get(offset) !== command || command.holder !== null) return 'done'
    if (record !== null && expiresMs > clock.wallMs()) return this.offer(session, command, record) ? 'done' : 'full'
    waiting.delete(command)
    count(track, record === null ? 'lost' : 'expired')
    onChange()
    return 'done'
  }

  /** At the best QoS of the matching subscriptions. False = it has no room. */
  private offer(session: MqttSession, command: WaitingCommand, view: RecordView): boolean {
    const { link } = session
    const { track } = command
    const record = commandRecord(track, view)
    const plan = track.compiled.plan(record)
    if (plan.kind !== 'command' || link === null || !link.isWritable) return false
    const matching: Subscription[] = []
    for (const [filter, subscription] of session.subscriptions) {
      if (filterMatches(plainFilterOf(filter), command.topic)) matching.push(subscription)
    }
    if (matching.length === 0) return true
    const qos = Math.max(...matching.map((subscription) => subscription.qos)) as 0 | 1 | 2
    const subscriptionIds = matching.map(({ subscriptionId }) => subscriptionId).filter((id) => id !== 0)
    const payload = view.value === null ? noBytes : copyBytes(view.value)
    // It is given no place in the log: the session is past it, and would read everything since again.
    const message = commandMessage(track, record, plan, { payload, hasOrigin: false })
    const wallMs = this.options.clock.wallMs()
    if (!session.offer({ message, qos, retain: false, subscriptionIds, group: null }, wallMs)) return false
    command.holder = session
    this.options.onGiven(session)
    this.options.count(track, 'given')
    link.flush()
    this.options.onChange()
    return true
  }
}

function add(map: Map<MqttSession, Filters>, session: MqttSession, filters: Iterable<string>): void {
  const known = map.get(session)
  if (known === undefined) map.set(session, new Set(filters))
  else for (const filter of filters) known.add(filter)
}

const noBytes = new Uint8Array(0)
