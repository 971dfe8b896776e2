/**
 * Writes down where readers are in the log, a second after they have moved and at a stop: those who are behind the common reader or have something
 * unacknowledged, and the common reader's own place, which means nothing without theirs.
 */
import type { Clock, Timer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { type CommitBatches, refusedSaving, type Saving } from './commit-batch.ts'
import type { OutgoingPlace } from './outgoing-ids.ts'
import { hasPassed, lowestPlaces, placesToStore, type StoredPosition } from './reader-places.ts'
import type { MqttSession } from './session.ts'
import type { SessionLog } from './session-log.ts'
import type { SessionTable } from './session-table.ts'
import { SharedGroup } from './shared-group.ts'
import type { SubscriptionIndex } from './subscription-index.ts'

export interface PlaceWriterOptions {
  readonly clock: Clock
  readonly commits: CommitBatches
  readonly sessions: SessionTable
  readonly subscriptions: SubscriptionIndex
  /** Offsets of the common reader, partition by partition. */
  readonly livePositions: () => Iterable<readonly [Partition, number]>
  /** Readers whose places are written in one turn of the loop. */
  readonly readersPerPart: number
  /** Writes a subscription as it is now into the current turn's set; false when the log does not take it. */
  readonly saveSubscription: (session: MqttSession, filter: string) => boolean
}

/** Positions are written this long after they have changed: what a crash makes a client hear twice. */
const checkpointEveryMs = 1000

/**
 * Records of one reader and partition that are written down as not done with, where others above them are. While the daemon runs a few: a client that
 * leaves one message unacknowledged is told from one that takes all in their order. At a stop more than a window has; a shared subscription has several.
 */
const openMax = { running: 16, stop: 4096 } as const

interface CheckpointRun {
  /** Who had moved when it began. */
  readonly readers: Iterator<MqttSession | SharedGroup>
  /** The common reader's places then. */
  readonly live: ReadonlyMap<Partition, number>
  /** They wait for its end. */
  readonly waiters: readonly Waiter[]
}

type Waiter = (isDurable: boolean) => void

export class PlaceWriter {
  private readonly options: PlaceWriterOptions
  private readonly log: SessionLog
  /** What was written last, by reader. Bound: the kept sessions and their shared subscriptions. */
  private readonly written = new Map<string, string>()
  /** The same of shared subscriptions, as it is durable. */
  private readonly confirmedOfGroups = new Map<string, readonly StoredPosition[]>()
  /** Begun by members whose sessions have ended, where the subscription may still read the record again. Bound: what they had in flight. */
  private readonly orphans = new Map<OutgoingPlace, string>()
  private readonly dirtyGroups = new Set<SharedGroup>()
  private readonly dirtySessions = new Set<MqttSession>()
  private readonly writtenTails = new Map<Partition, number>()
  /** Those of them that are durable. */
  private readonly confirmedTails = new Map<Partition, number>()
  /** They wait for a checkpoint that has not begun. Bound: a SUBSCRIBE each that is not answered. */
  private waiters: Waiter[] = []
  /** A checkpoint that is being written. */
  private run: CheckpointRun | null = null
  /** Somebody has moved since it began. */
  private hasMoved = false
  /** Sessions that the log has: without one no place is written. */
  private stored = 0
  private timer: Timer | null = null
  private isStopped = false

  constructor(log: SessionLog, options: PlaceWriterOptions) {
    this.log = log
    this.options = options
  }

  /** Sessions that the log has. */
  get storedCount(): number {
    return this.stored
  }

  /** The log has a session more. */
  onStored(): void {
    this.stored += 1
  }

  /** What the last run has written of a reader. */
  restore(reader: MqttSession | SharedGroup, positions: readonly StoredPosition[]): void {
    this.written.set(nameOf(reader), JSON.stringify(positions))
    if (reader instanceof SharedGroup) this.confirmedOfGroups.set(nameOf(reader), positions)
  }

  /** The log has the session no longer. */
  forget(session: MqttSession): void {
    this.dirtySessions.delete(session)
    if (!session.isStored) return
    this.stored -= 1
    this.forgetPositions(session)
  }

  /** A shared subscription has lost its last member. */
  forgetGroup(group: SharedGroup): void {
    this.dirtyGroups.delete(group)
    this.confirmedOfGroups.delete(nameOf(group))
    this.forgetPositions(group)
  }

  private forgetPositions(reader: MqttSession | SharedGroup): void {
    if (!this.written.delete(nameOf(reader))) return
    this.log.positions(this.options.commits.current().turn, this.options.clock.wallMs(), nameOf(reader), null)
  }

  /** Something was given to the session, or acknowledged by it. */
  onProgress(session: MqttSession): void {
    if (this.stored === 0) return
    const isDue = this.makeDue(session)
    // Others of the group may be kept, whoever is not.
    for (const group of session.groups.keys()) this.dirtyGroups.add(group)
    if (isDue || session.groups.size > 0) this.checkpointSoon()
  }

  private makeDue(session: MqttSession): boolean {
    const isKept = session.isStored && session.expiryMs > 0
    if (isKept) this.dirtySessions.add(session)
    return isKept
  }

  /**
   * A session or a shared subscription is at the live end of a partition, or behind it since now: its place of before is not to be believed after a
   * restart.
   */
  onMoved(reader: MqttSession | SharedGroup): void {
    if (!(reader instanceof SharedGroup)) return this.onProgress(reader)
    this.dirtyGroups.add(reader)
    if (this.stored > 0) this.checkpointSoon()
  }

  /** The common reader went on. */
  onRead(): void {
    if (this.stored > 0) this.checkpointSoon()
  }

  private checkpointSoon(): void {
    this.hasMoved = true
    if (this.timer !== null || this.isStopped || this.run !== null) return
    this.timer = this.options.clock.schedule(checkpointEveryMs, () => {
      this.timer = null
      if (this.run === null) this.beginParts()
    })
  }

  /** Has the log know where everybody is now or a little later: at once, or with the checkpoint that begins next. */
  writeAll(): Saving {
    if (this.isFewMoved) return this.checkpoint() ? this.options.commits.current() : refusedSaving
    const whenSettled = (callback: Waiter): void => {
      this.waiters.push(callback)
      if (this.run === null && !this.isStopped) this.beginParts()
    }
    return { whenSettled }
  }

  /** All of them can be written in one turn of the loop. */
  private get isFewMoved(): boolean {
    return this.dirtySessions.size + this.dirtyGroups.size <= this.options.readersPerPart
  }

  /**
   * Writes where everybody is: at once, or a part at a time where thousands of sessions would hold up the loop. Then the common reader's place is the
   * last to be written, and as it was at the beginning: whatever is below it was given by then, so whoever is not done with it has been written, or has
   * not changed since.
   */
  private beginParts(): void {
    this.hasMoved = false
    if (this.isFewMoved) {
      if (!this.checkpoint()) this.checkpointSoon()
      return
    }
    const readers = [...this.dirtySessions, ...this.dirtyGroups].values()
    this.run = { readers, live: new Map(this.options.livePositions()), waiters: this.waiters }
    this.waiters = []
    this.writePart(this.run)
  }

  private writePart(run: CheckpointRun): void {
    // A whole checkpoint has been written meanwhile.
    if (this.run !== run || this.isStopped) return
    for (let count = 0; count < this.options.readersPerPart; count += 1) {
      const next = run.readers.next()
      if (next.done === true) return this.endParts(run)
      if (!this.writeReader(next.value, this.confirmedTails, run.live)) return this.giveUp(run)
    }
    // The next part when this one is durable: the common reader's place must not be the first that a crash leaves.
    this.options.commits.current().whenSettled((isDurable) => {
      if (isDurable) this.options.clock.defer(() => this.writePart(run))
      else this.giveUp(run)
    })
  }

  /** Who was not written is still to be. */
  private giveUp(run: CheckpointRun): void {
    if (this.run !== run) return
    this.run = null
    for (const waiter of [...run.waiters, ...this.waiters.splice(0)]) waiter(false)
    this.checkpointSoon()
  }

  private endParts(run: CheckpointRun): void {
    if (!this.writeTails(run.live)) return this.giveUp(run)
    this.run = null
    this.settleLater(run.waiters)
    if (this.waiters.length > 0) this.options.clock.defer(() => this.run === null && this.beginParts())
    else if (this.hasMoved || this.dirtySessions.size > 0 || this.dirtyGroups.size > 0) this.checkpointSoon()
  }

  /** What stands in the current turn's set is what they wait for. */
  private settleLater(waiters: readonly Waiter[]): void {
    const batch = this.options.commits.current()
    for (const waiter of waiters) batch.whenSettled(waiter)
  }

  /**
   * Writes where everybody is, at once: the common reader's place means nothing without that of those who are behind it. False when the log does not
   * take it.
   */
  checkpoint(openPlacesMax: number = openMax.running): boolean {
    const waiters = [...(this.run?.waiters ?? []), ...this.waiters.splice(0)]
    this.run = null
    const isTaken = this.stored === 0 || this.writeEverybody(openPlacesMax)
    if (isTaken && waiters.length > 0) this.settleLater(waiters)
    else for (const waiter of waiters) waiter(isTaken)
    return isTaken
  }

  private writeEverybody(openPlacesMax: number): boolean {
    const live = new Map(this.options.livePositions())
    for (const readers of [this.dirtySessions, this.dirtyGroups]) {
      for (const reader of readers) if (!this.writeReader(reader, live, live, openPlacesMax)) return false
    }
    return this.writeTails(live)
  }

  /** `tails`: the common reader's places as the log has them when it has this; `later`: as it will have them by the end of the checkpoint. */
  private writeReader(
    reader: MqttSession | SharedGroup,
    tails: ReadonlyMap<Partition, number>,
    later: ReadonlyMap<Partition, number>,
    openPlacesMax: number = openMax.running,
  ): boolean {
    const bounds = { live: later, openMax: openPlacesMax }
    if (reader instanceof SharedGroup) {
      if (!this.dirtyGroups.has(reader)) return true
      const places = placesToStore(reader, [...reader.pendingOrigins()], bounds)
      if (reader.size > 0 && !this.writePositions(nameOf(reader), places)) return false
      this.confirmLater(reader, places)
      return this.dirtyGroups.delete(reader)
    }
    if (!this.dirtySessions.has(reader)) return true
    const pending = [...reader.pendingOrigins(null)]
    if (!this.writePositions(nameOf(reader), placesToStore(reader, pending, bounds))) return false
    if (!this.settleDebts(reader)) return false
    const own = lowestPlaces(reader.behind, pending)
    this.forgetPassed(reader, (place) => this.isPassed(place, tails, own))
    // Ids that can be forgotten when the common reader's place is durable: next time.
    if (!reader.hasFinished((place) => this.isPassed(place, later, own))) this.dirtySessions.delete(reader)
    return true
  }

  /** Of the retained messages that are owed no longer the log is told in the same set that forgets their ids, or an earlier one. */
  private settleDebts(session: MqttSession): boolean {
    for (const debt of session.debts.paid(session.begunDeliveries())) {
      session.debts.end(debt.filter)
      if (this.options.saveSubscription(session, debt.filter)) continue
      session.debts.keep(debt)
      return false
    }
    return true
  }

  /** What was acknowledged does not come again after a stop. */
  private narrowDebts(): void {
    for (const session of this.options.sessions.values()) {
      for (const { filter } of session.debts.narrow(session.begunDeliveries())) {
        if (session.isStored && !this.options.saveSubscription(session, filter)) return
      }
    }
  }

  /** No start reads the record again. `own`: the places of the session, where it is no shared subscription's. */
  private isPassed(
    { origin, retained, group }: OutgoingPlace,
    tails: ReadonlyMap<Partition, number>,
    own: ReadonlyMap<Partition, number>,
  ): boolean {
    if (origin === null) return retained === null || retained.debt.isOver
    if (isGone(origin.partition)) return true
    const { partition, offset } = origin
    if (group !== null && group.size === 0) return true
    if (offset >= (tails.get(partition) ?? 0)) return false
    if (group === null) return offset < (own.get(partition) ?? Number.POSITIVE_INFINITY)
    return hasPassed(this.confirmedOfGroups.get(nameOf(group)) ?? [], origin)
  }

  /** The session of the client has ended: nobody else of the subscription may have what it had begun [MQTT-4.8.2-5]. */
  addOrphan(clientId: string, place: OutgoingPlace): void {
    if (place.origin !== null) place.group?.take(place.origin)
    this.orphans.set(place, clientId)
    this.checkpointSoon()
  }

  private forgetOrphans(): void {
    const { commits, clock } = this.options
    for (const [place, clientId] of this.orphans) {
      if (!this.isPassed(place, this.confirmedTails, this.confirmedTails)) continue
      this.log.outgoing(commits.current().turn, clock.wallMs(), { clientId, place: place.key }, null)
      if (place.origin !== null) place.group?.forgetTaken(place.origin)
      this.orphans.delete(place)
    }
  }

  /** The log need not know the ids of what a session's place has passed. */
  private forgetPassed(session: MqttSession, isPassed: (place: OutgoingPlace) => boolean): void {
    const { clock, commits } = this.options
    const wasOutOfIds = session.isOutOfIds
    for (const { key, origin, group } of session.passedOutgoing(isPassed)) {
      this.log.outgoing(commits.current().turn, clock.wallMs(), { clientId: session.clientId, place: key }, null)
      if (origin !== null) group?.forgetTaken(origin)
    }
    // It may have nothing in flight whose acknowledgement would go on.
    if (wasOutOfIds && !session.isOutOfIds) clock.defer(() => session.goOn(clock.wallMs()))
  }

  private writeTails(live: ReadonlyMap<Partition, number>): boolean {
    this.forgetOrphans()
    const { clock, commits } = this.options
    const wallMs = clock.wallMs()
    const batch = commits.current()
    const changed: [Partition, number][] = []
    for (const [partition, offset] of live) {
      if (this.writtenTails.get(partition) === offset) continue
      const tail = { topicId: partition.topicId, partition: partition.index, offset }
      if (this.log.tail(batch.turn, wallMs, tail) !== null) return false
      this.writtenTails.set(partition, offset)
      changed.push([partition, offset])
    }
    batch.whenSettled((isDurable) => {
      if (!isDurable) return
      for (const [partition, offset] of changed) this.confirmedTails.set(partition, offset)
      if (changed.length > 0 && this.orphans.size > 0) this.checkpointSoon()
    })
    return true
  }

  private confirmLater(group: SharedGroup, places: readonly StoredPosition[]): void {
    const before = this.confirmedOfGroups.get(nameOf(group)) ?? []
    if (JSON.stringify(places) === JSON.stringify(before)) return
    this.options.commits.current().whenSettled((isDurable) => {
      if (!isDurable || group.size === 0) return
      this.confirmedOfGroups.set(nameOf(group), places)
      // Ids that waited for it can be forgotten.
      for (const session of group.sessions)
        if (session.hasFinished((place) => place.group === group)) this.onProgress(session)
    })
  }

  private writePositions(reader: string, positions: readonly StoredPosition[]): boolean {
    const text = JSON.stringify(positions)
    if ((this.written.get(reader) ?? '[]') === text) return true
    const { clock, commits } = this.options
    if (this.log.positions(commits.current().turn, clock.wallMs(), reader, positions) !== null) return false
    this.written.set(reader, text)
    return true
  }

  /** Partitions are gone: their places are forgotten. */
  onPartitionsChanged(): void {
    for (const tails of [this.writtenTails, this.confirmedTails]) {
      for (const partition of tails.keys()) if (!partition.isLeader) tails.delete(partition)
    }
    for (const readers of [this.options.sessions.values(), this.options.subscriptions.shared()]) {
      for (const { done } of readers) for (const partition of done.keys()) if (isGone(partition)) done.delete(partition)
    }
    // No place passes what was in them: their ids would be kept for ever.
    for (const session of this.options.sessions.values()) {
      if (session.hasFinished(({ origin }) => origin === null || isGone(origin.partition))) this.onProgress(session)
    }
  }

  stop(): void {
    this.isStopped = true
    if (this.timer !== null) this.options.clock.cancel(this.timer)
    // Also of whom nothing has changed it may be told more now.
    for (const session of this.options.sessions.values()) if (session.pendingCount > 0) this.makeDue(session)
    for (const group of this.options.subscriptions.shared()) this.dirtyGroups.add(group)
    this.checkpoint(openMax.stop)
    this.narrowDebts()
  }
}

/** What a reader is called in the log. */
export function nameOf(reader: MqttSession | SharedGroup): string {
  return reader instanceof SharedGroup ? `g${reader.key}` : `c${reader.clientId}`
}

function isGone({ log }: Partition): boolean {
  return log.isDeleted
}
