/** What is appended, and what comes of it. */
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { RecordError } from './record-walk.ts'
import type { UnifiedLog } from './unified-log.ts'

/**
 * Who wrote the batch. `client`: everything is checked. `coordinator` and `internal`: written by this node itself; control
 * batches are allowed and sequences are not checked.
 */
export type AppendOrigin = 'client' | 'coordinator' | 'internal'

export interface AppendEntry {
  readonly log: UnifiedLog
  /** Exactly one v2 batch. Writable: it is patched in place. The log keeps a copy: the memory is the caller's again when `append` has answered. */
  readonly batch: Uint8Array
  readonly leaderEpoch: number
  readonly origin: AppendOrigin
  /** The batch has passed `prepareBatch`: CRC and records need no second look. */
  readonly recordsChecked?: boolean
}

export interface AppendDone {
  /** `duplicate`: the batch was appended before; the offsets are those of then, and may not be durable yet. */
  readonly kind: 'appended' | 'duplicate'
  readonly baseOffset: number
  /** Inclusive. */
  readonly lastOffset: number
  /** -1 for CreateTime. */
  readonly logAppendTimeMs: number
  readonly logStartOffset: number
}

export interface AppendRefused {
  readonly kind: 'refused'
  readonly error: KafkaErrorName
  readonly message: string
  /** The records that are at fault, where it is some of them. */
  readonly recordErrors?: readonly RecordError[]
}

export type AppendOutcome = AppendDone | AppendRefused

/** What a read asks for. */
export interface LogReadRequest {
  readonly fromOffset: number
  /** Exclusive bound: no batch that reaches it is answered. */
  readonly endOffset: number
  readonly bytesMax: number
  /** Answer the first batch even when it is larger than `bytesMax`. */
  readonly minOneBatch: boolean
}

export type LogReadResult =
  /** Whole batches as stored; the first holds `fromOffset` or is the next one after a gap. Empty when nothing lies below the bound. */
  | { readonly kind: 'batches'; readonly bytes: Uint8Array }
  /** `fromOffset` is below the log's start or beyond its end. */
  | { readonly kind: 'outOfRange' }
  /** The stored bytes there cannot be trusted: answer CORRUPT_MESSAGE. Reading may go on at `nextOffset`. */
  | { readonly kind: 'damaged'; readonly nextOffset: number }

/** An offset found by time. */
export interface TimestampOffset {
  readonly offset: number
  readonly timestampMs: number
  readonly leaderEpoch: number
}
