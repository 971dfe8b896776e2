/**
 * A classic consumer group: its members, its generation and its state. Only facts and their bookkeeping; what happens when
 * is in classic-protocol.ts.
 *
 *     Empty -> PreparingRebalance -> CompletingRebalance -> Stable -> PreparingRebalance ...
 *     PreparingRebalance -> Empty (nobody came back);  Empty -> Dead (deleted or expired)
 */
import { assert } from '../../base/assert.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import { subscribedTopicsOf } from './consumer-subscription.ts'
import { type GroupMember, ownedProtocols } from './group-member.ts'
import { OffsetStore } from './offset-store.ts'
import type { GroupProtocol, GroupState, JoinedMember, JoinReply, JoinResult, SyncResult } from './group-requests.ts'
import { joinRefused, syncRefused } from './group-requests.ts'

/** From which states each state may be entered. */
const previousStates: Readonly<Record<GroupState, readonly GroupState[]>> = {
  Empty: ['PreparingRebalance', 'Dead'],
  PreparingRebalance: ['Stable', 'CompletingRebalance', 'Empty'],
  CompletingRebalance: ['PreparingRebalance'],
  Stable: ['CompletingRebalance'],
  Dead: ['Empty'],
}

/** What a group metadata record keeps of a group. */
export interface StoredGroup {
  readonly generationId: number
  readonly protocolType: string | null
  readonly protocolName: string | null
  readonly leader: string | null
  /** Null in records of old brokers. */
  readonly stateTimestampMs: number | null
}

export class ClassicGroup {
  readonly groupId: string
  readonly offsets = new OffsetStore()
  /** Ids handed out with MEMBER_ID_REQUIRED that have not joined yet. */
  readonly pendingMembers = new Set<string>()
  /** Members of this generation whose SyncGroup has not come yet. */
  readonly pendingSync = new Set<string>()
  generationId = 0
  protocolType: string | null = null
  protocolName: string | null = null
  leader: string | null = null
  /** Topics of all members, while the group is of type `consumer` and says so in Kafka's form; else null. */
  subscribedTopics: ReadonlySet<string> | null = null
  /** Wall time of the last change of state; null when a record of an old broker did not say. */
  stateTimestampMs: number | null = null
  /** A member came during the initial delay: it is extended. */
  hasNewMember = false
  /** A group metadata record of it is in the log. */
  isWritten = false
  readonly #members = new Map<string, GroupMember>()
  readonly #staticMembers = new Map<string, string>()
  /** How many members support a protocol. */
  readonly #protocolSupport = new Map<string, number>()
  #state: GroupState = 'Empty'
  #previousState: GroupState = 'Dead'
  #awaitingJoinCount = 0

  constructor(groupId: string) {
    this.groupId = groupId
  }

  get state(): GroupState {
    return this.#state
  }

  get members(): ReadonlyMap<string, GroupMember> {
    return this.#members
  }

  get awaitingJoinCount(): number {
    return this.#awaitingJoinCount
  }

  /** The group is gathering its first members, and waits out the initial delay whoever has joined. */
  get isInitialRebalance(): boolean {
    return this.#state === 'PreparingRebalance' && this.#previousState === 'Empty'
  }

  get hasAllJoined(): boolean {
    return this.#members.size === this.#awaitingJoinCount && this.pendingMembers.size === 0
  }

  /** The longest rebalance timeout of the members, in milliseconds. */
  get rebalanceTimeoutMs(): number {
    let longest = 0
    for (const member of this.#members.values()) longest = Math.max(longest, member.rebalanceTimeoutMs)
    return longest
  }

  /** Nothing of it is in the log and nobody is in it: forgetting it forgets nothing. */
  get isForgettable(): boolean {
    return (
      this.#state === 'Empty' &&
      !this.isWritten &&
      this.#members.size === 0 &&
      this.pendingMembers.size === 0 &&
      this.offsets.isUntouched
    )
  }

  transition(state: GroupState, wallMs: number): void {
    assert(previousStates[state].includes(this.#state), `group ${this.groupId}: ${this.#state} to ${state}`)
    this.#previousState = this.#state
    this.#state = state
    this.stateTimestampMs = wallMs
  }

  /** Puts the group where a record says it was; its members are added afterwards. */
  restore(stored: StoredGroup, hasMembers: boolean): void {
    this.#state = hasMembers ? 'Stable' : 'Empty'
    this.generationId = stored.generationId
    this.protocolType = stored.protocolType
    this.protocolName = stored.protocolName
    this.leader = stored.leader
    this.stateTimestampMs = stored.stateTimestampMs
    this.isWritten = true
  }

  member(memberId: string): GroupMember | undefined {
    return this.#members.get(memberId)
  }

  isLeader(memberId: string): boolean {
    return this.leader === memberId
  }

  staticMemberId(groupInstanceId: string): string | undefined {
    return this.#staticMembers.get(groupInstanceId)
  }

  /** The member, or what to answer to one who claims to be it (KIP-345: a replaced static member is fenced). */
  validate(memberId: string, groupInstanceId: string | null): GroupMember | KafkaErrorName {
    if (groupInstanceId !== null) {
      const known = this.#staticMembers.get(groupInstanceId)
      if (known === undefined) return 'UNKNOWN_MEMBER_ID'
      if (known !== memberId) return 'FENCED_INSTANCE_ID'
    }
    return this.#members.get(memberId) ?? 'UNKNOWN_MEMBER_ID'
  }

  add(member: GroupMember, protocolType: string, awaitingJoin: JoinReply | null): void {
    if (this.#members.size === 0) this.protocolType = protocolType
    this.leader ??= member.memberId
    this.#members.set(member.memberId, member)
    this.#countProtocols(member.protocols, 1)
    if (member.groupInstanceId !== null) this.#staticMembers.set(member.groupInstanceId, member.memberId)
    this.pendingMembers.delete(member.memberId)
    this.#setAwaitingJoin(member, awaitingJoin)
  }

  /** Removes a member, or a pending one. What it still waits for is answered UNKNOWN_MEMBER_ID, on which a client joins anew. */
  remove(memberId: string): void {
    this.pendingMembers.delete(memberId)
    this.pendingSync.delete(memberId)
    const member = this.#members.get(memberId)
    if (member === undefined) return
    this.answerJoin(member, joinRefused('UNKNOWN_MEMBER_ID'))
    this.answerSync(member, syncRefused('UNKNOWN_MEMBER_ID'))
    this.#members.delete(memberId)
    this.#countProtocols(member.protocols, -1)
    if (member.groupInstanceId !== null) this.#staticMembers.delete(member.groupInstanceId)
    if (this.leader === memberId) this.leader = this.#members.keys().next().value ?? null
  }

  /** A member has sent another JoinGroup: what it says now counts. */
  update(
    member: GroupMember,
    request: {
      readonly protocols: readonly GroupProtocol[]
      readonly rebalanceTimeoutMs: number
      readonly sessionTimeoutMs: number
    },
    awaitingJoin: JoinReply | null,
  ): void {
    this.#countProtocols(member.protocols, -1)
    member.protocols = ownedProtocols(request.protocols)
    this.#countProtocols(member.protocols, 1)
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    this.#setAwaitingJoin(member, awaitingJoin)
  }

  /** The static member has come back under a new member id (KIP-345); requests under the old one are fenced. */
  replaceStatic(old: GroupMember, replacement: GroupMember): void {
    this.answerJoin(old, joinRefused('FENCED_INSTANCE_ID', old.memberId))
    this.answerSync(old, syncRefused('FENCED_INSTANCE_ID'))
    this.#members.delete(old.memberId)
    this.#countProtocols(old.protocols, -1)
    this.pendingSync.delete(old.memberId)
    replacement.assignment = old.assignment
    this.#members.set(replacement.memberId, replacement)
    this.#countProtocols(replacement.protocols, 1)
    this.#staticMembers.set(replacement.groupInstanceId as string, replacement.memberId)
    if (this.leader === old.memberId) this.leader = replacement.memberId
  }

  answerJoin(member: GroupMember, result: JoinResult): void {
    const reply = member.awaitingJoin
    if (reply === null) return
    member.awaitingJoin = null
    this.#awaitingJoinCount--
    reply(result)
  }

  /** Answers true when there was a SyncGroup to answer. */
  answerSync(member: GroupMember, result: SyncResult): boolean {
    const reply = member.awaitingSync
    if (reply === null) return false
    member.awaitingSync = null
    reply(result)
    return true
  }

  /** Makes sure that the leader is a member that has joined; false when none has. */
  electJoinedLeader(): boolean {
    if (this.leader === null) return false
    const leader = this.#members.get(this.leader)
    if (leader !== undefined && leader.awaitingJoin !== null) return true
    for (const member of this.#members.values()) {
      if (member.awaitingJoin === null) continue
      this.leader = member.memberId
      return true
    }
    return false
  }

  /** Can members with these protocols take part? An empty group accepts any. */
  supports(protocolType: string, protocols: readonly GroupProtocol[]): boolean {
    if (this.#state === 'Empty' || this.#members.size === 0) return protocolType !== '' && protocols.length > 0
    return (
      this.protocolType === protocolType &&
      protocols.some(({ name }) => this.#protocolSupport.get(name) === this.#members.size)
    )
  }

  /** The protocol that every member supports and most prefer; the first in the order of members where votes are equal. */
  electProtocol(): string | null {
    const candidates = new Set<string>()
    for (const [name, count] of this.#protocolSupport) if (count === this.#members.size) candidates.add(name)
    const votes = new Map<string, number>()
    let elected: string | null = null
    for (const member of this.#members.values()) {
      const vote = member.vote(candidates)
      if (vote !== null) votes.set(vote, (votes.get(vote) ?? 0) + 1)
    }
    for (const [name, count] of votes) if (elected === null || count > (votes.get(elected) ?? 0)) elected = name
    return elected
  }

  /** The join phase is over: the next generation begins, or the group is empty. */
  beginGeneration(wallMs: number): void {
    this.generationId++
    this.pendingSync.clear()
    this.hasNewMember = false
    const hasMembers = this.#members.size > 0
    this.protocolName = hasMembers ? this.electProtocol() : null
    this.computeSubscribedTopics()
    this.transition(hasMembers ? 'CompletingRebalance' : 'Empty', wallMs)
  }

  /** Sets `subscribedTopics` from what the members have said. */
  computeSubscribedTopics(): void {
    this.subscribedTopics = null
    if (this.protocolType !== 'consumer') return
    const topics = new Set<string>()
    for (const member of this.#members.values()) {
      const subscribed = subscribedTopicsOf(member.metadataOf(this.protocolName))
      if (subscribed === null) return
      for (const topic of subscribed) topics.add(topic)
    }
    this.subscribedTopics = topics
  }

  /** For OffsetDelete: a group of consumers whose subscription cannot be read counts as subscribed to everything. */
  isSubscribedTo(topic: string): boolean {
    if (this.subscribedTopics !== null) return this.subscribedTopics.has(topic)
    return this.protocolType === 'consumer'
  }

  /** What the leader is told of the members. */
  joinedMembers(): readonly JoinedMember[] {
    return [...this.#members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      metadata: member.metadataOf(this.protocolName),
    }))
  }

  #setAwaitingJoin(member: GroupMember, reply: JoinReply | null): void {
    // A client that asks again has given up its first request; that one still gets an answer, so that nothing waits for ever.
    this.answerJoin(member, joinRefused('REBALANCE_IN_PROGRESS', member.memberId))
    member.awaitingJoin = reply
    if (reply !== null) this.#awaitingJoinCount++
  }

  #countProtocols(protocols: readonly GroupProtocol[], change: 1 | -1): void {
    for (const { name } of protocols) {
      const count = (this.#protocolSupport.get(name) ?? 0) + change
      if (count > 0) this.#protocolSupport.set(name, count)
      else this.#protocolSupport.delete(name)
    }
  }
}
