/**
 * What the log does in the background beside the traffic of clients: compaction of 2 GB with 10 million keys, deletion, and the look
 * for damage at the rate of the default.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import type { BenchCase, Comparison, Figure } from '../case.ts'
import { batchOf, KafkaLoad, type LoadFigures, settled, type Topic } from '../load.ts'
import { type LoopDelay, loopDelayEnvironment, takeLoopDelay } from '../loop-delay.ts'
import { metric, peakRssMiB, resetPeakRss } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const fullBytes = 2e9
const fullKeys = 10_000_000
const recordBytes = 140
const segmentBytes = 64 * 1_048_576
const compactionMsMax = 3_600_000
const scrubbedBytes = 1e9
/** A pass begins so long after a start. */
const scrubEveryMs = 60_000
const scrubBeginsWithinMs = 90_000
const scrubbedMetric = 'headwater_log_scrubbed_bytes_total'
/** It was over before it was waited for. */
const endedAtOnceMs = 400

interface Phase {
  readonly steady: LoadFigures
  readonly flood: LoadFigures
  readonly rssMiB: number
  readonly steadyBlocks: LoopDelay
  readonly floodBlocks: LoopDelay
}

export const compactionBeside: BenchCase = {
  name: 'compaction-beside',
  missing: () => null,
  async run(context) {
    const file = join(context.folder, 'loop-delay')
    const node = await headwaterPeer(join(context.folder, 'node'), {
      config: 'kafka: { log.cleaner.backoff.ms: 1000 }\n',
      environment: loopDelayEnvironment(file),
    })
    const load = await KafkaLoad.open(node.bootstrap)
    const keyed = await load.createTopic('keyed', 1, {
      'segment.bytes': String(segmentBytes),
      'min.cleanable.dirty.ratio': '0',
    })
    const keys = Math.round(fullKeys * context.scale)
    const records = await fillKeyed(load, keyed, keys, fullBytes * context.scale)
    const traffic = await load.createTopic('traffic', 16)
    const phase = (): Promise<Phase> => measure(load, traffic, node.pid, file, Math.max(0.2, context.scale))
    await phase()
    const without = await phase()
    const startedAt = performance.now()
    await load.alterTopic(keyed, { 'cleanup.policy': 'compact' })
    await settled(3_000)
    const beside = await phase()
    const measuredAt = performance.now()
    const compacting = await compactedAfter(join(context.folder, 'node/data/log'), startedAt)
    const hasEnded = performance.now() - measuredAt < endedAtOnceMs
    await load.close()
    await node.stop()
    const note = `${(fullBytes * context.scale) / 1e6} MB, ${records} records, ${keys} keys, compacted after ${compacting}${hasEnded ? '; THE PASS ENDED BEFORE THE MEASUREMENT DID' : ''}`
    const blocks = (each: LoopDelay): string => `99.9 %: ${each.p999Ms.toFixed(1)} ms`
    const figures: Figure[] = [
      {
        name: 'memory more while compacting (highest RSS under the same traffic)',
        unit: 'MiB',
        value: beside.rssMiB - without.rssMiB,
        reach: { atMost: 48 },
        note: `${without.rssMiB.toFixed(0)} to ${beside.rssMiB.toFixed(0)} MiB; ${note}`,
      },
      {
        name: 'longest block of the event loop while compacting, steady traffic',
        unit: 'ms',
        value: beside.steadyBlocks.maxMs,
        reach: { atMost: 10 },
        note: `${blocks(beside.steadyBlocks)}; without: ${without.steadyBlocks.maxMs.toFixed(1)} ms, ${blocks(without.steadyBlocks)}`,
      },
      {
        name: 'longest block of the event loop while compacting, flood',
        unit: 'ms',
        value: beside.floodBlocks.maxMs,
        reach: { atMost: 10 },
        note: `${blocks(beside.floodBlocks)}; without: ${without.floodBlocks.maxMs.toFixed(1)} ms, ${blocks(without.floodBlocks)}`,
      },
    ]
    const comparisons: Comparison[] = [
      {
        name: 'p99 of steady produce while compacting / without',
        unit: 'ms',
        ours: [beside.steady.p99Ms],
        peer: [without.steady.p99Ms],
        peerName: 'without',
        reach: { atMost: 2 },
        note: `p50 ${beside.steady.p50Ms.toFixed(2)} against ${without.steady.p50Ms.toFixed(2)} ms, ${beside.steady.requests} requests; ${note}`,
      },
      {
        name: 'produce throughput while compacting / without',
        unit: 'MB/s',
        ours: [beside.flood.bytesPerSecond / 1e6],
        peer: [without.flood.bytesPerSecond / 1e6],
        peerName: 'without',
        reach: { atLeast: 0.8 },
        note,
      },
    ]
    return { figures, comparisons }
  },
}

export const deletionBeside: BenchCase = {
  name: 'deletion-beside',
  missing: () => null,
  async run(context) {
    const without: number[] = []
    const beside: number[] = []
    const latency: number[] = []
    const node = await headwaterPeer(join(context.folder, 'node'))
    const load = await KafkaLoad.open(node.bootstrap)
    const traffic = await load.createTopic('traffic', 16)
    const milliseconds = Math.max(4_000, 10_000 * context.scale)
    await flood(load, traffic, milliseconds)
    for (let round = 0; round < context.rounds; round++) {
      const doomed = await load.createTopic(`doomed-${round}`, 8, {
        'segment.bytes': String(segmentBytes),
        'file.delete.delay.ms': '1000',
      })
      const large = batchOf(1_000_000)
      const requests = Math.ceil((fullBytes * 2 * context.scale) / large.length / 4)
      await load.run({ topic: doomed, batch: large, batchesPerRequest: 4, inFlight: 4, requests })
      without.push((await flood(load, traffic, milliseconds)).bytesPerSecond / 1e6)
      await load.deleteTopic(doomed)
      const figures = await flood(load, traffic, milliseconds)
      beside.push(figures.bytesPerSecond / 1e6)
      latency.push(figures.p99Ms)
    }
    await load.close()
    await node.stop()
    return {
      comparisons: [
        {
          name: 'produce throughput while deleting / without',
          unit: 'MB/s',
          ours: beside,
          peer: without,
          peerName: 'without',
          reach: { atLeast: 0.8 },
          note: `${((fullBytes * 2 * context.scale) / 1e9).toFixed(1)} GB in segments of 64 MiB go one second into it; p99 ${latency.map((each) => each.toFixed(0)).join(' ')} ms`,
        },
      ],
    }
  },
}

export const scrubBeside: BenchCase = {
  name: 'scrub-beside',
  missing: () => null,
  async run(context) {
    const startedAt = performance.now()
    const node = await headwaterPeer(join(context.folder, 'node'), {
      config: `disk: { scrubEvery: ${scrubEveryMs}ms }\n`,
    })
    const load = await KafkaLoad.open(node.bootstrap)
    const stored = await load.createTopic('stored', 4, { 'segment.bytes': String(segmentBytes) })
    const large = batchOf(1_000_000)
    const requests = Math.ceil((scrubbedBytes * context.scale) / large.length / 4)
    await load.run({ topic: stored, batch: large, batchesPerRequest: 4, inFlight: 4, requests })
    const traffic = await load.createTopic('traffic', 16)
    const milliseconds = Math.max(3_000, 6_000 * context.scale)
    await flood(load, traffic, milliseconds)
    const without: number[] = []
    for (let round = 0; round < context.rounds; round++)
      without.push((await flood(load, traffic, milliseconds)).bytesPerSecond / 1e6)
    if ((await metric(node, scrubbedMetric)) > 0) throw new Error('the scrub began before it was to: measure less')
    while ((await metric(node, scrubbedMetric)) === 0) {
      if (performance.now() - startedAt > scrubBeginsWithinMs) throw new Error('the scrub does not begin')
      await settled(500)
    }
    const beside: number[] = []
    const latency: number[] = []
    for (let round = 0; round < context.rounds; round++) {
      const figures = await flood(load, traffic, milliseconds)
      beside.push(figures.bytesPerSecond / 1e6)
      latency.push(figures.p99Ms)
    }
    const scrubbed = await metric(node, scrubbedMetric)
    await load.close()
    await node.stop()
    return {
      comparisons: [
        {
          name: 'produce throughput while scrubbing / without',
          unit: 'MB/s',
          ours: beside,
          peer: without,
          peerName: 'without',
          reach: { atLeast: 0.8 },
          note: `${(scrubbed / 1e6).toFixed(0)} MB looked through; p99 ${latency.map((each) => each.toFixed(0)).join(' ')} ms`,
        },
      ],
    }
  },
}

async function measure(load: KafkaLoad, traffic: Topic, pid: number, file: string, scale: number): Promise<Phase> {
  resetPeakRss(pid)
  await takeLoopDelay(pid, file)
  const steady = await load.run({
    topic: traffic,
    batch: batchOf(16_384),
    batchesPerRequest: 4,
    inFlight: 1,
    milliseconds: 20_000 * scale,
    pauseMs: 4,
  })
  const steadyBlocks = await takeLoopDelay(pid, file)
  const flooded = await flood(load, traffic, 10_000 * scale)
  const floodBlocks = await takeLoopDelay(pid, file)
  return { steady, flood: flooded, rssMiB: peakRssMiB(pid), steadyBlocks, floodBlocks }
}

function flood(load: KafkaLoad, topic: Topic, milliseconds: number): Promise<LoadFigures> {
  return load.run({ topic, batch: batchOf(16_384), batchesPerRequest: 8, inFlight: 8, milliseconds })
}

/** Records of 140 bytes, key after key, the first ones again at the end; answers how many. */
async function fillKeyed(load: KafkaLoad, topic: Topic, keys: number, bytes: number): Promise<number> {
  const records = Math.round(bytes / recordBytes)
  const value = new Uint8Array(recordBytes - 26)
  const sent: Promise<unknown>[] = []
  let made = 0
  while (made < records) {
    const builder = new RecordBatchBuilder({ initialBytes: 1_000_000 })
    const nowMs = Date.now()
    while (made < records && builder.sizeInBytes < 950_000) {
      const key = Buffer.alloc(16)
      key.writeUInt32BE(made % keys, 0)
      key.writeUInt32BE(Math.imul(made % keys, 0x9e3779b1) >>> 0, 8)
      builder.append(nowMs, key, value, null)
      made++
    }
    sent.push(load.produce(topic, new Map([[0, builder.build()]])))
    if (sent.length >= 4) await sent.shift()
  }
  await Promise.all(sent)
  return records
}

/** Waits until the log has been compacted up to its active segment, in as many passes as that takes; answers how long, in words. */
async function compactedAfter(logDirectory: string, startedAt: number): Promise<string> {
  while (performance.now() - startedAt < compactionMsMax) {
    const names = readdirSync(join(logDirectory, 'keyed-0')).filter((name) => name.endsWith('.log'))
    const activeBase = Math.max(...names.map((name) => Number.parseInt(name, 10)))
    if (cleanedUpTo(logDirectory) >= activeBase) return `${((performance.now() - startedAt) / 1000).toFixed(0)} s`
    await settled(500)
  }
  throw new Error(`the log has not been compacted within ${compactionMsMax / 1000} s`)
}

function cleanedUpTo(logDirectory: string): number {
  const file = join(logDirectory, 'cleaner-offset-checkpoint')
  if (!existsSync(file)) return -1
  return Number(/^keyed 0 (\d+)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? -1)
}
