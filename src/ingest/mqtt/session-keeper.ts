/**
 * Keeps sessions over the daemon's life: what must be known after a crash is written before the client is told of it, where readers are in the log
 * a little later. After a crash a session is given again what it was given since then (QoS 1 allows it); after a stop nothing twice.
 */
import type { Clock, Timer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import { type CommitBatch, type CommitBatches, refusedSaving, type Saving } from './commit-batch.ts'
import { type OutgoingId, placeOf } from './outgoing-ids.ts'
import type { MessageOrigin } from './outgoing-message.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'
import {
  applyRecord,
  emptyState,
  SessionLog,
  type StoredPosition,
  type StoredSession,
  type StoredState,
  tailKey,
} from './session-log.ts'
import type { SessionExpiries } from './session-expiries.ts'
import type { SessionTable } from './session-table.ts'
import { SharedGroup } from './shared-group.ts'
import type { SubscriptionIndex } from './subscription-index.ts'
import type { SessionOwner, TopicRights } from './topic-rights.ts'
import type { Will, WillKeeper } from './will-keeper.ts'

export interface SessionKeeperOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly commits: CommitBatches
  readonly sessions: SessionTable
  readonly subscriptions: SubscriptionIndex
  readonly wills: WillKeeper
  readonly expiries: Pick<SessionExpiries, 'leftMs'>
  /** Offsets of the common reader, partition by partition. */
  readonly livePositions: () => Iterable<readonly [Partition, number]>
  /** What the owner of a session may do now; null = everything. */
  readonly rights: (owner: SessionOwner) => TopicRights | null
  /** Readers whose places are written in one turn of the loop. */
  readonly readersPerPart: number
}

/** Of a session that was written before it had an owner. */
const nobodyKnown: SessionOwner = { principal: anonymousPrincipal, host: '' }

/** Positions are written this long after they have changed: what a crash makes a client hear twice. */
const checkpointEveryMs = 1000

/** Partitions of which a subscription's record says where it begins: far below what a record may take. */
const sincePlacesMax = 1000

interface CheckpointRun {
  /** Who had moved when it began. */
  readonly readers: Iterator<MqttSession | SharedGroup>
  /** The common reader's places then. */
  readonly live: ReadonlyMap<Partition, number>
}

export class SessionKeeper {
  private readonly options: SessionKeeperOptions
  private readonly log: SessionLog
  private readonly state: StoredState = emptyState()
  /** What was written last, by reader. Bound: the kept sessions and their shared subscriptions. */
  private readonly written = new Map<string, string>()
  private readonly dirtyGroups = new Set<SharedGroup>()
  private readonly dirtySessions = new Set<MqttSession>()
  private readonly writtenTails = new Map<Partition, number>()
  /** Those of them that are durable. */
  private readonly confirmedTails = new Map<Partition, number>()
  /** A checkpoint that is being written. */
  private run: CheckpointRun | null = null
  /** Somebody has moved since it began. */
  private hasMoved = false
  /** Sessions that the log has. */
  private stored = 0
  private timer: Timer | null = null
  private isRestoring = true
  private isStopped = false

  constructor(options: SessionKeeperOptions) {
    this.options = options
    this.log = new SessionLog(options.broker)
  }

  // ------------------------------------------------------------------------------------------ the start

  /** Takes a record of the topic while it is read back. */
  replay(key: Uint8Array, value: Uint8Array | null): void {
    applyRecord(this.state, key, value)
  }

  /**
   * Makes the sessions of the last run again; answers them with what was known of each. Their expiry and their wills are the caller's. Readers begin
   * where they were: see `startOf`.
   */
  restore(): (readonly [MqttSession, StoredSession])[] {
    const { sessions, subscriptions } = this.options
    const restored: (readonly [MqttSession, StoredSession])[] = []
    for (const [clientId, known] of this.state.sessions) {
      const session = sessions.restore(clientId)
      session.owner = known.owner
      session.rights = this.options.rights(known.owner ?? nobodyKnown)
      const will = known.will === null ? null : { ...known.will, rights: () => session.rights }
      const stored = { ...known, will }
      session.expiryMs = stored.expiryMs
      session.will = stored.will
      session.isStored = true
      this.stored += 1
      for (const [filter, options] of this.state.subscriptions.get(clientId) ?? []) {
        const since = this.placesOf(options.since ?? [])
        const subscription = { session, filter, ...options, since: since.size === 0 ? null : since }
        session.subscriptions.set(filter, subscription)
        subscriptions.set(subscription)
      }
      this.restorePositions(ownReader(session), session.behind)
      this.restoreOutgoing(session)
      restored.push([session, stored])
    }
    for (const group of subscriptions.shared()) this.restorePositions(groupReader(group), group.behind)
    return restored
  }

  /** It has changed who may do everything: what sessions may do is asked anew. */
  refreshRights(): void {
    const ofOwners = new Map<string, TopicRights | null>()
    for (const session of this.options.sessions.values()) {
      const owner = session.owner ?? nobodyKnown
      const key = `${owner.host} ${owner.principal}`
      let rights = ofOwners.get(key)
      if (rights === undefined) ofOwners.set(key, (rights = this.options.rights(owner)))
      session.rights = rights
    }
  }

  private restoreOutgoing(session: MqttSession): void {
    const { broker } = this.options
    for (const [place, id] of this.state.outgoing.get(session.clientId) ?? []) {
      const [topicId = '', index, offset] = place.split(' ')
      const partition = broker.partitions.byTopicId(topicId, Number(index))
      if (partition !== undefined) session.restoreOutgoing({ partition, offset: Number(offset) }, id)
    }
  }

  /** See `SessionBounds.recordOutgoing`. */
  recordOutgoing(session: MqttSession, origin: MessageOrigin, id: OutgoingId, then: (wallMs: number) => void): boolean {
    if (!session.isStored || session.expiryMs === 0) return false
    const { clock, commits } = this.options
    const batch = commits.current()
    const at = { clientId: session.clientId, place: placeOf(origin) }
    // A log that does not take it has failed: the client is not told of the message until the next start.
    if (this.log.outgoing(batch.turn, clock.wallMs(), at, id) !== null) return true
    batch.whenSettled((isDurable) => {
      if (isDurable) then(clock.wallMs())
    })
    return true
  }

  private restorePositions(reader: string, behind: Map<Partition, number>): void {
    const positions = this.state.positions.get(reader)
    if (positions === undefined) return
    this.written.set(reader, JSON.stringify(positions))
    // Below the log's start too: what retention has taken meanwhile is told when it is read.
    for (const [partition, offset] of this.placesOf(positions)) behind.set(partition, offset)
  }

  private placesOf(positions: readonly StoredPosition[]): Map<Partition, number> {
    const places = new Map<Partition, number>()
    for (const { topicId, partition: index, offset } of positions) {
      const partition = this.options.broker.partitions.byTopicId(topicId, index)
      if (partition !== undefined) places.set(partition, offset)
    }
    return places
  }

  /** Where the common reader begins in a partition after a start with kept sessions; undefined = at the live end. */
  startOf(partition: Partition): number | undefined {
    if (this.stored === 0 || !this.isRestoring) return undefined
    const { topicId, index, log } = partition
    // A partition that no position is known of is younger than the last of them.
    const offset = this.state.tails.get(tailKey(topicId, index)) ?? log.logStartOffset
    return Math.min(Math.max(offset, log.logStartOffset), partition.highWatermark)
  }

  /** What was read back has been used. */
  forgetReplayed(): void {
    this.isRestoring = false
    const { sessions, subscriptions, positions, outgoing, tails } = this.state
    for (const map of [sessions, subscriptions, positions, outgoing, tails]) map.clear()
  }

  // -------------------------------------------------------------------------------------------- writing

  /** Writes what a session is now; null = the log need not know it. */
  save(session: MqttSession): Saving | null {
    const { clock, commits, wills, expiries } = this.options
    if (session.expiryMs === 0 && session.will === null && !session.isStored) return null
    const wallMs = clock.wallMs()
    // By a wall time that is not known nobody's time can be told: it begins anew with the next start, as for who is connected.
    const isOpen = session.link !== null || !clock.wallTrusted()
    const batch = commits.current()
    const error = this.log.session(batch.turn, wallMs, session.clientId, {
      owner: session.owner,
      expiryMs: session.expiryMs,
      expiresAtMs: isOpen ? null : wallMs + expiries.leftMs(session),
      will: session.will,
      willDueMs: isOpen ? null : wills.dueMs(session.clientId),
    })
    if (error !== null) return refusedSaving
    if (!session.isStored) this.stored += 1
    session.isStored = true
    return batch
  }

  /** Writes the subscriptions under these filters as they are now; null when the session is not kept. */
  saveSubscriptions(session: MqttSession, filters: Iterable<string>): Saving | null {
    if (!session.isStored || session.expiryMs === 0) return null
    const { clock, commits } = this.options
    const wallMs = clock.wallMs()
    const batch = commits.current()
    let isTaken = true
    for (const filter of filters) isTaken = this.saveSubscription(batch, session, filter, wallMs) && isTaken
    // What is older than the subscription is not heard after a crash either.
    return this.checkpoint() && isTaken ? batch : refusedSaving
  }

  private saveSubscription(batch: CommitBatch, session: MqttSession, filter: string, wallMs: number): boolean {
    const subscription = session.subscriptions.get(filter)
    const { clientId } = session
    if (subscription === undefined) {
      return this.log.subscription(batch.turn, wallMs, { clientId, filter }, null) === null
    }
    const { qos, noLocal, retainAsPublished, subscriptionId } = subscription
    const since = this.sinceOf(subscription)
    const value = { qos, noLocal, retainAsPublished, subscriptionId, since: since.length === 0 ? undefined : since }
    return this.log.subscription(batch.turn, wallMs, { clientId, filter }, value) === null
  }

  /** Of where it begins, what lies above where its session goes on after a crash. */
  private sinceOf({ since, session }: Subscription): StoredPosition[] {
    if (since === null) return []
    const own = positionsOf(session.behind, session.pendingOrigins(null))
    const live = new Map(this.options.livePositions())
    const later = [...since].filter(([partition, offset]) => {
      return offset > Math.min(own.get(partition) ?? offset, live.get(partition) ?? offset)
    })
    return stored(new Map(later.slice(0, sincePlacesMax)))
  }

  /** A session has ended; `filters` are those it had. Its will may still be due: then `willPublished` takes the rest away. */
  forget(session: MqttSession, filters: Iterable<string>): void {
    this.dirtySessions.delete(session)
    if (!session.isStored) return
    const { clock, commits } = this.options
    const wallMs = clock.wallMs()
    const { turn } = commits.current()
    const { clientId } = session
    for (const filter of filters) this.log.subscription(turn, wallMs, { clientId, filter }, null)
    this.forgetPositions(ownReader(session))
    for (const origin of [...session.passedOutgoing(() => true), ...session.begunOrigins()]) {
      this.log.outgoing(turn, wallMs, { clientId, place: placeOf(origin) }, null)
    }
    if (session.will === null) this.log.session(turn, wallMs, clientId, null)
    session.isStored = false
    this.stored -= 1
  }

  /** A shared subscription has lost its last member. */
  forgetGroup(group: SharedGroup): void {
    this.dirtyGroups.delete(group)
    this.forgetPositions(groupReader(group))
  }

  private forgetPositions(reader: string): void {
    if (!this.written.delete(reader)) return
    this.log.positions(this.options.commits.current().turn, this.options.clock.wallMs(), reader, null)
  }

  /** A will stands in the current turn's set: in the same set it is not owed any more. */
  willPublished(will: Will): void {
    const { sessions, commits, clock } = this.options
    const { clientId } = will.publisher
    const session = sessions.get(clientId)
    if (session === undefined || !session.isStored)
      this.log.session(commits.current().turn, clock.wallMs(), clientId, null)
    else if (session.will === will) {
      session.will = null
      this.save(session)
    }
  }

  // ------------------------------------------------------------------------------------------ positions

  /** Something was given to the session, or acknowledged by it. */
  onProgress(session: MqttSession): void {
    if (!session.isStored || session.expiryMs === 0) return
    this.dirtySessions.add(session)
    for (const group of session.groups.keys()) this.dirtyGroups.add(group)
    this.checkpointSoon()
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
      this.beginParts()
    })
  }

  /**
   * Writes where everybody is: at once, or a part at a time where thousands of sessions would hold up the loop. Then the common reader's place is the
   * last to be written, and as it was at the beginning: whatever is below it was given by then, so whoever is not done with it has been written, or has
   * not changed since.
   */
  private beginParts(): void {
    if (this.stored === 0) return
    this.hasMoved = false
    if (this.dirtySessions.size + this.dirtyGroups.size <= this.options.readersPerPart) {
      if (!this.checkpoint()) this.checkpointSoon()
      return
    }
    const readers = [...this.dirtySessions, ...this.dirtyGroups]
    this.run = { readers: readers.values(), live: new Map(this.options.livePositions()) }
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
    this.checkpointSoon()
  }

  private endParts({ live }: CheckpointRun): void {
    this.run = null
    const isLeft = this.hasMoved || this.dirtySessions.size > 0 || this.dirtyGroups.size > 0
    if (!this.writeTails(live) || isLeft) this.checkpointSoon()
  }

  /**
   * Writes where everybody is, at once: the common reader's place means nothing without that of those who are behind it. False when the log does not
   * take it.
   */
  checkpoint(): boolean {
    this.run = null
    if (this.stored === 0) return true
    const live = new Map(this.options.livePositions())
    for (const readers of [this.dirtySessions, this.dirtyGroups]) {
      for (const reader of readers) if (!this.writeReader(reader, live, live)) return false
    }
    return this.writeTails(live)
  }

  /** `tails`: the common reader's places as the log has them when it has this; `later`: as it will have them by the end of the checkpoint. */
  private writeReader(
    reader: MqttSession | SharedGroup,
    tails: ReadonlyMap<Partition, number>,
    later: ReadonlyMap<Partition, number>,
  ): boolean {
    if (reader instanceof SharedGroup) {
      if (!this.dirtyGroups.has(reader)) return true
      const positions = stored(positionsOf(reader.behind, reader.pendingOrigins()))
      if (reader.size > 0 && !this.writePositions(groupReader(reader), positions)) return false
      return this.dirtyGroups.delete(reader)
    }
    if (!this.dirtySessions.has(reader)) return true
    const positions = positionsOf(reader.behind, reader.pendingOrigins(null))
    if (!this.writePositions(ownReader(reader), stored(positions))) return false
    const passedBy =
      (places: ReadonlyMap<Partition, number>) =>
      ({ partition, offset }: MessageOrigin): boolean =>
        isGone(partition) ||
        offset < Math.min(positions.get(partition) ?? Number.POSITIVE_INFINITY, places.get(partition) ?? 0)
    this.forgetPassed(reader, passedBy(tails))
    // Ids that can be forgotten when the common reader's place is durable: next time.
    if (!reader.hasFinished(passedBy(later))) this.dirtySessions.delete(reader)
    return true
  }

  /** The log need not know the ids of what a session's place has passed. */
  private forgetPassed(session: MqttSession, isPassed: (origin: MessageOrigin) => boolean): void {
    const { clock, commits } = this.options
    const wasOutOfIds = session.isOutOfIds
    for (const origin of session.passedOutgoing(isPassed)) {
      const at = { clientId: session.clientId, place: placeOf(origin) }
      this.log.outgoing(commits.current().turn, clock.wallMs(), at, null)
    }
    // It may have nothing in flight whose acknowledgement would go on.
    if (wasOutOfIds && !session.isOutOfIds) clock.defer(() => session.goOn(clock.wallMs()))
  }

  private writeTails(live: ReadonlyMap<Partition, number>): boolean {
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
      if (isDurable) for (const [partition, offset] of changed) this.confirmedTails.set(partition, offset)
    })
    return true
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
    // No place passes what was in them: their ids would be kept for ever.
    for (const session of this.options.sessions.values()) {
      if (session.hasFinished(({ partition }) => isGone(partition))) this.onProgress(session)
    }
  }

  stop(): void {
    this.isStopped = true
    if (this.timer !== null) this.options.clock.cancel(this.timer)
    this.checkpoint()
  }
}

/** The lowest offset of each partition that is not done with. */
function positionsOf(
  behind: ReadonlyMap<Partition, number>,
  pending: Iterable<{ readonly partition: Partition; readonly offset: number }>,
): Map<Partition, number> {
  const lowest = new Map(behind)
  for (const { partition, offset } of pending) {
    lowest.set(partition, Math.min(offset, lowest.get(partition) ?? offset))
  }
  return lowest
}

function isGone({ log }: Partition): boolean {
  return log.isDeleted
}

function stored(positions: ReadonlyMap<Partition, number>): StoredPosition[] {
  return [...positions].map(([{ topicId, index }, offset]) => ({ topicId, partition: index, offset }))
}

function ownReader(session: MqttSession): string {
  return `c${session.clientId}`
}

function groupReader(group: SharedGroup): string {
  return `g${group.key}`
}
