import { describe, expect, test } from 'vitest'
import type { Ports } from '../../../src/base/ports.ts'
import type { CompactionOptions } from '../../../src/log/compaction/compaction-options.ts'
import type { LogConfig } from '../../../src/log/log-config.ts'
import { logEvents } from '../../../src/log/log-events.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import { encodeControlRecordKey, encodeEndTransactionValue } from '../../../src/protocol/records/control-record.ts'
import { batchBaseOffset, batchIsControl, batchLastOffset } from '../../../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import type { SimHost } from '../../sim/host.ts'
import { type SimWorld, simWorld } from '../../sim/world.ts'
import { createSmall, openSmall, readAll, topicIdOf } from '../log-fixture.ts'
import { append, contentOf, eagerConfig, followHighWatermark, keyedBatch } from './compaction-fixture.ts'

interface Scene {
  readonly world: SimWorld
  readonly host: SimHost
  readonly ports: Ports
  readonly directory: LogDirectory
  readonly log: UnifiedLog
}

async function scene(config: Partial<LogConfig> = {}, compaction: Partial<CompactionOptions> = {}): Promise<Scene> {
  const world = simWorld(1)
  const host = world.host('edge')
  const ports = host.boot()
  const options = {
    tailCacheBytes: 0,
    producerExpirationMs: Number.POSITIVE_INFINITY,
    // The object itself where it is whole: a test may change it.
    compaction: compaction.backoffMs === undefined ? { backoffMs: 1e11, ...compaction } : compaction,
  }
  const directory = await world.settle(openSmall(ports, options))
  const log = await world.settle(createSmall(directory, 'a', { ...eagerConfig, ...config }))
  followHighWatermark(log)
  return { world, host, ports, directory, log }
}

/** Sixty records of five keys, one a batch, some fifteen a segment. */
async function fill({ world, directory, log, ports }: Scene, records = 60): Promise<void> {
  for (let index = 0; index < records; index++) {
    const timestampMs = ports.clock.wallMs()
    const batch = [{ key: `k${index % 5}`, value: `${index}`.padEnd(100, 'x'), timestampMs }]
    append(directory, log, await keyedBatch(batch, {}, ports.compute))
    await world.runFor(5)
  }
}

const offsetsOf = async ({ world, log, ports }: Scene): Promise<number[]> =>
  (await world.settle(contentOf(log, ports.compute))).map((text) => Number(text.split(' ')[0]))

describe('compaction of a log', () => {
  test('keeps the last record of each key at its offset, and all of the active segment', async () => {
    const at = await scene()
    await fill(at)
    const before = at.log.sizeInBytes
    await at.world.settle(at.directory.compactor.compact())
    expect(at.log.sizeInBytes).toBeLessThan(before / 2)
    const active = at.log.activeSegment.baseOffset
    expect(await offsetsOf(at)).toEqual(Array.from({ length: 65 - active }, (_, index) => active - 5 + index))
    await at.world.settle(at.directory.close())
  })

  test('puts small segments together, no larger than a full one', async () => {
    const at = await scene()
    await fill(at, 200)
    const segments = at.log.segments.length
    await at.world.settle(at.directory.compactor.compact())
    await fill(at, 40)
    await at.world.settle(at.directory.compactor.compact())
    expect(at.log.segments.length).toBeLessThan(segments / 2)
    for (const segment of at.log.segments) expect(segment.sizeInBytes).toBeLessThanOrEqual(2000)
  })

  test('begins by itself when enough is dirty, and writes nothing when there is nothing to do', async () => {
    const at = await scene({ minCleanableDirtyRatio: 0.5 }, { backoffMs: 1000 })
    await fill(at)
    await at.world.runFor(5000)
    expect(at.host.observer.eventsOf(logEvents.logCompacted.id)).toHaveLength(1)
    const files = at.host.fileNow('/data/log/cleaner-offset-checkpoint')
    expect(Buffer.from(files ?? []).toString()).toBe(`0\n1\na 0 ${at.log.activeSegment.baseOffset}\n`)
    await at.world.runFor(60_000)
    expect(at.host.observer.eventsOf(logEvents.logCompacted.id)).toHaveLength(1)
  })

  test('leaves records alone that are younger than min.compaction.lag.ms', async () => {
    const at = await scene({ minCompactionLagMs: 3_600_000 })
    await fill(at)
    await at.world.settle(at.directory.compactor.compact())
    expect(await offsetsOf(at)).toHaveLength(60)
    await at.world.runFor(3_600_000)
    await at.world.settle(at.directory.compactor.compact())
    expect((await offsetsOf(at)).length).toBeLessThan(30)
  })

  test('does not wait for the ratio beyond max.compaction.lag.ms', async () => {
    const at = await scene({ minCleanableDirtyRatio: 1, maxCompactionLagMs: 600_000 })
    await fill(at)
    await at.world.settle(at.directory.compactor.compact())
    expect(await offsetsOf(at)).toHaveLength(60)
    await at.world.runFor(600_000)
    await at.world.settle(at.directory.compactor.compact())
    expect((await offsetsOf(at)).length).toBeLessThan(30)
  })

  test('of compact,delete also gives up what is old', async () => {
    const at = await scene({ cleanupPolicy: new Set(['compact', 'delete'] as const), retentionMs: 1_000_000 })
    await fill(at)
    await at.world.settle(at.directory.compactor.compact())
    await at.world.runFor(2_000_000)
    await at.world.settle(at.directory.retain())
    expect([at.log.logStartOffset, at.log.segments.length]).toEqual([60, 1])
  })

  test('lets readers go on: whoever reads meanwhile sees every last value, nothing else, and no fault', async () => {
    const at = await scene()
    await fill(at, 150)
    const newest = await offsetsOf(at)
    // Reads that take long enough for a swap to come between.
    at.host.diskTimes = { operationMs: [0.5, 4], syncMs: [0.2, 1], kibibyteMs: 0.003, hotChance: 0.3 }
    const pass = at.directory.compactor.compact()
    let isOver = false
    void pass.then(() => {
      isOver = true
    })
    // Many at once, from the middle of segments: some are under way whenever a file is replaced.
    const endOffset = at.log.durableEndOffset
    const read = async (fromOffset: number): Promise<void> => {
      const result = await at.log.read({ fromOffset, endOffset, bytesMax: 1, minOneBatch: true })
      expect(result.kind).toBe('batches')
      if (result.kind !== 'batches') return
      const found = [batchBaseOffset(result.bytes), batchLastOffset(result.bytes)] as const
      expect(found[1]).toBeGreaterThanOrEqual(fromOffset)
      expect(newest).toContain(found[0])
    }
    while (!isOver) {
      await at.world.settle(Promise.all(newest.map(read)))
      expect((await at.world.settle(at.log.offsetForTimestamp(0)))?.offset).toBeGreaterThanOrEqual(0)
    }
    expect((await offsetsOf(at)).length).toBeLessThan(30)
  })

  test('stays where it is while it is paused, and ends soon at a stop', async () => {
    const at = await scene()
    await fill(at)
    at.directory.compactor.pause()
    const pass = at.directory.compactor.compact()
    await at.world.runFor(60_000)
    expect(await offsetsOf(at)).toHaveLength(60)
    at.directory.compactor.resume()
    await at.world.settle(pass)
    expect((await offsetsOf(at)).length).toBeLessThan(30)
    await fill(at)
    at.directory.compactor.pause()
    void at.directory.compactor.compact()
    await at.world.runFor(10)
    await at.world.settle(at.directory.close())
  })

  test('keeps to its bytes a second', async () => {
    const at = await scene({}, { bytesPerSecond: 2000 })
    await fill(at)
    const startMs = at.world.nowMs
    await at.world.settle(at.directory.compactor.compact())
    // Two readings of some 8 KB at 2 KB/s.
    expect(at.world.nowMs - startMs).toBeGreaterThan(6000)
  })

  test('goes by a shorter time between two looks and by another rate as soon as they are set', async () => {
    const options = { backoffMs: 1e11, bytesPerSecond: 1 }
    const at = await scene({}, options)
    await fill(at)
    await at.world.runFor(200_000)
    expect(at.host.observer.eventsOf(logEvents.logCompacted.id)).toHaveLength(0)
    options.backoffMs = 1000
    options.bytesPerSecond = 1e9
    await at.world.runFor(62_000)
    expect(at.host.observer.eventsOf(logEvents.logCompacted.id)).toHaveLength(1)
  })

  test('takes a topic of the same name for another one', async () => {
    const at = await scene()
    await fill(at)
    await at.world.settle(at.directory.compactor.compact())
    await at.world.settle(at.directory.deleteLog(at.log))
    const again = { topic: 'a', partition: 0, topicId: topicIdOf('other'), config: at.log.config }
    const log = await at.world.settle(at.directory.createLog(again))
    expect(at.directory.compactor.firstDirtyOffset(log)).toBe(0)
    await at.world.runFor(100)
    expect(Buffer.from(at.host.fileNow('/data/log/cleaner-offset-checkpoint') ?? []).toString()).toBe('0\n0\n')
  })

  test('of a log that cannot be read leaves it as it is and says so', async () => {
    const at = await scene()
    await fill(at)
    await at.world.settle(at.directory.compactor.compact().then(() => at.directory.retain()))
    await fill(at)
    const { logPath } = at.log.segments.at(-2) as { readonly logPath: string }
    at.host.corrupt(logPath, 200, 0x10)
    await at.world.settle(at.directory.compactor.compact())
    expect(at.host.observer.eventsOf(logEvents.compactionFailed.id)).toHaveLength(1)
    expect(at.directory.failure).toBeNull()
    await at.world.settle(at.directory.compactor.compact())
    expect(at.host.observer.eventsOf(logEvents.compactionFailed.id)).toHaveLength(1)
  })

  test('waits when the disk is full', async () => {
    const at = await scene()
    await fill(at)
    at.host.image.capacityBytes = at.host.image.usedBytes + 1_000_000
    await at.world.settle(at.directory.compactor.compact())
    expect(at.host.observer.eventsOf(logEvents.compactionPostponed.id)).toHaveLength(1)
    expect(at.directory.failure).toBeNull()
    at.host.image.capacityBytes = Number.POSITIVE_INFINITY
    await at.world.runFor(600_001)
    await at.world.settle(at.directory.compactor.compact())
    expect((await offsetsOf(at)).length).toBeLessThan(30)
  })
})

describe('a marker of a transaction', () => {
  test('goes when its records have gone and its time is over, and its producer has written since', async () => {
    const at = await scene({ deleteRetentionMs: 1000 })
    const { directory, log, ports, world } = at
    const markers = async (): Promise<number[]> =>
      (await world.settle(readAll(log)))
        .filter((batch) => batchIsControl(batch) && batchLastOffset(batch) >= batchBaseOffset(batch))
        .map((batch) => batchBaseOffset(batch))
    const producer = { producerId: 9, producerEpoch: 0, isTransactional: true }
    const write = async (type: 'ABORT' | 'COMMIT', baseSequence: number): Promise<void> => {
      append(
        directory,
        log,
        await keyedBatch([{ key: 'k0', value: type }], { ...producer, baseSequence }, ports.compute),
      )
      const builder = new RecordBatchBuilder()
      builder.append(ports.clock.wallMs(), encodeControlRecordKey(type), encodeEndTransactionValue(0), null)
      append(directory, log, builder.build({ ...producer, isControl: true }))
    }
    const pass = async (): Promise<void> => {
      await fill(at, 40)
      await world.settle(directory.compactor.compact())
    }
    await write('ABORT', 0)
    await write('COMMIT', 1)
    await pass()
    expect(await markers()).toEqual([1, 3])
    await write('COMMIT', 2)
    // The first pass that finds nothing of a transaction begins the marker's time, a pass behind it takes the marker.
    await pass()
    await world.runFor(2000)
    await pass()
    await world.runFor(2000)
    await pass()
    const left = await markers()
    expect(left).not.toContain(1)
    expect(left).not.toContain(3)
  })
})
