/** The partitions of this node by topic, and the one way into their logs (architecture law 3). */
import type { AppendEntry, AppendOrigin, AppendOutcome } from '../../log/append.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { Partition } from './partition.ts'

export interface PartitionAppend {
  readonly partition: Partition
  /** Exactly one v2 batch; writable, and the log's own from now on. */
  readonly batch: Uint8Array
  readonly origin: AppendOrigin
}

/** The part of the log directory that the table uses. */
export interface AppendTarget {
  appendSet(entries: readonly AppendEntry[]): readonly AppendOutcome[]
  onFailure(listener: (error: Error) => void): void
}

interface TopicPartitions {
  readonly topicId: string
  readonly partitions: (Partition | undefined)[]
}

export class PartitionTable {
  readonly #target: AppendTarget
  readonly #byName = new Map<string, TopicPartitions>()
  readonly #byId = new Map<string, TopicPartitions>()
  #count = 0
  #failure: KafkaErrorName | null = null

  constructor(target: AppendTarget) {
    this.#target = target
    target.onFailure(() => {
      this.#failure = 'KAFKA_STORAGE_ERROR'
      for (const partition of this.values()) partition.fail(this.#failure)
    })
  }

  get size(): number {
    return this.#count
  }

  get(topic: string, index: number): Partition | undefined {
    return this.#byName.get(topic)?.partitions[index]
  }

  byTopicId(topicId: string, index: number): Partition | undefined {
    return this.#byId.get(topicId)?.partitions[index]
  }

  *values(): IterableIterator<Partition> {
    for (const { partitions } of this.#byName.values()) {
      for (const partition of partitions) if (partition !== undefined) yield partition
    }
  }

  /**
   * Appends a set of batches: all of them or none, also after a crash. At once; the answers are final but not durable: wait for
   * the partition's high watermark.
   */
  appendSet(entries: readonly PartitionAppend[]): readonly AppendOutcome[] {
    const refused = entries.findIndex(({ partition }) => partition.error !== null)
    if (refused >= 0) return refuse(entries, refused)
    return this.#target.appendSet(
      entries.map(({ partition, batch, origin }) => ({
        log: partition.log,
        batch,
        leaderEpoch: partition.leaderEpoch,
        origin,
      })),
    )
  }

  /** Takes a partition into service. Used by the cluster only. */
  add(partition: Partition): void {
    let topic = this.#byId.get(partition.topicId)
    if (topic === undefined) {
      topic = { topicId: partition.topicId, partitions: [] }
      this.#byId.set(partition.topicId, topic)
      this.#byName.set(partition.topic, topic)
    }
    if (topic.partitions[partition.index] === undefined) this.#count++
    topic.partitions[partition.index] = partition
    if (this.#failure !== null) partition.fail(this.#failure)
  }

  /** Takes a deleted topic out of service and answers its partitions. Used by the cluster only. */
  removeTopic(topicId: string): readonly Partition[] {
    const topic = this.#byId.get(topicId)
    if (topic === undefined) return []
    const partitions = topic.partitions.filter((partition) => partition !== undefined)
    this.#byId.delete(topicId)
    const name = partitions[0]?.topic
    if (name !== undefined && this.#byName.get(name) === topic) this.#byName.delete(name)
    this.#count -= partitions.length
    for (const partition of partitions) partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
    return partitions
  }
}

function refuse(entries: readonly PartitionAppend[], culprit: number): readonly AppendOutcome[] {
  return entries.map(({ partition }, index) => {
    const error = index === culprit ? partition.error : null
    if (error !== null) {
      return { kind: 'refused', error, message: `${partition.log.key} cannot be written: ${error}` }
    }
    return { kind: 'refused', error: 'OPERATION_NOT_ATTEMPTED', message: 'another batch of the set was refused' }
  })
}
