/**
 * What a mirror needs of its own side. `broker-source.ts` is it over the broker; nothing else in the mirror knows the broker.
 */
import type { AnchorRecord } from './anchor.ts'

export interface SourceTopic {
  readonly name: string
  readonly topicId: string
  readonly isInternal: boolean
  readonly partitions: number
}

export type SourceRead =
  /** Whole batches, the first of which holds `fromOffset` or is the first above it; empty when there is nothing yet. Not to be changed. */
  | { readonly kind: 'batches'; readonly bytes: Uint8Array }
  /** The offset has been deleted (retention, DeleteRecords). */
  | { readonly kind: 'outOfRange' }
  /** The stored bytes there cannot be trusted; what is behind them begins at `nextOffset`. */
  | { readonly kind: 'damaged'; readonly nextOffset: number }

/** One partition of the source. */
export interface SourcePartition {
  readonly startOffset: number
  /** End of what may leave the house: durable, and below every open transaction. Exclusive. */
  readonly endOffset: number
  /** Reads below `endOffset`, about `bytesMax` and at least one batch. Rejects when the log cannot be read. */
  read(fromOffset: number, bytesMax: number): Promise<SourceRead>
  /** Called after `endOffset` may have moved; the answer ends it. */
  onAdvance(listener: () => void): () => void
}

export interface MirrorSource {
  topics(): readonly SourceTopic[]
  /** Null when it does not exist (any more). */
  partition(topic: string, partition: number): SourcePartition | null
  /** Called after topics came, went or grew; the answer ends it. */
  onTopicsChange(listener: () => void): () => void
  /** All anchors, in the order they were written. Rejects when they cannot be read. */
  readAnchors(): Promise<readonly AnchorRecord[]>
  /** Resolves when the anchor is durable. */
  writeAnchor(record: AnchorRecord): Promise<void>
}
