/** `preallocate`: a segment's blocks are there when it begins, given back when it ends, and never in anybody's way. */
import { describe, expect, test } from 'vitest'
import { SimFile } from '../sim/sim-file.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import type { SimHost } from '../sim/host.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll } from './log-fixture.ts'

const segmentBytes = 20_000
const config = { preallocate: true, segmentBytes } as const

/** Bytes that each segment file of a log takes beyond its own, by its name. */
function reserved(host: SimHost): Record<string, number> {
  const found: Record<string, number> = {}
  for (const path of host.image.filePaths()) {
    const file = host.image.find(path)
    const name = /a-0\/0*(\d+)\.log$/.exec(path)?.[1]
    if (name !== undefined && file instanceof SimFile) found[name] = file.takenBytes - file.size
  }
  return found
}

async function fill(world: SimWorld, host: SimHost, count: number, options = {}) {
  const directory = await world.settle(openSmall(host.boot(), options))
  const log = await world.settle(createSmall(directory, 'a', config))
  for (let index = 0; index < count; index++) {
    done(appendOne(directory, log, batchOf([`${index}`.padEnd(900, '.')])))
    if (index % 5 === 0) await world.run(() => log.durableEndOffset === log.logEndOffset)
  }
  await world.run(() => log.durableEndOffset === log.logEndOffset)
  await world.runFor(50)
  return { directory, log }
}

describe('preallocate', () => {
  test('takes the blocks of the active segment, keeps its size, and gives them back when it rolls and when the node stops', async () => {
    const world = simWorld(1)
    const host = world.host('edge')
    const { directory, log } = await fill(world, host, 30)
    const [first, active] = log.segments
    expect(log.segments).toHaveLength(2)
    expect(reserved(host)).toEqual({ 0: 0, [active?.baseOffset ?? 0]: segmentBytes - (active?.sizeInBytes ?? 0) })
    expect(host.fileNow(first?.logPath ?? '')).toHaveLength(first?.sizeInBytes ?? 0)
    expect(host.fileNow(active?.logPath ?? '')).toHaveLength(active?.sizeInBytes ?? 0)
    expect(directory.space.usedBytes).toBeGreaterThanOrEqual((first?.sizeInBytes ?? 0) + segmentBytes)
    await world.settle(directory.close())
    expect(Object.values(reserved(host))).toEqual([0, 0])
    host.kill()
    // A start takes them again, for what is left of the segment.
    const again = await fill(world, host, 0)
    expect(reserved(host)[active?.baseOffset ?? 0]).toBe(segmentBytes - (active?.sizeInBytes ?? 0))
    expect(await world.settle(readAll(again.log))).toHaveLength(30)
  })

  test('leaves no blocks behind a sealed segment, wherever the power goes', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const world = simWorld(seed)
      const host = world.host('edge')
      const { directory, log } = await fill(world, host, 19)
      for (let index = 0; index < 4; index++) appendOne(directory, log, batchOf([`${index}`.padEnd(900, '.')]))
      await world.runFor(seed / 4)
      host.powerCut()
      const again = await fill(world, host, 0)
      const found = reserved(host)
      for (const { baseOffset } of again.log.segments.slice(0, -1)) expect(found[baseOffset], `seed ${seed}`).toBe(0)
      await world.settle(again.directory.close())
      expect(Object.values(reserved(host)).every((bytes) => bytes === 0)).toBe(true)
    }
  })

  test('keeps room for the whole segment when another program fills the disk', async () => {
    const world = simWorld(3)
    const host = world.host('edge')
    const { directory, log } = await fill(world, host, 2, { journalStepBytes: 131_072 })
    // Not a byte is left but what is reserved, and what the indexes take.
    host.image.capacityBytes = host.image.usedBytes + 400
    for (let index = 0; index < 12; index++) {
      done(appendOne(directory, log, batchOf([`${index}`.padEnd(900, '.')])))
      await world.run(() => log.durableEndOffset === log.logEndOffset)
    }
    expect(log.segments).toHaveLength(1)
    expect(directory.space.refusal).toBeNull()
  })

  test.each(['ENOSPC', 'EOPNOTSUPP'])('that meets %s is told once, and stands in the way of nothing', async (code) => {
    const world = simWorld(4)
    const host = world.host('edge')
    host.failDisk({ operation: 'reserve', code })
    const { directory, log } = await fill(world, host, 60)
    expect(host.observer.eventsOf('log-space-not-reserved')).toHaveLength(1)
    expect(directory.space.refusal).toBeNull()
    expect(directory.failure).toBeNull()
    expect(log.segments.length).toBeGreaterThan(2)
    expect(Object.values(reserved(host)).every((bytes) => bytes === 0)).toBe(true)
    expect(await world.settle(readAll(log))).toHaveLength(60)
    await world.settle(directory.close())
  })

  test('takes no more than the budget has left', async () => {
    const world = simWorld(5)
    const host = world.host('edge')
    const { directory } = await fill(world, host, 1, { space: { budgetBytes: 150_000 } })
    for (const topic of ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'])
      await world.settle(createSmall(directory, topic, config))
    await world.runFor(100)
    expect(host.image.usedBytes).toBeLessThanOrEqual(150_000)
    expect(host.observer.eventsOf('log-space-not-reserved').length).toBeGreaterThan(0)
  })

  test('that is switched off gives the blocks back, and on takes them, at the next look', async () => {
    const world = simWorld(6)
    const host = world.host('edge')
    const { directory, log } = await fill(world, host, 2)
    expect(reserved(host)['0']).toBeGreaterThan(0)
    log.updateConfig({ ...log.config, preallocate: false })
    await world.settle(directory.retain())
    await world.runFor(50)
    expect(reserved(host)['0']).toBe(0)
    log.updateConfig({ ...log.config, preallocate: true })
    await world.settle(directory.retain())
    await world.runFor(50)
    expect(reserved(host)['0']).toBeGreaterThan(0)
  })
})
