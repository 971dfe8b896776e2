/** Files of the cluster beside its log: their disk is the directory's, and so is what happens to it. */
import { describe, expect, it } from 'vitest'
import { confirmRecovery } from '../../src/recover-confirm.ts'
import type { DiskFault } from '../sim/disk-faults.ts'
import {
  type ClusterLife,
  type ClusterWorld,
  clusterWorld,
  creationOf,
  startCluster,
  stopCluster,
} from './cluster-fixture.ts'

const metadataFolder = '/data/log/__cluster_metadata-0'

/** A life with some topics, the fault in its way from now on, and what it makes of a snapshot. */
async function snapshotUnder(
  fault: DiskFault,
): Promise<{ place: ClusterWorld; life: ClusterLife; recover: () => void }> {
  const place = clusterWorld()
  const life = await startCluster(place)
  for (const name of ['a', 'b', 'c']) await place.world.settle(life.cluster.createTopic(creationOf(name)))
  const recover = place.host.failDisk(fault)
  await place.world.settle(life.cluster.controller.takeSnapshot('if whole').catch(() => {}))
  return { place, life, recover }
}

function temporaries(place: ClusterWorld): string[] {
  return place.host.image.filePaths().filter((path) => path.endsWith('.tmp'))
}

describe('a metadata snapshot', () => {
  it.each([
    { operation: 'sync', path: /checkpoint\.tmp/, code: 'EIO' },
    { operation: 'sync', path: /checkpoint\.tmp/, code: 'ENOSPC' },
    { operation: 'writeFile', path: /checkpoint\.tmp/, code: 'EROFS' },
    { operation: 'rename', path: /checkpoint\.tmp/, code: 'EIO' },
    { operation: 'syncDirectory', path: /__cluster_metadata-0$/, code: 'EIO' },
  ] as const)('that meets $code at its $operation takes the directory out of service', async (fault) => {
    const { place, life } = await snapshotUnder(fault)
    expect(life.directory.failure?.message).toContain(fault.code)
    expect(place.host.observer.eventsOf('log-directory-failed')).toHaveLength(1)
    expect(life.cluster.partitions.get('a', 0)?.isLeader).toBe(false)
    await expect(place.world.settle(life.cluster.createTopic(creationOf('d')))).rejects.toThrow()
  })

  it.each([
    { operation: 'writeFile', path: /checkpoint\.tmp/, code: 'ENOSPC' },
    { operation: 'rename', path: /checkpoint\.tmp/, code: 'EDQUOT' },
  ] as const)('that finds no room at its $operation is taken another time, and leaves nothing', async (fault) => {
    const { place, life, recover } = await snapshotUnder(fault)
    expect(life.directory.failure).toBeNull()
    expect(temporaries(place)).toEqual([])
    expect(life.directory.space.refusal).toBeNull()
    recover()
    await place.world.settle(life.cluster.controller.takeSnapshot('if whole'))
    expect(place.host.observer.eventsOf('metadata-snapshot-taken')).toHaveLength(1)
    await stopCluster(place, life)
  })
})

/** A directory whose metadata log is gone, so that the next start holds deletion. */
async function withoutMetadata(): Promise<ClusterWorld> {
  const place = clusterWorld()
  const life = await startCluster(place)
  await place.world.settle(life.cluster.createTopic(creationOf('a')))
  await stopCluster(place, life)
  for (const path of place.host.image.filePaths()) if (path.startsWith(metadataFolder)) place.host.image.unlink(path)
  place.host.image.removeDirectory(metadataFolder)
  place.host.image.syncDirectory('/data/log')
  return place
}

describe('the hold of deletions', () => {
  it('whose file cannot be synced takes the directory out of service: after a restart nothing would be held', async () => {
    const place = await withoutMetadata()
    place.host.failDisk({ operation: 'sync', path: /recovery-hold/, code: 'EIO' })
    await expect(startCluster(place)).rejects.toThrow()
    expect(place.host.observer.eventsOf('log-directory-failed')).toHaveLength(1)
  })

  it('holds on a full disk too, and is written when there is room', async () => {
    const place = await withoutMetadata()
    const recover = place.host.failDisk({ operation: 'writeFile', path: /recovery-hold/, code: 'ENOSPC' })
    const life = await startCluster(place)
    expect(life.cluster.hold.reason).not.toBeNull()
    const written = (): string => Buffer.from(place.host.fileNow('/data/state/recovery-hold') ?? []).toString()
    expect(written()).toBe('')
    recover()
    await place.world.run(() => written().includes('metadata'), 20_000)
    expect(life.directory.failure).toBeNull()
    await stopCluster(place, life)
  })

  it('that stands there and cannot be read holds, and is confirmed', async () => {
    const place = await withoutMetadata()
    await stopCluster(place, await startCluster(place))
    place.host.failDisk({ operation: 'readFile', path: /recovery-hold/, code: 'EIO' })
    const life = await startCluster(place)
    expect(life.cluster.hold.reason).toContain('EIO')
    expect(await place.world.settle(confirmRecovery({ dataDir: '/data' }, life.ports.disk))).not.toBeNull()
    await place.world.run(() => life.cluster.hold.reason === null, 20_000)
    await stopCluster(place, life)
  })

  it('outlives a start on a disk that has room for its name alone, and is confirmed there', async () => {
    const place = await withoutMetadata()
    place.host.failDisk({ operation: 'writeFile', path: /recovery-hold.tmp/, code: 'ENOSPC' })
    await startCluster(place)
    place.host.powerCut()
    const { cluster, ports } = await startCluster(place)
    expect(cluster.hold.reason).toMatch(/metadata/)
    expect(await place.world.settle(confirmRecovery({ dataDir: '/data' }, ports.disk))).toMatch(/metadata/)
    await place.world.run(() => cluster.hold.reason === null, 20_000)
  })

  it('has its name written while all else waits for room', async () => {
    const place = clusterWorld()
    const life = await startCluster(place)
    await place.world.settle(life.cluster.createTopic(creationOf('a')))
    await stopCluster(place, life)
    const { image, faults } = place.host
    const isGone = (path: string): boolean =>
      path.endsWith('/recovery-points') || (path.startsWith(metadataFolder) && /\.(log|checkpoint)$/.test(path))
    for (const path of image.filePaths()) if (isGone(path)) image.unlink(path)
    for (const path of [metadataFolder, '/data/state']) image.syncDirectory(path)
    faults.add({ operation: 'writeFile', path: /recovery-(points|hold).tmp/, code: 'ENOSPC' })
    await expect(startCluster(place)).rejects.toThrow(/did not hold within/)
    place.host.powerCut()
    faults.clear()
    expect((await startCluster(place)).cluster.hold.reason).toMatch(/no room/)
  })
})
