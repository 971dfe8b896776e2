/**
 * Small records on their way into the log: everything that is appended in one turn of the loop becomes one batch per partition.
 * A turn that writes to an internal topic beside others is one set, all or nothing (architecture law 3): a QoS 2 message and its
 * packet id. A turn of users' records alone has nothing to keep together, and its batches are spared the journal's copy.
 *
 * The hot path copies key and value at once, so that the caller's read buffer is free again, and allocates nothing per record.
 */
import type { Clock } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionAppend, PartitionTable } from '../cluster/partition/partition-table.ts'
import type { AppendOutcome } from '../log/append.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'

export type SettledCallback = (error: KafkaErrorName | null) => void

/** A batch is closed at this size, so that a reader of one record does not read a megabyte; one larger record is a batch alone. */
const batchBytes = 524_288
/** A turn is closed at this size: the log takes sets of up to 4 MiB. */
const turnBytesMax = 2_097_152
/** What a record's varints add, at most, in a batch of ours. */
const recordOverheadBytes = 21
const builderBytes = 8_192

interface Slot {
  readonly partition: Partition
  readonly builder: RecordBatchBuilder
  /** Batches that were closed in this turn because they were full. */
  full: Uint8Array[]
}

/** The set that this turn of the loop fills. Use it at once; the next turn has another. */
export class TurnAppend {
  readonly #owner: TurnAppender
  readonly #slots = new Map<Partition, Slot>()
  readonly #settled: SettledCallback[] = []
  #last: Slot | null = null
  #bytes = 0
  #outcome: { readonly error: KafkaErrorName | null } | null = null

  constructor(owner: TurnAppender) {
    this.#owner = owner
  }

  /** Bytes of records so far, at most. */
  get bytes(): number {
    return this.#bytes
  }

  get slots(): IterableIterator<Slot> {
    return this.#slots.values()
  }

  /** Copies one record in; null = accepted, else why not (nothing was added). `encodedHeaders` comes from `encodeHeaders`. */
  append(
    partition: Partition,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    encodedHeaders: Uint8Array | null,
  ): KafkaErrorName | null {
    const keyLength = key?.length ?? -1
    const valueLength = value?.length ?? -1
    return this.appendSlices(
      partition,
      timestampMs,
      key ?? nothing,
      0,
      keyLength,
      value ?? nothing,
      0,
      valueLength,
      encodedHeaders ?? noHeaders,
    )
  }

  /** The same from slices of larger buffers; a length of -1 means null. */
  appendSlices(
    partition: Partition,
    timestampMs: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    encodedHeaders: Uint8Array,
  ): KafkaErrorName | null {
    const slot = this.#last?.partition === partition ? this.#last : this.#slotOf(partition)
    if (slot === null) return this.#owner.refusal(partition)
    const { builder } = slot
    const recordBytes = keyLength + valueLength + encodedHeaders.length + recordOverheadBytes
    if (builder.recordCount > 0 && builder.sizeInBytes + recordBytes > batchBytes) slot.full.push(builder.build())
    if (!builder.fits(keyLength, valueLength, encodedHeaders.length)) return 'MESSAGE_TOO_LARGE'
    builder.appendSlices(
      timestampMs,
      keySource,
      keyStart,
      keyLength,
      valueSource,
      valueStart,
      valueLength,
      encodedHeaders,
    )
    this.#bytes += recordBytes
    return null
  }

  /** Calls back when every partition of the set has it below its high watermark, or with the reason why that will not happen. */
  onSettled(callback: SettledCallback): void {
    if (this.#outcome === null) this.#settled.push(callback)
    else callback(this.#outcome.error)
  }

  /** Tells everybody; by the appender only. */
  settle(error: KafkaErrorName | null): void {
    this.#outcome = { error }
    for (const callback of this.#settled) callback(error)
    this.#settled.length = 0
  }

  #slotOf(partition: Partition): Slot | null {
    let slot = this.#slots.get(partition)
    if (slot === undefined) {
      if (!partition.isLeader) return null
      slot = { partition, builder: this.#owner.builderOf(partition), full: [] }
      this.#slots.set(partition, slot)
    }
    this.#last = slot
    return slot
  }
}

const nothing = new Uint8Array(0)
/** A header section without headers: the count 0. */
const noHeaders = new Uint8Array(1)

/** Hands out the turn's set and appends it at the end of the turn. */
export class TurnAppender {
  readonly #clock: Clock
  readonly #partitions: PartitionTable
  readonly #isInternal: (topic: string) => boolean
  readonly #builders = new WeakMap<Partition, { readonly builder: RecordBatchBuilder; readonly bytesMax: number }>()
  #turn: TurnAppend | null = null
  #pendingBytes = 0

  constructor(clock: Clock, partitions: PartitionTable, isInternal: (topic: string) => boolean) {
    this.#clock = clock
    this.#partitions = partitions
    this.#isInternal = isInternal
  }

  /** Bytes that were handed over and are not settled yet, of all turns. */
  get pendingBytes(): number {
    return this.#pendingBytes + (this.#turn?.bytes ?? 0)
  }

  turn(): TurnAppend {
    if (this.#turn !== null && this.#turn.bytes >= turnBytesMax) this.close(this.#turn)
    if (this.#turn !== null) return this.#turn
    const turn = new TurnAppend(this)
    this.#turn = turn
    this.#clock.defer(() => this.close(turn))
    return turn
  }

  /** Appends the turn's set now; it is closed for further records. */
  close(turn: TurnAppend): void {
    if (this.#turn !== turn) return
    this.#turn = null
    const entries: PartitionAppend[] = []
    for (const { partition, builder, full } of turn.slots) {
      for (const batch of full) entries.push({ partition, batch, origin: 'internal' })
      if (builder.recordCount > 0) entries.push({ partition, batch: builder.build(), origin: 'internal' })
    }
    const bytes = turn.bytes
    this.#pendingBytes += bytes
    const settle = (error: KafkaErrorName | null): void => {
      this.#pendingBytes -= bytes
      turn.settle(error)
    }
    if (entries.length === 0) settle(null)
    else this.#settleWhenCommitted(entries, this.#append(entries), settle)
  }

  #append(entries: readonly PartitionAppend[]): readonly AppendOutcome[] {
    if (entries.length > 1 && entries.some(({ partition }) => this.#isInternal(partition.topic))) {
      return this.#partitions.appendSet(entries)
    }
    return entries.flatMap((entry) => this.#partitions.appendSet([entry]))
  }

  builderOf(partition: Partition): RecordBatchBuilder {
    const bytesMax = partition.log.config.maxMessageBytes
    const kept = this.#builders.get(partition)
    if (kept !== undefined && kept.bytesMax === bytesMax) return kept.builder
    const builder = new RecordBatchBuilder({ bytesMax, initialBytes: builderBytes })
    this.#builders.set(partition, { builder, bytesMax })
    return builder
  }

  /** Why nothing can be appended to this partition. */
  refusal(partition: Partition): KafkaErrorName {
    return partition.log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR'
  }

  #settleWhenCommitted(
    entries: readonly PartitionAppend[],
    outcomes: readonly AppendOutcome[],
    settle: (error: KafkaErrorName | null) => void,
  ): void {
    let left = entries.length
    let failure: KafkaErrorName | null = null
    entries.forEach(({ partition }, index) => {
      const settled = (error: KafkaErrorName | null): void => {
        if (error !== null && (failure === null || failure === 'OPERATION_NOT_ATTEMPTED')) failure = error
        if (--left === 0) settle(failure)
      }
      const outcome = outcomes[index]
      if (outcome === undefined || outcome.kind === 'refused') settled(outcome?.error ?? 'UNKNOWN_SERVER_ERROR')
      else partition.whenHighWatermark(outcome.lastOffset + 1, settled)
    })
  }
}
