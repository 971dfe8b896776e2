/** The handlers of the group APIs: they translate between the wire and the group coordinator, and decide nothing. */
import type { GroupCoordinator } from '../../../coordinator/group/group-coordinator.ts'
import { errorCode, type KafkaErrorName } from '../../../protocol/kafka/error-codes.ts'
import type {
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponseInput,
} from '../../../protocol/kafka/messages/consumer-group-heartbeat.ts'
import type { DeleteGroupsRequest, DeleteGroupsResponseInput } from '../../../protocol/kafka/messages/delete-groups.ts'
import type {
  DescribeGroupsRequest,
  DescribeGroupsResponseInput,
} from '../../../protocol/kafka/messages/describe-groups.ts'
import type {
  FindCoordinatorRequest,
  FindCoordinatorResponseInput,
} from '../../../protocol/kafka/messages/find-coordinator.ts'
import type { HeartbeatRequest, HeartbeatResponseInput } from '../../../protocol/kafka/messages/heartbeat.ts'
import type { JoinGroupRequest, JoinGroupResponseInput } from '../../../protocol/kafka/messages/join-group.ts'
import type { LeaveGroupRequest, LeaveGroupResponseInput } from '../../../protocol/kafka/messages/leave-group.ts'
import type { ListGroupsRequest, ListGroupsResponseInput } from '../../../protocol/kafka/messages/list-groups.ts'
import type { SyncGroupRequest, SyncGroupResponseInput } from '../../../protocol/kafka/messages/sync-group.ts'
import type { HandlerEntry, KafkaHandler, RequestContext } from '../handler.ts'
import { codeOf } from './error-code-of.ts'
import { offsetHandlers } from './offset-handlers.ts'

/** What the handlers must know beside the coordinator. */
export interface GroupHandlerFacts {
  readonly nodeId: number
  /** Partitions of a topic; undefined when there is no such topic. Commits for others are refused. */
  readonly partitionCountOf: (topic: string) => number | undefined
}

/** FindCoordinator, JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups, DeleteGroups, and those of offsets. */
export function groupHandlers(coordinator: GroupCoordinator, facts: GroupHandlerFacts): readonly HandlerEntry[] {
  return [
    [10, findCoordinator(coordinator, facts.nodeId)],
    [11, joinGroup(coordinator)],
    [12, heartbeat(coordinator)],
    [13, leaveGroup(coordinator)],
    [14, syncGroup(coordinator)],
    [15, describeGroups(coordinator)],
    [16, listGroups(coordinator)],
    [42, deleteGroups(coordinator)],
    [68, consumerGroupHeartbeat],
    ...offsetHandlers(coordinator, facts.partitionCountOf),
  ]
}

const groupKeyType = 0
const transactionKeyType = 1
/** From here on a request may name several keys (KIP-699). */
const coordinatorKeysVersionMin = 4

/**
 * FindCoordinator 0-6: this node, for groups. The topic of the coordinator is made at the first question, and the answer waits for
 * it. Share groups are refused, and transactional ids with the one error that every client takes for final (as by InitProducerId).
 */
function findCoordinator(
  coordinator: GroupCoordinator,
  nodeId: number,
): KafkaHandler<FindCoordinatorRequest, FindCoordinatorResponseInput> {
  return async (request, context) => {
    const find = async (key: string): Promise<FoundCoordinator> => {
      if (request.keyType === transactionKeyType)
        return notFound(key, 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', 'Transactions are not served by this broker.')
      if (request.keyType !== groupKeyType)
        return notFound(key, 'INVALID_REQUEST', 'Share groups are not served by this broker.')
      const error = await coordinator.ensureReady(key)
      if (error !== null && error !== 'COORDINATOR_LOAD_IN_PROGRESS')
        return notFound(key, error, 'The group coordinator is not available.')
      return { key, nodeId, ...context.advertised, errorCode: 0, errorMessage: null }
    }
    if (context.apiVersion >= coordinatorKeysVersionMin)
      return { coordinators: await Promise.all(request.coordinatorKeys.map(find)) }
    const { key: _, ...found } = await find(request.key)
    return found
  }
}

interface FoundCoordinator {
  readonly key: string
  readonly nodeId: number
  readonly host: string
  readonly port: number
  readonly errorCode: number
  readonly errorMessage: string | null
}

function notFound(key: string, error: KafkaErrorName, errorMessage: string): FoundCoordinator {
  return { key, nodeId: -1, host: '', port: -1, errorCode: errorCode(error), errorMessage }
}

/** From here on a member joins with an id that it was given before (KIP-394). */
const requiresMemberIdVersionMin = 4
const nullableProtocolNameVersionMin = 7
const skipAssignmentVersionMin = 9

/** JoinGroup 0-9. */
function joinGroup(coordinator: GroupCoordinator): KafkaHandler<JoinGroupRequest, JoinGroupResponseInput> {
  return async (request, context) => {
    const asked = {
      ...clientOf(context),
      groupId: request.groupId,
      memberId: request.memberId,
      groupInstanceId: request.groupInstanceId,
      sessionTimeoutMs: request.sessionTimeoutMs,
      rebalanceTimeoutMs: request.rebalanceTimeoutMs === -1 ? request.sessionTimeoutMs : request.rebalanceTimeoutMs,
      protocolType: request.protocolType,
      protocols: request.protocols,
      requiresMemberId: context.apiVersion >= requiresMemberIdVersionMin,
      supportsSkippingAssignment: context.apiVersion >= skipAssignmentVersionMin,
    }
    const { error, ...joined } = await coordinator.join(asked, (callback) => context.onClose(callback))
    const protocolName = joined.protocolName ?? (context.apiVersion < nullableProtocolNameVersionMin ? '' : null)
    return { ...joined, protocolName, errorCode: codeOf(error) }
  }
}

/** SyncGroup 0-5. */
function syncGroup(coordinator: GroupCoordinator): KafkaHandler<SyncGroupRequest, SyncGroupResponseInput> {
  return async (request) => {
    const { error, ...synced } = await coordinator.sync(request)
    return { ...synced, errorCode: codeOf(error) }
  }
}

/** Heartbeat 0-4. */
function heartbeat(coordinator: GroupCoordinator): KafkaHandler<HeartbeatRequest, HeartbeatResponseInput> {
  return (request) => ({ errorCode: codeOf(coordinator.heartbeat(request)) })
}

/** From here on a request may name several members (KIP-345). */
const leavingMembersVersionMin = 3

/** LeaveGroup 0-5. */
function leaveGroup(coordinator: GroupCoordinator): KafkaHandler<LeaveGroupRequest, LeaveGroupResponseInput> {
  return (request, { apiVersion }) => {
    const namesMembers = apiVersion >= leavingMembersVersionMin
    const leaving = namesMembers ? request.members : [{ memberId: request.memberId, groupInstanceId: null }]
    const { error, members } = coordinator.leave(request.groupId, leaving)
    if (!namesMembers) return { errorCode: codeOf(error ?? members[0]?.error ?? null) }
    return {
      errorCode: codeOf(error),
      members: members.map((member) => ({
        memberId: member.memberId,
        groupInstanceId: member.groupInstanceId,
        errorCode: codeOf(member.error),
      })),
    }
  }
}

/** From here on an unknown group is an error; before it is a dead one (KIP-1043). */
const groupIdNotFoundVersionMin = 6
/** READ, DELETE, DESCRIBE, DESCRIBE_CONFIGS and ALTER_CONFIGS, as bits of their ACL operation codes: all that can be done to a group. */
const groupOperations = (1 << 3) | (1 << 6) | (1 << 8) | (1 << 10) | (1 << 11)
const operationsNotAsked = -(2 ** 31)

/** DescribeGroups 0-6. */
function describeGroups(
  coordinator: GroupCoordinator,
): KafkaHandler<DescribeGroupsRequest, DescribeGroupsResponseInput> {
  return (request, { apiVersion }) => {
    const authorizedOperations = request.includeAuthorizedOperations ? groupOperations : operationsNotAsked
    return {
      groups: [...new Set(request.groups)].map((groupId) => {
        const group = coordinator.describe(groupId)
        if (typeof group === 'string') return { groupId, errorCode: errorCode(group) }
        if (group === null) {
          if (apiVersion < groupIdNotFoundVersionMin) return { groupId, groupState: 'Dead', authorizedOperations }
          const errorMessage = `Group ${groupId} not found.`
          return { groupId, groupState: 'Dead', errorCode: errorCode('GROUP_ID_NOT_FOUND'), errorMessage }
        }
        return {
          groupId,
          groupState: group.state,
          protocolType: group.protocolType,
          protocolData: group.protocol,
          authorizedOperations,
          members: group.members.map((member) => ({
            memberId: member.memberId,
            groupInstanceId: member.groupInstanceId,
            clientId: member.clientId,
            clientHost: member.clientHost,
            memberMetadata: member.metadata,
            memberAssignment: member.assignment,
          })),
        }
      }),
    }
  }
}

const groupType = 'classic'

/** ListGroups 0-5. Every group is a classic one. */
function listGroups(coordinator: GroupCoordinator): KafkaHandler<ListGroupsRequest, ListGroupsResponseInput> {
  return (request) => {
    const states = new Set(request.statesFilter.map((state) => state.toLowerCase()))
    const types = new Set(request.typesFilter.map((type) => type.toLowerCase()))
    const { error, groups } = coordinator.list()
    const isWanted = (state: string): boolean =>
      (states.size === 0 || states.has(state.toLowerCase())) && (types.size === 0 || types.has(groupType))
    return {
      errorCode: codeOf(error),
      groups: groups
        .filter(({ state }) => isWanted(state))
        .map(({ groupId, protocolType, state }) => ({ groupId, protocolType, groupState: state, groupType })),
    }
  }
}

/** DeleteGroups 0-2. */
function deleteGroups(coordinator: GroupCoordinator): KafkaHandler<DeleteGroupsRequest, DeleteGroupsResponseInput> {
  return async (request) => ({
    results: await Promise.all(
      request.groupsNames.map(async (groupId) => ({
        groupId,
        errorCode: codeOf(await coordinator.deleteGroup(groupId)),
      })),
    ),
  })
}

/**
 * ConsumerGroupHeartbeat 0-1: refused, as by an Apache Kafka that has these groups (KIP-848) switched off. Announced all the same: a librdkafka that
 * does not find it asks for its coordinator for ever and tells nobody, franz-go goes back to classic groups by this answer.
 */
const consumerGroupHeartbeat: KafkaHandler<
  ConsumerGroupHeartbeatRequest,
  ConsumerGroupHeartbeatResponseInput
> = () => ({
  errorCode: errorCode('UNSUPPORTED_VERSION'),
  errorMessage: 'Only classic groups are served by this broker (group.protocol=classic).',
})

/** Kafka writes an address with a slash before it. */
function clientOf(context: RequestContext): { readonly clientId: string; readonly clientHost: string } {
  return { clientId: context.clientId ?? '', clientHost: `/${context.clientHost}` }
}
