/** Produce throughput while everything that is stored is looked through for damage, at the rate of the default. */
import { join } from 'node:path'
import type { BenchCase } from '../case.ts'
import { batchOf, KafkaLoad, settled } from '../load.ts'
import { headwaterPeer } from '../peers.ts'

const fullBytes = 1e9
/** A pass begins so long after a start. */
const scrubEveryMs = 60_000
const beginsWithinMs = 90_000

export const scrubBeside: BenchCase = {
  name: 'scrub-beside',
  missing: () => null,
  async run(context) {
    const startedAt = performance.now()
    const node = await headwaterPeer(join(context.folder, 'node'), {
      config: `disk: { scrubEvery: ${scrubEveryMs}ms }\n`,
    })
    const load = await KafkaLoad.open(node.bootstrap)
    const stored = await load.createTopic('stored', 4, { 'segment.bytes': String(64 * 1_048_576) })
    const large = batchOf(1_000_000)
    const requests = Math.ceil((fullBytes * context.scale) / large.length / 4)
    await load.run({ topic: stored, batch: large, batchesPerRequest: 4, inFlight: 4, requests })
    const traffic = await load.createTopic('traffic', 16)
    const milliseconds = Math.max(3_000, 6_000 * context.scale)
    const flood = async () =>
      load.run({ topic: traffic, batch: batchOf(16_384), batchesPerRequest: 8, inFlight: 8, milliseconds })
    await flood()
    const without: number[] = []
    for (let round = 0; round < context.rounds; round++) without.push((await flood()).bytesPerSecond / 1e6)
    if ((await scrubbedBytes(node.http)) > 0) throw new Error('the scrub began before it was to: measure less')
    while ((await scrubbedBytes(node.http)) === 0) {
      if (performance.now() - startedAt > beginsWithinMs) throw new Error('the scrub does not begin')
      await settled(500)
    }
    const beside: number[] = []
    const latency: number[] = []
    for (let round = 0; round < context.rounds; round++) {
      const figures = await flood()
      beside.push(figures.bytesPerSecond / 1e6)
      latency.push(figures.p99Ms)
    }
    const scrubbed = await scrubbedBytes(node.http)
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

async function scrubbedBytes(http: string): Promise<number> {
  const text = await (await fetch(`http://${http}/metrics`)).text()
  return Number(/^headwater_log_scrubbed_bytes_total (\S+)$/m.exec(text)?.[1] ?? 0)
}
