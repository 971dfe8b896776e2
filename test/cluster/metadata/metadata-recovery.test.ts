/** What a node does whose metadata is damaged or gone: older generations, then the directories of the logs; nothing is deleted. */
import { describe, expect, it } from 'vitest'
import { Cluster } from '../../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../../src/cluster/metadata/broker-config.ts'
import type { MetadataImage } from '../../../src/cluster/metadata/metadata-image.ts'
import { snapshotsIn } from '../../../src/cluster/metadata/metadata-snapshot.ts'
import { checkDirectory, type Finding } from '../../../src/log/directory-check.ts'
import { LogDirectory } from '../../../src/log/log-directory.ts'
import { confirmRecovery } from '../../../src/recover-confirm.ts'
import { batchOf } from '../../log/log-fixture.ts'
import {
  type ClusterLife,
  type ClusterWorld,
  clusterWorld,
  creationOf,
  startCluster,
  stopCluster,
  topicOf,
  wordOf,
} from '../cluster-fixture.ts'

const folder = '/data/log/__cluster_metadata-0'

function described(image: MetadataImage): unknown {
  return [...image.topics()]
    .map(({ name, topicId, partitions }) => ({
      name,
      topicId,
      partitions: partitions.length,
      configs: [...image.configs(2, name)],
    }))
    .toSorted((a, b) => a.name.localeCompare(b.name))
}

async function namesIn(place: ClusterWorld, { ports }: ClusterLife, path = folder): Promise<string[]> {
  return (await place.world.settle(ports.disk.list(path))).map(({ name }) => name)
}

/** Some topics with records, one of them with a setting; stopped cleanly. Answers what the metadata said. */
async function filled(place: ClusterWorld): Promise<unknown> {
  const life = await startCluster(place)
  const configs = new Map([['retention.ms', '60000']])
  await place.world.settle(life.cluster.createTopic(creationOf('a', { partitions: 3 })))
  await place.world.settle(life.cluster.createTopic(creationOf('b', { configs })))
  await place.world.settle(life.cluster.createTopic(creationOf('gone')))
  await place.world.settle(life.cluster.deleteTopic(life.cluster.image.topic('gone')?.topicId ?? ''))
  const partition = life.cluster.partitions.get('a', 1)
  if (partition === undefined) throw new Error('not served')
  const timestampMs = life.ports.clock.wallMs()
  const fields = { producerId: 5_000_000, producerEpoch: 0, baseSequence: 0, timestampMs }
  life.cluster.partitions.appendSet([{ partition, batch: batchOf(['x', 'y'], fields), origin: 'client' }])
  await place.world.settle(new Promise((resolve) => partition.whenHighWatermark(2, resolve)))
  const before = described(life.cluster.image)
  await stopCluster(place, life)
  return before
}

/** A file of the metadata log is lost for good. */
function remove(place: ClusterWorld, path: string): void {
  place.host.image.unlink(path)
  place.host.image.syncDirectory(path.replace(/\/[^/]*$/, ''))
}

/** Starts once more; answers what is in the folder of the metadata then. */
async function lookAround(place: ClusterWorld): Promise<readonly string[]> {
  const life = await startCluster(place)
  const names = await namesIn(place, life)
  await stopCluster(place, life)
  return names
}

/** The metadata and our copies of what is known of it are gone. */
function loseMetadata(place: ClusterWorld, names: readonly string[]): void {
  for (const name of names) remove(place, `${folder}/${name}`)
  for (const name of ['recovery-points', 'quorum-epoch', 'log-starts']) remove(place, `/data/state/${name}`)
}

/** A start whose world goes no further by itself. */
async function beginStart({ host }: ClusterWorld): Promise<void> {
  const ports = host.boot()
  const directory = await LogDirectory.open({ dataDir: '/data', nodeId: 1 }, ports)
  const settings = new BrokerSettings(new Map())
  await Cluster.open({ directory, settings, ports, isInternal: (topic) => topic.startsWith('__'), endPoints: [] })
}

/** A directory becomes that of another topic, as after a restore that has put two together. */
async function makeStrange(place: ClusterWorld, key: string): Promise<void> {
  const life = await startCluster(place)
  const path = `/data/log/${key}/partition.metadata`
  const bytes = Buffer.from('version: 0\ntopic_id: AAAAAAAAAAAAAAAAAAABBB')
  await place.world.settle(life.directory.close())
  const write = { kind: 'writeFile', path, bytes } as const
  await place.world.settle(life.ports.disk.submit([write, { kind: 'sync', path }]))
  place.host.kill()
}

describe('snapshots of the metadata', () => {
  it('say all that the log says, and stand in for it when it is damaged', async () => {
    const place = clusterWorld()
    const before = await filled(place)
    const second = await startCluster(place)
    const [snapshot] = snapshotsIn(await namesIn(place, second))
    expect(snapshot?.endOffset).toBe(second.cluster.metadataEndOffset)
    await stopCluster(place, second)
    // The first batch of records behind the control batch: topic `a` is in one of the next.
    place.host.corrupt(`${folder}/00000000000000000000.log`, 700, 8)
    const third = await startCluster(place)
    expect(described(third.cluster.image)).toEqual(before)
    expect(third.cluster.hold.reason).toBeNull()
  })

  it('are kept in two generations, and the log since the older one', async () => {
    const place = clusterWorld()
    const life = await startCluster(place)
    for (let index = 0; index < 450; index++)
      await place.world.settle(life.cluster.createTopic(creationOf(`t${index}`, { partitions: 9 })))
    await place.world.settle(life.cluster.controller.idle())
    const snapshots = snapshotsIn(await namesIn(place, life))
    expect(snapshots).toHaveLength(2)
    const before = described(life.cluster.image)
    await stopCluster(place, life)
    place.host.corrupt(`${folder}/${snapshots[0]?.name}`, 500, 1)
    const again = await startCluster(place)
    expect(place.host.observer.eventsOf('metadata-snapshot-ignored').length).toBeGreaterThan(0)
    expect(described(again.cluster.image)).toEqual(before)
    expect(again.cluster.hold.reason).toBeNull()
  })
})

describe('lost metadata', () => {
  it.each(['the log', 'the log and our copies', 'the folder'])(
    'comes back from the directories of the logs: %s',
    async (what) => {
      const place = clusterWorld()
      const before = (await filled(place)) as { readonly name: string; configs: unknown }[]
      const look = await startCluster(place)
      const names = await namesIn(place, look)
      const own = await namesIn(place, look, '/data/state')
      await stopCluster(place, look)
      for (const name of names) {
        const isOfLog = /\.(log|index|timeindex|snapshot|checkpoint)$/.test(name)
        if (isOfLog || what === 'the folder') remove(place, `${folder}/${name}`)
      }
      if (what !== 'the log') for (const name of own) if (name !== 'journal') remove(place, `/data/state/${name}`)
      const life = await startCluster(place)
      // The settings are what cannot be known.
      expect(described(life.cluster.image)).toEqual(before.map((topic) => ({ ...topic, configs: [] })))
      const partition = life.cluster.partitions.get('a', 1)
      expect(partition?.log.logEndOffset).toBe(2)
      if (partition === undefined) throw new Error('not served')
      const [outcome] = life.cluster.partitions.appendSet([{ partition, batch: batchOf(['z']), origin: 'client' }])
      expect(outcome).toMatchObject({ kind: 'appended', baseOffset: 2 })
      expect((await place.world.settle(life.cluster.controller.allocateProducerIds())).first).toBeGreaterThan(5_000_000)
      expect(place.host.observer.eventsOf('metadata-rebuilt')).toHaveLength(1)
    },
  )

  it('is told by the start that finds it, and no more once it was made good', async () => {
    const place = clusterWorld()
    await filled(place)
    for (const name of await lookAround(place)) if (/\.(log|checkpoint)$/.test(name)) remove(place, `${folder}/${name}`)
    await lookAround(place)
    expect(place.host.observer.eventsOf('metadata-rebuilt')).toHaveLength(1)
    const { disk } = place.host.boot()
    const findings: Finding[] = []
    const directories = { logDirectory: '/data/log', stateDirectory: '/data/state' }
    await place.world.settle(checkDirectory(directories, disk, (finding) => findings.push(finding)))
    place.host.kill()
    expect(findings).toEqual([])
    const { cluster } = await startCluster(place)
    expect(described(cluster.image)).toHaveLength(2)
    for (const id of ['log-segment-missing', 'log-damaged', 'metadata-lost', 'metadata-rebuilt'])
      expect(place.host.observer.eventsOf(id)).toEqual([])
    expect(cluster.hold.reason).not.toBeNull()
  })

  it('holds every deletion, over restarts, until it is confirmed', async () => {
    const place = clusterWorld()
    await filled(place)
    const look = await startCluster(place)
    const names = await namesIn(place, look)
    await stopCluster(place, look)
    for (const name of names) if (/\.(log|checkpoint)$/.test(name)) remove(place, `${folder}/${name}`)
    await stopCluster(place, await startCluster(place))
    const life = await startCluster(place)
    const { cluster, directory, ports } = life
    expect(cluster.hold.reason).toMatch(/metadata log/)
    const topicId = cluster.image.topic('a')?.topicId ?? ''
    expect(wordOf(await place.world.settle(cluster.deleteTopic(topicId)))).toBe('POLICY_VIOLATION')
    const log = directory.logs.get('a-1')
    log?.updateConfig({ ...log.config, retentionMs: 1 })
    await place.world.settle(directory.retain(ports.clock.wallMs() + 1e9))
    expect(log?.logStartOffset).toBe(0)
    await place.world.settle(confirmRecovery({ dataDir: '/data' }, ports.disk))
    await place.world.run(() => cluster.hold.reason === null, 20_000)
    await place.world.settle(directory.retain(ports.clock.wallMs() + 1e9))
    expect(log?.logStartOffset).toBe(2)
    topicOf(await place.world.settle(cluster.deleteTopic(topicId)))
    await stopCluster(place, life)
    expect((await startCluster(place)).cluster.hold.reason).toBeNull()
  })

  it.each(['a kill', 'a power cut'])(
    'comes back and is held, whenever %s ends the start that finds it',
    async (what) => {
      let hasStarted = false
      for (let cutMs = 0; !hasStarted; cutMs += 4.1) {
        const place = clusterWorld()
        const before = (await filled(place)) as { readonly name: string }[]
        loseMetadata(place, await lookAround(place))
        void beginStart(place).then(
          () => (hasStarted = true),
          () => {},
        )
        await place.world.runFor(cutMs)
        if (what === 'a kill') place.host.kill()
        else place.host.powerCut()
        const { cluster } = await startCluster(place)
        const names = [...cluster.image.topics()].map(({ name }) => name).toSorted()
        expect(names, `cut after ${cutMs} ms`).toEqual(before.map(({ name }) => name))
        expect(cluster.hold.reason, `cut after ${cutMs} ms`).not.toBeNull()
      }
    },
  )

  it('leaves a directory alone that it does not know, and starts', async () => {
    const place = clusterWorld()
    await filled(place)
    await makeStrange(place, 'b-0')
    const again = await startCluster(place)
    expect(again.cluster.partitions.get('b', 0)).toBeUndefined()
    expect(again.cluster.partitions.get('a', 2)).toBeDefined()
    expect(await namesIn(place, again, '/data/log')).toContain('b-0')
    expect(place.host.observer.eventsOf('log-of-other-topic')).toHaveLength(1)
  })

  it('gives up nothing of a directory that it does not know, however old its records', async () => {
    const place = clusterWorld()
    await filled(place)
    await makeStrange(place, 'a-1')
    const { directory, ports } = await startCluster(place)
    const yearMs = 366 * 86_400_000
    await place.world.settle(directory.retain(ports.clock.wallMs() + yearMs))
    expect(directory.logs.get('a-1')).toMatchObject({ logStartOffset: 0, logEndOffset: 2 })
  })

  it('makes no topic and no partition where a directory that it does not know lies', async () => {
    const place = clusterWorld()
    await filled(place)
    for (const [from, to] of [
      ['a-1', 'gone-1'],
      ['a-2', 'b-1'],
    ])
      place.host.image.rename(`/data/log/${from}`, `/data/log/${to}`)
    place.host.image.syncDirectory('/data/log')
    const { cluster } = await startCluster(place)
    const made = await place.world.settle(cluster.createTopic(creationOf('gone')))
    expect(made).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(/\/gone-1 holds a log of another topic/),
    })
    expect(cluster.image.topic('gone')).toBeUndefined()
    expect(wordOf(await place.world.settle(cluster.createPartitions('b', 2, null, false)))).toBe('POLICY_VIOLATION')
    expect(cluster.image.topic('b')?.partitions).toHaveLength(1)
  })
})
