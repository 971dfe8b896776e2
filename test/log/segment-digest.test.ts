/** What sealed segments were when they were sealed: finds what neither a batch nor its neighbours tell, and is never wrong. */
import { describe, expect, test } from 'vitest'
import { checkDirectory, type Finding } from '../../src/log/directory-check.ts'
import { examineSealed } from '../../src/log/digest-check.ts'
import type { LogDirectoryOptions } from '../../src/log/log-directory.ts'
import {
  digestEntryBytes,
  digestOf,
  encodeDigest,
  encodeVoid,
  HeaderChain,
  parseDigests,
} from '../../src/log/segment-digest.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import {
  batchSizeInBytes,
  setBatchBaseOffset,
  setBatchPartitionLeaderEpoch,
} from '../../src/protocol/records/record-batch.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import type { SimHost } from '../sim/host.ts'
import { followHighWatermark } from './compaction/compaction-fixture.ts'
import { batchesIn, boot, logOf, type Place } from './damage-fixture.ts'
import { appendOne, batchOf, createSmall, done, openSmall, topicIdOf } from './log-fixture.ts'

const folder = '/data/log/a-0'
const file = '/data/state/segment-digests'
const scrub = { bytesPerSecond: 1_000_000, everyMs: 86_400_000 }
const small = { segmentBytes: 2000, minCleanableDirtyRatio: 0, fileDeleteDelayMs: 1000 }

interface Life {
  readonly world: SimWorld
  readonly host: SimHost
}

/** A stopped directory with a compacted log of some segments. */
async function compacted(seed: number): Promise<Place> {
  const world = simWorld(seed)
  const host = world.host('edge')
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(
    createSmall(directory, 'a', { ...small, cleanupPolicy: new Set(['compact'] as const) }),
  )
  followHighWatermark(log)
  for (let index = 0; index < 40; index++) {
    const key = index % 3 === 0 ? `once ${index}` : `often ${index % 4}`
    done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')], { key })))
    if (index % 5 === 0) await world.runFor(20)
  }
  await world.run(() => log.durableEndOffset === log.logEndOffset)
  await world.settle(directory.compactor.compact())
  for (let index = 40; index < 60; index++) {
    done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')], { key: `late ${index}` })))
    if (index % 5 === 0) await world.runFor(20)
  }
  await world.settle(directory.close())
  host.kill()
  expect(host.observer.eventsOf('log-compacted')).toHaveLength(1)
  return { world, host, directory, stored: new Map() }
}

async function findings({ world, host }: Life): Promise<Finding[]> {
  const found: Finding[] = []
  const place = { logDirectory: '/data/log', stateDirectory: '/data/state' }
  await world.settle(checkDirectory(place, host.boot().disk, (finding) => found.push(finding)))
  host.kill()
  return found
}

/** Paths of the segment files that hold something, in their order. */
function segmentPaths(host: SimHost): string[] {
  return host.image
    .filePaths()
    .filter((path) => path.startsWith(folder) && path.endsWith('.log') && sizeOf(host, path) > 0)
}

function sizeOf(host: SimHost, path: string): number {
  return host.fileNow(path)?.length ?? 0
}

function write(host: SimHost, path: string, bytes: Uint8Array): void {
  host.image.truncate(path, 0)
  host.image.write(path, 0, [bytes])
  host.image.file(path).sync()
}

function remove(host: SimHost, path: string): void {
  host.image.unlink(path)
  host.image.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}

/** Each digest of the file that speaks of a segment, held against the segment. Answers of how many segments nothing is said. */
function expectTrue(host: SimHost): number {
  const known = parseDigests(host.fileNow(file) ?? new Uint8Array(0))
  const ofLog = known.byLog.get(`${topicIdOf('a')} 0`)
  const paths = host.image.filePaths().filter((path) => /a-0\/\d+\.log$/.test(path))
  const bases = paths.map((path) => Number(/(\d+)\.log$/.exec(path)?.[1]))
  let unknown = 0
  for (const [index, path] of paths.slice(0, -1).entries()) {
    const bytes = host.fileNow(path) ?? new Uint8Array(0)
    const chain = new HeaderChain()
    for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) chain.take(bytes, at, at)
    const digest = ofLog?.get(bases[index] as number)
    if (digest === undefined || digest.endOffset !== bases[index + 1]) unknown++
    else expect(digest, path).toMatchObject({ sizeInBytes: bytes.length, batches: chain.batches, chain: chain.crc })
  }
  return unknown
}

describe('an entry', () => {
  const digest = { topicId: topicIdOf('a'), partition: 3, baseOffset: 2 ** 40, endOffset: 2 ** 40 + 7 }
  const whole = { ...digest, sizeInBytes: 2 ** 31, batches: 5, chain: 0xfffffffe }

  test('says what was written, until it is taken back', () => {
    const bytes = encodeDigest(whole)
    expect(bytes).toHaveLength(digestEntryBytes)
    expect(
      parseDigests(bytes)
        .byLog.get(`${digest.topicId} 3`)
        ?.get(2 ** 40),
    ).toEqual(whole)
    const taken = Buffer.concat([bytes, encodeVoid(whole)])
    expect(parseDigests(taken).byLog.get(`${digest.topicId} 3`)?.size).toBe(0)
  })

  test('that is not whole may have been a void: nothing before it is believed', () => {
    const other = { ...whole, baseOffset: 9 }
    const entries = Buffer.concat([encodeDigest(whole), encodeVoid(whole), encodeDigest(other)])
    for (let bit = 0; bit < digestEntryBytes * 8; bit++) {
      const damaged = entries
        .subarray()
        .map((byte, at) => byte ^ (at === digestEntryBytes + (bit >> 3) ? 1 << (bit & 7) : 0))
      expect([...(parseDigests(damaged).byLog.get(`${digest.topicId} 3`) ?? [])]).toEqual([[9, other]])
    }
  })
})

describe('a digest finds', () => {
  test('that the last batch of a compacted segment is missing, and costs what is missing', async () => {
    const place = await compacted(1)
    const [path = ''] = segmentPaths(place.host)
    const last = batchesIn(place, path).at(-1)
    write(place.host, path, (place.host.fileNow(path) ?? new Uint8Array(0)).slice(0, last?.from))
    const damaged = (await findings(place)).filter(({ kind }) => kind === 'damaged')
    expect(damaged).toMatchObject([{ file: path, range: { endOffset: (last?.offset ?? 0) + 1 } }])
    await boot(place)
    const log = logOf(place)
    expect(log.damage.ranges).toMatchObject([{ path, endOffset: (last?.offset ?? 0) + 1 }])
    expect(await kindAt(place, log, last?.offset ?? 0)).toBe('damaged')
    expect(await kindAt(place, log, 0)).toBe('batches')
    expect(await kindAt(place, log, (last?.offset ?? 0) + 1)).toBe('batches')
  })

  test('another batch, whole and with a right CRC, in the place of one', async () => {
    const place = await compacted(2)
    const path = segmentPaths(place.host).at(-3) ?? ''
    const batch = batchesIn(place, path)[2]
    const bytes = (place.host.fileNow(path) ?? new Uint8Array(0)).slice()
    const other = batchOf(['another value'.padEnd(300, '.')], { key: 'late 99'.slice(0, 7) })
    setBatchBaseOffset(other, 0, batch?.offset ?? 0)
    setBatchPartitionLeaderEpoch(other, 0, 0)
    expect(other.length).toBe((batch?.end ?? 0) - (batch?.from ?? 0))
    bytes.set(other, batch?.from ?? 0)
    write(place.host, path, bytes)
    const damaged = (await findings(place)).filter(({ kind }) => kind === 'damaged')
    expect(damaged).toMatchObject([{ file: path, reason: 'its batches are whole but are not those that were sealed' }])
    await boot(place, { scrub })
    await place.world.settle(place.directory.scrubber.scrub())
    expect(logOf(place).damage.ranges).toMatchObject([{ path, position: 0 }])
    expect(await kindAt(place, logOf(place), batch?.offset ?? 0)).toBe('damaged')
  })

  test('the file of before a compaction in the place of the new one', async () => {
    const seen = await compacted(3)
    const [path = ''] = segmentPaths(seen.host)
    // The same history without the compaction leaves the old file.
    const world = simWorld(3)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot()))
    const log = await world.settle(createSmall(directory, 'a', small))
    for (let index = 0; index < 10; index++) {
      const key = index % 3 === 0 ? `once ${index}` : `often ${index % 4}`
      done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')], { key })))
    }
    await world.settle(directory.close())
    const old = host.fileNow(path) ?? new Uint8Array(0)
    write(seen.host, path, old)
    expect((await findings(seen)).filter(({ kind }) => kind === 'damaged')).toMatchObject([{ file: path }])
    await boot(seen)
    expect(await kindAt(seen, logOf(seen), 0)).toBe('damaged')
  })

  test('that a segment between others of a compacted log is gone with its indexes', async () => {
    const place = await compacted(4)
    const path = segmentPaths(place.host)[1] ?? ''
    const base = Number(/(\d+)\.log$/.exec(path)?.[1])
    for (const kind of ['log', 'index', 'timeindex']) remove(place.host, path.replace(/log$/, kind))
    expect((await findings(place)).filter(({ kind }) => kind === 'damaged')).toMatchObject([
      { file: path, reason: 'the file is missing', range: { fromOffset: base } },
    ])
    await boot(place)
    expect(await kindAt(place, logOf(place), base)).toBe('damaged')
  })
})

/** Batches of these first offsets, three records each but for single ones at the second, in one file. */
function batchesAt(offsets: readonly number[]): readonly Uint8Array[] {
  return offsets.map((offset, index) => {
    const batch = batchOf(index === 1 ? ['a'] : ['a', 'b', 'c'])
    setBatchBaseOffset(batch, 0, offset)
    return batch
  })
}

describe('two batches of which one begins at a wrong offset', () => {
  test.each([
    // One bit leads from 5 to 21 and from 28 to 12: either could be the wrong one.
    { written: [21, 28, 30], found: [21, 12, 30], wrong: 1 },
    { written: [5, 12, 30], found: [21, 12, 30], wrong: 0 },
  ])('are told apart by what the segment was: $written', async ({ written, found, wrong }) => {
    const chain = new HeaderChain()
    let position = 0
    const positions: number[] = []
    for (const batch of batchesAt(written)) {
      positions.push(position)
      chain.take(batch, 0, position)
      position += batch.length
    }
    const digest = digestOf({ topicId: topicIdOf('a'), partition: 0, baseOffset: 0 }, chain, position)
    const bytes = Buffer.concat(batchesAt(found))
    const { examined } = await examineSealed(
      {
        disk: { read: (_path, at, length) => Promise.resolve(bytes.subarray(at, at + length)) },
        ...{ path: '/a', segmentBaseOffset: 0, sizeInBytes: position, endOffset: 33, durableEndOffset: null },
        ...{ gapsAreNormal: true, epochAt: () => -1 },
      },
      digest,
    )
    expect(examined.damage.map((range) => range.position)).toEqual([positions[wrong]])
  })
})

async function kindAt(place: Place, log: UnifiedLog, fromOffset: number): Promise<string> {
  const request = { fromOffset, endOffset: log.logEndOffset, bytesMax: 1, minOneBatch: true }
  return (log.readHot(request) ?? (await place.world.settle(log.read(request)))).kind
}

describe('a first segment that is gone with all its indexes', () => {
  /** A log of several segments, and where its first one ends. */
  async function several(seed: number, options: Partial<LogDirectoryOptions> = {}) {
    const world = simWorld(seed)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), options))
    const log = await world.settle(createSmall(directory, 'a', small))
    followHighWatermark(log)
    for (let index = 0; index < 30; index++) done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')])))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    await world.runFor(100)
    return { world, host, directory, log }
  }

  test.each(['clean', 'unclean'])('is told at the start after a %s stop, and by the check', async (stop) => {
    const { world, host, directory } = await several(1, { checkpointEveryBytes: 3000 })
    if (stop === 'clean') await world.settle(directory.close())
    host.kill()
    const [path = ''] = segmentPaths(host)
    for (const kind of ['log', 'index', 'timeindex']) remove(host, path.replace(/log$/, kind))
    const damaged = (await findings({ world, host })).filter(({ kind }) => kind === 'damaged')
    expect(damaged).toMatchObject([{ file: path, reason: 'the file is missing', range: { fromOffset: 0 } }])
    const again = await world.settle(openSmall(host.boot()))
    const startOffset = again.logs.get('a-0')?.logStartOffset
    expect(host.observer.eventsOf('log-segment-missing')).toMatchObject([{ fields: { log: 'a-0', startOffset } }])
  })

  test.each(['retention', 'DeleteRecords', 'urgent'])(
    'by %s is not, whenever the power goes and whenever files are removed',
    async (way) => {
      for (const waitMs of [0, 1, 5, 30, 500, 1500, 5000]) {
        for (const end of ['kill', 'powerCut'] as const) {
          const { world, host, directory, log } = await several(2, { checkpointEveryBytes: 3000 })
          directory.onLoss(() => Promise.resolve(true))
          const before = log.segments.length
          if (way === 'retention') {
            log.updateConfig({ ...log.config, retentionBytes: 5000 })
            void directory.retain().catch(() => {})
          } else if (way === 'DeleteRecords') void log.deleteRecordsBefore(14).catch(() => {})
          else log.updateConfig({ ...log.config, retentionBytes: 3000, fileDeleteDelayMs: 1 })
          if (way === 'urgent') void directory.retain().catch(() => {})
          await world.runFor(waitMs)
          if (waitMs >= 500) expect(log.segments.length).toBeLessThan(before)
          host[end]()
          expect((await findings({ world, host })).filter(({ kind }) => kind === 'damaged')).toEqual([])
          const again = await world.settle(openSmall(host.boot()))
          expect(host.observer.eventsOf('log-segment-missing')).toEqual([])
          await world.settle(again.close())
          expect(host.image.filePaths().filter((path) => path.endsWith('.deleted'))).toEqual([])
          host.kill()
          await world.settle(openSmall(host.boot()))
          expect(host.observer.eventsOf('log-segment-missing')).toEqual([])
        }
      }
    },
  )
})

describe('the file of digests', () => {
  test('knows every sealed segment after a clean stop, also of those that several starts have written', async () => {
    const world = simWorld(5)
    const host = world.host('edge')
    for (let life = 0; life < 6; life++) {
      const directory = await world.settle(openSmall(host.boot(), { checkpointEveryBytes: 3000 }))
      const log = await world.settle(createSmall(directory, 'a', small))
      for (let index = 0; index < 9; index++) done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')])))
      await world.run(() => log.durableEndOffset === log.logEndOffset)
      if (life % 2 === 0) await world.settle(directory.close())
      if (life % 3 === 0) host.powerCut()
      else host.kill()
    }
    await world.settle((await world.settle(openSmall(host.boot()))).close())
    expect(segmentPaths(host).length).toBeGreaterThan(7)
    expect(expectTrue(host)).toBe(0)
  })

  test('is no loss: the scrub learns what it said, and writes nothing the second time', async () => {
    const place = await compacted(6)
    remove(place.host, file)
    expect(await findings(place)).toEqual([])
    await boot(place, { scrub })
    await place.world.settle(place.directory.scrubber.scrub())
    expect(place.host.observer.eventsOf('log-damaged')).toEqual([])
    expect(expectTrue(place.host)).toBe(0)
    const bytes = sizeOf(place.host, file)
    await place.world.settle(place.directory.scrubber.scrub())
    expect(sizeOf(place.host, file)).toBe(bytes)
  })

  test('counts for nothing when another broker has written since', async () => {
    const place = await compacted(7)
    const { disk } = place.host.boot()
    const quorum = [
      { kind: 'makeDirectory', path: '/data/log/__cluster_metadata-0' },
      {
        kind: 'writeFile',
        path: '/data/log/__cluster_metadata-0/quorum-state',
        bytes: Buffer.from('{"leaderEpoch":9}'),
      },
    ] as const
    const { sealText } = await import('../../src/log/checkpoint-file.ts')
    const own = { kind: 'writeFile', path: '/data/state/quorum-epoch', bytes: sealText(Buffer.from('3')) } as const
    await place.world.settle(disk.submit([...quorum, own]))
    place.host.kill()
    await boot(place)
    expect(place.host.observer.eventsOf('log-other-owner')).toHaveLength(1)
    expect(place.host.fileNow(file)).toBeNull()
  })

  test('has nothing above the recovery points: a start may cut there, and give the offsets to other records', async () => {
    const world = simWorld(9)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), { scrub, checkpointEveryBytes: 1_000_000 }))
    const log = await world.settle(createSmall(directory, 'a', small))
    for (let index = 0; index < 30; index++) done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')])))
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    await world.settle(directory.scrubber.scrub())
    expect(log.segments.length).toBeGreaterThan(3)
    expect(log.recoveryPoint).toBe(0)
    expect(host.fileNow(file)).toBeNull()
    await world.settle(directory.close())
    expect(expectTrue(host)).toBe(0)
  })

  test('stays small although segments come and go', async () => {
    const world = simWorld(8)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), { checkpointEveryBytes: 20_000 }))
    const log = await world.settle(createSmall(directory, 'a', { ...small, segmentBytes: 500, retentionBytes: 3000 }))
    followHighWatermark(log)
    let largest = 0
    for (let index = 0; index < 1500; index++) {
      done(appendOne(directory, log, batchOf([`${index}`.padEnd(300, '.')])))
      if (index % 50 !== 0) continue
      await world.run(() => log.durableEndOffset === log.logEndOffset)
      await world.settle(directory.retain())
      largest = Math.max(largest, sizeOf(host, file))
    }
    expect(largest).toBeGreaterThan(0)
    expect(largest).toBeLessThan(64 * (512 + 2 * 120 + 120))
    await world.settle(directory.close())
    expect(expectTrue(host)).toBe(0)
  })
})

/** Appends, rolls, retention, compaction, and a life that ends anywhere; then another one. Every start, scrub and check is content. */
async function history(seed: number): Promise<void> {
  const world = simWorld(seed)
  const host = world.host('edge')
  const cleanupPolicy = new Set(seed % 2 === 0 ? (['compact', 'delete'] as const) : (['delete'] as const))
  for (let life = 0; life < 4; life++) {
    const directory = await world.settle(openSmall(host.boot(), { checkpointEveryBytes: 4000, scrub }))
    const log = await world.settle(createSmall(directory, 'a', { ...small, cleanupPolicy, retentionBytes: 9000 }))
    followHighWatermark(log)
    await world.settle(directory.scrubber.scrub())
    for (const event of ['log-damaged', 'log-segment-missing'] as const)
      expect(host.observer.eventsOf(event), `seed ${seed}, life ${life}`).toEqual([])
    const steps = world.prng.between(10, 40)
    for (let step = 0; step < steps; step++) {
      appendOne(directory, log, batchOf([`${step}`.padEnd(300, '.')], { key: `${world.prng.below(6)}` }))
      if (world.prng.below(4) === 0) await world.runFor(world.prng.between(1, 40))
      if (world.prng.below(12) === 0) void directory.retain().catch(() => {})
      if (world.prng.below(8) === 0) void directory.compactor.compact()
    }
    await world.runFor(world.prng.between(0, 60))
    const end = world.prng.below(3)
    if (end === 0) await world.settle(directory.close())
    if (end === 1) host.powerCut()
    else host.kill()
    const damaged = (await findings({ world, host })).filter(({ kind }) => kind === 'damaged')
    expect(damaged, `seed ${seed}, life ${life}`).toEqual([])
  }
  expectTrue(host)
}

describe('a digest', () => {
  test('is never wrong, wherever a life ends (30 seeds)', async () => {
    for (let seed = 31; seed <= 60; seed++) await history(seed)
  })
})
