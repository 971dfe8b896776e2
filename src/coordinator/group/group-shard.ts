/**
 * The groups of one partition of `__consumer_offsets`: a pure core. `at(now)` tells it the moment; every call may leave effects,
 * which the driver takes and runs in order; the `settled` of a write comes back as an event of its own.
 *
 * State follows the log: offsets are applied when their record is safe, in log order, so that nobody reads a commit that a power
 * cut could take back; the state of a rebalance lives here alone until a generation is stored.
 */
import { assert } from '../../base/assert.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import { DeadlineQueue } from '../runtime/deadline-queue.ts'
import { ClassicGroup } from './classic-group.ts'
import { describeGroup } from './classic-group-facts.ts'
import { ClassicProtocol, type Moment, type ProtocolPort } from './classic-protocol.ts'
import { GroupMember } from './group-member.ts'
import type { GroupNote } from './group-notes.ts'
import { GroupOffsets } from './group-offsets.ts'
import type { GroupOptions } from './group-options.ts'
import type { GroupRecord, StoredGroupWithMembers } from './group-records.ts'
import {
  type CommitReply,
  type CommitRequest,
  type DescribedGroup,
  type FetchedOffset,
  type FetchOffsetsRequest,
  type JoinReply,
  type JoinRequest,
  joinRefused,
  type LeaveResult,
  type LeavingMember,
  type MemberClaim,
  type SyncReply,
  type SyncRequest,
  syncRefused,
} from './group-requests.ts'

export type ShardEffect =
  | {
      readonly kind: 'write'
      readonly records: readonly GroupRecord[]
      readonly settled: (now: Moment, error: KafkaErrorName | null) => void
    }
  | { readonly kind: 'note'; readonly note: GroupNote }

export class GroupShard {
  readonly #options: GroupOptions
  readonly #groups = new Map<string, ClassicGroup>()
  readonly #deadlines = new DeadlineQueue()
  readonly #protocol: ClassicProtocol
  readonly #offsets: GroupOffsets
  /** Offset records of transactions whose marker has not been read, by producer id; filled by replay only. */
  readonly #openTransactions = new Map<number, GroupRecord[]>()
  #effects: ShardEffect[] = []
  #now: Moment = { wallMs: 0, monotonicMs: 0 }

  constructor(options: GroupOptions) {
    this.#options = options
    const shard = this
    const port: ProtocolPort = {
      options,
      deadlines: this.#deadlines,
      get now() {
        return shard.#now
      },
      write: (records, settled) => this.#write(records, settled),
      note: (note) => this.#effects.push({ kind: 'note', note }),
      considerForgetting: (group) => this.#considerForgetting(group),
    }
    this.#protocol = new ClassicProtocol(port)
    this.#offsets = new GroupOffsets(port, this.#protocol)
  }

  get groupCount(): number {
    return this.#groups.size
  }

  /** Offsets that are committed in all groups. */
  get offsetCount(): number {
    let count = 0
    for (const group of this.#groups.values()) count += group.offsets.count
    return count
  }

  /** Monotonic time of the soonest deadline, or null. */
  get nextDeadlineMs(): number | null {
    return this.#deadlines.nextMs
  }

  /** Tells the moment at which the next call happens. */
  at(now: Moment): this {
    this.#now = now
    return this
  }

  /** What the calls since the last question want done, in order. */
  takeEffects(): readonly ShardEffect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** Runs what is due. */
  tick(): void {
    for (let task = this.#due(); task !== null; task = this.#due()) task()
  }

  join(request: JoinRequest, reply: JoinReply): void {
    let group = this.#groups.get(request.groupId)
    if (group === undefined) {
      // A member that names its id takes part in something that we do not know: it starts again without one.
      if (request.memberId !== '') return reply(joinRefused('UNKNOWN_MEMBER_ID', request.memberId))
      if (this.#groups.size >= this.#options.groupsMax) return reply(joinRefused('POLICY_VIOLATION'))
      group = this.#create(request.groupId)
    }
    this.#protocol.join(group, request, reply)
    this.#considerForgetting(group)
  }

  /** The client behind a JoinGroup that waits with this reply is gone. */
  abandonJoin(groupId: string, reply: JoinReply): void {
    const group = this.#groups.get(groupId)
    if (group !== undefined) this.#protocol.abandonJoin(group, reply)
  }

  sync(request: SyncRequest, reply: SyncReply): void {
    const group = this.#groups.get(request.groupId)
    if (group === undefined) return reply(syncRefused('UNKNOWN_MEMBER_ID'))
    this.#protocol.sync(group, request, reply)
  }

  heartbeat(claim: MemberClaim): KafkaErrorName | null {
    const group = this.#groups.get(claim.groupId)
    return group === undefined ? 'UNKNOWN_MEMBER_ID' : this.#protocol.heartbeat(group, claim)
  }

  leave(groupId: string, members: readonly LeavingMember[]): LeaveResult {
    const group = this.#groups.get(groupId)
    if (group === undefined) return { error: 'UNKNOWN_MEMBER_ID', members: [] }
    if (group.state === 'Dead') return { error: 'COORDINATOR_NOT_AVAILABLE', members: [] }
    const left = members.map(({ memberId, groupInstanceId }) => ({
      memberId,
      groupInstanceId,
      error: this.#protocol.leave(group, memberId, groupInstanceId),
    }))
    if (left.some(({ error }) => error === null)) this.#protocol.afterLeaving(group)
    return { error: null, members: left }
  }

  commit(request: CommitRequest, reply: CommitReply): void {
    let group = this.#groups.get(request.groupId)
    if (group === undefined) {
      // Without a generation it comes from a consumer that only keeps its offsets here, or from an administrator.
      const error =
        request.generationId >= 0 ? (request.knowsGroupIdNotFound ? 'GROUP_ID_NOT_FOUND' : 'ILLEGAL_GENERATION') : null
      if (error !== null) return reply({ error, errors: [] })
      if (this.#groups.size >= this.#options.groupsMax) return reply({ error: 'POLICY_VIOLATION', errors: [] })
      group = this.#create(request.groupId)
    }
    this.#offsets.commit(group, request, reply)
    this.#considerForgetting(group)
  }

  fetchOffsets(request: FetchOffsetsRequest): readonly FetchedOffset[] {
    return this.#offsets.fetch(this.#groups.get(request.groupId), request)
  }

  /** OffsetDelete. Answers one error for each partition, in order, or one for all of them. */
  deleteOffsets(
    groupId: string,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    reply: CommitReply,
  ): void {
    const group = this.#groups.get(groupId)
    if (group === undefined || group.state === 'Dead') return reply({ error: 'GROUP_ID_NOT_FOUND', errors: [] })
    this.#offsets.delete(group, partitions, reply)
  }

  deleteGroup(groupId: string, reply: (error: KafkaErrorName | null) => void): void {
    const group = this.#groups.get(groupId)
    if (group === undefined || group.state === 'Dead') return reply('GROUP_ID_NOT_FOUND')
    if (group.state !== 'Empty') return reply('NON_EMPTY_GROUP')
    this.#bury(group, (error) => {
      if (error === null) this.#effects.push({ kind: 'note', note: { kind: 'deleted', groupId } })
      reply(error)
    })
  }

  /** Null when there is no such group. */
  describe(groupId: string): DescribedGroup | null {
    const group = this.#groups.get(groupId)
    return group === undefined || group.state === 'Dead' ? null : describeGroup(group)
  }

  *list(): Generator<{
    readonly groupId: string
    readonly protocolType: string
    readonly state: ClassicGroup['state']
  }> {
    for (const { groupId, protocolType, state } of this.#groups.values())
      yield { groupId, protocolType: protocolType ?? '', state }
  }

  /** Topics in which a group has an offset. */
  topics(): ReadonlySet<string> {
    const topics = new Set<string>()
    for (const group of this.#groups.values()) for (const topic of group.offsets.topics()) topics.add(topic)
    return topics
  }

  /** A topic is gone: so are the offsets in it. */
  forgetTopic(topic: string): void {
    for (const group of this.#groups.values()) this.#offsets.forgetTopic(group, topic)
  }

  /**
   * One pass of expiry (offsets.retention.minutes): tombstones for what has expired, and for groups that are empty and have
   * nothing left. Yields between portions of work, so that the driver can spread a large pass; `at` before each step.
   */
  *expire(): Generator<void> {
    let visited = 0
    for (const group of [...this.#groups.values()]) {
      if (group.state === 'Dead') continue
      visited += 1 + group.offsets.count
      const isBare = this.#offsets.expire(group)
      if (isBare && group.state === 'Empty' && group.pendingMembers.size === 0) this.#bury(group, () => {})
      if (visited < expiryPortion) continue
      visited = 0
      yield
    }
  }

  // ------------------------------------------------------------------------------------------------ replay

  /** Applies a record of the log. */
  replay(record: GroupRecord): void {
    if (record.kind === 'offset') {
      const { groupId, topic, partition, stored } = record
      if (stored !== null) (this.#groups.get(groupId) ?? this.#create(groupId)).offsets.set(topic, partition, stored)
      else this.#groups.get(groupId)?.offsets.delete(topic, partition)
      return
    }
    const known = this.#groups.get(record.groupId)
    if (record.stored === null) {
      // Offsets that outlive the record of their group (a tombstone each follows or went before) make it a simple one.
      this.#groups.delete(record.groupId)
      if (known !== undefined && known.offsets.count > 0) this.#create(record.groupId).offsets.adopt(known.offsets)
      return
    }
    const group = restoredGroup(record.groupId, record.stored)
    if (known !== undefined) group.offsets.adopt(known.offsets)
    this.#groups.set(record.groupId, group)
  }

  /** Keeps a record of a transaction until its end is read. */
  replayTransactional(producerId: number, record: GroupRecord): void {
    const records = this.#openTransactions.get(producerId)
    if (records === undefined) this.#openTransactions.set(producerId, [record])
    else records.push(record)
  }

  /** The end of a producer's transaction was read. */
  endTransaction(producerId: number, isCommitted: boolean): void {
    const records = this.#openTransactions.get(producerId) ?? []
    this.#openTransactions.delete(producerId)
    if (isCommitted) for (const record of records) this.replay(record)
  }

  /** Everything was replayed: members have one session from now to report. */
  resume(): void {
    for (const [producerId, records] of this.#openTransactions)
      for (const record of records) {
        if (record.kind !== 'offset') continue
        const group = this.#groups.get(record.groupId) ?? this.#create(record.groupId)
        group.offsets.beginTransactional(producerId, record.topic, record.partition)
      }
    for (const group of [...this.#groups.values()]) {
      this.#protocol.resume(group)
      this.#considerForgetting(group)
    }
  }

  // ---------------------------------------------------------------------------------------------- internals

  #due(): (() => void) | null {
    return this.#deadlines.takeDue(this.#now.monotonicMs)
  }

  #create(groupId: string): ClassicGroup {
    const group = new ClassicGroup(groupId)
    this.#groups.set(groupId, group)
    return group
  }

  #write(records: readonly GroupRecord[], settled: (error: KafkaErrorName | null) => void): void {
    assert(records.length > 0, 'nothing to write')
    for (const record of records)
      if (record.kind === 'group' && record.stored !== null) {
        const group = this.#groups.get(record.groupId)
        if (group !== undefined) group.isWritten = true
      }
    this.#effects.push({
      kind: 'write',
      records,
      settled: (now, error) => {
        this.#now = now
        settled(error === null ? null : answerToFailedWrite(error))
      },
    })
  }

  /** Writes the tombstones of a group and forgets it when they are safe. Until then it is Dead: a client comes again. */
  #bury(group: ClassicGroup, done: (error: KafkaErrorName | null) => void): void {
    const records: GroupRecord[] = [...group.offsets.all()].map(({ topic, partition }) => ({
      kind: 'offset',
      groupId: group.groupId,
      topic,
      partition,
      stored: null,
    }))
    if (group.isWritten) records.push({ kind: 'group', groupId: group.groupId, stored: null })
    group.transition('Dead', this.#now.wallMs)
    const forget = (error: KafkaErrorName | null): void => {
      if (error !== null) group.transition('Empty', this.#now.wallMs)
      else if (this.#groups.get(group.groupId) === group) this.#groups.delete(group.groupId)
      done(error)
    }
    if (records.length === 0) forget(null)
    else this.#write(records, forget)
  }

  #considerForgetting(group: ClassicGroup): void {
    if (group.isForgettable && this.#groups.get(group.groupId) === group) this.#groups.delete(group.groupId)
  }
}

/** Groups and offsets that one step of an expiry pass looks at: about a millisecond. */
const expiryPortion = 5_000

function restoredGroup(groupId: string, stored: StoredGroupWithMembers): ClassicGroup {
  const group = new ClassicGroup(groupId)
  group.restore(stored, stored.members.length > 0)
  for (const member of stored.members) {
    const restored = new GroupMember({
      ...member,
      protocols: stored.protocolName === null ? [] : [{ name: stored.protocolName, metadata: member.subscription }],
    })
    restored.assignment = new Uint8Array(member.assignment)
    group.add(restored, stored.protocolType ?? '', null)
  }
  group.computeSubscribedTopics()
  return group
}

/** What a client is told when a record could not be stored: Kafka's translation of the append's errors. */
function answerToFailedWrite(error: KafkaErrorName): KafkaErrorName {
  switch (error) {
    case 'UNKNOWN_TOPIC_OR_PARTITION':
    case 'NOT_ENOUGH_REPLICAS':
    case 'NOT_ENOUGH_REPLICAS_AFTER_APPEND':
    case 'REQUEST_TIMED_OUT':
    case 'OPERATION_NOT_ATTEMPTED':
      return 'COORDINATOR_NOT_AVAILABLE'
    case 'NOT_LEADER_OR_FOLLOWER':
    case 'KAFKA_STORAGE_ERROR':
      return 'NOT_COORDINATOR'
    case 'MESSAGE_TOO_LARGE':
    case 'RECORD_LIST_TOO_LARGE':
      return 'UNKNOWN_SERVER_ERROR'
    default:
      return error
  }
}
