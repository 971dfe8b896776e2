/**
 * Keeps sessions over the daemon's life: what must be known after a crash is written before the client is told of it, where readers are in the log
 * a little later. After a crash a session is given again what it was given since then (QoS 1 allows it); after a stop nothing twice.
 */
import type { Clock } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { anonymousPrincipal } from '../../security/principal.ts'
import { both, type CommitBatch, type CommitBatches, refusedSaving, type Saving } from './commit-batch.ts'
import { type CarriedMessage, carriedMessage, deliveryOf } from './carried-message.ts'
import { type OutgoingId, readPlaceKey, recordPlace, retainedPlace } from './outgoing-ids.ts'
import type { MessageOrigin } from './outgoing-message.ts'
import type { MqttSession } from './session.ts'
import type { OutgoingRecord, Subscription } from './session-types.ts'
import { applyRecord, emptyState, SessionLog, type StoredSession, type StoredState, tailKey } from './session-log.ts'
import { nameOf, PlaceWriter } from './place-writer.ts'
import { doneAboveOf, lowestPlaces, type StoredPosition } from './reader-places.ts'
import type { RetainedDebt } from './retained-debt.ts'
import type { SessionExpiries } from './session-expiries.ts'
import type { SessionTable } from './session-table.ts'
import type { SharedGroup } from './shared-group.ts'
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

/** Partitions of which a subscription's record says where it begins: far below what a record may take. */
const sincePlacesMax = 1000

export class SessionKeeper {
  private readonly options: SessionKeeperOptions
  private readonly log: SessionLog
  private readonly state: StoredState = emptyState()
  /** Where readers are in the log. */
  readonly places: PlaceWriter
  private isRestoring = true

  constructor(options: SessionKeeperOptions) {
    this.options = options
    this.log = new SessionLog(options.broker)
    const saveSubscription = (session: MqttSession, filter: string): boolean =>
      this.saveSubscription(options.commits.current(), session, filter, options.clock.wallMs())
    this.places = new PlaceWriter(this.log, { ...options, saveSubscription })
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
      this.places.onStored()
      for (const [filter, { owed, left, since: places, ...options }] of this.state.subscriptions.get(clientId) ?? []) {
        if (owed !== undefined) session.debts.restore(filter, owed, left ?? null)
        const since = this.placesOf(places ?? [])
        const subscription = { session, filter, ...options, since: since.size === 0 ? null : since }
        session.subscriptions.set(filter, subscription)
        subscriptions.set(subscription)
      }
      this.restorePositions(session)
      restored.push([session, stored])
    }
    for (const group of subscriptions.shared()) this.restorePositions(group)
    for (const [session] of restored) this.restoreOutgoing(session)
    for (const clientId of this.state.outgoing.keys())
      if (!this.state.sessions.has(clientId)) this.restoreOrphans(clientId)
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
    for (const [key, known] of this.state.outgoing.get(session.clientId) ?? []) {
      const { packetId, isReleased, carried, retained } = known
      const read = readPlaceKey(key)
      const id = { packetId, isReleased }
      if (read === null) {
        const mark = retained === undefined ? null : session.debts.restoreBegun(retained.owed, retained.topic)
        const place = retainedPlace(packetId, mark)
        session.restoreOutgoing(place, id, carried === undefined ? null : deliveryOf(carried, place))
        continue
      }
      const partition = broker.partitions.byTopicId(read.topicId, read.index)
      const group = read.groupKey === null ? null : this.groupOf(read.groupKey)
      if (partition !== undefined)
        this.restoreRecord(session, { partition, offset: read.offset }, { key, group, id, carried })
    }
  }

  private restoreRecord(
    session: MqttSession,
    origin: MessageOrigin,
    {
      key,
      group,
      id,
      carried,
    }: { key: string; group: SharedGroup | null; id: OutgoingId; carried: CarriedMessage | undefined },
  ): void {
    // Nobody else of the subscription is given it [MQTT-4.8.2-5].
    group?.take(origin)
    const isShared = readPlaceKey(key)?.groupKey !== null
    const place = { key, origin: isShared && group === null ? null : origin, retained: null, group }
    session.restoreOutgoing(place, id, carried === undefined ? null : deliveryOf(carried, place))
  }

  /** What a member had begun whose session has ended. */
  private restoreOrphans(clientId: string): void {
    for (const key of this.state.outgoing.get(clientId)?.keys() ?? []) {
      const read = readPlaceKey(key)
      const partition = read === null ? undefined : this.options.broker.partitions.byTopicId(read.topicId, read.index)
      const group = read?.groupKey == null ? null : this.groupOf(read.groupKey)
      if (read !== null && partition !== undefined && group !== null)
        this.places.addOrphan(clientId, recordPlace({ partition, offset: read.offset }, group))
    }
  }

  private groupOf(key: string): SharedGroup | null {
    for (const group of this.options.subscriptions.shared()) if (group.key === key) return group
    return null
  }

  /** See `SessionBounds.recordOutgoing`. */
  recordOutgoing(
    session: MqttSession,
    { place, id, carried }: OutgoingRecord,
    then: (wallMs: number) => void,
  ): boolean {
    if (!session.isStored || session.expiryMs === 0) return false
    const { clock, commits } = this.options
    const batch = commits.current()
    const at = { clientId: session.clientId, place: place.key }
    const owedBy = carried?.debt
    // Or a start would begin the message again.
    if (owedBy !== undefined && place.retained === null && !this.giveUp(session, owedBy, batch)) return true
    const retained = place.retained === null ? undefined : { owed: place.retained.debt.id, topic: place.retained.topic }
    const value = { ...id, retained, carried: carried === null ? undefined : carriedMessage(carried) }
    const error = this.log.outgoing(batch.turn, clock.wallMs(), at, value)
    if (error === 'MESSAGE_TOO_LARGE') {
      if (owedBy !== undefined) this.giveUp(session, owedBy, batch)
      return false
    }
    // A log that does not take it has failed: the client is not told of the message until the next start.
    if (error !== null) return true
    batch.whenSettled((isDurable) => {
      if (isDurable) then(clock.wallMs())
    })
    return true
  }

  /** Nothing is owed by the debt after a crash. False when the log does not take that. */
  private giveUp(session: MqttSession, debt: RetainedDebt, batch: CommitBatch): boolean {
    if (debt.isOver) return true
    session.debts.end(debt.filter)
    return this.saveSubscription(batch, session, debt.filter, this.options.clock.wallMs())
  }

  private restorePositions(reader: MqttSession | SharedGroup): void {
    const positions = this.state.positions.get(nameOf(reader))
    if (positions === undefined) return
    this.places.restore(reader, positions)
    for (const position of positions) {
      const partition = this.options.broker.partitions.byTopicId(position.topicId, position.partition)
      if (partition === undefined) continue
      // Below the log's start too: what retention has taken meanwhile is told when it is read.
      reader.behind.set(partition, position.offset)
      const tail = this.state.tails.get(tailKey(position.topicId, position.partition)) ?? 0
      // What a power cut has taken from a topic with relaxed flushes is not what comes in its place.
      const done = doneAboveOf(position, Math.min(tail, partition.highWatermark))
      if (done !== null) reader.done.set(partition, done)
    }
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
    if (this.places.storedCount === 0 || !this.isRestoring) return undefined
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
    if (!session.isStored) this.places.onStored()
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
    let isMade = false
    for (const filter of filters) {
      isTaken = this.saveSubscription(batch, session, filter, wallMs) && isTaken
      isMade ||= session.subscriptions.has(filter)
    }
    if (!isTaken) return refusedSaving
    // What is older than the subscription is not heard after a crash either.
    return isMade ? both(batch, this.places.writeAll()) : batch
  }

  private saveSubscription(batch: CommitBatch, session: MqttSession, filter: string, wallMs: number): boolean {
    const subscription = session.subscriptions.get(filter)
    const { clientId } = session
    if (subscription === undefined) {
      return this.log.subscription(batch.turn, wallMs, { clientId, filter }, null) === null
    }
    const { qos, noLocal, retainAsPublished, subscriptionId } = subscription
    const since = this.sinceOf(subscription)
    const places = since.length === 0 ? undefined : since
    const debt = session.debts.of(filter)
    const owed = { owed: debt?.id, left: debt?.left ?? undefined }
    const value = { qos, noLocal, retainAsPublished, subscriptionId, since: places, ...owed }
    return this.log.subscription(batch.turn, wallMs, { clientId, filter }, value) === null
  }

  /** Of where it begins, what lies above where its session goes on after a crash. */
  private sinceOf({ since, session }: Subscription): StoredPosition[] {
    if (since === null) return []
    const own = lowestPlaces(session.behind, session.pendingOrigins(null))
    const live = new Map(this.options.livePositions())
    const later = [...since].filter(([partition, offset]) => {
      return offset > Math.min(own.get(partition) ?? offset, live.get(partition) ?? offset)
    })
    return later.slice(0, sincePlacesMax).map(([{ topicId, index }, offset]) => ({ topicId, partition: index, offset }))
  }

  /** A session has ended; `filters` are those it had. Its will may still be due: then `willPublished` takes the rest away. */
  forget(session: MqttSession, filters: Iterable<string>): void {
    this.places.forget(session)
    if (!session.isStored) return
    const { clock, commits } = this.options
    const wallMs = clock.wallMs()
    const { turn } = commits.current()
    const { clientId } = session
    for (const filter of filters) this.log.subscription(turn, wallMs, { clientId, filter }, null)
    for (const place of [...session.passedOutgoing(() => true), ...session.begunPlaces()]) {
      if (place.group === null) this.log.outgoing(turn, wallMs, { clientId, place: place.key }, null)
      else this.places.addOrphan(clientId, place)
    }
    if (session.will === null) this.log.session(turn, wallMs, clientId, null)
    session.isStored = false
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
}
