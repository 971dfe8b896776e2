import { describe, expect, test } from 'vitest'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { batchesIn, boot, folder, logOf, stopped } from './damage-fixture.ts'
import { appendOne, batchOf, createSmall, done, openSmall } from './log-fixture.ts'

interface Scene {
  readonly world: SimWorld
  readonly log: UnifiedLog
}

/** A log with a batch for each list of timestamps. */
async function scene(batches: readonly (readonly number[])[]): Promise<Scene> {
  const world = simWorld(3)
  const directory = await world.settle(openSmall(world.host('edge').boot()))
  const log = await world.settle(createSmall(directory, 'a'))
  for (const times of batches) {
    const builder = new RecordBatchBuilder()
    for (const timestampMs of times) builder.append(timestampMs, Buffer.from('k'), Buffer.from('v'), null)
    done(appendOne(directory, log, builder.build({})))
  }
  await world.run(() => log.durableEndOffset === log.logEndOffset)
  log.highWatermark = log.durableEndOffset
  return { world, log }
}

describe('a search by time', () => {
  test('goes on behind a batch of which only deleted records fit', async () => {
    const { world, log } = await scene([
      [100, 900, 200],
      [300, 800],
      [400, 950],
    ])
    await world.settle(log.deleteRecordsBefore(2))
    expect(await world.settle(log.offsetForTimestamp(250))).toMatchObject({ offset: 3, timestampMs: 300 })
    expect(await world.settle(log.offsetForTimestamp(850))).toMatchObject({ offset: 6, timestampMs: 950 })
    expect(await world.settle(log.offsetForTimestamp(150))).toMatchObject({ offset: 2, timestampMs: 200 })
    expect(await world.settle(log.offsetForTimestamp(951))).toBeNull()
  })

  test('beside an append that is being written ends no segment', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const world = simWorld(seed)
      const directory = await world.settle(openSmall(world.host('edge').boot()))
      const log = await world.settle(createSmall(directory, 'a', { segmentBytes: 1_000_000 }))
      for (let index = 0; index < 10; index++) {
        done(appendOne(directory, log, batchOf(['v'], { timestampMs: 100 + index })))
        await world.runFor(seed / 3)
        await world.settle(log.offsetForTimestamp(100))
        expect(await world.settle(log.offsetForTimestamp(10_000))).toBeNull()
      }
      expect(log.segments.length).toBe(1)
      await world.settle(directory.close())
    }
  })

  test('finds what stands behind a damage in the same segment', async () => {
    const place = await stopped(3)
    const path = `${folder}/00000000000000000000.log`
    const batches = batchesIn(place, path)
    const bad = batches[3]
    place.host.corrupt(path, (bad?.from ?? 0) + 80, 1)
    await boot(place)
    const search = (index: number) => place.world.settle(logOf(place).offsetForTimestamp(10_000 + index))
    expect(await search(2)).toMatchObject({ offset: 4 })
    expect(await search(3)).toMatchObject({ offset: 8 })
    expect(await search(5)).toMatchObject({ offset: 10 })
  })

  test('finds what stands behind a batch that has lost its length', async () => {
    const place = await stopped(3)
    const path = `${folder}/00000000000000000000.log`
    place.host.corrupt(path, (batchesIn(place, path)[3]?.from ?? 0) + 8, 0x7f)
    await boot(place)
    expect(await place.world.settle(logOf(place).offsetForTimestamp(10_005))).toMatchObject({ offset: 10 })
  })
})

describe('the search for the greatest time', () => {
  test('looks at records that are not deleted', async () => {
    const { world, log } = await scene([
      [100, 900, 200],
      [300, 800],
      [400, 500],
    ])
    expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ offset: 1, timestampMs: 900 })
    await world.settle(log.deleteRecordsBefore(2))
    expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ offset: 4, timestampMs: 800 })
    await world.settle(log.deleteRecordsBefore(6))
    expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ offset: 6, timestampMs: 500 })
    await world.settle(log.deleteRecordsBefore(7))
    expect(await world.settle(log.offsetOfMaxTimestamp())).toBeNull()
  })
})
