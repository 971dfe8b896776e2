/** The byte budget holds over everything that a directory takes, not only over users' records. */
import { describe, expect, test } from 'vitest'
import type { LogDirectory } from '../../src/log/log-directory.ts'
import { ownReserveBytes } from '../../src/log/space-guard.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { type SimWorld, simWorld } from '../sim/world.ts'
import { followHighWatermark } from './compaction/compaction-fixture.ts'
import { appendOne, batchOf, createSmall, openSmall } from './log-fixture.ts'

const budgetBytes = 600_000
const compact = new Set(['compact'] as const)

let appended = 0

/** Appends until it is refused; answers how many were taken. */
async function fillUp(world: SimWorld, directory: LogDirectory, log: UnifiedLog, countMax = 3000): Promise<number> {
  for (let count = 0; count < countMax; count++) {
    appended++
    const key = appended % 5 === 0 ? 'often' : `k${appended}`
    const producer = { producerId: 1000 + count, producerEpoch: 0, baseSequence: 0, key }
    const [outcome] = directory.appendSet([
      { log, batch: batchOf([`${count}`.padEnd(700, '.')], producer), leaderEpoch: 0, origin: 'internal' },
    ])
    if (outcome?.kind !== 'appended') return count
    await world.runFor(5)
  }
  return countMax
}

describe('the budget', () => {
  test('counts what small files take: snapshots of producers, checkpoints, digests, foreign ones beside them', async () => {
    const world = simWorld(1)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), { space: { budgetBytes: 10_000_000 } }))
    for (const topic of ['a', '__own']) {
      const log = await world.settle(createSmall(directory, topic, { segmentBytes: 8000 }))
      expect(await fillUp(world, directory, log, 300)).toBe(300)
    }
    const small = host.image
      .filePaths()
      .filter((path) => /\.snapshot$|state\/(recovery-points|segment-digests)$/.test(path))
    const bytes = small.reduce((sum, path) => sum + (host.fileNow(path)?.length ?? 0), 0)
    // Several hundred producers in each of many snapshots: no small part of the whole.
    expect(bytes).toBeGreaterThan(host.image.usedBytes / 10)
    // What another program has put there takes room too.
    host.image.write('/data/log/__own-0/notes.checkpoint', 0, [new Uint8Array(50_000)])
    await world.runFor(31_000)
    await world.settle(directory.checkSpace())
    const used = directory.space.usedBytes
    expect(used).toBeGreaterThanOrEqual(host.image.usedBytes * 0.98)
    expect(used).toBeLessThan(host.image.usedBytes * 1.1)
  })

  test("is not passed by this node's own topics by more than their reserve, and those that lead out of it go on", async () => {
    const world = simWorld(2)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), { space: { budgetBytes } }))
    const log = await world.settle(createSmall(directory, 'a', { retentionBytes: 50_000, fileDeleteDelayMs: 100 }))
    const own = await world.settle(createSmall(directory, '__own'))
    const ways = ['__cluster_metadata', '__headwater_loss_ledger']
    const wayOut = await world.settle(Promise.all(ways.map((topic) => createSmall(directory, topic))))
    for (const each of [log, own, ...wayOut]) followHighWatermark(each)
    expect(await fillUp(world, directory, log)).toBeLessThan(3000)
    const more = await fillUp(world, directory, own)
    expect(more).toBeGreaterThan(0)
    expect(more).toBeLessThan(3000)
    const most = budgetBytes + ownReserveBytes(budgetBytes)
    expect(host.image.usedBytes).toBeLessThan(most * 1.02)
    for (const each of wayOut) expect(await fillUp(world, directory, each, 3)).toBe(3)
    await world.settle(directory.retain())
    await world.run(() => directory.space.refusal === null, 20_000)
    expect(await fillUp(world, directory, own, 3)).toBe(3)
    expect(appendOne(directory, log, batchOf(['x'])).kind).toBe('appended')
  })

  test('is kept by what comes faster than the disk takes it, and what the node writes for itself goes on beside it', async () => {
    const most = 6_000_000
    const world = simWorld(4)
    const host = world.host('edge')
    const directory = await world.settle(openSmall(host.boot(), { space: { budgetBytes: most } }))
    const log = await world.settle(createSmall(directory, 'a'))
    const own = await world.settle(createSmall(directory, '__own'))
    await world.settle(directory.checkSpace())
    const big = (): Uint8Array => batchOf([''.padEnd(5000, '.')])
    let taken = 0
    while (taken < 2000 && appendOne(directory, log, big()).kind === 'appended') taken++
    expect(taken).toBeGreaterThan(500)
    expect(taken * 5000).toBeLessThan(most + ownReserveBytes(most))
    expect(appendOne(directory, own, batchOf(['offset'])).kind).toBe('appended')
    await world.settle(directory.checkSpace())
    await world.run(() => log.durableEndOffset === log.logEndOffset && own.durableEndOffset === 1, 20_000)
    expect(host.image.usedBytes).toBeLessThan(most * 1.05)
  })

  test('counts the file that compaction writes, and gives up nothing for it', async () => {
    const world = simWorld(3)
    const host = world.host('edge')
    const options = { space: { budgetBytes, whenFull: 'drop-oldest' as const } }
    const slow = { ...options, compaction: { bytesPerSecond: 10_000 } }
    const directory = await world.settle(openSmall(host.boot(), slow))
    const old = await world.settle(createSmall(directory, 'old'))
    const log = await world.settle(createSmall(directory, 'kept', { cleanupPolicy: compact, segmentBytes: 60_000 }))
    for (const each of [old, log]) followHighWatermark(each)
    directory.onLoss(() => Promise.resolve(true))
    await fillUp(world, directory, old, 60)
    // Less room is left than the new file will take.
    while (directory.space.usedBytes < budgetBytes - 30_000) await fillUp(world, directory, log, 1)
    expect(host.observer.eventsOf('log-data-dropped')).toHaveLength(0)
    const pass = directory.compactor.compact()
    await world.run(() => directory.compactor.cleaningBytes > 0, 60_000)
    const isThere = (): boolean => host.image.filePaths().some((path) => path.endsWith('.log.cleaned'))
    await world.run(isThere, 60_000)
    await world.run(() => directory.space.usedBytes > budgetBytes, 60_000)
    await world.settle(directory.checkSpace())
    expect(directory.space.usedBytes).toBeGreaterThanOrEqual(host.image.usedBytes * 0.98)
    expect(host.image.usedBytes).toBeLessThan(budgetBytes + ownReserveBytes(budgetBytes))
    await world.settle(pass)
    expect(directory.compactor.cleaningBytes).toBe(0)
    expect(host.observer.eventsOf('log-data-dropped')).toHaveLength(0)
    await world.settle(directory.close())
  })
})
