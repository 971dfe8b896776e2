/** 10,000 clients that are connected and say nothing, without and with a subscription to a topic of their own: what the daemon holds for each. */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, Comparison, Figure } from '../case.ts'
import { settled } from '../load.ts'
import { median, rssMiB, run } from '../measure.ts'
import { headwaterPeer, type MqttPeer, mosquittoPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

const connections = 10_000
/** By then V8 has looked at what the connects left behind: it does so some ten seconds after it has become quiet. */
const quietMs = 30_000

interface IdleFigures {
  readonly kibEach: number
  readonly secondsToConnect: number
}

export const mqttIdle: BenchCase = {
  name: 'mqtt-idle',
  missing: () => hasPrograms('mosquitto', 'gcc'),
  async run(context) {
    const program = await compiled('mqtt-idle')
    const count = Math.max(100, Math.round(connections * context.scale))
    const measure = async (peer: MqttPeer, subscriptions: 0 | 1): Promise<IdleFigures> => {
      const words = (clients: number, seconds: number): string[] =>
        [peer.host, peer.port, clients, subscriptions, seconds].map(String)
      try {
        // A first few, so that what is made once stands in the base.
        await run(program, words(200, 1))
        await settled(quietMs / 2)
        const before = rssMiB(peer.pid)
        const held = run(program, words(count, (quietMs * 1.5) / 1000), { timeoutMs: 120_000 })
        await settled(quietMs)
        const during = rssMiB(peer.pid)
        const { secondsToConnect } = JSON.parse((await held).stdout) as { readonly secondsToConnect: number }
        return { kibEach: ((during - before) * 1024) / count, secondsToConnect }
      } finally {
        await peer.stop()
      }
    }
    const comparisons: Comparison[] = []
    const figures: Figure[] = []
    for (const subscriptions of [0, 1] as const) {
      const ours: IdleFigures[] = []
      const mosquitto: IdleFigures[] = []
      const title = `${count.toLocaleString('en')} idle connections ${subscriptions === 0 ? 'without a subscription' : 'with one subscription each'}`
      for (let round = 0; round < context.rounds; round++) {
        const folder = (name: string): string => join(context.folder, `${name}-${subscriptions}-${round}`)
        const config = 'node: { site: bench }\nmqtt: { connectionsMax: 20000 }\n'
        ours.push(await measure(await headwaterPeer(folder('ours'), { config }), subscriptions))
        mosquitto.push(await measure(await mosquittoPeer(folder('mosquitto')), subscriptions))
      }
      const seconds = (all: readonly IdleFigures[]): string =>
        all.map((each) => each.secondsToConnect.toFixed(1)).join(' ')
      comparisons.push({
        name: `RSS a connection, ${title}`,
        unit: 'KiB',
        ours: ours.map((each) => each.kibEach),
        peer: mosquitto.map((each) => each.kibEach),
        peerName: 'Mosquitto',
        reach: null,
        note: `seconds until all were there: ${seconds(ours)} with ours, ${seconds(mosquitto)} with Mosquitto`,
      })
      figures.push({
        name: `RSS a connection of ours over the base, ${title}`,
        unit: 'KiB',
        value: median(ours.map((each) => each.kibEach)),
        reach: subscriptions === 0 ? { atMost: 6 } : null,
      })
    }
    return { comparisons, figures }
  },
}
