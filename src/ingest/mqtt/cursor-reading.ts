/** Reads the log for those who have a place of their own choice in it: each by itself, a piece of a partition at a time, in turns. */
import type { Observer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { gapReasons } from './log-gap.ts'
import type { LogPiece } from './log-piece.ts'
import { mqttEvents } from './mqtt-events.ts'
import { loadPiece, type PieceReadingOptions, type PieceRest, restFrom } from './piece-reading.ts'
import type { ScannedRecord } from './record-scan.ts'

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

export interface CursorReadingOptions extends PieceReadingOptions {
  readonly observer: Observer
  readonly giver: RecordGiver
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
    if (from >= partition.highWatermark) {
      this.arrive(reader, partition, from)
      return false
    }
    let rest: Pick<PieceRest, 'bytes' | 'at'> | null = null
    let progress: Progress = 'goes on'
    let at = from
    do {
      const range = { fromOffset: at, liveOffset: partition.highWatermark }
      const loaded = await loadPiece(partition, range, rest, this.options)
      // Who ended meanwhile, or fell further back, reads again or not at all.
      const isMoved = this.isStopped || reader.behind.get(partition) !== at
      if ('cause' in loaded) {
        if (!isMoved) this.skip(reader, partition, loaded.toOffset, gapReasons[loaded.cause])
        return false
      }
      progress = isMoved ? 'done' : this.take(reader, partition, loaded.piece, at)
      this.options.giver.flush()
      loaded.piece.giveBack()
      at = reader.behind.get(partition) ?? at
      rest = restFrom(loaded.rest, at)
    } while (progress === 'goes on' && rest !== null)
    // The order of a map is that of insertion: other partitions come first next time.
    const next = reader.behind.get(partition)
    if (next !== undefined && reader.behind.delete(partition)) reader.behind.set(partition, next)
    return progress === 'full'
  }

  private take(reader: CursorReader, partition: Partition, piece: LogPiece, from: number): Progress {
    const { giver, clock } = this.options
    const wallMs = clock.wallMs()
    let fullAt = -1
    const walk = piece.walk(
      from,
      (bytes, record, offset) => {
        const isTaken = giver.offerTo(reader, bytes, record, { partition, offset, wallMs })
        if (!isTaken) fullAt = offset
        return isTaken
      },
      () => {},
    )
    if (walk.isUnreadable) return this.skip(reader, partition, walk.endOffset, 'a batch could not be read')
    if (fullAt < 0) return this.advance(reader, partition, walk.endOffset)
    reader.behind.set(partition, fullAt)
    return 'full'
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
