/** A clock that leaps ten years either way, or begins in 1970: nothing is given up for it, and no segment is closed for it twice. */
import { expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, topicIdOf } from './log-fixture.ts'

const tenYears = 3652 * 86_400_000
const day = 86_400_000

interface Place {
  readonly world: SimWorld
  readonly host: SimHost
  directory: LogDirectory
  log: UnifiedLog
  own: UnifiedLog
  now(): number
}

/** A log kept for a week whose records are stamped by the node; an internal one tells a start how late it is at least. */
async function open(place: Partial<Place> & Pick<Place, 'world' | 'host'>): Promise<Place> {
  const { world, host } = place
  const ports = host.boot()
  const directory = await world.settle(openSmall(ports))
  const config = { retentionMs: 7 * day, segmentMs: day, segmentBytes: 1e6 }
  const log = await world.settle(createSmall(directory, 'a', config))
  const own = await world.settle(createSmall(directory, '__own', config))
  return { world, host, directory, log, own, now: () => ports.clock.wallMs() }
}

async function write(place: Place, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) {
    for (const log of [place.log, place.own])
      done(appendOne(place.directory, log, batchOf([`${index}`], { timestampMs: place.now() })))
    await place.world.run(() => place.own.durableEndOffset === place.own.logEndOffset)
    await place.world.runFor(60_000)
  }
  await place.world.run(() => place.log.durableEndOffset === place.log.logEndOffset)
  for (const log of [place.log, place.own]) log.highWatermark = log.durableEndOffset
}

async function newPlace(): Promise<Place> {
  const world = simWorld(8)
  const place = await open({ world, host: world.host('edge') })
  await write(place, 10)
  return place
}

async function reopen(place: Place): Promise<Place> {
  await place.world.settle(place.directory.close())
  place.host.kill()
  return open(place)
}

test.each([
  ['forward', tenYears],
  ['back', -tenYears],
])('a leap of ten years %s while it runs costs nothing, and passes', async (_way, leapMs) => {
  const place = await newPlace()
  place.host.wallOffsetMs = leapMs
  await write(place, 20)
  await place.world.settle(place.directory.retain())
  place.host.wallOffsetMs = 0
  await write(place, 20)
  await place.world.settle(place.directory.retain())
  expect([place.log.logStartOffset, place.log.logEndOffset, place.log.segmentCount]).toEqual([0, 50, 1])
  // No stamp of the wrong time has been written: the next start does not take it for our own.
  expect(place.log.maxTimestampMs - place.now()).toBeLessThan(day)
})

test.each([
  ['ten years ahead', tenYears],
  ['in 1970', -56 * 365 * day],
])('a boot %s costs nothing, and the time is right when the clock is', async (_when, leapMs) => {
  let place = await newPlace()
  const before = place.now()
  place.host.wallOffsetMs = leapMs
  place = await reopen(place)
  await write(place, 20)
  await place.world.settle(place.directory.retain())
  expect(place.now() - before).toBeLessThan(day)
  place.host.wallOffsetMs = 0
  await write(place, 20)
  await place.world.settle(place.directory.retain())
  expect([place.log.logStartOffset, place.log.logEndOffset, place.log.segmentCount]).toEqual([0, 50, 1])
  place = await reopen(place)
  expect(Math.abs(place.now() - before)).toBeLessThan(day)
})

test('a first boot in 1970 closes one segment when the time comes, and gives nothing up', async () => {
  const world = simWorld(9)
  const host = world.host('edge')
  host.wallOffsetMs = -56 * 365 * day
  const place = await open({ world, host })
  await write(place, 20)
  host.wallOffsetMs = 0
  for (let round = 0; round < 5; round++) {
    await write(place, 4)
    // A device that still lives in 1970 among those that do not.
    done(appendOne(place.directory, place.log, batchOf(['old'], { timestampMs: 5_000 })))
  }
  await place.world.settle(place.directory.retain())
  expect([place.log.segmentCount, place.log.logStartOffset]).toEqual([2, 0])
  expect(place.log.topicId).toBe(topicIdOf('a'))
})

test('a week that has passed is a week: what is old goes', async () => {
  const place = await newPlace()
  await place.world.runFor(2 * day)
  await write(place, 1)
  await place.world.runFor(7 * day)
  await write(place, 1)
  await place.world.settle(place.directory.retain())
  expect(place.log.logStartOffset).toBeGreaterThan(0)
})
