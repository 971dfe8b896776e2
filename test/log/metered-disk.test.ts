import { expect, test } from 'vitest'
import { MeteredDisk } from '../../src/log/metered-disk.ts'
import { writesStatusOf } from '../../src/write-status.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall } from './log-fixture.ts'

test('what is written is counted by cause and topic, in bytes and whole pages, and nothing is left out', async () => {
  const world = simWorld(4)
  const host = world.host('edge')
  const ports = host.boot()
  let handedOver = 0
  const submit = ports.disk.submit.bind(ports.disk)
  ports.disk.submit = (operations, options) => {
    for (const operation of operations) {
      if (operation.kind === 'write') for (const chunk of operation.chunks) handedOver += chunk.length
      if (operation.kind === 'writeFile') handedOver += operation.bytes.length
    }
    return submit(operations, options)
  }
  const disk = new MeteredDisk(ports.disk, '/data', ports.observer)
  const directory = await world.settle(openSmall({ ...ports, disk }))
  const [a, b] = [await world.settle(createSmall(directory, 'a')), await world.settle(createSmall(directory, 'b'))]
  for (let index = 0; index < 40; index++) {
    done(appendOne(directory, a, batchOf(['x'.repeat(700)])))
    if (index % 4 === 0) done(appendOne(directory, b, batchOf(['y'])))
    await world.run(() => a.durableEndOffset === a.logEndOffset)
  }
  await world.settle(directory.close())
  const figures = writesStatusOf(disk, {
    committedBytes: directory.commitFigures.committedBytes,
    uptimeMs: 864_000,
    ratedBytes: 1e12,
  })
  expect(figures.bytes).toBe(handedOver)
  expect(figures.causes.map(({ cause }) => cause).toSorted()).toEqual([
    ...['checkpoint', 'index', 'journal', 'other', 'records'],
  ])
  const records = figures.causes.find(({ cause }) => cause === 'records')
  expect(records?.bytes).toBe(a.sizeInBytes + b.sizeInBytes)
  expect(figures.topics.map(({ topic }) => topic)).toEqual(['a', 'b'])
  expect(figures.pageBytes % 4096).toBe(0)
  expect(figures.pageBytes).toBeGreaterThan(figures.bytes)
  expect(figures.syncs).toBeGreaterThan(40)
  expect(figures.amplification).toBeCloseTo(figures.pageBytes / directory.commitFigures.committedBytes, 6)
  // A hundredth of a day: what the medium is rated for is used up at this rate.
  expect(figures.pageBytesPerDay).toBeCloseTo(figures.pageBytes * 100, 0)
  expect(figures.lifetimeDays).toBeCloseTo(1e12 / (figures.pageBytes * 100), 3)
  expect(host.observer.figure('headwater_writes_bytes_total', { cause: 'journal' })).toBeGreaterThan(0)
})

test('no rate is told of the first minutes, and no lifetime of a medium that is not rated', () => {
  const ports = simWorld(5).host('edge').boot()
  const disk = new MeteredDisk(ports.disk, '/data', ports.observer)
  expect(writesStatusOf(disk, { committedBytes: 0, uptimeMs: 1_000, ratedBytes: 1e12 })).toMatchObject({
    ...{ bytes: 0, amplification: null, pageBytesPerDay: null, lifetimeDays: null },
  })
  expect(writesStatusOf(disk, { committedBytes: 1, uptimeMs: 1e6, ratedBytes: null })).toMatchObject({
    lifetimeDays: null,
  })
})

test('what is read goes into the memory that the reader gives: a scan makes no garbage', async () => {
  const world = simWorld(6)
  const ports = world.host('edge').boot()
  const disk = new MeteredDisk(ports.disk, '/data', ports.observer)
  await world.settle(disk.submit([{ kind: 'writeFile', path: '/file', bytes: new Uint8Array([1, 2, 3]) }]))
  const memory = new Uint8Array(8)
  const read = await world.settle(disk.read('/file', 0, 3, memory))
  expect(read.buffer).toBe(memory.buffer)
  expect(memory.subarray(0, 3)).toEqual(new Uint8Array([1, 2, 3]))
})
