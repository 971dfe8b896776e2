import { describe, expect, it } from 'vitest'
import { configResourceType, type MetadataImage } from '../../src/cluster/metadata/metadata-image.ts'
import { batchOf } from '../log/log-fixture.ts'
import { clusterWorld, creationOf, startCluster, stopCluster, topicOf, wordOf } from './cluster-fixture.ts'

describe('a cluster of one node', () => {
  it('begins with a registered, unfenced broker and the metadata.version of Kafka 4.1', async () => {
    const { cluster, directory } = await startCluster(clusterWorld())
    expect(Object.fromEntries(cluster.image.features())).toEqual({ 'metadata.version': 27 })
    expect(cluster.image.broker(1)).toMatchObject({ brokerId: 1, isFenced: false, rack: null })
    expect(cluster.image.topicCount).toBe(0)
    expect(cluster.brokerEpoch).toBeGreaterThan(0)
    expect([...directory.logs.keys()]).toEqual(['__cluster_metadata-0'])
  })

  it('serves a topic for writing when its creation resolves', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place)
    const created = topicOf(await place.world.settle(cluster.createTopic(creationOf('readings', { partitions: 3 }))))
    expect(created.partitions).toHaveLength(3)
    expect(cluster.partitions.ofTopic('readings')?.map(({ index, isLeader }) => [index, isLeader])).toEqual([
      [0, true],
      [1, true],
      [2, true],
    ])
    expect(cluster.partitions.byTopicId(created.topicId, 2)?.topic).toBe('readings')
    const partition = cluster.partitions.get('readings', 1)
    if (partition === undefined) throw new Error('not served')
    const [outcome] = cluster.partitions.appendSet([{ partition, batch: batchOf(['a', 'b']), origin: 'client' }])
    expect(outcome).toMatchObject({ kind: 'appended', baseOffset: 0, lastOffset: 1 })
    await place.world.settle(new Promise((resolve) => partition.whenHighWatermark(2, resolve)))
    expect(partition.highWatermark).toBe(2)
  })

  it('tells at its start of a transaction that is left open, where readers stand still, and of none otherwise', async () => {
    const place = clusterWorld()
    const first = await startCluster(place)
    await place.world.settle(first.cluster.createTopic(creationOf('readings', { partitions: 3 })))
    const partition = first.cluster.partitions.get('readings', 1)
    if (partition === undefined) throw new Error('not served')
    const open = { producerId: 9, producerEpoch: 0, baseSequence: 0, isTransactional: true }
    for (const batch of [batchOf(['a', 'b']), batchOf(['c'], open)])
      first.cluster.partitions.appendSet([{ partition, batch, origin: 'internal' }])
    await place.world.settle(new Promise((resolve) => partition.whenHighWatermark(3, resolve)))
    expect(place.host.observer.eventsOf('transactions-open')).toEqual([])
    await stopCluster(place, first)
    await startCluster(place)
    expect(place.host.observer.eventsOf('transactions-open').map(({ fields }) => fields)).toEqual([
      { partitions: 1, log: 'readings-1', offset: 2 },
    ])
  })

  it('names its directory in every partition, as Apache Kafka needs to open the logs', async () => {
    const place = clusterWorld()
    const { cluster, directory } = await startCluster(place)
    const { partitions } = topicOf(await place.world.settle(cluster.createTopic(creationOf('a', { partitions: 2 }))))
    expect(partitions.map((each) => each.directories)).toEqual([[directory.directoryId], [directory.directoryId]])
  })

  it('remembers topics, partitions, configs and producer ids over a clean restart, with the same leader epochs', async () => {
    const place = clusterWorld()
    const first = await startCluster(place)
    const { world } = place
    const configs = new Map([['retention.ms', '60000']])
    await world.settle(first.cluster.createTopic(creationOf('a', { partitions: 2, configs })))
    await world.settle(first.cluster.createPartitions('a', 4, null, false))
    await world.settle(first.cluster.createTopic(creationOf('gone')))
    await world.settle(first.cluster.deleteTopic(first.cluster.image.topic('gone')?.topicId ?? ''))
    expect(await world.settle(first.cluster.controller.allocateProducerIds())).toEqual({ first: 0, count: 1000 })
    const before = snapshot(first.cluster.image)
    await stopCluster(place, first)
    const second = await startCluster(place)
    expect(snapshot(second.cluster.image)).toEqual(before)
    expect(second.cluster.partitions.get('a', 3)).toMatchObject({ leaderEpoch: 0, isLeader: true })
    expect(second.cluster.partitions.get('a', 0)?.log.config.retentionMs).toBe(60_000)
    expect(await world.settle(second.cluster.controller.allocateProducerIds())).toEqual({ first: 1000, count: 1000 })
    expect(second.cluster.metadataEpoch).toBeGreaterThan(first.cluster.metadataEpoch)
    expect(second.cluster.brokerEpoch).toBeGreaterThan(first.cluster.brokerEpoch)
  })

  it('raises every leader epoch after an unclean stop, before anything can be appended', async () => {
    const place = clusterWorld()
    const first = await startCluster(place)
    await place.world.settle(first.cluster.createTopic(creationOf('a', { partitions: 2 })))
    place.host.powerCut()
    const second = await startCluster(place)
    for (const partition of second.cluster.partitions.values()) {
      expect(partition.leaderEpoch).toBe(1)
      expect(partition.log.latestLeaderEpoch).toBe(1)
    }
    expect(second.cluster.image.topic('a')?.partitions.map((each) => each.leaderEpoch)).toEqual([1, 1])
  })

  it('loses no topic whose creation was answered, whenever the power goes', async () => {
    for (let seed = 1; seed <= 30; seed++) {
      const place = clusterWorld(seed)
      const answered = new Set<string>()
      const first = await startCluster(place)
      for (let at = 0; at < 6; at++) {
        const name = `topic-${at}`
        void first.cluster.createTopic(creationOf(name, { partitions: 2 })).then((outcome) => {
          if (outcome.kind === 'done') answered.add(name)
        })
      }
      await place.world.runFor(place.world.prng.below(40))
      place.host.powerCut()
      const { cluster } = await startCluster(place)
      const known = new Set([...cluster.image.topics()].map(({ name }) => name))
      for (const name of answered) expect(known, `seed ${seed}`).toContain(name)
      for (const name of known) expect(cluster.partitions.ofTopic(name), `seed ${seed}`).toHaveLength(2)
    }
  })
})

describe('commands on one topic', () => {
  it('run one after the other, so that a deletion meets the logs of the creation before it', async () => {
    const place = clusterWorld()
    const { cluster, directory } = await startCluster(place)
    const words: string[] = []
    const create = (): Promise<unknown> =>
      cluster.createTopic(creationOf('a', { partitions: 2 })).then((outcome) => words.push(`create ${wordOf(outcome)}`))
    const first = create()
    await place.world.run(() => cluster.image.topic('a') !== undefined)
    const topicId = cluster.image.topic('a')?.topicId ?? ''
    const removed = cluster.deleteTopic(topicId).then((outcome) => words.push(`delete ${wordOf(outcome)}`))
    await place.world.settle(Promise.all([first, removed, create()]))
    expect(words).toEqual(['create ok', 'delete ok', 'create ok'])
    expect(cluster.image.topic('a')?.topicId).not.toBe(topicId)
    const ids = [...directory.logs.values()].filter((log) => log.topic === 'a').map((log) => log.topicId)
    expect(ids).toEqual(Array.from({ length: 2 }, () => cluster.image.topic('a')?.topicId))
  })

  it('tell those who wait for a partition that its topic is gone', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place)
    await place.world.settle(cluster.createTopic(creationOf('a')))
    const partition = cluster.partitions.get('a', 0)
    if (partition === undefined) throw new Error('not served')
    const told: unknown[] = []
    partition.whenHighWatermark(5, (error) => told.push(error))
    await place.world.settle(cluster.deleteTopic(partition.topicId))
    partition.whenHighWatermark(5, (error) => told.push(error))
    expect(told).toEqual(['UNKNOWN_TOPIC_OR_PARTITION', 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect([partition.isLeader, cluster.partitions.get('a', 0), cluster.partitions.size]).toEqual([false, undefined, 0])
  })

  it('that were cut off between the deletion and the same name again leave a node that starts', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const place = clusterWorld(seed)
      const { world, host } = place
      const first = await startCluster(place)
      const before = topicOf(await world.settle(first.cluster.createTopic(creationOf('a'))))
      // The records of both commands are durable; the disk never gets to the rename of the old log.
      await world.settle(first.cluster.controller.deleteTopic(before.topicId))
      const again = topicOf(await world.settle(first.cluster.controller.createTopic(creationOf('a'))))
      if (seed % 2 === 0) host.powerCut()
      else host.kill()
      const second = await startCluster(place)
      expect(second.cluster.partitions.get('a', 0)).toMatchObject({ topicId: again.topicId, isLeader: true })
      expect(second.directory.logs.get('a-0')?.topicId).toBe(again.topicId)
    }
  })

  it('tell whoever listens that topics came, grew or went', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place)
    const seen: number[] = []
    const stop = cluster.onTopicsChange(() => seen.push(cluster.partitions.size))
    await place.world.settle(cluster.createTopic(creationOf('a')))
    await place.world.settle(cluster.createPartitions('a', 3, null, false))
    await place.world.settle(cluster.deleteTopic(cluster.image.topic('a')?.topicId ?? ''))
    stop()
    await place.world.settle(cluster.createTopic(creationOf('b')))
    expect(seen).toEqual([1, 3, 0])
  })
})

describe('configs', () => {
  it('reach the logs that are open, from the topic, the broker and all brokers, the nearest first', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place, { 'log.retention.hours': '2' })
    await place.world.settle(cluster.createTopic(creationOf('a')))
    const retention = (): number | undefined => cluster.partitions.get('a', 0)?.log.config.retentionMs
    const set = async (type: number, name: string, key: string, value: string | null): Promise<void> => {
      await place.world.settle(cluster.controller.alterConfigs(() => [{ type, name, key, value }]))
      cluster.applyConfigs()
    }
    const seen = [retention()]
    await set(configResourceType.broker, '', 'log.retention.ms', '1000000')
    seen.push(retention())
    await set(configResourceType.broker, '1', 'log.retention.ms', '2000000')
    seen.push(retention())
    await set(configResourceType.topic, 'a', 'retention.ms', '3000000')
    seen.push(retention())
    await set(configResourceType.topic, 'a', 'retention.ms', null)
    seen.push(retention())
    expect(seen).toEqual([7_200_000, 1_000_000, 2_000_000, 3_000_000, 2_000_000])
  })

  it('go with their topic', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place)
    const configs = new Map([['retention.ms', '1000']])
    const { topicId } = topicOf(await place.world.settle(cluster.createTopic(creationOf('a', { configs }))))
    await place.world.settle(cluster.deleteTopic(topicId))
    await place.world.settle(cluster.createTopic(creationOf('a')))
    expect(cluster.image.configs(configResourceType.topic, 'a').size).toBe(0)
  })
})

describe('a failed disk', () => {
  it('fails the command, changes nothing, and tells every waiter', async () => {
    const place = clusterWorld()
    const { cluster } = await startCluster(place)
    await place.world.settle(cluster.createTopic(creationOf('a')))
    for (const operation of ['write', 'sync'] as const) place.host.failDisk({ operation, code: 'EIO' })
    const partition = cluster.partitions.get('a', 0)
    if (partition === undefined) throw new Error('not served')
    const outcome = await place.world.settle(
      cluster.createTopic(creationOf('b')).then(
        () => 'created',
        (error: { readonly code?: string }) => error.code,
      ),
    )
    expect(outcome).toBe('METADATA_NOT_WRITTEN')
    expect(cluster.image.topic('b')).toBeUndefined()
    expect(partition.isLeader).toBe(false)
  })
})

function snapshot(image: MetadataImage): unknown {
  return [...image.topics()].map((topic) => ({
    ...topic,
    configs: Object.fromEntries(image.configs(configResourceType.topic, topic.name)),
  }))
}
