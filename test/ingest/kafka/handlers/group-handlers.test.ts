import { describe, expect, test } from 'vitest'
import { GroupCoordinator } from '../../../../src/coordinator/group/group-coordinator.ts'
import { groupOptionDefaults } from '../../../../src/coordinator/group/group-options.ts'
import { groupHandlers } from '../../../../src/ingest/kafka/handlers/group-handlers.ts'
import {
  consumerGroupHeartbeatApi,
  deleteGroupsApi,
  describeGroupsApi,
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  type KafkaApi,
  leaveGroupApi,
  listGroupsApi,
  offsetCommitApi,
  offsetDeleteApi,
  offsetFetchApi,
  syncGroupApi,
} from '../../../../src/protocol/kafka/apis.ts'
import { errorCode } from '../../../../src/protocol/kafka/error-codes.ts'
import { decodeResponse, encodeRequest } from '../../../../src/protocol/kafka/header.ts'
import type { InferInput, InferMessage, MessageSchema } from '../../../../src/protocol/kafka/schema.ts'
import { MemoryLog } from '../../../coordinator/memory-log.ts'
import { bytesOf, subscription } from '../../../coordinator/group/shard-harness.ts'
import { openDoor, type RawClient } from '../door-harness.ts'

/** A door with a coordinator behind it, and a client that speaks any version. Topic `t` has 3 partitions. */
async function openGroups() {
  const { world, connect } = await openDoor(
    async (server, shared) => {
      const log = new MemoryLog(server.clock)
      const options = { ...groupOptionDefaults, initialRebalanceDelayMs: 0 }
      const createTopic = async (): Promise<void> => log.create(8)
      const coordinator = await shared.settle(GroupCoordinator.open({ ...server, log, createTopic, options }))
      return groupHandlers(coordinator, { nodeId: 5, partitionCountOf: (topic) => (topic === 't' ? 3 : undefined) })
    },
    {},
    { host: 'edge.local', port: 19092 },
  )
  const client = await connect()
  const ask = async <Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    version: number,
    request: InferInput<Q>,
  ): Promise<InferMessage<R>> => {
    const before = client.frames.length
    client.send(...encodeRequest(api, version, before, 'tester', request))
    await world.run(() => client.frames.length > before || client.isClosed)
    return lastAnswer(client, api, version)
  }
  return { ask }
}

function lastAnswer<R extends MessageSchema>(
  client: RawClient,
  api: KafkaApi<MessageSchema, R>,
  version: number,
): InferMessage<R> {
  const frame = client.frames.at(-1)
  if (frame === undefined || client.isClosed) throw new Error(`${api.name} version ${version} got no answer`)
  return decodeResponse(api, version, frame).value
}

const versionsOf = (api: KafkaApi): readonly number[] =>
  Array.from({ length: api.maxVersion - api.minVersion + 1 }, (_, at) => api.minVersion + at)

/** The version of an API that goes with the n-th version of another. */
const clamp = (api: KafkaApi, version: number): number => Math.min(Math.max(version, api.minVersion), api.maxVersion)

const joinRequest = { groupId: 'g', sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 20_000, protocolType: 'consumer' }
const protocols = [{ name: 'range', metadata: subscription('t') }]

describe('a member lives its whole life', () => {
  test.each(versionsOf(joinGroupApi))('JoinGroup version %i and the versions of its time', async (version) => {
    const { ask } = await openGroups()
    let joined = await ask(joinGroupApi, version, { ...joinRequest, protocols })
    if (version >= 4) {
      expect(joined.errorCode).toBe(errorCode('MEMBER_ID_REQUIRED'))
      joined = await ask(joinGroupApi, version, { ...joinRequest, protocols, memberId: joined.memberId })
    }
    const { memberId } = joined
    expect(memberId).toMatch(/^tester-[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(joined).toMatchObject({ errorCode: 0, generationId: 1, protocolName: 'range', leader: memberId })
    expect(joined.members.map((member) => member.memberId)).toEqual([memberId])
    expect(joined.protocolType).toBe(version >= 7 ? 'consumer' : null)

    const claim = { groupId: 'g', generationId: 1, memberId }
    const assignment = bytesOf('all')
    const synced = await ask(syncGroupApi, clamp(syncGroupApi, version), {
      ...claim,
      assignments: [{ memberId, assignment }],
    })
    expect([synced.errorCode, Buffer.from(synced.assignment).toString()]).toEqual([0, 'all'])
    expect((await ask(heartbeatApi, clamp(heartbeatApi, version), claim)).errorCode).toBe(0)

    const commitVersion = clamp(offsetCommitApi, version)
    const partitions = [
      { partitionIndex: 1, committedOffset: 77, committedMetadata: 'why' },
      { partitionIndex: 3, committedOffset: 1, committedMetadata: null },
    ]
    const committed = await ask(offsetCommitApi, commitVersion, {
      groupId: 'g',
      generationIdOrMemberEpoch: 1,
      memberId,
      topics: [
        { name: 't', partitions },
        { name: 'absent', partitions },
      ],
    })
    const unknown = errorCode('UNKNOWN_TOPIC_OR_PARTITION')
    expect(committed.topics.map((topic) => topic.partitions.map((partition) => partition.errorCode))).toEqual([
      [0, unknown],
      [unknown, unknown],
    ])

    const described = await ask(describeGroupsApi, clamp(describeGroupsApi, version), { groups: ['g'] })
    expect(described.groups[0]).toMatchObject({ errorCode: 0, groupState: 'Stable', protocolData: 'range' })
    expect(described.groups[0]?.members[0]).toMatchObject({ memberId, clientId: 'tester', clientHost: '/10.0.0.2' })

    const leaveVersion = clamp(leaveGroupApi, version)
    const left = await ask(
      leaveGroupApi,
      leaveVersion,
      leaveVersion < 3 ? { groupId: 'g', memberId } : { groupId: 'g', members: [{ memberId }] },
    )
    expect(left.errorCode).toBe(0)
    expect(left.members.map((member) => member.errorCode)).toEqual(leaveVersion < 3 ? [] : [0])
    const gone = await ask(heartbeatApi, clamp(heartbeatApi, version), claim)
    expect(gone.errorCode).toBe(errorCode('UNKNOWN_MEMBER_ID'))
  })
})

describe('committed offsets', () => {
  test.each(versionsOf(offsetFetchApi))('come back as they went, by OffsetFetch version %i', async (version) => {
    const { ask } = await openGroups()
    await ask(offsetCommitApi, 6, {
      groupId: 'simple',
      topics: [
        {
          name: 't',
          partitions: [
            { partitionIndex: 2, committedOffset: 2 ** 50, committedLeaderEpoch: 3, committedMetadata: 'ü' },
          ],
        },
      ],
    })
    const topics = [{ name: 't', partitionIndexes: [2, 0] }]
    const answer = async (wanted: typeof topics | null) => {
      const single = { groupId: 'simple', topics: wanted }
      const request = version >= 8 ? { groups: [single] } : single
      const fetched = await ask(offsetFetchApi, version, request)
      expect(fetched.errorCode).toBe(0)
      return (version >= 8 ? fetched.groups[0]?.topics : fetched.topics) ?? []
    }
    const committedLeaderEpoch = version >= 5 ? 3 : -1
    const found = { partitionIndex: 2, committedOffset: 2 ** 50, committedLeaderEpoch, metadata: 'ü', errorCode: 0 }
    const missing = { partitionIndex: 0, committedOffset: -1, committedLeaderEpoch: -1, metadata: '', errorCode: 0 }
    expect(await answer(topics)).toMatchObject([{ name: 't', partitions: [found, missing] }])
    if (version >= 2) expect(await answer(null)).toMatchObject([{ name: 't', partitions: [found] }])
  })

  test('are deleted one by one, and unknown partitions are told', async () => {
    const { ask } = await openGroups()
    const topics = [{ name: 't', partitions: [{ partitionIndex: 9 }, { partitionIndex: 0 }] }]
    expect((await ask(offsetDeleteApi, 0, { groupId: 'nobody', topics })).errorCode).toBe(
      errorCode('GROUP_ID_NOT_FOUND'),
    )
    await ask(offsetCommitApi, 9, {
      groupId: 'g',
      topics: [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 4 }] }],
    })
    const deleted = await ask(offsetDeleteApi, 0, { groupId: 'g', topics })
    expect(deleted.topics[0]?.partitions.map((partition) => partition.errorCode)).toEqual([
      errorCode('UNKNOWN_TOPIC_OR_PARTITION'),
      0,
    ])
    const fetched = await ask(offsetFetchApi, 9, { groups: [{ groupId: 'g', topics: null }] })
    expect(fetched.groups[0]?.topics).toEqual([])
  })
})

describe('the coordinator', () => {
  test.each(versionsOf(findCoordinatorApi))(
    'is this node at its advertised address, by FindCoordinator version %i',
    async (version) => {
      const { ask } = await openGroups()
      const here = { nodeId: 5, host: 'edge.local', port: 19092, errorCode: 0 }
      if (version < 4) return expect(await ask(findCoordinatorApi, version, { key: 'g' })).toMatchObject(here)
      const found = await ask(findCoordinatorApi, version, { coordinatorKeys: ['g', 'h'] })
      expect(found.coordinators).toMatchObject([
        { key: 'g', ...here },
        { key: 'h', ...here },
      ])
    },
  )

  test('of transactions is refused with an error that no client tries again, of share groups in words', async () => {
    const { ask } = await openGroups()
    expect(await ask(findCoordinatorApi, 2, { key: 'x', keyType: 1 })).toMatchObject({
      errorCode: errorCode('TRANSACTIONAL_ID_AUTHORIZATION_FAILED'),
      errorMessage: 'Transactions are not served by this broker.',
      nodeId: -1,
    })
    expect(await ask(findCoordinatorApi, 6, { coordinatorKeys: ['g:t:0'], keyType: 2 })).toMatchObject({
      coordinators: [
        {
          errorCode: errorCode('INVALID_REQUEST'),
          errorMessage: 'Share groups are not served by this broker.',
          nodeId: -1,
        },
      ],
    })
  })
})

describe('a group whose broker assigns the partitions (KIP-848)', () => {
  test.each([0, 1])(
    'is refused with the error of an Apache Kafka that has them off, by version %i',
    async (version) => {
      const { ask } = await openGroups()
      const joins = { groupId: 'g', memberId: 'm', memberEpoch: 0, subscribedTopicNames: ['t'], topicPartitions: [] }
      expect(await ask(consumerGroupHeartbeatApi, version, joins)).toMatchObject({
        errorCode: errorCode('UNSUPPORTED_VERSION'),
        memberId: null,
        assignment: null,
      })
    },
  )
})

describe('an administrator', () => {
  test.each(versionsOf(listGroupsApi))('lists groups by state and type, ListGroups version %i', async (version) => {
    const { ask } = await openGroups()
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 4 }] }]
    await ask(offsetCommitApi, 9, { groupId: 'simple', topics })
    const list = async (filters: InferInput<(typeof listGroupsApi)['request']>) =>
      (await ask(listGroupsApi, version, filters)).groups
    expect(await list({})).toMatchObject([
      {
        groupId: 'simple',
        protocolType: '',
        groupState: version >= 4 ? 'Empty' : '',
        groupType: version >= 5 ? 'classic' : '',
      },
    ])
    if (version >= 4) {
      expect(await list({ statesFilter: ['stable'] })).toEqual([])
      expect(await list({ statesFilter: ['EMPTY', 'stable'] })).toHaveLength(1)
    }
    if (version >= 5) {
      expect(await list({ typesFilter: ['consumer'] })).toEqual([])
      expect(await list({ typesFilter: ['Classic'] })).toHaveLength(1)
    }
  })

  test.each(versionsOf(describeGroupsApi))(
    'asks for a group that is not there, DescribeGroups version %i',
    async (version) => {
      const { ask } = await openGroups()
      const { groups } = await ask(describeGroupsApi, version, {
        groups: ['none'],
        includeAuthorizedOperations: version >= 3,
      })
      expect(groups[0]).toMatchObject({
        groupState: 'Dead',
        errorCode: version >= 6 ? errorCode('GROUP_ID_NOT_FOUND') : 0,
        errorMessage: version >= 6 ? 'Group none not found.' : null,
      })
    },
  )

  test('tells a group once that is asked for many times', async () => {
    const { ask } = await openGroups()
    const { groups } = await ask(describeGroupsApi, 5, {
      groups: ['a', 'b', ...Array.from({ length: 500 }, () => 'a')],
    })
    expect(groups.map(({ groupId }) => groupId)).toEqual(['a', 'b'])
  })

  test('tells what may be done to a group, its settings among that', async () => {
    const { ask } = await openGroups()
    const { groups } = await ask(describeGroupsApi, 5, { groups: ['none'], includeAuthorizedOperations: true })
    const operations = [3, 6, 8, 10, 11].reduce((bits, operation) => bits | (1 << operation), 0)
    expect(groups[0]).toMatchObject({ authorizedOperations: operations })
  })

  test.each(versionsOf(deleteGroupsApi))('deletes groups, DeleteGroups version %i', async (version) => {
    const { ask } = await openGroups()
    const topics = [{ name: 't', partitions: [{ partitionIndex: 0, committedOffset: 4 }] }]
    await ask(offsetCommitApi, 9, { groupId: 'simple', topics })
    const deleted = await ask(deleteGroupsApi, version, { groupsNames: ['simple', 'none'] })
    expect(deleted.results).toMatchObject([
      { groupId: 'simple', errorCode: 0 },
      { groupId: 'none', errorCode: errorCode('GROUP_ID_NOT_FOUND') },
    ])
    expect((await ask(listGroupsApi, 5, {})).groups).toEqual([])
  })
})
