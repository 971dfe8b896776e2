/** The whole way: an appliance at the edge, another as its central cluster, both real, on simulated disks, clocks and network. */
import { describe, expect, test } from 'vitest'
import { fetchApi, listOffsetsApi, metadataApi, produceApi } from '../../src/protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../src/protocol/kafka/client-connection.ts'
import { batchLastOffset, forEachBatch } from '../../src/protocol/records/record-batch.ts'
import { simWorld, type SimWorld } from '../sim/world.ts'
import { ApplianceNode } from './appliance-node.ts'
import { batchOf, recordsIn, type TestRecordView } from './batches.ts'

const partitions = 2
const kafka = { 'num.partitions': partitions }

class Pair {
  readonly world: SimWorld
  readonly edge: ApplianceNode
  readonly central: ApplianceNode
  #next = 0

  private constructor(seed: number) {
    this.world = simWorld(seed)
    this.central = new ApplianceNode(this.world, 'central', { kafka })
    const bootstrap = `${this.world.host('central').address}:9092`
    const mirrors = [{ name: 'up', bootstrapServers: [bootstrap], topics: ['t'] }]
    this.edge = new ApplianceNode(this.world, 'edge', { kafka, mirrors })
  }

  static async begin(seed: number): Promise<Pair> {
    const pair = new Pair(seed)
    await pair.central.boot()
    await pair.edge.boot()
    return pair
  }

  /** Waits for the acknowledgement: these records must arrive. */
  async produce(records: number): Promise<void> {
    const { kafka } = this.edge
    await this.world.settle(kafka.send(metadataApi, { topics: [{ name: 't' }], allowAutoTopicCreation: true }))
    for (let partition = 0; partition < partitions; partition++) {
      const batch = batchOf(
        0,
        Array.from({ length: records }, () => ({
          timestampMs: 1_700_000_000_000,
          key: null,
          value: `record ${this.#next++}`,
        })),
      )
      await this.world.settle(this.#append(partition, batch))
    }
  }

  /** A node that was just started may need a moment for the topic. */
  async #append(partition: number, batch: Uint8Array): Promise<void> {
    const request = {
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ name: 't', partitionData: [{ index: partition, records: batch }] }],
    }
    const answer = await this.edge.kafka.send(produceApi, request, { version: 9 })
    expect(answer.responses[0]?.partitionResponses[0]?.errorCode).toBe(0)
  }

  async untilMirrored(): Promise<void> {
    await this.world.run(() => {
      const [mirror] = this.edge.appliance?.operations.mirrorStatus() ?? []
      return mirror !== undefined && mirror.partitions.length === partitions && mirror.lagRecords === 0
    }, 600_000)
  }

  async expectEqual(): Promise<void> {
    for (let partition = 0; partition < partitions; partition++) {
      const here = await this.#read(this.edge.kafka, 't', partition)
      const there = await this.#read(this.central.kafka, 'edge.t', partition)
      expect(there.map(({ value }) => value)).toEqual(here.map(({ value }) => value))
      expect(here.length).toBeGreaterThan(0)
    }
  }

  async #read(kafka: KafkaClientConnection, topic: string, partition: number): Promise<TestRecordView[]> {
    const ask = {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1 }] }],
    }
    const bounds = await this.world.settle(kafka.send(listOffsetsApi, ask))
    const end = bounds.topics[0]?.partitions[0]?.offset ?? -1
    const records: TestRecordView[] = []
    for (let at = 0; at < end; ) {
      const request = {
        ...{ replicaId: -1, maxWaitMs: 0, minBytes: 0, maxBytes: 1 << 20, sessionEpoch: -1 },
        topics: [{ topic, partitions: [{ partition, fetchOffset: at, partitionMaxBytes: 1 << 20 }] }],
      }
      const answer = await this.world.settle(kafka.send(fetchApi, request, { version: 12 }))
      const bytes = answer.responses[0]?.partitions[0]?.records ?? new Uint8Array(0)
      forEachBatch(bytes, (batches, position) => {
        at = batchLastOffset(batches, position) + 1
      })
      records.push(...recordsIn(bytes))
    }
    return records
  }
}

describe('an edge and its central cluster', () => {
  test('hold the same records after kills, power cuts and clean stops of either, over 12 seeds', async () => {
    for (let seed = 1; seed <= 12; seed++) {
      const pair = await Pair.begin(seed)
      const { prng } = pair.world
      for (let round = 0; round < 8; round++) {
        await pair.produce(prng.between(1, 30))
        await pair.world.runFor(prng.between(0, 120))
        const node = prng.chance(0.6) ? pair.edge : pair.central
        if (prng.chance(0.8)) await node.restart(prng.pick(['kill', 'powerCut', 'stop'] as const))
      }
      await pair.untilMirrored()
      await pair.expectEqual()
    }
  })
})
