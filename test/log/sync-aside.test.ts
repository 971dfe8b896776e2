import { expect, test } from 'vitest'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll } from './log-fixture.ts'

const logsMany = 16
/** The checkpoint comes first, and nothing waits for it. */
const roomy = { checkpointEveryBytes: 40_000, journalBytesMax: 1_000_000 }

/** A directory of many logs whose syncs beside the queue wait until they are let go. */
async function held(
  seed: number,
  options: { readonly checkpointEveryBytes: number; readonly journalBytesMax?: number },
) {
  const world = simWorld(seed)
  const host = world.host('edge')
  const ports = host.boot()
  const asked: (readonly string[])[] = []
  let release = (): void => {}
  const isLetGo = new Promise<void>((resolve) => {
    release = resolve
  })
  const syncAside = ports.disk.syncAside.bind(ports.disk)
  ports.disk.syncAside = async (paths) => {
    asked.push(paths)
    await isLetGo
    await syncAside(paths)
  }
  const directory = await world.settle(openSmall(ports, { filesSyncedAlone: 1, ...options }))
  const logs: UnifiedLog[] = []
  for (let index = 0; index < logsMany; index++) logs.push(await world.settle(createSmall(directory, `t${index}`)))
  const appendToAll = async (count = logsMany): Promise<void> => {
    for (const log of logs.slice(0, count)) done(appendOne(directory, log, batchOf(['x'.repeat(300)])))
    await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
  }
  return { world, host, directory, logs, asked, release, appendToAll }
}

test('commits go on while the files of many logs are synced, and only the end of that moves the recovery points', async () => {
  const { world, directory, logs, asked, release, appendToAll } = await held(11, roomy)
  while (asked.length === 0) await appendToAll()
  for (let round = 0; round < 3; round++) await appendToAll()
  expect(asked.length).toBe(1)
  const files = asked[0] ?? []
  expect(files.filter((path) => path.endsWith('.log')).length).toBe(logsMany)
  // What else is to be on the medium then: no commit waits for that either.
  expect(files.filter((path) => path.endsWith('/leader-epoch-checkpoint.tmp')).length).toBe(logsMany)
  expect(logs.map((log) => log.recoveryPoint)).toEqual(logs.map(() => 0))
  release()
  await world.run(() => logs.every((log) => log.recoveryPoint > 0))
  await world.settle(directory.close())
})

test('a journal that begins anew while files are synced beside the queue keeps no frame from being needed', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const options = { checkpointEveryBytes: 200_000, journalBytesMax: 65_536 }
    const { world, host, logs, asked, appendToAll } = await held(seed, options)
    await appendToAll()
    // Half of the files are written to no more: they are synced beside the queue only, which does not end. The ring comes round.
    while (asked.length === 0) await appendToAll(logsMany / 2)
    for (let round = 0; round < 20; round++) await appendToAll(logsMany / 2)
    expect(asked[0]?.length).toBe(logsMany)
    const ends = logs.map((log) => log.durableEndOffset)
    host.powerCut()
    const directory = await world.settle(openSmall(host.boot(), options))
    const found = [...directory.logs.values()].sort((a, b) => Number(a.topic.slice(1)) - Number(b.topic.slice(1)))
    expect(found.map((log) => log.logEndOffset)).toEqual(ends)
    for (const log of found) expect((await world.settle(readAll(log))).length).toBe(log.logEndOffset)
    await world.settle(directory.close())
  }
})

test('a sync beside the queue that fails ends the directory', async () => {
  const { world, host, directory, logs, asked, release, appendToAll } = await held(5, roomy)
  while (asked.length === 0) await appendToAll()
  host.faults.add({ operation: 'sync', path: /\/t7-0\/.*\.log$/, code: 'EIO', times: 1 })
  release()
  await world.run(() => directory.failure !== null)
  expect(String(directory.failure)).toContain('EIO')
  const ends = logs.map((log) => log.durableEndOffset)
  for (const log of logs) appendOne(directory, log, batchOf(['behind the failure']))
  await world.run(() => directory.failure !== null)
  expect(logs.map((log) => log.durableEndOffset)).toEqual(ends)
  expect(logs.map((log) => log.recoveryPoint)).toEqual(logs.map(() => 0))
  // The next start is to know of it.
  await world.run(() => host.fileNow('/data/state/sync-failed') !== null)
  await world.settle(directory.close())
})

test('what found no space goes on when there is some, though files are synced beside the queue', async () => {
  const { world, host, logs, asked, release, appendToAll, directory } = await held(7, roomy)
  while (asked.length === 0) await appendToAll()
  host.faults.add({ operation: 'write', path: /\/t3-0\/.*\.log$/, code: 'ENOSPC', times: 1 })
  const isTaken = (): boolean => appendOne(directory, logs[3] as UnifiedLog, batchOf(['x'])).kind !== 'refused'
  await world.run(() => !isTaken())
  await world.run(isTaken)
  await appendToAll()
  expect(logs.map((log) => log.recoveryPoint)).toEqual(logs.map(() => 0))
  release()
  await world.run(() => logs.every((log) => log.recoveryPoint > 0))
  await world.settle(directory.close())
})
