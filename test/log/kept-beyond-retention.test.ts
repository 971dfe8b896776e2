/** Readers that have not had what retention would take: it stays for them, within the budget. */
import { describe, expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { followHighWatermark } from './compaction/compaction-fixture.ts'
import { appendOne, batchOf, createSmall, openSmall } from './log-fixture.ts'

const config = { segmentBytes: 10_000, retentionBytes: 30_000, fileDeleteDelayMs: 100 }
const budgetBytes = 1_000_000

/** Appends until it is refused, with retention passes between; answers how many were taken. */
async function fill(world: SimWorld, directory: LogDirectory, log: UnifiedLog, countMax: number): Promise<number> {
  for (let count = 0; count < countMax; count++) {
    if (
      appendOne(directory, log, batchOf([`${count}`.padEnd(2000, '.')], { timestampMs: 1_760_000_000_000 })).kind !==
      'appended'
    )
      return count
    await world.runFor(20)
    if (count % 20 === 0) await world.settle(directory.retain())
  }
  return countMax
}

async function open(whenFull: 'reject' | 'drop-oldest', seed: number) {
  const world = simWorld(seed)
  const host = world.host('edge')
  const directory = await world.settle(openSmall(host.boot(), { space: { budgetBytes, whenFull } }))
  directory.onLoss(() => Promise.resolve(true))
  const log = await world.settle(createSmall(directory, 'a', config))
  followHighWatermark(log)
  return { world, host, directory, log }
}

describe('what stays beyond its retention', () => {
  test('is what lies at or above the offset that the reader asks for, by time as by size', async () => {
    const { world, directory, log } = await open('reject', 1)
    log.keptFrom = () => Promise.resolve(40)
    expect(await fill(world, directory, log, 150)).toBe(150)
    await world.settle(directory.retain())
    expect(log.logStartOffset).toBeLessThanOrEqual(40)
    expect(log.logStartOffset).toBeGreaterThan(30)
    log.updateConfig({ ...log.config, retentionBytes: -1, retentionMs: 1 })
    await world.runFor(1000)
    await world.settle(directory.retain())
    expect(log.logStartOffset).toBeLessThanOrEqual(40)
    log.keptFrom = () => Promise.resolve(log.logEndOffset)
    await world.settle(directory.retain())
    expect(log.logStartOffset).toBeGreaterThan(100)
    expect(log.keptBytes).toBe(0)
  })

  test.each(['reject', 'drop-oldest'] as const)(
    'is given up and told when the budget is used up, before anything is refused or lost (%s)',
    async (whenFull) => {
      const { world, host, directory, log } = await open(whenFull, 2)
      log.keptFrom = () => Promise.resolve(0)
      const count = Math.ceil((3 * budgetBytes) / 2000)
      expect(await fill(world, directory, log, count)).toBe(count)
      const given = host.observer.eventsOf('log-kept-given-up')
      expect(given.length).toBeGreaterThanOrEqual(2)
      expect(host.observer.eventsOf('log-data-dropped')).toEqual([])
      expect(host.observer.eventsOf('log-data-refused')).toEqual([])
      expect(host.image.usedBytes).toBeLessThan(budgetBytes * 1.02)
      // Its retention is what it has at the least.
      expect(log.sizeInBytes).toBeGreaterThanOrEqual(config.retentionBytes)
    },
    30_000,
  )
})
