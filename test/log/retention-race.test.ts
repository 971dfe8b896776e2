import { describe, expect, test } from 'vitest'
import type { Loss } from '../../src/log/retention.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { DiskImage, SimDirectory } from '../sim/disk-image.ts'
import { Prng } from '../sim/prng.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll, smallConfig } from './log-fixture.ts'
import { StagedLog } from './staged-log.ts'

describe('retention by time', () => {
  test('gives up no segment of which it was not said, while DeleteRecords takes others', async () => {
    const expired = 300
    for (let delayMs = 0; delayMs < 10; delayMs++) {
      const world = simWorld(delayMs + 1)
      const host = world.host('edge')
      let ports = host.boot()
      let directory = await world.settle(openSmall(ports))
      const created = await world.settle(createSmall(directory, 'a', { segmentBytes: 2000 }))
      const nowMs = ports.clock.wallMs()
      for (let index = 0; index < expired * 2; index++) {
        const timestampMs = index < expired ? nowMs - 1_000_000 : nowMs
        done(appendOne(directory, created, batchOf(['x'.repeat(550)], { timestampMs })))
      }
      await world.run(() => created.durableEndOffset === created.logEndOffset)
      await world.settle(directory.close())
      host.kill()
      // Nothing is known of the times of the segments now: retention has to read, one after the other.
      ports = host.boot()
      directory = await world.settle(openSmall(ports))
      const log = directory.logs.get('a-0') as UnifiedLog
      log.updateConfig({ ...smallConfig, segmentBytes: 2000, retentionMs: 500_000 })
      log.highWatermark = log.durableEndOffset
      expect(log.segments.some(({ baseOffset }) => baseOffset === expired)).toBe(true)
      const pass = directory.retain()
      await world.runFor(delayMs / 2)
      await world.settle(Promise.all([log.deleteRecordsBefore(expired), pass]))
      expect(log.logStartOffset, `after ${delayMs}`).toBe(expired)
    }
  })
})

describe('the loss of the oldest segment', () => {
  test('is told once, and not while compaction puts another in its place', async () => {
    const world = simWorld(4)
    const host = world.host('edge')
    const space = { budgetBytes: 150_000, whenFull: 'drop-oldest' } as const
    const directory = await world.settle(openSmall(host.boot(), { space }))
    const log = await world.settle(createSmall(directory, 'a', { segmentBytes: 2000 }))
    const losses: Loss[] = []
    let release = (): void => {}
    directory.onLoss((loss) => {
      losses.push(loss)
      return Promise.resolve(true)
    })
    for (let index = 0; index < 9; index++) done(appendOne(directory, log, batchOf(['x'.repeat(550)])))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    log.highWatermark = log.durableEndOffset
    const [first] = log.segments
    if (first === undefined) throw new Error('no segment')
    first.replacement = new Promise((resolve) => {
      release = resolve
    })
    for (let index = 0; index < 400 && losses.length === 0; index++) {
      appendOne(directory, log, batchOf(['x'.repeat(550)]))
      await world.runFor(20)
      log.highWatermark = log.durableEndOffset
      if (directory.space.refusal !== null) break
    }
    await world.settle(directory.checkSpace())
    expect(losses).toEqual([])
    expect(host.observer.eventsOf('log-data-dropped')).toEqual([])
    first.replacement = null
    release()
    await world.settle(directory.checkSpace())
    expect(losses.length).toBeGreaterThan(0)
    expect(new Set(losses.map(({ startOffset }) => startOffset)).size).toBe(losses.length)
    expect(log.logStartOffset).toBe(losses.at(-1)?.endOffset)
  })
})

describe('the last segment that is full', () => {
  const records = 5
  const textOf = (text: string): Uint8Array => batchOf([text.repeat(400)])

  /** A disk without room, on which the file of the segment behind it waits; the directory was stopped cleanly before. */
  async function withoutRoom(life: StagedLog, medium: DiskImage) {
    const before = await life.opened(medium)
    const created = await life.settle(createSmall(before, 'a', { segmentBytes: 2500 }))
    for (let index = 0; index < records; index++) done(appendOne(before, created, textOf('a')))
    await life.runUntil(() => created.writtenEndOffset === records)
    await life.settle(before.close())
    const directory = await life.opened(medium)
    const log = directory.logs.get('a-0') as UnifiedLog
    log.updateConfig({ ...smallConfig, segmentBytes: 2500, retentionBytes: 1 })
    log.highWatermark = records
    medium.capacityBytes = medium.usedBytes + 4096
    // The full segment is completed, then comes what finds no room, and behind that the commit that begins the next one.
    done(appendOne(directory, log, textOf('c')))
    const waits = directory.writeAside([{ kind: 'writeFile', path: '/data/state/large', bytes: new Uint8Array(8192) }])
    await life.runUntil(() => directory.space.refusal !== null)
    expect(log.segments.map(({ baseOffset }) => baseOffset)).toEqual([0, records])
    return { directory, log, waits }
  }

  function filesOf(medium: DiskImage): string[] {
    const folder = medium.find('/data/log/a-0')
    if (!(folder instanceof SimDirectory)) throw new Error('there is no such folder')
    return [...folder.entries.keys()].filter((name) => name.endsWith('.log'))
  }

  test('goes from a full disk, and what waits behind it is there when there is room again', async () => {
    const life = new StagedLog()
    const medium = new DiskImage()
    const { directory, log, waits } = await withoutRoom(life, medium)
    await life.settle(directory.retain())
    expect(filesOf(medium)).toEqual(['00000000000000000005.log'])
    expect(log.durableEndOffset).toBe(records)
    medium.capacityBytes = Number.POSITIVE_INFINITY
    await life.settle(waits)
    while (log.writtenEndOffset === records && life.stage.clock.runTimer(10_000))
      await life.runUntil(() => log.writtenEndOffset > records)
    expect(Buffer.concat(await life.settle(readAll(log))).includes('c'.repeat(400))).toBe(true)
    await life.settle(directory.close())
    expect((await life.opened(medium)).logs.get('a-0')).toMatchObject({ logStartOffset: 5, logEndOffset: 6 })
  })

  test('is not gone before the file behind it is there, wherever the power goes', async () => {
    for (let seed = 0; seed < 60; seed++) {
      const life = new StagedLog()
      const medium = new DiskImage()
      const { directory } = await withoutRoom(life, medium)
      life.stage.disk.operationsLeft = seed % 10
      void directory.retain()
      await life.runUntil(() => life.stage.disk.isDead)
      expect([seed, filesOf(medium)]).not.toEqual([seed, []])
      life.stage.disk.stop()
      medium.crash(new Prng(seed, 'crash'))
      medium.capacityBytes = Number.POSITIVE_INFINITY
      const log = (await life.opened(medium)).logs.get('a-0')
      expect([seed, life.eventIds.includes('log-damaged'), log?.logEndOffset]).toEqual([seed, false, records])
    }
  })
})
