/** Rights of the group APIs. */
import type { DeleteGroupsRequest, DeleteGroupsResponseInput } from '../../../protocol/kafka/messages/delete-groups.ts'
import type {
  DescribeGroupsRequest,
  DescribeGroupsResponseInput,
} from '../../../protocol/kafka/messages/describe-groups.ts'
import type {
  FindCoordinatorRequest,
  FindCoordinatorResponseInput,
} from '../../../protocol/kafka/messages/find-coordinator.ts'
import type { ListGroupsResponseInput } from '../../../protocol/kafka/messages/list-groups.ts'
import type { OffsetCommitRequest, OffsetCommitResponseInput } from '../../../protocol/kafka/messages/offset-commit.ts'
import type { OffsetDeleteRequest, OffsetDeleteResponseInput } from '../../../protocol/kafka/messages/offset-delete.ts'
import type { OffsetFetchRequest, OffsetFetchResponseInput } from '../../../protocol/kafka/messages/offset-fetch.ts'
import { aclOperation, aclResource } from '../../../security/acl.ts'
import {
  allowedBits,
  type Guard,
  type GuardContext,
  type GuardEntry,
  groupDenied,
  guardEntry,
  mayGroup,
  mayTopic,
  refusedTopics,
  seesCluster,
  seesGroup,
  open,
  seesTopic,
  split,
  topicDenied,
} from './guard.ts'

const { read, describe, delete: remove } = aclOperation
const groupKeyType = 0
const coordinatorKeysVersionMin = 4

/** Their rows of the table. */
export function groupGuards(): readonly GuardEntry[] {
  return [
    guardEntry(8, 'GROUP READ and TOPIC READ', offsetCommit),
    guardEntry(9, 'GROUP DESCRIBE and TOPIC DESCRIBE', offsetFetch),
    guardEntry(10, 'GROUP DESCRIBE', findCoordinator),
    guardEntry(11, 'GROUP READ', member),
    guardEntry(12, 'GROUP READ', member),
    guardEntry(13, 'GROUP READ', member),
    guardEntry(14, 'GROUP READ', member),
    guardEntry(15, 'GROUP DESCRIBE', describeGroups),
    guardEntry(16, 'CLUSTER DESCRIBE; without it the groups with GROUP DESCRIBE', listGroups),
    guardEntry(42, 'GROUP DELETE', deleteGroups),
    guardEntry(47, 'GROUP DELETE and TOPIC READ', offsetDelete),
    // Refused for everybody.
    guardEntry(68, 'nothing', open),
  ]
}

/** JoinGroup, SyncGroup, Heartbeat, LeaveGroup. */
const member: Guard<{ readonly groupId: string }, { readonly errorCode: number }> = (request, context, next) =>
  mayGroup(context, read, request.groupId) ? next(request) : { errorCode: groupDenied }

const findCoordinator: Guard<FindCoordinatorRequest, FindCoordinatorResponseInput> = async (request, context, next) => {
  // The other kinds of coordinators are refused by the handler.
  const may = (key: string): boolean => request.keyType !== groupKeyType || mayGroup(context, describe, key)
  const refused = { nodeId: -1, host: '', port: -1, errorCode: groupDenied, errorMessage: 'Not authorized.' }
  if (context.request.apiVersion < coordinatorKeysVersionMin) return may(request.key) ? next(request) : refused
  const { allowed, denied } = split(request.coordinatorKeys, may)
  const answer = allowed.length === 0 ? null : await next({ ...request, coordinatorKeys: allowed })
  return { coordinators: [...(answer?.coordinators ?? []), ...denied.map((key) => ({ key, ...refused }))] }
}

const offsetCommit: Guard<OffsetCommitRequest, OffsetCommitResponseInput> = async (request, context, next) => {
  if (!mayGroup(context, read, request.groupId)) return { topics: refusedTopics(request.topics, groupDenied) }
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, read, name))
  if (denied.length === 0) return next(request)
  const answer = allowed.length === 0 ? null : await next({ ...request, topics: allowed })
  return { topics: [...(answer?.topics ?? []), ...refusedTopics(denied, topicDenied)] }
}

type FetchedGroup = NonNullable<OffsetFetchResponseInput['groups']>[number]
type AskedTopics = OffsetFetchRequest['topics']
const groupsVersionMin = 8
const groupErrorVersionMin = 2

const offsetFetch: Guard<OffsetFetchRequest, OffsetFetchResponseInput> = async (request, context, next) => {
  const { apiVersion } = context.request
  if (apiVersion < groupsVersionMin) {
    if (mayGroup(context, describe, request.groupId)) {
      const { allowed, refused } = splitAsked(request.topics, context, topicDenied)
      const answer = await next({ ...request, topics: allowed })
      return { ...answer, topics: [...visible(answer?.topics, context), ...refused] }
    }
    if (apiVersion >= groupErrorVersionMin) return { errorCode: groupDenied }
    return { topics: (request.topics ?? []).map((topic) => refusedTopic(topic, groupDenied)) }
  }
  const { allowed, denied } = split(request.groups, ({ groupId }) => mayGroup(context, describe, groupId))
  const asked = allowed.map((group) => ({ group, ...splitAsked(group.topics, context, topicDenied) }))
  const groups = asked.map(({ group, allowed: topics }) => ({ ...group, topics }))
  const answer = await next({ ...request, groups })
  const fetched = (answer?.groups ?? []).map(
    (group, at): FetchedGroup => ({
      ...group,
      topics: [...visible(group.topics, context), ...(group.errorCode ? [] : (asked[at]?.refused ?? []))],
    }),
  )
  return { ...answer, groups: [...fetched, ...denied.map(({ groupId }) => ({ groupId, errorCode: groupDenied }))] }
}

function splitAsked(topics: AskedTopics, context: GuardContext, errorCode: number) {
  if (topics === null) return { allowed: null, refused: [] }
  const { allowed, denied } = split(topics, ({ name }) => mayTopic(context, describe, name))
  return { allowed, refused: denied.map((topic) => refusedTopic(topic, errorCode)) }
}

function refusedTopic({ name, partitionIndexes }: NonNullable<AskedTopics>[number], errorCode: number) {
  const nothing = { committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode }
  return { name, partitions: partitionIndexes.map((partitionIndex) => ({ partitionIndex, ...nothing })) }
}

/** Where all topics were asked for, those that may not be seen are left out. */
function visible<T extends { readonly name?: string }>(topics: readonly T[] | undefined, context: GuardContext): T[] {
  return (topics ?? []).filter(({ name }) => seesTopic(context, describe, name ?? ''))
}

const describeGroups: Guard<DescribeGroupsRequest, DescribeGroupsResponseInput> = async (request, context, next) => {
  const { allowed, denied } = split(request.groups, (groupId) => mayGroup(context, describe, groupId))
  const answer = await next({ ...request, groups: allowed })
  const groups = (answer?.groups ?? []).map((group) => ({
    ...group,
    ...(request.includeAuthorizedOperations && !group.errorCode
      ? {
          authorizedOperations: allowedBits(context, {
            type: aclResource.group,
            name: group.groupId ?? '',
            operations: group.authorizedOperations ?? 0,
          }),
        }
      : {}),
  }))
  return { ...answer, groups: [...groups, ...denied.map((groupId) => ({ groupId, errorCode: groupDenied }))] }
}

const listGroups: Guard<unknown, ListGroupsResponseInput> = async (request, context, next) => {
  const answer = await next(request)
  if (answer === null || seesCluster(context, describe)) return answer
  return {
    ...answer,
    groups: (answer.groups ?? []).filter(({ groupId }) => seesGroup(context, describe, groupId ?? '')),
  }
}

const deleteGroups: Guard<DeleteGroupsRequest, DeleteGroupsResponseInput> = async (request, context, next) => {
  const { allowed, denied } = split(request.groupsNames, (groupId) => mayGroup(context, remove, groupId))
  const answer = await next({ ...request, groupsNames: allowed })
  const refused = denied.map((groupId) => ({ groupId, errorCode: groupDenied }))
  return { ...answer, results: [...(answer?.results ?? []), ...refused] }
}

const offsetDelete: Guard<OffsetDeleteRequest, OffsetDeleteResponseInput> = async (request, context, next) => {
  if (!mayGroup(context, remove, request.groupId)) return { errorCode: groupDenied }
  const { allowed, denied } = split(request.topics, ({ name }) => mayTopic(context, read, name))
  const answer = await next({ ...request, topics: allowed })
  if (answer?.errorCode) return answer
  const refused = refusedTopics(denied, topicDenied)
  return { ...answer, topics: [...(answer?.topics ?? []), ...refused] }
}
