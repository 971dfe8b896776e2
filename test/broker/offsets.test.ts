import { describe, expect, it } from 'vitest'
import { deleteRecords, describeProducers, listOffsets, offsetsForLeaderEpoch } from '../../src/broker/offsets.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import { batchOf } from '../log/log-fixture.ts'
import { newWorld } from './admin-world.ts'
import {
  batchesOf,
  compressedBatch,
  dropTopic,
  makeSecretTopic,
  makeTopic,
  nameOf,
  openRecords,
  produceRequest,
  type RecordWorld,
  clientOf,
} from './record-world.ts'

const special = {
  latest: -1,
  earliest: -2,
  maxTimestamp: -3,
  earliestLocal: -4,
  latestTiered: -5,
  earliestPendingUpload: -6,
} as const

async function write(node: RecordWorld, timestampMs: number, texts = ['x'], topic = 'readings'): Promise<void> {
  await node.settle(node.broker.produce(produceRequest([[topic, 0, batchOf(texts, { timestampMs })]]), clientOf(12)))
}

interface Listing {
  readonly topic?: string
  readonly index?: number
  readonly timestamp: number
  readonly currentLeaderEpoch?: number
  readonly isolationLevel?: number
}

type Found = NonNullable<Awaited<ReturnType<typeof listOffsets>>['topics']>[number]['partitions']

async function listAll(node: RecordWorld, asked: readonly Listing[], version: number): Promise<NonNullable<Found>> {
  const request = {
    replicaId: -1,
    isolationLevel: asked[0]?.isolationLevel ?? 0,
    timeoutMs: 1_000,
    topics: asked.map(({ topic, index, timestamp, currentLeaderEpoch }) => ({
      name: topic ?? 'readings',
      partitions: [{ partitionIndex: index ?? 0, currentLeaderEpoch: currentLeaderEpoch ?? -1, timestamp }],
    })),
  }
  const response = await node.settle(listOffsets(request, version, node.broker))
  return (response.topics ?? []).flatMap(({ partitions }) => partitions ?? [])
}

/** `offset@timestamp/epoch`, or the error's name. */
async function list(node: RecordWorld, listing: Listing, version = 10): Promise<string> {
  const [found] = await listAll(node, [listing], version)
  if ((found?.errorCode ?? 0) !== 0) return nameOf(found?.errorCode)
  return `${found?.offset ?? -1}@${found?.timestamp ?? -1}/${found?.leaderEpoch ?? -1}`
}

async function open(): Promise<{ readonly node: RecordWorld; readonly partition: Partition }> {
  const node = await openRecords(newWorld(), {
    settings: { 'log.message.timestamp.after.max.ms': '9223372036854775807' },
  })
  const [partition] = await makeTopic(node, 'readings', 2)
  return { node, partition: partition as Partition }
}

describe('ListOffsets', () => {
  it('answers the ends of the log, and -1 of an empty one where there is no record', async () => {
    const { node, partition } = await open()
    expect(await list(node, { timestamp: special.latest })).toBe('0@-1/0')
    expect(await list(node, { timestamp: special.earliest })).toBe('0@-1/0')
    expect(await list(node, { timestamp: special.maxTimestamp })).toBe('-1@-1/-1')
    expect(await list(node, { timestamp: 0 })).toBe('-1@-1/-1')
    for (const timestampMs of [1_000, 3_000, 2_000]) await write(node, timestampMs, ['a', 'b'])
    await node.settle(partition.log.deleteRecordsBefore(1))
    expect(await list(node, { timestamp: special.latest })).toBe('6@-1/0')
    expect(await list(node, { timestamp: special.earliest })).toBe('1@-1/0')
    expect(await list(node, { timestamp: special.earliestLocal })).toBe('1@-1/0')
    expect(await list(node, { timestamp: special.latestTiered })).toBe('-1@-1/-1')
    expect(await list(node, { timestamp: special.earliestPendingUpload }, 11)).toBe('-1@-1/-1')
    expect(await list(node, { timestamp: special.maxTimestamp })).toBe('2@3000/0')
  })

  it('answers the first record at or above a time, not below the start of the log', async () => {
    const { node, partition } = await open()
    for (const timestampMs of [1_000, 3_000, 2_000, 3_000]) await write(node, timestampMs)
    expect(await list(node, { timestamp: 0 })).toBe('0@1000/0')
    expect(await list(node, { timestamp: 1_001 })).toBe('1@3000/0')
    expect(await list(node, { timestamp: 3_000 })).toBe('1@3000/0')
    expect(await list(node, { timestamp: 3_001 })).toBe('-1@-1/-1')
    await node.settle(partition.log.deleteRecordsBefore(2))
    expect(await list(node, { timestamp: 0 })).toBe('2@2000/0')
    expect(await list(node, { timestamp: 2_500 })).toBe('3@3000/0')
  })

  it('finds a record inside a compressed batch', async () => {
    const { node } = await open()
    await write(node, 500)
    const batch = await compressedBatch('gzip', ['a', 'b'])
    await node.settle(node.broker.produce(produceRequest([['readings', 0, batch]]), clientOf(12)))
    expect(await list(node, { timestamp: 600 })).toBe('1@1000/0')
  })

  it('answers nothing that is not below the high watermark, or to readers of committed records the last stable offset', async () => {
    const { node, partition } = await open()
    await write(node, 1_000)
    const open1 = batchOf(['t'], {
      isTransactional: true,
      producerId: 9,
      producerEpoch: 0,
      baseSequence: 0,
      timestampMs: 2_000,
    })
    node.broker.partitions.appendSet([{ partition, batch: open1, origin: 'internal' }])
    await write(node, 1_500)
    const committed = { isolationLevel: 1 }
    expect(await list(node, { timestamp: special.latest, ...committed })).toBe('1@-1/0')
    expect(await list(node, { timestamp: special.latest })).toBe('3@-1/0')
    expect(await list(node, { timestamp: 2_000, ...committed })).toBe('-1@-1/-1')
    expect(await list(node, { timestamp: 2_000 })).toBe('1@2000/0')
    node.host.stallDisk(5_000)
    void node.broker.produce(produceRequest([['readings', 0, batchOf(['late'], { timestampMs: 9_000 })]]), clientOf(12))
    expect(await list(node, { timestamp: special.latest })).toBe('3@-1/0')
    expect(partition.log.logEndOffset).toBe(4)
  })

  it('knows each special timestamp from the version on that brought it', async () => {
    const { node } = await open()
    await write(node, 1_000)
    const rows = Object.values(special).map((timestamp) => ({ timestamp }))
    const versions = new Map<number, readonly string[]>()
    for (let version = 1; version <= 11; version++) {
      const words: string[] = []
      for (const { timestamp } of [...rows, { timestamp: -7 }]) {
        const answer = await list(node, { timestamp }, version)
        words.push(answer === 'UNSUPPORTED_VERSION' ? 'no' : 'yes')
      }
      versions.set(version, words)
    }
    const known = (count: number): readonly string[] => [0, 1, 2, 3, 4, 5, 6].map((at) => (at < count ? 'yes' : 'no'))
    for (const version of [1, 2, 3, 4, 5, 6]) expect(versions.get(version), `version ${version}`).toEqual(known(2))
    expect(versions.get(7)).toEqual(known(3))
    expect(versions.get(8)).toEqual(known(4))
    expect(versions.get(9)).toEqual(known(5))
    expect(versions.get(10)).toEqual(known(5))
    expect(versions.get(11)).toEqual(known(6))
    // Before it looks at the topic, as Kafka does.
    expect(await list(node, { timestamp: special.maxTimestamp, topic: 'nowhere' }, 6)).toBe('UNSUPPORTED_VERSION')
  })

  it('refuses what is unknown, unreadable, fenced, or asked for twice, beside good answers in order', async () => {
    const { node } = await open()
    await makeSecretTopic(node)
    await write(node, 1_000)
    const latest = { timestamp: special.latest }
    const found = await listAll(
      node,
      [
        latest,
        { ...latest, index: 5 },
        { ...latest, topic: 'nowhere' },
        { ...latest, topic: '__headwater_secret' },
        { ...latest, index: 1, currentLeaderEpoch: 7 },
      ],
      10,
    )
    expect(found.map(({ errorCode }) => nameOf(errorCode))).toEqual([
      'NONE',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'UNKNOWN_TOPIC_OR_PARTITION',
      'TOPIC_AUTHORIZATION_FAILED',
      'UNKNOWN_LEADER_EPOCH',
    ])
    const twice = await listAll(node, [latest, { ...latest, index: 1 }, { timestamp: 0 }], 10)
    expect(twice.map(({ errorCode }) => nameOf(errorCode))).toEqual(['INVALID_REQUEST', 'NONE', 'INVALID_REQUEST'])
  })

  it('answers many partitions in their order, by time from the disk', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings', 40)
    const batches = Array.from(
      { length: 40 },
      (_, at) => ['readings', at, batchOf(['x'], { timestampMs: 1_000 + at })] as const,
    )
    await node.settle(node.broker.produce(produceRequest(batches), clientOf(12)))
    // A journaled commit is answered before its files are written.
    await node.world.runFor(100)
    const found = await listAll(
      node,
      batches.map((_, index) => ({ index, timestamp: 1 })),
      10,
    )
    expect(found.map(({ partitionIndex, timestamp }) => [partitionIndex, timestamp])).toEqual(
      batches.map((_, at) => [at, 1_000 + at]),
    )
  })

  it('says KAFKA_STORAGE_ERROR when the disk cannot read', async () => {
    const node = await openRecords(newWorld(), { directory: { tailCacheBytes: 1 } })
    await makeTopic(node, 'readings')
    for (let at = 0; at < 3; at++) await write(node, 1_000 + at)
    node.host.failDisk({ operation: 'read', code: 'EIO' })
    expect(await list(node, { timestamp: 1_001 })).toBe('KAFKA_STORAGE_ERROR')
  })
})

describe('OffsetForLeaderEpoch', () => {
  it('answers where each epoch ended, over power cuts, and refuses what it must', async () => {
    const place = newWorld(9)
    let node = await openRecords(place)
    await makeTopic(node, 'readings')
    const ends = new Map<number, number>()
    for (let life = 0; life < 3; life++) {
      const epoch = node.broker.partitions.get('readings', 0)?.leaderEpoch ?? -1
      for (let at = 0; at <= life; at++) await write(node, 1_000)
      ends.set(epoch, node.broker.partitions.get('readings', 0)?.highWatermark ?? -1)
      place.host.powerCut()
      node = await openRecords(place)
    }
    const current = node.broker.partitions.get('readings', 0)?.leaderEpoch ?? -1
    const ask = (leaderEpoch: number, currentLeaderEpoch = -1, topic = 'readings'): unknown[] => {
      const partitions = [{ partition: 0, currentLeaderEpoch, leaderEpoch }]
      const answer = offsetsForLeaderEpoch({ replicaId: -1, topics: [{ topic, partitions }] }, node.broker).topics?.[0]
        ?.partitions?.[0]
      return answer?.errorCode === 0 ? [answer.leaderEpoch, answer.endOffset] : [nameOf(answer?.errorCode)]
    }
    expect([...ends.values()]).toEqual([1, 3, 6])
    for (const [epoch, end] of ends) expect(ask(epoch)).toEqual([epoch, end])
    expect(ask(current)).toEqual([current, 6])
    expect(ask(current + 1)).toEqual([-1, -1])
    expect(ask(-1)).toEqual([-1, -1])
    expect(ask(0, current - 1)).toEqual(['FENCED_LEADER_EPOCH'])
    expect(ask(0, current + 1)).toEqual(['UNKNOWN_LEADER_EPOCH'])
    expect(ask(0, -1, 'nowhere')).toEqual(['UNKNOWN_TOPIC_OR_PARTITION'])
  })
})

describe('DeleteRecords', () => {
  async function cut(node: RecordWorld, offset: number, topic = 'readings', timeoutMs = 30_000): Promise<string> {
    const topics = [{ name: topic, partitions: [{ partitionIndex: 0, offset }] }]
    const response = await node.settle(deleteRecords({ topics, timeoutMs }, node.broker))
    const answer = response.topics?.[0]?.partitions?.[0]
    return answer?.errorCode === 0 ? String(answer.lowWatermark) : nameOf(answer?.errorCode)
  }

  it('cuts up to an offset, -1 up to the high watermark, and nothing below the start', async () => {
    const { node, partition } = await open()
    for (const text of ['a', 'b', 'c', 'd']) await write(node, 1_000, [text])
    expect([await cut(node, 2), partition.log.logStartOffset]).toEqual(['2', 2])
    expect(await batchesOf(node, partition)).toEqual([['c'], ['d']])
    expect(await cut(node, 1)).toBe('2')
    expect([await cut(node, -1), partition.log.logStartOffset, partition.log.logEndOffset]).toEqual(['4', 4, 4])
  })

  it('refuses what is beyond the high watermark, an impossible offset, and topics that it may not cut', async () => {
    const { node, partition } = await open()
    await makeSecretTopic(node)
    await write(node, 1_000)
    node.host.stallDisk(1_000)
    void node.broker.produce(produceRequest([['readings', 0, batchOf(['uncommitted'])]]), clientOf(12))
    expect([partition.log.logEndOffset, await cut(node, 2), await cut(node, -2)]).toEqual([
      2,
      'OFFSET_OUT_OF_RANGE',
      'OFFSET_OUT_OF_RANGE',
    ])
    expect(await cut(node, 0, '__headwater_secret')).toBe('INVALID_TOPIC_EXCEPTION')
    expect(await cut(node, 0, 'nowhere')).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })

  it('does not cut what is compacted alone, and what is neither deleted nor compacted it does', async () => {
    const { node } = await open()
    for (const [name, policy] of [
      ['compacted', 'compact'],
      ['both', 'compact,delete'],
      ['kept', ''],
    ] as const)
      await makeTopic(node, name, 1, { 'cleanup.policy': policy })
    expect(await cut(node, 0, 'compacted')).toBe('POLICY_VIOLATION')
    expect([await cut(node, 0, 'both'), await cut(node, 0, 'kept')]).toEqual(['0', '0'])
  })

  it('is durable when it is answered: no power cut brings back what was cut', async () => {
    for (let seed = 1; seed <= 15; seed++) {
      const place = newWorld(seed)
      const node = await openRecords(place)
      await makeTopic(node, 'readings')
      for (let at = 0; at < 10; at++) await write(node, 1_000, [String(at)])
      let answered = 0
      for (const offset of [3, 5, 8]) {
        const topics = [{ name: 'readings', partitions: [{ partitionIndex: 0, offset }] }]
        void deleteRecords({ topics, timeoutMs: 30_000 }, node.broker).then((response) => {
          if (response.topics?.[0]?.partitions?.[0]?.errorCode === 0) answered = Math.max(answered, offset)
        })
        await place.world.runFor(place.world.prng.below(40) / 10)
      }
      place.host.powerCut()
      const again = await openRecords(place)
      const log = again.broker.partitions.get('readings', 0)?.log
      expect(log?.logStartOffset, `seed ${seed}`).toBeGreaterThanOrEqual(answered)
      expect([log?.logEndOffset, [0, 3, 5, 8].includes(log?.logStartOffset ?? -1)], `seed ${seed}`).toEqual([10, true])
      place.host.kill()
    }
  })

  it('waits for the disk although the client gives it no time', async () => {
    const { node, partition } = await open()
    await write(node, 1_000)
    expect([await cut(node, 1, 'readings', 0), partition.log.logStartOffset]).toEqual(['1', 1])
  })

  it.each([
    [200, 1_000],
    [3_000, 3_000],
  ])('with a timeout of %i ms is answered REQUEST_TIMED_OUT after %i, and goes on', async (timeoutMs, afterMs) => {
    const { node, partition } = await open()
    await write(node, 1_000)
    node.host.stallDisk(5_000)
    const startMs = node.world.nowMs
    expect([await cut(node, 1, 'readings', timeoutMs), Math.round(node.world.nowMs - startMs)]).toEqual([
      'REQUEST_TIMED_OUT',
      afterMs,
    ])
    await node.world.runFor(6_000)
    expect([await cut(node, 1), partition.log.logStartOffset]).toEqual(['1', 1])
  })

  it('says KAFKA_STORAGE_ERROR when the disk fails', async () => {
    const { node } = await open()
    await write(node, 1_000)
    node.host.failDisk({ operation: 'writeFile', code: 'EIO' })
    expect(await cut(node, 1)).toBe('KAFKA_STORAGE_ERROR')
    expect(await cut(node, 1)).toBe('KAFKA_STORAGE_ERROR')
  })
})

describe('DescribeProducers', () => {
  it('tells the producers of a partition, also after a restart', async () => {
    const { node } = await open()
    await makeSecretTopic(node)
    const describe = (at: RecordWorld, name = 'readings', index = 0): unknown => {
      const [answer] =
        describeProducers({ topics: [{ name, partitionIndexes: [index] }] }, at.broker).topics?.[0]?.partitions ?? []
      return answer?.errorCode === 0 ? answer.activeProducers : nameOf(answer?.errorCode)
    }
    const batch = batchOf(['a', 'b'], { producerId: 7, producerEpoch: 3, baseSequence: 0 })
    await node.settle(node.broker.produce(produceRequest([['readings', 0, batch]]), clientOf(12)))
    const producers = [
      {
        producerId: 7,
        producerEpoch: 3,
        lastSequence: 1,
        lastTimestamp: 1_000,
        coordinatorEpoch: -1,
        currentTxnStartOffset: -1,
      },
    ]
    expect(describe(node)).toEqual(producers)
    expect([describe(node, 'readings', 1), describe(node, 'readings', 9)]).toEqual([[], 'UNKNOWN_TOPIC_OR_PARTITION'])
    expect(describe(node, '__headwater_secret')).toBe('TOPIC_AUTHORIZATION_FAILED')
    expect([describe(node, 'a/b'), describe(node, '')]).toEqual(['INVALID_TOPIC_EXCEPTION', 'INVALID_TOPIC_EXCEPTION'])
    node.host.powerCut()
    const again = await openRecords(node)
    expect(describe(again)).toEqual(producers)
    await dropTopic(again, 'readings')
    expect(describe(again)).toBe('UNKNOWN_TOPIC_OR_PARTITION')
  })
})
