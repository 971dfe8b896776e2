import type { Timer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { LogPiece } from './log-piece.ts'
import type { PieceRest } from './piece-reading.ts'
import type { Reader } from './catch-up.ts'
import type { Stretch } from './log-summaries.ts'

/** How long a piece is kept for those who could not take all of it. */
export interface Hold {
  timer: Timer
  /** Whatever happens, not longer. */
  readonly untilMs: number
  /** Somebody took something since it was looked at last. */
  hasMoved: boolean
}

/** Where to read next. */
export interface LanePlace {
  readonly from: number
  readonly beginsSweep: boolean
}

/**
 * The readers of one partition that are behind, and the place that is read for all of them: it goes up through the log, then begins again at the
 * lowest place that somebody waits at, as a lift does. Pure.
 */
export class BacklogLane {
  readonly partition: Partition
  /** Those who would take something now. */
  readonly riders = new Set<Reader>()
  state: 'idle' | 'queued' | 'running' = 'idle'
  /** Somebody asked while it ran. */
  isAskedAgain = false
  /** What is handed out. */
  piece: LogPiece | null = null
  /** Read with it, not yet looked at. */
  rest: PieceRest | null = null
  /** Took part in the piece; of them, who could not take all of it yet. */
  readonly partners = new Set<Reader>()
  readonly lagging = new Set<Reader>()
  hold: Hold | null = null
  /** A sweep waits for more readers. */
  gathering: { timer: Timer; hasGrown: boolean } | null = null
  /** A stretch in which somebody may find something. */
  wanted: Stretch | null = null
  private cursor = 0
  private sweepEnd = 0

  constructor(partition: Partition) {
    this.partition = partition
  }

  /** A timer goes on with it, or somebody who asks. */
  get isWaiting(): boolean {
    return this.hold !== null || this.gathering !== null
  }

  /** Where the riders are, all of whom are below the live end. */
  look(riders: readonly Reader[]): LanePlace {
    let lowest = Number.POSITIVE_INFINITY
    let ahead = Number.POSITIVE_INFINITY
    for (const rider of riders) {
      const offset = rider.behind.get(this.partition) ?? Number.POSITIVE_INFINITY
      if (offset < lowest) lowest = offset
      if (offset >= this.cursor && offset < ahead) ahead = offset
    }
    // A sweep ends where the live end was when it began: who is far behind is not kept waiting by those near it.
    return ahead < this.sweepEnd ? { from: ahead, beginsSweep: false } : { from: lowest, beginsSweep: true }
  }

  /** A sweep begins at `fromOffset`. */
  beginSweep(fromOffset: number, liveOffset: number): void {
    this.cursor = fromOffset
    this.sweepEnd = liveOffset
  }

  /** The piece has been handed out, or is given up. */
  finishPiece(): void {
    if (this.piece !== null) this.cursor = this.piece.endOffset
    this.piece?.giveBack()
    this.piece = null
    this.partners.clear()
    this.lagging.clear()
  }

  /** Readers below this offset are served in the next sweep. */
  passTo(offset: number): void {
    this.cursor = offset
  }

  forget(reader: Reader): void {
    for (const set of [this.riders, this.partners, this.lagging]) set.delete(reader)
  }
}

/** About how much of the log is there from an offset on. */
export function bytesFrom({ log }: Partition, offset: number): number {
  let bytes = 0
  for (const [index, { baseOffset, sizeInBytes }] of log.segments.entries()) {
    const endOffset = log.segments[index + 1]?.baseOffset ?? log.logEndOffset
    if (endOffset <= offset) continue
    const share = endOffset > baseOffset ? (endOffset - Math.max(offset, baseOffset)) / (endOffset - baseOffset) : 0
    bytes += sizeInBytes * share
  }
  return bytes
}
