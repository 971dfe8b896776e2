import { describe, expect, it } from 'vitest'
import { topicNameFault } from '../../../src/cluster/metadata/topic-names.ts'
import { type ClusterLife, clusterWorld, creationOf, startCluster, topicOf, wordOf } from '../cluster-fixture.ts'

async function openCluster(): Promise<ClusterLife & { readonly settle: <T>(promise: Promise<T>) => Promise<T> }> {
  const place = clusterWorld()
  const life = await startCluster(place, { 'num.partitions': '3' })
  return { ...life, settle: (promise) => place.world.settle(promise) }
}

describe('a topic name', () => {
  it('is judged by the rules of Kafka', () => {
    const names = ['a', '.', '..', '', 'a b', 'ü', 'a/b', '_.-', 'x'.repeat(249), 'x'.repeat(250)]
    expect(names.filter((name) => topicNameFault(name) === null)).toEqual(['a', '_.-', 'x'.repeat(249)])
  })
})

describe('creating a topic', () => {
  it("refuses what Kafka refuses, with Kafka's error", async () => {
    const { cluster, settle } = await openCluster()
    topicOf(await settle(cluster.createTopic(creationOf('a.b'))))
    const assign = (...brokerIds: number[]): { partitionIndex: number; brokerIds: number[] }[] => [
      { partitionIndex: 0, brokerIds },
    ]
    const cases = {
      'the same name': creationOf('a.b'),
      'a name with the same metrics': creationOf('a_b'),
      'an unlawful name': creationOf('a b'),
      'an internal name': creationOf('__consumer_offsets'),
      'no partitions': creationOf('x', { partitions: 0 }),
      'fewer than none': creationOf('x', { partitions: -2 }),
      'too many': creationOf('x', { partitions: 10_001 }),
      'no replicas': creationOf('x', { replicationFactor: 0 }),
      'three replicas on one node': creationOf('x', { replicationFactor: 3 }),
      'a strange broker': creationOf('x', { assignments: assign(2) }),
      'a hole in the assignment': creationOf('x', { assignments: [{ partitionIndex: 1, brokerIds: [1] }] }),
      'an assignment and a count': creationOf('x', { partitions: 1, assignments: assign(1) }),
      'an unknown config': creationOf('x', { configs: new Map([['retention', '1']]) }),
      'a config that cannot be': creationOf('x', { configs: new Map([['retention.ms', 'week']]) }),
    }
    const words: Record<string, string> = {}
    for (const [what, creation] of Object.entries(cases))
      words[what] = wordOf(await settle(cluster.createTopic(creation)))
    expect(words).toEqual({
      'the same name': 'TOPIC_ALREADY_EXISTS',
      'a name with the same metrics': 'INVALID_TOPIC_EXCEPTION',
      'an unlawful name': 'INVALID_TOPIC_EXCEPTION',
      'an internal name': 'INVALID_TOPIC_EXCEPTION',
      'no partitions': 'INVALID_PARTITIONS',
      'fewer than none': 'INVALID_PARTITIONS',
      'too many': 'POLICY_VIOLATION',
      'no replicas': 'INVALID_REPLICATION_FACTOR',
      'three replicas on one node': 'INVALID_REPLICATION_FACTOR',
      'a strange broker': 'INVALID_REPLICA_ASSIGNMENT',
      'a hole in the assignment': 'INVALID_REPLICA_ASSIGNMENT',
      'an assignment and a count': 'INVALID_REQUEST',
      'an unknown config': 'INVALID_CONFIG',
      'a config that cannot be': 'INVALID_CONFIG',
    })
    expect([...cluster.image.topics()].map(({ name }) => name)).toEqual(['a.b'])
  })

  it('takes the number of partitions from the request, the assignment or the node', async () => {
    const { cluster, settle } = await openCluster()
    const assignments = [1, 0].map((partitionIndex) => ({ partitionIndex, brokerIds: [1] }))
    const creations = [creationOf('a', { partitions: 5 }), creationOf('b', { assignments }), creationOf('c')]
    const counts: number[] = []
    for (const creation of creations)
      counts.push(topicOf(await settle(cluster.createTopic(creation))).partitions.length)
    expect(counts).toEqual([5, 2, 3])
  })

  it('only looks when it is to validate only', async () => {
    const { cluster, directory, settle } = await openCluster()
    const end = cluster.metadataEndOffset
    expect(topicOf(await settle(cluster.createTopic(creationOf('a'), true))).partitions).toHaveLength(3)
    expect(wordOf(await settle(cluster.createTopic(creationOf('b b'), true)))).toBe('INVALID_TOPIC_EXCEPTION')
    expect([cluster.image.topicCount, cluster.metadataEndOffset, directory.logs.size]).toEqual([0, end, 1])
  })

  it('happens once when many ask for one name at a time', async () => {
    const { cluster, settle } = await openCluster()
    const outcomes = await settle(Promise.all(Array.from({ length: 5 }, () => cluster.createTopic(creationOf('a')))))
    expect(outcomes.map(wordOf).toSorted()).toEqual([...Array.from({ length: 4 }, () => 'TOPIC_ALREADY_EXISTS'), 'ok'])
  })

  it('gives ids that are of version 4, never reserved, and never look like a flag of a command line', async () => {
    const { cluster, settle } = await openCluster()
    const ids = new Set<string>()
    for (let at = 0; at < 80; at++)
      ids.add(topicOf(await settle(cluster.createTopic(creationOf(`t-${at}`), true))).topicId)
    expect(ids.size).toBe(80)
    for (const id of ids) {
      const bytes = Buffer.from(id, 'base64url')
      expect([id.length, id[0] === '-', (bytes[6] ?? 0) >> 4, (bytes[8] ?? 0) >> 6]).toEqual([22, false, 4, 2])
    }
  })
})

describe('growing a topic', () => {
  it("refuses what Kafka refuses, with Kafka's words", async () => {
    const { cluster, settle } = await openCluster()
    await settle(cluster.createTopic(creationOf('a')))
    const grow = async (name: string, count: number, assignments: number[][] | null = null): Promise<string> => {
      const outcome = await settle(cluster.createPartitions(name, count, assignments, false))
      return outcome.kind === 'done' ? `${outcome.topic.partitions.length}` : `${outcome.error}: ${outcome.message}`
    }
    expect([
      await grow('b', 4),
      await grow('a', 3),
      await grow('a', 2),
      await grow('a', -1),
      await grow('a', 5, [[1]]),
      await grow('a', 4, [[2]]),
      await grow('a', 4, [[1]]),
      await grow('a', 7),
    ]).toMatchInlineSnapshot(`
      [
        "UNKNOWN_TOPIC_OR_PARTITION: This server does not host this topic-partition.",
        "INVALID_PARTITIONS: Topic already has 3 partition(s).",
        "INVALID_PARTITIONS: The topic a currently has 3 partition(s); 2 would not be an increase.",
        "INVALID_PARTITIONS: The topic a currently has 3 partition(s); -1 would not be an increase.",
        "INVALID_REPLICA_ASSIGNMENT: Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified.",
        "INVALID_REPLICA_ASSIGNMENT: partitions must be numbered from 0 without holes, each assigned to broker 1 alone",
        "4",
        "7",
      ]
    `)
  })

  it('keeps the records of the partitions that were there', async () => {
    const { cluster, settle } = await openCluster()
    await settle(cluster.createTopic(creationOf('a')))
    const before = cluster.partitions.get('a', 0)
    await settle(cluster.createPartitions('a', 6, null, false))
    expect(cluster.partitions.get('a', 0)).toBe(before)
    expect(cluster.partitions.ofTopic('a')).toHaveLength(6)
  })
})

describe('a thousand topics that are asked about at once', () => {
  it('leave the loop to others in between', async () => {
    const { cluster, ports, settle } = await openCluster()
    let answered = 0
    const asked = Array.from({ length: 1_000 }, (_, index) =>
      cluster.createTopic(creationOf(`t${index}`), true).then(() => answered++),
    )
    let mostInTurn = 0
    let before = 0
    const look = (): void => {
      mostInTurn = Math.max(mostInTurn, answered - before)
      before = answered
      if (answered < asked.length) ports.clock.defer(look)
    }
    ports.clock.defer(look)
    await settle(Promise.all(asked))
    await settle(new Promise<void>((resolve) => ports.clock.defer(resolve)))
    expect([answered, mostInTurn <= 64]).toEqual([1_000, true])
  })
})

describe('what the image counts', () => {
  it('follows topics that come, grow, go and come again', async () => {
    const { cluster, settle } = await openCluster()
    const { image } = cluster
    const counted = (): number => [...image.topics()].reduce((sum, { partitions }) => sum + partitions.length, 0)
    const own = counted()
    topicOf(await settle(cluster.createTopic(creationOf('a.b', { partitions: 2 }))))
    topicOf(await settle(cluster.createTopic(creationOf('c', { partitions: 4 }))))
    await settle(cluster.createPartitions('a.b', 5, null, false))
    expect([image.partitionCount - own, image.partitionCount]).toEqual([9, counted()])
    expect(wordOf(await settle(cluster.createTopic(creationOf('a_b'))))).toBe('INVALID_TOPIC_EXCEPTION')
    await settle(cluster.deleteTopic(image.topic('a.b')?.topicId ?? ''))
    topicOf(await settle(cluster.createTopic(creationOf('a_b'))))
    expect(wordOf(await settle(cluster.createTopic(creationOf('a.b'))))).toBe('INVALID_TOPIC_EXCEPTION')
    await settle(cluster.deleteTopic(image.topic('a_b')?.topicId ?? ''))
    topicOf(await settle(cluster.createTopic(creationOf('a.b'))))
    expect(image.partitionCount).toBe(counted())
  })
})

describe('changes of configs', () => {
  it('write nothing when nothing changes', async () => {
    const { cluster, settle } = await openCluster()
    const change = { type: 2, name: 'a', key: 'retention.ms', value: '5' }
    await settle(cluster.controller.alterConfigs(() => [change]))
    const end = cluster.metadataEndOffset
    await settle(cluster.controller.alterConfigs(() => [change, { ...change, key: 'segment.ms', value: null }]))
    expect(cluster.metadataEndOffset).toBe(end)
    await settle(cluster.controller.alterConfigs(() => [{ ...change, value: null }]))
    expect([cluster.metadataEndOffset, cluster.image.configs(2, 'a').size]).toEqual([end + 1, 0])
  })
})
