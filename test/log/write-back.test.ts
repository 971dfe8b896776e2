import { expect, test } from 'vitest'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall } from './log-fixture.ts'

test('a checkpoint over many logs is written back beside the commits, and only its sync moves the recovery points', async () => {
  const world = simWorld(11)
  const ports = world.host('edge').boot()
  const asked: string[] = []
  let isHeld = true
  let release = (): void => {}
  ports.disk.writeBack = (path) => {
    asked.push(path)
    return new Promise((resolve) => {
      release = resolve
      if (!isHeld) resolve()
    })
  }
  const directory = await world.settle(openSmall(ports, { filesSyncedAlone: 1, checkpointEveryBytes: 20_000 }))
  const logs: UnifiedLog[] = []
  for (let index = 0; index < 16; index++) logs.push(await world.settle(createSmall(directory, `t${index}`)))
  const appendToAll = async (): Promise<void> => {
    for (const log of logs) done(appendOne(directory, log, batchOf(['x'.repeat(300)])))
    await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
  }
  while (asked.length === 0) await appendToAll()
  // The write-back does not end: the next commits do.
  for (let round = 0; round < 3; round++) await appendToAll()
  expect(asked).toEqual([directory.logDirectory])
  expect(logs.map((log) => log.recoveryPoint)).toEqual(logs.map(() => 0))
  isHeld = false
  release()
  await world.run(() => logs.every((log) => log.recoveryPoint > 0))
  // Once more for what was appended meanwhile.
  expect(asked.slice(0, 2)).toEqual([directory.logDirectory, directory.logDirectory])
  await world.settle(directory.close())
})
