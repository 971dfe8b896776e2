import { beforeEach, describe, expect, it } from 'vitest'
import { apiByKey, type KafkaApi } from '../../../../src/protocol/kafka/apis.ts'
import { decodeMessage } from '../../../../src/protocol/kafka/compile.ts'
import { errorCode } from '../../../../src/protocol/kafka/error-codes.ts'
import {
  decodeRequestHeader,
  decodeResponse,
  encodeRequest,
  encodeResponse,
} from '../../../../src/protocol/kafka/header.ts'
import { adminHandlers } from '../../../../src/ingest/kafka/handlers/admin-handlers.ts'
import type { HandlerEntry, KafkaHandler, RequestContext } from '../../../../src/ingest/kafka/handler.ts'
import { type AdminWorld, openAdmin, patient, secretTopic, topicRequest } from '../../../broker/admin-world.ts'

const key = {
  metadata: 3,
  createTopics: 19,
  deleteTopics: 20,
  describeConfigs: 32,
  alterConfigs: 33,
  alterReplicaLogDirs: 34,
  describeLogDirs: 35,
  createPartitions: 37,
  electLeaders: 43,
  incrementalAlterConfigs: 44,
  alterReassignments: 45,
  listReassignments: 46,
  describeAcls: 29,
  createAcls: 30,
  deleteAcls: 31,
  describeClientQuotas: 48,
  alterClientQuotas: 49,
  describeUserScramCredentials: 50,
  alterUserScramCredentials: 51,
  describeQuorum: 55,
  describeCluster: 60,
  describeTransactions: 65,
  listTransactions: 66,
  listConfigResources: 74,
  describeTopicPartitions: 75,
} as const

let admin: AdminWorld
let handlers: ReadonlyMap<number, KafkaHandler<unknown, unknown>>

beforeEach(async () => {
  admin = await openAdmin()
  handlers = new Map(adminHandlers(admin) as readonly (HandlerEntry & [number, KafkaHandler<unknown, unknown>])[])
})

function contextOf(apiVersion: number): RequestContext {
  return {
    apiVersion,
    clientId: 'test',
    principal: 'User:ANONYMOUS',
    clientHost: '10.0.0.9',
    localHost: '10.0.0.1',
    localPort: 9092,
    advertised: { host: 'edge.local', port: 9192 },
    connectionId: 1,
    isClosed: () => false,
    onClose() {},
  }
}

/** Over the wire and back: the request as a client encodes it, the response as a client reads it. */
async function ask(apiKey: number, version: number, request: object): Promise<Record<string, unknown>> {
  const api = apiByKey.get(apiKey) as KafkaApi
  const frame = Buffer.concat(encodeRequest(api, version, 7, 'test', request)).subarray(4)
  const decoded = decodeMessage(api.request, version, frame, decodeRequestHeader(frame).end)
  const handler = handlers.get(apiKey) as KafkaHandler<unknown, unknown>
  const answer = await admin.settle(Promise.resolve(handler(decoded.value, contextOf(version))))
  const response = Buffer.concat(encodeResponse(api, version, 7, answer as object)).subarray(4)
  return decodeResponse(api, version, response).value as Record<string, unknown>
}

const entry = { resourceType: 2, resourceName: 'readings', principal: 'User:a', operation: 3 }
const anyEntry = { resourceTypeFilter: 1, patternTypeFilter: 1, operation: 1, permissionType: 1 }

/** Requests that reach every branch: good, bad and empty answers. */
const probes: readonly (readonly [name: string, apiKey: number, request: (version: number) => object])[] = [
  ['Metadata of all', key.metadata, (version) => ({ topics: version === 0 ? [] : null })],
  [
    'Metadata of one known, one new, one unlawful',
    key.metadata,
    (version) => ({
      topics: [{ name: 'readings' }, { name: `new-${version}` }, { name: 'a b' }],
      includeTopicAuthorizedOperations: version >= 8,
    }),
  ],
  [
    'CreateTopics',
    key.createTopics,
    (version) => ({
      topics: [
        {
          name: `made-${version}`,
          numPartitions: 2,
          replicationFactor: 1,
          configs: [{ name: 'retention.ms', value: '9' }],
        },
        { name: 'readings', numPartitions: 1, replicationFactor: 1 },
        { name: 'wide', numPartitions: 1, replicationFactor: 3 },
      ],
    }),
  ],
  [
    'CreatePartitions',
    key.createPartitions,
    (version) => ({
      topics: [
        { name: 'readings', count: 5 + version, assignments: null },
        { name: 'nowhere', count: 2 },
      ],
    }),
  ],
  [
    'DeleteTopics',
    key.deleteTopics,
    (version) => (version < 6 ? { topicNames: ['nowhere'] } : { topics: [{ name: 'nowhere' }] }),
  ],
  [
    'DescribeConfigs',
    key.describeConfigs,
    (version) => ({
      resources: [
        { resourceType: 2, resourceName: 'readings', configurationKeys: null },
        { resourceType: 4, resourceName: '1', configurationKeys: null },
        { resourceType: 4, resourceName: '2', configurationKeys: null },
        { resourceType: 8, resourceName: '1', configurationKeys: null },
      ],
      includeSynonyms: true,
      ...(version >= 3 ? { includeDocumentation: true } : {}),
    }),
  ],
  [
    'AlterConfigs',
    key.alterConfigs,
    () => ({
      resources: [{ resourceType: 2, resourceName: 'readings', configs: [{ name: 'retention.ms', value: '8' }] }],
    }),
  ],
  [
    'IncrementalAlterConfigs',
    key.incrementalAlterConfigs,
    () => ({
      resources: [
        {
          resourceType: 2,
          resourceName: 'readings',
          configs: [{ name: 'segment.ms', configOperation: 0, value: '8' }],
        },
        { resourceType: 2, resourceName: 'nowhere', configs: [] },
      ],
    }),
  ],
  ['DescribeLogDirs', key.describeLogDirs, () => ({ topics: null })],
  ['ListPartitionReassignments', key.listReassignments, () => ({ topics: null })],
  [
    'AlterPartitionReassignments',
    key.alterReassignments,
    () => ({ topics: [{ name: 'readings', partitions: [{ partitionIndex: 0, replicas: [1] }] }, { name: 'nowhere' }] }),
  ],
  ['ElectLeaders of all', key.electLeaders, () => ({ topicPartitions: null })],
  [
    'ElectLeaders of some',
    key.electLeaders,
    () => ({ topicPartitions: [{ topic: 'readings', partitions: [0, 9] }, { topic: 'nowhere' }] }),
  ],
  [
    'AlterReplicaLogDirs',
    key.alterReplicaLogDirs,
    () => ({ dirs: [{ path: '/nowhere', topics: [{ name: 'readings', partitions: [0] }] }] }),
  ],
  [
    'DescribeQuorum',
    key.describeQuorum,
    () => ({
      topics: [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }],
    }),
  ],
  ['DescribeTransactions', key.describeTransactions, () => ({ transactionalIds: ['nobody'] })],
  ['ListTransactions', key.listTransactions, () => ({ stateFilters: ['Ongoing'] })],
  ['ListConfigResources', key.listConfigResources, () => ({ resourceTypes: [] })],
  ['DescribeAcls', key.describeAcls, () => anyEntry],
  [
    'CreateAcls',
    key.createAcls,
    () => ({
      creations: [
        { ...entry, host: '*', permissionType: 3 },
        { ...entry, resourceType: 1 },
      ],
    }),
  ],
  ['DeleteAcls', key.deleteAcls, () => ({ filters: [anyEntry, { ...anyEntry, operation: 0 }] })],
  [
    'AlterClientQuotas',
    key.alterClientQuotas,
    () => ({
      entries: [
        {
          entity: [{ entityType: 'user', entityName: 'u' }],
          ops: [{ key: 'producer_byte_rate', value: 1, remove: false }],
        },
        { entity: [{ entityType: 'ip', entityName: 'x' }], ops: [] },
      ],
      validateOnly: false,
    }),
  ],
  ['DescribeClientQuotas', key.describeClientQuotas, () => ({ components: [] })],
  ['DescribeUserScramCredentials', key.describeUserScramCredentials, () => ({ users: [{ name: 'nobody' }] })],
  [
    'AlterUserScramCredentials',
    key.alterUserScramCredentials,
    () => ({ deletions: [{ name: 'nobody', mechanism: 1 }], upsertions: [] }),
  ],
  ['DescribeCluster', key.describeCluster, () => ({ includeClusterAuthorizedOperations: true })],
  [
    'DescribeTopicPartitions',
    key.describeTopicPartitions,
    () => ({ topics: [{ name: 'readings' }, { name: 'nowhere' }] }),
  ],
]

describe('every version of every answer can be sent', () => {
  it.each(probes)('%s', async (_, apiKey, request) => {
    await admin.settle(admin.topics.create(topicRequest('readings', { partitions: 2 }), patient))
    const { minVersion, maxVersion } = apiByKey.get(apiKey) as KafkaApi
    for (let version = minVersion; version <= maxVersion; version++) {
      expect(await ask(apiKey, version, request(version)), `version ${version}`).toBeDefined()
    }
  })

  it('for all APIs that have a handler here', () => {
    expect(new Set(handlers.keys())).toEqual(new Set(probes.map(([, apiKey]) => apiKey)))
  })
})

describe('Metadata', () => {
  it('tells the address by which the client came, and leads every partition itself', async () => {
    await admin.settle(admin.topics.create(topicRequest('readings', { partitions: 2 }), patient))
    expect(await ask(key.metadata, 12, { topics: [{ name: 'readings' }] })).toMatchObject({
      brokers: [{ nodeId: 1, host: 'edge.local', port: 9192 }],
      clusterId: admin.directory.clusterId,
      controllerId: 1,
      topics: [
        {
          errorCode: 0,
          name: 'readings',
          isInternal: false,
          partitions: [
            { partitionIndex: 0, leaderId: 1, isrNodes: [1] },
            { partitionIndex: 1, leaderId: 1, isrNodes: [1] },
          ],
        },
      ],
    })
  })

  it('creates a topic that is asked for, unless the client says not to', async () => {
    const quiet = await ask(key.metadata, 12, { topics: [{ name: 'new' }], allowAutoTopicCreation: false })
    expect(quiet).toMatchObject({ topics: [{ errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), name: 'new' }] })
    const asked = await ask(key.metadata, 12, { topics: [{ name: 'new' }] })
    expect(asked).toMatchObject({ topics: [{ errorCode: 0, name: 'new', partitions: [{ leaderId: 1 }] }] })
  })

  it('never creates an internal topic, and marks those that exist', async () => {
    await admin.settle(admin.topics.ensureInternal(secretTopic))
    const answer = await ask(key.metadata, 12, { topics: [{ name: '__consumer_offsets' }, { name: secretTopic.name }] })
    expect(answer).toMatchObject({
      topics: [
        { errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), isInternal: true },
        { errorCode: 0, isInternal: true },
      ],
    })
  })

  it('finds a topic by its id, and says so when there is none', async () => {
    await admin.settle(admin.topics.ensure('readings'))
    const topicId = admin.cluster.image.topic('readings')?.topicId ?? ''
    const topics = [
      { topicId, name: null },
      { topicId: 'iqR6tvvCTSuScvS2wyYggA', name: null },
    ]
    expect(await ask(key.metadata, 12, { topics })).toMatchObject({
      topics: [
        { name: 'readings', topicId },
        { errorCode: errorCode('UNKNOWN_TOPIC_ID'), name: null },
      ],
    })
  })

  it('asks for all topics with an empty list in version 0, and for none later', async () => {
    await admin.settle(admin.topics.ensure('readings'))
    expect((await ask(key.metadata, 0, { topics: [] }))['topics']).toHaveLength(1)
    expect((await ask(key.metadata, 1, { topics: [] }))['topics']).toEqual([])
  })
})

describe('DescribeTopicPartitions', () => {
  it('goes through all partitions page by page, each once', async () => {
    await admin.settle(admin.topics.create(topicRequest('b', { partitions: 3 }), patient))
    await admin.settle(admin.topics.create(topicRequest('a', { partitions: 2 }), patient))
    const seen: string[] = []
    let cursor: object | null = null
    for (let pages = 0; pages < 10; pages++) {
      const page = await ask(key.describeTopicPartitions, 0, { topics: [], responsePartitionLimit: 2, cursor })
      for (const topic of page['topics'] as { name: string; partitions: { partitionIndex: number }[] }[]) {
        for (const { partitionIndex } of topic.partitions) seen.push(`${topic.name}-${partitionIndex}`)
      }
      cursor = page['nextCursor'] as object | null
      if (cursor === null) break
    }
    expect(seen).toEqual(['a-0', 'a-1', 'b-0', 'b-1', 'b-2'])
  })

  it('tells what may be done with a topic that is not there, as Apache Kafka does', async () => {
    const page = await ask(key.describeTopicPartitions, 0, { topics: [{ name: 'nowhere' }], responsePartitionLimit: 2 })
    expect(page['topics']).toMatchObject([
      { errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), topicAuthorizedOperations: 3576 },
    ])
  })
})

describe('a question that names one thing a thousand times', () => {
  const thousand = <T>(one: T): readonly T[] => Array.from({ length: 1_000 }, () => one)
  beforeEach(async () => {
    await ask(key.createTopics, 7, { topics: [{ name: 'readings', numPartitions: 1, replicationFactor: 1 }] })
  })

  it('is answered once by Metadata, by name and by id', async () => {
    const { topicId } = admin.cluster.image.topic('readings') ?? { topicId: '' }
    const topics = [...thousand({ name: 'readings' }), { name: 'nowhere' }, ...thousand({ name: null, topicId })]
    const answer = await ask(key.metadata, 12, { topics, allowAutoTopicCreation: false })
    expect((answer['topics'] as { name: string }[]).map(({ name }) => name)).toEqual([
      'readings',
      'nowhere',
      'readings',
    ])
  })

  it('is answered once by DescribeConfigs, with the settings that were asked for first', async () => {
    const topic = { resourceType: 2, resourceName: 'readings', configurationKeys: ['retention.ms'] }
    const broker = { resourceType: 4, resourceName: '1', configurationKeys: ['message.max.bytes'] }
    const resources = [...thousand(topic), ...thousand(broker), { ...topic, configurationKeys: null }]
    const answer = await ask(key.describeConfigs, 4, { resources })
    const results = answer['results'] as { resourceName: string; configs: { name: string }[] }[]
    expect(results.map(({ resourceName, configs }) => [resourceName, configs.map(({ name }) => name)])).toEqual([
      ['readings', ['retention.ms']],
      ['1', ['message.max.bytes']],
    ])
  })
})

describe('a request that names one topic twice', () => {
  it('is refused for that topic only', async () => {
    const twice = { numPartitions: 1, replicationFactor: 1 }
    const topics = [
      { name: 'x', ...twice },
      { name: 'y', ...twice },
      { name: 'x', ...twice },
    ]
    const answer = await ask(key.createTopics, 7, { topics })
    const told = (answer['topics'] as { name: string; errorCode: number }[]).map((each) => [each.name, each.errorCode])
    expect(told).toEqual([
      ['y', 0],
      ['x', errorCode('INVALID_REQUEST')],
    ])
    expect(admin.cluster.image.topic('x')).toBeUndefined()
  })

  it('is recognised when one is a name and the other its id', async () => {
    await admin.settle(admin.topics.ensure('readings'))
    const topicId = admin.cluster.image.topic('readings')?.topicId
    const answer = await ask(key.deleteTopics, 6, { topics: [{ name: 'readings' }, { name: null, topicId }] })
    expect(answer).toMatchObject({ responses: [{ errorCode: errorCode('INVALID_REQUEST') }] })
    expect(admin.cluster.image.topic('readings')).toBeDefined()
  })
})

describe('DescribeLogDirs', () => {
  it('tells the directory, its space and the replicas asked for', async () => {
    await admin.settle(admin.topics.create(topicRequest('readings', { partitions: 2 }), patient))
    const answer = await ask(key.describeLogDirs, 4, { topics: [{ topic: 'readings', partitions: [1] }] })
    expect(answer).toMatchObject({
      results: [
        {
          errorCode: 0,
          logDir: '/data/log',
          topics: [{ name: 'readings', partitions: [{ partitionIndex: 1, partitionSize: 0, offsetLag: 0 }] }],
        },
      ],
    })
    const [result] = answer['results'] as { totalBytes: number; usableBytes: number }[]
    expect(result?.totalBytes).toBeGreaterThan(0)
  })
})

describe('DescribeCluster', () => {
  it.each([
    [0, 'UNSUPPORTED_ENDPOINT_TYPE'],
    [2, 'MISMATCHED_ENDPOINT_TYPE'],
    [3, 'UNSUPPORTED_ENDPOINT_TYPE'],
  ] as const)('shows no endpoints of type %i: %s', async (endpointType, error) => {
    expect(await ask(key.describeCluster, 1, { endpointType })).toMatchObject({
      errorCode: errorCode(error),
      brokers: [],
    })
  })
})

describe('where no transactional id is taken', () => {
  it.each([0, 1, 2])('ListTransactions %i finds none, and names the states that are none', async (version) => {
    expect(await ask(key.listTransactions, version, { stateFilters: ['Ongoing', 'Lost'] })).toMatchObject({
      errorCode: 0,
      unknownStateFilters: ['Lost'],
      transactionStates: [],
    })
  })

  it('DescribeTransactions knows none of the ids', async () => {
    expect(await ask(key.describeTransactions, 0, { transactionalIds: ['bank', ''] })).toMatchObject({
      transactionStates: [
        { transactionalId: 'bank', errorCode: errorCode('TRANSACTIONAL_ID_NOT_FOUND') },
        { transactionalId: '', errorCode: errorCode('INVALID_REQUEST') },
      ],
    })
  })
})

describe('one node that leads everything', () => {
  async function makeLed(partitions: number): Promise<void> {
    await admin.settle(admin.topics.create(topicRequest('led', { partitions }), patient))
  }

  async function results(electionType: number, topicPartitions: object | null): Promise<unknown> {
    const answer = await ask(key.electLeaders, 2, { electionType, topicPartitions })
    return { errorCode: answer['errorCode'], results: answer['replicaElectionResults'] }
  }

  it('needs no election, of all partitions names none, and knows no third kind', async () => {
    await makeLed(2)
    const asked = [
      { topic: 'led', partitions: [1, 7] },
      { topic: 'nowhere', partitions: [0] },
    ]
    for (const electionType of [0, 1]) {
      expect(await results(electionType, asked)).toMatchObject({
        errorCode: 0,
        results: [
          {
            topic: 'led',
            partitionResult: [
              { partitionId: 1, errorCode: errorCode('ELECTION_NOT_NEEDED') },
              { partitionId: 7, errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION') },
            ],
          },
          { topic: 'nowhere', partitionResult: [{ errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION') }] },
        ],
      })
      expect(await results(electionType, null)).toEqual({ errorCode: 0, results: [] })
    }
    expect(await results(2, null)).toEqual({ errorCode: errorCode('INVALID_REQUEST'), results: [] })
  })

  it('moves no partition: staying is granted, another broker is not registered, and nothing can be given up', async () => {
    await makeLed(1)
    const verdicts: unknown[] = []
    for (const replicas of [[1], [2], [1, 2], [1, 1], [], null]) {
      const topics = [{ name: 'led', partitions: [{ partitionIndex: 0, replicas }] }]
      const answer = (await ask(key.alterReassignments, 1, { topics })) as {
        responses: { partitions: { errorCode: number }[] }[]
      }
      verdicts.push(answer.responses[0]?.partitions[0]?.errorCode)
    }
    const impossible = errorCode('INVALID_REPLICA_ASSIGNMENT')
    const none = errorCode('NO_REASSIGNMENT_IN_PROGRESS')
    expect(verdicts).toEqual([0, impossible, impossible, impossible, impossible, none])
  })

  it('keeps replicas in the directory that there is', async () => {
    await makeLed(1)
    const dirs = [admin.directory.logDirectory, '/elsewhere'].map((path) => ({
      path,
      topics: [{ name: 'led', partitions: [0, 3] }],
    }))
    const codes = (
      (await ask(key.alterReplicaLogDirs, 2, { dirs })) as { results: { partitions: { errorCode: number }[] }[] }
    ).results.map(({ partitions }) => partitions.map((each) => each.errorCode))
    const nowhere = errorCode('LOG_DIR_NOT_FOUND')
    expect(codes).toEqual([
      [0, errorCode('UNKNOWN_TOPIC_OR_PARTITION')],
      [nowhere, nowhere],
    ])
  })

  it('votes alone: DescribeQuorum tells its epoch, its directory and how far the log is', async () => {
    const describe = async (): Promise<{ highWatermark: number; currentVoters: unknown[] }> => {
      const topics = [{ topicName: '__cluster_metadata', partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }]
      const answer = (await ask(key.describeQuorum, 2, { topics })) as { topics: { partitions: object[] }[] }
      const [own, other] = answer.topics[0]?.partitions ?? []
      expect(other).toMatchObject({ errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION') })
      expect(own).toMatchObject({ errorCode: 0, leaderId: 1, leaderEpoch: admin.cluster.metadataEpoch, observers: [] })
      return own as never
    }
    const before = await describe()
    const now = admin.ports.clock.wallMs()
    expect(before.currentVoters).toMatchObject([
      {
        replicaId: 1,
        replicaDirectoryId: admin.directory.directoryId,
        logEndOffset: before.highWatermark,
        lastFetchTimestamp: now,
        lastCaughtUpTimestamp: now,
      },
    ])
    await makeLed(1)
    expect((await describe()).highWatermark).toBeGreaterThan(before.highWatermark)
  })

  it('lists what has settings by kind, and client metrics alone to who knows of nothing else', async () => {
    await makeLed(1)
    const list = async (version: number, resourceTypes: number[]): Promise<unknown> => {
      const answer = await ask(key.listConfigResources, version, version === 0 ? {} : { resourceTypes })
      return answer['errorCode'] === 0 ? answer['configResources'] : answer['errorCode']
    }
    const topic = { resourceName: 'led', resourceType: 2 }
    const broker = { resourceName: '1', resourceType: 4 }
    expect(await list(1, [])).toEqual([topic, broker, { resourceName: '1', resourceType: 8 }])
    expect(await list(1, [4, 16, 32])).toEqual([broker])
    expect(await list(1, [2])).toEqual([topic])
    expect(await list(1, [2, 7])).toBe(errorCode('UNSUPPORTED_VERSION'))
    expect(await list(0, [])).toEqual([])
  })
})

describe('a request that names very many topics', () => {
  it('leaves the loop to others while they are taken up', async () => {
    const setting = { name: 'retention.ms', value: '1' }
    const topics = Array.from({ length: 2_000 }, (_, index) => ({
      name: `t${index}`,
      numPartitions: 1,
      replicationFactor: 1,
      configs: [setting, setting],
    }))
    let turns = 0
    let isOver = false
    const { clock } = admin.ports
    const look = (): void => {
      turns++
      if (!isOver) clock.defer(look)
    }
    clock.defer(look)
    const { topics: answers } = await ask(key.createTopics, 7, { topics, timeoutMs: 60_000, validateOnly: true })
    isOver = true
    expect(answers).toHaveLength(2_000)
    expect(turns).toBeGreaterThanOrEqual(7)
  })
})
