/** Decoding that is too long for one turn of the loop: a slice a turn, over all clients. */
import type { Clock, Timer } from '../../base/ports.ts'
import type { Sliced } from '../../protocol/sparkplug/wire-fields.ts'

/** Calls back once, perhaps at once, when what is waited for has been decided. */
export type WhenDecided = (callback: () => void) => void

export class DecodingJob<T> {
  result: T | null = null
  readonly work: Sliced<T>
  private readonly waiters: (() => void)[] = []

  constructor(work: Sliced<T>) {
    this.work = work
  }

  readonly whenDone: WhenDecided = (callback) => {
    if (this.result === null) this.waiters.push(callback)
    else callback()
  }

  finish(result: T): void {
    this.result = result
    for (const waiter of this.waiters.splice(0)) waiter()
  }
}

/** Jobs at a time: each holds a copy of a payload. */
const jobsMax = 32
/** Between two slices other work has its turn. */
const pauseMs = 1

export class DecodingQueue<T> {
  private readonly clock: Clock
  private readonly jobs: DecodingJob<T>[] = []
  /** For a place; as many as there are connections. */
  private readonly waiters: (() => void)[] = []
  private timer: Timer | null = null

  constructor(clock: Clock) {
    this.clock = clock
  }

  get hasRoom(): boolean {
    return this.jobs.length < jobsMax
  }

  readonly whenRoom: WhenDecided = (callback) => {
    if (this.hasRoom) callback()
    else this.waiters.push(callback)
  }

  add(job: DecodingJob<T>): void {
    this.jobs.push(job)
    this.runSoon()
  }

  stop(): void {
    if (this.timer !== null) this.clock.cancel(this.timer)
    this.timer = null
    this.jobs.length = 0
    this.waiters.length = 0
  }

  private runSoon(): void {
    this.timer ??= this.clock.schedule(pauseMs, () => {
      this.timer = null
      this.runSlice()
    })
  }

  private runSlice(): void {
    const job = this.jobs[0]
    if (job === undefined) return
    const step = job.work.next()
    if (step.done === true) this.jobs.shift()
    if (this.jobs.length > 0) this.runSoon()
    if (step.done !== true) return
    job.finish(step.value)
    // Who is called may be gone, and take no place.
    while (this.hasRoom && this.waiters.length > 0) this.waiters.shift()?.()
  }
}
