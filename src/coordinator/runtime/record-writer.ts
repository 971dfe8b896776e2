/**
 * Writes the records of coordinators: those of one turn of the loop become one batch a partition, and each write is told when
 * its records have reached the high watermark. Writes of one partition settle in the order in which they were made.
 *
 * Bound: a write waits for its request's answer, so there are no more of them than the doors let requests run.
 */
import type { Clock } from '../../base/ports.ts'
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import { RecordBatchBuilder } from '../../protocol/records/record-batch-builder.ts'
import type { CoordinatorLog } from './coordinator-log.ts'

export interface EncodedRecord {
  readonly key: Uint8Array
  /** Null is a tombstone. */
  readonly value: Uint8Array | null
}

export type WriteSettled = (error: KafkaErrorName | null) => void

/** A write of which some batches are not settled. */
interface Write {
  batchesLeft: number
  error: KafkaErrorName | null
  readonly settled: WriteSettled
}

interface PendingBatch {
  readonly writes: Write[]
  /** Undefined until its append has settled. */
  outcome: KafkaErrorName | null | undefined
}

interface PartitionWrites {
  readonly index: number
  readonly builder: RecordBatchBuilder
  /** The batch that is being filled; null when there is none. */
  filling: PendingBatch | null
  /** Batches in log order, the filling one last. */
  readonly queue: PendingBatch[]
}

/** A batch is sealed at this size, so that it stays well below a topic's max.message.bytes (1 MiB). */
const batchBytes = 262_144

export class RecordWriter {
  readonly #clock: Clock
  readonly #log: CoordinatorLog
  readonly #partitions = new Map<number, PartitionWrites>()
  readonly #dirty = new Set<PartitionWrites>()

  constructor(clock: Clock, log: CoordinatorLog) {
    this.#clock = clock
    this.#log = log
  }

  /** Takes the records of one decision; they are copied. A write of more than a batch holds goes into several. */
  write(partition: number, records: readonly EncodedRecord[], timestampMs: number, settled: WriteSettled): void {
    const writes = this.#partition(partition)
    // One for itself, so that a first batch that settles at once does not settle a write that goes on.
    const write: Write = { batchesLeft: 1, error: null, settled }
    for (const { key, value } of records) {
      const isFull =
        writes.builder.recordCount > 0 && writes.builder.sizeInBytes + key.length + (value?.length ?? 0) > batchBytes
      if (isFull) this.#append(writes)
      if (writes.filling === null) {
        writes.filling = { writes: [], outcome: undefined }
        writes.queue.push(writes.filling)
      }
      if (writes.filling.writes.at(-1) !== write) {
        writes.filling.writes.push(write)
        write.batchesLeft++
      }
      writes.builder.append(timestampMs, key, value, null)
    }
    if (this.#dirty.size === 0) this.#clock.defer(() => this.#flush())
    this.#dirty.add(writes)
    release(write)
  }

  #partition(index: number): PartitionWrites {
    let writes = this.#partitions.get(index)
    if (writes === undefined) {
      writes = { index, builder: new RecordBatchBuilder(), filling: null, queue: [] }
      this.#partitions.set(index, writes)
    }
    return writes
  }

  #flush(): void {
    const dirty = [...this.#dirty]
    this.#dirty.clear()
    for (const writes of dirty) this.#append(writes)
  }

  #append(writes: PartitionWrites): void {
    const batch = writes.filling
    if (batch === null) return
    writes.filling = null
    const bytes = writes.builder.build()
    const settle = (outcome: KafkaErrorName | null): void => {
      batch.outcome = outcome
      settleInOrder(writes)
    }
    const partition = this.#log.partition(writes.index)
    if (partition === null) return settle('NOT_LEADER_OR_FOLLOWER')
    const outcome = partition.append(bytes)
    if (outcome.kind === 'refused') return settle(outcome.error)
    partition.whenHighWatermark(outcome.endOffset, settle)
  }
}

function settleInOrder(writes: PartitionWrites): void {
  for (let first = writes.queue[0]; first !== undefined && first.outcome !== undefined; first = writes.queue[0]) {
    writes.queue.shift()
    for (const write of first.writes) {
      write.error ??= first.outcome
      release(write)
    }
  }
}

function release(write: Write): void {
  write.batchesLeft--
  if (write.batchesLeft === 0) write.settled(write.error)
}
