/**
 * One crash state: a medium as a crash at one disk operation leaves it, and everything that may follow: recoveries that are cut off
 * again, starts that only show what is there, further lives. What was promised must hold at each start.
 */
import type { DiskOperation } from '../../src/base/ports.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { DiskImage } from '../sim/disk-image.ts'
import type { Prng } from '../sim/prng.ts'
import { applyPart } from '../sim/sim-disk.ts'
import { Broken, judge } from './judge.ts'
import { Life } from './life.ts'
import type { Model } from './model.ts'
import type { Settings } from './settings.ts'
import { died, Stage, turn } from './stage.ts'

/** What one crash state begins with; image and model are its own. */
export interface CrashPoint {
  readonly image: DiskImage
  readonly model: Model
  readonly settings: Settings
  readonly nowMs: number
  /** The operation that the crash falls into, null when none was under way. */
  readonly operation: DiskOperation | null
  /** A start had ended and no clean stop had begun: the next start must not take this for a clean stop. */
  readonly wasOpen: boolean
  /** No power cut since the last start that has ended. */
  readonly hadPower: boolean
}

/** Operations of a recovery, about. */
const recoveryOperations = 40
const lifeOperations = 160
const actsMax = 14
/** Of the states: those whose medium has a flipped bit besides. */
const damageShare = 0.07

export class CrashState {
  readonly #point: CrashPoint
  readonly #prng: Prng
  #nowMs: number
  /** Every crash since the last start was the process's alone. */
  #hadPower: boolean
  #mustBeUnclean: boolean
  /** Crashes so far. */
  crashes = 0

  constructor(point: CrashPoint, prng: Prng) {
    this.#point = point
    this.#prng = prng
    this.#nowMs = point.nowMs
    this.#mustBeUnclean = point.wasOpen
    this.#hadPower = point.hadPower
  }

  /** Throws Broken when a promise does not hold. */
  async run(): Promise<void> {
    const { image, model, settings } = this.#point
    this.#crash(this.#point.operation)
    if (this.#prng.chance(damageShare)) return this.#startDamaged()
    let cutOffs = this.#prng.pick([0, 0, 0, 1, 1, 2])
    let lives = this.#prng.pick([0, 0, 0, 0, 1, 1, 2])
    let shows = this.#prng.pick([0, 0, 0, 0, 1])
    for (;;) {
      const stage = new Stage(image, 'run', this.#prng.fork('stage'), (this.#nowMs += 1000))
      if (cutOffs-- > 0) stage.disk.operationsLeft = this.#prng.below(recoveryOperations)
      const directory = await settleStart(stage, Life.openDirectory(stage, settings))
      if (directory === died) {
        this.#crash(stage.disk.next)
        continue
      }
      if (!(await this.#judge(directory, stage))) {
        this.#crash(stage.disk.next)
        continue
      }
      if (lives-- > 0) {
        stage.disk.operationsLeft = this.#prng.below(lifeOperations)
        await this.#live(new Life(directory, stage, settings, model, this.#prng.fork('life')), stage)
        this.#crash(stage.disk.next)
      } else if (shows-- > 0) {
        // What a start has shown is what the next one shows.
        this.#mustBeUnclean = true
        this.#crash(null)
      } else return
    }
  }

  /** False: the process died before all was seen. */
  async #judge(directory: LogDirectory, stage: Stage, damagedPath = ''): Promise<boolean> {
    const { model, settings } = this.#point
    if (this.#mustBeUnclean && directory.wasClean) throw new Broken('a crash is taken for a clean stop')
    this.#mustBeUnclean = false
    const { tombstoneMs } = settings
    const options = { hadPower: this.#hadPower, nowMs: this.#nowMs, tombstoneMs, ...excusesOf(damagedPath) }
    const seen = await settleStart(stage, judge(directory, model, stage, this.#prng, options))
    if (seen === died) return false
    settleModel(directory, model)
    return true
  }

  /**
   * One bit of one file is wrong besides (I13). In a hint it changes nothing; in a log nothing below the recovery point is cut for it.
   * The journal and what lies above the recovery points is the only copy of itself: nothing is promised there.
   */
  async #startDamaged(): Promise<void> {
    const { image, settings } = this.#point
    const paths = image.filePaths().filter((path) => image.file(path).size > 0 && !/[/](journal|ballast)$/.test(path))
    if (paths.length === 0) return
    const path = this.#prng.pick(paths)
    const recoveryPoints = recoveryPointsIn(image)
    image.file(path).corrupt(this.#prng.below(image.file(path).size), 1 << this.#prng.below(8))
    const stage = new Stage(image, 'run', this.#prng.fork('stage'), (this.#nowMs += 1000))
    const directory = await settleStart(stage, Life.openDirectory(stage, settings))
    if (directory === died) return
    // The topic id in `partition.metadata` has no other copy until the next checkpoint; Kafka's recovery points know no topic ids.
    const isOnlyCopy = /\.log(\.\w+)?$|partition\.metadata$|state\/recovery-points$/.test(path)
    if (!isOnlyCopy) {
      await this.#judge(directory, stage, path)
      return
    }
    if (!path.endsWith('.log')) return
    for (const log of directory.logs.values()) {
      const recoveryPoint = recoveryPoints.get(`${log.key} ${log.topicId}`) ?? 0
      if (!log.damage.isEmpty || log.logEndOffset >= recoveryPoint || !path.includes(`/${log.key}/`)) continue
      throw new Broken(`${log.key} was cut at ${log.logEndOffset}, synced up to ${recoveryPoint}`)
    }
  }

  /** The cluster comes up and clients go on, until the operations are used up or nothing is left to do. */
  async #live(life: Life, stage: Stage): Promise<void> {
    this.#hadPower = true
    this.#mustBeUnclean = true
    const opened = await settleStart(stage, life.openCluster())
    for (let acts = this.#prng.below(actsMax); opened !== died && acts > 0 && !stage.disk.isDead; acts--) {
      life.act()
      await turn()
      if (!this.#prng.chance(0.4)) continue
      while (!stage.disk.isDead && stage.clock.runDeferred()) await turn()
      life.noteEnds()
    }
    if (opened !== died && !stage.disk.isDead && this.#prng.chance(0.3)) {
      this.#mustBeUnclean = false
      await stage.settle(life.close(), () => (life.liftLimit(), true))
    }
    life.noteEnds()
    this.#nowMs = stage.clock.nowMs
  }

  /** The process dies inside this operation, and in most cases the power with it. */
  #crash(operation: DiskOperation | null): void {
    const { image } = this.#point
    this.crashes++
    if (operation !== null && this.#prng.chance(0.4)) applyPart(image, operation, this.#prng)
    if (this.#prng.chance(0.2)) return
    this.#hadPower = false
    image.crash(this.#prng, this.#prng.pick([0, 0, 0.3]))
  }
}

/** What the damage of a file without another copy may take with it. */
function excusesOf(damagedPath: string): { readonly mayForgetProducers: boolean; readonly mayMissTimes: boolean } {
  return { mayForgetProducers: damagedPath.endsWith('.snapshot'), mayMissTimes: damagedPath.endsWith('.timeindex') }
}

/** The recovery points that our own file tells, by log and topic id. */
function recoveryPointsIn(image: DiskImage): Map<string, number> {
  const path = '/data/state/recovery-points'
  const points = new Map<string, number>()
  if (image.find(path) === null) return points
  const text = Buffer.from(image.file(path).read(0, image.file(path).size)).toString()
  for (const [, key, point] of text.matchAll(/^(\S+-0 \S{22}) (\d+) /gm)) points.set(key as string, Number(point))
  return points
}

/** Settles what a start does; a start that waits for space gets it in the end, one that fails breaks a promise. */
export async function settleStart<T>(stage: Stage, start: Promise<T>): Promise<T | typeof died> {
  try {
    return await stage.settle(start, () => {
      stage.disk.image.capacityBytes = Number.POSITIVE_INFINITY
      return true
    })
  } catch (thrown) {
    if (thrown instanceof Broken) throw thrown
    throw new Broken(`the start fails: ${String(thrown)}`, { cause: thrown })
  }
}

/** What a start has shown is what the clients know from now on. */
export function settleModel(directory: LogDirectory, model: Model): void {
  for (const log of model.logs.values()) {
    const found = directory.logs.get(`${log.topic}-0`)
    if (found !== undefined) log.settle(found.logEndOffset, found.logStartOffset)
  }
}
