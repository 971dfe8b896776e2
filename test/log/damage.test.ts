import { describe, expect, test } from 'vitest'
import type { DiskOperation } from '../../src/base/ports.ts'
import { type CheckSummary, checkDirectory, type Finding } from '../../src/log/directory-check.ts'
import { examineSegment, type SegmentExamination } from '../../src/log/segment-examination.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { batchSizeInBytes } from '../../src/protocol/records/record-batch.ts'
import { simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, smallConfig } from './log-fixture.ts'
import {
  batchCount,
  batchesIn,
  boot,
  damages,
  folder,
  goesOn,
  logOf,
  type Place,
  sizeOf,
  stopped,
  unreadable,
} from './damage-fixture.ts'

/** What the check of the stopped directory says. It must not change anything. */
async function check(place: Place): Promise<{ readonly findings: readonly Finding[]; readonly summary: CheckSummary }> {
  const { disk } = place.host.boot()
  const findings: Finding[] = []
  disk.submit = (operations: readonly DiskOperation[]) => Promise.reject(new Error(`changed: ${operations[0]?.kind}`))
  const directories = { logDirectory: '/data/log', stateDirectory: '/data/state' }
  const summary = await place.world.settle(checkDirectory(directories, disk, (finding) => findings.push(finding)))
  place.host.kill()
  return { findings, summary }
}

/** What the log's folder holds. */
async function listing(place: Place): Promise<readonly { readonly name: string }[]> {
  const entries = await place.world.settle(place.host.boot().disk.list(folder))
  place.host.kill()
  return entries
}

/** Those of the offsets that the findings call damaged. */
function lostIn(findings: readonly Finding[], offsets: readonly number[]): readonly number[] {
  const damaged = findings.filter(({ kind }) => kind === 'damaged')
  if (offsets.length === 0) expect(damaged).toEqual([])
  return offsets.filter((offset) =>
    damaged.some(({ range }) => range !== undefined && offset >= range.fromOffset && offset < range.endOffset),
  )
}

const shares = [0, 0.013, 0.3, 0.5, 0.77, 0.999]
const marker = '/data/log/.kafka_cleanshutdown'
const stops = { 'a clean stop': false, 'an unclean stop': true }
const cases = Object.keys(damages).flatMap((damage) => Object.keys(stops).map((stop) => [damage, stop] as const))

/** A batch of one record, 256 bytes long: one bit of its length is as much as one, two or four of them. */
function batchOf256(): Uint8Array {
  const batch = batchOf(['.'.repeat(256 - batchOf(['']).length - 2)])
  expect(batch.length).toBe(256)
  return batch
}

/** What is known of a segment with these bytes that is examined. */
function segmentOf(bytes: Uint8Array, gapsAreNormal: boolean): SegmentExamination {
  return {
    disk: { read: (_path, at, length) => Promise.resolve(bytes.subarray(at, at + length)) },
    ...{ path: '/a', segmentBaseOffset: 0, sizeInBytes: bytes.length, endOffset: null, durableEndOffset: null },
    ...{ gapsAreNormal, epochAt: () => -1 },
  }
}

describe('a segment file', () => {
  test.each(cases)('with %s costs the batches that it touches and no others, after %s', async (name, stop) => {
    let seed = 1
    for (const which of [0, 2, -1]) {
      for (const share of name.startsWith('no ') ? [0] : shares) {
        const place = await stopped(seed++)
        const names = (await place.world.settle(place.host.boot().disk.list(folder))).map((entry) => entry.name)
        place.host.kill()
        const file = names
          .filter((each) => each.endsWith('.log') && sizeOf(place.host, `${folder}/${each}`) > 0)
          .at(which)
        const path = `${folder}/${file}`
        const batches = batchesIn(place, path)
        const before = Buffer.from(place.host.fileNow(path) ?? [])
        damages[name]?.(place.host, path, share)
        const after = place.host.fileNow(path) ?? new Uint8Array(0)
        const isChanged = (from: number, end: number): boolean =>
          Buffer.compare(before.subarray(from, end), after.subarray(from, end)) !== 0
        const touched = batches.filter(({ from, end }) => isChanged(from, end)).map(({ offset }) => offset)
        if (stops[stop as keyof typeof stops]) place.host.image.unlink(marker)
        const { findings } = await check(place)
        expect(lostIn(findings, touched), `${file} at ${share}`).toEqual(touched)
        await boot(place)
        const log = logOf(place)
        expect(log.logEndOffset, `${file} at ${share}`).toBe(batchCount * 2)
        expect(await unreadable(place), `${file} at ${share}`).toEqual(touched)
        // Where the first file is gone the log begins behind it, which its index gives away.
        const isFirstGone = which === 0 && name === 'no file'
        const id = isFirstGone ? 'log-segment-missing' : 'log-damaged'
        expect(place.host.observer.eventsOf(id).length > 0, `${file} at ${share}`).toBe(touched.length > 0)
        await goesOn(place)
        expect(await unreadable(place), `${file} at ${share}, once more`).toEqual(touched)
      }
    }
  })

  test('with a damage before a change of the epoch keeps what is behind it, although its index is gone too', async () => {
    const place = await stopped(4)
    const path = `${folder}/00000000000000000000.log`
    const names = batchesIn(place, path)
    for (const [which, segment] of [0, names.length - 1].entries()) {
      const again = await stopped(4 + which)
      again.host.corrupt(path, (batchesIn(again, path)[segment]?.from ?? 0) + 80, 1)
      for (const { name } of await listing(again)) {
        if (name.endsWith('index')) again.host.image.unlink(`${folder}/${name}`)
      }
      if (which === 1) again.host.image.unlink(marker)
      await boot(again)
      expect(await unreadable(again)).toEqual([names[segment]?.offset])
      expect(logOf(again).endOffsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 50 })
    }
  })

  test('with a wrong leader epoch above the recovery point leaves the epochs below it known, and what they wrote', async () => {
    const world = simWorld(33)
    const host = world.host('edge')
    let directory = await world.settle(openSmall(host.boot()))
    const created = await world.settle(createSmall(directory, 'a'))
    done(appendOne(directory, created, batchOf(['0'])))
    created.assignLeaderEpoch(1, 1)
    done(appendOne(directory, created, batchOf(['1'])))
    await world.run(() => created.durableEndOffset === 2)
    await world.settle(directory.close())
    host.kill()
    directory = await world.settle(openSmall(host.boot()))
    const log = directory.logs.get('a-0') as UnifiedLog
    log.updateConfig({ ...smallConfig, segmentBytes: 1_048_576 })
    // Too large for the journal, which would put it right.
    done(appendOne(directory, log, batchOf(['2'.repeat(400_000)])))
    await world.run(() => log.durableEndOffset === 3)
    host.kill()
    const path = `${folder}/00000000000000000000.log`
    const bytes = host.fileNow(path) as Uint8Array
    const third = 2 * batchSizeInBytes(bytes)
    expect([third + batchSizeInBytes(bytes, third), bytes[third + 15]]).toEqual([bytes.length, 1])
    host.corrupt(path, third + 15, 1)
    const again = (await world.settle(openSmall(host.boot()))).logs.get('a-0') as UnifiedLog
    const kinds: string[] = []
    for (let fromOffset = 0; fromOffset < again.logEndOffset; fromOffset++) {
      const request = { fromOffset, endOffset: again.logEndOffset, bytesMax: 1, minOneBatch: true }
      kinds.push((await world.settle(again.read(request))).kind)
    }
    expect(kinds).toEqual(['batches', 'batches', 'damaged'])
    expect(again.epochs.entries).toEqual([
      { epoch: 0, startOffset: 0 },
      { epoch: 1, startOffset: 1 },
    ])
  })

  test('of a log that has but one, damaged before its epoch changes, costs that batch alone', async () => {
    const world = simWorld(31)
    const host = world.host('edge')
    const first = await world.settle(openSmall(host.boot()))
    const log = await world.settle(createSmall(first, 'a'))
    for (let index = 0; index < 6; index++) {
      if (index === 3) log.assignLeaderEpoch(1, log.logEndOffset)
      done(appendOne(first, log, batchOf([`${index}`])))
    }
    await world.run(() => log.durableEndOffset === log.logEndOffset)
    await world.settle(first.close())
    host.kill()
    const path = `${folder}/00000000000000000000.log`
    host.corrupt(path, 64, 1)
    host.image.unlink(`${folder}/00000000000000000000.timeindex`)
    const again = (await world.settle(openSmall(host.boot()))).logs.get('a-0')
    if (again === undefined) throw new Error('gone')
    const read = (fromOffset: number) =>
      world.settle(again.read({ fromOffset, endOffset: 6, bytesMax: 1, minOneBatch: true }))
    const kinds: string[] = []
    for (let offset = 0; offset < 6; offset++) kinds.push((await read(offset)).kind)
    expect(kinds).toEqual(['damaged', 'batches', 'batches', 'batches', 'batches', 'batches'])
    expect(again.epochs.entries).toHaveLength(2)
  })

  test.each([
    ['in sequence', 1],
    ['with gaps, as compaction leaves them', 3],
  ])('with a batch length that leads to a later batch hides that batch alone, offsets %s', async (_name, step) => {
    const batches = Array.from({ length: 9 }, (_, index) => {
      const batch = batchOf256()
      Buffer.from(batch.buffer, batch.byteOffset).writeBigInt64BE(BigInt(index * step))
      return batch
    })
    const bytes = Buffer.concat(batches)
    // The length of the third counts two more.
    bytes[2 * 256 + 10] = 2
    const seen: number[] = []
    const examined = await examineSegment({
      ...segmentOf(bytes, step > 1),
      visit: (_bytes, _at, position) => void seen.push(position / 256),
    })
    expect(seen).toEqual([0, 1, 3, 4, 5, 6, 7, 8])
    expect(examined.damage).toMatchObject([{ position: 2 * 256, endPosition: 3 * 256, endOffset: 3 * step }])
  })

  test.each([
    // Moved down to where it is due, the first would end at 3 still.
    { base: 1, isLast: false, why: 'cannot end before it' },
    { base: 11, isLast: false, why: 'leaves it the place that it fills exactly' },
    { base: 11, isLast: true, why: 'leaves it the end of the segment' },
  ])('with an offset that is too low hides that batch alone: the one before it, behind a gap, $why', async (each) => {
    const { base, isLast } = each
    // Compaction has left out what is below the base.
    const offsets = [base, base + 3, ...(isLast ? [] : [base + 4])]
    const batches = offsets.map((offset) => {
      const batch = batchOf(offset === base ? ['a', 'b', 'c'] : ['d'])
      Buffer.from(batch.buffer, batch.byteOffset).writeBigInt64BE(BigInt(offset))
      return batch
    })
    const [first, second] = batches.map((batch) => batch.length) as [number, number]
    const bytes = Buffer.concat(batches)
    bytes[first + 7] = base === 1 ? 0 : base - 1
    const seen: number[] = []
    const examined = await examineSegment({
      ...segmentOf(bytes, true),
      ...(isLast ? { endOffset: base + 4 } : {}),
      visit: (_bytes, _at, position) => void seen.push(position),
    })
    expect(seen).toEqual(isLast ? [0] : [0, first + second])
    expect(examined.damage).toMatchObject([{ position: first, fromOffset: base + 3, endOffset: base + 4 }])
  })

  test.each([
    { offsets: [30, 35, 38], wrong: 1, reads: 3, end: null, why: 'of the two one is one bit from where it fits' },
    { offsets: [2, 9, 20], wrong: 0, reads: 18, end: null, why: 'of the two one is one bit from where it fits' },
    {
      offsets: [22, 27],
      wrong: 1,
      reads: 11,
      end: 30,
      why: 'of the two that are one bit from where they fit one would end where the segment does',
    },
  ])('whose offsets cannot both be right between gaps ($offsets) hides the batch of which $why', async (each) => {
    const { offsets, wrong, reads, end } = each
    const batches = offsets.map((offset, at) => {
      const batch = batchOf(['a', 'b', 'c'])
      Buffer.from(batch.buffer, batch.byteOffset).writeBigInt64BE(BigInt(at === wrong ? reads : offset))
      return batch
    })
    const places = batches.map((_, at) => batches.slice(0, at).reduce((sum, batch) => sum + batch.length, 0))
    const seen: number[] = []
    await examineSegment({
      ...segmentOf(Buffer.concat(batches), true),
      endOffset: end,
      visit: (_bytes, _at, position) => void seen.push(position),
    })
    expect(seen).toEqual(places.filter((_, at) => at !== wrong))
  })

  test.each(['before a clean start', 'before an unclean start', 'while it is served'])(
    'with a batch length that leads to its end %s hides that batch alone',
    async (when) => {
      const world = simWorld(32)
      const host = world.host('edge')
      const first = await world.settle(openSmall(host.boot()))
      const log = await world.settle(createSmall(first, 'a'))
      for (let index = 0; index < 3; index++) done(appendOne(first, log, batchOf256()))
      await world.run(() => log.durableEndOffset === log.logEndOffset)
      await world.settle(first.close())
      host.kill()
      // The first says that it is three long.
      const flip = (): void => host.corrupt(`${folder}/00000000000000000000.log`, 10, 2)
      if (when === 'before an unclean start') host.image.unlink(marker)
      if (when !== 'while it is served') flip()
      const again = (await world.settle(openSmall(host.boot()))).logs.get('a-0')
      if (when === 'while it is served') flip()
      const found: string[] = []
      for (const fromOffset of [1, 2, 0]) {
        const request = { fromOffset, endOffset: 3, bytesMax: 1, minOneBatch: true }
        const read = await world.settle(again?.read(request) ?? Promise.reject(new Error('gone')))
        found.push(read.kind === 'batches' ? `${fromOffset}: ${read.bytes.length}` : read.kind)
      }
      expect(found).toEqual(['1: 256', '2: 256', 'damaged'])
    },
  )

  test('whose damage comes while it is served is refused when the reader gets there', async () => {
    const place = await stopped(3)
    await boot(place)
    const path = `${folder}/00000000000000000000.log`
    const [, , third] = batchesIn(place, path)
    place.host.corrupt(path, (third?.from ?? 0) + 100, 4)
    expect(await unreadable(place)).toEqual([4])
    expect(logOf(place).damage.ranges).toMatchObject([{ fromOffset: 4, endOffset: 6, path }])
  })

  test.each([
    ['base offset', 7, 0x02],
    ['base offset, high', 4, 0x01],
    ['batch length', 11, 0x08],
    ['leader epoch', 15, 0x01],
    ['magic', 16, 0x02],
    ['CRC', 17, 0x80],
    ['attributes', 22, 0x08],
    ['last offset delta', 26, 0x01],
    ['max timestamp', 37, 0x40],
    ['record count', 60, 0x01],
  ])('with a flipped bit in the %s of any batch hides that batch alone', async (_field, at, mask) => {
    for (const which of [0, 1, 9, 30, 58, 59]) {
      const place = await stopped(which + 1)
      const offset = which * 2
      const path = `${folder}/${logNameOf(place, offset)}`
      const batch = batchesIn(place, path).find((each) => each.offset === offset)
      place.host.corrupt(path, (batch?.from ?? 0) + at, mask)
      await boot(place)
      expect(await unreadable(place), `batch ${which}`).toEqual([offset])
      await goesOn(place)
    }
  })
})

function logNameOf(place: Place, offset: number): string {
  const { segments } = logOf(place)
  return `${segments.findLast((segment) => segment.baseOffset <= offset)?.name}.log`
}

describe('any other file', () => {
  const files = [
    `${folder}/00000000000000000000.index`,
    `${folder}/00000000000000000000.timeindex`,
    `${folder}/*.index`,
    `${folder}/*.timeindex`,
    `${folder}/*.snapshot`,
    `${folder}/leader-epoch-checkpoint`,
    `${folder}/partition.metadata`,
    '/data/log/recovery-point-offset-checkpoint',
    '/data/log/replication-offset-checkpoint',
    '/data/log/log-start-offset-checkpoint',
    '/data/log/meta.properties',
    marker,
    '/data/state/recovery-points',
    '/data/state/log-starts',
    '/data/state/meta.properties',
    '/data/state/journal',
  ]
  const table = files.flatMap((file) => cases.map(([damage, stop]) => [file, damage, stop] as const))
  test.each(table)('%s with %s costs no record, after %s', async (file, name, stop) => {
    for (const [at, share] of (name.startsWith('no ') ? [0] : shares).entries()) {
      const place = await stopped(at + 1)
      const names = (await place.world.settle(place.host.boot().disk.list(folder))).map((entry) => entry.name)
      place.host.kill()
      const ending = /\*(.*)$/.exec(file)?.[1]
      const path = ending === undefined ? file : `${folder}/${names.findLast((each) => each.endsWith(ending))}`
      if (place.host.fileNow(path) === null) continue
      if (stops[stop as keyof typeof stops]) place.host.image.unlink(marker)
      if (place.host.fileNow(path) !== null) damages[name]?.(place.host, path, share)
      await boot(place)
      const log = logOf(place)
      expect([log.logEndOffset, log.logStartOffset], `at ${share}`).toEqual([batchCount * 2, 0])
      expect(await unreadable(place), `at ${share}`).toEqual([])
      expect(await place.world.settle(log.offsetForTimestamp(10_033))).toMatchObject({ offset: 66 })
      const again = batchOf(['x', 'y'], { producerId: 7, producerEpoch: 0, baseSequence: batchCount * 2 - 2 })
      expect(appendOne(place.directory, log, again).kind).toBe('duplicate')
      expect(log.endOffsetForEpoch(0)).toEqual({ epoch: 0, endOffset: 50 })
      await goesOn(place)
    }
  })
})

describe('the check of a stopped directory', () => {
  test('finds nothing in a whole one, and counts what it holds', async () => {
    const { findings, summary } = await check(await stopped(1))
    expect(findings).toEqual([])
    expect(summary).toMatchObject({ logs: 1, batches: batchCount, wasClean: true })
    expect(summary.segments).toBeGreaterThan(3)
  })

  test.each([
    [`${folder}/00000000000000000000.index`, 12],
    [`${folder}/00000000000000000000.timeindex`, 3],
    [`${folder}/leader-epoch-checkpoint`, 6],
    [`${folder}/partition.metadata`, 30],
    [`${folder}/*.snapshot`, 20],
    ['/data/state/recovery-points', 9],
    ['/data/log/recovery-point-offset-checkpoint', 2],
    ['/data/log/meta.properties', 30],
  ])('calls %s with a flipped bit a file to be rebuilt, not a damage', async (file, at) => {
    const place = await stopped(2)
    const names = (await place.world.settle(place.host.boot().disk.list(folder))).map((entry) => entry.name)
    place.host.kill()
    const path = file.replace('*.snapshot', names.find((name) => name.endsWith('.snapshot')) ?? '')
    place.host.corrupt(path, at, 0x40)
    expect((await check(place)).findings).toMatchObject([{ kind: 'hint', file: path }])
  })
})

describe('the scrub', () => {
  const scrub = { bytesPerSecond: 16_384, everyMs: 86_400_000 }

  test('gets everywhere in a log that is more than a day of a box which is switched off every evening', async () => {
    const place = await stopped(33)
    const { world, host } = place
    const names = (await listing(place)).map(({ name }) => name).filter((name) => name.endsWith('.log'))
    const path = `${folder}/${names.filter((name) => sizeOf(host, `${folder}/${name}`) > 0).at(-2)}`
    host.corrupt(path, 200, 1)
    let days = 0
    const isFound = (): boolean => host.observer.eventsOf('log-damaged').length > 0
    for (; days < 60 && !isFound(); days++) {
      await boot(place, { scrub: { bytesPerSecond: 4096, everyMs: 60_000 } })
      await world.runFor(65_000)
      expect(host.observer.eventsOf('log-scrubbed')).toEqual([])
      await world.settle(place.directory.close())
      host.kill()
    }
    expect(isFound()).toBe(true)
  })

  test('finds damage that no reader has met, tells of it once, and reads no faster than it may', async () => {
    const place = await stopped(5)
    await boot(place, { scrub })
    const { host, world } = place
    const path = `${folder}/00000000000000000000.log`
    host.corrupt(path, (batchesIn(place, path)[4]?.from ?? 0) + 80, 1)
    const bytes = logOf(place).sizeInBytes
    await world.runFor(600_000 + (bytes / scrub.bytesPerSecond) * 500)
    const half = host.observer.figure('headwater_log_scrubbed_bytes_total')
    expect(half).toBeGreaterThan(0)
    expect(half).toBeLessThan(bytes)
    await world.run(() => host.observer.eventsOf('log-scrubbed').length === 1, 600_000)
    expect(host.observer.eventsOf('log-damaged')).toMatchObject([{ fields: { offset: 8, endOffset: 10, file: path } }])
    await world.run(() => host.observer.eventsOf('log-scrubbed').length === 2, 90_000_000)
    expect(host.observer.eventsOf('log-damaged')).toHaveLength(1)
    expect(await unreadable(place)).toEqual([8])
  })

  test('begins its first pass no later after a start than the next after that', async () => {
    const place = await stopped(5)
    await boot(place, { scrub: { bytesPerSecond: 1e9, everyMs: 60_000 } })
    await place.world.run(() => place.host.observer.eventsOf('log-scrubbed').length === 1, 61_000)
  })

  test('finds it in the segment that is appended to, while it is appended to', async () => {
    const place = await stopped(6)
    await boot(place, { scrub })
    const log = logOf(place)
    const path = log.activeSegment.logPath
    const [first] = batchesIn(place, path)
    place.host.corrupt(path, (first?.from ?? 0) + 80, 1)
    const passing = place.directory.scrubber.scrub()
    for (let index = 0; index < 5; index++) done(appendOne(place.directory, log, batchOf(['x', 'y'])))
    await place.world.settle(passing)
    expect(log.damage.ranges).toMatchObject([{ fromOffset: first?.offset, endOffset: (first?.offset ?? 0) + 2 }])
    expect(await unreadable(place)).toEqual([first?.offset])
    expect(log.activeSegment.logPath).not.toBe(path)
    await goesOn(place)
  })
})
