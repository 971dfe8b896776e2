/** What a commit's frame may count on: what stands before it in the queue, and what is on the medium. */
import { beforeEach, describe, expect, test } from 'vitest'
import { CommitJournal } from '../../src/log/commit-journal.ts'
import { type CommitPlan, planCommit } from '../../src/log/commit-plan.ts'
import { DirtyFiles } from '../../src/log/dirty-files.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { setBatchBaseOffset } from '../../src/protocol/records/record-batch.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { appendOne, batchOf, createSmall, done } from './log-fixture.ts'
import { StagedLog } from './staged-log.ts'

let image: DiskImage
let life: StagedLog
let directory: LogDirectory

beforeEach(async () => {
  image = new DiskImage()
  life = new StagedLog()
  directory = await life.opened(image)
})

/** Six blocks: room for five small frames. */
async function smallRing(dirty: DirtyFiles): Promise<CommitJournal> {
  const sizes = { bytesMax: 24_576, stepBytes: 24_576 }
  const options = { path: '/data/ring', ...sizes, directoryId: new Uint8Array(16) }
  const journal = new CommitJournal(life.stage.disk, options, dirty)
  await journal.reset(new Uint8Array(16))
  return journal
}

function planOf(log: UnifiedLog, journal: CommitJournal, dirty: DirtyFiles): CommitPlan {
  const { activeSegment: segment } = log
  const place = { position: segment.sizeInBytes, endOffset: log.logEndOffset + 1, set: 1 }
  const bytes = batchOf(['x'])
  setBatchBaseOffset(bytes, 0, log.logEndOffset)
  const permits = { mayHold: true, mayBeginAnew: true }
  return planCommit([{ log, segment, bytes, ...place }], journal, dirty, permits) as CommitPlan
}

test('what stands behind bytes that the file does not have yet is not held: a reader would miss those', async () => {
  const log = await life.settle(createSmall(directory, 'a'))
  done(appendOne(directory, log, batchOf(['first'])))
  await life.runUntil(() => log.writtenEndOffset === log.logEndOffset)
  const dirty = new DirtyFiles()
  const journal = await smallRing(dirty)
  const isHeld = () => planOf(log, journal, dirty).commits[0]?.isHeld
  expect(isHeld()).toBe(true)
  log.writtenEndOffset = 0
  expect(isHeld()).toBe(false)
})

describe('a commit that is nothing but a frame', () => {
  test('goes past nothing when its frame takes the place of those whose files are synced before it', async () => {
    const log = await life.settle(createSmall(directory, 'a'))
    done(appendOne(directory, log, batchOf(['first'])))
    await life.runUntil(() => log.durableEndOffset === log.logEndOffset)
    const dirty = new DirtyFiles()
    const journal = await smallRing(dirty)
    const within = Array.from({ length: 5 }, () => planOf(log, journal, dirty))
    expect(within.map(({ isFrameOnly }) => isFrameOnly)).toEqual([true, true, true, true, true])
    // Submitted, and waiting behind a write of the file that finds no room.
    dirty.beginSync([log.activeSegment.logPath])
    const { isFrameOnly, operations } = planOf(log, journal, dirty)
    expect([isFrameOnly, operations.map(({ kind }) => kind)]).toEqual([false, ['write', 'sync']])
  })
})

/** Three batches that were written and not synced. */
async function relaxedLog(): Promise<UnifiedLog> {
  const log = await life.settle(createSmall(directory, 'a', { flush: 'relaxed' }))
  for (const text of ['a', 'b', 'c']) {
    done(appendOne(directory, log, batchOf([text.repeat(400)])))
    await life.runUntil(() => log.writtenEndOffset === log.logEndOffset)
  }
  return log
}

describe('a log that is relaxed no more', () => {
  test('is synced a second after its last relaxed batch all the same', async () => {
    const log = await relaxedLog()
    log.updateConfig({ ...log.config, flush: 'commit' })
    expect(log.durableEndOffset).toBe(0)
    while (log.durableEndOffset < 3 && life.stage.clock.runTimer(1000))
      await life.runUntil(() => log.durableEndOffset === 3)
    expect(log.durableEndOffset).toBe(3)
  })

  test('loses nothing that was acknowledged since, though what stands below was not synced', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const medium = new DiskImage()
      directory = await life.opened(medium)
      const log = await relaxedLog()
      log.updateConfig({ ...log.config, flush: 'commit' })
      done(appendOne(directory, log, batchOf(['d'.repeat(40)])))
      await life.runUntil(() => log.durableEndOffset === log.logEndOffset)
      life.stage.disk.stop()
      medium.crash(new Prng(seed, 'crash'))
      expect((await life.opened(medium)).logs.get('a-0')?.logEndOffset).toBe(4)
    }
  })
})

describe('a commit that begins the first segments of a log', () => {
  test('leaves none that begins with a later one, wherever the power goes and whichever names come through', async () => {
    for (let seed = 0; seed < 40; seed++) {
      const medium = new DiskImage()
      const config = { segmentBytes: 600 }
      const created = await life.settle(createSmall(await life.opened(medium), 'a', config))
      life.stage.disk.stop()
      // The folder and its topic id came through where the power went while it was made, the file did not.
      medium.unlink(created.activeSegment.logPath)
      directory = await life.opened(medium)
      const log = directory.logs.get('a-0') as UnifiedLog
      log.updateConfig({ ...log.config, ...config })
      for (const text of ['a', 'b', 'c', 'd']) done(appendOne(directory, log, batchOf([text.repeat(400)])))
      life.stage.disk.operationsLeft = seed % 8
      await life.runUntil(() => life.stage.disk.isDead)
      medium.crash(new Prng(seed, 'crash'))
      expect([seed, (await life.opened(medium)).logs.get('a-0')?.logStartOffset]).toEqual([seed, 0])
    }
  })
})
