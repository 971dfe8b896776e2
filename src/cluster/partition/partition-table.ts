/** The partitions that this node leads, and the one way to append to several of them at once. */
import { topicPartitionKey } from '../../base/ids.ts'
import type { AppendEntry, AppendOrigin, AppendOutcome } from '../../log/append.ts'
import type { LogDirectory } from '../../log/log-directory.ts'
import type { Partition } from './partition.ts'

export interface PartitionAppend {
  readonly partition: Partition
  /** Exactly one v2 batch; the log keeps a copy. */
  readonly batch: Uint8Array
  readonly origin: AppendOrigin
  /** The batch has passed `prepareBatch`. */
  readonly recordsChecked?: boolean
}

export class PartitionTable {
  readonly #directory: LogDirectory
  readonly #byKey = new Map<string, Partition>()
  /** By topic, then by index: what the hot paths look up. */
  readonly #byTopic = new Map<string, Partition[]>()
  readonly #byTopicId = new Map<string, Partition[]>()

  constructor(directory: LogDirectory) {
    this.#directory = directory
  }

  get(topic: string, index: number): Partition | undefined {
    return this.#byTopic.get(topic)?.[index]
  }

  byTopicId(topicId: string, index: number): Partition | undefined {
    return this.#byTopicId.get(topicId)?.[index]
  }

  /** Partitions of a topic that are served; undefined for a topic that is not there. */
  ofTopic(topic: string): readonly Partition[] | undefined {
    return this.#byTopic.get(topic)
  }

  values(): IterableIterator<Partition> {
    return this.#byKey.values()
  }

  get size(): number {
    return this.#byKey.size
  }

  add(partition: Partition): void {
    this.#byKey.set(topicPartitionKey(partition.topic, partition.index), partition)
    place(this.#byTopic, partition.topic, partition)
    place(this.#byTopicId, partition.topicId, partition)
  }

  /** Takes all partitions of a topic out; answers them. */
  removeTopic(topic: string): readonly Partition[] {
    const partitions = (this.#byTopic.get(topic) ?? []).filter((partition) => partition !== undefined)
    this.#byTopic.delete(topic)
    for (const partition of partitions) {
      this.#byKey.delete(topicPartitionKey(topic, partition.index))
      this.#byTopicId.delete(partition.topicId)
    }
    return partitions
  }

  /** Is new data refused for want of space? Records of the node's own are taken all the same. */
  get refusesData(): boolean {
    return this.#directory.space.refusal !== null
  }

  /** Appends a set, all or nothing: offsets are given in this turn, the commit follows (architecture law 3). */
  appendSet(entries: readonly PartitionAppend[]): readonly AppendOutcome[] {
    return this.#directory.appendSet(entries.map(entryOf))
  }

  /** Appends each as a set of its own, in order. */
  appendEach(entries: readonly AppendEntry[]): readonly AppendOutcome[] {
    return this.#directory.appendEach(entries)
  }
}

function entryOf({ partition, batch, origin, recordsChecked = false }: PartitionAppend): AppendEntry {
  return { log: partition.log, batch, leaderEpoch: partition.leaderEpoch, origin, recordsChecked }
}

function place(map: Map<string, Partition[]>, key: string, partition: Partition): void {
  const partitions = map.get(key)
  if (partitions === undefined) {
    const made: Partition[] = []
    made[partition.index] = partition
    map.set(key, made)
  } else partitions[partition.index] = partition
}
