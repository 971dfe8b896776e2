import { expect, test } from 'vitest'
import { FileRemover } from '../../src/log/file-remover.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall } from './log-fixture.ts'

const mebibyte = 1_048_576

test('large files go one after another with the disk left to commits between them, small ones at once', async () => {
  const world = simWorld(3)
  const { disk, clock } = world.host('edge').boot()
  const paths = ['/data/a', '/data/b', '/data/small', '/data/c']
  const writes = paths.map((path) => ({ kind: 'writeFile', path, bytes: new Uint8Array(1) }) as const)
  await world.settle(disk.submit([{ kind: 'makeDirectory', path: '/data' }, ...writes]))
  const present = async (): Promise<string[]> =>
    (await world.settle(disk.list('/data'))).map((entry) => entry.name).toSorted()
  const later = (delayMs: number, task: () => void): void => void clock.schedule(delayMs, task)
  const remover = new FileRemover({ disk, later })
  let isDone = false
  const first = remover.remove([{ path: '/data/a', bytes: 256 * mebibyte }])
  const second = remover.remove([
    { path: '/data/b', bytes: 512 * mebibyte },
    { path: '/data/small', bytes: 10 },
    { path: '/data/c', bytes: 10 },
  ])
  void Promise.all([first, second]).then(() => {
    isDone = true
  })
  await world.runFor(500)
  expect(await present()).toEqual(['b', 'c', 'small'])
  await world.runFor(1_000)
  expect(await present()).toEqual(['c', 'small'])
  expect(isDone).toBe(false)
  await world.settle(disk.submit([{ kind: 'writeFile', path: '/data/wanted', bytes: new Uint8Array(1) }]))
  await world.settle(remover.removeNow({ path: '/data/wanted', bytes: 1 }))
  expect(await present()).toEqual(['c', 'small'])
  await world.runFor(2_000)
  expect(await present()).toEqual([])
  expect(isDone).toBe(true)
})

test('what of a deleted log cannot be removed is told, costs nothing else, and goes at the next start', async () => {
  const world = simWorld(5)
  const host = world.host('edge')
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(directory, 'a'))
  const other = await world.settle(createSmall(directory, 'b'))
  host.faults.add({ operation: 'unlink', path: /-delete\/partition/, code: 'EPERM', times: 1 })
  await world.settle(directory.deleteLog(log))
  await world.runFor(100_000)
  expect(host.observer.eventsOf('log-removal-failed')).toHaveLength(1)
  done(appendOne(directory, other, batchOf(['x'])))
  await world.run(() => other.durableEndOffset === 1)
  await world.settle(directory.close())
  host.kill()
  const ports = host.boot()
  await world.settle(openSmall(ports))
  await world.runFor(1_000)
  const names = (await world.settle(ports.disk.list('/data/log'))).map((entry) => entry.name)
  expect(names.filter((name) => name.startsWith('a-0'))).toEqual([])
})
