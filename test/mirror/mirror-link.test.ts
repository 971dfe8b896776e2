import { describe, expect, test } from 'vitest'
import { anchorKeyText, type MirrorAnchor } from '../../src/mirror/anchor.ts'
import { MirrorLink } from '../../src/mirror/mirror-link.ts'
import type { MirrorOptions } from '../../src/mirror/mirror-options.ts'
import { batchSizeInBytes } from '../../src/protocol/records/record-batch.ts'
import { simWorld, type SimWorld } from '../sim/world.ts'
import { FakeCentral, type FakePartition, type FakeTopic } from './fake-central.ts'
import { batchOf, plainBatch, type TestRecordView } from './batches.ts'
import { MemorySource } from './memory-source.ts'

const centralPort = 9092

/** An edge with one mirror and a central cluster, in one simulated world. */
class Stage {
  readonly world: SimWorld
  readonly source = new MemorySource()
  central: FakeCentral
  link: MirrorLink
  readonly #options: Partial<MirrorOptions>

  private constructor(world: SimWorld, options: Partial<MirrorOptions>) {
    this.world = world
    this.#options = options
    this.central = this.#bootCentral(new Map())
    this.link = this.#bootLink()
  }

  static async begin(seed = 1, options: Partial<MirrorOptions> = {}): Promise<Stage> {
    const stage = new Stage(simWorld(seed), options)
    await stage.world.settle(stage.central.listen())
    return stage
  }

  get observer() {
    return this.world.host('edge').observer
  }

  start(): void {
    const anchors = new Map<string, MirrorAnchor>()
    for (const { key, anchor } of this.source.anchors) anchors.set(anchorKeyText(key), anchor)
    this.link.start(anchors)
  }

  /** The edge dies and comes back with what was durable. */
  restartEdge(): void {
    this.world.host('edge').kill()
    this.link = this.#bootLink()
    this.start()
  }

  async restartCentral(): Promise<void> {
    const { topics } = this.central
    this.world.host('central').kill()
    this.central = this.#bootCentral(topics)
    await this.world.settle(this.central.listen())
  }

  target(topic = 'plant-7.t', partition = 0): FakePartition {
    return this.central.topic(topic).partitions[partition] as FakePartition
  }

  async untilMirrored(): Promise<void> {
    await this.world.run(() => {
      const { lagRecords, partitions } = this.link.status()
      return partitions.length > 0 && lagRecords === 0
    })
  }

  /** The partition's records at the target are those of the source, once and in order. */
  expectEqual(topic = 't', partition = 0): void {
    const expected = this.source.partition(topic, partition)?.records().map(content)
    expect(this.target(`plant-7.${topic}`, partition).records().map(content)).toEqual(expected)
  }

  #bootCentral(topics: Map<string, FakeTopic>): FakeCentral {
    const host = this.world.host('central')
    return new FakeCentral(host.boot(), { host: host.address, port: centralPort }, topics)
  }

  #bootLink(): MirrorLink {
    const ports = this.world.host('edge').boot()
    const options: MirrorOptions = {
      name: 'central',
      bootstrapServers: [{ host: this.world.host('central').address, port: centralPort }],
      topics: ['t.*'],
      targetTopic: '{site}.{topic}',
      ...this.#options,
    }
    return new MirrorLink({ ports, source: this.source, options, site: 'plant-7', nodeId: 1, bootId: 'b001' })
  }
}

function content({ key, value, timestampMs, headers }: TestRecordView): string {
  return JSON.stringify([key, value, timestampMs, headers])
}

describe('a mirror', () => {
  test('creates the topic with as many partitions and brings every record over, once and in order', async () => {
    const stage = await Stage.begin()
    for (const partition of stage.source.create('t', 3)) partition.fill(2_000, 7)
    stage.start()
    await stage.untilMirrored()
    expect(stage.central.topic('plant-7.t').partitions.length).toBe(3)
    for (let partition = 0; partition < 3; partition++) stage.expectEqual('t', partition)
    // Small batches were merged: far fewer arrived than were stored.
    expect(stage.target().batches.length).toBeLessThan(10)
    expect(stage.source.anchors.length).toBe(3)
    expect(stage.link.status()).toMatchObject({ state: 'running', lastError: null, mirroredRecords: 6_000 })
  })

  test('holds no more of a backlog than its window, although the log answers at once', async () => {
    const stage = await Stage.begin(1, { limits: { windowBytesMax: 512 * 1024 } })
    const [partition] = stage.source.create('t', 1)
    partition?.fill(2_000, 10, 1_000)
    stage.start()
    let heldBytesMax = 0
    await stage.world.run(() => {
      const { lagRecords, partitions, mirroredBytes } = stage.link.status()
      heldBytesMax = Math.max(heldBytesMax, (partition?.readBytes ?? 0) - mirroredBytes)
      return partitions.length > 0 && lagRecords === 0
    })
    stage.expectEqual()
    // The window, and the read that has filled it.
    expect(heldBytesMax).toBeLessThan((512 + 128) * 1024)
  })

  test('goes on with what comes later, without a new anchor', async () => {
    const stage = await Stage.begin()
    const [partition] = stage.source.create('t', 1)
    stage.start()
    for (let round = 0; round < 20; round++) {
      partition?.fill(30, 3)
      await stage.world.runFor(20)
    }
    await stage.untilMirrored()
    stage.expectEqual()
    expect(stage.source.anchors.length).toBe(1)
  })

  test('takes up new topics and partitions, and drops deleted ones', async () => {
    const stage = await Stage.begin()
    stage.source.create('t', 1)[0]?.fill(10, 10)
    stage.start()
    await stage.untilMirrored()
    stage.source.create('t2', 1)[0]?.fill(10, 10)
    stage.source.create('t', 2)[1]?.fill(10, 10)
    await stage.untilMirrored()
    stage.expectEqual('t2')
    stage.expectEqual('t', 1)
    expect(stage.observer.eventsOf('mirror-topic-grown')).toHaveLength(1)
    stage.source.delete('t2')
    expect(stage.link.status().partitions.map(({ topic }) => topic)).toEqual(['t', 't'])
  })

  test('after a lost connection goes on where the target says, with lost answers neither lost nor doubled', async () => {
    const stage = await Stage.begin(3, { limits: { mergedBatchBytesMax: 20_000 } })
    stage.source.create('t', 2).forEach((partition) => partition.fill(5_000, 10))
    let produced = 0
    stage.central.onProduced = () => {
      if (++produced % 3 !== 0) return true
      stage.central.cutConnections()
      return false
    }
    stage.start()
    await stage.world.run(() => produced > 8)
    stage.central.onProduced = () => true
    await stage.untilMirrored()
    stage.expectEqual('t', 0)
    stage.expectEqual('t', 1)
    expect(
      stage.observer.figure('headwater_mirror_resumes_total', { mirror: 'central', proof: 'sequence' }),
    ).toBeGreaterThan(0)
  })

  test('survives kills of either side at any moment, over 40 seeds', async () => {
    for (let seed = 1; seed <= 40; seed++) {
      const stage = await Stage.begin(seed)
      const partitions = stage.source.create('t', 2)
      stage.start()
      for (let round = 0; round < 12; round++) {
        for (const partition of partitions)
          partition.fill(stage.world.prng.between(1, 400), stage.world.prng.between(1, 30), 200)
        await stage.world.runFor(stage.world.prng.between(1, 60))
        if (round % 3 === 1) stage.restartEdge()
        if (round % 3 === 2) await stage.restartCentral()
      }
      await stage.untilMirrored()
      stage.expectEqual('t', 0)
      stage.expectEqual('t', 1)
    }
  })

  test('a link that is down for two days costs a few attempts a minute and one state', async () => {
    const stage = await Stage.begin(5)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(100, 10)
    stage.start()
    await stage.untilMirrored()
    stage.world.network.cut('edge', 'central')
    partition?.fill(100, 10)
    const before = stage.world.eventCount
    await stage.world.runFor(48 * 3_600_000)
    expect(stage.world.eventCount - before).toBeLessThan(48 * 3_600)
    expect(stage.link.status()).toMatchObject({ state: 'backingOff', lagRecords: 100 })
    stage.world.network.heal('edge', 'central')
    await stage.untilMirrored()
    stage.expectEqual()
  })

  test('a target that has forgotten the producer is read back, and nothing is doubled', async () => {
    const stage = await Stage.begin(6)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(500, 10)
    stage.start()
    await stage.untilMirrored()
    stage.restartEdge()
    stage.target().producers.clear()
    partition?.fill(100, 10)
    await stage.untilMirrored()
    stage.expectEqual()
    expect(stage.observer.figure('headwater_mirror_resumes_total', { mirror: 'central', proof: 'tail' })).toBe(1)
  })

  test('without the right to ask or to read, growth is counted', async () => {
    const stage = await Stage.begin(7)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(500, 10)
    stage.central.denied.add('DescribeProducers').add('Fetch').add('DescribeConfigs')
    stage.start()
    await stage.untilMirrored()
    stage.restartEdge()
    partition?.fill(100, 10)
    await stage.untilMirrored()
    stage.expectEqual()
    expect(stage.observer.figure('headwater_mirror_resumes_total', { mirror: 'central', proof: 'count' })).toBe(1)
  })

  test('a target topic that was deleted and created anew gets everything again, loudly', async () => {
    const stage = await Stage.begin(8)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(500, 10)
    stage.start()
    await stage.untilMirrored()
    stage.central.create('plant-7.t', 1)
    partition?.fill(10, 10)
    await stage.world.run(() => stage.target().endOffset === 510)
    stage.expectEqual()
    expect(stage.observer.eventsOf('mirror-target-recreated')).toHaveLength(1)
  })

  test('batches larger than the target takes are split; a record that is too large parks its partition only', async () => {
    const stage = await Stage.begin(9)
    const [first, second] = stage.source.create('t', 2)
    first?.add(plainBatch(0, 40, 1_000))
    second?.add(batchOf(0, [{ timestampMs: 5, key: null, value: 'x'.repeat(50_000) }]))
    const topic = stage.central.create('plant-7.t', 2)
    topic.batchBytesMax = 10_000
    stage.start()
    await stage.world.run(() => stage.link.status().partitions.some(({ state }) => state === 'parked'))
    await stage.world.run(() => stage.target().endOffset === 40)
    stage.expectEqual()
    expect(Math.max(...stage.target().batches.map((batch) => batchSizeInBytes(batch)))).toBeLessThanOrEqual(10_000)
    expect(stage.link.status().partitions[1]?.reason).toContain('larger than the target takes')
    // The operator raises the limit: the partition heals by itself.
    topic.batchBytesMax = 100_000
    await stage.untilMirrored()
    stage.expectEqual('t', 1)
  })

  test('the limit is learned from refusals where it may not be asked for', async () => {
    const stage = await Stage.begin(10)
    stage.source.create('t', 1)[0]?.fill(500, 20, 500)
    stage.central.create('plant-7.t', 1).batchBytesMax = 60_000
    stage.central.denied.add('DescribeConfigs')
    stage.start()
    await stage.untilMirrored()
    stage.expectEqual()
  })

  test('passing refusals of the first, a middle and the last batch are sat out', async () => {
    const stage = await Stage.begin(11)
    stage.source.create('t', 1)[0]?.fill(8_000, 50, 300)
    let asked = 0
    stage.central.refuse = () => {
      asked++
      return [1, 4, 5, 9].includes(asked) ? 'NOT_ENOUGH_REPLICAS' : asked === 12 ? 'NOT_LEADER_OR_FOLLOWER' : null
    }
    stage.start()
    await stage.untilMirrored()
    stage.expectEqual()
    expect(asked).toBeGreaterThan(12)
  })

  test('a refusal for good parks the topic with the target’s word for it, and is tried again', async () => {
    const stage = await Stage.begin(12)
    stage.source.create('t', 1)[0]?.fill(10, 10)
    stage.central.denied.add('CreateTopics')
    stage.start()
    await stage.world.run(() => stage.link.status().partitions[0]?.state === 'parked')
    expect(stage.link.status().partitions[0]?.reason).toBe('cannot create plant-7.t: TOPIC_AUTHORIZATION_FAILED')
    stage.central.denied.clear()
    await stage.untilMirrored()
    stage.expectEqual()
  })

  test('a quota is obeyed', async () => {
    const stage = await Stage.begin(13)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(10, 10)
    stage.central.throttleMs = 30_000
    stage.start()
    await stage.world.run(() => stage.link.status().mirroredRecords === 10)
    await stage.world.runFor(1_000)
    const produced = stage.central.counts.get('Produce')
    partition?.fill(10, 10)
    await stage.world.runFor(25_000)
    expect(stage.central.counts.get('Produce')).toBe(produced)
    await stage.untilMirrored()
    stage.expectEqual()
  })

  test('records deleted here before they were mirrored are counted and reported, the rest arrives', async () => {
    const stage = await Stage.begin(14)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(100, 10)
    if (partition !== undefined) partition.startOffset = 40
    stage.source.anchors.push({
      key: { mirror: 'central', topicId: 'source-t'.padEnd(22, 'A'), partition: 0 },
      anchor: {
        producerId: 1,
        producerEpoch: 0,
        sourceOffset: 0,
        targetTopic: 'plant-7.t',
        targetTopicId: stage.central.create('plant-7.t', 1).topicId,
        targetEndOffset: 0,
        confirmedEnd: 0,
      },
    })
    stage.start()
    await stage.untilMirrored()
    expect(stage.target().records().map(content)).toEqual(partition?.records().slice(40).map(content))
    expect(stage.observer.figure('headwater_mirror_lost_records_total', { mirror: 'central' })).toBe(40)
    expect(stage.observer.eventsOf('mirror-records-lost')).toHaveLength(1)
  })

  test('a source that lost its tail begins anew where its records and the target’s part', async () => {
    const stage = await Stage.begin(16)
    const [partition] = stage.source.create('t', 1)
    for (let round = 0; round < 30; round++) {
      partition?.fill(100, 10)
      await stage.world.runFor(30)
    }
    stage.start()
    await stage.untilMirrored()
    stage.restartEdge()
    // Brought back from a copy: 500 records are gone, and others are written in their place before the link is up again.
    partition?.cutTail(2_500)
    const other = batchOf(
      2_500,
      Array.from({ length: 200 }, (_, index) => ({ timestampMs: 7, key: null, value: `new ${index}` })),
    )
    partition?.add(other)
    await stage.untilMirrored()
    const values = stage
      .target()
      .records()
      .map(({ value }) => value)
    expect(values.slice(0, 2_500)).toEqual(
      partition
        ?.records()
        .slice(0, 2_500)
        .map(({ value }) => value),
    )
    expect(values.slice(3_000)).toEqual(Array.from({ length: 200 }, (_, index) => `new ${index}`))
    expect(stage.observer.eventsOf('mirror-source-behind')[0]?.fields).toMatchObject({
      targetOffset: 3_000,
      startOffset: 2_500,
    })
  })

  test('a clean stop writes down how far the target has confirmed, and only where that is news', async () => {
    const stage = await Stage.begin(15)
    const [partition] = stage.source.create('t', 1)
    partition?.fill(100, 10)
    stage.start()
    await stage.untilMirrored()
    await stage.world.settle(stage.link.stop())
    expect(stage.source.anchors.map(({ anchor }) => anchor.confirmedEnd)).toEqual([0, 100])
    expect(stage.link.status().state).toBe('stopped')
    stage.restartEdge()
    await stage.untilMirrored()
    await stage.world.settle(stage.link.stop())
    expect(stage.source.anchors.length).toBe(2)
  })
})
