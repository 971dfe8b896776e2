/** Apache Kafka makes each index file ten megabytes long and cuts it at a clean stop: what a killed one leaves is opened in little memory. */
import { expect, test } from 'vitest'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll } from './log-fixture.ts'

const preallocatedBytes = 10_485_756

test('of the index files that a killed Apache Kafka leaves no more is read than their segment can fill, and they are cut', async () => {
  const world = simWorld(5)
  const host = world.host('edge')
  const first = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(first, 'a'))
  for (let at = 0; at < 4; at++) done(appendOne(first, log, batchOf(['x'.repeat(600)])))
  await world.settle(first.close())
  host.kill()

  const ports = host.boot()
  const { indexPath, timeIndexPath } = log.activeSegment
  const marker = { kind: 'unlink', path: '/data/log/.kafka_cleanshutdown' } as const
  const lengths = [indexPath, timeIndexPath].map(
    (path) => ({ kind: 'truncate', path, size: preallocatedBytes }) as const,
  )
  await world.settle(ports.disk.submit([marker, ...lengths]))
  let bytesRead = 0
  const read = ports.disk.read.bind(ports.disk)
  const readFile = ports.disk.readFile.bind(ports.disk)
  const counting = Object.assign(ports.disk, {
    read: async (path: string, position: number, length: number) => {
      const bytes = await read(path, position, length)
      if (path.endsWith('index')) bytesRead += bytes.length
      return bytes
    },
    readFile: async (path: string, bytesMax: number) => {
      const bytes = await readFile(path, bytesMax)
      if (path.endsWith('index')) bytesRead += bytes?.length ?? 0
      return bytes
    },
  })
  const second = await world.settle(openSmall({ ...ports, disk: counting }))
  expect(bytesRead).toBeGreaterThan(0)
  expect(bytesRead).toBeLessThan(4096)
  const again = second.logs.get('a-0')
  if (again === undefined) throw new Error('not opened')
  expect(await world.settle(readAll(again))).toHaveLength(4)
  expect(await world.settle(ports.disk.size(indexPath))).toBeLessThan(4096)
  expect(await world.settle(ports.disk.size(timeIndexPath))).toBeLessThan(4096)
})
