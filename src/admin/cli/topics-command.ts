/** `headwater topics`: list, create, describe, delete, alter, as a Kafka client. */
import { ApplianceError } from '../../base/errors.ts'
import {
  createPartitionsApi,
  createTopicsApi,
  deleteTopicsApi,
  describeConfigsApi,
  incrementalAlterConfigsApi,
} from '../../protocol/kafka/apis.ts'
import { cliErrors } from './cli-errors.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'
import { earliestTimestamp, latestTimestamp } from './offset-timestamps.ts'
import { listOffsets } from './offsets.ts'
import { formatFacts, formatTable, print, printResult } from './output.ts'

const requestMs = 30_000
/** ConfigResource.Type.TOPIC. */
const topicResource = 2
/** ConfigSource.DYNAMIC_TOPIC_CONFIG: set on the topic itself. */
const ownConfigSource = 1
const setOperation = 0
const deleteOperation = 1

export async function listTopics(
  client: KafkaClient,
  options: { readonly json: boolean; readonly internal: boolean },
): Promise<void> {
  const metadata = await client.metadata(null)
  const topics = metadata.topics
    .filter((topic) => options.internal || !topic.isInternal)
    .map((topic) => ({ name: topic.name ?? '', partitions: topic.partitions.length, isInternal: topic.isInternal }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
  printResult(topics, options.json, () =>
    topics.length === 0
      ? 'no topics'
      : formatTable(
          ['TOPIC', 'PARTITIONS'],
          topics.map(({ name, partitions }) => [name, partitions]),
        ),
  )
}

export interface TopicCreation {
  /** -1 = the broker's default. */
  readonly partitions: number
  readonly replicationFactor: number
  readonly configs: ReadonlyMap<string, string>
}

export async function createTopic(
  client: KafkaClient,
  name: string,
  creation: TopicCreation,
  json: boolean,
): Promise<void> {
  const configs = [...creation.configs].map(([key, value]) => ({ name: key, value }))
  const { partitions, replicationFactor } = creation
  const response = await client.ask(createTopicsApi, {
    topics: [{ name, numPartitions: partitions, replicationFactor, configs }],
    timeoutMs: requestMs,
  })
  const outcome = response.topics[0]
  refuseError('CreateTopics', outcome?.errorCode ?? 0, outcome?.errorMessage)
  const created = { name, partitions: outcome?.numPartitions ?? partitions, topicId: outcome?.topicId ?? null }
  printResult(created, json, () => `created ${name} with ${created.partitions} partitions`)
}

export async function deleteTopics(client: KafkaClient, names: readonly string[], json: boolean): Promise<void> {
  const response = await client.ask(deleteTopicsApi, {
    topics: names.map((name) => ({ name })),
    timeoutMs: requestMs,
  })
  for (const outcome of response.responses)
    refuseError(`DeleteTopics of ${outcome.name ?? ''}`, outcome.errorCode, outcome.errorMessage)
  printResult({ deleted: names }, json, () => `deleted ${names.join(', ')}`)
}

export async function describeTopic(client: KafkaClient, name: string, json: boolean): Promise<void> {
  const metadata = await client.metadata([name])
  const topic = metadata.topics[0]
  refuseError(`Metadata of ${name}`, topic?.errorCode ?? 0)
  if (topic === undefined) return
  const places = topic.partitions.map(({ partitionIndex, leaderId }) => ({
    topic: name,
    partition: partitionIndex,
    leaderId,
  }))
  // Of a topic that this client may not read, or a partition that is not served, the rest is told.
  const refused = new Map<string, string>()
  const starts = await listOffsets(client, places, earliestTimestamp, refused)
  const ends = await listOffsets(client, places, latestTimestamp, refused)
  const partitions = topic.partitions
    .map((partition) => ({
      partition: partition.partitionIndex,
      leader: partition.leaderId,
      leaderEpoch: partition.leaderEpoch,
      replicas: partition.replicaNodes,
      inSync: partition.isrNodes,
      startOffset: starts.get(`${name}-${partition.partitionIndex}`) ?? null,
      endOffset: ends.get(`${name}-${partition.partitionIndex}`) ?? null,
      offsetsError: refused.get(`${name}-${partition.partitionIndex}`) ?? null,
    }))
    .sort((one, other) => one.partition - other.partition)
  const configs = await ownConfigs(client, name)
  const description = {
    name,
    topicId: topic.topicId,
    isInternal: topic.isInternal,
    configs: Object.fromEntries(configs),
    partitions,
  }
  printResult(description, json, () => {
    const facts = formatFacts([
      ['topic', name],
      ['id', topic.topicId],
      ['configs', configs.size === 0 ? '-' : [...configs].map(([key, value]) => `${key}=${value}`).join(' ')],
    ])
    const rows = partitions.map((row) => [
      row.partition,
      row.leader,
      row.leaderEpoch,
      row.startOffset ?? '-',
      row.endOffset ?? '-',
      row.inSync.join(','),
    ])
    const told = [...refused].map(([key, error]) => `\noffsets of ${key}: ${error}`).join('')
    return `${facts}\n\n${formatTable(['PARTITION', 'LEADER', 'EPOCH', 'START', 'END', 'IN SYNC'], rows)}${told}`
  })
}

/** The configs that were set on the topic itself. */
async function ownConfigs(client: KafkaClient, name: string): Promise<Map<string, string>> {
  const response = await client.ask(describeConfigsApi, {
    resources: [{ resourceType: topicResource, resourceName: name, configurationKeys: null }],
  })
  const result = response.results[0]
  refuseError('DescribeConfigs', result?.errorCode ?? 0, result?.errorMessage)
  const own = result?.configs.filter((config) => config.configSource === ownConfigSource) ?? []
  return new Map(own.map((config) => [config.name, config.value ?? '']))
}

export interface TopicAlteration {
  /** New number of partitions; null = as it is. */
  readonly partitions: number | null
  readonly set: ReadonlyMap<string, string>
  readonly remove: readonly string[]
}

export async function alterTopic(
  client: KafkaClient,
  name: string,
  alteration: TopicAlteration,
  json: boolean,
): Promise<void> {
  const { partitions, set, remove } = alteration
  if (partitions === null && set.size === 0 && remove.length === 0) {
    throw new ApplianceError(cliErrors.valueInvalid, {
      name: 'topics alter',
      detail: 'nothing to alter: name --partitions, --config or --remove-config',
    })
  }
  if (set.size > 0 || remove.length > 0) await alterConfigs(client, name, set, remove)
  if (partitions !== null) {
    const response = await client.ask(createPartitionsApi, {
      topics: [{ name, count: partitions, assignments: null }],
      timeoutMs: requestMs,
      validateOnly: false,
    })
    refuseError('CreatePartitions', response.results[0]?.errorCode ?? 0, response.results[0]?.errorMessage)
  }
  if (json) print(JSON.stringify({ altered: name, partitions, set: Object.fromEntries(set), removed: remove }))
  else print(`altered ${name}`)
}

async function alterConfigs(
  client: KafkaClient,
  name: string,
  set: ReadonlyMap<string, string>,
  remove: readonly string[],
): Promise<void> {
  const configs = [
    ...[...set].map(([key, value]) => ({ name: key, configOperation: setOperation, value })),
    ...remove.map((key) => ({ name: key, configOperation: deleteOperation, value: null })),
  ]
  const response = await client.ask(incrementalAlterConfigsApi, {
    resources: [{ resourceType: topicResource, resourceName: name, configs }],
    validateOnly: false,
  })
  const outcome = response.responses[0]
  refuseError('IncrementalAlterConfigs', outcome?.errorCode ?? 0, outcome?.errorMessage)
}
