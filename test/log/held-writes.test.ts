import { expect, test } from 'vitest'
import type { DiskOperation, Ports } from '../../src/base/ports.ts'
import type { LogDirectoryOptions } from '../../src/log/directory-options.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { SimHost } from '../sim/host.ts'
import { Prng } from '../sim/prng.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll, smallConfig } from './log-fixture.ts'

const logsMany = 12
/** Nothing is in memory for readers, and no checkpoint comes by itself. */
const options: Partial<LogDirectoryOptions> = {
  ...{ filesWrittenAtOnce: 0, filesSyncedAlone: 1, tailCacheBytes: 0 },
  ...{ checkpointEveryBytes: 100_000, heldBytesPerLog: 100_000, heldBytesMax: 400_000 },
  ...{ journalBytesMax: 200_000, journalStepBytes: 200_000 },
}

type Operation<K extends DiskOperation['kind']> = Extract<DiskOperation, { readonly kind: K }>

/** What the disk was asked for. */
class Asked {
  readonly #operations: DiskOperation[] = []

  constructor({ disk }: Ports) {
    const { submit } = disk
    disk.submit = (operations, submitted) => {
      this.#operations.push(...operations)
      return submit.call(disk, operations, submitted)
    }
  }

  of<K extends DiskOperation['kind']>(kind: K, path: RegExp): Operation<K>[] {
    return this.#operations.filter(
      (each): each is Operation<K> => each.kind === kind && 'path' in each && path.test(each.path),
    )
  }
}

async function many(seed: number, more: Partial<LogDirectoryOptions> = {}, count = logsMany) {
  const world = simWorld(seed)
  const host = world.host('edge')
  const ports = host.boot()
  const asked = new Asked(ports)
  const directory = await world.settle(openSmall(ports, { ...options, ...more }))
  const logs: UnifiedLog[] = []
  for (let index = 0; index < count; index++)
    logs.push(await world.settle(createSmall(directory, `t${index}`, { ...smallConfig, segmentBytes: 1_000_000 })))
  const appendToAll = async (rounds: number): Promise<void> => {
    for (let round = 0; round < rounds; round++) {
      for (const log of logs) done(appendOne(directory, log, batchOf([`${log.key} ${'x'.repeat(300)}`])))
      await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
    }
  }
  // The first batch of each makes its file dirty: from the second on the journal keeps them.
  await appendToAll(1)
  await world.run(() => logs.every((log) => log.writtenEndOffset === 1))
  return { world, host, ports, directory, logs, asked, appendToAll }
}

/** Ends the node that way and starts it again: each log has what was durable, and is read to its end. */
async function isAllThereAfter(
  end: 'kill' | 'powerCut',
  { world, host, logs }: Pick<Awaited<ReturnType<typeof many>>, 'world' | 'host' | 'logs'>,
): Promise<void> {
  const ends = logs.map((log) => log.durableEndOffset)
  host[end]()
  const again = await world.settle(openSmall(host.boot(), options))
  for (const [index, { key }] of logs.entries()) {
    const log = again.logs.get(key) as UnifiedLog
    expect(log.logEndOffset).toBeGreaterThanOrEqual(ends[index] as number)
    expect((await world.settle(readAll(log))).length).toBe(log.logEndOffset)
  }
  await world.settle(again.close())
}

const sizeOf = (host: SimHost, log: UnifiedLog): number => host.fileNow(log.activeSegment.logPath)?.length ?? 0

test('what many logs get in several commits goes to each file in one write', async () => {
  const { world, host, directory, logs, asked, appendToAll } = await many(1)
  await appendToAll(9)
  expect(asked.of('copy', /./)).toEqual([])
  expect(logs.filter((log) => sizeOf(host, log) === log.sizeInBytes)).toEqual([])
  await world.settle(directory.close())
  const copies = asked.of('copy', /\.log$/)
  expect(copies.map(({ path }) => path).sort()).toEqual(logs.map((log) => log.activeSegment.logPath).sort())
  expect(copies.map(({ pieces }) => pieces.length / 2)).toEqual(logs.map(() => 9))
  expect(logs.map((log) => sizeOf(host, log))).toEqual(logs.map((log) => log.sizeInBytes))
})

test('a checkpoint takes those whose frames are the oldest, and leaves the others held', async () => {
  const { world, directory, logs, asked, appendToAll } = await many(2, {
    ...{ checkpointEveryBytes: 8000, heldBytesPerLog: 2000 },
  })
  while (!logs.some((log) => log.recoveryPoint > 1)) await appendToAll(1)
  const covered = logs.filter((log) => log.recoveryPoint > 1)
  expect(covered.length).toBeLessThan(logsMany)
  expect(Math.max(...asked.of('copy', /\.log$/).map(({ pieces }) => pieces.length / 2))).toBeGreaterThan(1)
  await world.settle(directory.close())
})

test('a reader finds what is held as if it were in the file, which stays as it is', async () => {
  const { world, host, directory, logs, appendToAll } = await many(3)
  await appendToAll(4)
  const [log] = logs as [UnifiedLog]
  const size = sizeOf(host, log)
  for (const bytesMax of [1, 500, 100_000]) {
    const batches = await world.settle(readAll(log, log.durableEndOffset, bytesMax))
    expect(batches.map((bytes) => Buffer.from(bytes.buffer, bytes.byteOffset).readBigInt64BE(0))).toEqual([
      0n,
      1n,
      2n,
      3n,
      4n,
    ])
  }
  expect(await world.settle(log.offsetForTimestamp(1000))).toMatchObject({ offset: 0 })
  expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ timestampMs: 1000 })
  expect(sizeOf(host, log)).toBe(size)
  expect(host.observer.eventsOf('log-hint-ignored')).toEqual([])
  await world.settle(directory.close())
})

test('what is held is there after a power cut, and after a kill', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const { world, host, logs, appendToAll } = await many(seed)
    await appendToAll(1 + (seed % 7))
    const ends = logs.map((log) => log.durableEndOffset)
    if (seed % 2 === 0) host.kill()
    else host.powerCut()
    const again = await world.settle(openSmall(host.boot(), options))
    for (const [index, { key }] of logs.entries()) {
      const log = again.logs.get(key) as UnifiedLog
      expect(log.logEndOffset).toBe(ends[index])
      expect((await world.settle(readAll(log))).length).toBe(ends[index])
    }
    await world.settle(again.close())
  }
})

test('what is held goes to the files of a node that rests', async () => {
  const { world, host, directory, logs, appendToAll } = await many(4)
  await appendToAll(3)
  expect(logs.some((log) => sizeOf(host, log) < log.sizeInBytes)).toBe(true)
  await world.runFor(8000)
  expect(logs.map((log) => sizeOf(host, log))).toEqual(logs.map((log) => log.sizeInBytes))
  await world.settle(directory.close())
})

test('a directory that has failed still reads what is held', async () => {
  const { world, host, directory, logs, appendToAll } = await many(5)
  await appendToAll(4)
  host.faults.add({ operation: 'sync', path: /\/journal$/, code: 'EIO', times: 1 })
  appendOne(directory, logs[0] as UnifiedLog, batchOf(['not acknowledged']))
  await world.run(() => directory.failure !== null)
  for (const log of logs) expect((await world.settle(readAll(log))).length).toBe(5)
  await world.settle(directory.close())
})

test('without its frame nothing of a commit gets into a file, though it was released while the frame was being written', async () => {
  const { world, host, directory, logs, asked, appendToAll } = await many(6)
  await appendToAll(2)
  const [log] = logs as [UnifiedLog]
  const before = log.sizeInBytes
  const frames = (): number => asked.of('write', /\/journal$/).length
  const framesBefore = frames()
  host.faults.add({ operation: 'write', path: /\/journal$/, code: 'EIO', times: 1 })
  done(appendOne(directory, log, batchOf(['lost'])))
  await world.run(() => frames() > framesBefore)
  const closing = directory.close()
  const copies = () => asked.of('copy', /\/t0-0\/.*log$/)
  await world.run(() => copies().length > 0)
  expect(copies().map(({ pieces }) => pieces.length / 2)).toEqual([3])
  await world.settle(closing)
  expect(directory.failure).not.toBe(null)
  expect(sizeOf(host, log)).toBeLessThanOrEqual(before)
})

test('a log is deleted with what is held of it, and the others keep theirs', async () => {
  const { world, host, directory, logs, appendToAll } = await many(7)
  await appendToAll(3)
  const [gone, ...rest] = logs as [UnifiedLog, ...UnifiedLog[]]
  await world.settle(directory.deleteLog(gone))
  await world.settle(directory.close())
  expect(directory.failure).toBe(null)
  host.kill()
  const again = await world.settle(openSmall(host.boot(), options))
  expect([...again.logs.keys()].sort()).toEqual(rest.map(({ key }) => key).sort())
  for (const { key, logEndOffset } of rest)
    expect((await world.settle(readAll(again.logs.get(key) as UnifiedLog))).length).toBe(logEndOffset)
  await world.settle(again.close())
})

test('nothing is held where there is little room', async () => {
  const { world, host, directory, logs, appendToAll } = await many(8, { space: { budgetBytes: 1_500_000 } })
  await appendToAll(3)
  await world.run(() => logs.every((log) => sizeOf(host, log) === log.sizeInBytes))
  expect(directory.space.refusal).toBe(null)
  await world.settle(directory.close())
})

test('one log after another is written to while others are held, in order', async () => {
  const { world, directory, logs, appendToAll } = await many(9)
  await appendToAll(2)
  const [log] = logs as [UnifiedLog]
  // Too large for the journal: it goes to the file directly, behind what is held.
  done(appendOne(directory, log, batchOf(['y'.repeat(310_000)])))
  await world.run(() => log.durableEndOffset === log.logEndOffset)
  expect(log.writtenEndOffset).toBe(log.logEndOffset)
  expect((await world.settle(readAll(log))).length).toBe(4)
  await world.settle(directory.close())
})

test('what goes to a file at once goes behind what is held of it', async () => {
  const { world, host, directory, logs, appendToAll } = await many(10, { filesWrittenAtOnce: logsMany - 1 })
  await appendToAll(3)
  const [gone, log] = logs as [UnifiedLog, UnifiedLog]
  expect(sizeOf(host, log)).toBeLessThan(log.sizeInBytes)
  // With it one file less is dirty: nothing more is held.
  await world.settle(directory.deleteLog(gone))
  done(appendOne(directory, log, batchOf(['at once'])))
  await world.run(() => log.writtenEndOffset === 5 && sizeOf(host, log) === log.sizeInBytes)
  expect((await world.settle(readAll(log))).length).toBe(5)
  // Now as many are dirty as before: what comes next is held.
  done(appendOne(directory, await world.settle(createSmall(directory, 'more')), batchOf(['x'])))
  await world.runFor(100)
  done(appendOne(directory, log, batchOf(['held'])))
  await world.run(() => log.durableEndOffset === 6)
  expect(sizeOf(host, log)).toBeLessThan(log.sizeInBytes)
  expect((await world.settle(readAll(log))).length).toBe(6)
  // No reader has taken a hole for damage, and ended the segment for it.
  expect(log.segments.length).toBe(1)
  await world.settle(directory.close())
})

test('commits go on when what was held has gone to the files, and there is more to scan than may be', async () => {
  const pace = { checkpointEveryBytes: 5000, heldBytesPerLog: 100_000, heldBytesMax: 60_000 }
  const { world, directory, logs, appendToAll } = await many(11, pace)
  await appendToAll(9)
  expect(directory.unscannedBytes).toBeGreaterThan(30_000)
  await world.runFor(8000)
  await appendToAll(2)
  await world.run(() => logs.every((log) => log.recoveryPoint > 1) && directory.unscannedBytes < 30_000)
  await world.settle(directory.close())
})

test('on a full disk what is held is read from the journal, and gets to its file when there is room again', async () => {
  const { world, host, directory, logs, appendToAll } = await many(12)
  await appendToAll(4)
  const full = { operation: 'copy', path: /\.log$/, code: 'ENOSPC' } as const
  host.faults.add(full)
  for (let round = 0; round < 2; round++)
    for (const log of logs) expect((await world.settle(readAll(log))).length).toBe(5)
  host.faults.clear()
  await world.run(() => logs.every((log) => sizeOf(host, log) === log.sizeInBytes))
  await world.settle(directory.close())
})

test('a batch that does not fit into the answer is not passed over for a smaller one behind it', async () => {
  const { world, host, directory, logs, appendToAll } = await many(16)
  const [log] = logs as [UnifiedLog]
  for (const value of ['y'.repeat(5000), 'x']) {
    done(appendOne(directory, log, batchOf([value])))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
  }
  await appendToAll(1)
  host.faults.add({ operation: 'copy', path: /\.log$/, code: 'ENOSPC' })
  await world.runFor(8000)
  const request = { fromOffset: 1, endOffset: 3, bytesMax: 1000, minOneBatch: false }
  expect(await world.settle(log.read(request))).toEqual({ kind: 'batches', bytes: new Uint8Array(0) })
  host.faults.clear()
  await world.run(() => log.writtenEndOffset === log.logEndOffset)
  await world.settle(directory.close())
})

test('of logs that were on their way to their files when the directory failed everything is read', async () => {
  const { world, host, directory, logs, appendToAll } = await many(13)
  await appendToAll(4)
  host.faults.add({ operation: 'copy', path: /t5-0.*\.log$/, code: 'EIO', times: 1 })
  await world.run(() => directory.failure !== null)
  for (const log of logs) expect((await world.settle(readAll(log))).length).toBe(5)
  await world.settle(directory.close())
})

test('what goes to the files at once is checkpointed in its time, though something is held', async () => {
  const { world, directory, logs } = await many(14, { checkpointEveryBytes: 1_000_000, heldBytesMax: 2_000_000 })
  const [small, large] = logs as [UnifiedLog, UnifiedLog]
  let most = 0
  for (let round = 0; round < 12; round++) {
    done(appendOne(directory, small, batchOf(['x'])))
    done(appendOne(directory, large, batchOf(['y'.repeat(350_000)])))
    await world.runFor(200)
    most = Math.max(most, directory.unscannedBytes)
  }
  expect(most).toBeLessThan(1_500_000)
  await world.settle(directory.close())
})

test('on a full disk the node goes on with its own records, however much waits for room', async () => {
  const pace = { checkpointEveryBytes: 5000, heldBytesPerLog: 100_000, heldBytesMax: 60_000 }
  const { world, host, directory, logs, appendToAll } = await many(15, pace)
  const own = await world.settle(createSmall(directory, '__own'))
  await appendToAll(9)
  for (const operation of ['copy', 'write'] as const) host.faults.add({ operation, path: /\.log$/, code: 'ENOSPC' })
  await world.runFor(8000)
  for (let round = 0; round < 5; round++) {
    const [outcome] = directory.appendSet([{ log: own, batch: batchOf(['own']), leaderEpoch: 0, origin: 'internal' }])
    done(outcome)
    await world.run(() => own.durableEndOffset === own.logEndOffset)
  }
  host.faults.clear()
  await world.run(() => logs.every((log) => log.writtenEndOffset === log.logEndOffset))
  await world.settle(directory.close())
})

test('on a full disk a search by time finds what is held, and so it does when nothing is written any more', async () => {
  for (const code of ['ENOSPC', 'EIO']) {
    const { world, host, directory, logs, appendToAll } = await many(17)
    await appendToAll(2)
    const [log] = logs as [UnifiedLog]
    done(appendOne(directory, log, batchOf(['late'], { timestampMs: 5000 })))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    host.faults.add({ operation: 'copy', path: /\.log$/, code })
    await world.runFor(8000)
    expect(directory.failure === null).toBe(code === 'ENOSPC')
    expect(await world.settle(log.offsetForTimestamp(2000))).toMatchObject({ offset: 3, timestampMs: 5000 })
    expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ offset: 3 })
    host.faults.clear()
    await world.settle(directory.close())
  }
})

test('on a full disk a topic can be deleted, though what is held of it waits for room', async () => {
  const { world, host, directory, logs, appendToAll } = await many(21)
  await appendToAll(3)
  for (const operation of ['copy', 'write'] as const) host.faults.add({ operation, path: /\.log$/, code: 'ENOSPC' })
  await world.runFor(8000)
  const [kept, ...gone] = logs as [UnifiedLog, ...UnifiedLog[]]
  for (const log of gone) await world.settle(directory.deleteLog(log), 20_000)
  host.faults.clear()
  await world.run(() => sizeOf(host, kept) === kept.sizeInBytes)
  await world.settle(directory.close())
  expect(directory.failure).toBe(null)
})

test('a stop waits for nothing but the disk, though the last commit holds logs that were released already', async () => {
  const pace = { checkpointEveryBytes: 2_000_000, heldBytesMax: 4_000_000, journalBytesMax: 4_000_000 }
  for (let seed = 1; seed <= 5; seed++) {
    const { world, directory, logs, appendToAll } = await many(seed, pace, 300)
    await appendToAll(2)
    for (let index = 0; index < 20; index++) {
      done(appendOne(directory, logs[index % 3] as UnifiedLog, batchOf(['x'])))
      await world.runFor(0.3)
    }
    // Less than four seconds for so many files; what is held is looked at after five.
    await world.settle(directory.close(), 6000)
  }
})

test('a ring that has grown for what was held is given back at the next stop', async () => {
  const { world, host, directory, appendToAll } = await many(23, {
    ...{ journalStepBytes: 65_536 },
    checkpointEveryBytes: 100_000,
    heldBytesPerLog: 20_000,
  })
  await appendToAll(60)
  const ring = (): number => host.fileNow('/data/state/journal')?.length ?? 0
  expect(ring()).toBeGreaterThan(400_000)
  await world.settle(directory.close())
  expect(ring()).toBe(196_608)
  host.kill()
  const again = await world.settle(openSmall(host.boot(), options))
  for (const log of again.logs.values()) expect((await world.settle(readAll(log))).length).toBe(61)
  await world.settle(again.close())
})

test('the ring that grows for what is held has whole blocks, and keeps every frame', async () => {
  const pace = { checkpointEveryBytes: 20_001, heldBytesPerLog: 6001, heldBytesMax: 90_001 }
  const { world, host, directory, logs } = await many(18, {
    ...pace,
    journalBytesMax: 20_000,
    journalStepBytes: 4096,
  })
  // First four, then ten: of neither a third is a whole number.
  for (const some of [logs.slice(8), logs.slice(2)])
    for (let round = 0; round < 20; round++) {
      for (const log of some) done(appendOne(directory, log, batchOf(['x'.repeat(300)])))
      await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
    }
  expect(host.fileNow('/data/state/journal')?.length).toBeGreaterThan(70_000)
  const ends = logs.map((log) => log.durableEndOffset)
  host.kill()
  expect(directory.failure).toBe(null)
  const again = await world.settle(openSmall(host.boot(), options))
  expect(logs.map(({ key }) => again.logs.get(key)?.logEndOffset)).toEqual(ends)
  await world.settle(again.close())
})

test('while files are synced beside the queue a node that has rested takes new batches at once', async () => {
  const pace = { checkpointEveryBytes: 5000, heldBytesPerLog: 100_000, heldBytesMax: 60_000 }
  const { world, directory, logs, ports, appendToAll } = await many(19, pace)
  await appendToAll(9)
  let letGo = (): void => {}
  const isLetGo = new Promise<void>((resolve) => {
    letGo = resolve
  })
  const syncAside = ports.disk.syncAside.bind(ports.disk)
  ports.disk.syncAside = async (paths) => {
    await isLetGo
    await syncAside(paths)
  }
  await world.runFor(8000)
  await appendToAll(1)
  letGo()
  await world.run(() => logs.every((log) => log.recoveryPoint > 9))
  await world.settle(directory.close())
})

test('a burst that the ring has no room for waits until the files have what is held, be the disk full or failing', async () => {
  const pace = { checkpointEveryBytes: 400_000, journalBytesMax: 196_608, journalStepBytes: 196_608 }
  for (const code of ['ENOSPC', 'EIO']) {
    const { world, host, logs, directory, appendToAll } = await many(24, pace)
    await appendToAll(4)
    host.faults.add({ operation: 'copy', path: /\.log$/, code })
    for (const log of logs.slice(6)) appendOne(directory, log, batchOf(['y'.repeat(28_000)]))
    await world.runFor(2000)
    for (const log of logs) expect((await world.settle(readAll(log, 5))).length).toBe(5)
    host.faults.clear()
    if (code === 'ENOSPC') await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
    await isAllThereAfter('powerCut', { world, host, logs })
  }
})

test('a file that does not get what is held, while the ring is full, costs nothing that is held', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const pace = { checkpointEveryBytes: 100_000, heldBytesMax: 100_000 }
    const { world, host, directory, logs } = await many(seed, { ...pace, journalBytesMax: 40_960 })
    host.faults.add({ operation: 'copy', path: /\.log$/, code: 'EIO', times: 1 })
    while (directory.failure === null) {
      for (const log of logs) appendOne(directory, log, batchOf(['x'.repeat(300)]))
      await world.run(
        () => directory.failure !== null || logs.every((log) => log.durableEndOffset === log.logEndOffset),
      )
    }
    for (const log of logs) expect((await world.settle(readAll(log))).length).toBe(log.durableEndOffset)
    await isAllThereAfter('kill', { world, host, logs })
  }
})

test('whatever fails, what was acknowledged is read whole and in order, and is there after the next start', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const prng = new Prng(seed)
    const ring = prng.pick([40_000, 60_000, 200_000])
    const pace = { checkpointEveryBytes: prng.pick([5000, 100_000]), heldBytesPerLog: 2000, heldBytesMax: 100_000 }
    const { world, host, directory, logs } = await many(seed, {
      ...pace,
      journalBytesMax: ring,
      journalStepBytes: 8192,
    })
    const isFull = prng.chance(0.5)
    for (let step = 0; step < 30; step++) {
      for (const log of logs)
        if (directory.failure === null && prng.chance(0.7))
          appendOne(directory, log, batchOf(['x'.repeat(10 + prng.below(prng.chance(0.1) ? 5000 : 500))]))
      const operation = prng.pick(['copy', 'copy', 'write', 'sync'] as const)
      // What a failed sync has lost each later one of that file tells too.
      const path = operation === 'sync' ? new RegExp(`/${prng.pick(logs).key}/.*log$`) : /\.log$/
      const fault = isFull ? { code: 'ENOSPC' } : { code: 'EIO', ...(operation === 'sync' ? {} : { times: 1 }) }
      if (prng.chance(0.1)) host.faults.add({ operation, path, ...fault, after: prng.below(20) })
      const log = prng.pick(logs)
      const fromOffset = prng.below(log.durableEndOffset)
      const request = { fromOffset, endOffset: log.durableEndOffset, bytesMax: 1 + prng.below(3000), minOneBatch: true }
      const reading = log.read(request)
      await world.runFor(prng.chance(0.1) ? 6000 : prng.below(30))
      const read = await world.settle(reading)
      expect(read.kind).toBe('batches')
      if (read.kind === 'batches') expect(Number(Buffer.from(read.bytes).readBigInt64BE(0))).toBe(fromOffset)
      if (prng.chance(0.1)) host.faults.clear()
    }
    host.faults.clear()
    await world.run(() => directory.failure !== null || logs.every((log) => log.durableEndOffset === log.logEndOffset))
    for (const log of logs) expect((await world.settle(readAll(log))).length).toBe(log.durableEndOffset)
    await isAllThereAfter(prng.chance(0.5) ? 'kill' : 'powerCut', { world, host, logs })
  }
})
