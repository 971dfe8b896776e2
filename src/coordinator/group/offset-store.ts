/** The committed offsets of one group, and which of its partitions have a commit that is not durable yet. */

/** One committed offset, as its record keeps it. */
export interface StoredOffset {
  readonly offset: number
  /** -1 when the consumer did not say. */
  readonly leaderEpoch: number
  readonly metadata: string
  readonly commitTimestampMs: number
  /** Of commits with a retention of their own (requests before version 5); else null. */
  readonly expireTimestampMs: number | null
}

export interface StoredOffsetAt {
  readonly topic: string
  readonly partition: number
  readonly stored: StoredOffset
}

/**
 * Reads see what is durable: a record is applied when its append has reached the high watermark, in log order. Deletions must
 * also cover what is under way, so appended commits are counted until they are applied.
 *
 * Bound: one entry a partition of an existing topic; the handler refuses commits for others.
 */
export class OffsetStore {
  readonly #topics = new Map<string, Map<number, StoredOffset>>()
  readonly #underWay = new Map<string, Map<number, number>>()
  /** Partitions with an open transactional commit, by producer id. */
  readonly #transactional = new Map<number, Map<string, Set<number>>>()
  #count = 0

  /** Offsets that are durable. */
  get count(): number {
    return this.#count
  }

  /** There is nothing in it, and nothing on the way into it. */
  get isUntouched(): boolean {
    return this.#count === 0 && this.#underWay.size === 0 && this.#transactional.size === 0
  }

  get(topic: string, partition: number): StoredOffset | undefined {
    return this.#topics.get(topic)?.get(partition)
  }

  topics(): Iterable<string> {
    return this.#topics.keys()
  }

  *entries(): Generator<StoredOffsetAt> {
    for (const [topic, partitions] of this.#topics)
      for (const [partition, stored] of partitions) yield { topic, partition, stored }
  }

  set(topic: string, partition: number, stored: StoredOffset): void {
    let partitions = this.#topics.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#topics.set(topic, partitions)
    }
    if (!partitions.has(partition)) this.#count++
    partitions.set(partition, stored)
  }

  delete(topic: string, partition: number): void {
    const partitions = this.#topics.get(topic)
    if (partitions?.delete(partition) !== true) return
    this.#count--
    if (partitions.size === 0) this.#topics.delete(topic)
  }

  /** Takes over the durable offsets of a store that is given up. */
  adopt(other: OffsetStore): void {
    for (const { topic, partition, stored } of other.entries()) this.set(topic, partition, stored)
  }

  /** A commit of this partition has been appended. */
  begin(topic: string, partition: number): void {
    let partitions = this.#underWay.get(topic)
    if (partitions === undefined) {
      partitions = new Map()
      this.#underWay.set(topic, partitions)
    }
    partitions.set(partition, (partitions.get(partition) ?? 0) + 1)
  }

  /** A commit that had begun is durable, or has failed. */
  end(topic: string, partition: number): void {
    const partitions = this.#underWay.get(topic)
    const count = partitions?.get(partition)
    if (partitions === undefined || count === undefined) return
    if (count > 1) partitions.set(partition, count - 1)
    else partitions.delete(partition)
    if (partitions.size === 0) this.#underWay.delete(topic)
  }

  /** Is a commit of this partition on its way to the disk? */
  isUnderWay(topic: string, partition: number): boolean {
    return this.#underWay.get(topic)?.has(partition) === true
  }

  /** Every partition that has an offset, or is about to. */
  *all(): Generator<{ readonly topic: string; readonly partition: number }> {
    for (const [topic, partitions] of this.#topics)
      for (const partition of partitions.keys()) yield { topic, partition }
    for (const [topic, partitions] of this.#underWay)
      for (const partition of partitions.keys())
        if (this.get(topic, partition) === undefined) yield { topic, partition }
  }

  beginTransactional(producerId: number, topic: string, partition: number): void {
    let topics = this.#transactional.get(producerId)
    if (topics === undefined) {
      topics = new Map()
      this.#transactional.set(producerId, topics)
    }
    const partitions = topics.get(topic)
    if (partitions === undefined) topics.set(topic, new Set([partition]))
    else partitions.add(partition)
  }

  endTransactional(producerId: number): void {
    this.#transactional.delete(producerId)
  }

  /** Would a consumer that wants stable offsets have to wait for a transaction here (KIP-447)? */
  isUnstable(topic: string, partition: number): boolean {
    for (const topics of this.#transactional.values()) if (topics.get(topic)?.has(partition) === true) return true
    return false
  }
}
