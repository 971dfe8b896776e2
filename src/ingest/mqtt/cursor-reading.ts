/** Reads the log for those who have a place of their own choice in it: each by itself, a piece of a partition at a time, in turns. */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock, Compute, Observer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { LogReadResult } from '../../log/append.ts'
import {
  batchBaseOffset,
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'
import { recordBytesOf } from '../../protocol/records/record.ts'
import { batchesOf, gapReasons } from './log-gap.ts'
import { mqttEvents } from './mqtt-events.ts'
import { type ScannedRecord, scanRecords, timesOf } from './record-scan.ts'

/** One of them. */
export interface CursorReader {
  /** Next offset of each partition in which there is something to read. */
  readonly behind: Map<Partition, number>
  /** It could take more now. */
  readonly wantsMore: boolean
  /** It has read a partition up to here, which is the high watermark; it is not behind there any more. */
  onLive(partition: Partition, offset: number): void
}

/** Where a record stands, and when it is looked at. */
export interface CursorPlace {
  readonly partition: Partition
  readonly offset: number
  readonly wallMs: number
}

/** Gives records to the one who reads. */
export interface RecordGiver {
  /** False = that one takes no more now. */
  offerTo(reader: CursorReader, bytes: Uint8Array, record: ScannedRecord, place: CursorPlace): boolean
  /** Sends what was given. */
  flush(): void
}

export interface CursorReadingOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly observer: Observer
  readonly giver: RecordGiver
  readonly readBytes: number
  readonly decompressedBytesMax: number
}

/** Reads at a time: they share the loop with everybody else. */
const readersMax = 2
/** A failed read is tried again after this. */
const retryMs = 1000
/** A reader that has room, but not for the next message (all sessions together hold what they may), is asked again after this. */
const crowdedMs = 100

/** `done`: the live end is reached, or somebody moved the reader. `full`: it takes no more now. */
type Progress = 'goes on' | 'done' | 'full'

export class CursorReading {
  private readonly options: CursorReadingOptions
  /** Those who wait for their turn, in its order. Bound: the sessions and their shared subscriptions. */
  private readonly waiting = new Set<CursorReader>()
  private readonly running = new Set<CursorReader>()
  private isStopped = false

  constructor(options: CursorReadingOptions) {
    this.options = options
  }

  /** The reader has room, or is behind since now. */
  request(reader: CursorReader): void {
    if (this.isStopped || reader.behind.size === 0 || !reader.wantsMore) return
    this.waiting.add(reader)
    if (!this.running.has(reader)) this.startSoon()
  }

  /** The reader ends. */
  forget(reader: CursorReader): void {
    this.waiting.delete(reader)
    reader.behind.clear()
  }

  stop(): void {
    this.isStopped = true
    this.waiting.clear()
  }

  private startSoon(): void {
    if (this.running.size >= readersMax) return
    for (const reader of this.waiting) {
      if (this.running.has(reader)) continue
      this.waiting.delete(reader)
      this.running.add(reader)
      this.options.clock.defer(() => void this.run(reader))
      if (this.running.size >= readersMax) return
    }
  }

  /** One read of one partition; then it is another's turn. */
  private async run(reader: CursorReader): Promise<void> {
    const { clock } = this.options
    let delayMs = 0
    try {
      const next = reader.behind.entries().next().value
      if (next !== undefined && reader.wantsMore && !this.isStopped) {
        const isFull = await this.readOnce(reader, ...next)
        if (isFull && reader.wantsMore) delayMs = crowdedMs
      }
    } catch {
      delayMs = retryMs
    }
    const goOn = (): void => {
      this.running.delete(reader)
      this.request(reader)
      this.startSoon()
    }
    if (delayMs > 0) clock.schedule(delayMs, goOn)
    else goOn()
  }

  /** True when the reader could not take the next message. */
  private async readOnce(reader: CursorReader, partition: Partition, from: number): Promise<boolean> {
    const { broker, readBytes } = this.options
    if (from >= partition.highWatermark) {
      this.arrive(reader, partition, from)
      return false
    }
    const read = broker.readTail(partition, from, readBytes) ?? (await broker.readTailCold(partition, from, readBytes))
    // Who ended meanwhile, or fell further back, reads again or not at all.
    if (this.isStopped || reader.behind.get(partition) !== from) return false
    // The order of a map is that of insertion: other partitions come first next time.
    reader.behind.delete(partition)
    reader.behind.set(partition, from)
    const isFull = await this.take(reader, partition, read)
    this.options.giver.flush()
    return isFull
  }

  private async take(reader: CursorReader, partition: Partition, read: LogReadResult): Promise<boolean> {
    const from = reader.behind.get(partition) as number
    const bytes = batchesOf(read, partition, { fromOffset: from, endOffset: partition.highWatermark })
    if (!(bytes instanceof Uint8Array)) {
      this.skip(reader, partition, bytes.toOffset, gapReasons[bytes.cause])
      return false
    }
    for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
      const outcome = await this.takeBatch(reader, partition, bytes, at)
      if (outcome !== 'goes on') return outcome === 'full'
    }
    return false
  }

  private async takeBatch(
    reader: CursorReader,
    partition: Partition,
    bytes: Uint8Array,
    at: number,
  ): Promise<Progress> {
    const endOffset = batchLastOffset(bytes, at) + 1
    const expected = reader.behind.get(partition)
    if (batchIsControl(bytes, at)) return this.advance(reader, partition, endOffset)
    const span = { start: at + batchHeaderBytes, end: at + batchSizeInBytes(bytes, at) }
    if (batchCodec(bytes, at) === 'none')
      return this.takeRecords(reader, partition, { header: bytes, at, records: bytes, ...span })
    const { compute, decompressedBytesMax } = this.options
    const batch = copyBytes(bytes, at, span.end)
    const records = await recordBytesOf(batch, compute, decompressedBytesMax).catch(() => null)
    if (this.isStopped || reader.behind.get(partition) !== expected) return 'done'
    if (records === null) return this.skip(reader, partition, endOffset, 'a batch could not be read')
    return this.takeRecords(reader, partition, { header: batch, at: 0, records, start: 0, end: records.length })
  }

  private takeRecords(
    reader: CursorReader,
    partition: Partition,
    batch: { header: Uint8Array; at: number; records: Uint8Array; start: number; end: number },
  ): Progress {
    const { giver, clock } = this.options
    const { header, at, records } = batch
    const baseOffset = batchBaseOffset(header, at)
    const live = partition.highWatermark
    const wallMs = clock.wallMs()
    const span = { start: batch.start, end: batch.end, count: batchRecordCount(header, at), times: timesOf(header, at) }
    let position = reader.behind.get(partition) as number
    let isFull = false
    try {
      scanRecords(records, span, (record) => {
        const offset = baseOffset + record.offsetDelta
        if (offset < position) return true
        if (offset >= live) return false
        isFull = !giver.offerTo(reader, records, record, { partition, offset, wallMs })
        if (!isFull) position = offset + 1
        return !isFull
      })
    } catch {
      return this.skip(reader, partition, batchLastOffset(header, at) + 1, 'a batch could not be read')
    }
    if (isFull) {
      reader.behind.set(partition, position)
      return 'full'
    }
    return this.advance(reader, partition, Math.min(batchLastOffset(header, at) + 1, Math.max(live, position)))
  }

  private advance(reader: CursorReader, partition: Partition, offset: number): Progress {
    if (offset >= partition.highWatermark) {
      this.arrive(reader, partition, offset)
      return 'done'
    }
    reader.behind.set(partition, offset)
    return 'goes on'
  }

  private arrive(reader: CursorReader, partition: Partition, offset: number): void {
    reader.behind.delete(partition)
    reader.onLive(partition, offset)
  }

  private skip(reader: CursorReader, partition: Partition, toOffset: number, reason: string): Progress {
    const { topic, index } = partition
    const fromOffset = reader.behind.get(partition) ?? toOffset
    this.options.observer.event(mqttEvents.deliveryGap, { topic, partition: index, fromOffset, toOffset, reason })
    return this.advance(reader, partition, toOffset)
  }
}
