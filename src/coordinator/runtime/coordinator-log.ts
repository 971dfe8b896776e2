/** The partitions of a coordinator's topic, as the coordinator needs them: a narrow view of `cluster/partition`. */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'

export type CoordinatorReadResult =
  /** Whole batches, the first of which holds the offset asked for; none when there is nothing below the bound. */
  | { readonly kind: 'batches'; readonly bytes: Uint8Array }
  | { readonly kind: 'outOfRange' }
  /** The stored bytes there cannot be trusted; what is behind them begins at `nextOffset`. */
  | { readonly kind: 'damaged'; readonly nextOffset: number }

export type CoordinatorAppendOutcome =
  | { readonly kind: 'appended'; readonly endOffset: number }
  | { readonly kind: 'refused'; readonly error: KafkaErrorName; readonly message: string }

export interface CoordinatorPartition {
  readonly logStartOffset: number
  readonly logEndOffset: number
  /** Reads what is below `endOffset`, as far as `bytesMax` goes, but one batch at least. Rejects when the disk fails. */
  read(fromOffset: number, endOffset: number, bytesMax: number): Promise<CoordinatorReadResult>
  /** Appends one batch at once; the batch belongs to the log from now on. */
  append(batch: Uint8Array): CoordinatorAppendOutcome
  /** Calls back when the high watermark has reached `endOffset`, or with the error when it cannot any more. */
  whenHighWatermark(endOffset: number, callback: (error: KafkaErrorName | null) => void): void
}

export interface CoordinatorLog {
  /** Partitions of the topic, or null while it does not exist. */
  readonly partitionCount: number | null
  partition(index: number): CoordinatorPartition | null
}
