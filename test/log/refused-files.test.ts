/** Files whose owner or mode was changed, or that are immutable: what can be read and not written to. */
import { expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { FaultyOperation } from '../sim/disk-faults.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import type { SimHost } from '../sim/host.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll } from './log-fixture.ts'

interface Place {
  readonly world: SimWorld
  readonly host: SimHost
}

function place(): Place {
  const world = simWorld(21)
  return { world, host: world.host('edge') }
}

const writing: readonly FaultyOperation[] = ['write', 'writeFile', 'truncate', 'rename', 'unlink', 'access']

/** What writes to such a path is refused from now on; the answer lets it be written again. */
function refuse({ host }: Place, path: RegExp, code: string): () => void {
  const ends = writing.map((operation) => host.faults.add({ operation, path, code }))
  return () => {
    for (const end of ends) end()
  }
}

/** Two logs of some records, stopped. */
async function stopped({ world, host }: Place, how: 'cleanly' | 'by a kill'): Promise<void> {
  const directory = await world.settle(openSmall(host.boot()))
  for (const topic of ['a', 'b']) await fill(world, directory, await world.settle(createSmall(directory, topic)), 40)
  if (how === 'cleanly') await world.settle(directory.close())
  host.kill()
}

async function fill(world: SimWorld, directory: LogDirectory, log: UnifiedLog, batches: number): Promise<void> {
  for (let index = 0; index < batches; index++) done(appendOne(directory, log, batchOf(['x'.repeat(300)])))
  await world.run(() => log.writtenEndOffset === log.logEndOffset)
  log.highWatermark = log.durableEndOffset
}

test.each([
  ['a folder', /\/a-0$/, 'EACCES', 'cleanly'],
  ['the segment that is appended to', /a-0\/0+\d{2}\.log$/, 'EACCES', 'cleanly'],
  ['an immutable segment that will go in time', /a-0\/0+0\.log$/, 'EPERM', 'cleanly'],
  ['an index', /a-0\/\d+\.timeindex$/, 'EACCES', 'cleanly'],
  ['what a recovery has to write', /a-0\/\d+\.(log|index)$/, 'EACCES', 'by a kill'],
  ['the commit journal', /state\/journal$/, 'EACCES', 'cleanly'],
] as const)('a start that may not write to %s is refused, names it, and loses nothing', async (_, path, code, how) => {
  const at = place()
  const { world, host } = at
  await stopped(at, how)
  const recover = refuse(at, path, code)
  const opening = world.settle(openSmall(host.boot()))
  await expect(opening).rejects.toMatchObject({ code: 'DATA_FILES_REFUSED', message: expect.stringMatching(code) })
  await expect(opening).rejects.toThrow(/a-0|journal/)
  host.kill()
  recover()
  const directory = await world.settle(openSmall(host.boot()))
  expect((await world.settle(readAll(directory.logs.get('a-0') as UnifiedLog))).length).toBe(40)
})

test('what one file refuses while it runs is waited for, and told; nothing is lost, readers go on', async () => {
  const at = place()
  const { world, host } = at
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(directory, 'a'))
  const other = await world.settle(createSmall(directory, 'b'))
  await fill(world, directory, log, 3)
  for (const [code, path] of [
    ['EACCES', /a-0\/\d+\.log$/],
    ['EMFILE', /a-0\//],
    ['EPERM', /b-0\/\d+\.log/],
  ] as const) {
    const recover = refuse(at, path, code)
    const end = log.logEndOffset
    for (const each of [log, other]) done(appendOne(directory, each, batchOf([code.padEnd(3000, '.')])))
    await world.run(() => directory.space.refusal !== null, 60_000)
    expect(directory.space.refusal).toContain(code)
    expect(appendOne(directory, other, batchOf(['refused']))).toMatchObject({ error: 'KAFKA_STORAGE_ERROR' })
    expect((await world.settle(readAll(log, end))).length).toBe(end)
    await world.runFor(10_000)
    expect(directory.failure).toBeNull()
    recover()
    await world.run(() => directory.space.refusal === null, 20_000)
    await world.run(() => [log, other].every((each) => each.durableEndOffset === each.logEndOffset))
  }
  expect(host.observer.eventsOf('log-data-refused').length).toBeGreaterThanOrEqual(3)
  const ends = [log, other].map((each) => each.logEndOffset)
  host.powerCut()
  const again = await world.settle(openSmall(host.boot()))
  expect(['a-0', 'b-0'].map((key) => again.logs.get(key)?.logEndOffset)).toEqual(ends)
})

test('a stop ends while a file is refused, and what was acknowledged is there when it is given back', async () => {
  const at = place()
  const { world, host } = at
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(directory, 'a'))
  await fill(world, directory, log, 3)
  const recover = refuse(at, /a-0\/\d+\.(log|index|snapshot)/, 'EACCES')
  done(appendOne(directory, log, batchOf(['x'])))
  await world.run(() => log.durableEndOffset === 4, 5_000)
  await world.settle(directory.close())
  expect(host.observer.eventsOf('log-directory-failed')).toEqual([])
  host.kill()
  await expect(world.settle(openSmall(host.boot()))).rejects.toMatchObject({ code: 'DATA_FILES_REFUSED' })
  host.kill()
  recover()
  expect((await world.settle(openSmall(host.boot()))).logs.get('a-0')?.logEndOffset).toBe(4)
})

test('what of deleted logs may not be removed holds nothing up', async () => {
  const at = place()
  const { world, host } = at
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(directory, 'a', { fileDeleteDelayMs: 10 }))
  const other = await world.settle(createSmall(directory, 'b', { fileDeleteDelayMs: 10 }))
  await fill(world, directory, other, 60)
  for (const operation of ['unlink', 'truncate'] as const)
    host.faults.add({ operation, path: /-delete\/|\.deleted$/, code: 'EPERM' })
  await world.settle(directory.deleteLog(log))
  await world.settle(other.deleteRecordsBefore(other.logEndOffset))
  await world.runFor(20_000)
  expect([directory.failure, directory.space.refusal]).toEqual([null, null])
  done(appendOne(directory, other, batchOf(['y'])))
  await world.run(() => other.durableEndOffset === other.logEndOffset)
})
