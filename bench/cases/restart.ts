/** From a start to serving with 20 GB in 200 partitions: after a kill in the midst of a load, and after a clean stop. */
import { join } from 'node:path'
import type { BenchCase, Figure } from '../case.ts'
import { batchOf, KafkaLoad, settled } from '../load.ts'
import { peakRssMiB } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const partitions = 200
const fullBytes = 20e9

export const restart: BenchCase = {
  name: 'restart',
  missing: () => null,
  async run(context) {
    const folder = join(context.folder, 'node')
    const bytes = fullBytes * context.scale
    let node = await headwaterPeer(folder)
    const filler = await KafkaLoad.open(node.bootstrap)
    const topic = await filler.createTopic('filled', partitions, { 'segment.bytes': String(64 * 1_048_576) })
    const large = batchOf(1_000_000)
    const requests = Math.ceil(bytes / large.length / 4)
    await filler.run({ topic, batch: large, batchesPerRequest: 4, inFlight: 4, requests })
    await filler.close()
    const afterKill: { readyMs: number; rssMiB: number }[] = []
    const afterStop: { readyMs: number; rssMiB: number }[] = []
    for (let round = 0; round < context.rounds; round++) {
      // Small batches everywhere and large ones beside: a full journal and much above the recovery points.
      const load = await KafkaLoad.open(node.bootstrap)
      const small = load.run({
        topic,
        batch: batchOf(2_000),
        batchesPerRequest: partitions,
        inFlight: 4,
        milliseconds: 60_000,
      })
      const more = load.run({ topic, batch: large, batchesPerRequest: 4, inFlight: 1, milliseconds: 60_000 })
      const ended = Promise.allSettled([small, more])
      await settled(8_000 + round * 700)
      await node.kill()
      await ended
      await load.close()
      node = await headwaterPeer(folder)
      afterKill.push({ readyMs: node.readyAfterMs, rssMiB: peakRssMiB(node.pid) })
      await node.stop()
      node = await headwaterPeer(folder)
      afterStop.push({ readyMs: node.readyAfterMs, rssMiB: peakRssMiB(node.pid) })
    }
    await node.stop()
    const size = `${(bytes / 1e9).toFixed(0)} GB in ${partitions} partitions, page cache as the kill left it`
    const worst = (name: string, unit: string, values: readonly number[], atMost: number): Figure => ({
      name,
      unit,
      value: Math.max(...values),
      reach: { atMost },
      note: `${size}; each round: ${values.map((value) => value.toFixed(0)).join(' ')}`,
    })
    return {
      figures: [
        worst(
          'start to serving after a kill',
          'ms',
          afterKill.map((each) => each.readyMs),
          5_000,
        ),
        worst(
          'start to serving after a clean stop',
          'ms',
          afterStop.map((each) => each.readyMs),
          1_000,
        ),
        worst(
          'highest RSS until it serves, after a kill',
          'MiB',
          afterKill.map((each) => each.rssMiB),
          192,
        ),
        worst(
          'highest RSS until it serves, after a clean stop',
          'MiB',
          afterStop.map((each) => each.rssMiB),
          192,
        ),
      ],
    }
  },
}
