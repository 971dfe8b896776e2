/** The clock port of one simulated process: virtual time only. */
import type { Clock, Timer } from '../../src/base/ports.ts'
import { WallFloor } from '../../src/base/wall-floor.ts'
import type { SimEvent } from './event-heap.ts'
import type { Prng } from './prng.ts'

/** Wall time at which every world begins: 2026-01-01T00:00:00Z. */
export const worldStartWallMs = 1_767_225_600_000

export interface ClockHost {
  nowMs(): number
  /** The host's idea of the wall time, right or wrong. */
  hostWallMs(): number
  hostWallTrusted(): boolean
  at(atMs: number, label: string, task: () => void): SimEvent
  readonly prng: Prng
}

export class SimClock implements Clock {
  readonly #host: ClockHost
  readonly #floor = new WallFloor()
  readonly #zeroMs: number
  #deferred: (() => void)[] = []

  constructor(host: ClockHost) {
    this.#host = host
    this.#zeroMs = host.prng.below(1_000_000)
  }

  wallMs(): number {
    return this.#floor.apply(this.#host.hostWallMs(), this.monotonicMs())
  }

  monotonicMs(): number {
    return this.#host.nowMs() + this.#zeroMs
  }

  wallTrusted(): boolean {
    return this.#host.hostWallTrusted() && this.#floor.isPlausible(this.#host.hostWallMs(), this.monotonicMs())
  }

  raiseWallFloor(wallMs: number): void {
    this.#floor.raise(wallMs, this.monotonicMs())
  }

  schedule(delayMs: number, task: () => void): Timer {
    const atMs = this.#host.nowMs() + Math.max(1, delayMs)
    return this.#host.at(atMs, 'timer', task) as unknown as Timer
  }

  cancel(timer: Timer): void {
    ;(timer as unknown as SimEvent).cancelled = true
  }

  /** The end of the turn comes a seeded moment later, so that other events may belong to the same turn. */
  defer(task: () => void): void {
    this.#deferred.push(task)
    if (this.#deferred.length > 1) return
    const atMs = this.#host.nowMs() + this.#host.prng.pick([0, 0.01, 0.05])
    this.#host.at(atMs, 'turn end', () => this.#runDeferred())
  }

  #runDeferred(): void {
    const tasks = this.#deferred
    this.#deferred = []
    const [first, ...rest] = tasks
    // One event for each task, so that promises settle between them as they do between two immediates.
    for (const task of rest) this.#host.at(this.#host.nowMs(), 'turn end', task)
    first?.()
  }
}
