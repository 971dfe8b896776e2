/**
 * Keeps compaction out of the way: it gives the loop back every millisecond, leaves a busy loop most of its time, moves no more bytes
 * a second than it may, stops where it is while it is paused, and ends soon when it is to stop.
 */
import { nextTurn } from '../../base/next-turn.ts'
import type { Clock, Timer } from '../../base/ports.ts'

/** Longest stretch of work in one turn of the loop: a request takes several turns, and each may meet one. */
const sliceMs = 1
/** So many turns in a row, none of which others have needed longer for, and the loop is idle. */
const idleTurns = 3
const idleTurnMs = 0.1
/** Behind a slice a busy loop is left alone so many times as long. */
const othersShare = 9
/** Shorter waits are saved up. */
const waitMsMin = 2

/** The pass has been told to stop, or its log is gone: no fault. */
export class CompactionStopped extends Error {
  constructor() {
    super('compaction was stopped')
    this.name = 'CompactionStopped'
  }
}

export class Pacer {
  readonly #clock: Clock
  readonly #bytesPerSecond: () => number
  #sliceStartMs = Number.NEGATIVE_INFINITY
  /** When the bytes moved so far are paid for. */
  #paidMs = 0
  #isStopped = false
  #isPaused = false
  #timer: Timer | null = null
  #wake: (() => void) | null = null

  constructor(clock: Clock, bytesPerSecond: () => number) {
    this.#clock = clock
    this.#bytesPerSecond = bytesPerSecond
  }

  /** Between two small pieces of work. Rejects with CompactionStopped once `stop` was called. */
  async breathe(): Promise<void> {
    if (this.#isStopped) throw new CompactionStopped()
    if (!this.#isPaused && this.#clock.monotonicMs() - this.#sliceStartMs < sliceMs) return
    await this.#giveWay()
    while (this.#isPaused && !this.#isStopped) await this.#sleep(null)
    if (this.#isStopped) throw new CompactionStopped()
    this.#sliceStartMs = this.#clock.monotonicMs()
  }

  /** This many bytes have been read or written: waits until the rate allows more. */
  async spend(bytes: number): Promise<void> {
    const nowMs = this.#clock.monotonicMs()
    this.#paidMs = Math.max(this.#paidMs, nowMs) + (bytes / this.#bytesPerSecond()) * 1000
    if (this.#paidMs - nowMs >= waitMsMin && !this.#isStopped) await this.#sleep(this.#paidMs - nowMs)
    // Whatever was waited for, a new turn has begun.
    this.#sliceStartMs = this.#clock.monotonicMs()
    await this.breathe()
  }

  /** Until others have had their share of the loop since the slice began, or leave it idle. */
  async #giveWay(): Promise<void> {
    let nowMs = this.#clock.monotonicMs()
    let owedMs = Math.min(nowMs - this.#sliceStartMs, 2 * sliceMs) * othersShare
    for (let idle = 0; owedMs > 0 && idle < idleTurns && !this.#isStopped; ) {
      const beganMs = nowMs
      await nextTurn(this.#clock)
      nowMs = this.#clock.monotonicMs()
      owedMs -= nowMs - beganMs
      idle = nowMs - beganMs > idleTurnMs ? 0 : idle + 1
    }
  }

  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    this.#isPaused = false
    this.#awake()
  }

  stop(): void {
    this.#isStopped = true
    this.#awake()
  }

  #sleep(delayMs: number | null): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve
      if (delayMs !== null) this.#timer = this.#clock.schedule(Math.ceil(delayMs), () => this.#awake())
    })
  }

  #awake(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer)
    const wake = this.#wake
    this.#timer = null
    this.#wake = null
    wake?.()
  }
}
