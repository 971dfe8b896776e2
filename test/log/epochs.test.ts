/** Which leader epoch wrote a record: what the file tells of it, and what a start may believe. */
import { beforeEach, describe, expect, test } from 'vitest'
import { LeaderEpochCache } from '../../src/log/leader-epoch-cache.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { appendOne, batchOf, createSmall, done, readAll } from './log-fixture.ts'
import { StagedLog } from './staged-log.ts'

let image: DiskImage
let life: StagedLog

beforeEach(() => {
  image = new DiskImage()
  life = new StagedLog()
})

async function appendTo(directory: LogDirectory, log: UnifiedLog, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) {
    done(appendOne(directory, log, batchOf(['x'.repeat(400)])))
    await life.runUntil(() => log.durableEndOffset === log.logEndOffset)
  }
  log.highWatermark = log.durableEndOffset
}

describe('the epochs of a log', () => {
  test('give way to a batch of an older epoch, and not to one whose epoch cannot be', () => {
    const epochs = new LeaderEpochCache()
    epochs.dropAbove(-5)
    epochs.assign(1, 0)
    epochs.assign(4, 7)
    epochs.dropAbove(-5)
    expect(epochs.latestEpoch).toBe(4)
    epochs.dropAbove(2)
    expect(epochs.latestEpoch).toBe(1)
  })

  test('do not count as filed when records were deleted before the file heard of the epoch that wrote them', async () => {
    const options = { checkpointEveryBytes: 1_000_000 }
    const first = await life.opened(image, options)
    await life.settle(createSmall(first, 'b'))
    await appendTo(first, await life.settle(createSmall(first, 'a')), 3)
    await life.settle(first.close())
    const second = await life.opened(image, options)
    const written = second.logs.get('a-0') as UnifiedLog
    written.assignLeaderEpoch(1, 3)
    await appendTo(second, written, 3)
    // The file knows of epoch 0 alone, and what is behind it lies below the recovery point of the next start.
    life.stage.disk.stop()
    const third = await life.opened(image, { checkpointEveryBytes: 500 })
    const log = third.logs.get('a-0') as UnifiedLog
    log.highWatermark = log.durableEndOffset
    await life.settle(log.deleteRecordsBefore(6))
    const before = image.find('/data/state/recovery-points')
    await appendTo(third, third.logs.get('b-0') as UnifiedLog, 4)
    await life.runUntil(() => image.find('/data/state/recovery-points') !== before)
    life.stage.disk.stop()
    for (const lost of ['/data/state/log-starts', '/data/log/log-start-offset-checkpoint']) image.unlink(lost)
    const found = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    found.highWatermark = found.logEndOffset
    await life.settle(readAll(found))
    expect([found.logStartOffset, found.logEndOffset, found.damage.ranges]).toEqual([0, 6, []])
    expect(found.epochs.entries.map(({ epoch, startOffset }) => [epoch, startOffset])).toEqual([
      [0, 0],
      [1, 3],
    ])
  })
})
