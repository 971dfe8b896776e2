import { describe, expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { batchSizeInBytes } from '../../src/protocol/records/record-batch.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, smallConfig } from './log-fixture.ts'

const batchCount = 60
const folder = '/data/log/a-0'

interface Place {
  readonly world: SimWorld
  readonly host: SimHost
  /** What was appended, as it was stored, by base offset: two records a batch. */
  readonly stored: ReadonlyMap<number, Uint8Array>
  directory: LogDirectory
}

const logOf = (place: Place): UnifiedLog => {
  const log = place.directory.logs.get('a-0') as UnifiedLog
  log.updateConfig({ ...smallConfig, segmentBytes: 8192 })
  return log
}

/** A stopped directory with a log of some segments, two leader epochs and a producer. Nothing of it is in memory any more. */
async function stopped(seed: number): Promise<Place> {
  const world = simWorld(seed)
  const host = world.host('edge')
  const directory = await world.settle(openSmall(host.boot()))
  const log = await world.settle(createSmall(directory, 'a'))
  const stored = new Map<number, Uint8Array>()
  for (let index = 0; index < batchCount; index++) {
    const texts = [`${index}a`.padEnd(200, '.'), `${index}b`.padEnd(200, '.')]
    const producer = { producerId: 7, producerEpoch: 0, baseSequence: index * 2 }
    if (index === 25) log.assignLeaderEpoch(1, log.logEndOffset)
    const batch = batchOf(texts, { ...producer, timestampMs: 10_000 + index })
    const { baseOffset } = done(appendOne(directory, log, batch))
    stored.set(baseOffset, batch.slice())
    if (index % 7 === 0) await world.run(() => log.durableEndOffset === log.logEndOffset)
  }
  await world.run(() => log.durableEndOffset === log.logEndOffset)
  log.highWatermark = log.durableEndOffset
  await world.settle(directory.close(3))
  host.kill()
  return { world, host, stored, directory }
}

async function boot(place: Place): Promise<void> {
  place.directory = await place.world.settle(openSmall(place.host.boot()))
}

type Damage = (host: SimHost, path: string, share: number) => void

function truncate(host: SimHost, path: string, size: number): void {
  host.image.truncate(path, size)
  host.image.file(path).sync()
}

const sizeOf = (host: SimHost, path: string): number => host.fileNow(path)?.length ?? 0
const damages: Readonly<Record<string, Damage>> = {
  'a flipped bit'(host, path, share) {
    host.corrupt(path, Math.floor(sizeOf(host, path) * share), 0x10)
  },
  'a zeroed sector'(host, path, share) {
    const bytes = host.fileNow(path) ?? new Uint8Array(0)
    const from = Math.floor((bytes.length * share) / 512) * 512
    bytes.slice(from, from + 512).forEach((byte, at) => host.corrupt(path, from + at, byte))
  },
  'a torn tail'(host, path, share) {
    truncate(host, path, Math.floor(sizeOf(host, path) * share))
  },
  'no content'(host, path) {
    truncate(host, path, 0)
  },
  'no file'(host, path) {
    host.image.unlink(path)
    host.image.syncDirectory(path.replace(/\/[^/]*$/, ''))
  },
}

/** Base offsets of the batches that a file of the log held, with their positions. */
function batchesIn(place: Place, path: string): readonly { offset: number; from: number; end: number }[] {
  const bytes = place.host.fileNow(path) ?? new Uint8Array(0)
  const found = []
  for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
    const offset = Number(Buffer.from(bytes.buffer, bytes.byteOffset + at, 8).readBigInt64BE(0))
    found.push({ offset, from: at, end: at + batchSizeInBytes(bytes, at) })
  }
  return found
}

/** Offsets of the batches that cannot be read; every other one must be what was stored. */
async function unreadable(place: Place): Promise<number[]> {
  const log = logOf(place)
  const missing: number[] = []
  for (const [offset, batch] of place.stored) {
    const request = { fromOffset: offset, endOffset: log.logEndOffset, bytesMax: 1, minOneBatch: true }
    const read = log.readHot(request) ?? (await place.world.settle(log.read(request)))
    if (read.kind !== 'batches') missing.push(offset)
    else expect(Buffer.compare(read.bytes, batch), `the batch at ${offset}`).toBe(0)
  }
  return missing
}

/** The log goes on: behind everything that was there, also after another start. */
async function goesOn(place: Place): Promise<void> {
  const before = logOf(place)
  const { baseOffset } = done(appendOne(place.directory, before, batchOf(['more', 'and more'])))
  expect(baseOffset).toBeGreaterThanOrEqual(batchCount * 2)
  await place.world.run(() => before.durableEndOffset === before.logEndOffset)
  place.host.powerCut()
  await boot(place)
  const log = logOf(place)
  const request = { fromOffset: baseOffset, endOffset: log.logEndOffset, bytesMax: 1, minOneBatch: true }
  expect((await place.world.settle(log.read(request))).kind).toBe('batches')
}

const shares = [0, 0.013, 0.3, 0.5, 0.77, 0.999]
const marker = '/data/log/.kafka_cleanshutdown'
const stops = { 'a clean stop': false, 'an unclean stop': true }
const cases = Object.keys(damages).flatMap((damage) => Object.keys(stops).map((stop) => [damage, stop] as const))

describe('a segment file', () => {
  test.each(cases)('with %s costs the batches that it touches and no others, after %s', async (name, stop) => {
    let seed = 1
    for (const which of [0, 2, -1]) {
      for (const share of name.startsWith('no ') ? [0] : shares) {
        const place = await stopped(seed++)
        const names = (await place.world.settle(place.host.boot().disk.list(folder))).map((entry) => entry.name)
        place.host.kill()
        const file = names.filter((each) => each.endsWith('.log') && sizeOf(place.host, `${folder}/${each}`) > 0).at(which)
        const path = `${folder}/${file}`
        const batches = batchesIn(place, path)
        const before = Buffer.from(place.host.fileNow(path) ?? [])
        damages[name]?.(place.host, path, share)
        const after = place.host.fileNow(path) ?? new Uint8Array(0)
        const isChanged = (from: number, end: number): boolean =>
          Buffer.compare(before.subarray(from, end), after.subarray(from, end)) !== 0
        const touched = batches.filter(({ from, end }) => isChanged(from, end)).map(({ offset }) => offset)
        if (stops[stop as keyof typeof stops]) place.host.image.unlink(marker)
        await boot(place)
        const log = logOf(place)
        const isFirstGone = which === 0 && after.length === 0 && log.logStartOffset > 0
        expect(log.logEndOffset, `${file} at ${share}`).toBe(batchCount * 2)
        expect(await unreadable(place), `${file} at ${share}`).toEqual(touched)
        if (touched.length > 0 && !isFirstGone) {
          expect(place.host.observer.eventsOf('log-damaged').length, `${file} at ${share}`).toBeGreaterThan(0)
          expect(place.host.observer.figure('headwater_log_damaged_ranges_total')).toBeGreaterThan(0)
        }
        await goesOn(place)
        expect(await unreadable(place), `${file} at ${share}, once more`).toEqual(touched)
      }
    }
  })

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
