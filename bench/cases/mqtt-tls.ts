/**
 * QoS 1 over TLS and over WSS, 50 connections: server on one core, the generator on the other; ours after fsync, Mosquitto (TLS) and aedes (WSS: the
 * Mosquitto of this machine may be built without WebSocket) in memory.
 */
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import { repositoryRoot } from '../../test/interop/headwater.ts'
import { CertificateFolder, type CertificateFiles } from '../../test/security/certificates.ts'
import type { BenchCase, BenchContext, Comparison } from '../case.ts'
import { cpuSeconds, run } from '../measure.ts'
import { aedesPeer, headwaterPeer, type MqttPeer, mosquittoPeer } from '../peers.ts'

const connections = 50
const messages = 400_000
const program = join(repositoryRoot, 'bench/programs/mqtt-tls-load.mjs')

type Mode = 'tls' | 'wss'

interface LoadFigures {
  readonly perSecond: number
  readonly messages: number
  readonly generatorCpu: number
  /** Of the server, for each message. */
  readonly serverUs: number
}

export const mqttTls: BenchCase = {
  name: 'mqtt-tls',
  missing: () => hasPrograms('mosquitto', 'openssl', 'taskset'),
  async run(context) {
    const certificates = new CertificateFolder()
    try {
      const files = certificates.leaf('server', certificates.authority('authority'))
      return { comparisons: [await compare(context, 'tls', files), await compare(context, 'wss', files)] }
    } finally {
      certificates.remove()
    }
  },
}

async function compare(context: BenchContext, mode: Mode, tls: CertificateFiles): Promise<Comparison> {
  const ours: LoadFigures[] = []
  const others: LoadFigures[] = []
  const peerName = mode === 'tls' ? 'Mosquitto' : 'aedes'
  const listener = `{ listen: "127.0.0.1:0", tls: { certificate: ${tls.certificate}, key: ${tls.key} }${mode === 'wss' ? ', webSocket: {}' : ''} }`
  const config = `node: { site: bench }\nkafka: { num.partitions: 4 }\nlisteners: { mqtt: [${listener}] }\n`
  for (let round = 0; round < context.rounds; round++) {
    const folder = (name: string): string => join(context.folder, `${mode}-${name}-${round}`)
    ours.push(await measure(await headwaterPeer(folder('ours'), { core: 0, config, hasOwnListener: true })))
    others.push(
      await measure(
        mode === 'tls' ? await mosquittoPeer(folder('peer'), { core: 0, tls }) : await aedesPeer({ core: 0, tls }),
      ),
    )
  }
  const list = (all: readonly LoadFigures[], of: 'generatorCpu' | 'serverUs'): string =>
    all.map((each) => each[of].toFixed(2)).join(' ')
  return {
    name: `MQTT QoS 1 over ${mode.toUpperCase()}, ${connections} connections, 100 B, ours after fsync / ${peerName} in memory`,
    unit: 'messages/s',
    ours: ours.map((each) => each.perSecond),
    peer: others.map((each) => each.perSecond),
    peerName,
    reach: { atLeast: 1 },
    note: `generator's share of its core: ${list(ours, 'generatorCpu')} with ours, ${list(others, 'generatorCpu')} with ${peerName}; processor time a message ${list(ours, 'serverUs')} against ${list(others, 'serverUs')} us`,
  }

  async function measure(peer: MqttPeer): Promise<LoadFigures> {
    const words = (count: number): string[] =>
      ['-c', 1, process.execPath, program, mode, peer.host, peer.port, connections, 100, Math.round(count)].map(String)
    try {
      await run('taskset', words((messages * context.scale) / 4))
      const before = cpuSeconds(peer.pid)
      const said = JSON.parse((await run('taskset', words(messages * context.scale))).stdout) as LoadFigures
      return { ...said, serverUs: ((cpuSeconds(peer.pid) - before) * 1e6) / said.messages }
    } finally {
      await peer.stop()
    }
  }
}
