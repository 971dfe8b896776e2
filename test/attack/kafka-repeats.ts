/** Small requests for large work: one thing named ten thousand times, and more things than there can be. */
import { strict as assert } from 'node:assert'
import {
  createTopicsApi,
  describeConfigsApi,
  describeGroupsApi,
  describeUserScramCredentialsApi,
  findCoordinatorApi,
  type KafkaApi,
  listOffsetsApi,
  metadataApi,
} from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import type { DoorWorld } from './door-world.ts'
import { assertGrowth, memoryOf } from './process-facts.ts'
import { RawClient } from './raw-client.ts'
import { each, type Row } from './row.ts'

const mib = 1_048_576
const topic = 'repeated'
const partitions = 100
const answerBytesMax = 8 * mib
const answerDeadlineMs = 10_000

export function kafkaRepeatRows({ daemon, talk }: DoorWorld): readonly Row[] {
  return [
    {
      name: 'Kafka: requests that name one thing ten thousand times, or hundreds of thousands of things, are small work or refused',
      async run() {
        const polite = await talk()
        assert.equal(await polite.createTopic(topic, partitions), 'NONE')
        polite.close()
        const before = memoryOf(daemon.pid).peakBytes
        await each([...repeated(), ...many()], async ({ bytes }) => {
          const client = await RawClient.connect(daemon.kafka)
          client.send(bytes)
          const length = await client.take(4, answerDeadlineMs).catch(() => {
            assert.ok(client.isClosed, 'neither answered nor refused in time')
            return Buffer.alloc(4)
          })
          client.destroy()
          assert.ok(length.readInt32BE(0) < answerBytesMax, `an answer of ${length.readInt32BE(0)} bytes`)
        })
        assertGrowth(memoryOf(daemon.pid).peakBytes - before, 192 * mib)
      },
    },
  ]
}

const times = <T>(count: number, one: (index: number) => T): readonly T[] =>
  Array.from({ length: count }, (_, index) => one(index))

function caseOf(name: string, api: KafkaApi, value: object): { readonly name: string; readonly bytes: Buffer } {
  return { name, bytes: Buffer.concat(encodeRequest(api, api.maxVersion, 77, 'attack', value)) }
}

function repeated(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const count = 10_000
  const settings = { configurationKeys: null }
  const everything = { includeSynonyms: true, includeDocumentation: true }
  const offsets = { name: topic, partitions: [{ partitionIndex: 0, timestamp: 5 }] }
  return [
    caseOf('a topic in Metadata', metadataApi, { topics: times(count, () => ({ name: topic })) }),
    caseOf('a topic in DescribeConfigs', describeConfigsApi, {
      resources: times(count, () => ({ resourceType: 2, resourceName: topic, ...settings })),
      ...everything,
    }),
    caseOf('a broker in DescribeConfigs', describeConfigsApi, {
      resources: times(count, () => ({ resourceType: 4, resourceName: '1', ...settings })),
      ...everything,
    }),
    caseOf('a group in DescribeGroups', describeGroupsApi, { groups: times(count, () => 'bystanders') }),
    caseOf('a time in ListOffsets', listOffsetsApi, { replicaId: -1, topics: times(count / 2, () => offsets) }),
    caseOf('a user', describeUserScramCredentialsApi, { users: times(count, () => ({ name: 'u' })) }),
    caseOf('users', describeUserScramCredentialsApi, { users: times(count, (index) => ({ name: `u${index}` })) }),
  ]
}

function many(): readonly { readonly name: string; readonly bytes: Buffer }[] {
  const count = 300_000
  return [
    caseOf('topics in Metadata', metadataApi, { topics: times(count, (index) => ({ name: `u${index}` })) }),
    caseOf('groups in FindCoordinator', findCoordinatorApi, {
      keyType: 0,
      coordinatorKeys: times(count, (index) => `g${index}`),
    }),
    caseOf('groups in DescribeGroups', describeGroupsApi, { groups: times(count, (index) => `g${index}`) }),
    caseOf('users', describeUserScramCredentialsApi, { users: times(count, (index) => ({ name: `u${index}` })) }),
    caseOf('topics in CreateTopics', createTopicsApi, {
      topics: times(count, (index) => ({ name: `c${index}`, numPartitions: 1, replicationFactor: 1 })),
      timeoutMs: 1_000,
      validateOnly: true,
    }),
    caseOf('partitions in CreateTopics', createTopicsApi, {
      topics: [
        {
          name: 'assigned',
          numPartitions: -1,
          replicationFactor: -1,
          assignments: times(count, (partitionIndex) => ({ partitionIndex, brokerIds: [1] })),
        },
      ],
      timeoutMs: 1_000,
      validateOnly: true,
    }),
  ]
}
