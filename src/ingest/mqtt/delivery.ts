import { topicPartitionKey } from '../../base/ids.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { HeldPieces } from './held-pieces.ts'
import { TailReader, type TailReaderOptions } from './tail-reader.ts'

export interface DeliveryOptions extends Omit<TailReaderOptions, 'heldPieces'> {
  /** Where a partition is read from when the first subscription is there; undefined = its live end. */
  readonly startOf: (partition: Partition) => number | undefined
  /** True while any subscription could match a stored message. */
  readonly hasSubscriptions: () => boolean
  /** A partition is not read any more: up to here it was. */
  readonly onReaderStopped?: (partition: Partition, endOffset: number) => void
}

/** A sixth of what may be unpacked at a time in the whole daemon. */
const heldBytesMax = 8_388_608

/**
 * Keeps one tail reader on every partition from which messages can reach subscribers: those of every topic that is not internal, because the default rule
 * routes to each. Without a subscription nothing is read.
 */
export class Delivery {
  private readonly options: DeliveryOptions
  private readonly heldPieces = new HeldPieces(heldBytesMax)
  private readonly readers = new Map<string, { readonly partition: Partition; readonly reader: TailReader }>()
  private isRunning = false

  constructor(options: DeliveryOptions) {
    this.options = options
  }

  /** The first subscription starts the readers at the high watermark, the last one stops them. */
  onSubscriptionsChanged(): void {
    this.options.fanOut.onSubscriptionsChanged()
    const isWanted = this.options.hasSubscriptions()
    if (isWanted === this.isRunning) return
    this.isRunning = isWanted
    if (!isWanted) return this.stopAll()
    for (const partition of this.options.broker.partitions.values())
      this.startReader(partition, this.options.startOf(partition) ?? partition.highWatermark)
  }

  /** Partitions came or went. What is new while somebody subscribes is read from its start: nothing of it was missed before. */
  onPartitionsChanged(): void {
    if (!this.isRunning) return
    const seen = new Set<string>()
    for (const partition of this.options.broker.partitions.values()) {
      const key = topicPartitionKey(partition.topic, partition.index)
      seen.add(key)
      const known = this.readers.get(key)
      if (known?.partition === partition) continue
      known?.reader.stop()
      this.startReader(partition, partition.log.logStartOffset)
    }
    for (const [key, { reader }] of this.readers) {
      if (seen.has(key)) continue
      reader.stop()
      this.readers.delete(key)
    }
  }

  private startReader(partition: Partition, fromOffset: number): void {
    if (isInternal(partition.topic)) return
    const reader = new TailReader(partition, fromOffset, { ...this.options, heldPieces: this.heldPieces })
    this.readers.set(topicPartitionKey(partition.topic, partition.index), { partition, reader })
  }

  /** Every partition that is read, and up to where. */
  *positions(): Iterable<readonly [Partition, number]> {
    for (const { partition, reader } of this.readers.values()) yield [partition, reader.endOffset]
  }

  /** Of the partitions that are asked for, those in which committed records have not been handed over yet, and where those end. */
  *unread(isAskedFor: (partition: Partition) => boolean): Iterable<readonly [Partition, number]> {
    for (const { partition, reader } of this.readers.values()) {
      if (reader.endOffset < partition.highWatermark && isAskedFor(partition))
        yield [partition, partition.highWatermark]
    }
  }

  /** Offset below which everything was handed to all who are at the live end; undefined = the partition is not read. */
  positionOf(partition: Partition): number | undefined {
    const known = this.readers.get(topicPartitionKey(partition.topic, partition.index))
    return known?.partition === partition ? known.reader.endOffset : undefined
  }

  /** The fan-out takes more of a partition. */
  release(partition: Partition): void {
    const known = this.readers.get(topicPartitionKey(partition.topic, partition.index))
    if (known?.partition === partition) known.reader.release()
  }

  /** Stops reading for good. */
  stopAll(): void {
    for (const { partition, reader } of this.readers.values()) {
      reader.stop()
      this.options.onReaderStopped?.(partition, reader.endOffset)
    }
    this.readers.clear()
  }
}

/** Kafka's internal topics and our own begin so; no rule routes to such a name. */
function isInternal(topic: string): boolean {
  return topic.startsWith('__')
}
