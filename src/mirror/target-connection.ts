/**
 * One connection to a broker of the central cluster, in the mirror's words: what it asks, and only the fields it looks at.
 *
 * Versions: whatever both sides know (KafkaClientConnection negotiates). Not used: transactions, fetch sessions.
 */
import type { Clock, ListenAddress, Net, OutboundTls } from '../base/ports.ts'
import {
  createPartitionsApi,
  createTopicsApi,
  describeConfigsApi,
  describeProducersApi,
  fetchApi,
  initProducerIdApi,
  listOffsetsApi,
  metadataApi,
  type KafkaApi,
  produceApi,
} from '../protocol/kafka/apis.ts'
import { KafkaClientConnection, type KafkaLogin, UnsupportedApiError } from '../protocol/kafka/client-connection.ts'
import { errorName, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { ActiveProducer, TargetBounds } from './resume.ts'

const configResourceTopic = 2
const timestampLatest = -1
const timestampEarliest = -2
/** What one answer of the central cluster may take; Metadata of 10,000 partitions is about 1 MiB. */
const frameBytesMax = 32 * 1024 * 1024
/** Bytes of the tail read back in one fetch. */
const tailFetchBytes = 2 * 1024 * 1024

export interface TargetConnectionOptions {
  readonly net: Net
  readonly clock: Clock
  readonly address: ListenAddress
  readonly clientId: string
  readonly connectTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly tls: OutboundTls | null
  readonly login: KafkaLogin | null
}

export interface TargetPartition {
  readonly error: KafkaErrorName
  /** Broker id, -1 while there is none. */
  readonly leaderId: number
}

export interface TargetTopic {
  readonly error: KafkaErrorName
  readonly topicId: string
  readonly partitions: readonly TargetPartition[]
}

export interface TargetMetadata {
  readonly brokers: ReadonlyMap<number, ListenAddress>
  readonly topics: ReadonlyMap<string, TargetTopic>
}

/** A refusal with the target's own words. */
export interface TargetAnswer {
  readonly error: KafkaErrorName
  readonly message: string | null
}

export interface TopicPartitionName {
  readonly topic: string
  readonly topicId: string
  readonly partition: number
}

export interface ProduceItem {
  readonly name: TopicPartitionName
  readonly batch: Uint8Array
}

export interface ProduceOutcome {
  readonly error: KafkaErrorName
  readonly message: string | null
  readonly baseOffset: number
}

export interface ProduceAnswers {
  /** In the order of the items. */
  readonly outcomes: readonly ProduceOutcome[]
  readonly throttleMs: number
}

export class TargetConnection {
  readonly address: string
  readonly #connection: KafkaClientConnection

  private constructor(connection: KafkaClientConnection, address: string) {
    this.#connection = connection
    this.address = address
  }

  /** Connects and learns the versions. Rejects with a NetError, ProtocolError or timeout. */
  static async open(options: TargetConnectionOptions): Promise<TargetConnection> {
    const connection = await KafkaClientConnection.open({ ...options, frameBytesMax })
    return new TargetConnection(connection, `${options.address.host}:${options.address.port}`)
  }

  onClose(listener: (error: Error | null) => void): void {
    this.#connection.onClose(listener)
  }

  close(): void {
    this.#connection.close()
  }

  async metadata(topics: readonly string[]): Promise<TargetMetadata> {
    const answer = await this.#connection.send(metadataApi, {
      topics: topics.map((name) => ({ name })),
      allowAutoTopicCreation: false,
    })
    const found = new Map<string, TargetTopic>()
    for (const topic of answer.topics) {
      if (topic.name === null) continue
      const partitions: TargetPartition[] = []
      for (const partition of topic.partitions) {
        partitions[partition.partitionIndex] = { error: errorName(partition.errorCode), leaderId: partition.leaderId }
      }
      found.set(topic.name, { error: errorName(topic.errorCode), topicId: topic.topicId, partitions })
    }
    return { brokers: new Map(answer.brokers.map((b) => [b.nodeId, { host: b.host, port: b.port }])), topics: found }
  }

  /** With the target's default replication factor. */
  async createTopic(name: string, partitions: number, timeoutMs: number): Promise<TargetAnswer> {
    const answer = await this.#connection.send(createTopicsApi, {
      topics: [{ name, numPartitions: partitions, replicationFactor: -1, assignments: [], configs: [] }],
      timeoutMs,
      validateOnly: false,
    })
    return answerOf(answer.topics[0])
  }

  async growTopic(name: string, partitions: number, timeoutMs: number): Promise<TargetAnswer> {
    const answer = await this.#connection.send(createPartitionsApi, {
      topics: [{ name, count: partitions, assignments: null }],
      timeoutMs,
      validateOnly: false,
    })
    return answerOf(answer.results[0])
  }

  /** max.message.bytes per topic, of those that we may ask for. */
  async batchLimits(topics: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (!this.#knows(describeConfigsApi)) return new Map()
    const answer = await this.#connection.send(describeConfigsApi, {
      resources: topics.map((resourceName) => ({
        resourceType: configResourceTopic,
        resourceName,
        configurationKeys: ['max.message.bytes'],
      })),
    })
    const limits = new Map<string, number>()
    for (const result of answer.results) {
      const value = Number(result.configs.find((config) => config.name === 'max.message.bytes')?.value ?? Number.NaN)
      if (result.errorCode === 0 && Number.isSafeInteger(value)) limits.set(result.resourceName, value)
    }
    return limits
  }

  /** A producer id that nobody has used, epoch 0. */
  async newProducerId(): Promise<{ readonly error: KafkaErrorName; readonly producerId: number }> {
    const answer = await this.#connection.send(initProducerIdApi, {
      transactionalId: null,
      transactionTimeoutMs: 60_000,
    })
    return { error: errorName(answer.errorCode), producerId: answer.producerId }
  }

  async bounds(name: TopicPartitionName): Promise<TargetBounds & { readonly error: KafkaErrorName }> {
    const at = async (timestamp: number): Promise<{ error: KafkaErrorName; offset: number }> => {
      const answer = await this.#connection.send(listOffsetsApi, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ name: name.topic, partitions: [{ partitionIndex: name.partition, timestamp }] }],
      })
      const partition = answer.topics[0]?.partitions[0]
      return { error: errorName(partition?.errorCode ?? -1), offset: partition?.offset ?? -1 }
    }
    const [start, end] = await Promise.all([at(timestampEarliest), at(timestampLatest)])
    return { error: start.error === 'NONE' ? end.error : start.error, startOffset: start.offset, endOffset: end.offset }
  }

  /** The producers that the leader of each partition remembers, in the order asked for. Null: it does not know the request. */
  async producers(names: readonly TopicPartitionName[]): Promise<readonly ProducersAnswer[] | null> {
    if (!this.#knows(describeProducersApi)) return null
    const answer = await this.#connection.send(describeProducersApi, {
      topics: [...groupByTopic(names)].map(([name, indexes]) => ({ name, partitionIndexes: indexes })),
    })
    const found = new Map<string, ProducersAnswer>()
    for (const topic of answer.topics) {
      for (const partition of topic.partitions) {
        found.set(`${topic.name}-${partition.partitionIndex}`, {
          error: errorName(partition.errorCode),
          producers: partition.activeProducers,
        })
      }
    }
    return names.map(
      (name) => found.get(`${name.topic}-${name.partition}`) ?? { error: 'UNKNOWN_SERVER_ERROR', producers: [] },
    )
  }

  /** Whole batches from the one that holds `fromOffset`. */
  async fetchTail(
    name: TopicPartitionName,
    fromOffset: number,
  ): Promise<{ readonly error: KafkaErrorName; readonly bytes: Uint8Array }> {
    const answer = await this.#connection.send(fetchApi, {
      replicaId: -1,
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: tailFetchBytes,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topic: name.topic,
          topicId: name.topicId,
          partitions: [{ partition: name.partition, fetchOffset: fromOffset, partitionMaxBytes: tailFetchBytes }],
        },
      ],
    })
    const partition = answer.responses[0]?.partitions[0]
    const error = answer.errorCode !== 0 ? answer.errorCode : (partition?.errorCode ?? -1)
    return { error: errorName(error), bytes: partition?.records ?? new Uint8Array(0) }
  }

  /** acks=-1; one batch per partition. Rejects when the connection ends or the answer does not come. */
  async produce(items: readonly ProduceItem[], timeoutMs: number): Promise<ProduceAnswers> {
    const topics = new Map<
      string,
      { name: string; topicId: string; partitionData: { index: number; records: Uint8Array }[] }
    >()
    for (const { name, batch } of items) {
      let topic = topics.get(name.topic)
      if (topic === undefined)
        topics.set(name.topic, (topic = { name: name.topic, topicId: name.topicId, partitionData: [] }))
      topic.partitionData.push({ index: name.partition, records: batch })
    }
    const answer = await this.#connection.send(produceApi, {
      transactionalId: null,
      acks: -1,
      timeoutMs,
      topicData: [...topics.values()],
    })
    const outcomes = new Map<string, ProduceOutcome>()
    for (const topic of answer.responses) {
      for (const partition of topic.partitionResponses) {
        const outcome = {
          error: errorName(partition.errorCode),
          message: partition.errorMessage,
          baseOffset: partition.baseOffset,
        }
        outcomes.set(`${topic.name}-${partition.index}`, outcome)
        outcomes.set(`${topic.topicId}-${partition.index}`, outcome)
      }
    }
    const missing: ProduceOutcome = {
      error: 'UNKNOWN_SERVER_ERROR',
      message: 'the answer leaves this partition out',
      baseOffset: -1,
    }
    return {
      outcomes: items.map(({ name }) => {
        return (
          outcomes.get(`${name.topic}-${name.partition}`) ??
          outcomes.get(`${name.topicId}-${name.partition}`) ??
          missing
        )
      }),
      throttleMs: answer.throttleTimeMs,
    }
  }

  #knows(api: KafkaApi): boolean {
    try {
      this.#connection.versionOf(api)
      return true
    } catch (thrown) {
      if (thrown instanceof UnsupportedApiError) return false
      throw thrown
    }
  }
}

export interface ProducersAnswer {
  readonly error: KafkaErrorName
  readonly producers: readonly ActiveProducer[]
}

function answerOf(row: { readonly errorCode: number; readonly errorMessage: string | null } | undefined): TargetAnswer {
  return { error: errorName(row?.errorCode ?? -1), message: row?.errorMessage ?? null }
}

function groupByTopic(names: readonly TopicPartitionName[]): Map<string, number[]> {
  const groups = new Map<string, number[]>()
  for (const name of names) {
    const indexes = groups.get(name.topic)
    if (indexes === undefined) groups.set(name.topic, [name.partition])
    else indexes.push(name.partition)
  }
  return groups
}
