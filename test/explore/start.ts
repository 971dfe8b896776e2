/** A start on what a dead process has left: it ends, and what it shows is what was promised. */
import type { DiskOperation } from '../../src/base/ports.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { stateFileNames } from '../../src/log/side-files.ts'
import type { DiskImage } from '../sim/disk-image.ts'
import type { Prng } from '../sim/prng.ts'
import { Broken, judge, type JudgeOptions } from './judge.ts'
import type { Model } from './model.ts'
import type { Settings } from './settings.ts'
import { died, type Stage } from './stage.ts'

/** What a process leaves when it dies; image and model are its own. */
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

interface Judgement {
  readonly stage: Stage
  readonly model: Model
  readonly prng: Prng
  readonly options: JudgeOptions & { readonly mustBeUnclean: boolean }
}

/** False: the process died before all was seen. */
export async function judgeStart(directory: LogDirectory, judgement: Judgement): Promise<boolean> {
  const { stage, model, prng, options } = judgement
  if (options.mustBeUnclean && directory.wasClean) throw new Broken('a crash is taken for a clean stop')
  const seen = await settleStart(stage, judge(directory, model, stage, prng, options))
  if (seen === died) return false
  settleModel(directory, model)
  return true
}

/**
 * Between a sync that fails and the note of it lies an instant of the process, not more: that it dies in there is not tried, but for
 * the power going, when there is nothing to note.
 */
export function mayLoseProcessAlone(operation: DiskOperation | null): boolean {
  return operation?.kind !== 'writeFile' || !operation.path.endsWith(`/${stateFileNames.failedSync}`)
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
