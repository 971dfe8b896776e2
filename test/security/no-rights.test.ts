/** A principal without any right asks every API: what it is told, and that it is told the same of what exists and of what does not. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { KafkaClient } from '../../src/admin/cli/kafka-client.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { parseAddress } from '../../src/config-values.ts'
import { guardTable } from '../../src/ingest/kafka/guards/guard-table.ts'
import { nodePorts } from '../../src/node/node-ports.ts'
import {
  apiByKey,
  createTopicsApi,
  deleteTopicsApi,
  fetchApi,
  kafkaApis,
  metadataApi,
  produceApi,
} from '../../src/protocol/kafka/apis.ts'
import { ApplianceWorld } from './appliance-world.ts'

let world: ApplianceWorld
let client: KafkaClient
let realId = ''
const closers: (() => Promise<void>)[] = []
/** APIs that a connection answers by itself, before anybody has rights. */
const ofConnection = new Set([17, 18, 36])

async function connect(kafka: string): Promise<KafkaClient> {
  const address = parseAddress(kafka)
  if (typeof address === 'string') throw new Error(address)
  const ports = nodePorts({ observer: silentObserver, withoutAddOn: true })
  const opened = new KafkaClient(ports, [address])
  closers.push(async () => {
    await opened.close()
    await ports.close()
  })
  return opened
}

beforeAll(async () => {
  world = await ApplianceWorld.create()
  const first = await connect((await world.start()).kafka)
  const created = await first.ask(createTopicsApi, {
    topics: [{ name: 'real', numPartitions: 1, replicationFactor: 1 }],
  })
  realId = created.topics[0]?.topicId ?? ''
  const authorizer = 'org.apache.kafka.metadata.authorizer.StandardAuthorizer'
  client = await connect((await world.start({ settings: { 'authorizer.class.name': authorizer } })).kafka)
})

afterAll(async () => {
  for (const close of closers) await close()
  await world.remove()
})

const partition = { partitionIndex: 0, partition: 0, index: 0, timestamp: -1, offset: 0, committedOffset: 0 }
const acl = {
  resourceType: 2,
  resourceName: 't',
  principal: 'User:ANONYMOUS',
  host: '*',
  operation: 2,
  permissionType: 3,
}
const filter = { resourceTypeFilter: 1, patternTypeFilter: 1, operation: 1, permissionType: 1 }
const asTopic = (name: string) => ({ name, topic: name, partitions: [partition], partitionIndexes: [0] })
const unknownId = 'AAAAAAAAAAAAAAAAAAAAAA'

/** A request for each API, about a topic and a group of this name, and the error that the answer must hold. */
function requests(name: string): ReadonlyMap<number, readonly [request: object, error: number, version?: number]> {
  const topics = [asTopic(name)]
  const resources = [{ resourceType: 2, resourceName: name, configurationKeys: null, configs: [] }]
  return new Map<number, readonly [object, number, number?]>([
    [0, [{ acks: -1, timeoutMs: 1000, topicData: [{ name, partitionData: [{ index: 0 }] }] }, 29, 12]],
    [
      1,
      [
        { maxWaitMs: 1, minBytes: 1, sessionEpoch: -1, topics: [{ topic: name, partitions: [{ partition: 0 }] }] },
        29,
        12,
      ],
    ],
    [2, [{ replicaId: -1, topics }, 29]],
    [3, [{ topics: [{ name, topicId: unknownId }], allowAutoTopicCreation: true }, 29]],
    [8, [{ groupId: name, topics }, 30]],
    [9, [{ groups: [{ groupId: name, topics: [{ name, partitionIndexes: [0] }] }] }, 30]],
    [10, [{ keyType: 0, coordinatorKeys: [name] }, 30]],
    [11, [{ groupId: name, sessionTimeoutMs: 10_000, protocolType: 'consumer' }, 30]],
    [12, [{ groupId: name, memberId: 'm' }, 30]],
    [13, [{ groupId: name, members: [{ memberId: 'm' }] }, 30]],
    [14, [{ groupId: name, memberId: 'm' }, 30]],
    [15, [{ groups: [name], includeAuthorizedOperations: true }, 30]],
    [16, [{}, 0]],
    [19, [{ topics: [{ name, numPartitions: 1, replicationFactor: 1 }] }, 29]],
    [20, [{ topics: [{ name, topicId: unknownId }] }, 29]],
    [21, [{ topics, timeoutMs: 1000 }, 29]],
    [22, [{ transactionalId: null }, 31]],
    [23, [{ topics }, 29]],
    [29, [filter, 31]],
    [30, [{ creations: [acl] }, 31]],
    [31, [{ filters: [filter] }, 31]],
    [32, [{ resources }, 29]],
    [33, [{ resources }, 29]],
    [34, [{ dirs: [{ path: '/data/log', topics: [{ name, partitions: [0] }] }] }, 31]],
    [35, [{ topics: null }, 31]],
    [37, [{ topics: [{ name, count: 4, assignments: null }], timeoutMs: 1000 }, 29]],
    [42, [{ groupsNames: [name] }, 30]],
    [43, [{ topicPartitions: [{ topic: name, partitions: [0] }] }, 31]],
    [44, [{ resources }, 29]],
    [45, [{ topics: [{ name, partitions: [{ partitionIndex: 0, replicas: [1] }] }] }, 31]],
    [46, [{ topics: null }, 31]],
    [47, [{ groupId: name, topics }, 30]],
    [48, [{}, 31]],
    [
      49,
      [
        {
          entries: [
            {
              entity: [{ entityType: 'user', entityName: 'u' }],
              ops: [{ key: 'producer_byte_rate', value: 1, remove: false }],
            },
          ],
        },
        31,
      ],
    ],
    [50, [{ users: null }, 31]],
    [51, [{ deletions: [{ name: 'u', mechanism: 1 }] }, 31]],
    [55, [{ topics: [{ topicName: name, partitions: [{ partitionIndex: 0 }] }] }, 31]],
    [60, [{ includeClusterAuthorizedOperations: true }, 0]],
    [61, [{ topics: [{ name, partitionIndexes: [0] }] }, 29]],
    [65, [{ transactionalIds: [name] }, 53]],
    [66, [{}, 0]],
    [68, [{ groupId: name }, 35]],
    [74, [{}, 31]],
    [75, [{ topics: [{ name }] }, 29]],
  ])
}

/** Every error code in an answer. */
function errorsIn(value: unknown): number[] {
  if (Array.isArray(value)) return value.flatMap(errorsIn)
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return []
  return Object.entries(value).flatMap(([key, inner]) => (key === 'errorCode' ? [Number(inner)] : errorsIn(inner)))
}

async function ask(key: number, name: string): Promise<unknown> {
  const api = apiByKey.get(key)
  const [request, , version] = requests(name).get(key) ?? []
  if (api === undefined || request === undefined) throw new Error(`no request for ${key}`)
  const connection = client as unknown as { ask(api: object, request: object): Promise<unknown> }
  if (version === undefined) return connection.ask(api, request)
  // Topics are named by their name up to here.
  return connection.ask({ ...api, maxVersion: version }, request)
}

describe('a principal without any right', () => {
  const keys = kafkaApis.map(({ key }) => key).filter((key) => !ofConnection.has(key))

  it('meets a guard at every API', () => {
    const guarded = guardTable(null as never).map(({ apiKey }) => apiKey)
    expect(guarded.toSorted((a, b) => a - b)).toEqual(keys.toSorted((a, b) => a - b))
  })

  it.each(keys.map((key) => [apiByKey.get(key)?.name ?? '', key] as const))('asks %s in vain', async (_, key) => {
    const [, expected] = requests('real').get(key) ?? []
    const answer = await ask(key, 'real')
    const errors = errorsIn(answer).filter((code) => code !== 0)
    expect(errors.length > 0 ? new Set(errors) : new Set([0])).toEqual(new Set([expected]))
    // What is not there is answered in the same words.
    const other = JSON.stringify(await ask(key, 'fake'))
    expect(other.replaceAll('fake', 'real')).toBe(JSON.stringify(answer))
  })

  it('reads, writes and sees nothing by the id of a topic', async () => {
    const asked = client as unknown as { ask(api: object, request: object): Promise<unknown> }
    const topic = { topicId: realId, partitions: [partition], partitionData: [{ index: 0 }] }
    const fetched = await asked.ask(fetchApi, { maxWaitMs: 1, minBytes: 1, sessionEpoch: -1, topics: [topic] })
    expect(new Set(errorsIn(fetched))).toEqual(new Set([0, 29]))
    expect(errorsIn(await asked.ask(produceApi, { acks: -1, timeoutMs: 1000, topicData: [topic] }))).toEqual([29])
    const seen = await asked.ask(metadataApi, { topics: [{ topicId: realId, name: null }] })
    expect(seen).toMatchObject({ topics: [{ errorCode: 29, name: null, partitions: [] }] })
    const deleted = await asked.ask(deleteTopicsApi, { topics: [{ topicId: realId, name: null }] })
    expect(deleted).toMatchObject({ responses: [{ errorCode: 29, name: null }] })
  })

  it('is shown no topic, no group and no right', async () => {
    expect(await client.metadata(null)).toMatchObject({ topics: [] })
    expect(await ask(16, '')).toMatchObject({ groups: [] })
    expect(await ask(60, '')).toMatchObject({ clusterAuthorizedOperations: 0 })
  })
})
