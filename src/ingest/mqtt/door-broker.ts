import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'
import type { LogReadResult } from '../../log/append.ts'

/** The part of `cluster/partition` that the door uses. */
export interface DoorPartition {
  readonly topic: string
  readonly index: number
  readonly highWatermark: number
  readonly isLeader: boolean
  readonly log: { readonly logStartOffset: number }
  onAdvance(listener: () => void): () => void
}

/** The part of `broker/turn-append` that the door uses. */
export interface DoorTurn<P> {
  append(
    partition: P,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    encodedHeaders: Uint8Array | null,
  ): string | null
  appendSlices(
    partition: P,
    timestampMs: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    encodedHeaders: Uint8Array,
  ): string | null
  onSettled(callback: (error: string | null) => void): void
}

/** The verbs of `broker/broker.ts` that the door uses. */
export interface DoorBroker<P extends DoorPartition = DoorPartition> {
  readonly partitions: { get(topic: string, index: number): P | undefined; values(): Iterable<P> }
  readonly pendingBytes: number
  turn(): DoorTurn<P>
  topicPartitions(topic: string): number | undefined
  ensureTopic(name: string): Promise<string | null>
  ensureInternalTopic(definition: InternalTopicDefinition): Promise<void>
  readTail(partition: P, fromOffset: number, bytesMax: number): LogReadResult | null
  readTailCold(partition: P, fromOffset: number, bytesMax: number): Promise<LogReadResult>
}
