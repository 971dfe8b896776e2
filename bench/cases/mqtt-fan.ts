/**
 * One publisher to 1,000 subscribers and 1,000 publishers to one: deliveries a second, the server on one core, the C generator on the other; ours out of
 * the log after fsync, Mosquitto and aedes in memory.
 */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, Comparison, Figure } from '../case.ts'
import { cpuSeconds, peakRssMiB, run } from '../measure.ts'
import { aedesPeer, headwaterPeer, type MqttPeer, mosquittoPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

interface Shape {
  readonly name: string
  readonly publishers: number
  readonly subscribers: number
  readonly qos: 0 | 1
  readonly messages: number
  /** Messages published and not delivered to everybody yet. */
  readonly window: number
  /** Messages that a publisher sends when it is its turn. */
  readonly burst: number
}

const toMany = { publishers: 1, subscribers: 1000, window: 50, burst: 1 }
// Twice what is on its way fits a socket's backlog, so that nobody drops at QoS 0.
const toOne = { publishers: 1000, subscribers: 1, window: 4000, burst: 1 }
const shapes: readonly Shape[] = [
  { name: '1 to 1,000, QoS 0', ...toMany, qos: 0, messages: 2000 },
  { name: '1 to 1,000, QoS 1', ...toMany, qos: 1, messages: 1000 },
  { name: '1,000 to 1, QoS 0', ...toOne, qos: 0, messages: 400_000 },
  { name: '1,000 to 1, QoS 1', ...toOne, qos: 1, messages: 200_000 },
  { name: '1,000 to 1, four at a time, QoS 0', ...toOne, qos: 0, messages: 800_000, burst: 4 },
  { name: '1,000 to 1, four at a time, QoS 1', ...toOne, qos: 1, messages: 400_000, burst: 4 },
]

interface FanFigures {
  readonly perSecond: number
  readonly p99Ms: number
  readonly generatorCpu: number
  readonly deliveries: number
  /** Of the server, for each delivery: also on a machine that has other things to do. */
  readonly serverUs: number
  /** Highest of the server. */
  readonly rssMiB: number
}

export const mqttFan: BenchCase = {
  name: 'mqtt-fan',
  missing: () => hasPrograms('mosquitto', 'gcc', 'taskset'),
  async run(context) {
    const program = await compiled('mqtt-fan')
    const comparisons: Comparison[] = []
    const figures: Figure[] = []
    for (const shape of shapes) {
      const measure = async (peer: MqttPeer): Promise<FanFigures> => {
        const args = (messages: number): string[] => [
          ...['-c', '1', program, peer.host, String(peer.port), String(shape.publishers), String(shape.subscribers)],
          ...[shape.qos, 100, Math.max(shape.window, Math.round(messages)), shape.window, shape.burst].map(String),
        ]
        try {
          await run('taskset', args((shape.messages * context.scale) / 4))
          const before = cpuSeconds(peer.pid)
          const said = JSON.parse((await run('taskset', args(shape.messages * context.scale))).stdout) as FanFigures
          const serverUs = ((cpuSeconds(peer.pid) - before) * 1e6) / said.deliveries
          return { ...said, serverUs, rssMiB: peakRssMiB(peer.pid) }
        } finally {
          await peer.stop()
        }
      }
      const all = { ours: [] as FanFigures[], mosquitto: [] as FanFigures[], aedes: [] as FanFigures[] }
      for (let round = 0; round < context.rounds; round++) {
        const folder = (peer: string): string => join(context.folder, `${peer}-${shape.name}-${round}`)
        all.ours.push(await measure(await headwaterPeer(folder('ours'), { core: 0 })))
        all.mosquitto.push(await measure(await mosquittoPeer(folder('mosquitto'), { core: 0 })))
        all.aedes.push(await measure(await aedesPeer({ core: 0 })))
      }
      comparisons.push(
        compare(shape, all.ours, { name: 'Mosquitto', figures: all.mosquitto, atLeast: 1 }),
        compare(shape, all.ours, { name: 'aedes', figures: all.aedes, atLeast: null }),
      )
      figures.push({
        name: `RSS of ours with MQTT ${shape.name}, highest`,
        unit: 'MiB',
        value: Math.max(...all.ours.map((each) => each.rssMiB)),
        reach: { atMost: 256 },
      })
    }
    return { comparisons, figures }
  },
}

function compare(
  shape: Shape,
  ours: readonly FanFigures[],
  peer: { readonly name: string; readonly figures: readonly FanFigures[]; readonly atLeast: number | null },
): Comparison {
  const list = (all: readonly FanFigures[], of: 'generatorCpu' | 'p99Ms' | 'serverUs'): string =>
    all.map((each) => each[of].toFixed(2)).join(' ')
  const shares = `${list(ours, 'generatorCpu')} with ours, ${list(peer.figures, 'generatorCpu')} with ${peer.name}`
  return {
    name: `MQTT ${shape.name}, 100 B, ours after fsync / ${peer.name} in memory`,
    unit: 'deliveries/s',
    ours: ours.map((each) => each.perSecond),
    peer: peer.figures.map((each) => each.perSecond),
    peerName: peer.name,
    reach: peer.atLeast === null ? null : { atLeast: peer.atLeast },
    note: `generator's share of its core: ${shares}; p99 from send to receipt ${list(ours, 'p99Ms')} against ${list(peer.figures, 'p99Ms')} ms; processor time a delivery ${list(ours, 'serverUs')} against ${list(peer.figures, 'serverUs')} us`,
  }
}
