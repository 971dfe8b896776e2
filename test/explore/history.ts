/**
 * One history: several lives of a node under a seeded load, on a disk that takes one operation at a time. Before each operation the
 * explorer may look at what a crash there would leave.
 */
import type { DiskOperation } from '../../src/base/ports.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { applyPart } from '../sim/sim-disk.ts'
import { Broken, judge } from './judge.ts'
import { Life } from './life.ts'
import { Model } from './model.ts'
import { drawSettings, type Settings } from './settings.ts'
import { Stage, turn } from './stage.ts'
import { type CrashPoint, mayLoseProcessAlone, settleModel } from './start.ts'

/** Called before each operation, with its number; `fork` answers a copy of everything. */
export type Look = (point: number, fork: () => CrashPoint) => Promise<void>

const livesMax = 4
const actsMax = 36
const turnsMax = 100_000
const timerWithinMs = 5_000

export class History {
  readonly #prng: Prng
  readonly #settings: Settings
  readonly #look: Look
  readonly #image = new DiskImage()
  readonly #model = new Model()
  #nowMs = 1_000_000
  #point = 0
  #isOpen = false
  #hadPower = true
  #wasClosed = false
  #life: Life | null = null

  constructor(seed: number, look: Look) {
    this.#prng = new Prng(seed, 'history')
    this.#settings = drawSettings(this.#prng.fork('settings'))
    this.#look = look
  }

  /** Operations so far. */
  get points(): number {
    return this.#point
  }

  /** Plays all lives. Throws Broken when a promise does not hold on the way. */
  async play(): Promise<void> {
    const lives = 2 + this.#prng.below(livesMax - 1)
    for (let life = 0; life < lives; life++) await this.#liveOnce()
  }

  async #liveOnce(): Promise<void> {
    const stage = new Stage(this.#image, 'step', this.#prng.fork('stage'), (this.#nowMs += 1000))
    const directory = await this.#drive(stage, Life.openDirectory(stage, this.#settings))
    const { tombstoneMs } = this.#settings
    const options = { hadPower: this.#hadPower, nowMs: this.#nowMs, tombstoneMs }
    await this.#drive(stage, judge(directory, this.#model, stage, this.#prng, options))
    if (this.#wasClosed && !directory.wasClean) throw new Broken('a clean stop is not known as one')
    settleModel(directory, this.#model)
    this.#hadPower = true
    this.#isOpen = true
    const life = new Life(directory, stage, this.#settings, this.#model, this.#prng.fork('life'))
    this.#life = life
    await this.#drive(stage, life.openCluster())
    await this.#load(stage, life)
    this.#wasClosed = this.#prng.chance(0.35) && directory.failure === null
    if (this.#wasClosed) {
      this.#isOpen = false
      this.#wasClosed = await this.#drive(stage, life.close())
      // A process ends when its disk has done everything: the note of a sync that has failed in the stop is the last of it.
      for (let { next } = stage.disk; next !== null; next = stage.disk.next) await this.#step(stage, next)
    } else this.#crash(stage)
    this.#life = null
    this.#isOpen = false
    this.#nowMs = stage.clock.nowMs
  }

  /** The clients' load; ends with something under way. */
  async #load(stage: Stage, life: Life): Promise<void> {
    let acts = 3 + this.#prng.below(actsMax)
    const pace = this.#prng.pick([0.1, 0.3, 0.6])
    for (let turns = 0; turns < turnsMax && acts > 0; turns++) {
      await turn()
      life.noteEnds()
      const { next } = stage.disk
      if (life.directory.failure !== null && next === null) return
      if (next !== null) await this.#step(stage, next)
      const isIdle = next === null && !stage.clock.runDeferred()
      if (isIdle && life.isBusy && this.#prng.chance(0.5)) stage.clock.runTimer(timerWithinMs)
      if (!isIdle && !this.#prng.chance(pace)) continue
      acts--
      if (this.#prng.chance(0.006)) stage.disk.failNextSync = this.#prng.fork('failed sync')
      life.act()
    }
  }

  /** Drives the process until the promise has settled. */
  async #drive<T>(stage: Stage, promise: Promise<T>): Promise<T> {
    let isSettled = false
    const mark = (): void => {
      isSettled = true
    }
    promise.then(mark, mark)
    let timers = 0
    for (let turns = 0; turns < turnsMax; turns++) {
      await turn()
      if (isSettled) return promise
      this.#life?.noteEnds()
      const { next } = stage.disk
      if (next !== null) await this.#step(stage, next)
      else if (!stage.clock.runDeferred()) {
        if (timers++ === 3) this.#image.capacityBytes = Number.POSITIVE_INFINITY
        if (timers > 20 || !stage.clock.runTimer(timerWithinMs)) break
      }
    }
    throw new Broken('it never ends')
  }

  async #step(stage: Stage, operation: DiskOperation): Promise<void> {
    const point = this.#point++
    await this.#look(point, () => ({
      image: this.#image.fork(),
      model: this.#model.fork(),
      settings: this.#settings,
      nowMs: stage.clock.nowMs,
      operation,
      wasOpen: this.#isOpen,
      hadPower: this.#hadPower,
    }))
    stage.disk.step()
  }

  #crash(stage: Stage): void {
    const { next } = stage.disk
    stage.disk.stop()
    if (next !== null && this.#prng.chance(0.4)) applyPart(this.#image, next, this.#prng)
    this.#hadPower = mayLoseProcessAlone(next) && this.#prng.chance(0.3)
    if (!this.#hadPower) this.#image.crash(this.#prng, this.#prng.pick([0, 0.3]))
  }
}
