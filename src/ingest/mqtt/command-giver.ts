/** Gives sessions the commands that have waited for them: reads each again, at the pace that the session takes them. */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { filterMatches, sharedFilterOf } from '../../protocol/mqtt/topic-filter.ts'
import type { RecordView } from '../../protocol/records/record.ts'
import { type CommandReadingOptions, readCommand } from './command-reading.ts'
import {
  type CommandOutcome,
  type CommandTrack,
  commandMessage,
  commandRecord,
  type WaitingCommand,
} from './command-track.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'

export interface CommandGiverOptions {
  readonly clock: Clock
  readonly tracks: ReadonlyMap<Partition, CommandTrack>
  readonly reading: CommandReadingOptions
  readonly count: (track: CommandTrack, outcome: CommandOutcome) => void
  /** Who has what has changed. */
  readonly onChange: () => void
}

/** A session that has room, but not for the next command, is asked again after this. */
const crowdedMs = 100

export class CommandGiver {
  private readonly options: CommandGiverOptions
  /** Sessions that are being given something; true = look again afterwards. Bound: sessions with a connection. */
  private readonly giving = new Map<MqttSession, boolean>()
  /** Those that had no room for more. Bound: the sessions. */
  private readonly interrupted = new Set<MqttSession>()

  constructor(options: CommandGiverOptions) {
    this.options = options
  }

  /** The session could take more. */
  onRoom(session: MqttSession): void {
    if (this.interrupted.delete(session)) this.give(session)
  }

  /** Gives it what waits for it as soon as it has a connection and room. */
  giveLater(session: MqttSession): void {
    this.interrupted.add(session)
  }

  /** The session ends. */
  forget(session: MqttSession): void {
    this.interrupted.delete(session)
  }

  /** Gives the session what waits for its subscriptions. */
  give(session: MqttSession): void {
    if (this.options.reading.isStopped() || this.nextFor(session) === null) return
    if (this.giving.has(session)) {
      this.giving.set(session, true)
      return
    }
    this.giving.set(session, false)
    void this.giveAll(session).finally(() => {
      const again = this.giving.get(session)
      this.giving.delete(session)
      if (again === true) this.give(session)
    })
  }

  private async giveAll(session: MqttSession): Promise<void> {
    const { clock, reading, count, onChange } = this.options
    for (let next = this.nextFor(session); next !== null; next = this.nextFor(session)) {
      if (session.link === null) return
      if (!session.wantsMore) {
        this.interrupted.add(session)
        return
      }
      const [track, command] = next
      const record = await readCommand(track.partition, command.offset, reading)
      if (reading.isStopped()) return
      if (track.waiting.get(command.offset) !== command || command.holder !== null) continue
      if (record === null || command.expiresMs <= clock.wallMs()) {
        track.waiting.delete(command.offset)
        count(track, record === null ? 'lost' : 'expired')
        onChange()
        continue
      }
      if (this.offer(session, track, command, record)) continue
      clock.schedule(crowdedMs, () => this.give(session))
      return
    }
  }

  /** The first command that nobody has and that the session subscribes to. */
  private nextFor(session: MqttSession): readonly [CommandTrack, WaitingCommand] | null {
    const filters = [...session.subscriptions.keys()].map((filter) => sharedFilterOf(filter)?.filter ?? filter)
    for (const track of this.options.tracks.values()) {
      let first: WaitingCommand | null = null
      for (const command of track.waiting.values()) {
        if (command.holder !== null || (first !== null && first.offset < command.offset)) continue
        if (!filters.some((filter) => filterMatches(filter, command.topic))) continue
        if (session.rights?.mayReceive(command.topic) === false) continue
        first = command
      }
      if (first !== null) return [track, first]
    }
    return null
  }

  /** At the best QoS of the matching subscriptions. False = it has no room. */
  private offer(session: MqttSession, track: CommandTrack, command: WaitingCommand, view: RecordView): boolean {
    const { link } = session
    const record = commandRecord(track, view)
    const plan = track.compiled.plan(record)
    if (plan.kind !== 'command' || link === null || !link.isWritable) return false
    const matching: Subscription[] = []
    for (const [filter, subscription] of session.subscriptions) {
      if (filterMatches(sharedFilterOf(filter)?.filter ?? filter, command.topic)) matching.push(subscription)
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
    this.options.count(track, 'given')
    link.flush()
    this.options.onChange()
    return true
  }
}

const noBytes = new Uint8Array(0)
