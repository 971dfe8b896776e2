/** QoS 0 and 1 with 1 and 50 connections: server on one core, the C generator on the other, ours with fsync, Mosquitto in memory. */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, Comparison, Figure } from '../case.ts'
import { peakRssMiB, run } from '../measure.ts'
import { headwaterPeer, type MqttPeer, mosquittoPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

interface Shape {
  readonly name: string
  readonly connections: number
  readonly qos: 0 | 1
  readonly messages: number
  readonly window: number
  readonly atLeast: number | null
}

const shapes: readonly Shape[] = [
  { name: 'QoS 1, 50 connections, 100 B', connections: 50, qos: 1, messages: 400_000, window: 100, atLeast: 2 },
  { name: 'QoS 1, 1 connection, 100 B', connections: 1, qos: 1, messages: 150_000, window: 100, atLeast: null },
  { name: 'QoS 0, 50 connections, 100 B', connections: 50, qos: 0, messages: 1_000_000, window: 0, atLeast: null },
  { name: 'QoS 0, 1 connection, 100 B', connections: 1, qos: 0, messages: 1_000_000, window: 0, atLeast: null },
]

interface LoadFigures {
  readonly perSecond: number
  readonly p99Ms: number
  readonly generatorCpu: number
  /** Highest of the server. */
  readonly rssMiB: number
}

export const mqttPublish: BenchCase = {
  name: 'mqtt-publish',
  missing: () => hasPrograms('mosquitto', 'gcc', 'taskset'),
  async run(context) {
    const load = await compiled('mqtt-load')
    const comparisons: Comparison[] = []
    const figures: Figure[] = []
    for (const shape of shapes) {
      const messages = Math.round(shape.messages * context.scale)
      const measure = async (peer: MqttPeer): Promise<LoadFigures> => {
        const args = (count: number): string[] => [
          ...['-c', '1', load, peer.host, String(peer.port), String(shape.connections), String(shape.qos), '100'],
          ...[String(count), String(shape.window), 'sensors'],
        ]
        try {
          await run('taskset', args(Math.round(messages / 4)))
          const said = JSON.parse((await run('taskset', args(messages))).stdout) as Omit<LoadFigures, 'rssMiB'>
          return { ...said, rssMiB: peakRssMiB(peer.pid) }
        } finally {
          await peer.stop()
        }
      }
      const ours: LoadFigures[] = []
      const mosquitto: LoadFigures[] = []
      for (let round = 0; round < context.rounds; round++) {
        ours.push(await measure(await headwaterPeer(join(context.folder, `${shape.name}-${round}`), { core: 0 })))
        mosquitto.push(
          await measure(await mosquittoPeer(join(context.folder, `peer-${shape.name}-${round}`), { core: 0 })),
        )
      }
      const cpu = (all: readonly LoadFigures[]): string => all.map((each) => each.generatorCpu.toFixed(2)).join(' ')
      comparisons.push({
        name: `MQTT ${shape.name}, ours after fsync / Mosquitto in memory`,
        unit: 'messages/s',
        ours: ours.map((each) => each.perSecond),
        peer: mosquitto.map((each) => each.perSecond),
        peerName: 'Mosquitto',
        reach: shape.atLeast === null ? null : { atLeast: shape.atLeast },
        note: `generator's share of its core: ${cpu(ours)} with ours, ${cpu(mosquitto)} with Mosquitto`,
      })
      figures.push({
        name: `RSS of ours with ${shape.name}, highest`,
        unit: 'MiB',
        value: Math.max(...ours.map((each) => each.rssMiB)),
        reach: { atMost: 256 },
      })
    }
    return { comparisons, figures }
  },
}
