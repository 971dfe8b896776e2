/** 10,000 clients that are connected and say nothing: what the daemon holds for each, subscribed to a topic of its own as most are. */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase } from '../case.ts'
import { settled } from '../load.ts'
import { rssMiB, run } from '../measure.ts'
import { headwaterPeer, type MqttPeer, mosquittoPeer } from '../peers.ts'
import { compiled } from '../programs.ts'

const connections = 10_000

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
    const measure = async (peer: MqttPeer): Promise<IdleFigures> => {
      try {
        // A first few, so that what is made once stands in the base.
        await run(program, [peer.host, String(peer.port), '200', '0', '1'])
        await settled(5000)
        const before = rssMiB(peer.pid)
        // The program tells when all are connected and then holds them.
        const held = run(program, [peer.host, String(peer.port), String(count), '0', '25'], { timeoutMs: 120_000 })
        await settled(20_000)
        const during = rssMiB(peer.pid)
        const { secondsToConnect } = JSON.parse((await held).stdout) as { readonly secondsToConnect: number }
        return { kibEach: ((during - before) * 1024) / count, secondsToConnect }
      } finally {
        await peer.stop()
      }
    }
    const ours: IdleFigures[] = []
    const mosquitto: IdleFigures[] = []
    for (let round = 0; round < context.rounds; round++) {
      const config = 'node: { site: bench }\nmqtt: { connectionsMax: 20000, subscriptionsPerSessionMax: 10 }\n'
      ours.push(await measure(await headwaterPeer(join(context.folder, `ours-${round}`), { config })))
      mosquitto.push(await measure(await mosquittoPeer(join(context.folder, `peer-${round}`))))
    }
    const seconds = (all: readonly IdleFigures[]): string =>
      all.map((each) => each.secondsToConnect.toFixed(1)).join(' ')
    return {
      comparisons: [
        {
          name: `RSS a connection, ${count.toLocaleString('en')} idle ones, over the base`,
          unit: 'KiB',
          ours: ours.map((each) => each.kibEach),
          peer: mosquitto.map((each) => each.kibEach),
          peerName: 'Mosquitto',
          reach: null,
          note: `seconds until all were there: ${seconds(ours)} with ours, ${seconds(mosquitto)} with Mosquitto`,
        },
      ],
      figures: [
        {
          name: `RSS a connection of ours, ${count.toLocaleString('en')} idle ones, over the base`,
          unit: 'KiB',
          value: Math.max(...ours.map((each) => each.kibEach)),
          reach: { atMost: 6 },
        },
      ],
    }
  },
}
