/**
 * The cluster of one node: metadata replayed, partitions led. Opening it is the second step of a start, after the log directory:
 *
 * 1. the metadata log is opened (created on a new directory) and replayed into the image
 * 2. the epoch of this start begins, the broker is registered
 * 3. after an unclean stop every partition's leader epoch is raised, before anything can be appended; partitions that Apache Kafka has
 *    left without a leader get theirs back
 * 4. logs of deleted topics go; logs that metadata knows and the disk does not are created; strangers are left alone and told of
 */
import { ApplianceError } from '../base/errors.ts'
import { topicPartitionKey, uuidToString, zeroUuid } from '../base/ids.ts'
import { nextTurn } from '../base/next-turn.ts'
import type { Ports } from '../base/ports.ts'
import { defaultLogConfig } from '../log/log-config.ts'
import { logErrors } from '../log/log-errors.ts'
import type { LogDirectory } from '../log/log-directory.ts'
import type { MetadataRecord } from '../protocol/kafka/stored/metadata-record.ts'
import { clusterEvents } from './cluster-events.ts'
import { bootstrapName, bootstrapWrites, readBootstrap } from './metadata/bootstrap-file.ts'
import type { BrokerSettings } from './metadata/broker-config.ts'
import type { BrokerEndPoint } from './metadata/broker-end-point.ts'
import {
  type Decision,
  MetadataController,
  type TopicCreation,
  type TopicOutcome,
} from './metadata/metadata-controller.ts'
import { configResourceType, MetadataImage, type TopicImage } from './metadata/metadata-image.ts'
import { MetadataLog, metadataTopic, metadataTopicId } from './metadata/metadata-log.ts'
import type { NodeBudget } from './metadata/topic-budget.ts'
import { logConfigOf } from './metadata/topic-config.ts'
import { RecoveryHold } from './recovery-hold.ts'
import { Partition } from './partition/partition.ts'
import { PartitionTable } from './partition/partition-table.ts'

/** A partition that the disk had no room for is tried again this often. */
const serveAgainMs = 5_000

export interface ClusterOptions {
  readonly directory: LogDirectory
  readonly settings: BrokerSettings
  readonly ports: Ports
  /** Names of internal topics, Kafka's own included. */
  readonly isInternal: (topic: string) => boolean
  /** What the registration record names; clients are told by the listener they came in on. */
  readonly endPoints: readonly BrokerEndPoint[]
  /** What a new topic has to fit into; null = it is bounded by the number of partitions alone. */
  readonly budget?: () => NodeBudget | null
  /** What an internal topic is declared with; null = it is none of ours. */
  readonly configsOf?: (topic: string) => Readonly<Record<string, string>> | null
}

export class Cluster {
  readonly image: MetadataImage
  readonly partitions: PartitionTable
  readonly controller: MetadataController
  /** Why nothing is deleted at present. */
  readonly hold: RecoveryHold
  readonly #options: ClusterOptions
  readonly #metadata: MetadataLog
  readonly #topicListeners = new Set<() => void>()
  readonly #accessListeners = new Set<() => void>()
  /** Last command of each topic that has one under way, by name. Bound: a command is a request of a door. */
  readonly #topicTails = new Map<string, Promise<unknown>>()
  /** Topics that the disk had no room for. Bound: the topics of the image. */
  readonly #waitingTopics = new Set<string>()
  /** Partitions, by topic, whose place is taken by a log of another topic. */
  readonly #strangers = new Map<string, number[]>()
  #isStopped = false

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
    const wasEmpty = log.logEndOffset === 0
    const losses = await metadata.replay(({ record, offset }) => {
      image.replay(record, offset)
      if (record.type === 'RemoveTopicRecord') removed.add(record.value.topicId)
    })
    for (const loss of losses) ports.observer.event(clusterEvents.metadataLost, { ...loss })
    let lost: string | null = losses.length === 0 ? null : 'a part of the metadata log was lost'
    // A new directory has no logs; one that has some has lost the log that tells of them.
    if (wasEmpty && [...directory.logs.values()].some((each) => each !== log)) lost = 'the metadata log was gone'
    const cluster = new Cluster(options, metadata, image)
    await cluster.hold.open()
    // Durable before the log says anything again: a start that is killed from here on leaves one that does not look lost any more.
    if (lost !== null && cluster.hold.reason === null) await cluster.hold.begin(lost)
    await metadata.beginEpoch()
    await cluster.#start(removed, lost !== null)
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
      budget: options.budget ?? (() => null),
      segmentBytes: () => Number(options.settings.topicDefault('segment.bytes')),
      nextTurn: () => nextTurn(options.ports.clock),
    })
    const own = String(options.directory.nodeId)
    options.settings.useDynamic(
      (name) =>
        image.configs(configResourceType.broker, own).get(name) ??
        image.configs(configResourceType.broker, '').get(name),
    )
    this.hold = new RecoveryHold({
      ports: options.ports,
      stateDirectory: options.directory.stateDirectory,
      write: (operations, lane) => options.directory.tryAside(operations, lane),
      onChange: (isHeld) => options.directory.holdDeletion(isHeld),
    })
    options.directory.onFailure(() => {
      metadata.partition.fail('KAFKA_STORAGE_ERROR')
      for (const partition of this.partitions.values()) partition.fail('KAFKA_STORAGE_ERROR')
    })
  }

  /** Resolves when nothing of it is under way. */
  stop(): Promise<void> {
    this.#isStopped = true
    this.hold.stop()
    return this.controller.idle()
  }

  /** Calls back after topics came, went or grew; the answer ends it. */
  onTopicsChange(listener: () => void): () => void {
    this.#topicListeners.add(listener)
    return () => this.#topicListeners.delete(listener)
  }

  /** Calls back after users or entries have changed, before whoever changed them is answered. */
  onAccessChange(listener: () => void): void {
    this.#accessListeners.add(listener)
  }

  /** Changes users or access control entries. */
  async changeAccess<T>(decide: (image: MetadataImage) => Decision<T>): Promise<T> {
    try {
      return await this.controller.write(decide)
    } finally {
      for (const listener of this.#accessListeners) listener()
    }
  }

  /** Epoch of the registration of this start. */
  get brokerEpoch(): number {
    return this.image.broker(this.#options.directory.nodeId)?.brokerEpoch ?? -1
  }

  /** The listeners as the registration names them. */
  get endPoints(): readonly BrokerEndPoint[] {
    return this.#options.endPoints
  }

  /** The epoch of the metadata quorum. */
  get metadataEpoch(): number {
    return this.#metadata.epoch
  }

  /** End of the metadata log: it grows with every change of the cluster. */
  get metadataEndOffset(): number {
    return this.#metadata.partition.highWatermark
  }

  /** End of the metadata log with what is still being written. */
  get metadataLogEndOffset(): number {
    return this.#metadata.partition.log.logEndOffset
  }

  /** Creates a topic and its logs: it can be written to when this resolves. */
  createTopic(creation: TopicCreation, validateOnly = false): Promise<TopicOutcome> {
    return this.#inTopicTurn(creation.name, async () => {
      const taken = this.#takenFrom(creation.name, 0, Number.POSITIVE_INFINITY)
      if (taken !== null) return taken
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
      const taken = this.#takenFrom(name, this.image.topic(name)?.partitions.length ?? 0, count)
      if (taken !== null) return taken
      const outcome = await this.controller.createPartitions(name, count, assignments, validateOnly)
      if (outcome.kind === 'done' && !validateOnly) await this.#serve(outcome.topic)
      return outcome
    })
  }

  /** The refusal of partitions from `first` to below `end` that cannot be made because a log of another topic lies there. */
  #takenFrom(name: string, first: number, end: number): TopicOutcome | null {
    const partition = this.#strangers.get(name)?.find((each) => each >= first && each < end)
    if (partition === undefined) return null
    const folder = `${this.#options.directory.logDirectory}/${topicPartitionKey(name, partition)}`
    const message = `${folder} holds a log of another topic: move it away and start again`
    return { kind: 'refused', error: 'POLICY_VIOLATION', message }
  }

  /** Removes a topic: its waiters are told, its logs are out of service and will not come back when this resolves. */
  deleteTopic(topicId: string): Promise<TopicOutcome> {
    return this.#inTopicTurn(this.image.topicById(topicId)?.name ?? '', async () => {
      const { reason } = this.hold
      if (reason !== null) {
        const message = `${reason}: nothing is deleted until \`headwater recover confirm\``
        return { kind: 'refused', error: 'POLICY_VIOLATION', message }
      }
      const outcome = await this.controller.deleteTopic(topicId)
      if (outcome.kind !== 'done') return outcome
      const partitions = this.partitions.removeTopic(outcome.topic.name)
      for (const partition of partitions) partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
      this.#topicsChanged()
      await Promise.all(partitions.map((partition) => this.#options.directory.deleteLog(partition.log)))
      return outcome
    })
  }

  /** Makes the logs that a known topic lacks: its creation may have met a full disk. Rejects when they cannot be made. */
  serveTopic(name: string): Promise<void> {
    return this.#inTopicTurn(name, async () => {
      const topic = this.image.topic(name)
      if (topic !== undefined) await this.#serve(topic)
    })
  }

  /** Is the topic in the metadata, and a partition of it still being made? */
  isBeingMade({ name, partitions }: TopicImage): boolean {
    return (
      this.#topicTails.has(name) &&
      partitions.some(({ partition }) => this.partitions.get(name, partition) === undefined)
    )
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

  async #start(removed: ReadonlySet<string>, isLost: boolean): Promise<void> {
    const { directory, endPoints, ports } = this.#options
    const isHeld = this.hold.reason !== null
    const incarnationId = uuidToString(ports.entropy.bytes(16))
    const bootstrap = await this.#bootstrap(isHeld)
    await this.controller.registerBroker(endPoints, incarnationId, bootstrap.records)
    if (bootstrap.isMissing)
      await directory.tryAside(await bootstrapWrites(directory.logDirectory, this.image.features(), ports.clock))
    if (isHeld) await this.#rebuild(removed, isLost)
    await this.controller.takeLeadership(directory.wasClean ? 'leaderless' : 'all')
    // Before the others are served: a topic of the same name may have been created since.
    for (const log of [...directory.logs.values()]) if (removed.has(log.topicId)) await directory.deleteLog(log)
    for (const topic of this.image.topics()) await this.#serve(topic, true)
    this.#tellOpenTransactions()
    // A snapshot that cannot be written now is no reason not to serve.
    await this.controller.takeSnapshotIfDue(true).catch(() => {})
    for (const log of directory.logs.values()) {
      if (log.topic === metadataTopic || this.partitions.get(log.topic, log.partition)?.log === log) continue
      const { topicId } = log
      // An empty one that names no topic becomes that of the topic that is made.
      if (topicId !== zeroUuid || log.logEndOffset > 0)
        this.#strangers.set(log.topic, [...(this.#strangers.get(log.topic) ?? []), log.partition])
      ports.observer.event(clusterEvents.strangeLog, { log: topicPartitionKey(log.topic, log.partition), topicId })
    }
  }

  /** Nobody ends them here. */
  #tellOpenTransactions(): void {
    const open = [...this.partitions.values()].flatMap(({ log }) => {
      const offset = log.producers.firstUnstableOffset(log.highWatermark)
      return offset === null ? [] : [{ log: log.key, offset }]
    })
    const [first] = open
    if (first === undefined) return
    this.#options.ports.observer.event(clusterEvents.transactionsOpen, { partitions: open.length, ...first })
  }

  /** What the formatting of the directory gives to a metadata log that says nothing yet. */
  async #bootstrap(isLost: boolean): Promise<{ records: readonly MetadataRecord[]; isMissing: boolean }> {
    const { directory, ports } = this.#options
    const found = await readBootstrap(ports.disk, directory.logDirectory)
    if (typeof found === 'string')
      ports.observer.event(clusterEvents.snapshotIgnored, { file: bootstrapName, reason: found })
    const isNew = !this.image.features().has('metadata.version')
    const said = isNew && found !== null && typeof found !== 'string' ? found : []
    // When the log was lost, a credential that had been taken back since must not return.
    const records = isLost ? said.filter(({ type }) => type === 'FeatureLevelRecord') : said
    // Apache Kafka does not start with a damaged one.
    return { records, isMissing: found === null || typeof found === 'string' }
  }

  /** Gives the metadata what lies on the disk; again at each start until somebody has looked: the one before it may have been killed in it. */
  async #rebuild(removed: ReadonlySet<string>, isLost: boolean): Promise<void> {
    const { directory, ports, configsOf } = this.#options
    const logs = [...directory.logs.values()].filter((log) => log.topic !== metadataTopic && !removed.has(log.topicId))
    const found = logs.map((log) => ({
      topic: log.topic,
      partition: log.partition,
      topicId: log.topicId,
      latestLeaderEpoch: log.latestLeaderEpoch,
      maxProducerId: Math.max(-1, ...[...log.producers.entries()].map((producer) => producer.producerId)),
    }))
    const { topics, partitions } = await this.controller.rebuild(found, configsOf ?? (() => null))
    if (!isLost && topics + partitions === 0) return
    ports.observer.event(clusterEvents.metadataRebuilt, { topics, partitions })
    // From now on this is what the metadata says: the next start need not find the damage again.
    await this.controller.takeSnapshot('with what was lost').catch(() => {})
  }

  async #serve(topic: TopicImage, isStart = false): Promise<void> {
    const { directory } = this.#options
    const config = this.#logConfig(topic.name)
    const missing = topic.partitions.filter(({ partition }) => this.partitions.get(topic.name, partition) === undefined)
    const logs = await Promise.all(
      missing.map(({ partition }) => {
        const made = directory.createLog({ topic: topic.name, partition, topicId: topic.topicId, config })
        return isStart ? made.catch((thrown: unknown) => this.#unserved(topic.name, partition, thrown)) : made
      }),
    )
    logs.forEach((log, index) => {
      if (log === null) return
      const leaderEpoch = (missing[index] as (typeof missing)[number]).leaderEpoch
      if (log.latestLeaderEpoch < leaderEpoch) log.assignLeaderEpoch(leaderEpoch, log.logEndOffset)
      this.partitions.add(new Partition(log, leaderEpoch))
    })
    if (logs.length > 0) this.#topicsChanged()
  }

  /**
   * No reason not to start: a directory of another topic stands where a partition belongs, and is not ours to remove; or a partition
   * whose creation was cut short has no room, and is served when it has.
   */
  #unserved(topic: string, partition: number, thrown: unknown): null {
    if (!(thrown instanceof ApplianceError)) throw thrown
    if (thrown.code === logErrors.directoryFull.code) {
      this.#serveLater(topic)
      return null
    }
    if (thrown.code !== logErrors.topicIdDiffers.code) throw thrown
    const log = topicPartitionKey(topic, partition)
    this.#options.ports.observer.event(clusterEvents.logOfOther, { log, reason: thrown.message })
    return null
  }

  #serveLater(name: string): void {
    if (this.#isStopped || this.#waitingTopics.has(name)) return
    this.#waitingTopics.add(name)
    this.#options.ports.clock.schedule(serveAgainMs, () => {
      this.#waitingTopics.delete(name)
      if (this.#isStopped) return
      const served = this.#inTopicTurn(name, async () => {
        const topic = this.image.topic(name)
        if (topic !== undefined) await this.#serve(topic, true)
      })
      // The directory tells of its failures itself.
      served.catch(() => {})
    })
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

/** Retention never touches the metadata log: it is cut behind its snapshots, a segment at a time. */
const metadataLogConfig = {
  ...defaultLogConfig,
  retentionMs: -1,
  segmentBytes: 8_388_608,
  segmentMs: Number.POSITIVE_INFINITY,
  maxMessageBytes: 8_388_608,
}
