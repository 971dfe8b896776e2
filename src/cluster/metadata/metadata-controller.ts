/**
 * Decides changes of the cluster's metadata: a command becomes records, the records are appended, and only when they are durable are
 * they replayed into the image. Commands run one after the other, so that each decides on what the one before has done.
 */
import { uuidToString, zeroUuid } from '../../base/ids.ts'
import type { Entropy } from '../../base/ports.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import {
  decodeMetadataRecord,
  encodeMetadataRecord,
  type MetadataRecordInput,
} from '../../protocol/kafka/stored/metadata-record.ts'
import type { BrokerEndPoint } from './broker-end-point.ts'
import { configResourceType, type MetadataImage, type TopicImage } from './metadata-image.ts'
import { type FoundLog, type Rebuild, rebuildMetadata, type RebuildOptions } from './metadata-rebuild.ts'
import { budgetFault, type NodeBudget, RetainedBytes } from './topic-budget.ts'
import type { MetadataLog } from './metadata-log.ts'
import { topicNameFault } from './topic-names.ts'
import { type ConfigOwner, topicConfigFault } from './topic-config.ts'

/** metadata.version of Apache Kafka 4.1 (4.1-IV1). */
export const metadataVersionLevel = 27
const partitionRecordVersion = 2
const registerBrokerRecordVersion = 3
/** Producer ids handed out between two records. */
const producerIdBlock = 1000
/** Partitions of one topic, and of the node: each costs files, memory and start time. */
const partitionsPerTopicMax = 10_000
const partitionsMax = 20_000
/** Records of one batch, below the largest batch that a log takes. */
const recordsPerBatchMax = 4_000
/** Commands decided in one turn of the loop: some milliseconds. */
const commandsPerTurn = 32

export interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string
}

export interface TopicCreation {
  readonly name: string
  /** -1 = the node's default. */
  readonly partitions: number
  /** -1 = the node's default. */
  readonly replicationFactor: number
  readonly assignments: readonly { readonly partitionIndex: number; readonly brokerIds: readonly number[] }[]
  readonly configs: ReadonlyMap<string, string | null>
  readonly owner: ConfigOwner
}

export type TopicOutcome =
  | { readonly kind: 'done'; readonly topic: TopicImage }
  | ({ readonly kind: 'refused' } & Refusal)

/** One setting to be set, or (null) to be taken back. */
export interface ConfigChange {
  readonly type: number
  readonly name: string
  readonly key: string
  readonly value: string | null
}

/** Records to write, and what to answer when they are. */
export interface Decision<T> {
  readonly records: readonly MetadataRecordInput[]
  readonly answer: T
}

export interface ControllerOptions {
  readonly nodeId: number
  readonly directoryId: string
  readonly defaultPartitions: () => number
  readonly isInternal: (topic: string) => boolean
  readonly budget: () => NodeBudget | null
  /** The node's default of segment.bytes. */
  readonly segmentBytes: () => number
  /** Resolves when the loop has served others. */
  readonly nextTurn: () => Promise<void>
}

export class MetadataController {
  readonly image: MetadataImage
  readonly #log: MetadataLog
  readonly #entropy: Entropy
  readonly #options: ControllerOptions
  #tail: Promise<unknown> = Promise.resolve()
  #isSnapshotWanted = false
  #commandsOfTurn = 0
  readonly #retained: RetainedBytes

  constructor(log: MetadataLog, image: MetadataImage, entropy: Entropy, options: ControllerOptions) {
    this.#log = log
    this.image = image
    this.#entropy = entropy
    this.#options = options
    this.#retained = new RetainedBytes(image, options.segmentBytes)
  }

  /** Registers this start of the broker; on a new log also the finalised features, behind what `bootstrap` says. */
  async registerBroker(
    endPoints: readonly BrokerEndPoint[],
    incarnationId: string,
    bootstrap: readonly MetadataRecordInput[] = [],
  ): Promise<void> {
    await this.#inTurn(async () => {
      const records = bootstrap.filter(({ type }) => type === 'FeatureLevelRecord')
      // The features say that there is nothing more to take over: they come last.
      await this.#commitAll(bootstrap.filter((record) => !records.includes(record)))
      const isFinalised = records.some(
        ({ type, value }) => type === 'FeatureLevelRecord' && value.name === 'metadata.version',
      )
      if (!isFinalised && !this.image.features().has('metadata.version')) {
        records.push({
          type: 'FeatureLevelRecord',
          version: 0,
          value: { name: 'metadata.version', featureLevel: metadataVersionLevel },
        })
      }
      records.push({
        type: 'RegisterBrokerRecord',
        version: registerBrokerRecordVersion,
        value: {
          brokerId: this.#options.nodeId,
          incarnationId,
          brokerEpoch: this.#log.partition.log.logEndOffset + records.length,
          endPoints,
          features: [
            { name: 'metadata.version', minSupportedVersion: 7, maxSupportedVersion: metadataVersionLevel },
            { name: 'kraft.version', minSupportedVersion: 0, maxSupportedVersion: 1 },
          ],
          fenced: false,
          // Kafka's own default of the field is the empty string, which clients would be shown as a rack.
          rack: null,
          logDirs: [this.#options.directoryId],
        },
      })
      await this.#commit(records)
    })
  }

  /**
   * Names this node as the leader of partitions, which raises their leader epoch: of all after an unclean stop, else of those that
   * have none. (Apache Kafka takes its leadership back when it stops.)
   */
  async takeLeadership(which: 'all' | 'leaderless'): Promise<void> {
    const { nodeId } = this.#options
    await this.#inTurn(async () => {
      const records: MetadataRecordInput[] = []
      for (const topic of this.image.topics()) {
        for (const { partition, leader, isr, replicas } of topic.partitions) {
          if ((which === 'leaderless' && leader === nodeId) || !replicas.includes(nodeId)) continue
          const value = { partitionId: partition, topicId: topic.topicId, leader: nodeId }
          records.push({
            type: 'PartitionChangeRecord',
            version: 2,
            value: isr.includes(nodeId) ? value : { ...value, isr: [nodeId] },
          })
        }
      }
      await this.#commitAll(records)
    })
  }

  /** Creates a topic, or (validateOnly) says whether it could be created. Durable in the metadata log when it resolves. */
  createTopic(creation: TopicCreation, validateOnly = false): Promise<TopicOutcome> {
    return this.#inTurn(async () => {
      const refusal = this.#topicFault(creation)
      if (refusal !== null) return { kind: 'refused', ...refusal }
      const count = this.#partitionCountOf(creation)
      const topic = this.#newTopic(creation.name, count)
      if (!validateOnly) {
        const records: MetadataRecordInput[] = [
          { type: 'TopicRecord', version: 0, value: { name: topic.name, topicId: topic.topicId } },
        ]
        for (const [key, value] of creation.configs) {
          if (value === null) continue
          records.push({
            type: 'ConfigRecord',
            version: 0,
            value: { resourceType: configResourceType.topic, resourceName: topic.name, name: key, value },
          })
        }
        for (let index = 0; index < count; index++) records.push(this.#partitionRecord(topic.topicId, index))
        await this.#commit(records)
      }
      return { kind: 'done', topic: this.image.topic(creation.name) ?? topic }
    })
  }

  /** Grows a topic to `count` partitions. */
  createPartitions(
    name: string,
    count: number,
    assignments: readonly (readonly number[])[] | null,
    validateOnly: boolean,
  ): Promise<TopicOutcome> {
    return this.#inTurn(async () => {
      const topic = this.image.topic(name)
      if (topic === undefined)
        return refused('UNKNOWN_TOPIC_OR_PARTITION', 'This server does not host this topic-partition.')
      const before = topic.partitions.length
      if (count <= before) {
        const why = `Topic already has ${before} partition(s).`
        const less = `The topic ${name} currently has ${before} partition(s); ${count} would not be an increase.`
        return refused('INVALID_PARTITIONS', count === before ? why : less)
      }
      if (count > partitionsPerTopicMax || this.image.partitionCount + count - before > partitionsMax) {
        return refused(
          'POLICY_VIOLATION',
          `a topic may have ${partitionsPerTopicMax} partitions, this node ${partitionsMax}`,
        )
      }
      const tooMuch = this.#budgetRefusal(count - before, this.image.configs(configResourceType.topic, name))
      if (tooMuch !== null) return { kind: 'refused', ...tooMuch }
      if (assignments !== null) {
        if (assignments.length !== count - before) {
          return refused(
            'INVALID_REPLICA_ASSIGNMENT',
            `Attempted to add ${count - before} additional partition(s), but only ${assignments.length} assignment(s) were specified.`,
          )
        }
        if (assignments.some((brokers) => !this.#isOwnReplica(brokers)))
          return refused('INVALID_REPLICA_ASSIGNMENT', this.#assignmentText())
      }
      if (!validateOnly) {
        const records: MetadataRecordInput[] = []
        for (let index = before; index < count; index++) records.push(this.#partitionRecord(topic.topicId, index))
        await this.#commit(records)
      }
      return { kind: 'done', topic: this.image.topic(name) ?? topic }
    })
  }

  /** Removes a topic; its logs are the cluster's to delete. */
  deleteTopic(topicId: string): Promise<TopicOutcome> {
    return this.#inTurn(async () => {
      const topic = this.image.topicById(topicId)
      if (topic === undefined) return refused('UNKNOWN_TOPIC_ID', 'This server does not host this topic ID.')
      await this.#commit([{ type: 'RemoveTopicRecord', version: 0, value: { topicId } }])
      return { kind: 'done', topic }
    })
  }

  /** Writes changes of configs, all or none; the caller has checked the values. */
  alterConfigs(decide: (image: MetadataImage) => readonly ConfigChange[]): Promise<void> {
    return this.#inTurn(async () => {
      const changes = decide(this.image).filter(
        ({ type, name, key, value }) => (this.image.configs(type, name).get(key) ?? null) !== value,
      )
      if (changes.length === 0) return
      await this.#commit(
        changes.map(({ type, name, key, value }) => ({
          type: 'ConfigRecord',
          version: 0,
          value: { resourceType: type, resourceName: name, name: key, value },
        })),
      )
    })
  }

  /**
   * Writes what `decide` finds right; it sees the image that every earlier command has left. Resolves with its
   * answer when the records are durable and in the image.
   */
  write<T>(decide: (image: MetadataImage) => Decision<T>): Promise<T> {
    return this.#inTurn(async () => {
      const { records, answer } = decide(this.image)
      for (let from = 0; from < records.length; from += recordsPerBatchMax)
        await this.#commit(records.slice(from, from + recordsPerBatchMax))
      return answer
    })
  }

  /** A block of producer ids that nobody has been given, durable before it is answered. */
  allocateProducerIds(): Promise<{ readonly first: number; readonly count: number }> {
    return this.#inTurn(async () => {
      const first = this.image.nextProducerId
      const brokerEpoch = this.image.broker(this.#options.nodeId)?.brokerEpoch ?? -1
      await this.#commit([
        {
          type: 'ProducerIdsRecord',
          version: 0,
          value: { brokerId: this.#options.nodeId, brokerEpoch, nextProducerId: first + producerIdBlock },
        },
      ])
      return { first, count: producerIdBlock }
    })
  }

  /** Writes what a rebuild of the metadata has found; answers what that was. */
  rebuild(logs: readonly FoundLog[], configsOf: RebuildOptions['configsOf']): Promise<Rebuild> {
    return this.#inTurn(async () => {
      const { nodeId, directoryId } = this.#options
      const options = { nodeId, directoryId, configsOf, freshTopicId: () => this.#freshTopicId() }
      const rebuild = rebuildMetadata(this.image, logs, options)
      await this.#commitAll(rebuild.records)
      return rebuild
    })
  }

  /** A snapshot of the metadata when it is time for one: of a start, or of any later moment. */
  takeSnapshotIfDue(isStart: boolean): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#log.isSnapshotDue(isStart)) await this.#log.takeSnapshot('if whole')
    })
  }

  /** A snapshot now. `with what was lost`: what was lost has been made good as far as it can be. */
  takeSnapshot(which: 'if whole' | 'with what was lost'): Promise<void> {
    return this.#inTurn(() => this.#log.takeSnapshot(which))
  }

  /** Resolves when every command so far is done. */
  async idle(): Promise<void> {
    await this.#tail
  }

  async #commitAll(records: readonly MetadataRecordInput[]): Promise<void> {
    for (let from = 0; from < records.length; from += recordsPerBatchMax)
      await this.#commit(records.slice(from, from + recordsPerBatchMax))
  }

  #inTurn<T>(command: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => (this.#isTurnOver() ? this.#options.nextTurn().then(command) : command()))
    this.#tail = result.catch(() => {})
    return result
  }

  /** Commands that write nothing come one right after the other: the loop has others to serve in between. */
  #isTurnOver(): boolean {
    this.#commandsOfTurn = (this.#commandsOfTurn + 1) % commandsPerTurn
    return this.#commandsOfTurn === 0
  }

  async #commit(records: readonly MetadataRecordInput[]): Promise<void> {
    const first = await this.#log.append(records)
    records.forEach((record, index) => {
      // Through the codec, so that the image is what the next start will read.
      this.image.replay(decodeMetadataRecord(encodeMetadataRecord(record)), first + index)
    })
    this.#snapshotLater()
  }

  /** Behind the command that runs, and no command waits for it longer than it takes. */
  #snapshotLater(): void {
    if (this.#isSnapshotWanted || !this.#log.isSnapshotDue(false)) return
    this.#isSnapshotWanted = true
    this.takeSnapshotIfDue(false)
      // The log itself is as it was: the next record tries again, and a failed disk has its own event.
      .catch(() => {})
      .finally(() => {
        this.#isSnapshotWanted = false
      })
  }

  #topicFault(creation: TopicCreation): Refusal | null {
    const { name, assignments } = creation
    const fault = topicNameFault(name)
    if (fault !== null) return { error: 'INVALID_TOPIC_EXCEPTION', message: `Topic name is invalid: ${fault}` }
    if (this.image.topic(name) !== undefined)
      return { error: 'TOPIC_ALREADY_EXISTS', message: `Topic '${name}' already exists.` }
    if (creation.owner === 'client' && this.#options.isInternal(name)) {
      return { error: 'INVALID_TOPIC_EXCEPTION', message: `${name} is an internal topic of this node` }
    }
    const twin = this.image.twinOf(name)
    if (twin !== undefined)
      return { error: 'INVALID_TOPIC_EXCEPTION', message: `Topic '${name}' collides with existing topic: ${twin}` }
    if (assignments.length > 0) {
      if (creation.partitions !== -1 || creation.replicationFactor !== -1) {
        return {
          error: 'INVALID_REQUEST',
          message:
            'A manual partition assignment was specified, but numPartitions or replicationFactor was not set to -1.',
        }
      }
      const indexes = assignments.map((each) => each.partitionIndex).toSorted((a, b) => a - b)
      if (
        indexes.some((index, place) => index !== place) ||
        assignments.some((each) => !this.#isOwnReplica(each.brokerIds))
      ) {
        return { error: 'INVALID_REPLICA_ASSIGNMENT', message: this.#assignmentText() }
      }
    } else {
      if (creation.replicationFactor === 0 || creation.replicationFactor < -1) {
        return {
          error: 'INVALID_REPLICATION_FACTOR',
          message: 'Replication factor must be larger than 0, or -1 to use the default value.',
        }
      }
      if (creation.replicationFactor > 1) {
        return {
          error: 'INVALID_REPLICATION_FACTOR',
          message: `Unable to replicate the partition ${creation.replicationFactor} time(s): The target replication factor of ${creation.replicationFactor} cannot be reached because only 1 broker(s) are registered.`,
        }
      }
      if (creation.partitions === 0 || creation.partitions < -1) {
        return {
          error: 'INVALID_PARTITIONS',
          message: 'Number of partitions was set to an invalid non-positive value.',
        }
      }
    }
    const count = this.#partitionCountOf(creation)
    if (count > partitionsPerTopicMax || this.image.partitionCount + count > partitionsMax) {
      return {
        error: 'POLICY_VIOLATION',
        message: `a topic may have ${partitionsPerTopicMax} partitions, this node ${partitionsMax}`,
      }
    }
    for (const [key, value] of creation.configs) {
      if (value === null) continue
      const wrong = topicConfigFault(key, value, creation.owner)
      if (wrong !== null) return { error: 'INVALID_CONFIG', message: wrong }
    }
    // The node's own topics are few, and it cannot do without them.
    return creation.owner === 'node' ? null : this.#budgetRefusal(count, creation.configs)
  }

  /** Does a topic of `count` more partitions with these settings fit on this node? */
  #budgetRefusal(count: number, configs: ReadonlyMap<string, string | null>): Refusal | null {
    const budget = this.#options.budget()
    if (budget === null) return null
    const retainedBytesMore = this.#retained.of(count, configs)
    const retainedBytesBefore = retainedBytesMore > 0 ? this.#retained.ofAll() : 0
    const partitions = { partitionsBefore: this.image.partitionCount, partitionsMore: count }
    const message = budgetFault({ ...partitions, retainedBytesBefore, retainedBytesMore }, budget)
    return message === null ? null : { error: 'POLICY_VIOLATION', message }
  }

  #partitionCountOf(creation: TopicCreation): number {
    if (creation.assignments.length > 0) return creation.assignments.length
    return creation.partitions === -1 ? this.#options.defaultPartitions() : creation.partitions
  }

  #isOwnReplica(brokers: readonly number[]): boolean {
    return brokers.length === 1 && brokers[0] === this.#options.nodeId
  }

  #assignmentText(): string {
    return `partitions must be numbered from 0 without holes, each assigned to broker ${this.#options.nodeId} alone`
  }

  #newTopic(name: string, count: number): TopicImage {
    const topicId = this.#freshTopicId()
    const replica = {
      replicas: [this.#options.nodeId],
      isr: [this.#options.nodeId],
      leader: this.#options.nodeId,
      leaderEpoch: 0,
      partitionEpoch: 0,
    }
    return {
      name,
      topicId,
      partitions: Array.from({ length: count }, (_, partition) => ({
        partition,
        ...replica,
        directories: [this.#options.directoryId],
      })),
    }
  }

  /** Random, never Kafka's reserved ids, and (as Kafka does) not beginning with a hyphen, which command lines take for a flag. */
  #freshTopicId(): string {
    for (;;) {
      const bytes = Uint8Array.from(this.#entropy.bytes(16))
      bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40
      bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80
      const id = uuidToString(bytes)
      if (!id.startsWith('-') && id !== zeroUuid && this.image.topicById(id) === undefined) return id
    }
  }

  #partitionRecord(topicId: string, partitionId: number): MetadataRecordInput {
    const node = this.#options.nodeId
    return {
      type: 'PartitionRecord',
      version: partitionRecordVersion,
      value: {
        partitionId,
        topicId,
        replicas: [node],
        isr: [node],
        leader: node,
        leaderEpoch: 0,
        partitionEpoch: 0,
        directories: [this.#options.directoryId],
      },
    }
  }
}

function refused(error: KafkaErrorName, message: string): TopicOutcome {
  return { kind: 'refused', error, message }
}
