/**
 * What TLS 1.3 costs: handshakes a second, requests of 64 KB against the same in plain text, MQTT over TLS against Mosquitto over TLS. The
 * server has one core, the C generator the other one.
 *
 * Where a full handshake's processor time goes (us, Node 24 with OpenSSL 3.5 against Mosquitto with 3.0, in turns on one core of a shared machine):
 * Mosquitto 263 and resumed 214; a bare `tls.createServer` a little more and a little less; a server of bare handles, without Node's two sockets a
 * connection, a fifth less; the daemon, which has none either, 220 and 163 (behind 6,000 connections 266 and 182). Of its time JavaScript takes 5 %, two tickets 5 %, close and close_notify 7 %. X25519
 * and ECDSA alone and a shorter list of groups move nothing; a shorter list of signatures 1.5 %. V8 compiles what a connection runs after 3,000 calls, and goes on for tens of thousands.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fetchApi, produceApi } from '../../src/protocol/kafka/apis.ts'
import { encodeRequest } from '../../src/protocol/kafka/header.ts'
import { apacheKafkaMissing } from '../../test/interop/apache-kafka.ts'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, BenchContext, Comparison, Figure } from '../case.ts'
import { batchOf, KafkaLoad, settled } from '../load.ts'
import { takeLoopDelay } from '../loop-delay.ts'
import { cpuSeconds, median, run } from '../measure.ts'
import { compiled, opensslHeadersMissing } from '../programs.ts'
import {
  apacheKafkaOverTls,
  certificateIn,
  headwaterOverTls,
  mosquittoOverTls,
  type TlsFiles,
  type TlsPeer,
  watchedHeadwaterOverTls,
} from '../tls-peers.ts'

const concurrent = 32
const loopBlockMsMax = 10
/** Twice as many as V8, and the JVM about, runs before it compiles: what is measured is what has been compiled, at every scale. */
const warmUp = 6_000

interface Handshakes {
  readonly perSecond: number
  readonly full: number
  readonly p99Ms: number
  readonly generatorCpu: number
  readonly serverCpuUs: number
}

type Start = (folder: string, files: TlsFiles) => Promise<TlsPeer>
const kinds = ['full', 'resumed'] as const

export const tlsHandshakes: BenchCase = {
  name: 'tls-handshakes',
  missing: () => opensslHeadersMissing() ?? hasPrograms('gcc', 'taskset', 'mosquitto') ?? apacheKafkaMissing(),
  async run(context) {
    const files = await certificateIn(context.folder)
    const series: Record<string, Handshakes[]> = {}
    const blocks: number[] = []
    const each = async (start: Start, round: number): Promise<void> => {
      const peer = await start(join(context.folder, `${start.name}-${round}`), files)
      const ports = { MQTT: peer.mqttTls, Kafka: peer.kafka.tls }
      try {
        for (const [protocol, port] of Object.entries(ports).filter(([, one]) => one !== 0)) {
          await handshakes(peer, port, 'full', warmUp)
          for (const kind of kinds) {
            const found = await handshakes(peer, port, kind, 20_000 * context.scale)
            ;(series[`${peer.name} ${protocol} ${kind}`] ??= []).push(found)
          }
        }
      } finally {
        await peer.stop()
      }
    }
    // A daemon of its own: whoever is asked how long its loop is blocked is slower.
    const watch = async (round: number): Promise<void> => {
      const peer = await watchedHeadwaterOverTls(join(context.folder, `watched-${round}`), files)
      const delay = async (): Promise<number> =>
        peer.loopDelayFile === null ? 0 : (await takeLoopDelay(peer.pid, peer.loopDelayFile)).maxMs
      try {
        for (const port of [peer.mqttTls, peer.kafka.tls]) {
          await handshakes(peer, port, 'full', warmUp)
          await delay()
          for (const kind of kinds) {
            await handshakes(peer, port, kind, 5_000 * context.scale)
            blocks.push(await delay())
          }
        }
      } finally {
        await peer.stop()
      }
    }
    for (let round = 0; round < context.rounds; round++) {
      for (const start of [headwaterOverTls, mosquittoOverTls, apacheKafkaOverTls]) await each(start, round)
      await watch(round)
    }
    const of = (peer: string, protocol: string, kind: string): readonly Handshakes[] =>
      series[`${peer} ${protocol} ${kind}`] ?? []
    const pairs = [
      { protocol: 'MQTT', peer: 'Mosquitto' },
      { protocol: 'Kafka', peer: 'Kafka' },
    ]
    return {
      comparisons: pairs.flatMap(({ protocol, peer }) =>
        kinds.map((kind) =>
          compareHandshakes(kind, protocol, of('headwater', protocol, kind), peer, of(peer, protocol, kind)),
        ),
      ),
      figures: [
        {
          name: `longest block of our loop during handshakes, ${concurrent} at a time`,
          unit: 'ms',
          value: Math.max(...blocks),
          reach: { atMost: loopBlockMsMax },
        },
      ],
    }
  },
}

async function handshakes(
  peer: TlsPeer,
  port: number,
  kind: (typeof kinds)[number],
  wanted: number,
): Promise<Handshakes> {
  const program = await compiled('tls-handshakes', { tls: true })
  const count = Math.max(200, Math.round(wanted))
  const before = cpuSeconds(peer.pid)
  const words = ['-c', '1', program, '127.0.0.1', String(port), kind, String(concurrent), String(count)]
  const { stdout } = await run('taskset', words)
  const found = JSON.parse(stdout) as Omit<Handshakes, 'serverCpuUs'>
  return { ...found, serverCpuUs: ((cpuSeconds(peer.pid) - before) / count) * 1e6 }
}

function compareHandshakes(
  kind: string,
  protocol: string,
  ours: readonly Handshakes[],
  peerName: string,
  peer: readonly Handshakes[],
): Comparison {
  const said = (all: readonly Handshakes[]): string =>
    [
      `${median(all.map((one) => one.serverCpuUs)).toFixed(0)} us of the server's core each`,
      `p99 ${median(all.map((one) => one.p99Ms)).toFixed(1)} ms`,
      `generator ${median(all.map((one) => one.generatorCpu)).toFixed(2)} of its core`,
      ...(kind === 'resumed' ? [`${median(all.map((one) => one.full)).toFixed(0)} not resumed`] : []),
    ].join(', ')
  return {
    name: `TLS 1.3 handshakes, ${kind}, ${protocol} listener`,
    unit: 'connections/s',
    ours: ours.map((one) => one.perSecond),
    peer: peer.map((one) => one.perSecond),
    peerName,
    reach: { atLeast: 1 },
    note: `ours: ${said(ours)}; ${peerName}: ${said(peer)}`,
  }
}

const connections = 4
const window = 4
const frameBytes = 65_536

interface Throughput {
  readonly bytesPerSecond: number
  readonly generatorCpu: number
  readonly serverCpuShare: number
  /** Of the server, for one request. */
  readonly requestCpuUs: number
}

export const tlsThroughput: BenchCase = {
  name: 'tls-throughput',
  missing: () => opensslHeadersMissing() ?? hasPrograms('gcc', 'taskset') ?? apacheKafkaMissing(),
  async run(context) {
    const files = await certificateIn(context.folder)
    const series: Record<string, Throughput[]> = {}
    const each = async (start: Start, round: number): Promise<void> => {
      const peer = await start(join(context.folder, `${start.name}-${round}`), files)
      try {
        const frames = await framesFor(peer, context)
        for (const { name, file, errorAt, requests } of frames) {
          for (const mode of ['plain', 'tls'] as const) {
            await throughput(peer, mode, { file, errorAt, requests: requests / 4 })
            const found = await throughput(peer, mode, { file, errorAt, requests })
            ;(series[`${peer.name} ${name} ${mode}`] ??= []).push(found)
          }
        }
      } finally {
        await peer.stop()
      }
    }
    for (let round = 0; round < context.rounds; round++) {
      for (const start of [headwaterOverTls, apacheKafkaOverTls]) await each(start, round)
    }
    const compare = (peer: string, what: string, reach: Comparison['reach']): Comparison => {
      const of = (mode: string): readonly Throughput[] => series[`${peer} ${what} ${mode}`] ?? []
      const rate = (mode: string): number[] => of(mode).map((one) => one.bytesPerSecond / 1e6)
      const cores = (mode: string): string =>
        [
          `server ${median(of(mode).map((one) => one.serverCpuShare)).toFixed(2)}`,
          `(${median(of(mode).map((one) => one.requestCpuUs)).toFixed(0)} us a request)`,
          `generator ${median(of(mode).map((one) => one.generatorCpu)).toFixed(2)}`,
        ].join(' ')
      return {
        name: `${peer}: ${what} of 64 KB over TLS 1.3 / in plain text`,
        unit: 'MB/s',
        ours: rate('tls'),
        peer: rate('plain'),
        peerName: `${peer} in plain text`,
        reach,
        note: `cores taken over TLS: ${cores('tls')}; in plain text: ${cores('plain')}`,
      }
    }
    return {
      comparisons: [
        compare('headwater', 'produce', { atLeast: 0.6 }),
        compare('headwater', 'fetch', { atLeast: 0.6 }),
        compare('Kafka', 'produce', null),
        compare('Kafka', 'fetch', null),
      ],
    }
  },
}

/** Files of requests for a topic of this server: one batch of 64 KB to each partition, and the fetch of it. */
async function framesFor(peer: TlsPeer, context: BenchContext) {
  const name = 'tls'
  const load = await KafkaLoad.open(`127.0.0.1:${peer.kafka.plain}`)
  const topic = await load.createTopic(name, connections)
  const batch = batchOf(frameBytes)
  const partitions = Array.from({ length: connections }, (_, index) => index)
  const one = new Map(partitions.map((index) => [index, batch]))
  // Apache Kafka tells of a topic before its partitions have a leader.
  for (let tries = 1; ; tries++) {
    try {
      await load.produce(topic, one)
      break
    } catch (thrown) {
      if (tries === 50) throw thrown
      await settled(100)
    }
  }
  await load.close()
  const produce = partitions.flatMap((index) => {
    const topicData = [{ name, topicId: topic.topicId, partitionData: [{ index, records: batch }] }]
    return encodeRequest(produceApi, 7, index, 'bench', { acks: -1, timeoutMs: 30_000, topicData })
  })
  const fetch = partitions.flatMap((partition) =>
    encodeRequest(fetchApi, 11, partition, 'bench', {
      maxWaitMs: 500,
      minBytes: 1,
      maxBytes: 16_777_216,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        { topic: name, topicId: topic.topicId, partitions: [{ partition, fetchOffset: 0, partitionMaxBytes: 1 }] },
      ],
      forgottenTopicsData: [],
      rackId: '',
    }),
  )
  const written = (what: string, chunks: readonly Uint8Array[]): string => {
    const file = join(context.folder, `${peer.name}-${what}.frames`)
    writeFileSync(file, Buffer.concat(chunks))
    return file
  }
  const requests = 12_000 * context.scale
  return [
    // Behind the correlation id: topics, the name, partitions, the index.
    { name: 'produce', file: written('produce', produce), errorAt: 18 + name.length, requests },
    // As above, and before it the throttle time, an error code and the session.
    { name: 'fetch', file: written('fetch', fetch), errorAt: 28 + name.length, requests: requests * 2 },
  ]
}

async function throughput(
  peer: TlsPeer,
  mode: 'plain' | 'tls',
  work: { readonly file: string; readonly errorAt: number; readonly requests: number },
): Promise<Throughput> {
  const program = await compiled('frame-load', { tls: true })
  const requests = Math.max(100, Math.round(work.requests))
  const before = cpuSeconds(peer.pid)
  const { stdout, seconds } = await run('taskset', [
    ...['-c', '1', program, '127.0.0.1', String(peer.kafka[mode]), mode, String(connections), String(window)],
    ...[String(requests), work.file, String(work.errorAt)],
  ])
  const cpu = cpuSeconds(peer.pid) - before
  const said = JSON.parse(stdout) as { bytesOutPerSecond: number; bytesInPerSecond: number; generatorCpu: number }
  const bytesPerSecond = Math.max(said.bytesOutPerSecond, said.bytesInPerSecond)
  return {
    bytesPerSecond,
    generatorCpu: said.generatorCpu,
    serverCpuShare: cpu / seconds,
    requestCpuUs: (cpu / requests) * 1e6,
  }
}

const publishers = 50

export const tlsMqtt: BenchCase = {
  name: 'tls-mqtt',
  missing: () => opensslHeadersMissing() ?? hasPrograms('gcc', 'taskset', 'mosquitto'),
  async run(context) {
    const files = await certificateIn(context.folder)
    const program = await compiled('mqtt-load', { tls: true })
    const messages = Math.round(400_000 * context.scale)
    const measure = async (start: Start, round: number): Promise<{ perSecond: number; generatorCpu: number }> => {
      const peer = await start(join(context.folder, `${start.name}-${round}`), files)
      const publish = (count: number) =>
        run(
          'taskset',
          [
            ...['-c', '1', program, '127.0.0.1', String(peer.mqttTls), String(publishers), '1', '100'],
            ...[String(count), '100', 'sensors'],
          ],
          { environment: { MQTT_LOAD_TLS: '1' } },
        )
      try {
        await publish(Math.round(messages / 4))
        return JSON.parse((await publish(messages)).stdout) as { perSecond: number; generatorCpu: number }
      } finally {
        await peer.stop()
      }
    }
    const ours: Awaited<ReturnType<typeof measure>>[] = []
    const mosquitto: typeof ours = []
    for (let round = 0; round < context.rounds; round++) {
      ours.push(await measure(headwaterOverTls, round))
      mosquitto.push(await measure(mosquittoOverTls, round))
    }
    const cpu = (all: typeof ours): string => all.map((each) => each.generatorCpu.toFixed(2)).join(' ')
    return {
      comparisons: [
        {
          name: `MQTT QoS 1 over TLS 1.3, ${publishers} connections, 100 B, ours after fsync / Mosquitto in memory`,
          unit: 'messages/s',
          ours: ours.map((each) => each.perSecond),
          peer: mosquitto.map((each) => each.perSecond),
          peerName: 'Mosquitto',
          reach: { atLeast: 1 },
          note: `generator's share of its core: ${cpu(ours)} with ours, ${cpu(mosquitto)} with Mosquitto`,
        },
      ],
      figures: [] satisfies Figure[],
    }
  },
}
