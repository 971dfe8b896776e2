/** Kafka's own load tools against ours (fsync before each acknowledgement) and against Apache Kafka without and with fsync. */
import { join } from 'node:path'
import { apacheKafkaMissing } from '../../test/interop/apache-kafka.ts'
import type { BenchCase, BenchContext, Comparison } from '../case.ts'
import { consumerPerf, endToEndLatency, producerPerf } from '../java.ts'
import { apacheKafkaPeer, headwaterPeer, type KafkaPeer } from '../peers.ts'

export const kafkaProduceAndConsume: BenchCase = {
  name: 'kafka-producer-and-consumer-perf',
  missing: apacheKafkaMissing,
  async run(context) {
    const ours = new Series()
    const kafka = new Series()
    const flushed = new Series()
    for (let round = 0; round < context.rounds; round++) {
      await ours.take(context, round, (folder) => headwaterPeer(folder))
      await kafka.take(context, round, (folder) => apacheKafkaPeer(folder, false))
      await flushed.take(context, round, (folder) => apacheKafkaPeer(folder, true), { consume: false })
    }
    const produce = (size: '1 KB' | '100 B', peer: Series, peerName: string, atLeast: number | null): Comparison => ({
      name: `producer-perf ${size} acks=all, ours with fsync / ${peerName}`,
      unit: size === '1 KB' ? 'MB/s' : 'records/s',
      ours: size === '1 KB' ? ours.large : ours.small,
      peer: size === '1 KB' ? peer.large : peer.small,
      peerName,
      reach: atLeast === null ? null : { atLeast },
    })
    return {
      comparisons: [
        produce('1 KB', kafka, 'Kafka without fsync', 1.0),
        produce('1 KB', flushed, 'Kafka with flush.messages=1', 3),
        produce('100 B', kafka, 'Kafka without fsync', null),
        produce('100 B', flushed, 'Kafka with flush.messages=1', null),
        {
          name: 'consumer-perf 1 KB',
          unit: 'MB/s',
          ours: ours.consumed,
          peer: kafka.consumed,
          peerName: 'Kafka',
          reach: { atLeast: 0.7 },
        },
      ],
    }
  },
}

export const kafkaLatency: BenchCase = {
  name: 'kafka-end-to-end-latency',
  missing: apacheKafkaMissing,
  async run(context) {
    const records = Math.max(1000, Math.round(10_000 * context.scale))
    const measure = async (start: () => Promise<KafkaPeer>) => {
      const peer = await start()
      try {
        await endToEndLatency(peer, 'warm', 1000)
        return await endToEndLatency(peer, 'latency', records)
      } finally {
        await peer.stop()
      }
    }
    const ours: Awaited<ReturnType<typeof measure>>[] = []
    const kafka: Awaited<ReturnType<typeof measure>>[] = []
    for (let round = 0; round < context.rounds; round++) {
      ours.push(await measure(() => headwaterPeer(join(context.folder, `ours-${round}`))))
      kafka.push(await measure(() => apacheKafkaPeer(join(context.folder, `kafka-${round}`), false)))
    }
    const pair = (name: string, of: (figures: (typeof ours)[number]) => number, atMost: number | null): Comparison => ({
      name: `EndToEndLatency 1 KB acks=all ${name}, ours with fsync / Kafka without`,
      unit: 'ms',
      ours: ours.map(of),
      peer: kafka.map(of),
      peerName: 'Kafka',
      reach: atMost === null ? null : { atMost },
    })
    return {
      comparisons: [
        pair('p99', (figures) => figures.p99Ms, 1.0),
        pair('average', (figures) => figures.averageMs, null),
      ],
    }
  },
}

class Series {
  readonly large: number[] = []
  readonly small: number[] = []
  readonly consumed: number[] = []

  /** One round: warm-up, 1 KB, 100 B, and the 1 KB records read back. */
  async take(
    context: BenchContext,
    round: number,
    start: (folder: string) => Promise<KafkaPeer>,
    options: { readonly consume: boolean } = { consume: true },
  ): Promise<void> {
    const largeRecords = Math.round(500_000 * context.scale)
    const peer = await start(join(context.folder, `${this.large.length}-${round}-${Math.trunc(performance.now())}`))
    try {
      await producerPerf(peer, 'warm', Math.round(50_000 * context.scale), 1024)
      this.large.push((await producerPerf(peer, 'large', largeRecords, 1024)).megabytesPerSecond)
      this.small.push((await producerPerf(peer, 'small', Math.round(2_000_000 * context.scale), 100)).recordsPerSecond)
      if (options.consume) this.consumed.push(await consumerPerf(peer, 'large', largeRecords))
    } finally {
      await peer.stop()
    }
  }
}
