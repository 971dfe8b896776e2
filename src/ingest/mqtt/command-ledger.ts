/** Who has which commands, and how far each route is: written as the offsets of its consumer group. */
import type { Clock, Observer, Timer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { OffsetToCommit } from '../../coordinator/group/group-requests.ts'
import type { CommandOffsets } from './command-offsets.ts'
import { type CompiledCommandRoute, commandGroup } from './command-route.ts'
import { type CommandOutcome, type CommandTrack, encodeTrack, waitingMax } from './command-track.ts'
import type { EventBudget } from './event-budget.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { MessageOrigin } from './outgoing-message.ts'
import type { MqttSession } from './session.ts'
import { SharedGroup } from './shared-group.ts'
import type { WaitingCommands } from './waiting-commands.ts'

export interface CommandLedgerOptions {
  readonly clock: Clock
  readonly observer: Observer
  readonly routes: ReadonlyMap<string, CompiledCommandRoute>
  readonly tracks: ReadonlyMap<Partition, CommandTrack>
  readonly offsets: CommandOffsets
  readonly waiting: WaitingCommands
  /** Who was given a command; those that are done with all of them are taken out. */
  readonly holders: Set<MqttSession | SharedGroup>
  readonly eventBudget: EventBudget
  readonly count: (track: CommandTrack, outcome: CommandOutcome) => void
  readonly livePosition: (partition: Partition) => number | undefined
  readonly release: (partition: Partition) => void
}

/** Offsets that nobody is done with, partition by partition, and the end of what counts. */
interface Balance {
  readonly undone: Set<number>
  endOffset: number
}

/** Offsets are written this long after something has changed: what a crash makes clients hear twice. */
const settleEveryMs = 1000

export class CommandLedger {
  private readonly options: CommandLedgerOptions
  private timer: Timer | null = null
  private expiryTimer: Timer | null = null
  private isStopped = false
  private isSettled = true

  constructor(options: CommandLedgerOptions) {
    this.options = options
  }

  /** Something was given to a session or acknowledged by it: looked at only while a command is undone. */
  onProgress(): void {
    if (!this.isSettled) this.settleSoon()
  }

  /** Who has what has changed. */
  settleSoon(): void {
    this.isSettled = false
    if (this.timer !== null || this.isStopped) return
    this.timer = this.options.clock.schedule(settleEveryMs, () => {
      this.timer = null
      void this.settle()
    })
  }

  /** The last time. */
  async stop(): Promise<void> {
    this.isStopped = true
    for (const timer of [this.timer, this.expiryTimer]) if (timer !== null) this.options.clock.cancel(timer)
    await this.settle()
  }

  /** Looks who has what, lets go of what is done with, and writes how far the routes are. */
  async settle(): Promise<void> {
    const wallMs = this.options.clock.wallMs()
    const balances = this.balances()
    let nextExpiryMs = Number.POSITIVE_INFINITY
    let isSettled = this.options.holders.size === 0
    for (const [track, { undone }] of balances) {
      for (const command of [...track.waiting.values()]) {
        const isDone = command.holder !== null && !undone.has(command.offset)
        const isExpired = command.holder === null && command.expiresMs <= wallMs
        if (isExpired) this.options.count(track, 'expired')
        if (isDone || isExpired) this.options.waiting.delete(command)
        else if (command.holder === null) {
          undone.add(command.offset)
          nextExpiryMs = Math.min(nextExpiryMs, command.expiresMs)
        }
      }
      if (track.isHeld && track.waiting.size < waitingMax) {
        track.isHeld = false
        this.options.release(track.partition)
      }
      isSettled &&= undone.size === 0
    }
    this.isSettled = isSettled
    this.wakeAt(nextExpiryMs - wallMs)
    this.reportWaiting()
    await this.commit(balances)
  }

  private balances(): ReadonlyMap<CommandTrack, Balance> {
    const balances = new Map<CommandTrack, Balance>()
    for (const track of this.options.tracks.values()) {
      track.endOffset = Math.max(track.endOffset, this.options.livePosition(track.partition) ?? 0)
      const orphaned = track.orphans.map(({ from }) => from)
      const endOffset = Math.min(track.endOffset, track.scanOffset ?? track.endOffset, ...orphaned)
      balances.set(track, { undone: new Set(), endOffset })
    }
    const of = (partition: Partition): Balance | undefined => {
      const track = this.options.tracks.get(partition)
      return track === undefined ? undefined : balances.get(track)
    }
    for (const holder of this.options.holders) {
      const isKept = holder instanceof SharedGroup ? holder.hasMember(isDurable) : isDurable(holder)
      let isDone = true
      for (const { partition, offset } of undoneBy(holder, isKept)) {
        const balance = of(partition)
        isDone &&= balance === undefined
        balance?.undone.add(offset)
      }
      for (const [partition, offset] of isKept ? [] : holder.behind) {
        const balance = of(partition)
        isDone &&= balance === undefined
        if (balance !== undefined) balance.endOffset = Math.min(balance.endOffset, offset)
      }
      if (isDone) this.options.holders.delete(holder)
    }
    return balances
  }

  private async commit(balances: ReadonlyMap<CommandTrack, Balance>): Promise<void> {
    const { offsets, observer, routes, eventBudget } = this.options
    for (const compiled of routes.values()) {
      const due: OffsetToCommit[] = []
      const written: (readonly [CommandTrack, string])[] = []
      for (const [track, { undone, endOffset }] of balances) {
        if (track.compiled !== compiled) continue
        const sorted = [...undone].toSorted((a, b) => a - b)
        const { offset, metadata } = encodeTrack(endOffset, sorted, offsets.metadataLengthMax)
        const text = `${offset} ${metadata}`
        if (track.written === text) continue
        const { topic, index, leaderEpoch } = track.partition
        due.push({ topic, partition: index, offset, leaderEpoch, metadata })
        written.push([track, text])
      }
      if (due.length === 0) continue
      const { name: route } = compiled.route
      const reason = await offsets.commit(commandGroup(route), due)
      if (reason === null) for (const [track, text] of written) track.written = text
      else {
        if (eventBudget.take()) observer.event(mqttEvents.commandOffsetUnknown, { route, reason })
        this.settleSoon()
      }
    }
  }

  private wakeAt(delayMs: number): void {
    if (this.expiryTimer !== null) this.options.clock.cancel(this.expiryTimer)
    this.expiryTimer = null
    if (!Number.isFinite(delayMs) || this.isStopped) return
    this.expiryTimer = this.options.clock.schedule(Math.max(settleEveryMs, delayMs), () => this.settleSoon())
  }

  private reportWaiting(): void {
    for (const { route } of this.options.routes.values()) {
      let waiting = 0
      for (const { compiled, waiting: own } of this.options.tracks.values())
        if (compiled.route === route) waiting += own.size
      this.options.observer.set(mqttMetrics.commandsWaiting, waiting, { route: route.name })
    }
  }
}

/** Commands that somebody was given, has not acknowledged, and that the log does not know to be owed to it. */
function* undoneBy(holder: MqttSession | SharedGroup, isKept: boolean): Iterable<MessageOrigin> {
  if (holder instanceof SharedGroup) {
    if (!isKept) yield* holder.pendingOrigins()
    return
  }
  for (const { message, group } of holder.pendingCommands()) {
    const { command, origin } = message
    // What has waited has no place in the log for the session, kept or not.
    if (command !== null && group === null && (!isKept || origin === null)) yield command
  }
}

/** The log knows the session's place. */
export function isDurable(session: MqttSession): boolean {
  return session.isStored && session.expiryMs > 0
}
