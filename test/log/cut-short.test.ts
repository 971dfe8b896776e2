/** What was cut short: starts, deletions, creations and syncs that a crash or a fault ended in the middle, operation by operation. */
import { beforeEach, describe, expect, test } from 'vitest'
import { CommitJournal } from '../../src/log/commit-journal.ts'
import { DirtyFiles } from '../../src/log/dirty-files.ts'
import type { LogConfig } from '../../src/log/log-config.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { died, Stage, turn } from '../explore/stage.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { appendOne, batchOf, createSmall, done, readAll, topicIdOf } from './log-fixture.ts'
import { StagedLog } from './staged-log.ts'

const operationsMax = 200
let image: DiskImage
let life: StagedLog

beforeEach(() => {
  image = new DiskImage()
  life = new StagedLog()
})

const start: StagedLog['start'] = (...given) => life.start(...given)
const opened: StagedLog['opened'] = (...given) => life.opened(...given)
const settle: StagedLog['settle'] = (promise) => life.settle(promise)
const eventIds = (): string[] => life.eventIds

async function whenDurable(log: UnifiedLog): Promise<void> {
  const isRelaxed = log.config.flush === 'relaxed'
  await life.runUntil(() => (isRelaxed ? log.writtenEndOffset : log.durableEndOffset) === log.logEndOffset)
}

async function appendTo(directory: LogDirectory, log: UnifiedLog, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) {
    done(appendOne(directory, log, batchOf([`${log.logEndOffset}`.padEnd(400, '.')])))
    await whenDurable(log)
  }
  log.highWatermark = log.durableEndOffset
}

/** A log of three segments, each written by a producer of its own. */
async function threeProducers(directory: LogDirectory): Promise<UnifiedLog> {
  const log = await settle(createSmall(directory, 'a', { segmentBytes: 700 }))
  for (const producerId of [1, 2, 3]) {
    const fields = { producerId, producerEpoch: 0, baseSequence: 0 }
    done(appendOne(directory, log, batchOf(['x'.repeat(500)], fields)))
    await whenDurable(log)
  }
  log.highWatermark = log.durableEndOffset
  expect(log.segments.map((segment) => segment.baseOffset)).toEqual([0, 1, 2])
  return log
}

describe('a deletion of segments that a crash has cut short', () => {
  test('is no damage, wherever the start behind it is cut short too', async () => {
    const directory = await opened(image)
    const log = await settle(createSmall(directory, 'a', { segmentBytes: 1000 }))
    await appendTo(directory, log, 8)
    await settle(directory.close())
    // The first segment's rename was lost, the second's was not.
    const second = log.segments[1]?.logPath ?? ''
    image.rename(second, `${second}.deleted`)
    image.syncDirectory('/data/log/a-0')
    image.unlink('/data/log/.kafka_cleanshutdown')
    image.syncDirectory('/data/log')
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 8; seed++) {
        const medium = image.fork()
        isOver = (await start(medium, operations)) !== null
        expect(eventIds()).not.toContain('log-damaged')
        medium.crash(new Prng(seed, `crash ${operations}`))
        const again = (await opened(medium)).logs.get('a-0') as UnifiedLog
        await settle(readAll(again))
        expect(eventIds()).not.toContain('log-damaged')
      }
    }
    expect(isOver).toBe(true)
  })

  test('forgets no producer, wherever it is cut short', async () => {
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 6; seed++) {
        const medium = new DiskImage()
        const log = await threeProducers(await opened(medium))
        life.stage.disk.operationsLeft = operations
        isOver = (await life.stage.settle(log.deleteRecordsBefore(2))) !== died
        life.stage.disk.stop()
        medium.crash(new Prng(seed, `crash ${operations}`))
        const found = (await opened(medium)).logs.get('a-0') as UnifiedLog
        expect([1, 2, 3].map((id) => found.producers.get(id)?.batches.at(-1)?.lastOffset)).toEqual([0, 1, 2])
      }
    }
    expect(isOver).toBe(true)
  })

  test('leaves the producers known that wrote to a segment which is gone before an older one', async () => {
    const log = await threeProducers(await opened(image))
    life.stage.disk.stop()
    const second = log.segments[1]?.logPath ?? ''
    image.rename(second, `${second}.deleted`)
    image.syncDirectory('/data/log/a-0')
    const found = (await opened(image)).logs.get('a-0') as UnifiedLog
    expect([1, 2, 3].map((id) => found.producers.get(id)?.batches.at(-1)?.lastOffset)).toEqual([0, 1, 2])
  })
})

describe('a start that has lost our recovery points', () => {
  /** A directory after a stop, as if it had not been a clean one. */
  async function stopped(fill: (directory: LogDirectory) => Promise<UnifiedLog>): Promise<UnifiedLog> {
    const directory = await opened(image)
    const log = await fill(directory)
    await settle(directory.close())
    image.unlink('/data/log/.kafka_cleanshutdown')
    image.unlink('/data/state/recovery-points')
    return log
  }

  test('cuts no segment behind a base offset that is wrong upwards', async () => {
    const log = await stopped(threeProducers)
    image.unlink('/data/log/recovery-point-offset-checkpoint')
    image.file(log.segments[0]?.logPath ?? '').corrupt(6, 1)
    const found = (await opened(image)).logs.get('a-0') as UnifiedLog
    const read = await settle(found.read({ fromOffset: 1, endOffset: 3, bytesMax: 10_000, minOneBatch: true }))
    expect([found.logEndOffset, read.kind]).toEqual([3, 'batches'])
  })

  test('derives the epochs of a log whose last segment is torn from its batches only', async () => {
    const log = await stopped(async (directory) => {
      const made = await settle(createSmall(directory, 'a', { segmentBytes: 100_000 }))
      await appendTo(directory, made, 3)
      made.assignLeaderEpoch(1, 3)
      await appendTo(directory, made, 3)
      return made
    })
    image.unlink('/data/log/a-0/leader-epoch-checkpoint')
    image.write(`${log.directory}/00000000000000000006.log`, 0, [new Uint8Array(100)])
    const found = (await opened(image)).logs.get('a-0') as UnifiedLog
    expect(found.epochs.entries).toEqual([
      { epoch: 0, startOffset: 0 },
      { epoch: 1, startOffset: 3 },
    ])
  })

  test.each([
    [
      'of the same epoch',
      2,
      [
        [0, 0],
        [1, 3],
      ],
    ],
    [
      'of another one',
      5,
      [
        [0, 0],
        [1, 3],
      ],
    ],
  ])(
    'knows the epochs below a cut at the start that came into the checkpoint alone, %s',
    async (_, cutAt, expected) => {
      await stopped(async (directory) => {
        const made = await settle(createSmall(directory, 'a', { segmentBytes: 100_000 }))
        await appendTo(directory, made, 3)
        made.assignLeaderEpoch(1, 3)
        await appendTo(directory, made, 3)
        return made
      })
      const kept = cutAt < 3 ? `2\n0 ${cutAt}\n1 3\n` : `1\n1 ${cutAt}\n`
      image.unlink('/data/log/a-0/leader-epoch-checkpoint')
      image.write('/data/log/a-0/leader-epoch-checkpoint', 0, [Buffer.from(`0\n${kept}`)])
      const found = (await opened(image)).logs.get('a-0') as UnifiedLog
      expect(found.epochs.entries.map(({ epoch, startOffset }) => [epoch, startOffset])).toEqual(expected)
    },
  )
})

/** A batch of each of these producers in one turn: two of the first ones roll a segment of 700 bytes, a third stays in the second one. */
function appendAs(directory: LogDirectory, log: UnifiedLog, producerIds: readonly number[]): Promise<void> {
  for (const producerId of producerIds) {
    const fields = { producerId, producerEpoch: 0, baseSequence: 0 }
    done(appendOne(directory, log, batchOf(['x'.repeat(producerId < 3 ? 500 : 9)], fields)))
  }
  return whenDurable(log)
}

/** The third producer writes, the first segment is deleted; then a power cut, and our recovery points are lost: who is known then. */
async function knownWithoutFirst(medium: DiskImage, config: LogConfig, crash: Prng): Promise<unknown> {
  const directory = await opened(medium)
  const log = directory.logs.get('a-0') as UnifiedLog
  log.updateConfig(config)
  await appendAs(directory, log, [1, 2, 3].slice(log.logEndOffset))
  log.highWatermark = log.durableEndOffset
  await settle(log.deleteRecordsBefore(1))
  life.stage.disk.stop()
  medium.crash(crash)
  medium.unlink('/data/state/recovery-points')
  const found = (await opened(medium)).logs.get('a-0') as UnifiedLog
  return [1, 2, 3].map((id) => found.producers.get(id)?.batches.at(-1)?.lastOffset)
}

describe('a roll that was cut short', () => {
  test('loses no producer when the older segment is deleted and our recovery points are lost', async () => {
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 4; seed++) {
        const medium = new DiskImage()
        const first = await opened(medium)
        const made = await settle(createSmall(first, 'a', { segmentBytes: 700 }))
        life.stage.disk.operationsLeft = operations
        await appendAs(first, made, [1, 2])
        for (let turns = 0; turns < operationsMax; turns++) await turn()
        isOver = !life.stage.disk.isDead
        life.stage.disk.stop()
        const known = await knownWithoutFirst(medium, made.config, new Prng(seed, `crash ${operations}`))
        expect(known).toEqual([0, 1, 2])
      }
    }
    expect(isOver).toBe(true)
  })
})

describe('a log created anew under the name of a deleted one', () => {
  test('is not hidden by a start that was written down for the deleted one', async () => {
    let directory = await opened(image)
    const log = await settle(createSmall(directory, 'a'))
    await appendTo(directory, log, 9)
    await settle(log.deleteRecordsBefore(8))
    life.stage.disk.stop()
    // The crash came between the last two steps of the deletion.
    image.rename('/data/log/a-0', `/data/log/a-0.${'0'.repeat(32)}-delete`)
    image.syncDirectory('/data/log')
    directory = await opened(image)
    const creation = { topic: 'a', partition: 0, topicId: topicIdOf('another'), config: log.config }
    const successor = await settle(directory.createLog(creation))
    await appendTo(directory, successor, 3)
    life.stage.disk.stop()
    image.crash(new Prng(1, 'crash'))
    const found = (await opened(image)).logs.get('a-0') as UnifiedLog
    expect([found.logStartOffset, found.logEndOffset]).toEqual([0, 3])
  })

  test('is not taken for the deleted one when its creation is cut short', async () => {
    let directory = await opened(image, { checkpointEveryBytes: 500 })
    const log = await settle(createSmall(directory, 'a'))
    await appendTo(directory, log, 4)
    await settle(directory.close())
    directory = await opened(image)
    await settle(directory.deleteLog(directory.logs.get('a-0') as UnifiedLog))
    const creation = { topic: 'a', partition: 0, topicId: topicIdOf('another'), config: log.config }
    await settle(directory.createLog(creation))
    life.stage.disk.stop()
    // As far as the creation had come: a folder and an empty file.
    image.unlink('/data/log/a-0/partition.metadata')
    image.syncDirectory('/data/log/a-0')
    directory = await opened(image)
    const found = await settle(directory.createLog(creation))
    expect([found.topicId, found.logEndOffset, found.damage.isEmpty]).toEqual([topicIdOf('another'), 0, true])
  })
})

describe('a log whose creation was cut short', () => {
  test('keeps what was appended since without our copy of its topic id, wherever the creation ended', async () => {
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 8; seed++) {
        const medium = new DiskImage()
        const first = await opened(medium)
        life.stage.disk.operationsLeft = operations
        isOver = (await life.stage.settle(createSmall(first, 'a'))) !== died
        // The process alone is gone: the next one finds what was written, synced or not.
        life.stage.disk.stop()
        const directory = await opened(medium)
        await appendTo(directory, await settle(createSmall(directory, 'a')), 2)
        life.stage.disk.stop()
        medium.crash(new Prng(seed, `crash ${operations}`))
        medium.unlink('/data/state/recovery-points')
        const found = (await opened(medium)).logs.get('a-0')
        expect([found?.topicId, found?.logEndOffset]).toEqual([topicIdOf('a'), 2])
      }
    }
    expect(isOver).toBe(true)
  })
})

describe('a relaxed log that lost its end', () => {
  test('keeps deleted what was deleted', async () => {
    let hasLost = false
    for (let seed = 0; seed < 20; seed++) {
      const medium = new DiskImage()
      let directory = await opened(medium)
      const made = await settle(createSmall(directory, 'a', { flush: 'relaxed' }))
      await appendTo(directory, made, 3)
      await settle(directory.close())
      directory = await opened(medium)
      const log = directory.logs.get('a-0') as UnifiedLog
      log.updateConfig({ ...log.config, flush: 'relaxed' })
      await appendTo(directory, log, 6)
      await settle(log.deleteRecordsBefore(8))
      life.stage.disk.stop()
      medium.crash(new Prng(seed, 'crash'))
      const found = (await opened(medium)).logs.get('a-0') as UnifiedLog
      hasLost ||= found.logEndOffset < 8
      expect(found.logStartOffset).toBe(Math.min(8, found.logEndOffset))
    }
    expect(hasLost).toBe(true)
  })
})

describe('a wrong bit in an offset index', () => {
  test('hides no record of a log in which offsets may be missing', async () => {
    const directory = await opened(image)
    const cleanupPolicy = new Set(['compact'] as const)
    const log = await settle(createSmall(directory, 'a', { cleanupPolicy, segmentBytes: 4000 }))
    for (let index = 0; index < 30; index++) {
      done(appendOne(directory, log, batchOf(['x'.repeat(90), 'y'.repeat(90), 'z'.repeat(90)])))
      await whenDurable(log)
    }
    log.highWatermark = log.durableEndOffset
    await settle(directory.close())
    const path = log.segments[0]?.indexPath ?? ''
    for (let bit = 0; bit < image.file(path).size * 8; bit++) {
      const medium = image.fork()
      medium.file(path).corrupt(Math.floor(bit / 8), 1 << (bit % 8))
      const found = (await opened(medium)).logs.get('a-0') as UnifiedLog
      found.updateConfig(log.config)
      for (let offset = 1; offset < 30; offset += 3) {
        const read = await settle(found.read({ fromOffset: offset, endOffset: 90, bytesMax: 1, minOneBatch: true }))
        const first = read.kind === 'batches' ? Number(Buffer.from(read.bytes).readBigInt64BE(0)) : read.kind
        expect(first).toBe(offset - 1)
      }
      life.stage.disk.stop()
    }
  })
})

describe('a file that is going', () => {
  test('keeps its frames until it has gone', () => {
    const dirty = new DirtyFiles()
    dirty.mark('/a', 4)
    const removed = dirty.beginRemoval(['/a'])
    expect(dirty.oldestNeeded(9)).toBe(4)
    removed()
    expect(dirty.oldestNeeded(9)).toBe(9)
  })
})

describe('the newest frame of the journal', () => {
  test('is not written over by the next one, though nothing needs it any more', async () => {
    const { disk } = new Stage(image, 'run', new Prng(1, 'stage'), 1_000_000)
    image.makeDirectory('/data')
    const options = { path: '/data/journal', bytesMax: 65_536, stepBytes: 16_384, directoryId: new Uint8Array(16) }
    const journal = new CommitJournal(disk, options, new DirtyFiles())
    await journal.reset(new Uint8Array(16))
    const positions: number[] = []
    for (let frames = 0; frames < 6; frames++) {
      expect(journal.hasRoom(0, 0)).toBe(true)
      const write = journal.append([], 0).operation
      positions.push(write.kind === 'write' ? write.position : -1)
    }
    for (let at = 1; at < positions.length; at++) expect(positions[at]).not.toBe(positions[at - 1])
  })
})

describe('a set of batches', () => {
  test('is whole after a kill before its frame was synced, and a power cut while it was replayed', async () => {
    const base = await opened(image)
    const logs = [await settle(createSmall(base, 'a')), await settle(createSmall(base, 'b'))]
    const set = logs.map((log) => ({
      log,
      batch: batchOf(['x'.repeat(700)]),
      leaderEpoch: 0,
      origin: 'client' as const,
    }))
    // The process lives to write the frame, and not to sync it.
    life.stage.disk.operationsLeft = 1
    base.appendSet(set)
    life.stage.clock.runDeferred()
    for (let turns = 0; turns < 5; turns++) await turn()
    expect(life.stage.disk.isDead).toBe(true)
    let isOver = false
    const seen = new Set<string>()
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 10; seed++) {
        const medium = image.fork()
        isOver = (await start(medium, operations)) !== null
        medium.crash(new Prng(seed, `crash ${operations}`))
        const found = (await opened(medium)).logs
        const ends = ['a-0', 'b-0'].map((key) => found.get(key)?.logEndOffset)
        seen.add(ends.join())
      }
    }
    expect([isOver, [...seen].sort()]).toEqual([true, ['0,0', '1,1']])
  })
})

describe('a sync that has failed', () => {
  test('is the last thing that is done', async () => {
    const directory = await opened(image)
    const path = `${directory.stateDirectory}/aside`
    life.stage.disk.failNextSync = new Prng(1, 'failed sync')
    const failing = directory.writeAside([
      { kind: 'writeFile', path, bytes: new Uint8Array(9) },
      { kind: 'sync', path },
    ])
    const behind = directory.writeAside([{ kind: 'writeFile', path: `${path}-2`, bytes: new Uint8Array(9) }])
    const outcomes = await settle(Promise.allSettled([failing, behind]))
    const later = await settle(Promise.allSettled([directory.writeAside([{ kind: 'unlink', path }])]))
    expect([...outcomes, ...later].map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect([image.find(path) !== null, image.find(`${path}-2`) !== null]).toEqual([true, false])
  })

  test('takes no producer away that the segment before a roll had, once that is deleted', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const medium = new DiskImage()
      const first = await opened(medium)
      const made = await settle(createSmall(first, 'a', { segmentBytes: 700 }))
      const { disk } = life.stage
      const step = disk.step.bind(disk)
      disk.step = () => {
        const isSnapshot = disk.next?.kind === 'sync' && disk.next.path.endsWith('.snapshot')
        if (isSnapshot) disk.failNextSync = new Prng(seed, 'failed sync')
        step()
      }
      await appendAs(first, made, [1, 2])
      for (let turns = 0; turns < operationsMax && first.failure === null; turns++) await turn()
      expect(first.failure).not.toBeNull()
      await turn()
      disk.stop()
      expect(await knownWithoutFirst(medium, made.config, new Prng(seed, 'crash'))).toEqual([0, 1, 2])
    }
  })

  test('takes no topic id away with a later power cut and our copy of it', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const medium = new DiskImage()
      const first = await opened(medium)
      life.stage.disk.failNextSync = new Prng(seed, 'failed sync')
      await expect(settle(createSmall(first, 'a'))).rejects.toThrow()
      await turn()
      life.stage.disk.stop()
      // The page cache has what the sync has not written.
      const directory = await opened(medium)
      await appendTo(directory, await settle(createSmall(directory, 'a')), 2)
      life.stage.disk.stop()
      medium.crash(new Prng(seed, 'crash'))
      medium.unlink('/data/state/recovery-points')
      const found = (await opened(medium)).logs.get('a-0')
      expect([found?.topicId, found?.logEndOffset]).toEqual([topicIdOf('a'), 2])
    }
  })

  test('leaves nothing to a start behind it that the next power cut takes away', async () => {
    for (let seed = 0; seed < 20; seed++) {
      const medium = new DiskImage()
      const directory = await opened(medium)
      const log = await settle(createSmall(directory, 'a', { flush: 'relaxed' }))
      await appendTo(directory, log, 3)
      life.stage.disk.failNextSync = new Prng(seed, 'failed sync')
      for (let turns = 0; turns < operationsMax && directory.failure === null; turns++) {
        life.stage.clock.runTimer(2000)
        await turn()
      }
      expect(directory.failure).not.toBeNull()
      await turn()
      // The process is started again while the page cache lives.
      life.stage.disk.stop()
      const shown = (await opened(medium)).logs.get('a-0')?.logEndOffset
      life.stage.disk.stop()
      medium.crash(new Prng(seed, 'crash'))
      const found = (await opened(medium)).logs.get('a-0') as UnifiedLog
      expect([found.logEndOffset, found.damage.ranges]).toEqual([shown, []])
    }
  })
})
