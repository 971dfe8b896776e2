import { describe, expect, it } from 'vitest'
import type { KafkaErrorName } from '../../../src/protocol/kafka/error-codes.ts'
import type { Partition } from '../../../src/cluster/partition/partition.ts'
import type { PartitionTable } from '../../../src/cluster/partition/partition-table.ts'
import { batchOf } from '../../log/log-fixture.ts'
import { clusterWorld, creationOf, startCluster } from '../cluster-fixture.ts'

async function twoPartitions(): Promise<{
  readonly place: ReturnType<typeof clusterWorld>
  readonly table: PartitionTable
  readonly partitions: readonly [Partition, Partition]
}> {
  const place = clusterWorld()
  const { cluster } = await startCluster(place)
  await place.world.settle(cluster.createTopic(creationOf('a', { partitions: 2 })))
  const [one, other] = cluster.partitions.ofTopic('a') ?? []
  if (one === undefined || other === undefined) throw new Error('not served')
  return { place, table: cluster.partitions, partitions: [one, other] }
}

describe('a partition with one replica', () => {
  it('moves its high watermark with the durable end of the log, never before', async () => {
    const { place, table, partitions } = await twoPartitions()
    const [partition] = partitions
    table.appendSet([{ partition, batch: batchOf(['x', 'y']), origin: 'client' }])
    expect([partition.log.logEndOffset, partition.highWatermark]).toEqual([2, 0])
    await place.world.run(() => partition.highWatermark === 2)
    expect(partition.log.durableEndOffset).toBe(2)
  })

  it('calls waiters in the order of their offsets, and at once when the offset is reached', async () => {
    const { place, table, partitions } = await twoPartitions()
    const [partition] = partitions
    const told: string[] = []
    const wait = (endOffset: number): void =>
      partition.whenHighWatermark(endOffset, (error) => told.push(`${endOffset} ${error ?? 'ok'}`))
    wait(0)
    expect(told).toEqual(['0 ok'])
    for (const endOffset of [3, 1, 2, 3]) wait(endOffset)
    for (const text of ['x', 'y', 'z']) table.appendSet([{ partition, batch: batchOf([text]), origin: 'client' }])
    await place.world.run(() => told.length === 5)
    expect(told).toEqual(['0 ok', '1 ok', '2 ok', '3 ok', '3 ok'])
  })

  it('keeps thousands of waiters without losing one', async () => {
    const { place, table, partitions } = await twoPartitions()
    const [partition] = partitions
    const told: number[] = []
    for (let at = 1; at <= 5_000; at++) partition.awaitDurable({ endOffset: at, reached: () => told.push(at) })
    for (let at = 0; at < 5; at++) {
      const texts = Array.from({ length: 1_000 }, () => 'x')
      table.appendSet([{ partition, batch: batchOf(texts), origin: 'client' }])
      await place.world.run(() => partition.highWatermark === (at + 1) * 1_000)
    }
    expect(told).toEqual(Array.from({ length: 5_000 }, (_, at) => at + 1))
  })

  it('tells every waiter once when it fails, and later ones at once, but not those whose offset was reached', async () => {
    const { place, table, partitions } = await twoPartitions()
    const [partition] = partitions
    table.appendSet([{ partition, batch: batchOf(['x']), origin: 'client' }])
    await place.world.run(() => partition.highWatermark === 1)
    const told: (KafkaErrorName | null)[] = []
    partition.whenHighWatermark(2, (error) => told.push(error))
    partition.awaitDurable({ endOffset: 2, reached: (error) => told.push(error) })
    partition.fail('KAFKA_STORAGE_ERROR')
    partition.fail('UNKNOWN_TOPIC_OR_PARTITION')
    partition.whenHighWatermark(2, (error) => told.push(error))
    partition.whenHighWatermark(1, (error) => told.push(error))
    expect(told).toEqual(['KAFKA_STORAGE_ERROR', 'KAFKA_STORAGE_ERROR', 'KAFKA_STORAGE_ERROR', null])
  })

  it('tells listeners of each advance until they stop listening', async () => {
    const { place, table, partitions } = await twoPartitions()
    const [partition] = partitions
    let advances = 0
    const stop = partition.onAdvance(() => advances++)
    table.appendSet([{ partition, batch: batchOf(['x']), origin: 'client' }])
    await place.world.run(() => partition.highWatermark === 1)
    const seen = advances
    stop()
    table.appendSet([{ partition, batch: batchOf(['y']), origin: 'client' }])
    await place.world.run(() => partition.highWatermark === 2)
    expect([seen > 0, advances]).toEqual([true, seen])
  })
})

describe('a set of appends', () => {
  it('is all or nothing: one refused batch refuses the others', async () => {
    const { table, partitions } = await twoPartitions()
    const broken = batchOf(['y'])
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 0xff
    const outcomes = table.appendSet([
      { partition: partitions[0], batch: batchOf(['x']), origin: 'client' },
      { partition: partitions[1], batch: broken, origin: 'client' },
    ])
    expect(outcomes.map((outcome) => (outcome.kind === 'refused' ? outcome.error : 'ok'))).toEqual([
      'OPERATION_NOT_ATTEMPTED',
      'CORRUPT_MESSAGE',
    ])
    expect(partitions.map((partition) => partition.log.logEndOffset)).toEqual([0, 0])
  })

  it('is whole or absent after a power cut', async () => {
    for (let seed = 1; seed <= 20; seed++) {
      const place = clusterWorld(seed)
      const { cluster } = await startCluster(place)
      await place.world.settle(cluster.createTopic(creationOf('a', { partitions: 2 })))
      for (let at = 0; at < 5; at++) {
        cluster.partitions.appendSet(
          (cluster.partitions.ofTopic('a') ?? []).map((partition) => ({
            partition,
            batch: batchOf(['x']),
            origin: 'client',
          })),
        )
        await place.world.runFor(place.world.prng.below(3))
      }
      place.host.powerCut()
      const again = await startCluster(place)
      const ends = (again.cluster.partitions.ofTopic('a') ?? []).map((partition) => partition.log.logEndOffset)
      expect(ends[0], `seed ${seed}`).toBe(ends[1])
    }
  })
})
