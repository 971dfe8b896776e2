/**
 * A start on a medium of which one bit of one file is wrong besides (I13). In a hint it changes nothing. In a log it costs the batch that
 * it is in and nothing else: what stood below the recovery point is read as it was, the other logs are whole. What stands above it is
 * its own only copy, as is the journal: nothing is promised there.
 */
import { zeroUuid } from '../../src/base/ids.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import {
  batchBaseOffset,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffset,
  batchSizeInBytes,
} from '../../src/protocol/records/record-batch.ts'
import type { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { Broken, type JudgeOptions } from './judge.ts'
import { Life } from './life.ts'
import { died, Stage } from './stage.ts'
import { type CrashPoint, judgeStart, settleStart } from './start.ts'

const readBytes = 65_536

/** A batch that stood on the medium before the bit flipped. */
interface StoredBatch {
  readonly path: string
  readonly position: number
  readonly bytes: Uint8Array
}

/** Flips a bit and starts. Throws Broken when a promise does not hold. */
export async function startDamaged(point: CrashPoint, prng: Prng): Promise<void> {
  const { image } = point
  const paths = image.filePaths().filter((path) => image.file(path).size > 0 && !/[/](journal|ballast)$/.test(path))
  if (paths.length === 0) return
  const chosen = prng.chance(0.5) ? paths.filter((path) => /\.(log|index)$/.test(path)) : paths
  const path = prng.pick(chosen.length === 0 ? paths : chosen)
  const position = placeIn(image, path, prng)
  try {
    await startWithFlip(point, { path, position }, prng)
  } catch (thrown) {
    if (!(thrown instanceof Broken)) throw thrown
    throw new Broken(`with a bit of ${path} at ${position} wrong: ${thrown.message}`, { cause: thrown })
  }
}

/** Headers of batches more often than the rest of them: it is there that one bit tells of another log. */
function placeIn(image: DiskImage, path: string, prng: Prng): number {
  const { size } = image.file(path)
  // The low bytes of an entry: what is wrong in a high one shows at once.
  if (path.endsWith('.index') && size >= 8 && prng.chance(0.7))
    return prng.below(size / 8) * 8 + prng.pick([3, 3, 6, 7])
  const key = keyOf(path)
  const batches = key === null ? [] : batchesIn(image, key).filter((batch) => batch.path === path)
  if (batches.length === 0 || prng.chance(0.4)) return prng.below(size)
  return prng.pick(batches).position + prng.below(batchHeaderBytes)
}

/** The log that a segment file belongs to. */
function keyOf(path: string): string | null {
  return /^\/data\/log\/([^/]+-0)\/.*\.log(\.\w+)?$/.exec(path)?.[1] ?? null
}

interface Flip {
  readonly path: string
  readonly position: number
}

async function startWithFlip(point: CrashPoint, { path, position }: Flip, prng: Prng): Promise<void> {
  const { image, model, settings } = point
  const recoveryPoints = recoveryPointsIn(image)
  const key = keyOf(path)
  const stored = key === null ? [] : batchesIn(image, key)
  const excuses = excusesOf(path, point, recoveryPoints)
  image.file(path).corrupt(position, 1 << prng.below(8))
  const nowMs = point.nowMs + 1000
  const stage = new Stage(image, 'run', new Prng(0, 'stage'), nowMs)
  const directory = await settleStart(stage, Life.openDirectory(stage, settings))
  if (directory === died || excuses === null) return
  const { tombstoneMs } = settings
  const damaged = key === null ? {} : { damagedKey: key }
  const options = { hadPower: point.hadPower, mustBeUnclean: point.wasOpen, nowMs, tombstoneMs, ...excuses, ...damaged }
  await judgeStart(directory, { stage, model, prng, options })
  if (key === null || !path.endsWith('.log')) return
  await settleStart(stage, judgeDamaged(directory, key, { stored, path, position, recoveryPoints }))
}

interface Damage extends Flip {
  readonly stored: readonly StoredBatch[]
  readonly recoveryPoints: ReadonlyMap<string, number>
}

/** Everything below the recovery point is read as it was, but for the batch that the bit is in. */
async function judgeDamaged(directory: LogDirectory, key: string, damage: Damage): Promise<void> {
  const log = directory.logs.get(key)
  if (log === undefined) throw new Broken(`${key} is gone`)
  const recoveryPoint = damage.recoveryPoints.get(`${key} ${log.topicId}`) ?? 0
  if (log.logEndOffset < recoveryPoint)
    throw new Broken(`${key} was cut at ${log.logEndOffset}, synced up to ${recoveryPoint}`)
  for (const batch of damage.stored) {
    const isHit = batch.path === damage.path && isInside(batch, damage.position)
    const lastOffset = batchLastOffset(batch.bytes)
    if (isHit || lastOffset >= recoveryPoint || lastOffset < log.logStartOffset) continue
    await judgeBatch(log, batch)
  }
}

async function judgeBatch(log: UnifiedLog, { bytes }: StoredBatch): Promise<void> {
  const fromOffset = Math.max(batchBaseOffset(bytes), log.logStartOffset)
  // Only its neighbour shows that a base offset is wrong: what is read has room for both.
  const read = await log.read({ fromOffset, endOffset: log.logEndOffset, bytesMax: readBytes, minOneBatch: true })
  if (read.kind !== 'batches') throw new Broken(`${log.key} at ${fromOffset}, beside a damage, reads as ${read.kind}`)
  if (Buffer.compare(read.bytes.subarray(0, bytes.length), bytes) !== 0)
    throw new Broken(`${log.key} at ${fromOffset}: another batch is read`)
}

function isInside({ position, bytes }: StoredBatch, at: number): boolean {
  return position <= at && at < position + bytes.length
}

/** All whole batches in the segments of a log; none while files of it are being put in the place of others. */
function batchesIn(image: DiskImage, key: string): readonly StoredBatch[] {
  const paths = image.filePaths().filter((path) => path.startsWith(`/data/log/${key}/`))
  if (paths.some((path) => /\.(swap|cleaned|deleted)$/.test(path))) return []
  const batches: StoredBatch[] = []
  for (const path of paths.filter((each) => each.endsWith('.log'))) {
    const file = image.file(path).read(0, image.file(path).size)
    let dueOffset = Number(/(\d{20})\.log$/.exec(path)?.[1])
    for (let position = 0; position + batchHeaderBytes <= file.length; ) {
      const size = batchSizeInBytes(file, position)
      if (size < batchHeaderBytes || position + size > file.length) break
      const bytes = file.slice(position, position + size)
      // A torn write may leave all of a batch but its base offset, which lies outside the CRC: the frame of the journal has that batch.
      if (!batchCrcIsValid(bytes) || batchBaseOffset(bytes) < dueOffset) break
      batches.push({ path, position, bytes })
      dueOffset = batchLastOffset(bytes) + 1
      position += size
    }
  }
  return batches
}

type Excuses = Pick<
  JudgeOptions,
  'mayForgetProducers' | 'mayForgetStarts' | 'mayMissTimes' | 'mayTellOfOther' | 'looksUpAll'
>

/** What the damage of a file without another copy may take with it; null = anything. */
function excusesOf(
  path: string,
  { image, settings }: CrashPoint,
  recoveryPoints: ReadonlyMap<string, number>,
): Excuses | null {
  const key = /^\/data\/log\/([^/]+)\/partition\.metadata$/.exec(path)?.[1]
  // The topic id has no other copy until the next checkpoint.
  const hasCopy = [...recoveryPoints.keys()].some((known) => known.startsWith(`${key} `) && !known.endsWith(zeroUuid))
  if (key !== undefined && !hasCopy) return null
  return {
    mayForgetProducers: path.endsWith('.snapshot'),
    mayForgetStarts: path.endsWith('/log-starts') && settings.isShortOfSpace && !hasBothStarts(image),
    mayMissTimes: /\.timeindex(\.swap)?$/.test(path),
    mayTellOfOther: path.endsWith('quorum-state'),
    looksUpAll: path.endsWith('.index'),
  }
}

/** Do both files say where logs begin? A start that shows what one of them says writes the other one, as soon as there is room for it. */
function hasBothStarts(image: DiskImage): boolean {
  const [ours, kafkas] = ['/data/state/log-starts', '/data/log/log-start-offset-checkpoint'].map((path) =>
    image.find(path) === null ? '' : Buffer.from(image.file(path).read(0, image.file(path).size)).toString(),
  )
  return ours?.replace(/crc .*\n$/, '') === kafkas
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
