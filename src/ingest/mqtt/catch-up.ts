/**
 * Reads the log for those who are behind: a session that was away or slow, a shared subscription whose members were. What they have not been given
 * waits in the log alone; memory holds only what their bounds let in.
 */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock, Compute, Observer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { LogReadResult } from '../../log/append.ts'
import {
  batchBaseOffset,
  batchBaseTimestamp,
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchMaxTimestamp,
  batchRecordCount,
  batchSizeInBytes,
  batchTimestampType,
} from '../../protocol/records/record-batch.ts'
import type { RecordPlace } from './fan-out.ts'
import { mqttEvents } from './mqtt-events.ts'
import { type ScannedRecord, scanRecords } from './record-scan.ts'

/** Whoever reads the log at a place of its own while it is behind the live end of some partitions. */
export interface Reader {
  /** Next offset of each partition that is not read with all others. */
  readonly behind: Map<Partition, number>
  /** It could take more now. */
  readonly wantsMore: boolean
  /** It has read a partition up to here, which is its live end; it is not behind there any more. */
  onLive?(partition: Partition, offset: number): void
}

/** Gives records to the one who reads. */
export interface RecordGiver {
  /** False = that one takes no more now. */
  offerTo(reader: Reader, bytes: Uint8Array, record: ScannedRecord, place: RecordPlace): boolean
  /** Sends what was given. */
  flush(): void
}

export interface CatchUpOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly observer: Observer
  readonly giver: RecordGiver
  readonly readBytes: number
  readonly decompressedBytesMax: number
  /** Offset up to which all records of the partition were handed to everybody else; undefined = it is not read. */
  readonly livePosition: (partition: Partition) => number | undefined
}

/** Reads at a time: they share the loop with everybody else. */
const readersMax = 2
/** A failed read is tried again after this. */
const retryMs = 1000
/** A reader that has room, but not for the next message (all sessions together hold what they may), is asked again after this. */
const crowdedMs = 100

/** `done`: the live end is reached, or somebody moved the reader. `full`: it takes no more now. */
type Progress = 'goes on' | 'done' | 'full'

export class CatchUp {
  private readonly options: CatchUpOptions
  /** Those who wait for their turn, in its order. Bound: the sessions and their shared subscriptions. */
  private readonly waiting = new Set<Reader>()
  private readonly running = new Set<Reader>()
  private isStopped = false

  constructor(options: CatchUpOptions) {
    this.options = options
  }

  /** The reader has room, or is behind since now. */
  request(reader: Reader): void {
    if (this.isStopped || reader.behind.size === 0 || !reader.wantsMore) return
    this.waiting.add(reader)
    if (!this.running.has(reader)) this.startSoon()
  }

  /** The reader ends. */
  forget(reader: Reader): void {
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
  private async run(reader: Reader): Promise<void> {
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
  private async readOnce(reader: Reader, partition: Partition, from: number): Promise<boolean> {
    const { broker, readBytes, livePosition } = this.options
    const live = livePosition(partition)
    if (live === undefined || from >= live) {
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

  private async take(reader: Reader, partition: Partition, read: LogReadResult): Promise<boolean> {
    const from = reader.behind.get(partition) as number
    if (read.kind === 'outOfRange') {
      this.skip(reader, partition, Math.max(partition.log.logStartOffset, from + 1), 'retention was faster')
      return false
    }
    if (read.kind === 'damaged') {
      this.skip(reader, partition, Math.max(read.nextOffset, from + 1), 'the log is damaged')
      return false
    }
    if (read.bytes.length === 0) {
      const live = this.options.livePosition(partition) ?? from
      this.skip(reader, partition, Math.max(live, from), 'the log could not be read')
      return false
    }
    const { bytes } = read
    for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
      const outcome = await this.takeBatch(reader, partition, bytes, at)
      if (outcome !== 'goes on') return outcome === 'full'
    }
    return false
  }

  private async takeBatch(reader: Reader, partition: Partition, bytes: Uint8Array, at: number): Promise<Progress> {
    const endOffset = batchLastOffset(bytes, at) + 1
    const expected = reader.behind.get(partition)
    const codec = batchCodec(bytes, at)
    if (batchIsControl(bytes, at)) return this.advance(reader, partition, endOffset)
    const span = { start: at + batchHeaderBytes, end: at + batchSizeInBytes(bytes, at) }
    if (codec === 'none') return this.takeRecords(reader, partition, { header: bytes, at, records: bytes, ...span })
    const { compute, decompressedBytesMax } = this.options
    const batch = copyBytes(bytes, at, span.end)
    const body = batch.subarray(batchHeaderBytes)
    const records =
      codec === null ? null : await compute.decompress(codec, body, decompressedBytesMax).catch(() => null)
    if (this.isStopped || reader.behind.get(partition) !== expected) return 'done'
    if (records === null) return this.skip(reader, partition, endOffset, 'a batch could not be read')
    return this.takeRecords(reader, partition, { header: batch, at: 0, records, start: 0, end: records.length })
  }

  private takeRecords(
    reader: Reader,
    partition: Partition,
    batch: { header: Uint8Array; at: number; records: Uint8Array; start: number; end: number },
  ): Progress {
    const { giver, clock, livePosition } = this.options
    const { header, at, records } = batch
    const baseOffset = batchBaseOffset(header, at)
    const live = livePosition(partition) ?? 0
    const wallMs = clock.wallMs()
    const baseTimestampMs = batchBaseTimestamp(header, at)
    const appendedMs = batchTimestampType(header, at) === 'LogAppendTime' ? batchMaxTimestamp(header, at) : null
    let position = reader.behind.get(partition) as number
    let isFull = false
    try {
      scanRecords(records, { start: batch.start, end: batch.end, count: batchRecordCount(header, at) }, (record) => {
        const offset = baseOffset + record.offsetDelta
        if (isFull || offset < position || offset >= live) return
        const timestampMs = appendedMs ?? baseTimestampMs + record.timestampDelta
        isFull = !giver.offerTo(reader, records, record, { partition, offset, wallMs, timestampMs })
        if (!isFull) position = offset + 1
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

  private advance(reader: Reader, partition: Partition, offset: number): Progress {
    const live = this.options.livePosition(partition)
    if (live === undefined || offset >= live) {
      this.arrive(reader, partition, offset)
      return 'done'
    }
    reader.behind.set(partition, offset)
    return 'goes on'
  }

  private arrive(reader: Reader, partition: Partition, offset: number): void {
    reader.behind.delete(partition)
    reader.onLive?.(partition, offset)
  }

  private skip(reader: Reader, partition: Partition, toOffset: number, reason: string): Progress {
    const { topic, index } = partition
    const fromOffset = reader.behind.get(partition) ?? toOffset
    this.options.observer.event(mqttEvents.deliveryGap, { topic, partition: index, fromOffset, toOffset, reason })
    return this.advance(reader, partition, toOffset)
  }
}
