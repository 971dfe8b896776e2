/**
 * The verbs of clients, for every door: append, fetch, offsets, topics. A facade: each verb's logic is in the file of its family.
 */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import type { Clock, Ports } from '../base/ports.ts'
import type { Cluster } from '../cluster/cluster.ts'
import type { BrokerSettings } from '../cluster/metadata/broker-config.ts'
import type { MetadataImage } from '../cluster/metadata/metadata-image.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import type { LogReadResult } from '../log/append.ts'
import type { Authorizer } from '../security/authorizer.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { FetchRequest, FetchResponseInput } from '../protocol/kafka/messages/fetch.ts'
import type { ProduceRequest, ProduceResponseInput } from '../protocol/kafka/messages/produce.ts'
import { type FetchCaller, type FetchParts, fetch } from './fetch.ts'
import { FetchSessionCache } from './fetch-session.ts'
import { type ProduceCaller, type ProduceParts, produce, type UnheardRefusal } from './produce.ts'
import { ProduceOrder } from './produce-order.ts'
import { ProducerIds } from './producer-ids.ts'
import type { InternalTopics } from './internal-topics.ts'
import type { TopicAdmin } from './topic-admin.ts'
import { type TurnAppend, TurnAppender } from './turn-append.ts'

export interface BrokerOptions {
  readonly cluster: Cluster
  readonly settings: BrokerSettings
  readonly ports: Ports
  readonly topics: TopicAdmin
  readonly internalTopics: InternalTopics
  /** Null or omitted: everybody may do everything. */
  readonly authorizer?: Authorizer | null
}

export class Broker {
  readonly clock: Clock
  readonly partitions: PartitionTable
  readonly image: MetadataImage
  readonly producerIds: ProducerIds
  readonly isInternal: (topic: string) => boolean
  readonly isReadable: (topic: string) => boolean
  readonly isServed: (topic: string) => boolean
  readonly #cluster: Cluster
  readonly #topics: TopicAdmin
  readonly #appender: TurnAppender
  readonly #fetchParts: FetchParts
  readonly #produceParts: ProduceParts

  constructor(options: BrokerOptions) {
    const { cluster, ports, settings } = options
    this.#cluster = cluster
    this.#topics = options.topics
    this.clock = ports.clock
    this.partitions = cluster.partitions
    this.image = cluster.image
    this.isInternal = (topic) => options.internalTopics.isInternal(topic)
    this.isReadable = (topic) => options.internalTopics.isReadable(topic)
    this.isServed = (topic) => options.internalTopics.isServed(topic)
    this.producerIds = new ProducerIds(cluster.controller)
    this.#appender = new TurnAppender({
      clock: ports.clock,
      compute: ports.compute,
      partitions: cluster.partitions,
      isInternal: this.isInternal,
    })
    this.#fetchParts = {
      clock: ports.clock,
      partitions: cluster.partitions,
      sessions: new FetchSessionCache(ports.entropy, () =>
        settings.number('max.incremental.fetch.session.cache.slots'),
      ),
      bytesMax: () => settings.number('fetch.max.bytes'),
      isServed: this.isServed,
      isForAdministrators: (topic) => options.internalTopics.isForAdministrators(topic),
      authorizer: options.authorizer ?? null,
    }
    this.#produceParts = {
      clock: ports.clock,
      compute: ports.compute,
      partitions: cluster.partitions,
      order: new ProduceOrder(),
      isInternal: this.isInternal,
    }
  }

  /** The set of small records of this turn of the loop (turn-append.ts). */
  turn(): TurnAppend {
    return this.#appender.turn()
  }

  /** Bytes of small records that are handed over and not settled. */
  get pendingBytes(): number {
    return this.#appender.pendingBytes
  }

  produce(
    request: ProduceRequest,
    caller: ProduceCaller,
  ): Promise<ProduceResponseInput | UnheardRefusal | null> | ProduceResponseInput | UnheardRefusal | null {
    return produce(request, caller, this.#produceParts)
  }

  fetch(request: FetchRequest, caller: FetchCaller): Promise<FetchResponseInput> {
    return fetch(request, caller, this.#fetchParts)
  }

  /** Partitions of a topic; undefined when there is no such topic. */
  topicPartitions(topic: string): number | undefined {
    return this.image.topic(topic)?.partitions.length
  }

  /** Those of a topic's partitions that are served, in their order. */
  partitionsOf(topic: string): Partition[] {
    const count = this.topicPartitions(topic) ?? 0
    return Array.from({ length: count }, (_each, index) => this.partitions.get(topic, index) ?? []).flat()
  }

  /** Calls back after topics came, went or grew; the answer ends it. */
  onTopicsChange(listener: () => void): () => void {
    return this.#cluster.onTopicsChange(listener)
  }

  /** Makes sure that a topic exists, by auto-creation within its bound; null = it does. */
  ensureTopic(name: string): Promise<KafkaErrorName | null> {
    return this.#topics.ensure(name)
  }

  /** Makes sure that an internal topic exists. Rejects when it cannot be created. */
  ensureInternalTopic(topic: string | InternalTopicDefinition): Promise<void> {
    return this.#topics.ensureInternal(topic)
  }

  /** Whole batches below the high watermark from memory; null = `readTailCold`. */
  readTail(partition: Partition, fromOffset: number, bytesMax: number): LogReadResult | null {
    return partition.log.readHot({ fromOffset, endOffset: partition.highWatermark, bytesMax, minOneBatch: true })
  }

  readTailCold(partition: Partition, fromOffset: number, bytesMax: number): Promise<LogReadResult> {
    return partition.log.read({ fromOffset, endOffset: partition.highWatermark, bytesMax, minOneBatch: true })
  }

  /** Whole batches below the durable end, for the mirror: what leaves the house must survive a power cut here. */
  readDurable(partition: Partition, fromOffset: number, bytesMax: number): Promise<LogReadResult> {
    const endOffset = Math.min(partition.log.durableEndOffset, partition.log.lastStableOffset)
    const request = { fromOffset, endOffset, bytesMax, minOneBatch: true }
    const hot = partition.log.readHot(request)
    return hot === null ? partition.log.read(request) : Promise.resolve(hot)
  }
}
