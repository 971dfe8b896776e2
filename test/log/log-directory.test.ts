import { beforeEach, describe, expect, test } from 'vitest'
import { ApplianceError } from '../../src/base/errors.ts'
import { zeroUuid } from '../../src/base/ids.ts'
import type { DiskOperation, Ports } from '../../src/base/ports.ts'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, readAll, smallConfig, topicIdOf } from './log-fixture.ts'

let world: SimWorld
let host: SimHost
let ports: Ports

beforeEach(() => {
  world = simWorld(7)
  host = world.host('edge')
  ports = host.boot()
})

const isSync = (operation: DiskOperation | undefined): boolean => operation?.kind.startsWith('sync') === true
const open = (options = {}): Promise<LogDirectory> => world.settle(openSmall(ports, options))
const create = (directory: LogDirectory, topic: string, config = {}): Promise<UnifiedLog> =>
  world.settle(createSmall(directory, topic, config))
const committed = (log: UnifiedLog): Promise<void> => world.run(() => log.durableEndOffset === log.logEndOffset)

/** A clean stop and a new process. */
async function restart(directory: LogDirectory): Promise<LogDirectory> {
  await world.settle(directory.close(9))
  host.kill()
  ports = host.boot()
  return open()
}

/** The power goes, and a new process. */
async function powerCut(): Promise<LogDirectory> {
  host.powerCut()
  ports = host.boot()
  return open()
}

async function fill(
  directory: LogDirectory,
  log: UnifiedLog,
  batches: number,
  bytes = 500,
  fromMs = 10_000,
): Promise<void> {
  for (let index = 0; index < batches; index++) {
    done(appendOne(directory, log, batchOf([`${index}`.padEnd(bytes, '.')], { timestampMs: fromMs + index })))
    if (index % 5 === 4) await committed(log)
  }
  await committed(log)
  log.highWatermark = log.durableEndOffset
}

const valuesOf = (batches: readonly Uint8Array[]): string[] =>
  batches.map((batch) =>
    Buffer.from(batch)
      .toString('latin1')
      .replace(/^[^]*?(\d+)\.*\0$/, '$1'),
  )

describe('appending', () => {
  test('gives offsets at once and moves the durable end when the commit is done', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    let told = 0
    log.onDurable = () => told++
    expect(appendOne(directory, log, batchOf(['x', 'y']))).toMatchObject({
      kind: 'appended',
      baseOffset: 0,
      lastOffset: 1,
    })
    expect(appendOne(directory, log, batchOf(['z']))).toMatchObject({ kind: 'appended', baseOffset: 2, lastOffset: 2 })
    expect([log.logEndOffset, log.durableEndOffset, told]).toEqual([3, 0, 0])
    await committed(log)
    expect([log.durableEndOffset, told]).toEqual([3, 1])
  })

  test('patches base offset and leader epoch and nothing else', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    appendOne(directory, log, batchOf(['first']))
    const batch = batchOf(['second'])
    const sent = Buffer.from(batch)
    appendOne(directory, log, batch, 5)
    const stored = Buffer.from(batch)
    expect(stored.readBigInt64BE(0)).toBe(1n)
    expect(stored.readInt32BE(12)).toBe(5)
    expect(stored.subarray(16)).toEqual(sent.subarray(16))
    expect(log.latestLeaderEpoch).toBe(5)
  })

  test('stamps the time of the append when the topic asks for it, with a CRC that fits', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { timestampType: 'LogAppendTime' })
    const outcome = done(appendOne(directory, log, batchOf(['x'], { timestampMs: 5 })))
    expect(outcome.logAppendTimeMs).toBe(ports.clock.wallMs())
    await committed(log)
    const found = await world.settle(log.offsetForTimestamp(outcome.logAppendTimeMs))
    expect(found).toMatchObject({ offset: 0, timestampMs: outcome.logAppendTimeMs })
    const reopened = await powerCut()
    expect(reopened.logs.get('a-0')?.logEndOffset).toBe(1)
  })

  test('takes a set whole or not at all', async () => {
    const directory = await open()
    const a = await create(directory, 'a')
    const b = await create(directory, 'b')
    const good = { log: a, batch: batchOf(['x']), leaderEpoch: 0, origin: 'client' } as const
    const bad = { log: b, batch: new Uint8Array(70), leaderEpoch: 0, origin: 'client' } as const
    expect(directory.appendSet([good, bad]).map((outcome) => outcome.kind === 'refused' && outcome.error)).toEqual([
      'OPERATION_NOT_ATTEMPTED',
      'UNSUPPORTED_FOR_MESSAGE_FORMAT',
    ])
    expect([a.logEndOffset, b.logEndOffset]).toEqual([0, 0])
  })

  test('answers a duplicate with its first offset, and refuses a gap and an old epoch', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    const send = (epoch: number, sequence: number) =>
      appendOne(directory, log, batchOf(['x', 'y'], { producerId: 1, producerEpoch: epoch, baseSequence: sequence }))
    expect(send(1, 40)).toMatchObject({ kind: 'appended', baseOffset: 0 })
    for (const sequence of [42, 44, 46, 48]) expect(send(1, sequence)).toMatchObject({ kind: 'appended' })
    expect(send(1, 40)).toMatchObject({ kind: 'duplicate', baseOffset: 0, lastOffset: 1 })
    expect(send(1, 48)).toMatchObject({ kind: 'duplicate', baseOffset: 8 })
    expect(send(1, 52)).toMatchObject({ kind: 'refused', error: 'OUT_OF_ORDER_SEQUENCE_NUMBER' })
    expect(send(0, 50)).toMatchObject({ kind: 'refused', error: 'INVALID_PRODUCER_EPOCH' })
    expect(send(2, 7)).toMatchObject({ kind: 'refused', error: 'OUT_OF_ORDER_SEQUENCE_NUMBER' })
    expect(send(2, 0)).toMatchObject({ kind: 'appended', baseOffset: 10 })
    expect(send(1, 48)).toMatchObject({ kind: 'refused', error: 'INVALID_PRODUCER_EPOCH' })
  })

  test('wraps the sequence from 2^31-1 to 0', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    const send = (sequence: number, texts: string[]) =>
      appendOne(directory, log, batchOf(texts, { producerId: 1, producerEpoch: 0, baseSequence: sequence }))
    expect(send(2147483646, ['x', 'y', 'z'])).toMatchObject({ kind: 'appended', baseOffset: 0 })
    expect(send(2147483646, ['x', 'y', 'z'])).toMatchObject({ kind: 'duplicate', baseOffset: 0 })
    expect(send(1, ['w'])).toMatchObject({ kind: 'appended', baseOffset: 3 })
  })

  test('refuses everything once a sync has failed, and goes on reading', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 4)
    let failed: Error | null = null
    directory.onFailure((error) => {
      failed = error
    })
    host.failDisk({ operation: 'sync', code: 'EIO', times: 1 })
    appendOne(directory, log, batchOf(['lost']))
    await world.run(() => failed !== null)
    expect(log.durableEndOffset).toBe(4)
    expect(appendOne(directory, log, batchOf(['x']))).toMatchObject({ kind: 'refused', error: 'KAFKA_STORAGE_ERROR' })
    expect(await world.settle(readAll(log, 4))).toHaveLength(4)
    await expect(world.settle(createSmall(directory, 'b'))).rejects.toThrow('does not take writes')
    await world.settle(directory.close())
    expect(host.fileNow('/data/log/.kafka_cleanshutdown')).toBeNull()
  })

  test.each([
    ['the journal', /journal$/],
    ['a segment file', /\.log$/],
    ['the recovery points', /recovery-points/],
  ])(
    'leaves nothing half readable when %s meets a full disk, and starts again when there is room',
    async (_where, path) => {
      for (const operation of ['write', 'writeFile'] as const) {
        world = simWorld(21)
        host = world.host('edge')
        ports = host.boot()
        let directory = await open({ checkpointEveryBytes: 5000 })
        const logs = [await create(directory, 'a'), await create(directory, 'b')]
        for (const log of logs) await fill(directory, log, 5)
        const recover = host.failDisk({ operation, path, code: 'ENOSPC', after: 2 })
        const acknowledged = logs.map((log) => log.durableEndOffset)
        for (let set = 0; set < 30 && directory.failure === null; set++) {
          directory.appendSet(
            logs.map((log) => ({ log, batch: batchOf(['y'.repeat(300)]), leaderEpoch: 0, origin: 'client' })),
          )
          await world.runFor(10)
          logs.forEach((log, index) => {
            acknowledged[index] = log.durableEndOffset
          })
        }
        host.kill()
        recover()
        ports = host.boot()
        directory = await open()
        const ends = logs.map((log) => directory.logs.get(log.key)?.logEndOffset ?? -1)
        expect(new Set(ends).size).toBe(1)
        expect(ends[0]).toBeGreaterThanOrEqual(Math.max(...acknowledged))
        for (const log of directory.logs.values()) {
          expect(await world.settle(readAll(log))).toHaveLength(log.logEndOffset)
          done(appendOne(directory, log, batchOf(['more'])))
          await committed(log)
        }
      }
    },
  )

  test('acknowledges a relaxed log from the page cache and syncs it a second later', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { flush: 'relaxed' })
    appendOne(directory, log, batchOf(['x']))
    await world.run(() => log.writtenEndOffset === 1)
    expect(log.durableEndOffset).toBe(0)
    await world.runFor(1500)
    expect(log.durableEndOffset).toBe(1)
  })
})

describe('segments', () => {
  test.each([
    ['its size', { segmentBytes: 2000 }, 4, 10_000],
    ['the age of its first record', { segmentMs: 1000 }, 3, 700],
    ['a full index', { segmentIndexBytes: 36, indexIntervalBytes: 100 }, 6, 1],
  ])('are rolled by %s', async (_reason, config, atLeast, stepMs) => {
    const directory = await open()
    const log = await create(directory, 'a', config)
    for (let index = 0; index < 16; index++) {
      done(appendOne(directory, log, batchOf(['x'.repeat(400)], { timestampMs: 1000 + index * stepMs })))
    }
    await committed(log)
    expect(log.segmentCount).toBeGreaterThanOrEqual(atLeast)
    expect(await world.settle(readAll(log))).toHaveLength(16)
  })

  test('are given up by size and by time, never above the high watermark, and the end survives', async () => {
    let directory = await open()
    let log = await create(directory, 'a', { segmentBytes: 2000, retentionBytes: 5000 })
    const fromMs = Date.UTC(2026, 0, 1)
    await fill(directory, log, 20, 500, fromMs)
    log.highWatermark = 4
    await world.settle(directory.retain())
    expect(log.logStartOffset).toBeLessThanOrEqual(4)
    log.highWatermark = log.logEndOffset
    await world.settle(directory.retain())
    expect(log.sizeInBytes).toBeGreaterThanOrEqual(5000)
    expect(log.sizeInBytes).toBeLessThan(7500)
    log.updateConfig({ ...log.config, retentionMs: 1000 })
    await world.settle(directory.retain(fromMs + 10_000_000))
    expect([log.logStartOffset, log.logEndOffset, log.sizeInBytes]).toEqual([20, 20, 0])
    await world.runFor(120_000)
    // Of the last one an empty name stays, until a checkpoint has written down where the log begins.
    const left = (await world.settle(ports.disk.list(log.directory))).filter(({ name }) => name.includes('deleted'))
    expect(left).toHaveLength(1)
    expect(await world.settle(ports.disk.size(`${log.directory}/${left[0]?.name}`))).toBe(0)
    directory = await powerCut()
    log = directory.logs.get('a-0') as UnifiedLog
    expect([log.logStartOffset, log.logEndOffset]).toEqual([20, 20])
  })

  test('all go with retention.bytes=0, the last one too, and no new one is made for nothing', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { segmentBytes: 2000, retentionBytes: 0 })
    await fill(directory, log, 10)
    await world.settle(directory.retain())
    expect([log.logStartOffset, log.logEndOffset, log.sizeInBytes, log.segmentCount]).toEqual([10, 10, 0, 1])
    const [only] = log.segments
    await world.settle(directory.retain())
    expect(log.segments[0]).toBe(only)
  })

  test('are rolled up to segment.jitter.ms before their age, each by chance and none earlier', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { segmentMs: 1000, segmentJitterMs: 500 })
    const lengths = new Set<number>()
    for (let index = 0; index < 2000; index++) {
      const before = log.segmentCount
      done(appendOne(directory, log, batchOf(['x'], { timestampMs: 1000 + index * 10 })))
      const rolled = log.segments.at(-2)
      if (log.segmentCount > before && rolled !== undefined) lengths.add(1000 + index * 10 - rolled.firstTimestampMs)
    }
    expect(Math.min(...lengths)).toBeGreaterThan(500)
    expect(Math.max(...lengths)).toBeLessThanOrEqual(1010)
    expect(lengths.size).toBeGreaterThan(8)
  })

  test('that are given up stay on the disk for file.delete.delay.ms, however long that is', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { segmentBytes: 2000, retentionBytes: 0, fileDeleteDelayMs: 60_000 })
    const left = async (): Promise<number> => {
      const entries = await world.settle(ports.disk.list(log.directory))
      const deleted = entries.filter(({ name }) => name.endsWith('.deleted'))
      const sizes = await world.settle(
        Promise.all(deleted.map(({ name }) => ports.disk.size(`${log.directory}/${name}`))),
      )
      return sizes.filter((size) => size !== 0).length
    }
    await fill(directory, log, 10)
    await world.settle(directory.retain())
    const count = await left()
    expect(count).toBeGreaterThan(1)
    await world.runFor(59_000)
    expect(await left()).toBe(count)
    await world.runFor(2_000)
    expect(await left()).toBe(0)
    log.updateConfig({ ...log.config, fileDeleteDelayMs: Number.POSITIVE_INFINITY })
    await fill(directory, log, 4)
    await world.settle(directory.retain())
    await world.runFor(120_000)
    expect(await left()).toBeGreaterThan(0)
  })

  test('are not given up by time while the clock is known to be wrong', async () => {
    const directory = await open()
    const log = await create(directory, 'a', { segmentBytes: 2000, retentionMs: 1000 })
    await fill(directory, log, 10)
    host.wallTrusted = false
    await world.settle(directory.retain(10_000_000))
    expect(log.logStartOffset).toBe(0)
  })
})

describe('reading', () => {
  test('answers whole batches within the bytes asked for, from memory and from the disk alike', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 60)
    for (const fromOffset of [0, 1, 13, 30, 59]) {
      const request = { fromOffset, endOffset: 60, bytesMax: 1300, minOneBatch: true }
      const cold = await world.settle(log.read(request))
      const hot = log.readHot(request)
      if (cold.kind !== 'batches') throw new Error(cold.kind)
      expect(Number(Buffer.from(cold.bytes).readBigInt64BE(0))).toBe(fromOffset)
      expect(cold.bytes.length).toBeLessThanOrEqual(1300)
      // What is in memory may end sooner.
      if (hot === null) continue
      if (hot.kind !== 'batches') throw new Error(hot.kind)
      expect(hot.bytes.length).toBeGreaterThan(0)
      expect(Buffer.compare(hot.bytes, cold.bytes.subarray(0, hot.bytes.length))).toBe(0)
    }
  })

  test('never passes the bound, and answers a batch larger than the bytes only when asked to', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 3)
    const read = (endOffset: number, bytesMax: number, minOneBatch: boolean) =>
      world.settle(log.read({ fromOffset: 0, endOffset, bytesMax, minOneBatch }))
    expect(await read(0, 9999, true)).toMatchObject({ bytes: new Uint8Array(0) })
    expect(await read(3, 10, false)).toMatchObject({ bytes: new Uint8Array(0) })
    const one = await read(3, 10, true)
    expect(one.kind === 'batches' && valuesOf([one.bytes])).toEqual(['0'])
    expect(await world.settle(log.read({ fromOffset: 4, endOffset: 9, bytesMax: 1, minOneBatch: true }))).toEqual({
      kind: 'outOfRange',
    })
  })

  test('finds offsets by time across segments', async () => {
    let directory = await open()
    let log = await create(directory, 'a', { segmentBytes: 3000 })
    await fill(directory, log, 40)
    directory = await restart(directory)
    log = directory.logs.get('a-0') as UnifiedLog
    for (const [timestampMs, offset] of [
      [0, 0],
      [10_000, 0],
      [10_017, 17],
      [10_039, 39],
    ] as const) {
      expect(await world.settle(log.offsetForTimestamp(timestampMs))).toMatchObject({ offset })
    }
    expect(await world.settle(log.offsetForTimestamp(10_040))).toBeNull()
    expect(await world.settle(log.offsetOfMaxTimestamp())).toMatchObject({ offset: 39, timestampMs: 10_039 })
  })
})

describe('starting again', () => {
  test('after a clean stop knows everything without a scan', async () => {
    let directory = await open()
    expect([directory.isNew, directory.wasClean]).toEqual([true, true])
    const log = await create(directory, 'a')
    await fill(directory, log, 30)
    const { clusterId, directoryId } = directory
    directory = await restart(directory)
    expect(directory).toMatchObject({ isNew: false, wasClean: true, clusterId, directoryId, previousBrokerEpoch: 9 })
    const again = directory.logs.get('a-0') as UnifiedLog
    expect([again.logEndOffset, again.highWatermark, again.topicId]).toEqual([30, 30, topicIdOf('a')])
    expect(await world.settle(readAll(again))).toHaveLength(30)
  })

  test('keeps young index entries of many logs in one file, and has them back without reading the logs', async () => {
    const indexes: (Uint8Array | null)[][] = []
    const bytesRead: number[] = []
    for (const filesSyncedAlone of [1, 256]) {
      world = simWorld(7)
      host = world.host('edge')
      ports = host.boot()
      const options = { filesSyncedAlone, checkpointEveryBytes: 20_000 }
      let directory = await open(options)
      const logs: UnifiedLog[] = []
      for (const topic of ['a', 'b', 'c']) logs.push(await create(directory, topic, { segmentBytes: 1_000_000 }))
      for (let batch = 0; batch < 30; batch++) {
        directory.appendSet(
          logs.map((log) => ({
            log,
            batch: batchOf([`${batch}`.padEnd(700, '.')], { timestampMs: 10_000 + batch }),
            leaderEpoch: 0,
            origin: 'client',
          })),
        )
        await world.run(() => logs.every((log) => log.durableEndOffset === log.logEndOffset))
        await world.runFor(100)
      }
      const path = '/data/log/a-0/00000000000000000000'
      expect((await world.settle(ports.disk.size(`${path}.index`))) === null).toBe(filesSyncedAlone === 1)
      host.powerCut()
      ports = host.boot()
      let read = 0
      const readFile = ports.disk.read.bind(ports.disk)
      ports.disk.read = (file, position, length, into) => {
        if (file.endsWith('.log')) read += length
        return readFile(file, position, length, into)
      }
      directory = await open(options)
      bytesRead.push(read)
      const log = directory.logs.get('a-0') as UnifiedLog
      log.highWatermark = log.logEndOffset
      expect(valuesOf(await world.settle(readAll(log)))).toEqual(Array.from({ length: 30 }, (_, index) => `${index}`))
      await world.settle(directory.close(9))
      const files = [`${path}.index`, `${path}.timeindex`].map((file) => ports.disk.readFile(file, 100_000))
      indexes.push(await world.settle(Promise.all(files)))
    }
    expect(indexes[0]?.every((file) => file !== null && file.length > 8 * 20)).toBe(true)
    expect(indexes[0]).toEqual(indexes[1])
    // What lies above the recovery points is read in both cases.
    expect(bytesRead[0]).toBeLessThanOrEqual((bytesRead[1] as number) + 3 * 200)
  })

  test('never trusts the marker twice', async () => {
    let directory = await open()
    directory = await restart(directory)
    expect(directory.wasClean).toBe(true)
    directory = await powerCut()
    expect(directory.wasClean).toBe(false)
  })

  const sideFiles = [
    'log/meta.properties',
    'log/recovery-point-offset-checkpoint',
    'log/replication-offset-checkpoint',
    'log/a-0/00000000000000000000.index',
    'log/a-0/00000000000000000000.timeindex',
    'log/a-0/leader-epoch-checkpoint',
    'log/a-0/partition.metadata',
    'log/a-0/00000000000000000030.snapshot',
    'state/recovery-points',
    'state/journal',
    'state/meta.properties',
  ]
  test.each(sideFiles.flatMap((file) => [[file, 'lost'] as const, [file, 'garbage'] as const]))(
    'goes on when %s is %s',
    async (file, fault) => {
      for (const isClean of [true, false]) {
        world = simWorld(11)
        host = world.host('edge')
        ports = host.boot()
        let directory = await open()
        const log = await create(directory, 'a', { segmentBytes: 6000 })
        await fill(directory, log, 30)
        await world.settle(directory.close())
        if (!isClean)
          await world.settle(ports.disk.submit([{ kind: 'unlink', path: '/data/log/.kafka_cleanshutdown' }]))
        const path = `/data/${file}`
        const bytes = Buffer.from('7 garbage that nobody has written\n'.repeat(9))
        await world.settle(
          ports.disk.submit([fault === 'lost' ? { kind: 'unlink', path } : { kind: 'writeFile', path, bytes }]),
        )
        host.kill()
        ports = host.boot()
        directory = await open()
        const again = directory.logs.get('a-0') as UnifiedLog
        expect([again.logEndOffset, again.latestLeaderEpoch, again.topicId]).toEqual([30, 0, topicIdOf('a')])
        expect(valuesOf(await world.settle(readAll(again)))).toEqual(
          Array.from({ length: 30 }, (_, index) => `${index}`),
        )
        for (const offset of [0, 7, 29]) {
          expect(await world.settle(again.offsetForTimestamp(10_000 + offset))).toMatchObject({ offset })
        }
        done(appendOne(directory, again, batchOf(['more'])))
        await committed(again)
      }
    },
  )

  test.each(['lost', 'flipped'])(
    'knows where DeleteRecords has moved a start although a file of it is %s',
    async (fault) => {
      for (const file of ['/data/log/log-start-offset-checkpoint', '/data/state/log-starts']) {
        world = simWorld(13)
        host = world.host('edge')
        ports = host.boot()
        let directory = await open()
        const log = await create(directory, 'a')
        await fill(directory, log, 9)
        log.highWatermark = 9
        expect(await world.settle(log.deleteRecordsBefore(3))).toBe(3)
        await world.settle(directory.close())
        const at = Buffer.from(host.fileNow(file) ?? []).indexOf('a 0 3') + 4
        if (fault === 'flipped') host.corrupt(file, at, 4)
        else await world.settle(ports.disk.submit([{ kind: 'unlink', path: file }]))
        host.kill()
        ports = host.boot()
        directory = await open()
        expect(directory.logs.get('a-0')?.logStartOffset).toBe(3)
      }
    },
  )

  test('derives the epochs of a log again when a bit of leader-epoch-checkpoint is flipped', async () => {
    let directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 3)
    log.assignLeaderEpoch(1, 3)
    done(appendOne(directory, log, batchOf(['in the next epoch']), 1))
    await committed(log)
    await world.settle(directory.close())
    const path = '/data/log/a-0/leader-epoch-checkpoint'
    expect(Buffer.from(host.fileNow(path) ?? []).toString()).toBe('0\n2\n0 0\n1 3\n')
    host.corrupt(path, 10, 4)
    directory = await open()
    expect(directory.logs.get('a-0')?.endOffsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 3 })
  })

  test('knows a log by its topic id although a bit of partition.metadata is flipped', async () => {
    for (const isClean of [true, false]) {
      for (const hasCopy of [true, false]) {
        world = simWorld(12)
        host = world.host('edge')
        ports = host.boot()
        let directory = await open()
        await fill(directory, await create(directory, 'a'), 5)
        directory = isClean ? await restart(directory) : directory
        if (isClean) await world.settle(directory.close())
        if (!hasCopy) await world.settle(ports.disk.submit([{ kind: 'unlink', path: '/data/state/recovery-points' }]))
        host.kill()
        host.corrupt('/data/log/a-0/partition.metadata', 30, 1)
        ports = host.boot()
        directory = await open()
        const log = await create(directory, 'a')
        expect([log.logEndOffset, log.topicId]).toEqual([5, topicIdOf('a')])
        const metadata = host.fileNow('/data/log/a-0/partition.metadata') ?? new Uint8Array(0)
        expect(Buffer.from(metadata).toString()).toContain(topicIdOf('a'))
      }
    }
  })

  test.each([
    [3, 'bbbdbbbbbb'],
    [9, 'bbbbbbbbbd'],
  ])(
    'keeps batch %i, damaged below the recovery point, out of reads, does not cut it and goes on behind the log',
    async (batch, answers) => {
      let directory = await open()
      const log = await create(directory, 'a', { segmentBytes: 1e6 })
      await fill(directory, log, 10)
      directory = await restart(directory)
      const path = '/data/log/a-0/00000000000000000000.log'
      const size = host.fileNow(path)?.length
      host.powerCut()
      const batchBytes = (size ?? 0) / 10
      host.corrupt(path, batch * batchBytes + 16, 0x40)
      ports = host.boot()
      directory = await open()
      const again = directory.logs.get('a-0') as UnifiedLog
      expect(host.fileNow(path)?.length).toBe(size)
      const read = (fromOffset: number) =>
        world.settle(again.read({ fromOffset, endOffset: 10, bytesMax: 1, minOneBatch: true }))
      const kinds: string[] = []
      for (let offset = 0; offset < 10; offset++) kinds.push((await read(offset)).kind)
      expect(kinds.map((kind) => kind[0]).join('')).toBe(answers)
      expect(appendOne(directory, again, batchOf(['x']))).toMatchObject({ kind: 'appended', baseOffset: 10 })
    },
  )

  test('does not roll a segment because it started', async () => {
    let directory = await open()
    let log = await create(directory, 'a')
    for (let start = 0; start < 4; start++) {
      await fill(directory, log, 1)
      directory = start % 2 === 0 ? await restart(directory) : await powerCut()
      log = directory.logs.get('a-0') as UnifiedLog
    }
    expect([log.segmentCount, log.logEndOffset]).toEqual([1, 4])
  })
})

describe('a directory', () => {
  test('is refused to a second process, which is told the pid of the first', async () => {
    host.holdLock('/data/log/.lock', 4711)
    await expect(open()).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_LOCKED',
      message: expect.stringContaining('4711'),
    })
  })

  const identity = (clusterId: string, directoryId: string): string =>
    `#\ncluster.id=${clusterId}\ndirectory.id=${directoryId}\nnode.id=1\nversion=1\n`
  test.each([
    ['another cluster', { clusterId: 'AAAAAAAAAAAAAAAAAAAABB' }, '', 'DATA_DIRECTORY_OF_OTHER_CLUSTER'],
    ['a log of another cluster', {}, identity('anotherCluster', topicIdOf('x')), 'DATA_DIRECTORY_OF_OTHER_CLUSTER'],
    ['a log of another directory', {}, identity('CLUSTER', topicIdOf('x')), 'DATA_DIRECTORY_MIXED'],
    ['another node', { nodeId: 2 }, '', 'DATA_DIRECTORY_OF_OTHER_NODE'],
    ['a newer format', {}, 'version=2\n', 'DATA_DIRECTORY_OF_NEWER_FORMAT'],
  ])('of %s is refused', async (_whose, options, content, code) => {
    const directory = await open()
    await world.settle(directory.close())
    if (content !== '') {
      const path = '/data/log/meta.properties'
      const bytes = Buffer.from(content.replace('CLUSTER', directory.clusterId))
      await world.settle(ports.disk.submit([{ kind: 'writeFile', path, bytes }]))
    }
    await expect(open(options)).rejects.toMatchObject({ code })
    await expect(open(options)).rejects.toBeInstanceOf(ApplianceError)
  })

  test.each(['log', 'state'])('keeps its identity when any bit of %s/meta.properties is flipped', async (folder) => {
    let directory = await open()
    const { clusterId, directoryId } = directory
    await world.settle(directory.close())
    const path = `/data/${folder}/meta.properties`
    const size = host.fileNow(path)?.length ?? 0
    for (let bit = 0; bit < size * 8; bit += 3) {
      host.corrupt(path, bit >> 3, 1 << (bit & 7))
      directory = await open()
      expect(directory).toMatchObject({ isNew: false, wasClean: true, clusterId, directoryId, nodeId: 1 })
      await world.settle(directory.close())
    }
  })

  test('that cannot be written is refused with the reason', async () => {
    host.faults.readOnly = true
    await expect(open()).rejects.toMatchObject({
      code: 'DATA_DIRECTORY_UNUSABLE',
      message: expect.stringContaining('EROFS'),
    })
  })

  test('that is idle writes nothing and syncs nothing in an hour', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 10)
    await world.runFor(5000)
    let groups = 0
    const submit = ports.disk.submit.bind(ports.disk)
    ports.disk.submit = (operations) => {
      groups++
      return submit(operations)
    }
    await world.runFor(3_600_000)
    expect(groups).toBe(0)
    expect(directory.failure).toBeNull()
  })

  test('makes many logs in a few groups, and has after a power cut those whose creation was answered', async () => {
    let directory = await open()
    const { disk } = ports
    const groups: (readonly DiskOperation[])[] = []
    const submit = disk.submit.bind(disk)
    disk.submit = (operations, options) => {
      if (operations.some(({ kind }) => kind === 'makeDirectory')) groups.push(operations)
      return submit(operations, options)
    }
    const answered = new Set<string>()
    for (let partition = 0; partition < 200; partition++) {
      const creation = { topic: 'many', partition, topicId: topicIdOf('many'), config: smallConfig }
      void directory.createLog(creation).then(
        ({ key }) => answered.add(key),
        () => {},
      )
    }
    await world.run(() => answered.size >= 100)
    expect(groups.length).toBeLessThanOrEqual(4)
    // In one run syncs can be one flush.
    for (const operations of groups) {
      const runs = operations.filter((operation, at) => isSync(operation) && !isSync(operations[at - 1]))
      expect(runs.length).toBe(1)
    }
    const before = [...answered]
    directory = await powerCut()
    expect(before.filter((key) => directory.logs.get(key)?.topicId !== topicIdOf('many'))).toEqual([])
    expect(directory.failure).toBeNull()
  })

  test('gives a log back to the topic that it belongs to, and to no other', async () => {
    const directory = await open()
    const log = await create(directory, 'a')
    expect(await create(directory, 'a')).toBe(log)
    const other = directory.createLog({ topic: 'a', partition: 0, topicId: topicIdOf('zz'), config: smallConfig })
    await expect(world.settle(other)).rejects.toMatchObject({ code: 'LOG_OF_OTHER_TOPIC' })
    expect(log.topicId).not.toBe(zeroUuid)
  })

  test('forgets a deleted log for good, and takes a new one of its name', async () => {
    let directory = await open()
    const log = await create(directory, 'a')
    await fill(directory, log, 20)
    await world.settle(log.deleteRecordsBefore(11))
    appendOne(directory, log, batchOf(['in flight']))
    await world.settle(directory.deleteLog(log))
    expect(appendOne(directory, log, batchOf(['x']))).toMatchObject({ error: 'UNKNOWN_TOPIC_OR_PARTITION' })
    const fresh = await world.settle(
      directory.createLog({ topic: 'a', partition: 0, topicId: topicIdOf('a2'), config: smallConfig }),
    )
    await fill(directory, fresh, 15)
    await world.runFor(100_000)
    directory = await powerCut()
    const again = directory.logs.get('a-0') as UnifiedLog
    expect([again.topicId, again.logStartOffset, again.logEndOffset]).toEqual([topicIdOf('a2'), 0, 15])
    expect(
      (await world.settle(ports.disk.list('/data/log'))).filter((entry) => entry.name.endsWith('-delete')),
    ).toEqual([])
    expect(directory.failure).toBeNull()
  })
})
