/** What an idle daemon costs: memory, descriptors, time to ready, and that it writes nothing. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchCase } from '../case.ts'
import { median, openDescriptors, rssMiB, writtenBytes } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

export const footprint: BenchCase = {
  name: 'footprint',
  missing: () => null,
  async run(context) {
    mkdirSync(context.folder, { recursive: true })
    const folder = join(context.folder, 'node')
    const first = await headwaterPeer(folder)
    await first.stop()
    const starts: number[] = []
    const memory: number[] = []
    let descriptors = 0
    let written = 0
    for (let round = 0; round < Math.max(3, context.rounds); round++) {
      const again = await headwaterPeer(folder)
      starts.push(again.readyAfterMs)
      await settled(2000)
      const before = writtenBytes(again.pid)
      await settled(5000)
      written = Math.max(written, writtenBytes(again.pid) - before)
      memory.push(rssMiB(again.pid))
      descriptors = openDescriptors(again.pid)
      await again.stop()
    }
    return {
      figures: [
        {
          name: 'start to ready, second start, from source',
          unit: 'ms',
          value: median(starts),
          reach: { atMost: 500 },
        },
        {
          name: 'RSS idle, from source with a warm compile cache',
          unit: 'MiB',
          value: median(memory),
          reach: { atMost: 130 },
        },
        { name: 'open descriptors, idle', unit: '', value: descriptors, reach: null },
        { name: 'bytes written in 5 idle seconds', unit: 'B', value: written, reach: { atMost: 0 } },
      ],
    }
  },
}

/** The bench measures over time: this is the time. */
function settled(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
