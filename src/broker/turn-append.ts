/**
 * Small records on their way into the log: everything that is appended in one turn of the loop becomes one batch per partition.
 * A turn that writes to an internal topic beside others is one set, all or nothing (architecture law 3): a QoS 2 message and its
 * packet id. A turn of users' records alone has nothing to keep together, and its batches are spared the journal's copy.
 *
 * The hot path copies key and value at once, so that the caller's read buffer is free again, and allocates nothing per record.
 */
import { assert } from '../base/assert.ts'
import { MemoryPool } from '../base/memory-pool.ts'
import type { Clock, Compute } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionAppend, PartitionTable } from '../cluster/partition/partition-table.ts'
import type { AppendOutcome } from '../log/append.ts'
import { asksForCodec, compressOwnBatch } from '../log/batch-preparation.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { batchHeaderBytes } from '../protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'

export type SettledCallback = (error: KafkaErrorName | null) => void

/** A batch is closed at this size, so that a reader of one record does not read a megabyte; one larger record is a batch alone. */
const batchBytesMax = 524_288
/** A turn is closed at this size. */
const turnBytesMax = 2_097_152
/** A set is closed before the user's record that would pass this: the log takes sets of up to 4 MiB, batch headers included. */
const setBytesMax = 3_145_728
/** What a record's varints and attributes add, at most. */
const recordOverheadBytes = 31
/** First size of a batch's buffer. */
const builderBytes = 8_192
/** Buffers that are kept for the turns to come: 2 MiB. */
const spareBuildersMax = 256

/** What one turn writes to one partition. */
interface Slot {
  readonly partition: Partition
  readonly builder: RecordBatchBuilder
  readonly isInternal: boolean
  /** The largest batch that the partition's log takes from us. */
  readonly bytesMax: number
  /** A compacted topic of users: no record without a key. */
  readonly needsKeys: boolean
  /** Batches that were closed in this turn because they were full. */
  readonly full: Uint8Array[]
}

/** Batches in the order in which they are appended. */
interface AppendSet {
  readonly entries: readonly PartitionAppend[]
  /** It writes to an internal topic: all or nothing. */
  readonly isAtomic: boolean
  /** One of its topics has its batches compressed (compression.type). */
  readonly needsCodec: boolean
}

/** The set that this turn of the loop fills. Use it at once; the next turn has another. */
export class TurnAppend {
  readonly #owner: TurnAppender
  readonly #isTimeKnown: boolean
  readonly #slots = new Map<Partition, Slot>()
  readonly #settled: SettledCallback[] = []
  readonly #sets: AppendSet[] = []
  #last: Slot | null = null
  #bytes = 0
  /** Of the set that is being filled. */
  #setBytes = 0
  /** The set holds records that belong together. */
  #isTogether = false
  #isClosed = false
  #outcome: { readonly error: KafkaErrorName | null } | null = null

  constructor(owner: TurnAppender) {
    this.#owner = owner
    this.#isTimeKnown = owner.isTimeKnown
  }

  /** Bytes of records so far, at most. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * The records that are appended next, of so many bytes at most, are durable together or not at all, whatever their topics are. Where they would take more
   * than a set they are not: answers false.
   */
  keepTogether(bytes: number): boolean {
    if (bytes > setBytesMax) return false
    if (this.#setBytes + bytes > setBytesMax && this.#setBytes > 0) this.#closeSet()
    this.#isTogether = true
    return true
  }

  /**
   * Copies one record in; null = accepted, else why not (nothing was added). `encodedHeaders` comes from `encodeHeaders`. What is
   * appended to an internal topic joins the set of the user's record before it.
   */
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
    assert(!this.#isClosed, 'an append to a turn that is over')
    let slot = this.#last?.partition === partition ? this.#last : this.#slotOf(partition)
    if (slot === null) return refusalOf(partition)
    if (keyLength < 0 && slot.needsKeys) return 'INVALID_RECORD'
    const recordBytes = keyLength + valueLength + encodedHeaders.length + recordOverheadBytes
    if (batchHeaderBytes + recordBytes > slot.bytesMax) return 'MESSAGE_TOO_LARGE'
    if (this.#setBytes + recordBytes > setBytesMax && this.#setBytes > 0 && !slot.isInternal) {
      this.#closeSet()
      slot = this.#slotOf(partition) as Slot
    }
    const { builder } = slot
    if (builder.recordCount > 0 && builder.sizeInBytes + recordBytes > Math.min(slot.bytesMax, batchBytesMax)) {
      slot.full.push(builder.build())
    }
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
    this.#setBytes += recordBytes
    return null
  }

  /** Calls back when every partition of the turn has it below its high watermark, or with the reason why that will not happen. */
  onSettled(callback: SettledCallback): void {
    if (this.#outcome === null) this.#settled.push(callback)
    else callback(this.#outcome.error)
  }

  /** No more records; answers what there is to append, in order. By the appender only. */
  close(): readonly AppendSet[] {
    this.#closeSet()
    this.#isClosed = true
    return this.#sets
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
      // Asked here, so that one partition that cannot be written to does not refuse the set of all the others.
      if (!partition.isLeader) return null
      const isInternal = this.#owner.isInternal(partition.topic)
      // Nor data on a full disk the records of this node's own, which are taken.
      if (!isInternal && this.#owner.refusesData) return null
      const { maxMessageBytes, segmentBytes, cleanupPolicy } = partition.log.config
      slot = {
        partition,
        builder: this.#owner.takeBuilder(),
        isInternal,
        bytesMax: Math.min(maxMessageBytes, segmentBytes),
        needsKeys: !isInternal && cleanupPolicy.has('compact'),
        full: [],
      }
      this.#slots.set(partition, slot)
    }
    this.#last = slot
    return slot
  }

  #closeSet(): void {
    const entries: PartitionAppend[] = []
    let isAtomic = this.#isTogether
    this.#isTogether = false
    let needsCodec = false
    for (const { partition, builder, full, isInternal } of this.#slots.values()) {
      for (const batch of full) entries.push({ partition, batch, origin: 'internal' })
      if (builder.recordCount > 0) entries.push({ partition, batch: builder.build(), origin: 'internal' })
      this.#owner.giveBuilder(builder)
      isAtomic ||= isInternal
      // What comes while the time is not known is stored as it is: a mirror looks for its marks.
      needsCodec ||= this.#isTimeKnown && takesCodec(partition, isInternal)
    }
    this.#slots.clear()
    this.#last = null
    this.#setBytes = 0
    if (entries.length > 0) this.#sets.push({ entries, isAtomic, needsCodec })
  }
}

const nothing = new Uint8Array(0)
/** A header section without headers: the count 0. */
const noHeaders = new Uint8Array(1)

/** Topics of this node's own are stored as they are built. */
function takesCodec(partition: Partition, isInternal: boolean): boolean {
  return !isInternal && asksForCodec(partition.log.config)
}

/** Why nothing can be appended to this partition. */
function refusalOf(partition: Partition): KafkaErrorName {
  return partition.log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR'
}

export interface TurnParts {
  readonly clock: Clock
  readonly compute: Compute
  readonly partitions: PartitionTable
  readonly isInternal: (topic: string) => boolean
}

/** Hands out the turn's set and appends it at the end of the turn. */
export class TurnAppender {
  readonly isInternal: (topic: string) => boolean
  readonly #clock: Clock
  readonly #compute: Compute
  readonly #partitions: PartitionTable
  /** Of the batches: the log copies what it appends, so that it is free again at the end of the turn. */
  readonly #memory = new MemoryPool()
  /** Empty ones, at their first size. */
  readonly #spareBuilders: RecordBatchBuilder[] = []
  #turn: TurnAppend | null = null
  #pendingBytes = 0
  /** Settles when the last set that waits for a codec, or for one that does, has been appended. */
  #tail: Promise<void> | null = null

  constructor(parts: TurnParts) {
    this.#clock = parts.clock
    this.#compute = parts.compute
    this.#partitions = parts.partitions
    this.isInternal = parts.isInternal
  }

  /** Bytes that were handed over and are not settled yet, of all turns. */
  get pendingBytes(): number {
    return this.#pendingBytes + (this.#turn?.bytes ?? 0)
  }

  /** Is new data refused for want of space? */
  get refusesData(): boolean {
    return this.#partitions.refusesData
  }

  turn(): TurnAppend {
    if (this.#turn !== null && this.#turn.bytes >= turnBytesMax) this.#close(this.#turn)
    if (this.#turn !== null) return this.#turn
    const turn = new TurnAppend(this)
    this.#turn = turn
    this.#clock.defer(() => this.#close(turn))
    return turn
  }

  /** The clock is believed. */
  get isTimeKnown(): boolean {
    return this.#clock.wallTrusted()
  }

  takeBuilder(): RecordBatchBuilder {
    return this.#spareBuilders.pop() ?? new RecordBatchBuilder({ initialBytes: builderBytes, memory: this.#memory })
  }

  giveBuilder(builder: RecordBatchBuilder): void {
    if (this.#spareBuilders.length < spareBuildersMax) this.#spareBuilders.push(builder)
  }

  /** Appends the turn's sets; a turn that was closed for its size comes here again at its end. */
  #close(turn: TurnAppend): void {
    if (this.#turn !== turn) return
    this.#turn = null
    const { bytes } = turn
    this.#pendingBytes += bytes
    const settlement = new Settlement((error) => {
      this.#pendingBytes -= bytes
      turn.settle(error)
    })
    for (const set of turn.close()) this.#submit(set, settlement)
    settlement.release(null)
  }

  /** Appends a set at once, or in its order when it or one before it waits for a codec. */
  #submit(set: AppendSet, settlement: Settlement): void {
    const { entries, isAtomic, needsCodec } = set
    const before = this.#tail
    if (before === null && !needsCodec) {
      this.#append(entries, isAtomic, settlement)
      for (const { batch } of entries) this.#memory.give(batch)
      return
    }
    settlement.hold()
    const appended = Promise.all([this.#inCodecs(set), before]).then(
      ([ready]) => {
        this.#append(ready, isAtomic, settlement)
        settlement.release(null)
      },
      () => settlement.release('UNKNOWN_SERVER_ERROR'),
    )
    const tail: Promise<void> = Promise.allSettled([appended, before]).then(() => {
      if (this.#tail === tail) this.#tail = null
    })
    this.#tail = tail
  }

  #inCodecs({ entries, needsCodec }: AppendSet): Promise<readonly PartitionAppend[]> {
    if (!needsCodec) return Promise.resolve(entries)
    return Promise.all(
      entries.map(async (entry) => {
        const { partition, batch } = entry
        if (!takesCodec(partition, this.isInternal(partition.topic))) return entry
        return { ...entry, batch: await compressOwnBatch(batch, partition.log.config, this.#compute) }
      }),
    )
  }

  #append(entries: readonly PartitionAppend[], isAtomic: boolean, settlement: Settlement): void {
    if (isAtomic) settlement.add(entries, this.#partitions.appendSet(entries))
    else for (const entry of entries) settlement.add([entry], this.#partitions.appendSet([entry]))
  }
}

/** Counts what a turn still waits for; tells once, with the first reason of a failure. */
class Settlement {
  readonly #onSettled: SettledCallback
  #left = 1
  #failure: KafkaErrorName | null = null

  constructor(onSettled: SettledCallback) {
    this.#onSettled = onSettled
  }

  add(entries: readonly PartitionAppend[], outcomes: readonly AppendOutcome[]): void {
    for (let index = 0; index < entries.length; index++) {
      const outcome = outcomes[index]
      this.#left++
      if (outcome === undefined || outcome.kind === 'refused') this.#settled(outcome?.error ?? 'UNKNOWN_SERVER_ERROR')
      else (entries[index] as PartitionAppend).partition.whenHighWatermark(outcome.lastOffset + 1, this.#settled)
    }
  }

  /** Something will be added later, and `release` called. */
  hold(): void {
    this.#left++
  }

  /** What was held has been added, or will not be; called once for the turn itself, too. */
  release(error: KafkaErrorName | null): void {
    this.#settled(error)
  }

  readonly #settled = (error: KafkaErrorName | null): void => {
    // That another batch of the set was refused is no reason: the other one has it.
    if (error !== null && (this.#failure === null || this.#failure === 'OPERATION_NOT_ATTEMPTED')) this.#failure = error
    if (--this.#left === 0) this.#onSettled(this.#failure)
  }
}
