/**
 * Watches what the data directory takes and what the file system has left, and says when new data is refused: a disk that fills is
 * a normal state. Reads go on in it, what has been begun is finished, and it ends by itself when there is room.
 *
 * - within the budget and above the margin: everything is taken
 * - at the budget, or near the end of the file system: old segments go (`drop-oldest`), or new data is refused (`reject`)
 * - an operation has met a lack of space: the ballast is given up for what has been begun, new data is refused until the ballast is back
 */
import { asError } from '../base/errors.ts'
import type { Clock, Observer } from '../base/ports.ts'
import type { DiskError } from '../base/ports.ts'
import type { Gate } from './append-gate.ts'
import type { Ballast } from './ballast.ts'
import { logEvents } from './log-events.ts'
import { logMetrics } from './log-metrics.ts'
import { isSpaceError, type PatientDisk } from './patient-disk.ts'

/** What happens to new data when the budget is used up. */
export type WhenFull = 'reject' | 'drop-oldest'

export interface SpaceOptions {
  /** Most bytes of everything in the data directory. */
  readonly budgetBytes?: number
  /** The same as a share of the file system, above 0 and at most 1; the smaller of both counts. */
  readonly budgetShare?: number
  readonly whenFull?: WhenFull
  /** Size of the ballast, less on a small disk; 0 = none, and no margin is kept either. */
  readonly ballastBytes?: number
}

export interface SpaceGuardParts {
  readonly disk: PatientDisk
  readonly clock: Clock
  readonly observer: Observer
  readonly dataDir: string
  readonly ballast: Ballast
  readonly options: SpaceOptions
  /** Everything in the directory but the ballast and what passes. */
  usedBytes(): number
  /** Appended and not yet committed. */
  pendingBytes(): number
  /** Committed, and not in their files yet: the file system does not know of them. */
  heldBytes(): number
  /** What compaction has written beside what it will take the place of: no reason to give up data. */
  passingBytes(): number
  /** Looks at what is not counted as it grows; not more often than it likes unless `isDue`. */
  measure(isDue: boolean): Promise<void>
  /** Gives up the oldest sealed segment, or only what is past its retention and stays for readers; answers whether there was one that may go. */
  dropOldest(isKeptOnly: boolean): Promise<boolean>
  isStopped(): boolean
  onFailure(error: Error): void
}

export interface SpaceReport {
  readonly usedBytes: number
  /** Infinity = only the file system's size bounds it. */
  readonly budgetBytes: number
  /** Why new data is refused, in words; null = it is not. */
  readonly refusal: string | null
  /** What was appended and is not committed yet takes all the room there is: users' data is refused until it is written. */
  readonly isSpokenFor: boolean
}

/** The figures are looked at this often while data comes or is refused, and sooner when the room last seen may be used up. */
const checkMs = 1000
/** A ballast that could not be written is tried again after this many checks: on a quota only the try tells. */
const checksBetweenFills = 10
/** The first ballast is written when the node has committed this much: a start stays quick, a quiet node small. */
const bytesBeforeBallast = 1_048_576
/** Room that must be there again before data is taken again, as a part of the budget. */
const hysteresisPart = 64
/** When the system does not tell, only the budget and the failures of operations count. */
const unknownSpace = { freeBytes: Number.POSITIVE_INFINITY, totalBytes: Number.POSITIVE_INFINITY }
/** On a small disk the ballast is small. */
const ballastPartOfBudget = 8
const ballastPartOfDisk = 16
/** What topics of this node may take beyond the budget. */
const ownReservePart = 16
const ownReserveMax = 64 * 1_048_576
/** Segments given up in one check. */
const dropsPerCheckMax = 1024

export class SpaceGuard implements SpaceReport {
  readonly #parts: SpaceGuardParts
  #refusal: string | null = null
  #hasMetLack = false
  #budgetBytes = Number.POSITIVE_INFINITY
  /** Bytes that may be committed before the figures have to be looked at. */
  #roomBytes = Number.POSITIVE_INFINITY
  /** What may be appended beyond what has been committed since the figures were looked at. */
  #appendRoomBytes = Number.POSITIVE_INFINITY
  /** As `#roomBytes`, of this node's own records. */
  #ownRoomBytes = Number.POSITIVE_INFINITY
  #committedBytes = 0
  #measuredAtBytes = 0
  #isTimerSet = false
  #checking: Promise<void> | null = null
  #checksUntilFill = 0

  constructor(parts: SpaceGuardParts) {
    this.#parts = parts
    this.#budgetBytes = parts.options.budgetBytes ?? Number.POSITIVE_INFINITY
    parts.disk.onLack = (error) => this.#onLack(error)
    parts.disk.onSpace = () => this.#checkSoon()
  }

  /** Why new data is refused; null = it is taken. */
  get refusal(): string | null {
    return this.#refusal
  }

  /** Nothing lacks, so much may still be taken, and the budget is not smaller than that. */
  hasRoom({ roomBytes, budgetBytes }: { readonly roomBytes: number; readonly budgetBytes: number }): boolean {
    if (this.#refusal !== null || this.#parts.disk.lack !== null) return false
    return this.#roomBytes >= roomBytes && this.#budgetBytes >= budgetBytes
  }

  get isSpokenFor(): boolean {
    return this.#appendRoomBytes <= this.#parts.pendingBytes()
  }

  /** What may still be taken within the budget. */
  get roomBytes(): number {
    return this.#budgetBytes - this.#usedBytes()
  }

  /** This node's own records have used up the reserve that stands behind the budget for them. */
  get isExhausted(): boolean {
    return this.#refusal !== null && this.#ownRoomBytes <= 0
  }

  get usedBytes(): number {
    return this.#usedBytes()
  }

  /**
   * What an append has to know. A client may send faster than the disk takes it: what has been appended counts before it is written,
   * or the file system would be full with megabytes still to be written, and this node's own records behind them.
   */
  gate(queuedBytes: number): Pick<Gate, 'refusal' | 'isExhausted' | 'waitingBytes'> {
    if (this.#refusal !== null) {
      return { refusal: this.#refusal, isExhausted: this.isExhausted, waitingBytes: queuedBytes }
    }
    const { isSpokenFor } = this
    if (isSpokenFor) this.#check()
    return {
      refusal: isSpokenFor ? 'what is being written takes all that is left' : null,
      isExhausted: false,
      waitingBytes: 0,
    }
  }

  get budgetBytes(): number {
    return this.#budgetBytes
  }

  /** Before anything is written: the start may need the ballast. */
  open(): Promise<void> {
    this.#parts.observer.set(logMetrics.refusesData, 0)
    return this.#parts.ballast.open()
  }

  /** This many bytes have been committed, or written beside the records. */
  onCommitted(bytes: number): void {
    this.#committedBytes += bytes
    this.#roomBytes -= bytes
    this.#appendRoomBytes -= bytes
    this.#ownRoomBytes -= bytes
    if (this.#roomBytes <= 0 && this.#checking === null) this.#check()
    this.#checkSoon()
  }

  /** Looks at the figures now. Resolves when it has acted on them. */
  check(): Promise<void> {
    this.#check()
    return this.#checking ?? Promise.resolve()
  }

  #checkSoon(): void {
    if (this.#isTimerSet || this.#parts.isStopped()) return
    this.#isTimerSet = true
    this.#parts.clock.schedule(checkMs, () => {
      this.#isTimerSet = false
      this.#check()
    })
  }

  #check(): void {
    if (this.#checking !== null || this.#parts.isStopped()) return
    this.#checking = this.#look()
      .catch((thrown: unknown) => {
        if (!this.#parts.isStopped()) this.#parts.onFailure(asError(thrown))
      })
      .then(() => {
        this.#checking = null
        if (this.#refusal !== null) this.#checkSoon()
      })
  }

  async #look(): Promise<void> {
    const { disk, dataDir, ballast, options } = this.#parts
    const hasGrown = this.#committedBytes - this.#measuredAtBytes >= this.#budgetBytes / hysteresisPart
    if (hasGrown) this.#measuredAtBytes = this.#committedBytes
    await this.#parts.measure(hasGrown)
    const look = (): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> =>
      disk.space(dataDir).then(
        ({ freeBytes, totalBytes }) => ({ freeBytes: freeBytes - this.#parts.heldBytes(), totalBytes }),
        () => unknownSpace,
      )
    let space = await look()
    const share = (options.budgetShare ?? Number.POSITIVE_INFINITY) * space.totalBytes
    this.#budgetBytes = Math.min(options.budgetBytes ?? Number.POSITIVE_INFINITY, share)
    const smallest = Math.min(this.#budgetBytes / ballastPartOfBudget, space.totalBytes / ballastPartOfDisk)
    ballast.resize(Math.floor(Math.min(options.ballastBytes ?? 0, smallest)))
    // Counted as seldom as possible: it is a look at every segment of ten thousand logs.
    let used = this.#usedBytes()
    let room = this.#room(space.freeBytes, used)
    if (room + this.#parts.passingBytes() <= 0) {
      await this.#dropUntilRoom(space.freeBytes, options.whenFull !== 'drop-oldest')
      space = await look()
      used = this.#usedBytes()
      room = this.#room(space.freeBytes, used)
    }
    const appendRoom = this.#appendRoom(space.freeBytes, used)
    await this.#tendBallast(space.freeBytes)
    this.#roomBytes = room
    this.#appendRoomBytes = appendRoom
    this.#ownRoomBytes = this.#budgetBytes - used + ownReserveBytes(this.#budgetBytes)
    this.#decide(room, ballast.bytesMax > 0 ? ballast.isWhole : true)
    this.#parts.observer.set(logMetrics.usedBytes, used)
    if (Number.isFinite(this.#budgetBytes)) this.#parts.observer.set(logMetrics.budgetBytes, this.#budgetBytes)
  }

  /** Room of the file system that new data has no part of, besides the ballast. */
  get #marginBytes(): number {
    return Math.floor(this.#parts.ballast.bytesMax / 2)
  }

  #usedBytes(): number {
    // The ballast counts from the beginning: it must not come as a surprise.
    const { ballast } = this.#parts
    return this.#parts.usedBytes() + this.#parts.passingBytes() + Math.max(ballast.bytes, ballast.bytesMax)
  }

  /** What may still be appended: within the budget, and above the margin of the file system. */
  #room(freeBytes: number, usedBytes: number): number {
    return Math.min(this.#budgetBytes - usedBytes, this.#marginBytes > 0 ? freeBytes - this.#marginBytes : freeBytes)
  }

  /**
   * As `#room`, with what is appended and not yet committed, and a little beyond: a commit that has used up the room has the figures
   * looked at, and what stays for readers given up, before anything is refused. Where old segments go they make room for what waits.
   */
  #appendRoom(freeBytes: number, usedBytes: number): number {
    if (this.#parts.options.whenFull === 'drop-oldest') return Number.POSITIVE_INFINITY
    const beyondBytes = this.#parts.pendingBytes() + ownReserveBytes(this.#budgetBytes) / 2
    return Math.min(this.#budgetBytes - usedBytes + beyondBytes, freeBytes - this.#marginBytes / 2)
  }

  async #dropUntilRoom(freeBytes: number, isKeptOnly: boolean): Promise<void> {
    const usedBefore = this.#usedBytes()
    for (let drops = 0; drops < dropsPerCheckMax && !this.#parts.isStopped(); drops++) {
      const used = this.#usedBytes()
      if (this.#room(freeBytes + usedBefore - used, used) + this.#parts.passingBytes() > this.#wantedRoom()) return
      if (!(await this.#parts.dropOldest(isKeptOnly))) return
    }
  }

  #wantedRoom(): number {
    const part = Number.isFinite(this.#budgetBytes) ? this.#budgetBytes / hysteresisPart : 0
    return Math.max(Math.floor(part), Math.floor(this.#marginBytes / 2))
  }

  async #tendBallast(freeBytes: number): Promise<void> {
    const { ballast, disk } = this.#parts
    if (ballast.isWhole || disk.lack !== null) return
    const isWanted = this.#hasMetLack || this.#committedBytes >= bytesBeforeBallast
    if (!isWanted || freeBytes < ballast.bytesMax - ballast.bytes + this.#marginBytes) return
    if (this.#checksUntilFill-- > 0) return
    this.#checksUntilFill = checksBetweenFills
    if (await ballast.fill()) this.#checksUntilFill = 0
  }

  #decide(room: number, hasBallast: boolean): void {
    if (this.#parts.disk.lack !== null) return
    if (this.#hasMetLack) {
      if (!hasBallast || room <= this.#wantedRoom()) return
      this.#hasMetLack = false
      this.#take()
      return
    }
    if (this.#refusal !== null && room > this.#wantedRoom()) this.#take()
    else if (this.#refusal === null && room <= 0) {
      const isBudget = this.#budgetBytes - this.#usedBytes() <= 0
      this.#refuse(
        isBudget
          ? `the data directory has used its budget of ${this.#budgetBytes} bytes`
          : 'the file system is nearly full',
      )
    }
  }

  #onLack(error: DiskError): void {
    this.#hasMetLack = true
    this.#refuse(error.message)
    if (isSpaceError(error)) void this.#giveBallast()
    this.#checkSoon()
  }

  async #giveBallast(): Promise<void> {
    try {
      if (await this.#parts.ballast.release()) this.#parts.disk.retry()
    } catch (thrown) {
      this.#parts.onFailure(asError(thrown))
    }
  }

  #refuse(reason: string): void {
    if (this.#refusal === null) {
      this.#parts.observer.event(logEvents.dataRefused, { reason })
      this.#parts.observer.set(logMetrics.refusesData, 1)
    }
    this.#refusal = reason
  }

  #take(): void {
    this.#refusal = null
    this.#parts.observer.event(logEvents.dataTaken, {})
    this.#parts.observer.set(logMetrics.refusesData, 0)
  }
}

/** How far beyond its budget a node may grow by its own records: offsets of groups, sessions, retained messages, the metadata. */
export function ownReserveBytes(budgetBytes: number): number {
  return Math.min(ownReserveMax, budgetBytes / ownReservePart)
}
