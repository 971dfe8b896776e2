/**
 * The group coordinator: runs the shards (pure cores, one a partition of `__consumer_offsets`) on the ports. It encodes and appends
 * what they decide, tells them when that is safe, wakes them when something is due, and replays the log into them at the start.
 */
import type { Clock, Compute, Entropy, Observer, Timer } from '../../base/ports.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { CoordinatorLog } from '../runtime/coordinator-log.ts'
import { replayPartition } from '../runtime/log-replay.ts'
import { RecordWriter } from '../runtime/record-writer.ts'
import type { Moment } from './classic-protocol.ts'
import { groupEvents } from './group-events.ts'
import { groupMetrics } from './group-metrics.ts'
import type { GroupOptions } from './group-options.ts'
import { decodeGroupRecord, encodeGroupRecord } from './group-records.ts'
import {
  type CommitRequest,
  type CommitResult,
  type DescribedGroup,
  type FetchedOffset,
  type FetchOffsetsRequest,
  type GroupState,
  type JoinRequest,
  type JoinResult,
  joinRefused,
  type LeaveResult,
  type LeavingMember,
  type MemberClaim,
  type SyncRequest,
  type SyncResult,
  syncRefused,
} from './group-requests.ts'
import { GroupShard } from './group-shard.ts'
import { observeNote } from './observe-note.ts'
import { offsetsPartitionOf } from './offsets-topic.ts'

export interface GroupCoordinatorParts {
  /** `__consumer_offsets`. */
  readonly log: CoordinatorLog
  /** Creates the topic; called at the first use of a group. Rejects when it cannot be created. */
  readonly createTopic: () => Promise<void>
  readonly clock: Clock
  readonly entropy: Entropy
  readonly compute: Compute
  readonly observer: Observer
  readonly options: GroupOptions
}

export interface ListedGroup {
  readonly groupId: string
  readonly protocolType: string
  readonly state: GroupState
}

/** Clients ask again after COORDINATOR_NOT_AVAILABLE. */
const creationWaitMsMax = 2000

type ShardState = 'loading' | 'ready' | 'failed'

interface ShardSlot {
  state: ShardState
  shard: GroupShard
}

const groupStates: readonly GroupState[] = ['Empty', 'PreparingRebalance', 'CompletingRebalance', 'Stable', 'Dead']

export class GroupCoordinator {
  readonly #parts: GroupCoordinatorParts
  readonly #writer: RecordWriter
  readonly #slots = new Map<number, ShardSlot>()
  #creation: Promise<KafkaErrorName | null> | null = null
  #timer: Timer | null = null
  #timerAtMs = Number.POSITIVE_INFINITY
  #expiryTimer: Timer | null = null
  #isStopped = false

  private constructor(parts: GroupCoordinatorParts) {
    this.#parts = parts
    this.#writer = new RecordWriter(parts.clock, parts.log)
  }

  /** Replays every partition of the topic, where it exists. A partition that cannot be read is reported and not served. */
  static async open(parts: GroupCoordinatorParts): Promise<GroupCoordinator> {
    const coordinator = new GroupCoordinator(parts)
    await coordinator.#loadAll()
    coordinator.#scheduleExpiry()
    return coordinator
  }

  get groupCount(): number {
    let count = 0
    for (const { shard } of this.#slots.values()) count += shard.groupCount
    return count
  }

  /** Sets the gauges; called before a scrape. */
  refreshGauges(): void {
    const { observer } = this.#parts
    const counts = new Map<GroupState, number>(groupStates.map((state) => [state, 0]))
    let offsets = 0
    for (const { shard } of this.#slots.values()) {
      offsets += shard.offsetCount
      for (const { state } of shard.list()) counts.set(state, (counts.get(state) ?? 0) + 1)
    }
    for (const [state, count] of counts) observer.set(groupMetrics.groups, count, { state })
    observer.set(groupMetrics.offsets, offsets)
  }

  /** No timer runs any more, nothing is answered any more. */
  stop(): void {
    this.#isStopped = true
    const { clock } = this.#parts
    if (this.#timer !== null) clock.cancel(this.#timer)
    if (this.#expiryTimer !== null) clock.cancel(this.#expiryTimer)
  }

  /**
   * Makes sure that the topic exists and this node can serve the group: null when it does. At once when it does already, so that
   * requests keep their order. A topic that is long in coming (on a full disk) is not waited for: what the connection asks next stands
   * behind this answer, reads too.
   */
  ensureReady(groupId: string): KafkaErrorName | null | Promise<KafkaErrorName | null> {
    const found = this.#find(groupId)
    if (found instanceof GroupShard) return null
    if (found !== 'absent') return found
    this.#creation ??= this.#create().finally(() => {
      this.#creation = null
    })
    return this.#withinPatience(this.#creation).then((error) => {
      const created = this.#find(groupId)
      return (
        error ?? (created instanceof GroupShard ? null : created === 'absent' ? 'COORDINATOR_NOT_AVAILABLE' : created)
      )
    })
  }

  #withinPatience(creation: Promise<KafkaErrorName | null>): Promise<KafkaErrorName | null> {
    const { clock } = this.#parts
    return new Promise((resolve) => {
      const timer = clock.schedule(creationWaitMsMax, () => resolve('COORDINATOR_NOT_AVAILABLE'))
      void creation.then((error) => {
        clock.cancel(timer)
        resolve(error)
      })
    })
  }

  /** `onAbandoned` takes a callback for the case that the client goes while it waits. */
  async join(
    request: Omit<JoinRequest, 'uniqueText'>,
    onAbandoned: (callback: () => void) => void = () => {},
  ): Promise<JoinResult> {
    const { sessionTimeoutMsMin, sessionTimeoutMsMax } = this.#parts.options
    if (request.groupId === '') return joinRefused('INVALID_GROUP_ID', request.memberId)
    if (request.sessionTimeoutMs < sessionTimeoutMsMin || request.sessionTimeoutMs > sessionTimeoutMsMax)
      return joinRefused('INVALID_SESSION_TIMEOUT', request.memberId)
    const ready = this.ensureReady(request.groupId)
    const error = ready instanceof Promise ? await ready : ready
    if (error !== null) return joinRefused(error, request.memberId)
    const uniqueText = randomUuid(this.#parts.entropy)
    return new Promise((resolve) => {
      onAbandoned(() => this.#with(request.groupId, (shard) => shard.abandonJoin(request.groupId, resolve)))
      this.#with(request.groupId, (shard) => shard.join({ ...request, uniqueText }, resolve))
    })
  }

  async sync(request: SyncRequest): Promise<SyncResult> {
    if (request.groupId === '') return syncRefused('INVALID_GROUP_ID')
    const shard = this.#find(request.groupId)
    // A member whose coordinator has just come back joins again; older clients do not know LOAD_IN_PROGRESS here.
    if (shard === 'COORDINATOR_LOAD_IN_PROGRESS') return syncRefused('REBALANCE_IN_PROGRESS')
    if (!(shard instanceof GroupShard)) return syncRefused(shard === 'absent' ? 'UNKNOWN_MEMBER_ID' : shard)
    return new Promise((resolve) => {
      this.#with(request.groupId, (ready) => ready.sync(request, resolve))
    })
  }

  /** Null when the member may go on. */
  heartbeat(claim: MemberClaim): KafkaErrorName | null {
    if (claim.groupId === '') return 'INVALID_GROUP_ID'
    const shard = this.#find(claim.groupId)
    // While the log is read nobody can be told apart; sessions begin anew when it has been.
    if (shard === 'COORDINATOR_LOAD_IN_PROGRESS') return null
    if (!(shard instanceof GroupShard)) return shard === 'absent' ? 'UNKNOWN_MEMBER_ID' : shard
    return this.#with(claim.groupId, (ready) => ready.heartbeat(claim)) ?? null
  }

  leave(groupId: string, members: readonly LeavingMember[]): LeaveResult {
    if (groupId === '') return { error: 'INVALID_GROUP_ID', members: [] }
    const shard = this.#find(groupId)
    if (!(shard instanceof GroupShard)) return { error: shard === 'absent' ? 'UNKNOWN_MEMBER_ID' : shard, members: [] }
    return this.#with(groupId, (ready) => ready.leave(groupId, members)) as LeaveResult
  }

  commit(request: CommitRequest): Promise<CommitResult> {
    const ready = this.ensureReady(request.groupId)
    if (ready instanceof Promise) return ready.then((error) => this.#commit(request, error))
    return this.#commit(request, ready)
  }

  /** The offsets, or why they cannot be told. */
  fetchOffsets(request: FetchOffsetsRequest): readonly FetchedOffset[] | KafkaErrorName {
    const shard = this.#find(request.groupId)
    if (shard instanceof GroupShard) return shard.fetchOffsets(request)
    return shard === 'absent' ? new GroupShard(this.#parts.options).fetchOffsets(request) : shard
  }

  deleteOffsets(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
  ): Promise<CommitResult> {
    const shard = this.#find(groupId)
    const refused = groupId === '' ? 'INVALID_GROUP_ID' : shard instanceof GroupShard ? null : shard
    if (refused !== null)
      return Promise.resolve({ error: refused === 'absent' ? 'GROUP_ID_NOT_FOUND' : refused, errors: [] })
    return new Promise((resolve) => {
      this.#with(groupId, (ready) => ready.deleteOffsets(groupId, partitions, resolve))
    })
  }

  /** Null when the group is deleted, and that is safe. */
  deleteGroup(groupId: string): Promise<KafkaErrorName | null> {
    const shard = this.#find(groupId)
    if (!(shard instanceof GroupShard)) return Promise.resolve(shard === 'absent' ? 'GROUP_ID_NOT_FOUND' : shard)
    return new Promise((resolve) => {
      this.#with(groupId, (ready) => ready.deleteGroup(groupId, resolve))
    })
  }

  /** The group, null when there is none, or why it cannot be told. */
  describe(groupId: string): DescribedGroup | KafkaErrorName | null {
    const shard = this.#find(groupId)
    if (shard instanceof GroupShard) return shard.describe(groupId)
    return shard === 'absent' ? null : shard
  }

  /** All groups, and the error when some could not be told. */
  list(): { readonly error: KafkaErrorName | null; readonly groups: readonly ListedGroup[] } {
    const groups: ListedGroup[] = []
    let error: KafkaErrorName | null = null
    for (const { state, shard } of this.#slots.values()) {
      if (state === 'ready') for (const group of shard.list()) groups.push(group)
      else error = errorOf(state)
    }
    return { error, groups }
  }

  /** Forgets the offsets in topics that do not exist any more. Called when all topics are known, and after topics have gone. */
  forgetMissingTopics(exists: (topic: string) => boolean): void {
    for (const [partition, slot] of this.#slots) {
      if (slot.state !== 'ready') continue
      for (const topic of slot.shard.topics()) if (!exists(topic)) slot.shard.at(this.#now()).forgetTopic(topic)
      this.#settleEffects(partition, slot.shard)
    }
  }

  // ------------------------------------------------------------------------------------------------ shards

  #find(groupId: string): GroupShard | KafkaErrorName | 'absent' {
    const count = this.#parts.log.partitionCount
    if (count === null) return 'absent'
    const slot = this.#slots.get(offsetsPartitionOf(groupId, count))
    if (slot === undefined) return 'absent'
    return slot.state === 'ready' ? slot.shard : errorOf(slot.state)
  }

  /** Runs one event of a shard that is ready, and what follows from it. */
  #with<T>(groupId: string, event: (shard: GroupShard) => T): T | undefined {
    const shard = this.#find(groupId)
    if (!(shard instanceof GroupShard)) return undefined
    const result = event(shard.at(this.#now()))
    this.#settleEffects(offsetsPartitionOf(groupId, this.#parts.log.partitionCount ?? 1), shard)
    return result
  }

  #settleEffects(partition: number, shard: GroupShard): void {
    const { observer } = this.#parts
    for (const effect of shard.takeEffects()) {
      if (effect.kind === 'note') {
        observeNote(observer, effect.note)
        continue
      }
      const { records, settled } = effect
      this.#writer.write(partition, records.map(encodeGroupRecord), this.#parts.clock.wallMs(), (error) => {
        if (error !== null) observer.event(groupEvents.writeFailed, { partition, records: records.length, error })
        settled(this.#now(), error)
        this.#settleEffects(partition, shard)
      })
    }
    this.#arm(shard.nextDeadlineMs)
  }

  #commit(request: CommitRequest, error: KafkaErrorName | null): Promise<CommitResult> {
    if (error !== null) return Promise.resolve({ error, errors: [] })
    return new Promise((resolve) => {
      this.#with(request.groupId, (shard) => shard.commit(request, resolve))
    })
  }

  #now(): Moment {
    const { clock } = this.#parts
    return { wallMs: clock.wallMs(), monotonicMs: clock.monotonicMs() }
  }

  // ------------------------------------------------------------------------------------------------- timers

  #arm(atMs: number | null): void {
    if (atMs === null || atMs >= this.#timerAtMs || this.#isStopped) return
    const { clock } = this.#parts
    if (this.#timer !== null) clock.cancel(this.#timer)
    this.#timerAtMs = atMs
    this.#timer = clock.schedule(Math.max(atMs - clock.monotonicMs(), 1), () => this.#tick())
  }

  #tick(): void {
    this.#timer = null
    this.#timerAtMs = Number.POSITIVE_INFINITY
    for (const [partition, slot] of this.#slots) {
      if (slot.state !== 'ready') continue
      slot.shard.at(this.#now()).tick()
      this.#settleEffects(partition, slot.shard)
    }
  }

  #scheduleExpiry(): void {
    if (this.#isStopped) return
    this.#expiryTimer = this.#parts.clock.schedule(this.#parts.options.offsetsRetentionCheckMs, () => {
      // A clock that is known to be wrong must not make anybody's offsets old.
      if (this.#parts.clock.wallTrusted()) this.#expire(this.#expirySteps())
      else this.#scheduleExpiry()
    })
  }

  /** One portion of a pass now, the next in a later turn of the loop. */
  #expire(steps: Generator<void>): void {
    if (this.#isStopped) return
    if (steps.next().done === true) return this.#scheduleExpiry()
    this.#expiryTimer = this.#parts.clock.schedule(1, () => this.#expire(steps))
  }

  *#expirySteps(): Generator<void> {
    for (const [partition, slot] of this.#slots) {
      if (slot.state !== 'ready') continue
      const steps = slot.shard.at(this.#now()).expire()
      for (;;) {
        slot.shard.at(this.#now())
        const isDone = steps.next().done === true
        this.#settleEffects(partition, slot.shard)
        if (isDone) break
        yield
      }
    }
  }

  // ---------------------------------------------------------------------------------------- topic and replay

  async #create(): Promise<KafkaErrorName | null> {
    try {
      if (this.#parts.log.partitionCount === null) await this.#parts.createTopic()
    } catch (thrown) {
      const error = thrown instanceof Error ? thrown.message : String(thrown)
      this.#parts.observer.event(groupEvents.topicFailed, { error })
      return 'COORDINATOR_NOT_AVAILABLE'
    }
    await this.#loadAll()
    return null
  }

  async #loadAll(): Promise<void> {
    const count = this.#parts.log.partitionCount ?? 0
    for (let partition = 0; partition < count; partition++)
      if (!this.#slots.has(partition))
        this.#slots.set(partition, { state: 'loading', shard: new GroupShard(this.#parts.options) })
    // One after the other: the memory of one read, and the disk is asked in order.
    for (const [partition, slot] of this.#slots) if (slot.state === 'loading') await this.#load(partition, slot)
  }

  async #load(index: number, slot: ShardSlot): Promise<void> {
    const { log, clock, compute, observer } = this.#parts
    const partition = log.partition(index)
    if (partition === null) {
      slot.state = 'failed'
      return observer.event(groupEvents.loadFailed, { partition: index, error: 'there is no such partition' })
    }
    const beganMs = clock.monotonicMs()
    const { shard } = slot
    const skipped = { foreign: 0, unreadable: 0 }
    try {
      const summary = await replayPartition(partition, compute, {
        record: ({ key, value }, producerId) => {
          const record = decodeGroupRecord(key, value)
          if (record.kind === 'foreign' || record.kind === 'unreadable') skipped[record.kind]++
          else if (producerId === null) shard.replay(record)
          else shard.replayTransactional(producerId, record)
        },
        damaged: (fromOffset, endOffset) => {
          observer.add(groupMetrics.damagedOffsets, endOffset - fromOffset)
          observer.event(groupEvents.recordsDamaged, { partition: index, fromOffset, endOffset })
        },
        transactionEnded: (producerId, isCommitted) => shard.endTransaction(producerId, isCommitted),
      })
      shard.at(this.#now()).resume()
      slot.state = 'ready'
      this.#settleEffects(index, shard)
      if (skipped.foreign + skipped.unreadable > 0)
        observer.event(groupEvents.recordsSkipped, { partition: index, ...skipped })
      observer.event(groupEvents.loaded, {
        partition: index,
        groups: shard.groupCount,
        offsets: shard.offsetCount,
        records: summary.records,
        durationMs: Math.round(clock.monotonicMs() - beganMs),
      })
    } catch (thrown) {
      slot.state = 'failed'
      const error = thrown instanceof Error ? thrown.message : String(thrown)
      observer.event(groupEvents.loadFailed, { partition: index, error })
    }
  }
}

function errorOf(state: Exclude<ShardState, 'ready'>): KafkaErrorName {
  return state === 'loading' ? 'COORDINATOR_LOAD_IN_PROGRESS' : 'COORDINATOR_NOT_AVAILABLE'
}

/** A random UUID in its usual form (RFC 9562, version 4), as Kafka puts it into member ids. */
function randomUuid(entropy: Entropy): string {
  const bytes = entropy.bytes(16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}
