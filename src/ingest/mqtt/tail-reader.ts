import type { Clock, Compute, Observer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import {
  batchBaseOffset,
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
  forEachBatch,
} from '../../protocol/records/record-batch.ts'
import type { LogReadResult } from '../../log/append.ts'
import type { FanOut } from './fan-out.ts'
import { batchesOf, gapReasons } from './log-gap.ts'
import type { LogSummaries } from './log-summaries.ts'
import type { HeldPieces } from './held-pieces.ts'
import type { LogPiece, RecordVisit } from './log-piece.ts'
import { mqttEvents } from './mqtt-events.ts'
import { unpackPiece } from './piece-reading.ts'
import { scanRecords, timesOf } from './record-scan.ts'

export interface TailReaderOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly observer: Observer
  readonly fanOut: FanOut
  readonly summaries: LogSummaries
  readonly heldPieces: HeldPieces
  /** Bytes of one read, and about what one turn of the loop spends on a partition. */
  readonly readBytes: number
  readonly decompressedBytesMax: number
  /** Called after a read. */
  readonly onRead: () => void
}

interface HeldPiece {
  readonly piece: LogPiece
  /** Of the batch as it stands in the log. */
  readonly sizeInBytes: number
}

/** A failed read of the log is tried again after this. */
const retryMs = 1000

/**
 * Reads one partition from a position to its high watermark, driven by the watermark, and hands every record to the fan-out. The one way by which messages
 * reach subscribers.
 */
export class TailReader {
  private readonly partition: Partition
  private readonly options: TailReaderOptions
  private readonly unsubscribe: () => void
  private position: number
  private isBusy = false
  private isScheduled = false
  private isStopped = false
  /** The fan-out takes no more of this partition for now. */
  private isHeld = false
  /** The unpacked batch that it takes no more of. */
  private held: HeldPiece | null = null

  constructor(partition: Partition, fromOffset: number, options: TailReaderOptions) {
    this.partition = partition
    this.options = options
    this.position = fromOffset
    this.unsubscribe = partition.onAdvance(() => this.schedule())
    this.schedule()
  }

  /** Everything below was handed over. */
  get endOffset(): number {
    return this.position
  }

  stop(): void {
    this.isStopped = true
    this.unsubscribe()
    this.takeHeld()?.piece.giveBack()
  }

  /** The fan-out takes more. */
  release(): void {
    this.isHeld = false
    this.schedule()
  }

  private takeHeld(): HeldPiece | null {
    const { held } = this
    this.held = null
    if (held !== null) this.options.heldPieces.delete(held.piece)
    return held
  }

  /** One pass a turn, however often the watermark moved. */
  private schedule(): void {
    const isIdle = this.isStopped || this.isHeld || this.position >= this.partition.highWatermark
    if (this.isScheduled || this.isBusy || isIdle) return
    this.isScheduled = true
    this.options.clock.defer(() => {
      this.isScheduled = false
      if (!this.isStopped && !this.isBusy) this.pass()
    })
  }

  private pass(): void {
    const { broker, readBytes } = this.options
    if (this.position >= this.partition.highWatermark) return
    const held = this.takeHeld()
    if (held !== null) {
      this.takePiece(held)
      this.schedule()
      this.options.onRead()
      return
    }
    const hot = broker.readTail(this.partition, this.position, readBytes)
    if (hot !== null) {
      if (!this.take(hot)) this.schedule()
      this.options.onRead()
      return
    }
    this.wait(
      broker.readTailCold(this.partition, this.position, readBytes).then((read) => {
        if (!this.isStopped) this.take(read)
        this.options.onRead()
      }),
    )
  }

  /** Holds further passes back until `work` is done. */
  private wait(work: Promise<void>): void {
    this.isBusy = true
    work.then(
      () => {
        this.isBusy = false
        this.schedule()
      },
      () => {
        if (this.isStopped) return
        this.options.clock.schedule(retryMs, () => {
          this.isBusy = false
          this.schedule()
        })
      },
    )
  }

  /** Hands over what was read. Answers true when a compressed batch holds the rest up. */
  private take(read: LogReadResult): boolean {
    const range = { fromOffset: this.position, endOffset: this.partition.highWatermark }
    const batches = batchesOf(read, this.partition, range)
    if (!(batches instanceof Uint8Array)) {
      this.skipTo(batches.toOffset, gapReasons[batches.cause])
      return false
    }
    let compressedAt = -1
    forEachBatch(batches, (bytes, at) => {
      if (batchCodec(bytes, at) !== 'none' && !batchIsControl(bytes, at)) {
        compressedAt = at
        return false
      }
      this.takeBatch(bytes, at, { bytes, start: at + batchHeaderBytes, end: at + batchSizeInBytes(bytes, at) })
      return !this.isHeld
    })
    this.options.fanOut.flush()
    if (compressedAt < 0) return false
    this.wait(this.takeCompressed(batches, compressedAt))
    return true
  }

  /** `bytes` are only looked at before it is unpacked. */
  private async takeCompressed(bytes: Uint8Array, at: number): Promise<void> {
    const endOffset = batchLastOffset(bytes, at) + 1
    const sizeInBytes = batchSizeInBytes(bytes, at)
    const piece = await unpackPiece(bytes, at, { fromOffset: this.position, liveOffset: endOffset }, this.options)
    if (piece !== null) this.takePiece({ piece, sizeInBytes })
    else if (!this.isStopped) this.skipTo(endOffset, 'a batch could not be read')
  }

  /** Gives the records of a compressed batch from the position on. Where the fan-out takes no more of them they stay unpacked, if there is room. */
  private takePiece(taken: HeldPiece): void {
    const { fanOut, summaries, clock, heldPieces } = this.options
    const { piece, sizeInBytes } = taken
    if (!this.isStopped) {
      const summary = summaries.open(this.partition, 'live', this.position)
      const place = { partition: this.partition, offset: 0, wallMs: clock.wallMs(), summary }
      const visit: RecordVisit = (bytes, record, offset) => {
        place.offset = offset
        this.isHeld = !fanOut.offer(bytes, record, place)
        if (this.isHeld) this.position = offset
        return !this.isHeld
      }
      const { isUnreadable } = piece.walk(this.position, visit, () => {})
      if (isUnreadable) this.skipTo(piece.endOffset, 'a batch could not be read')
      else if (!this.isHeld) this.position = Math.max(this.position, piece.endOffset)
      summaries.extend(this.partition, 'live', this.position, sizeInBytes)
    }
    fanOut.flush()
    if (this.isHeld && !this.isStopped && heldPieces.add(piece)) this.held = taken
    else piece.giveBack()
  }

  /** Offers the records from the position on; `records` is where they stand, uncompressed. */
  private takeBatch(
    header: Uint8Array,
    at: number,
    records: { readonly bytes: Uint8Array; readonly start: number; readonly end: number },
  ): void {
    const baseOffset = batchBaseOffset(header, at)
    const endOffset = batchLastOffset(header, at) + 1
    const { summaries, clock } = this.options
    const summary = summaries.open(this.partition, 'live', this.position)
    if (!batchIsControl(header, at) && endOffset > this.position) {
      // One object for all records: most are nobody's.
      const place = { partition: this.partition, offset: 0, wallMs: clock.wallMs(), summary }
      const { start, end } = records
      const span = { start, end, count: batchRecordCount(header, at), times: timesOf(header, at) }
      try {
        scanRecords(records.bytes, span, (record) => {
          place.offset = baseOffset + record.offsetDelta
          if (place.offset < this.position) return true
          this.isHeld = !this.options.fanOut.offer(records.bytes, record, place)
          if (this.isHeld) this.position = place.offset
          return !this.isHeld
        })
      } catch {
        return this.skipTo(endOffset, 'a batch could not be read')
      }
    }
    if (!this.isHeld) this.position = Math.max(this.position, endOffset)
    summaries.extend(this.partition, 'live', this.position, batchSizeInBytes(header, at))
  }

  private skipTo(offset: number, reason: string): void {
    const { topic, index } = this.partition
    this.options.observer.event(mqttEvents.deliveryGap, {
      topic,
      partition: index,
      fromOffset: this.position,
      toOffset: offset,
      reason,
    })
    this.position = offset
  }
}
