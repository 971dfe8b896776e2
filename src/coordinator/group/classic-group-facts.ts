/** Views of a classic group: may a member join it, what its record says, what an administrator is told. */
import type { ClassicGroup } from './classic-group.ts'
import { noBytes } from './group-member.ts'
import type { GroupRecord, StoredMember } from './group-records.ts'
import type { DescribedGroup } from './group-requests.ts'

/**
 * The limit on members. In the join phase those who wait count, not those who belong: a group that has become too large loses the
 * last to come back.
 */
export function acceptsJoin(group: ClassicGroup, memberId: string, sizeMax: number): boolean {
  const member = group.member(memberId)
  switch (group.state) {
    case 'PreparingRebalance':
      return (member !== undefined && member.awaitingJoin !== null) || group.awaitingJoinCount < sizeMax
    case 'CompletingRebalance':
    case 'Stable':
      return member !== undefined || group.members.size < sizeMax
    default:
      return true
  }
}

/** The record of the group as it is, with these assignments, or with those that its members have. */
export function storedGroup(
  group: ClassicGroup,
  assignments: ReadonlyMap<string, Uint8Array> | null,
): GroupRecord & { readonly kind: 'group' } {
  const members: StoredMember[] = [...group.members.values()].map((member) => ({
    memberId: member.memberId,
    groupInstanceId: member.groupInstanceId,
    clientId: member.clientId,
    clientHost: member.clientHost,
    rebalanceTimeoutMs: member.rebalanceTimeoutMs,
    sessionTimeoutMs: member.sessionTimeoutMs,
    subscription: member.metadataOf(group.protocolName),
    assignment: (assignments === null ? member.assignment : assignments.get(member.memberId)) ?? noBytes,
  }))
  return {
    kind: 'group',
    groupId: group.groupId,
    stored: {
      generationId: group.generationId,
      protocolType: group.protocolType,
      protocolName: group.protocolName,
      leader: group.leader,
      stateTimestampMs: group.stateTimestampMs,
      members,
    },
  }
}

/** DescribeGroups: subscriptions and assignments are told of a stable group only. */
export function describeGroup(group: ClassicGroup): DescribedGroup {
  const isStable = group.state === 'Stable'
  return {
    groupId: group.groupId,
    state: group.state,
    protocolType: group.protocolType ?? '',
    protocol: isStable ? (group.protocolName ?? '') : '',
    members: [...group.members.values()].map((member) => ({
      memberId: member.memberId,
      groupInstanceId: member.groupInstanceId,
      clientId: member.clientId,
      clientHost: member.clientHost,
      metadata: isStable ? member.metadataOf(group.protocolName) : noBytes,
      assignment: isStable ? member.assignment : noBytes,
    })),
  }
}
