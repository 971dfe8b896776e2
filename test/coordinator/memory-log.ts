/** A coordinator's topic in memory: appends at once, is safe when the test says so (or at the end of the turn). */
import type { Clock } from '../../src/base/ports.ts'
import type {
  CoordinatorAppendOutcome,
  CoordinatorLog,
  CoordinatorPartition,
  CoordinatorReadResult,
} from '../../src/coordinator/runtime/coordinator-log.ts'
import type { KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { batchRecordCount, batchSizeInBytes, setBatchBaseOffset } from '../../src/protocol/records/record-batch.ts'

interface Waiter {
  readonly endOffset: number
  readonly callback: (error: KafkaErrorName | null) => void
}

export class MemoryPartition implements CoordinatorPartition {
  readonly logStartOffset = 0
  readonly batches: { readonly baseOffset: number; readonly bytes: Uint8Array }[] = []
  logEndOffset = 0
  highWatermark = 0
  /** Refuse appends with this. */
  refusal: KafkaErrorName | null = null
  readonly #waiters: Waiter[] = []
  readonly #clock: Clock
  readonly #delayMs: number

  constructor(clock: Clock, delayMs: number) {
    this.#clock = clock
    this.#delayMs = delayMs
  }

  async read(fromOffset: number, endOffset: number, bytesMax: number): Promise<CoordinatorReadResult> {
    const chunks: Uint8Array[] = []
    let size = 0
    for (const { baseOffset, bytes } of this.batches) {
      if (baseOffset + batchRecordCount(bytes, 0) <= fromOffset || baseOffset >= endOffset) continue
      if (size > 0 && size + bytes.length > bytesMax) break
      chunks.push(bytes)
      size += bytes.length
    }
    return { kind: 'batches', bytes: Buffer.concat(chunks) }
  }

  append(batch: Uint8Array): CoordinatorAppendOutcome {
    if (this.refusal !== null) return { kind: 'refused', error: this.refusal, message: 'as the test wants' }
    if (batchSizeInBytes(batch, 0) !== batch.length) throw new Error('not exactly one batch')
    setBatchBaseOffset(batch, 0, this.logEndOffset)
    this.batches.push({ baseOffset: this.logEndOffset, bytes: batch })
    this.logEndOffset += batchRecordCount(batch, 0)
    const endOffset = this.logEndOffset
    this.#clock.schedule(this.#delayMs, () => this.commit(endOffset))
    return { kind: 'appended', endOffset }
  }

  whenHighWatermark(endOffset: number, callback: (error: KafkaErrorName | null) => void): void {
    if (this.highWatermark >= endOffset) callback(null)
    else this.#waiters.push({ endOffset, callback })
  }

  commit(endOffset: number): void {
    this.highWatermark = Math.max(this.highWatermark, endOffset)
    for (const waiter of this.#waiters.splice(0))
      if (waiter.endOffset <= this.highWatermark) waiter.callback(null)
      else this.#waiters.push(waiter)
  }
}

export class MemoryLog implements CoordinatorLog {
  partitions: readonly MemoryPartition[] | null = null
  readonly #clock: Clock
  readonly #delayMs: number

  constructor(clock: Clock, delayMs = 5) {
    this.#clock = clock
    this.#delayMs = delayMs
  }

  create(count: number): void {
    this.partitions = Array.from({ length: count }, () => new MemoryPartition(this.#clock, this.#delayMs))
  }

  get partitionCount(): number | null {
    return this.partitions?.length ?? null
  }

  partition(index: number): MemoryPartition | null {
    return this.partitions?.[index] ?? null
  }

  /** Records of all partitions. */
  get recordCount(): number {
    return (this.partitions ?? []).reduce((sum, { logEndOffset }) => sum + logEndOffset, 0)
  }

  get batchCount(): number {
    return (this.partitions ?? []).reduce((sum, { batches }) => sum + batches.length, 0)
  }
}
