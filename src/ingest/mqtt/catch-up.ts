/**
 * Reads the log for those who are behind: sessions that were away or slow, shared subscriptions whose members were. What they have not been given waits
 * in the log alone. One read of a partition serves all who wait there; memory holds what their bounds let in, and a few pieces that somebody is not
 * through with.
 */
import type { Observer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { BacklogLane, bytesFrom, type LanePlace } from './backlog-lane.ts'
import type { LogPiece } from './log-piece.ts'
import { loadPiece, type PieceReadingOptions, restFrom } from './piece-reading.ts'
import type { FanOut } from './fan-out.ts'
import type { LogSummaries } from './log-summaries.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { OvertakenBy, OvertakenReaders } from './overtaken-readers.ts'
import type { PlacedReader } from './reader-places.ts'
import { isWanted } from './reader-probes.ts'

/** Whoever reads the log at a place of its own while it is behind the live end of some partitions. */
export interface Reader extends PlacedReader {
  /** It could take more now. */
  readonly wantsMore: boolean
}

export interface CatchUpOptions extends PieceReadingOptions {
  readonly observer: Observer
  readonly fanOut: FanOut
  readonly summaries: LogSummaries
  readonly overtaken: OvertakenReaders
  /** Offset up to which all records of the partition were handed to everybody else; undefined = it is not read. */
  readonly livePosition: (partition: Partition) => number | undefined
  /** The reader is behind in a partition since now, or not any more. */
  readonly onMoved: (reader: Reader) => void
}

/** Partitions that are read at a time: they share the loop with everybody else. */
const runningMax = 2
/** A failed read is tried again after this. */
const retryMs = 1000
/** A reader that has room, but not for the next message (all sessions together hold what they may), is asked again after this. */
const crowdedMs = 100
/** What one turn of the loop hands out, and looks at, in one partition. */
const offersPerTurn = 2000
const recordsPerTurn = 10_000
/**
 * A piece is kept this long for the few who have no room for all of it; then they wait for the next sweep. When half of its readers have none it is kept
 * on while any of them takes something, up to the second bound: reading it again for so many would be worse.
 */
const holdMs = 250
const holdMsMax = 5000
/**
 * Who has just come, and is so far behind, waits for others that come with it (a site whose network is back): until nobody has come for a moment, at
 * most up to the second bound. Then one sweep serves them all.
 */
const gatherBytesMin = 16_777_216
const gatherMs = 100
const gatherMsMax = 1000
/** Pieces that are kept so; beyond it nobody is waited for. The same of what was read with a piece that ends at a compressed batch. */
const heldBytesMax = 8_388_608
export class CatchUp {
  private readonly options: CatchUpOptions
  /** Bound: the partitions. */
  private readonly lanes = new Map<Partition, BacklogLane>()
  /** Readers that would take something, each a rider in all lanes that it is behind in. Bound: the sessions and their shared subscriptions. */
  private readonly ready = new Set<Reader>()
  private readonly crowded = new Set<Reader>()
  /** Those that have been served since they came. Bound: as `ready`. */
  private readonly served = new Set<Reader>()
  private readonly queue = new Set<BacklogLane>()
  /** Those of which a piece is in memory. */
  private readonly begun = new Set<BacklogLane>()
  private running = 0
  private heldBytes = 0
  private restBytes = 0
  private isStopped = false

  constructor(options: CatchUpOptions) {
    this.options = options
  }

  /** The reader has room. */
  request(reader: Reader): void {
    if (this.isStopped || reader.behind.size === 0 || this.ready.has(reader) || !reader.wantsMore) return
    this.ready.add(reader)
    for (const partition of reader.behind.keys()) this.join(reader, partition)
  }

  /** The reader is behind since now, in this partition too. */
  fellBehind(reader: Reader, partition: Partition): void {
    this.options.onMoved(reader)
    if (this.ready.has(reader)) this.join(reader, partition)
    else this.request(reader)
  }

  /** The reader has no connection any more; what waited for it in memory waits in the log. */
  pause(reader: Reader): void {
    this.ready.delete(reader)
    this.served.delete(reader)
    for (const partition of reader.behind.keys()) this.lanes.get(partition)?.forget(reader)
  }

  /** The reader ends. */
  forget(reader: Reader): void {
    this.pause(reader)
    this.crowded.delete(reader)
    this.options.overtaken.forgetReader(reader)
    reader.behind.clear()
    reader.done.clear()
  }

  stop(): void {
    this.isStopped = true
    for (const lane of this.lanes.values()) {
      this.endHold(lane)
      if (lane.gathering !== null) this.options.clock.cancel(lane.gathering.timer)
    }
    for (const set of [this.lanes, this.ready, this.crowded, this.served, this.queue, this.begun]) set.clear()
  }

  private join(reader: Reader, partition: Partition): void {
    let lane = this.lanes.get(partition)
    if (lane === undefined) {
      lane = new BacklogLane(partition)
      this.lanes.set(partition, lane)
    }
    lane.riders.add(reader)
    if (lane.gathering === null) this.enqueue(lane)
    else lane.gathering.hasGrown = true
  }

  private enqueue(lane: BacklogLane): void {
    if (lane.state === 'running') lane.isAskedAgain = true
    if (lane.state !== 'idle' || this.isStopped) return
    lane.state = 'queued'
    if (lane.piece === null) this.queue.add(lane)
    else this.begun.add(lane)
    this.startSoon()
  }

  private startSoon(): void {
    // What has been read is handed out before more is read: so no more pieces are in memory than run, and are held.
    for (const queue of [this.begun, this.queue]) {
      for (const lane of queue) {
        if (this.running >= runningMax) return
        queue.delete(lane)
        this.running += 1
        lane.state = 'running'
        this.options.clock.defer(() => void this.run(lane))
      }
    }
  }

  /** One step in one partition; then it is another's turn. */
  private async run(lane: BacklogLane): Promise<void> {
    lane.isAskedAgain = false
    let isFailed = false
    try {
      if (!this.isStopped) await this.step(lane)
    } catch {
      isFailed = true
    }
    this.running -= 1
    lane.state = 'idle'
    if (isFailed) this.options.clock.schedule(retryMs, () => this.enqueue(lane))
    else if (lane.isAskedAgain || (!lane.isWaiting && lane.riders.size > 0)) this.enqueue(lane)
    else if (!lane.isWaiting) this.leave(lane)
    this.startSoon()
  }

  private leave(lane: BacklogLane): void {
    this.setRest(lane, null)
    if (this.lanes.get(lane.partition) === lane) this.lanes.delete(lane.partition)
  }

  private async step(lane: BacklogLane): Promise<void> {
    if (lane.piece === null) {
      const riders = this.ridersOf(lane)
      if (riders.length === 0) return
      const place = lane.look(riders)
      if (this.gathers(lane, riders, place)) return
      if (place.beginsSweep) lane.beginSweep(place.from, this.options.livePosition(lane.partition) ?? 0)
      for (const rider of riders) this.served.add(rider)
      if (this.passOver(lane, riders, place.from)) return
      lane.piece = await this.load(lane, place.from)
      if (lane.piece === null || this.isStopped) return
    }
    this.handOut(lane, lane.piece)
  }

  /** Who takes something in this partition now; the others wait until they ask again. */
  private ridersOf(lane: BacklogLane): Reader[] {
    const { partition } = lane
    const live = this.options.livePosition(partition) ?? 0
    const riders: Reader[] = []
    for (const reader of lane.riders) {
      const offset = reader.behind.get(partition)
      if (offset === undefined || offset >= live) this.arrive(lane, reader)
      else if (reader.wantsMore && this.ready.has(reader)) riders.push(reader)
      else {
        this.ready.delete(reader)
        lane.riders.delete(reader)
      }
    }
    return riders
  }

  /** The reader is at the live end here. */
  private arrive(lane: BacklogLane, reader: Reader): void {
    lane.forget(reader)
    this.options.overtaken.forget(reader, lane.partition)
    reader.behind.delete(lane.partition)
    if (reader.behind.size === 0) this.ready.delete(reader)
    this.options.onMoved(reader)
  }

  private advance(lane: BacklogLane, reader: Reader, offset: number): void {
    const { partition } = lane
    const live = this.options.livePosition(partition)
    if (live === undefined || offset >= live) this.arrive(lane, reader)
    else reader.behind.set(partition, Math.max(offset, reader.behind.get(partition) ?? 0))
  }

  /** True while a sweep that would begin far back waits for others. */
  private gathers(lane: BacklogLane, riders: readonly Reader[], { from, beginsSweep }: LanePlace): boolean {
    if (lane.gathering !== null) return true
    const { partition } = lane
    const isNew = (rider: Reader): boolean => rider.behind.get(partition) === from && !this.served.has(rider)
    if (!beginsSweep || !riders.some(isNew) || bytesFrom(partition, from) < gatherBytesMin) return false
    const { clock } = this.options
    const untilMs = clock.monotonicMs() + gatherMsMax
    const look = (): void => {
      const { gathering } = lane
      if (gathering === null) return
      if (gathering.hasGrown && clock.monotonicMs() < untilMs) {
        gathering.hasGrown = false
        gathering.timer = clock.schedule(gatherMs, look)
        return
      }
      lane.gathering = null
      for (const rider of lane.riders) this.served.add(rider)
      this.enqueue(lane)
    }
    lane.gathering = { timer: clock.schedule(gatherMs, look), hasGrown: false }
    return true
  }

  // ------------------------------------------------------------------------------------------- reading

  /** True when the stretch of the log that is next holds nothing for anybody: they are behind it now. */
  private passOver(lane: BacklogLane, riders: readonly Reader[], from: number): boolean {
    const { summaries, livePosition, observer } = this.options
    const { partition } = lane
    const live = livePosition(partition) ?? 0
    const stretch = summaries.at(partition, from)
    if (stretch === null || stretch === lane.wanted) return false
    const inside = riders.filter((reader) => {
      const offset = reader.behind.get(partition) as number
      return offset >= from && offset < stretch.endOffset
    })
    if (isWanted(stretch, inside)) {
      lane.wanted = stretch
      return false
    }
    const end = Math.min(stretch.endOffset, live)
    for (const reader of inside) this.advance(lane, reader, end)
    lane.passTo(end)
    observer.add(mqttMetrics.backlogPassed, end - from)
    return true
  }

  /** The next piece; null when there is none, and somebody has been told. */
  private async load(lane: BacklogLane, fromOffset: number): Promise<LogPiece | null> {
    const { livePosition, observer } = this.options
    const { partition } = lane
    const range = { fromOffset, liveOffset: livePosition(partition) ?? 0 }
    const onRead = (bytes: number): void => observer.add(mqttMetrics.backlogReadBytes, bytes)
    const loaded = await loadPiece(partition, range, restFrom(lane.rest, fromOffset), { ...this.options, onRead })
    this.setRest(lane, null)
    if ('cause' in loaded) {
      if (!this.isStopped) this.lose(lane, { fromOffset, toOffset: loaded.toOffset, reason: loaded.cause })
      return null
    }
    this.setRest(lane, loaded.rest)
    if (this.isStopped) loaded.piece.giveBack()
    return this.isStopped ? null : loaded.piece
  }

  /** Keeps what was read with a piece, if there is room for it. */
  private setRest(lane: BacklogLane, rest: BacklogLane['rest']): void {
    this.restBytes -= lane.rest?.bytes.length ?? 0
    lane.rest = rest !== null && this.restBytes + rest.bytes.length <= heldBytesMax ? rest : null
    this.restBytes += lane.rest?.bytes.length ?? 0
  }

  /** Records that nobody can be given: whoever waits for them goes on behind them. */
  private lose(
    lane: BacklogLane,
    gap: { readonly fromOffset: number; readonly toOffset: number; readonly reason: OvertakenBy },
  ): void {
    for (const reader of [...lane.riders]) {
      const offset = reader.behind.get(lane.partition)
      if (offset === undefined || offset < gap.fromOffset || offset >= gap.toOffset) continue
      this.options.overtaken.tell(reader, lane.partition, { ...gap, fromOffset: offset })
      this.advance(lane, reader, gap.toOffset)
    }
    lane.passTo(gap.toOffset)
  }

  // --------------------------------------------------------------------------------------- handing out

  /** Gives the piece to all whose place is in it, as far as each takes it. */
  private handOut(lane: BacklogLane, piece: LogPiece): void {
    const { partition } = lane
    const takers = new Set<Reader>()
    let from = piece.endOffset
    for (const reader of this.ridersOf(lane)) {
      const offset = reader.behind.get(partition) as number
      if (offset < piece.fromOffset || offset >= piece.endOffset) continue
      takers.add(reader)
      if (piece.hasGaps && !lane.partners.has(reader)) this.tellCompacted(reader, partition, piece, offset)
      lane.partners.add(reader)
      from = Math.min(from, offset)
    }
    if (takers.size === 0) return this.holdOrGoOn(lane, piece)
    const walk = this.walk(lane, piece, from, takers)
    if (walk.isUnreadable) {
      this.lose(lane, { fromOffset: from, toOffset: Math.max(walk.endOffset, from + 1), reason: 'unreadable' })
    }
    for (const reader of takers) {
      this.advance(lane, reader, walk.endOffset)
      if (walk.endOffset >= piece.endOffset) lane.lagging.delete(reader)
    }
    this.options.fanOut.flush()
    if (walk.endOffset < piece.endOffset && takers.size > 0) lane.isAskedAgain = true
    else this.holdOrGoOn(lane, piece)
  }

  /** Offsets are missing: of a compacted topic that means values that a newer one of their key has taken the place of. */
  private tellCompacted(reader: Reader, partition: Partition, piece: LogPiece, fromOffset: number): void {
    if (!partition.log.config.cleanupPolicy.has('compact')) return
    this.options.overtaken.tell(reader, partition, { fromOffset, toOffset: piece.endOffset, reason: 'compaction' })
  }

  private walk(
    lane: BacklogLane,
    piece: LogPiece,
    from: number,
    takers: Set<Reader>,
  ): { readonly endOffset: number; readonly isUnreadable: boolean } {
    const { fanOut, clock, summaries } = this.options
    const { partition } = lane
    const place = { partition, offset: 0, wallMs: clock.wallMs(), summary: summaries.open(partition, 'backlog', from) }
    let offers = 0
    let records = 0
    const onFull = (reader: Reader): void => {
      takers.delete(reader)
      this.onFull(lane, reader, place.offset)
    }
    const walk = piece.walk(
      from,
      (bytes, record, offset) => {
        place.offset = offset
        records += 1
        offers += fanOut.offerToAll(takers, bytes, record, place, onFull)
        return takers.size > 0 && offers < offersPerTurn && records < recordsPerTurn
      },
      (endOffset, bytes) => {
        summaries.extend(partition, 'backlog', endOffset, bytes)
        place.summary = summaries.open(partition, 'backlog', endOffset)
      },
    )
    if (lane.hold !== null && offers > 0) lane.hold.hasMoved = true
    return walk
  }

  private onFull(lane: BacklogLane, reader: Reader, offset: number): void {
    reader.behind.set(lane.partition, offset)
    lane.lagging.add(reader)
    lane.riders.delete(reader)
    this.ready.delete(reader)
    if (!reader.wantsMore) return
    if (this.crowded.size === 0) this.options.clock.schedule(crowdedMs, () => this.askCrowded())
    this.crowded.add(reader)
  }

  private askCrowded(): void {
    const crowded = [...this.crowded]
    this.crowded.clear()
    for (const reader of crowded) this.request(reader)
  }

  /** Nobody takes anything of the piece now: it is kept a little for those who are not through, or given up. */
  private holdOrGoOn(lane: BacklogLane, piece: LogPiece): void {
    if (lane.hold !== null && lane.lagging.size > 0) return
    const isKept = lane.lagging.size > 0 && this.heldBytes + piece.sizeInBytes <= heldBytesMax
    if (!isKept) return this.endHold(lane)
    const { clock } = this.options
    this.heldBytes += piece.sizeInBytes
    lane.hold = {
      timer: clock.schedule(holdMs, () => this.lookAtHold(lane)),
      untilMs: clock.monotonicMs() + holdMsMax,
      hasMoved: false,
    }
  }

  private lookAtHold(lane: BacklogLane): void {
    const { hold, lagging, partners } = lane
    if (hold === null) return
    const { clock } = this.options
    // Those that only wait for the room of all sessions together are no less ready than the others.
    const crowded = [...lagging].filter((each) => each.wantsMore).length
    const isWorthIt = lagging.size * 2 >= partners.size || crowded * 2 >= lagging.size
    const goesOn = isWorthIt && hold.hasMoved && clock.monotonicMs() < hold.untilMs
    if (goesOn && lagging.size > 0) {
      hold.hasMoved = false
      hold.timer = clock.schedule(holdMs, () => this.lookAtHold(lane))
      return
    }
    this.endHold(lane)
    if (lane.riders.size > 0) this.enqueue(lane)
    else if (lane.state === 'idle') this.leave(lane)
  }

  private endHold(lane: BacklogLane): void {
    if (lane.hold !== null) {
      this.options.clock.cancel(lane.hold.timer)
      this.heldBytes -= lane.piece?.sizeInBytes ?? 0
      lane.hold = null
    }
    lane.finishPiece()
  }
}
