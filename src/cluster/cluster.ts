/**
 * The cluster of one node: metadata replayed, partitions led. Opening it is the second step of a start, after the log directory:
 *
 * 1. the metadata log is opened (created on a new directory) and replayed into the image
 * 2. the epoch of this start begins, the broker is registered
 * 3. after an unclean stop every partition's leader epoch is raised, before anything can be appended; partitions that Apache Kafka has
 *    left without a leader get theirs back
 * 4. logs of deleted topics go; logs that metadata knows and the disk does not are created; strangers are left alone and told of
 */
import { topicPartitionKey, uuidToString } from '../base/ids.ts'
import type { Ports } from '../base/ports.ts'
import { defaultLogConfig } from '../log/log-config.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import { clusterEvents } from './cluster-events.ts'
import type { BrokerSettings } from './metadata/broker-config.ts'
import { MetadataController, type TopicCreation, type TopicOutcome } from './metadata/metadata-controller.ts'
import { configResourceType, MetadataImage, type TopicImage } from './metadata/metadata-image.ts'
import { MetadataLog, metadataTopic, metadataTopicId } from './metadata/metadata-log.ts'
import { logConfigOf } from './metadata/topic-config.ts'
import { Partition } from './partition/partition.ts'
import { PartitionTable } from './partition/partition-table.ts'

export interface ClusterOptions {
  readonly directory: LogDirectory
  readonly settings: BrokerSettings
  readonly ports: Ports
  /** Names of internal topics, Kafka's own included. */
  readonly isInternal: (topic: string) => boolean
  /** What the registration record names; clients are told by the listener they came in on. */
  readonly endpoint: { readonly host: string; readonly port: number }
}

export class Cluster {
  readonly image: MetadataImage
  readonly partitions: PartitionTable
  readonly controller: MetadataController
  readonly #options: ClusterOptions
  readonly #metadata: MetadataLog
  readonly #topicListeners = new Set<() => void>()
  /** Last command of each topic that has one under way, by name. Bound: a command is a request of a door. */
  readonly #topicTails = new Map<string, Promise<unknown>>()

  static async open(options: ClusterOptions): Promise<Cluster> {
    const { directory, ports } = options
    const log = await directory.createLog({
      topic: metadataTopic,
      partition: 0,
      topicId: metadataTopicId,
      config: metadataLogConfig,
    })
    const metadata = new MetadataLog(directory, new Partition(log, 0), ports)
    const image = new MetadataImage()
    const removed = new Set<string>()
    await metadata.replay(({ record, offset }) => {
      image.replay(record, offset)
      if (record.type === 'RemoveTopicRecord') removed.add(record.value.topicId)
    })
    await metadata.beginEpoch()
    const cluster = new Cluster(options, metadata, image)
    await cluster.#start(removed)
    return cluster
  }

  private constructor(options: ClusterOptions, metadata: MetadataLog, image: MetadataImage) {
    this.#options = options
    this.#metadata = metadata
    this.image = image
    this.partitions = new PartitionTable(options.directory)
    this.controller = new MetadataController(metadata, image, options.ports.entropy, {
      nodeId: options.directory.nodeId,
      directoryId: options.directory.directoryId,
      defaultPartitions: () => options.settings.number('num.partitions'),
      isInternal: options.isInternal,
    })
    const own = String(options.directory.nodeId)
    options.settings.useDynamic(
      (name) =>
        image.configs(configResourceType.broker, own).get(name) ??
        image.configs(configResourceType.broker, '').get(name),
    )
    options.directory.onFailure(() => {
      metadata.partition.fail('KAFKA_STORAGE_ERROR')
      for (const partition of this.partitions.values()) partition.fail('KAFKA_STORAGE_ERROR')
    })
  }

  /** Calls back after topics came, went or grew; the answer ends it. */
  onTopicsChange(listener: () => void): () => void {
    this.#topicListeners.add(listener)
    return () => this.#topicListeners.delete(listener)
  }

  /** Epoch of the registration of this start. */
  get brokerEpoch(): number {
    return this.image.broker(this.#options.directory.nodeId)?.brokerEpoch ?? -1
  }

  /** The epoch of the metadata quorum. */
  get metadataEpoch(): number {
    return this.#metadata.epoch
  }

  /** End of the metadata log: it grows with every change of the cluster. */
  get metadataEndOffset(): number {
    return this.#metadata.partition.highWatermark
  }

  /** Creates a topic and its logs: it can be written to when this resolves. */
  createTopic(creation: TopicCreation, validateOnly = false): Promise<TopicOutcome> {
    return this.#inTopicTurn(creation.name, async () => {
      const outcome = await this.controller.createTopic(creation, validateOnly)
      if (outcome.kind === 'done' && !validateOnly) await this.#serve(outcome.topic)
      return outcome
    })
  }

  /** Grows a topic to `count` partitions; the new ones can be written to when this resolves. */
  createPartitions(
    name: string,
    count: number,
    assignments: readonly (readonly number[])[] | null,
    validateOnly: boolean,
  ): Promise<TopicOutcome> {
    return this.#inTopicTurn(name, async () => {
      const outcome = await this.controller.createPartitions(name, count, assignments, validateOnly)
      if (outcome.kind === 'done' && !validateOnly) await this.#serve(outcome.topic)
      return outcome
    })
  }

  /** Removes a topic: its waiters are told, its logs are out of service and will not come back when this resolves. */
  deleteTopic(topicId: string): Promise<TopicOutcome> {
    return this.#inTopicTurn(this.image.topicById(topicId)?.name ?? '', async () => {
      const outcome = await this.controller.deleteTopic(topicId)
      if (outcome.kind !== 'done') return outcome
      const partitions = this.partitions.removeTopic(outcome.topic.name)
      for (const partition of partitions) partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
      this.#topicsChanged()
      await Promise.all(partitions.map((partition) => this.#options.directory.deleteLog(partition.log)))
      return outcome
    })
  }

  /** Gives every log the settings that are in force now: after a change of configs. */
  applyConfigs(): void {
    for (const topic of this.image.topics()) {
      const config = this.#logConfig(topic.name)
      for (const partition of this.partitions.ofTopic(topic.name) ?? []) partition.log.updateConfig(config)
    }
  }

  /**
   * Commands on one topic run one after the other, logs included: a delete that overtook the creation of the logs would leave logs
   * that belong to nothing, and a creation that overtook the removal of the old ones would meet them.
   */
  #inTopicTurn<T>(name: string, command: () => Promise<T>): Promise<T> {
    const result = (this.#topicTails.get(name) ?? Promise.resolve()).then(command)
    const tail = result
      .catch(() => {})
      .then(() => {
        if (this.#topicTails.get(name) === tail) this.#topicTails.delete(name)
      })
    this.#topicTails.set(name, tail)
    return result
  }

  async #start(removed: ReadonlySet<string>): Promise<void> {
    const { directory, endpoint, ports } = this.#options
    await this.controller.registerBroker(endpoint, uuidToString(ports.entropy.bytes(16)))
    await this.controller.takeLeadership(directory.wasClean ? 'leaderless' : 'all')
    // Before the others are served: a topic of the same name may have been created since.
    for (const log of [...directory.logs.values()]) if (removed.has(log.topicId)) await directory.deleteLog(log)
    for (const topic of this.image.topics()) await this.#serve(topic)
    for (const log of directory.logs.values()) {
      if (log.topic === metadataTopic || this.partitions.get(log.topic, log.partition)?.log === log) continue
      const { topicId } = log
      ports.observer.event(clusterEvents.strangeLog, { log: topicPartitionKey(log.topic, log.partition), topicId })
    }
  }

  async #serve(topic: TopicImage): Promise<void> {
    const config = this.#logConfig(topic.name)
    const missing = topic.partitions.filter(({ partition }) => this.partitions.get(topic.name, partition) === undefined)
    const logs = await Promise.all(
      missing.map(({ partition }) =>
        this.#options.directory.createLog({ topic: topic.name, partition, topicId: topic.topicId, config }),
      ),
    )
    logs.forEach((log, index) => {
      const leaderEpoch = (missing[index] as (typeof missing)[number]).leaderEpoch
      if (log.latestLeaderEpoch < leaderEpoch) log.assignLeaderEpoch(leaderEpoch, log.logEndOffset)
      this.partitions.add(new Partition(log, leaderEpoch))
    })
    if (logs.length > 0) this.#topicsChanged()
  }

  #logConfig(topic: string): ReturnType<typeof logConfigOf> {
    return logConfigOf(this.image.configs(configResourceType.topic, topic), (name) =>
      this.#options.settings.topicDefault(name),
    )
  }

  #topicsChanged(): void {
    for (const listener of [...this.#topicListeners]) listener()
  }
}

/** The metadata log is kept whole until snapshots exist: retention never touches it. */
const metadataLogConfig = {
  ...defaultLogConfig,
  retentionMs: -1,
  segmentMs: Number.POSITIVE_INFINITY,
  maxMessageBytes: 8_388_608,
}
