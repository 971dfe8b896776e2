/**
 * A start on a medium of which one bit of one file is wrong besides (I13). In a hint it changes nothing; in a log nothing below the
 * recovery point is cut for it. The journal and what lies above the recovery points is the only copy of itself: nothing is promised there.
 */
import type { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { Broken } from './judge.ts'
import { Life } from './life.ts'
import { died, Stage } from './stage.ts'
import { type CrashPoint, judgeStart, settleStart } from './start.ts'

/** Flips a bit and starts. Throws Broken when a promise does not hold. */
export async function startDamaged(point: CrashPoint, prng: Prng): Promise<void> {
  const { image, model, settings } = point
  const paths = image.filePaths().filter((path) => image.file(path).size > 0 && !/[/](journal|ballast)$/.test(path))
  if (paths.length === 0) return
  const path = prng.pick(paths)
  const recoveryPoints = recoveryPointsIn(image)
  image.file(path).corrupt(prng.below(image.file(path).size), 1 << prng.below(8))
  const nowMs = point.nowMs + 1000
  const stage = new Stage(image, 'run', new Prng(0, 'stage'), nowMs)
  const directory = await settleStart(stage, Life.openDirectory(stage, settings))
  if (directory === died) return
  // The topic id in `partition.metadata` has no other copy until the next checkpoint; Kafka's recovery points know no topic ids.
  const isOnlyCopy = /\.log(\.\w+)?$|partition\.metadata$|state\/recovery-points$/.test(path)
  if (!isOnlyCopy) {
    const { tombstoneMs } = settings
    const options = { hadPower: point.hadPower, mustBeUnclean: point.wasOpen, nowMs, tombstoneMs, ...excusesOf(path) }
    await judgeStart(directory, { stage, model, prng, options })
    return
  }
  if (!path.endsWith('.log')) return
  for (const log of directory.logs.values()) {
    const recoveryPoint = recoveryPoints.get(`${log.key} ${log.topicId}`) ?? 0
    if (!log.damage.isEmpty || log.logEndOffset >= recoveryPoint || !path.includes(`/${log.key}/`)) continue
    throw new Broken(`${log.key} was cut at ${log.logEndOffset}, synced up to ${recoveryPoint}`)
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
