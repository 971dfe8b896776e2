import { expect, test } from 'vitest'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll, smallConfig } from './log-fixture.ts'

const logsMany = 48
const options = { filesSyncedAlone: 1, checkpointEveryBytes: 20_000, journalBytesMax: 1_000_000 }

test('index files of many logs go out at different checkpoints, and their descriptors are given back', async () => {
  const world = simWorld(48)
  const host = world.host('edge')
  const ports = host.boot()
  /** How many times each file was let go. */
  const forgotten = new Map<string, number>()
  const { forget } = ports.disk
  ports.disk.forget = (path) => {
    forgotten.set(path, (forgotten.get(path) ?? 0) + 1)
    forget.call(ports.disk, path)
  }
  const directory = await world.settle(openSmall(ports, options))
  const config = { ...smallConfig, segmentBytes: 10_000_000, indexIntervalBytes: 100 }
  const logs: UnifiedLog[] = []
  for (let index = 0; index < logsMany; index++)
    logs.push(await world.settle(createSmall(directory, `t${index}`, config)))
  for (let round = 0; round < 90; round++) {
    for (const log of logs) done(appendOne(directory, log, batchOf(['x'.repeat(500)], { timestampMs: 1_000 + round })))
    await world.run(() => logs.every((log) => log.writtenEndOffset === log.logEndOffset))
    await world.runFor(50)
  }
  const times = logs.map((log) => forgotten.get(log.activeSegment.indexPath) ?? 0)
  expect(Math.min(...times)).toBeGreaterThan(0)
  expect(Math.max(...times)).toBeGreaterThan(Math.min(...times))
  const ends = logs.map((log) => log.durableEndOffset)
  host.powerCut()
  const again = await world.settle(openSmall(host.boot(), options))
  const found = [...again.logs.values()].sort((a, b) => Number(a.topic.slice(1)) - Number(b.topic.slice(1)))
  expect(found.map((log) => log.logEndOffset)).toEqual(ends)
  for (const log of found) expect((await world.settle(readAll(log))).length).toBe(log.logEndOffset)
  await world.settle(again.close())
})
