/** Topics that do not exist, may not exist, or are nobody's business. */
import { strict as assert } from 'node:assert'
import {
  alterConfigsApi,
  createPartitionsApi,
  createTopicsApi,
  deleteRecordsApi,
  deleteTopicsApi,
  describeConfigsApi,
  fetchApi,
  incrementalAlterConfigsApi,
  listOffsetsApi,
  offsetForLeaderEpochApi,
  produceApi,
} from '../../src/protocol/kafka/apis.ts'
import { errorName } from '../../src/protocol/kafka/error-codes.ts'
import { batchOfValues } from './batch-bytes.ts'
import type { DoorWorld } from './door-world.ts'
import type { KafkaTalk } from './kafka-talk.ts'
import { each, type Row } from './row.ts'

const topicResource = 2

const illegalNames: readonly string[] = [
  '',
  '.',
  '..',
  'a/b',
  '../../etc/passwd',
  'a b',
  'a\0b',
  'a\nb',
  'a:b',
  'a*',
  'grün',
  '\u202e',
  '💧',
  'x'.repeat(250),
  'x'.repeat(20_000),
]

const internalNames = ['__consumer_offsets', '__headwater_mqtt_sessions', '__cluster_metadata'] as const

export function kafkaNameRows(world: DoorWorld): readonly Row[] {
  const withTalk = async (attempt: (talk: KafkaTalk) => Promise<void>): Promise<void> => {
    const talk = await world.talk()
    await attempt(talk).finally(() => talk.close())
  }
  return [
    {
      name: 'Kafka: every API answers an unknown topic or partition with UNKNOWN_TOPIC_OR_PARTITION, an unknown id with UNKNOWN_TOPIC_ID',
      run: () => withTalk(unknownTopics),
    },
    {
      name: 'Kafka: illegal topic names are refused with INVALID_TOPIC_EXCEPTION, in CreateTopics and in Metadata; 249 characters serve',
      run: () => withTalk(names),
    },
    {
      name: 'Kafka: impossible numbers of partitions and replicas, and unknown configs, are refused with their errors',
      run: () => withTalk(impossibleTopics),
    },
    {
      name: 'Kafka: internal topics are not written, created, deleted, altered, extended or emptied by clients',
      run: () => withTalk(internalTopics),
    },
  ]
}

async function unknownTopics(talk: KafkaTalk): Promise<void> {
  assert.equal(await talk.createTopic('known'), 'NONE')
  for (const [topic, partition] of [
    ['never-created', 0],
    ['known', 1],
    ['known', -1],
    ['known', 0x7fff_ffff],
  ] as const) {
    const what = `${topic}-${partition}`
    const unknown = (code: number | undefined, api: string): void =>
      assert.equal(errorName(code ?? 0), 'UNKNOWN_TOPIC_OR_PARTITION', `${api} of ${what}`)
    assert.equal((await talk.produce(topic, partition, batchOfValues(['a']))).error, 'UNKNOWN_TOPIC_OR_PARTITION', what)
    const fetchPartitions = [{ partition, fetchOffset: 0, partitionMaxBytes: 1_000 }]
    const fetched = await talk.ask(
      fetchApi,
      { maxWaitMs: 0, minBytes: 0, topics: [{ topic, partitions: fetchPartitions }] },
      12,
    )
    unknown(fetched.responses[0]?.partitions[0]?.errorCode, 'Fetch')
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1 }] }]
    const listed = await talk.ask(listOffsetsApi, { replicaId: -1, topics })
    unknown(listed.topics[0]?.partitions[0]?.errorCode, 'ListOffsets')
    const epochs = await talk.ask(offsetForLeaderEpochApi, {
      replicaId: -1,
      topics: [{ topic, partitions: [{ partition, leaderEpoch: 0 }] }],
    })
    unknown(epochs.topics[0]?.partitions[0]?.errorCode, 'OffsetForLeaderEpoch')
    const deletion = [{ name: topic, partitions: [{ partitionIndex: partition, offset: 0 }] }]
    const deleted = await talk.ask(deleteRecordsApi, { topics: deletion, timeoutMs: 5_000 })
    unknown(deleted.topics[0]?.partitions[0]?.errorCode, 'DeleteRecords')
  }
  const errors = await talk.metadataErrors(['never-created'])
  assert.equal(errors.get('never-created'), 'UNKNOWN_TOPIC_OR_PARTITION')
  const dropped = await talk.ask(deleteTopicsApi, { topics: [{ name: 'never-created' }], timeoutMs: 5_000 })
  assert.equal(errorName(dropped.responses[0]?.errorCode ?? 0), 'UNKNOWN_TOPIC_OR_PARTITION')
  const extended = await talk.ask(createPartitionsApi, {
    topics: [{ name: 'never-created', count: 5, assignments: null }],
    timeoutMs: 5_000,
  })
  assert.equal(errorName(extended.results[0]?.errorCode ?? 0), 'UNKNOWN_TOPIC_OR_PARTITION')
  const resources = [{ resourceType: topicResource, resourceName: 'never-created', configurationKeys: null }]
  const described = await talk.ask(describeConfigsApi, { resources })
  assert.equal(errorName(described.results[0]?.errorCode ?? 0), 'UNKNOWN_TOPIC_OR_PARTITION')
  const topicId = 'AbCdEfGhIjKlMnOpQrStUw'
  const topicData = [{ topicId, partitionData: [{ index: 0, records: batchOfValues(['a']) }] }]
  const produced = await talk.ask(produceApi, { acks: -1, timeoutMs: 5_000, topicData })
  assert.equal(errorName(produced.responses[0]?.partitionResponses[0]?.errorCode ?? 0), 'UNKNOWN_TOPIC_ID')
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1_000 }]
  const read = await talk.ask(fetchApi, { maxWaitMs: 0, minBytes: 0, topics: [{ topicId, partitions }] })
  assert.equal(errorName(read.responses[0]?.partitions[0]?.errorCode ?? 0), 'UNKNOWN_TOPIC_ID')
}

async function names(talk: KafkaTalk): Promise<void> {
  await each(
    illegalNames.map((topic) => ({ name: JSON.stringify(topic.slice(0, 20)), topic })),
    async ({ topic }) => {
      assert.equal(await talk.createTopic(topic), 'INVALID_TOPIC_EXCEPTION', 'CreateTopics')
      const errors = await talk.metadataErrors([topic], true)
      assert.equal(errors.get(topic), 'INVALID_TOPIC_EXCEPTION', 'Metadata')
    },
  )
  const longest = 'l'.repeat(249)
  for (let round = 0; round < 2; round++) {
    assert.equal(await talk.createTopic(longest, 2), 'NONE')
    assert.equal((await talk.produce(longest, 1, batchOfValues(['a']))).baseOffset, 0, `round ${round}`)
    assert.deepEqual(
      (await talk.readAll(longest, 1)).map(({ value }) => value),
      ['a'],
    )
    const dropped = await talk.ask(deleteTopicsApi, { topics: [{ name: longest }], timeoutMs: 10_000 })
    assert.equal(errorName(dropped.responses[0]?.errorCode ?? -1), 'NONE', 'DeleteTopics of 249 characters')
  }
  assert.equal(await talk.createTopic('with.dot'), 'NONE')
  assert.equal(await talk.createTopic('with_dot'), 'INVALID_TOPIC_EXCEPTION', 'a name that collides in metrics')
  assert.equal(await talk.createTopic('with.dot'), 'TOPIC_ALREADY_EXISTS')
}

async function impossibleTopics(talk: KafkaTalk): Promise<void> {
  const create = async (numPartitions: number, replicationFactor: number): Promise<string> => {
    const topics = [{ name: `impossible${numPartitions}`, numPartitions, replicationFactor }]
    const answer = await talk.ask(createTopicsApi, { topics, timeoutMs: 10_000 })
    return errorName(answer.topics[0]?.errorCode ?? -1)
  }
  assert.equal(await create(0, 1), 'INVALID_PARTITIONS')
  assert.equal(await create(-7, 1), 'INVALID_PARTITIONS')
  assert.notEqual(await create(0x7fff_ffff, 1), 'NONE')
  assert.notEqual(await create(1_000_000, 1), 'NONE')
  assert.equal(await create(3, 2), 'INVALID_REPLICATION_FACTOR')
  assert.equal(await create(3, 0), 'INVALID_REPLICATION_FACTOR')
  assert.equal(await talk.createTopic('configured', 1, { 'no.such.config': '1' }), 'INVALID_CONFIG')
  assert.equal(await talk.createTopic('configured', 1, { 'retention.ms': 'soon' }), 'INVALID_CONFIG')
  assert.equal(await talk.createTopic('configured', 1, { 'segment.bytes': '12' }), 'INVALID_CONFIG')
  assert.equal(await talk.createTopic('configured', 1, { 'cleanup.policy': 'shred' }), 'INVALID_CONFIG')
  assert.equal(await talk.createTopic('configured', 1, { __proto__: '1', constructor: '1' }), 'INVALID_CONFIG')
  const twice = { name: 'twice', numPartitions: 1, replicationFactor: 1 }
  const answer = await talk.ask(createTopicsApi, { topics: [twice, twice], timeoutMs: 10_000 })
  assert.deepEqual(new Set(answer.topics.map(({ errorCode }) => errorName(errorCode))), new Set(['INVALID_REQUEST']))
  const errors = await talk.metadataErrors(['impossible0', 'configured', 'twice'])
  assert.deepEqual(new Set(errors.values()), new Set(['UNKNOWN_TOPIC_OR_PARTITION']), 'nothing of it was created')
}

async function internalTopics(talk: KafkaTalk): Promise<void> {
  for (const name of [...internalNames, '__headwater_anything', '__transaction_state']) {
    const isThere = (await talk.metadataErrors([name])).get(name) === 'NONE'
    const refusal = isThere ? 'TOPIC_ALREADY_EXISTS' : 'INVALID_TOPIC_EXCEPTION'
    assert.equal(await talk.createTopic(name), refusal, `CreateTopics ${name}`)
    assert.notEqual((await talk.metadataErrors([name], true)).get(name), 'UNKNOWN_SERVER_ERROR', name)
  }
  await each(
    internalNames.map((name) => ({ name })),
    async ({ name }) => {
      const refused = (code: number | undefined, api: string): void =>
        assert.ok(
          [
            'INVALID_TOPIC_EXCEPTION',
            'TOPIC_AUTHORIZATION_FAILED',
            'UNKNOWN_TOPIC_OR_PARTITION',
            'INVALID_REQUEST',
          ].includes(errorName(code ?? 0)),
          `${api}: ${errorName(code ?? 0)}`,
        )
      const produced = await talk.produce(name, 0, batchOfValues(['poison']))
      assert.ok(
        ['INVALID_TOPIC_EXCEPTION', 'UNKNOWN_TOPIC_OR_PARTITION'].includes(produced.error),
        `Produce: ${produced.error}`,
      )
      const dropped = await talk.ask(deleteTopicsApi, { topics: [{ name }], timeoutMs: 5_000 })
      refused(dropped.responses[0]?.errorCode, 'DeleteTopics')
      const extended = await talk.ask(createPartitionsApi, {
        topics: [{ name, count: 50, assignments: null }],
        timeoutMs: 5_000,
      })
      refused(extended.results[0]?.errorCode, 'CreatePartitions')
      const emptied = await talk.ask(deleteRecordsApi, {
        topics: [{ name, partitions: [{ partitionIndex: 0, offset: -1 }] }],
        timeoutMs: 5_000,
      })
      refused(emptied.topics[0]?.partitions[0]?.errorCode, 'DeleteRecords')
      const configs = [{ name: 'retention.ms', value: '1' }]
      const altered = await talk.ask(alterConfigsApi, {
        resources: [{ resourceType: topicResource, resourceName: name, configs }],
      })
      refused(altered.responses[0]?.errorCode, 'AlterConfigs')
      const changed = await talk.ask(incrementalAlterConfigsApi, {
        resources: [
          {
            resourceType: topicResource,
            resourceName: name,
            configs: [{ name: 'retention.ms', configOperation: 0, value: '1' }],
          },
        ],
      })
      refused(changed.responses[0]?.errorCode, 'IncrementalAlterConfigs')
    },
  )
}
