/** How far a partition has been read, sent and confirmed, and what is under way. Pure; `mirror-task.ts` decides with it. */
import type { SendUnit } from './task-events.ts'

export class StreamPosition {
  /** End of what was sent under the anchor: the next sequence number is its distance. */
  contiguousEnd: number
  /** Next offset to read: beyond `contiguousEnd` where something was skipped. */
  readOffset: number
  /** First offset that the target has not confirmed. */
  confirmedEnd: number
  /** The next batch travels alone: the target may not know our producer, and would then take any sequence number for the first. */
  isAlone = true
  /** Sent and not answered, oldest first; bounded by the window. */
  #inFlight: SendUnit[] = []
  /** End of the target partition after our newest confirmed batch; -1 = not known. */
  #targetEnd = -1

  constructor(offset: number) {
    this.contiguousEnd = this.readOffset = this.confirmedEnd = offset
  }

  /** Nothing is under way. */
  get isIdle(): boolean {
    return this.#inFlight.length === 0
  }

  /** The batch that is answered next. */
  get oldest(): SendUnit | undefined {
    return this.#inFlight[0]
  }

  get maySend(): boolean {
    return !this.isAlone || this.isIdle
  }

  /** Everything below is at the target, nothing else is under way. */
  goOnFrom(offset: number, targetEnd = -1): void {
    this.contiguousEnd = this.readOffset = this.confirmedEnd = offset
    this.isAlone = true
    this.#targetEnd = targetEnd
  }

  sent(unit: SendUnit): void {
    this.#inFlight.push(unit)
    this.contiguousEnd = this.readOffset = unit.endOffset
  }

  /** There is nothing to send below `offset`. */
  skipTo(offset: number): void {
    this.readOffset = Math.max(this.readOffset, offset)
    if (this.isIdle) this.confirmedEnd = this.readOffset
  }

  /** The answer to the oldest batch is in; false when this is not it (an answer of an earlier time). */
  answered(unit: SendUnit): boolean {
    if (this.#inFlight[0] !== unit) return false
    this.#inFlight.shift()
    return true
  }

  /**
   * The target holds the batch, at `targetBaseOffset` (-1 = it does not say). Answers the offset that was expected when the target has gone
   * back: it has lost records that it had confirmed (an unclean election, a restored disk).
   */
  confirmed(unit: SendUnit, targetBaseOffset: number): number | null {
    this.isAlone = false
    this.confirmedEnd = this.isIdle ? this.readOffset : unit.endOffset
    if (targetBaseOffset < 0) return null
    const expected = this.#targetEnd
    this.#targetEnd = targetBaseOffset + (unit.endOffset - unit.baseOffset)
    return targetBaseOffset < expected ? expected : null
  }

  /** What was under way will not be answered. */
  drop(): void {
    this.#inFlight = []
  }
}
