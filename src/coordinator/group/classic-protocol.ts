/**
 * The classic rebalance protocol: JoinGroup 0-9, SyncGroup 0-5, Heartbeat 0-4, LeaveGroup 0-5, as Apache Kafka 4.1 behaves
 * (KIP-62, 134, 345, 394, 559, 800, 814). A pure core: it is told the moment, answers by the replies it was handed, writes and notes
 * through its port, and keeps its timers as deadlines.
 *
 * Not here: KIP-848 groups and share groups; joining a group of such a kind.
 */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { DeadlineQueue } from '../runtime/deadline-queue.ts'
import { acceptsJoin, storedGroup } from './classic-group-facts.ts'
import type { ClassicGroup } from './classic-group.ts'
import { GroupMember, noBytes } from './group-member.ts'
import type { GroupNote } from './group-notes.ts'
import { type GroupOptions, newMemberJoinTimeoutMs } from './group-options.ts'
import type { GroupRecord } from './group-records.ts'
import {
  type JoinReply,
  type JoinRequest,
  type JoinResult,
  joinRefused,
  type MemberClaim,
  type SyncReply,
  type SyncRequest,
  syncRefused,
} from './group-requests.ts'

/** A moment, told to a core with every event. */
export interface Moment {
  readonly wallMs: number
  readonly monotonicMs: number
}

/** What the shard is to the protocol. */
export interface ProtocolPort {
  readonly options: GroupOptions
  readonly deadlines: DeadlineQueue
  readonly now: Moment
  /** Appends; `settled` comes when the records are safe, or cannot be any more. */
  write(records: readonly GroupRecord[], settled: (error: KafkaErrorName | null) => void): void
  note(note: GroupNote): void
  /** Asked when a group has lost somebody: one that has left no trace in the log is forgotten. */
  considerForgetting(group: ClassicGroup): void
}

export class ClassicProtocol {
  readonly #port: ProtocolPort

  constructor(port: ProtocolPort) {
    this.#port = port
  }

  /** JoinGroup for a group that exists (it may have been made for this request). */
  join(group: ClassicGroup, request: JoinRequest, reply: JoinReply): void {
    if (group.state === 'Dead') return reply(joinRefused('COORDINATOR_NOT_AVAILABLE', request.memberId))
    if (!acceptsJoin(group, request.memberId, this.#port.options.groupSizeMax)) {
      this.#remove(group, request.memberId)
      reply(joinRefused('GROUP_MAX_SIZE_REACHED'))
      return this.#completeJoinIfAll(group)
    }
    if (!group.supports(request.protocolType, request.protocols))
      return reply(joinRefused('INCONSISTENT_GROUP_PROTOCOL', request.memberId))
    if (request.memberId === '') return this.#joinNew(group, request, reply)
    if (group.pendingMembers.has(request.memberId) && request.groupInstanceId === null)
      return this.#addAndRebalance(group, request, request.memberId, reply)
    this.#joinKnown(group, request, reply)
  }

  /**
   * The connection of a JoinGroup that waits is gone. A member that is new has not learnt its id by it, so nobody will come under
   * that id: it does not keep the others waiting. (Apache Kafka cannot see this, and waits 5 minutes.)
   */
  abandonJoin(group: ClassicGroup, reply: JoinReply): void {
    for (const member of group.members.values()) {
      if (member.awaitingJoin !== reply || !member.isNew) continue
      this.#remove(group, member.memberId)
      this.#port.note({
        kind: 'removed',
        groupId: group.groupId,
        memberId: member.memberId,
        reason: 'went while joining',
      })
      this.#completeJoinIfAll(group)
      return this.#port.considerForgetting(group)
    }
  }

  /** SyncGroup. */
  sync(group: ClassicGroup, request: SyncRequest, reply: SyncReply): void {
    const refused = this.#refuseSync(group, request)
    if (refused !== null) return reply(syncRefused(refused))
    const member = group.member(request.memberId) as GroupMember
    if (group.state === 'Stable') {
      this.#noteSynced(group, member)
      return reply({
        error: null,
        protocolType: group.protocolType,
        protocolName: group.protocolName,
        assignment: member.assignment,
      })
    }
    // A repeated SyncGroup replaces the first, which is still answered.
    group.answerSync(member, syncRefused('REBALANCE_IN_PROGRESS'))
    member.awaitingSync = reply
    this.#noteSynced(group, member)
    if (group.isLeader(request.memberId)) this.#storeAssignment(group, request)
  }

  /** Heartbeat: null when the member may go on. */
  heartbeat(group: ClassicGroup, claim: MemberClaim): KafkaErrorName | null {
    if (group.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    const member = group.validate(claim.memberId, claim.groupInstanceId)
    if (typeof member === 'string') return member
    if (claim.generationId !== group.generationId) return 'ILLEGAL_GENERATION'
    if (group.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    this.expectHeartbeat(group, member)
    return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : null
  }

  /** LeaveGroup of one member (KIP-345: an administrator names the instance only). The rebalance follows with `afterLeaving`. */
  leave(group: ClassicGroup, memberId: string, groupInstanceId: string | null): KafkaErrorName | null {
    if (memberId === '') {
      const known = groupInstanceId === null ? undefined : group.staticMemberId(groupInstanceId)
      if (known === undefined) return 'UNKNOWN_MEMBER_ID'
      this.#remove(group, known)
      return null
    }
    if (!group.pendingMembers.has(memberId)) {
      const member = group.validate(memberId, groupInstanceId)
      if (typeof member === 'string') return member
    }
    this.#remove(group, memberId)
    return null
  }

  /** Somebody has left: the others rebalance, or a join phase that waited for them is over. */
  afterLeaving(group: ClassicGroup): void {
    if (group.state === 'Stable' || group.state === 'CompletingRebalance') this.#prepare(group, 'a member has left')
    else this.#completeJoinIfAll(group)
    this.#port.considerForgetting(group)
  }

  /** The member is alive: its session runs from now. */
  expectHeartbeat(group: ClassicGroup, member: GroupMember, timeoutMs = member.sessionTimeoutMs): void {
    this.#port.deadlines.set(memberDeadline(group, member.memberId), this.#port.now.monotonicMs + timeoutMs, () =>
      this.#expire(group, member.memberId),
    )
  }

  /** After the group was replayed: its members have one session from now to report; a group that is too large shrinks. */
  resume(group: ClassicGroup): void {
    for (const member of group.members.values()) this.expectHeartbeat(group, member)
    if (group.members.size > this.#port.options.groupSizeMax)
      this.#prepare(group, 'the group is larger than group.max.size')
  }

  #joinNew(group: ClassicGroup, request: JoinRequest, reply: JoinReply): void {
    const memberId = newMemberId(request)
    if (request.groupInstanceId !== null) {
      const known = group.staticMemberId(request.groupInstanceId)
      if (known !== undefined) return this.#replaceStatic(group, group.member(known) as GroupMember, request, reply)
      return this.#addAndRebalance(group, request, memberId, reply)
    }
    if (!request.requiresMemberId) return this.#addAndRebalance(group, request, memberId, reply)
    if (group.pendingMembers.size >= this.#port.options.groupSizeMax)
      return reply(joinRefused('GROUP_MAX_SIZE_REACHED'))
    group.pendingMembers.add(memberId)
    this.#port.deadlines.set(
      memberDeadline(group, memberId),
      this.#port.now.monotonicMs + request.sessionTimeoutMs,
      () => this.#expire(group, memberId),
    )
    reply(joinRefused('MEMBER_ID_REQUIRED', memberId))
  }

  #joinKnown(group: ClassicGroup, request: JoinRequest, reply: JoinReply): void {
    const member = group.validate(request.memberId, request.groupInstanceId)
    if (typeof member === 'string') return reply(joinRefused(member, request.memberId))
    const isUnchanged = member.supportsExactly(request.protocols)
    switch (group.state) {
      case 'PreparingRebalance':
        return this.#updateAndRebalance(group, member, request, reply)
      case 'CompletingRebalance':
        // The same member with the same metadata has missed the answer to its JoinGroup: it gets it again.
        if (isUnchanged) return reply(this.#joined(group, member))
        return this.#updateAndRebalance(group, member, request, reply)
      case 'Stable':
        // The leader rejoins when something that it alone sees has changed, such as the topics' partitions.
        if (group.isLeader(member.memberId) || !isUnchanged)
          return this.#updateAndRebalance(group, member, request, reply)
        return reply(this.#joined(group, member))
      default:
        reply(joinRefused('UNKNOWN_MEMBER_ID', request.memberId))
    }
  }

  #addAndRebalance(group: ClassicGroup, request: JoinRequest, memberId: string, reply: JoinReply): void {
    const member = new GroupMember({ ...request, memberId })
    member.isNew = true
    if (group.isInitialRebalance) group.hasNewMember = true
    group.add(member, request.protocolType, reply)
    this.expectHeartbeat(group, member, newMemberJoinTimeoutMs)
    this.#prepareOrComplete(group, 'a member has joined')
  }

  #updateAndRebalance(group: ClassicGroup, member: GroupMember, request: JoinRequest, reply: JoinReply): void {
    group.update(member, request, reply)
    this.#prepareOrComplete(group, 'a member has joined again')
  }

  #replaceStatic(group: ClassicGroup, old: GroupMember, request: JoinRequest, reply: JoinReply): void {
    const leaderBefore = group.leader
    const memberId = newMemberId(request)
    const member = new GroupMember({ ...request, memberId })
    this.#port.deadlines.delete(memberDeadline(group, old.memberId))
    group.replaceStatic(old, member)
    group.update(member, request, reply)
    this.expectHeartbeat(group, member)
    this.#port.note({ kind: 'staticReplaced', groupId: group.groupId, memberId })
    if (group.state === 'CompletingRebalance') {
      // The leader may already know the old member id: its assignment would not reach the new one.
      return this.#prepare(group, 'a static member has come back')
    }
    if (group.state !== 'Stable') return this.#completeJoinIfAll(group)
    if (group.electProtocol() !== group.protocolName)
      return this.#prepare(group, 'a static member has changed its protocols')
    this.#port.write([storedGroup(group, null)], (error) => {
      if (error === null) return group.answerJoin(member, this.#rejoined(group, member, request, leaderBefore))
      if (group.member(memberId) !== member) return
      group.answerJoin(member, joinRefused(error))
      group.replaceStatic(member, old)
      this.expectHeartbeat(group, old)
    })
  }

  /**
   * A static member that comes back into a stable group causes no rebalance. To a client before version 9 the former leader id is
   * told, so that a returning leader does not take itself for one and make an assignment nobody would get.
   */
  #rejoined(group: ClassicGroup, member: GroupMember, request: JoinRequest, leaderBefore: string | null): JoinResult {
    const joined = this.#joined(group, member)
    if (!request.supportsSkippingAssignment) return { ...joined, leader: leaderBefore ?? '', members: [] }
    return { ...joined, skipAssignment: group.isLeader(member.memberId) }
  }

  #joined(group: ClassicGroup, member: GroupMember): JoinResult {
    return {
      error: null,
      memberId: member.memberId,
      generationId: group.generationId,
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      leader: group.leader ?? '',
      skipAssignment: false,
      members: group.isLeader(member.memberId) ? group.joinedMembers() : [],
    }
  }

  #prepareOrComplete(group: ClassicGroup, reason: string): void {
    if (group.state === 'PreparingRebalance') this.#completeJoinIfAll(group)
    else this.#prepare(group, reason)
  }

  /** Begins a join phase: whoever waits for an assignment is sent back to join. */
  #prepare(group: ClassicGroup, reason: string): void {
    const { options, now } = this.#port
    if (group.state === 'CompletingRebalance') this.#failAssignment(group, 'REBALANCE_IN_PROGRESS')
    group.pendingSync.clear()
    this.#port.deadlines.delete(syncDeadline(group))
    const isInitial = group.state === 'Empty'
    group.transition('PreparingRebalance', now.wallMs)
    this.#port.note({ kind: 'preparing', groupId: group.groupId, generationId: group.generationId, reason })
    if (isInitial) {
      const delayMs = options.initialRebalanceDelayMs
      return this.#awaitFirstMembers(group, delayMs, Math.max(group.rebalanceTimeoutMs - delayMs, 0))
    }
    if (group.hasAllJoined) this.#completeJoin(group)
    else this.#awaitMembers(group)
  }

  #awaitMembers(group: ClassicGroup): void {
    this.#port.deadlines.set(joinDeadline(group), this.#port.now.monotonicMs + group.rebalanceTimeoutMs, () =>
      this.#completeJoin(group),
    )
  }

  /** The delay of a new group: extended while members keep coming, up to the rebalance timeout. */
  #awaitFirstMembers(group: ClassicGroup, delayMs: number, remainingMs: number): void {
    this.#port.deadlines.set(joinDeadline(group), this.#port.now.monotonicMs + delayMs, () => {
      if (!group.hasNewMember || remainingMs === 0) return this.#completeJoin(group)
      group.hasNewMember = false
      const nextMs = Math.min(this.#port.options.initialRebalanceDelayMs, remainingMs)
      this.#awaitFirstMembers(group, nextMs, Math.max(remainingMs - delayMs, 0))
    })
  }

  #completeJoinIfAll(group: ClassicGroup): void {
    if (group.state === 'PreparingRebalance' && !group.isInitialRebalance && group.hasAllJoined)
      this.#completeJoin(group)
  }

  /** The join phase is over, because all have joined or because its time is up. */
  #completeJoin(group: ClassicGroup): void {
    const { deadlines, now } = this.#port
    deadlines.delete(joinDeadline(group))
    if (group.state !== 'PreparingRebalance') return
    for (const member of [...group.members.values()]) {
      if (member.awaitingJoin !== null || member.groupInstanceId !== null) continue
      this.#remove(group, member.memberId)
      this.#port.note({ kind: 'removed', groupId: group.groupId, memberId: member.memberId, reason: 'did not rejoin' })
    }
    // Only static members are left and none has come: wait for one, or for their sessions to end.
    if (group.members.size > 0 && !group.electJoinedLeader()) return this.#awaitMembers(group)
    group.beginGeneration(now.wallMs)
    if (group.members.size === 0) return this.#storeEmpty(group)
    for (const member of group.members.values()) {
      group.answerJoin(member, this.#joined(group, member))
      this.expectHeartbeat(group, member)
      member.isNew = false
      group.pendingSync.add(member.memberId)
    }
    const { generationId } = group
    deadlines.set(syncDeadline(group), now.monotonicMs + group.rebalanceTimeoutMs, () =>
      this.#expirePendingSync(group, generationId),
    )
  }

  #storeEmpty(group: ClassicGroup): void {
    this.#port.note({ kind: 'empty', groupId: group.groupId, generationId: group.generationId })
    // A group that never was stable and has no offsets leaves no trace.
    if (group.isWritten || !group.offsets.isUntouched) this.#port.write([storedGroup(group, null)], () => {})
    else this.#port.considerForgetting(group)
  }

  #refuseSync(group: ClassicGroup, request: SyncRequest): KafkaErrorName | null {
    if (group.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
    if (group.state === 'Empty') return 'UNKNOWN_MEMBER_ID'
    const member = group.validate(request.memberId, request.groupInstanceId)
    if (typeof member === 'string') return member
    if (request.generationId !== group.generationId) return 'ILLEGAL_GENERATION'
    const { protocolType, protocolName } = request
    if (
      (protocolType !== null && protocolType !== group.protocolType) ||
      (protocolName !== null && protocolName !== group.protocolName)
    )
      return 'INCONSISTENT_GROUP_PROTOCOL'
    return group.state === 'PreparingRebalance' ? 'REBALANCE_IN_PROGRESS' : null
  }

  #noteSynced(group: ClassicGroup, member: GroupMember): void {
    group.pendingSync.delete(member.memberId)
    if (group.pendingSync.size === 0) this.#port.deadlines.delete(syncDeadline(group))
  }

  /** The leader has decided: its assignment counts once it is safe. */
  #storeAssignment(group: ClassicGroup, request: SyncRequest): void {
    const assignments = new Map(
      request.assignments.map(({ memberId, assignment }) => [memberId, new Uint8Array(assignment)] as const),
    )
    const { generationId } = group
    this.#port.write([storedGroup(group, assignments)], (error) => {
      // While the record was on its way somebody may have joined: then there is another join phase, and this is history.
      if (group.state !== 'CompletingRebalance' || group.generationId !== generationId) return
      if (error !== null) {
        this.#failAssignment(group, error)
        return this.#prepare(group, `the assignment could not be stored: ${error}`)
      }
      for (const member of group.members.values()) member.assignment = assignments.get(member.memberId) ?? noBytes
      this.#answerSyncs(group, null)
      group.transition('Stable', this.#port.now.wallMs)
      this.#port.note({ kind: 'stable', groupId: group.groupId, generationId, members: group.members.size })
    })
  }

  #failAssignment(group: ClassicGroup, error: KafkaErrorName): void {
    for (const member of group.members.values()) member.assignment = noBytes
    this.#answerSyncs(group, error)
  }

  #answerSyncs(group: ClassicGroup, error: KafkaErrorName | null): void {
    for (const member of group.members.values()) {
      const result =
        error === null
          ? {
              error,
              protocolType: group.protocolType,
              protocolName: group.protocolName,
              assignment: member.assignment,
            }
          : syncRefused(error)
      // A session that ended while the member waited was excused and has no deadline any more: it begins anew.
      if (group.answerSync(member, result)) this.expectHeartbeat(group, member)
    }
  }

  #expirePendingSync(group: ClassicGroup, generationId: number): void {
    if (group.generationId !== generationId) return
    if (group.state !== 'CompletingRebalance' && group.state !== 'Stable') return
    if (group.pendingSync.size === 0) return
    for (const memberId of [...group.pendingSync]) {
      this.#remove(group, memberId)
      this.#port.note({ kind: 'removed', groupId: group.groupId, memberId, reason: 'did not ask for its assignment' })
    }
    this.#prepare(group, 'members did not ask for their assignment')
  }

  /** A session, or the wait of a new or pending member, is over. */
  #expire(group: ClassicGroup, memberId: string): void {
    if (group.state === 'Dead') return
    const member = group.member(memberId)
    if (member === undefined && !group.pendingMembers.has(memberId)) return
    if (member?.isExcusedFromHeartbeat === true) return
    this.#remove(group, memberId)
    if (member !== undefined)
      this.#port.note({ kind: 'removed', groupId: group.groupId, memberId, reason: 'its session has ended' })
    if (member !== undefined && (group.state === 'Stable' || group.state === 'CompletingRebalance'))
      return this.#prepare(group, 'the session of a member has ended')
    if (group.state === 'PreparingRebalance' && group.hasAllJoined) this.#completeJoin(group)
    else this.#port.considerForgetting(group)
  }

  #remove(group: ClassicGroup, memberId: string): void {
    group.remove(memberId)
    this.#port.deadlines.delete(memberDeadline(group, memberId))
  }
}

/** Kafka's form: what the client calls itself, and something unique. */
function newMemberId(request: JoinRequest): string {
  return `${request.groupInstanceId ?? request.clientId}-${request.uniqueText}`
}

// A group id may hold any character: its length keeps the names of two groups apart.
function memberDeadline(group: ClassicGroup, memberId: string): string {
  return `member ${group.groupId.length} ${group.groupId} ${memberId}`
}

function joinDeadline(group: ClassicGroup): string {
  return `join ${group.groupId}`
}

function syncDeadline(group: ClassicGroup): string {
  return `sync ${group.groupId}`
}
