/** The mirror into a real Apache Kafka on the same two cores: a backlog of 1 KB records, from the first sent to the last confirmed. */
import { join } from 'node:path'
import type { MirrorStatus } from '../../src/mirror/mirror-status.ts'
import { apacheKafkaMissing } from '../../test/interop/apache-kafka.ts'
import type { BenchCase, Figure } from '../case.ts'
import { producerPerf } from '../java.ts'
import { median, peakRssMiB } from '../measure.ts'
import { apacheKafkaPeer, headwaterPeer } from '../peers.ts'

export const mirrorThroughput: BenchCase = {
  name: 'mirror-throughput',
  missing: apacheKafkaMissing,
  async run(context) {
    const records = Math.round(1_000_000 * context.scale)
    const rates: number[] = []
    let memory = 0
    for (let round = 0; round < context.rounds; round++) {
      const folder = join(context.folder, String(round))
      const central = await apacheKafkaPeer(join(folder, 'central'), false)
      // The backlog is written while no mirror is configured, so that the figure holds nothing but the mirror's own work.
      const source = await headwaterPeer(join(folder, 'edge'))
      await producerPerf(source, 'large', records, 1024)
      await source.stop()
      const config = `node: { site: bench }\nmirrors:\n  - { name: central, bootstrapServers: ["${central.bootstrap}"], topics: [".*"] }\n`
      const edge = await headwaterPeer(join(folder, 'edge'), { config })
      const startedAt = performance.now()
      try {
        for (;;) {
          const response = await fetch(`http://${edge.http}/api/mirrors`)
          const [mirror] = (await response.json()) as readonly MirrorStatus[]
          if (mirror !== undefined && mirror.mirroredRecords >= records && mirror.lagRecords === 0) break
          if (performance.now() - startedAt > 180_000)
            throw new Error(`the mirror did not finish: ${JSON.stringify(mirror)}`)
          await new Promise((resolve) => setTimeout(resolve, 50))
        }
        rates.push((records * 1024) / 2 ** 20 / ((performance.now() - startedAt) / 1000))
        memory = Math.max(memory, peakRssMiB(edge.pid))
      } finally {
        await edge.stop()
        await central.stop()
      }
    }
    const figures: Figure[] = [
      {
        name: 'mirror of a 1 KB backlog into Apache Kafka',
        unit: 'MB/s',
        value: median(rates),
        reach: { atLeast: 60 },
      },
      { name: 'RSS of the edge while it mirrors, highest', unit: 'MiB', value: memory, reach: { atMost: 256 } },
    ]
    return { figures }
  },
}
