/**
 * What a process of production code stands on while it is explored: a disk of single steps, a clock that moves when it is told to,
 * one seed. Nothing else is simulated, so that a recovery takes a fraction of a millisecond.
 */
import type { Clock, Entropy, Net, Observer, Ports, Timer } from '../../src/base/ports.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import type { DiskImage } from '../sim/disk-image.ts'
import type { Prng } from '../sim/prng.ts'
import { StepDisk } from './step-disk.ts'

/** 2026-01-01T00:00:00Z */
const startWallMs = 1_767_225_600_000

interface SetTimer {
  readonly atMs: number
  readonly task: () => void
}

export class StageClock implements Clock {
  nowMs: number
  #timers: SetTimer[] = []
  #deferred: (() => void)[] = []

  constructor(nowMs: number) {
    this.nowMs = nowMs
  }

  wallMs(): number {
    return Math.floor(startWallMs + this.nowMs)
  }

  monotonicMs(): number {
    return this.nowMs
  }

  wallTrusted(): boolean {
    return true
  }

  raiseWallFloor(): void {}

  schedule(delayMs: number, task: () => void): Timer {
    const timer: SetTimer = { atMs: this.nowMs + Math.max(1, delayMs), task }
    this.#timers.push(timer)
    return timer as unknown as Timer
  }

  cancel(timer: Timer): void {
    const at = this.#timers.indexOf(timer as unknown as SetTimer)
    if (at >= 0) this.#timers.splice(at, 1)
  }

  defer(task: () => void): void {
    this.#deferred.push(task)
  }

  /** Runs the oldest task that was put off to the end of the turn; false when there is none. */
  runDeferred(): boolean {
    const task = this.#deferred.shift()
    task?.()
    return task !== undefined
  }

  /** Moves to the next timer within this time and runs it; false when there is none. */
  runTimer(withinMs: number): boolean {
    let next: SetTimer | undefined
    for (const timer of this.#timers) if (next === undefined || timer.atMs < next.atMs) next = timer
    if (next === undefined || next.atMs > this.nowMs + withinMs) return false
    this.#timers.splice(this.#timers.indexOf(next), 1)
    this.nowMs = Math.max(this.nowMs, next.atMs)
    next.task()
    return true
  }
}

export class StageObserver implements Observer {
  /** Ids of all events so far, with their fields. */
  readonly events: { readonly id: string; readonly fields: unknown }[] = []
  event(definition: { readonly id: string }, fields: unknown): void {
    this.events.push({ id: definition.id, fields })
  }
  add(): void {}
  set(): void {}
  observe(): void {}
  remove(): void {}
}

const compute = nodeCompute({ inline: true })
const net: Net = {
  listen: () => Promise.reject(new Error('there is no network here')),
  connect: () => Promise.reject(new Error('there is no network here')),
  fetchDocument: () => Promise.reject(new Error('there is no network here')),
  tlsContext: () => {
    throw new Error('there is no network here')
  },
}

/** Longest that a promise may take on the stage's clock when nothing but time stands in its way. */
const timersMax = 8
const timerWithinMs = 5_000
const turnsMax = 5_000

export class Stage {
  readonly disk: StepDisk
  readonly clock: StageClock
  readonly observer = new StageObserver()
  readonly ports: Ports

  constructor(image: DiskImage, mode: 'step' | 'run', prng: Prng, nowMs: number) {
    this.disk = new StepDisk(image, mode)
    this.clock = new StageClock(nowMs)
    this.ports = {
      clock: this.clock,
      entropy: entropyOf(prng),
      disk: this.disk,
      net,
      compute,
      observer: this.observer as Observer,
    }
  }

  /**
   * In `run`: lets everything happen until the promise has settled; `died` when the disk's operations were used up before. `onStuck` is asked
   * once when nothing but time could help and that did not.
   */
  async settle<T>(promise: Promise<T>, onStuck: () => boolean = () => false): Promise<T | typeof died> {
    let isSettled = false
    const mark = (): void => {
      isSettled = true
    }
    promise.then(mark, mark)
    let timers = 0
    let wasStuck = false
    for (let turns = 0; turns < turnsMax; turns++) {
      await turn()
      if (isSettled) return promise
      if (this.disk.isDead) return died
      if (this.clock.runDeferred()) continue
      if (timers++ < timersMax && this.clock.runTimer(timerWithinMs)) continue
      if (wasStuck || !onStuck()) break
      wasStuck = true
      timers = 0
    }
    throw new Error('it never ends')
  }
}

export const died = Symbol('died')

/** Every promise that can go on has gone on. */
export function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}

function entropyOf(prng: Prng): Entropy {
  return {
    uint32: () => prng.uint32(),
    below: (bound) => prng.below(bound),
    bytes: (length) => {
      const bytes = new Uint8Array(length)
      for (let at = 0; at < length; at++) bytes[at] = prng.uint32()
      return bytes
    },
  }
}
