/** A stopped data directory with one log, ways to damage its files, and what can be read of it then. */
import { expect } from 'vitest'
import type { LogDirectory, LogDirectoryOptions } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { batchSizeInBytes } from '../../src/protocol/records/record-batch.ts'
import type { SimHost } from '../sim/host.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { appendOne, batchOf, createSmall, done, openSmall, smallConfig } from './log-fixture.ts'

export const batchCount = 60
export const folder = '/data/log/a-0'

export interface Place {
  readonly world: SimWorld
  readonly host: SimHost
  /** What was appended, as it was stored, by base offset: two records a batch. */
  readonly stored: ReadonlyMap<number, Uint8Array>
  directory: LogDirectory
}

export const logOf = (place: Place): UnifiedLog => {
  const log = place.directory.logs.get('a-0') as UnifiedLog
  log.updateConfig({ ...smallConfig, segmentBytes: 8192 })
  return log
}

/** A stopped directory with a log of some segments, two leader epochs and a producer. Nothing of it is in memory any more. */
export async function stopped(seed: number): Promise<Place> {
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

export async function boot(place: Place, options: Partial<LogDirectoryOptions> = {}): Promise<void> {
  place.directory = await place.world.settle(openSmall(place.host.boot(), options))
}

export type Damage = (host: SimHost, path: string, share: number) => void

function truncate(host: SimHost, path: string, size: number): void {
  host.image.truncate(path, size)
  host.image.file(path).sync()
}

export const sizeOf = (host: SimHost, path: string): number => host.fileNow(path)?.length ?? 0
export const damages: Readonly<Record<string, Damage>> = {
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
export function batchesIn(place: Place, path: string): readonly { offset: number; from: number; end: number }[] {
  const bytes = place.host.fileNow(path) ?? new Uint8Array(0)
  const found = []
  for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
    const offset = Number(Buffer.from(bytes.buffer, bytes.byteOffset + at, 8).readBigInt64BE(0))
    found.push({ offset, from: at, end: at + batchSizeInBytes(bytes, at) })
  }
  return found
}

/** Offsets of the batches that cannot be read; every other one must be what was stored. */
export async function unreadable(place: Place): Promise<number[]> {
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
export async function goesOn(place: Place): Promise<void> {
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
