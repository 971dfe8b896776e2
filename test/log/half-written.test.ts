/** Files that a power cut has left half written or half replaced: what is whole beside them is believed, they are not. */
import { beforeEach, describe, expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { headerOf } from '../../src/log/compaction/batch-filter.ts'
import type { Segment } from '../../src/log/segment.ts'
import { offsetEntryBytes, timeEntryBytes } from '../../src/log/segment-index.ts'
import {
  batchBaseOffset,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
} from '../../src/protocol/records/record-batch.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { turn } from '../explore/stage.ts'
import { DiskImage } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { tryApply } from '../sim/sim-disk.ts'
import { appendOne, batchOf, createSmall, done, readAll } from './log-fixture.ts'
import { StagedLog } from './staged-log.ts'

const turnsMax = 200
const operationsMax = 120
const batches = 13
const entriesMax = 4
const readable = { bytesMax: 10_000, minOneBatch: true } as const
const timeOf = (offset: number): number => 1_000 + offset * 10
let image: DiskImage
let life: StagedLog

beforeEach(() => {
  image = new DiskImage()
  life = new StagedLog()
})

/** Batches of one record each, five a segment unless that is larger, with times that rise; a clean stop. */
async function stoppedLog(segmentBytes = 2500, count = batches): Promise<UnifiedLog> {
  const directory = await life.opened(image)
  const log = await life.settle(createSmall(directory, 'a', { segmentBytes }))
  for (let index = 0; index < count; index++) {
    const timestampMs = timeOf(log.logEndOffset)
    done(appendOne(directory, log, batchOf(['.'.repeat(400)], { timestampMs })))
    await life.runUntil(() => log.writtenEndOffset === log.logEndOffset)
  }
  log.highWatermark = log.durableEndOffset
  await life.settle(directory.close())
  expect(log.segments.length > 1).toBe(segmentBytes === 2500)
  return log
}

/** As if the last stop had not been a clean one. */
function forgetCleanStop(medium = image): void {
  medium.unlink('/data/log/.kafka_cleanshutdown')
  medium.syncDirectory('/data/log')
}

function lastPosition(bytes: Uint8Array): number {
  let position = 0
  for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) position = at
  return position
}

async function offsetsByTime(log: UnifiedLog): Promise<readonly (number | undefined)[]> {
  const found: (number | undefined)[] = []
  // The last first: a search that an index leads holds it against the log.
  for (let offset = log.logEndOffset - 1; offset >= 0; offset--)
    found.unshift((await life.settle(log.offsetForTimestamp(timeOf(offset))))?.offset)
  return found
}

const everyOffset = (log: UnifiedLog): readonly number[] => Array.from({ length: log.logEndOffset }, (_, at) => at)

describe('a deletion that was cut short before an empty segment', () => {
  test.each([
    ['below the gap', -1],
    ['within the gap', 2],
  ])('leaves no reader waiting below the end, with the start of the log %s', async (_, behindSecond) => {
    const log = await stoppedLog()
    const [first, second, third] = log.segments as [Segment, Segment, Segment]
    // The second one's new name has reached the medium, and of the third one's bytes none.
    image.rename(second.logPath, `${second.logPath}.deleted`)
    image.truncate(third.logPath, 0)
    image.file(third.logPath).sync()
    image.syncDirectory('/data/log/a-0')
    for (const path of ['/data/state/recovery-points', '/data/log/recovery-point-offset-checkpoint']) image.unlink(path)
    image.syncDirectory('/data/state')
    forgetCleanStop()
    const startOffset = second.baseOffset + behindSecond
    expect(startOffset).toBeGreaterThan(first.baseOffset)
    const text = `0\n1\na 0 ${startOffset}\n`
    image.write('/data/log/log-start-offset-checkpoint', 0, [Buffer.from(text)])
    image.unlink('/data/state/log-starts')
    image.syncDirectory('/data/state')
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    const last = (await life.settle(readAll(again))).at(-1) as Uint8Array
    expect([again.logStartOffset, again.logEndOffset]).toEqual([startOffset, third.baseOffset])
    // Twice: it is in no file, and the second time no file is asked.
    for (const from of [batchBaseOffset(last), second.baseOffset + 3]) {
      const read = await life.settle(again.read({ ...readable, fromOffset: from, endOffset: again.logEndOffset }))
      const bytes = read.kind === 'batches' ? read.bytes : new Uint8Array(batchHeaderBytes)
      expect([batchBaseOffset(bytes), batchLastOffset(bytes), batchRecordCount(bytes), bytes.length]).toEqual([
        ...[from, third.baseOffset - 1],
        ...[0, batchHeaderBytes],
      ])
      expect(batchCrcIsValid(bytes)).toBe(true)
    }
  })
})

describe('a swap of compaction that was killed before its names were synced', () => {
  test('loses nothing, wherever the power goes in the start that finishes it', async () => {
    const log = await stoppedLog()
    const [first, second, third] = log.segments as [Segment, Segment, Segment]
    const both = [first, second].map(({ logPath }) => image.file(logPath).read(0, image.file(logPath).size))
    const cleaned = `${first.logPath}.cleaned`
    image.write(cleaned, 0, both)
    image.file(cleaned).sync()
    image.syncDirectory('/data/log/a-0')
    forgetCleanStop()
    image.rename(cleaned, `${first.logPath}.swap`)
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 8; seed++) {
        const medium = image.fork()
        isOver = (await life.start(medium, operations)) !== null
        life.stage.disk.stop()
        medium.crash(new Prng(seed, `crash ${operations}`))
        const found = (await life.opened(medium)).logs.get('a-0') as UnifiedLog
        const offsets = (await life.settle(readAll(found))).map((batch) => batchBaseOffset(batch))
        expect(offsets.slice(0, third.baseOffset)).toEqual(everyOffset(log).slice(0, third.baseOffset))
      }
    }
    expect(isOver).toBe(true)
  })
})

describe('the marker of a clean stop', () => {
  test('that a killed start has removed is not there again behind a start that found it gone', async () => {
    const log = await stoppedLog(100_000, batches - 1)
    const times = everyOffset(log).map((_, offset) => offset)
    let isGone = false
    for (let killedAt = 0; killedAt < operationsMax && !isGone; killedAt++) {
      const killed = image.fork()
      await life.start(killed, killedAt)
      life.stage.disk.stop()
      isGone = killed.find('/data/log/.kafka_cleanshutdown') === null
      if (!isGone) continue
      for (let operations = 0; operations < 40; operations++) {
        for (let seed = 0; seed < 6; seed++) {
          const medium = killed.fork()
          await life.start(medium, operations)
          life.stage.disk.stop()
          medium.crash(new Prng(seed, `crash ${operations}`))
          const found = (await life.opened(medium)).logs.get('a-0') as UnifiedLog
          expect(await offsetsByTime(found)).toEqual(times)
        }
      }
    }
    expect(isGone).toBe(true)
  })
})

describe('the index files of a log that has lost its end', () => {
  test('hold nothing, durably, of what is lost before a start says what they hold', async () => {
    const log = await stoppedLog()
    const { activeSegment: active } = log
    expect(image.file(active.timeIndexPath).size).toBe(timeEntryBytes)
    // As a relaxed log, its last segment never reached the medium; its indexes did.
    image.truncate(active.logPath, 0)
    image.file(active.logPath).sync()
    for (const path of ['/data/state/recovery-points', '/data/log/recovery-point-offset-checkpoint']) image.unlink(path)
    image.syncDirectory('/data/state')
    forgetCleanStop()
    await life.opened(image)
    life.stage.disk.stop()
    image.crash(new Prng(1, 'crash'))
    expect([active.indexPath, active.timeIndexPath].map((path) => image.file(path).size)).toEqual([0, 0])
  })
})

describe('a search by time', () => {
  test('does not believe the index of a file that compaction was about to replace, once its replacement is half done', async () => {
    const log = await stoppedLog()
    const [first] = log.segments
    const path = first?.timeIndexPath ?? ''
    const entries = image.file(path).read(0, image.file(path).size)
    image.write(`${path}.swap`, 0, [entries])
    // What has its name is of the file before, and ends earlier.
    image.truncate(path, 12)
    forgetCleanStop()
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    expect(await offsetsByTime(again)).toEqual(everyOffset(again))
  })

  test('does not believe the index of the file before when only the log of its replacement has reached the medium', async () => {
    const log = await stoppedLog()
    const { logPath, timeIndexPath } = log.segments[0] as Segment
    image.write(`${logPath}.swap`, 0, [image.file(logPath).read(0, image.file(logPath).size)])
    image.truncate(timeIndexPath, 12)
    forgetCleanStop()
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    expect(await offsetsByTime(again)).toEqual(everyOffset(again))
  })

  test('does not take a time index that is gone for that of a segment without records', async () => {
    const log = await stoppedLog()
    const { logPath, indexPath, timeIndexPath, sizeInBytes } = log.segments[0] as Segment
    const bytes = image.file(logPath).read(0, sizeInBytes)
    const position = lastPosition(bytes)
    // As compaction leaves it: the last batch is a header alone, and the index ends with it.
    const last = (log.segments[1]?.baseOffset ?? 0) - 1
    image.truncate(logPath, position)
    image.write(logPath, position, [headerOf(bytes.subarray(position))])
    const entry = Buffer.alloc(offsetEntryBytes)
    entry.writeInt32BE(last, 0)
    entry.writeInt32BE(position, 4)
    image.truncate(indexPath, 0)
    image.write(indexPath, 0, [entry])
    image.truncate(timeIndexPath, 0)
    image.unlink('/data/state/segment-digests')
    forgetCleanStop()
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    // The record that was at the end is gone: the next one is told.
    expect(await offsetsByTime(again)).toEqual(
      everyOffset(again).map((offset) => (offset === last ? last + 1 : offset)),
    )
  })

  test('finds the same wherever the writing of a rebuilt index is cut short', async () => {
    const log = await stoppedLog()
    const index = image.file(log.segments[0]?.indexPath ?? '')
    index.corrupt(index.size - 1, 1)
    let isOver = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let entries = 0; entries < entriesMax; entries++) {
        const medium = image.fork()
        const found = (await life.opened(medium)).logs.get('a-0') as UnifiedLog
        life.stage.disk.operationsLeft = operations
        await life.stage.settle(found.read({ fromOffset: 3, endOffset: 4, bytesMax: 1, minOneBatch: true }))
        for (let turns = 0; turns < 20; turns++) await turn()
        isOver = !life.stage.disk.isDead
        const { next } = life.stage.disk
        // A part that ends between two entries looks whole.
        if (next?.kind === 'writeFile')
          tryApply(medium, { ...next, bytes: next.bytes.subarray(0, entries * timeEntryBytes) })
        life.stage.disk.stop()
        const again = (await life.opened(medium)).logs.get('a-0') as UnifiedLog
        expect(await offsetsByTime(again)).toEqual(everyOffset(again))
      }
    }
    expect(isOver).toBe(true)
  })
})

describe('a start behind a power cut', () => {
  test('goes on behind segments that were being deleted, also when the one after them is empty', async () => {
    const log = await stoppedLog()
    const [, second, third] = log.segments
    expect(third).toBeDefined()
    image.rename(second?.logPath ?? '', `${second?.logPath}.deleted`)
    image.syncDirectory(log.directory)
    image.truncate(third?.logPath ?? '', 0)
    for (const name of ['state/recovery-points', 'log/recovery-point-offset-checkpoint']) image.unlink(`/data/${name}`)
    forgetCleanStop()
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    expect(again.logEndOffset).toBe(third?.baseOffset)
  })

  test('cuts a batch of the torn tail whose offset did not reach the disk, and tells of no damage', async () => {
    const log = await stoppedLog()
    const { logPath, sizeInBytes } = log.activeSegment
    image.write(logPath, sizeInBytes, [batchOf(['only my first sector is missing'])])
    forgetCleanStop()
    const again = (await life.opened(image)).logs.get('a-0') as UnifiedLog
    const told = life.eventIds
    expect([again.logEndOffset, told.includes('log-damaged'), told.includes('log-tail-truncated')]).toEqual([
      batches,
      false,
      true,
    ])
  })
})

describe('a torn tail', () => {
  test('that was cut is not back behind what was appended in its place', async () => {
    const log = await stoppedLog()
    const { logPath, sizeInBytes } = log.activeSegment
    const later = image.fork()
    const appendTo = async (medium: DiskImage, text: string): Promise<void> => {
      const directory = await life.opened(medium)
      const own = directory.logs.get('a-0') as UnifiedLog
      done(appendOne(directory, own, batchOf([text.repeat(400)])))
      await life.runUntil(() => own.durableEndOffset === own.logEndOffset)
      expect(own.durableEndOffset).toBe(own.logEndOffset)
    }
    await appendTo(later, '-')
    forgetCleanStop(later)
    await appendTo(later, '-')
    // Two batches that nobody was told of; of the first one a part has not reached the medium.
    const tail = later
      .file(logPath)
      .read(sizeInBytes, later.file(logPath).size - sizeInBytes)
      .slice()
    tail.fill(0, 100, 200)
    image.write(logPath, sizeInBytes, [tail])
    image.file(logPath).sync()
    forgetCleanStop()
    await appendTo(image, 'x')
    for (let seed = 1; seed <= 40; seed++) {
      const medium = image.fork()
      medium.crash(new Prng(seed, 'power'))
      const found = (await life.opened(medium)).logs.get('a-0')
      expect(found?.logEndOffset).toBe(log.logEndOffset + 1)
    }
  })

  test('that a start has cut is no damage behind the next clean stop, wherever that start was cut short', async () => {
    const log = await stoppedLog()
    // Its length had reached the medium, its bytes had not.
    const { logPath, sizeInBytes } = log.activeSegment
    image.write(logPath, sizeInBytes, [new Uint8Array(300)])
    image.file(logPath).sync()
    forgetCleanStop()
    for (let operations = 0, isOver = false; !isOver; operations++) {
      const stopped = image.fork()
      isOver = (await life.start(stopped, operations)) !== null
      const again = await life.opened(stopped)
      await life.settle(again.close())
      for (let seed = 1; seed <= 10; seed++) {
        const medium = stopped.fork()
        medium.crash(new Prng(seed, 'power'))
        const found = (await life.opened(medium)).logs.get('a-0')
        expect(life.eventIds).not.toContain('log-damaged')
        expect(found?.logEndOffset).toBe(log.logEndOffset)
      }
    }
  })
})

describe('a log that no checkpoint has seen', () => {
  /** Segments that were never synced after a power cut at each operation, without these files; then the log that a start finds. */
  async function afterEachCut(
    lost: readonly string[],
    look: (directory: LogDirectory) => Promise<void>,
  ): Promise<void> {
    let isOver = false
    let isTorn = false
    for (let operations = 0; operations < operationsMax && !isOver; operations++) {
      for (let seed = 0; seed < 6; seed++) {
        const medium = new DiskImage()
        const first = await life.opened(medium)
        const log = await life.settle(createSmall(first, 'a', { segmentBytes: 700, flush: 'relaxed' }))
        life.stage.disk.operationsLeft = operations
        for (let index = 0; index < 8; index++) done(appendOne(first, log, batchOf(['.'.repeat(400)])))
        await turns()
        isOver = !life.stage.disk.isDead
        life.stage.disk.stop()
        medium.crash(new Prng(seed, `crash ${operations}`))
        for (const path of lost) medium.unlink(path)
        const directory = await life.opened(medium)
        isTorn ||= (directory.logs.get('a-0')?.logEndOffset ?? 0) < 8
        await look(directory)
      }
    }
    expect([isOver, isTorn]).toEqual([true, true])
  }

  async function turns(): Promise<void> {
    for (let count = 0; count < turnsMax; count++) {
      life.stage.clock.runDeferred()
      await turn()
    }
  }

  const ours = '/data/state/recovery-points'
  const kafkas = '/data/log/recovery-point-offset-checkpoint'

  test('is cut where a power cut has torn it, and told as damaged nowhere, when our recovery points are lost too', () =>
    afterEachCut([ours], async (directory) => {
      expect(directory.logs.get('a-0')?.damage.ranges).toEqual([])
    }))

  test('gives what is appended to it no offset that is told as damaged, when all recovery points are lost', () =>
    afterEachCut([ours, kafkas], async (directory) => {
      const log = directory.logs.get('a-0') as UnifiedLog
      const { baseOffset } = done(appendOne(directory, log, batchOf(['more'])))
      expect(log.damage.at(baseOffset)).toBeNull()
    }))
})
