/**
 * QoS 1 at half load: first what fifty clients get through when each waits for its PUBACK before it goes on, as sensors do; then the latencies
 * at half of that, sent at an even pace (open loop). What clients with windows get through is some twenty times as much, more than a generator can pace.
 */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, Figure } from '../case.ts'
import { median, run } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

const connections = 50
const window = 1
const messages = 200_000
/** Seconds at half load. */
const seconds = 10

interface LoadFigures {
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly generatorCpu: number
}

export const mqttLatency: BenchCase = {
  name: 'mqtt-latency',
  missing: () => hasPrograms('gcc', 'taskset'),
  async run(context) {
    const program = await compiled('mqtt-load')
    const p99s: number[] = []
    const notes: string[] = []
    for (let round = 0; round < context.rounds; round++) {
      const peer = await headwaterPeer(join(context.folder, `node-${round}`), { core: 0 })
      const load = async (count: number, windowSize: number, rate: number | null): Promise<LoadFigures> => {
        const args = [peer.host, peer.port, connections, 1, 100, Math.round(count), windowSize, 'sensors']
        const words = ['-c', '1', program, ...args.map(String), ...(rate === null ? [] : [String(Math.round(rate))])]
        return JSON.parse((await run('taskset', words)).stdout) as LoadFigures
      }
      try {
        // With windows: what is compiled and how far the journal grows is settled by then.
        await load(5 * messages * context.scale, 100, null)
        const peak = await load(messages * context.scale, window, null)
        const rate = peak.perSecond / 2
        // No window: a message is sent when it is due, or its wait is not counted.
        const half = await load(rate * seconds * context.scale, 60_000, rate)
        p99s.push(half.p99Ms)
        notes.push(
          `${Math.round(half.perSecond)} of ${Math.round(peak.perSecond)} messages/s, p50 ${half.p50Ms.toFixed(2)} ms, generator's share of its core ${half.generatorCpu.toFixed(2)}`,
        )
      } finally {
        await peer.stop()
      }
    }
    const figure: Figure = {
      name: 'MQTT QoS 1, 50 connections, 100 B, p99 of PUBACK after fsync at half of what they get through one by one',
      unit: 'ms',
      value: median(p99s),
      reach: { atMost: 10 },
      note: notes.join('; '),
    }
    return { figures: [figure] }
  },
}
