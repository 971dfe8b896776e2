/**
 * Crash states: a medium as a crash at one disk operation leaves it, what was promised until then, and everything that may follow:
 * recoveries that are cut off again, starts that only show what is there, further lives. What was promised must hold at each start.
 *
 * Where a process has died the medium is forked: several crashes of one death, each a state of its own. A medium that the history has
 * shown already, under the same promises, is the same state: it is neither run nor counted again.
 */
import { mix } from '../sim/digest.ts'
import { Prng } from '../sim/prng.ts'
import { applyPart } from '../sim/sim-disk.ts'
import { startDamaged } from './damaged-start.ts'
import { Life } from './life.ts'
import { died, Stage, turn } from './stage.ts'
import { type CrashPoint, judgeStart, mayLoseProcessAlone, settleStart } from './start.ts'

/** What a search keeps of one history. */
export interface Seen {
  /** Digests of media and promises. Bound: begun anew at `seenMax`. */
  readonly digests: Set<number>
  /** Different ones that a start was begun on. */
  states: number
}

const seenMax = 1_000_000
/** Operations of a recovery, about. */
const recoveryOperations = 40
const lifeOperations = 160
const actsMax = 14
/** Deaths in a row. */
const depthMax = 4
/** Of the states: those whose medium has a flipped bit besides. */
const damageShare = 0.12
/** Of the starts: those that are cut off, those that only show what is there, those that clients go on with. */
const cutShare = 0.3
const showShare = 0.06
const lifeShare = 0.06
/** Crashes that are tried where a recovery or a further life has died. */
const crashesOfRecovery = 2
const crashesOfLife = 4

export class CrashState {
  readonly #seen: Seen

  constructor(seen: Seen) {
    this.#seen = seen
  }

  /** Throws Broken when a promise does not hold. The point is used up. */
  async run(point: CrashPoint, prng: Prng): Promise<void> {
    await this.#crash(point, prng, depthMax)
  }

  /** The process has died inside this operation, and in most cases the power with it. */
  async #crash(point: CrashPoint, prng: Prng, depth: number): Promise<void> {
    const { image, operation, model } = point
    if (operation !== null && prng.chance(0.4)) applyPart(image, operation, prng)
    const isKill = mayLoseProcessAlone(operation) && prng.chance(0.2)
    const hadPower = point.hadPower && isKill
    if (!isKill) image.crash(prng, prng.pick([0, 0, 0.3]))
    const isDamaged = depth === depthMax && prng.chance(damageShare)
    if (isDamaged) {
      await startDamaged({ ...point, hadPower }, prng)
      this.#seen.states++
      return
    }
    const { digests } = this.#seen
    const promise = mix(model.digest(), (hadPower ? 1 : 0) + (point.wasOpen ? 2 : 0))
    const digest = mix(image.digest(), promise)
    if (digests.has(digest)) return
    if (digests.size >= seenMax) digests.clear()
    digests.add(digest)
    this.#seen.states++
    await this.#start({ ...point, hadPower }, prng, depth - 1)
  }

  async #start(point: CrashPoint, prng: Prng, depth: number): Promise<void> {
    const { image, model, settings } = point
    const nowMs = point.nowMs + 1000
    const stage = new Stage(image, 'run', new Prng(depth, 'stage'), nowMs)
    const draw = prng.real(0, 1)
    if (depth > 0 && draw < cutShare) stage.disk.operationsLeft = prng.below(recoveryOperations)
    const directory = await settleStart(stage, Life.openDirectory(stage, settings))
    const { tombstoneMs } = settings
    const options = { hadPower: point.hadPower, mustBeUnclean: point.wasOpen, nowMs, tombstoneMs }
    if (directory === died || !(await judgeStart(directory, { stage, model, prng, options }))) {
      const died = { ...point, nowMs, operation: stage.disk.next }
      await this.#crashEach(died, { prng, depth, crashes: crashesOfRecovery })
      return
    }
    if (depth === 0 || draw < cutShare) return
    if (draw < cutShare + showShare) {
      // What a start has shown is what the next one shows.
      await this.#crash({ ...point, nowMs, operation: null, wasOpen: true }, prng, depth)
    } else if (draw < cutShare + showShare + lifeShare) {
      stage.disk.operationsLeft = prng.below(lifeOperations)
      const isClosed = await live(new Life(directory, stage, settings, model, prng.fork('life')), stage, prng)
      const died = {
        ...point,
        nowMs: stage.clock.nowMs,
        operation: stage.disk.next,
        wasOpen: !isClosed,
        hadPower: true,
      }
      await this.#crashEach(died, { prng, depth, crashes: crashesOfLife })
    }
  }

  async #crashEach(
    point: CrashPoint,
    { prng, depth, crashes }: { readonly prng: Prng; readonly depth: number; readonly crashes: number },
  ): Promise<void> {
    for (let crash = 1; crash <= crashes; crash++) {
      const isLast = crash === crashes
      const own = isLast ? point : { ...point, image: point.image.fork(), model: point.model.fork() }
      await this.#crash(own, prng.fork('crash'), depth)
    }
  }
}

/** The cluster comes up and clients go on, until the operations are used up or nothing is left to do. Answers whether a clean stop was begun. */
async function live(life: Life, stage: Stage, prng: Prng): Promise<boolean> {
  const opened = await settleStart(stage, life.openCluster())
  for (let acts = prng.below(actsMax); opened !== died && acts > 0 && !stage.disk.isDead; acts--) {
    life.act()
    await turn()
    if (!prng.chance(0.4)) continue
    while (!stage.disk.isDead && stage.clock.runDeferred()) await turn()
    life.noteEnds()
  }
  const isClosed = opened !== died && !stage.disk.isDead && prng.chance(0.3)
  if (isClosed) await stage.settle(life.close(), () => (life.liftLimit(), true))
  life.noteEnds()
  return isClosed
}
