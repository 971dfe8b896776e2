/**
 * `headwater demo`: the whole story on one machine. An edge and a second instance as its central, sensors that publish by MQTT, consumers
 * at both ends, and a link that is cut now and then. Needs nothing else; leaves nothing behind.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { ListenAddress } from '../../base/ports.ts'
import type { CommandLineHost } from '../cli/host.ts'
import { KafkaClient } from '../cli/kafka-client.ts'
import { print } from '../cli/output.ts'
import { isOutputGone } from '../cli/standard-output.ts'
import { askDaemon } from '../cli/daemon-http.ts'
import type { ApplianceStatus, MirrorStatus } from '../operations.ts'
import { DemoDaemon } from './demo-daemon.ts'
import { DemoLink } from './demo-link.ts'
import { ReadingCounter, Sensors } from './demo-load.ts'

export interface DemoOptions {
  /** Null = until Ctrl-C. */
  readonly seconds: number | null
  readonly sensors: number
  /** Readings a second, all sensors together. */
  readonly rate: number
  /** One JSON object a second, and one for the end. */
  readonly json: boolean
}

/** The link holds, then is cut, again and again. */
const holdsSeconds = 10
const cutSeconds = 8
/** What is on its way gets this long to arrive at the end. */
const settleSeconds = 20

const site = 'edge'
const topic = 'sensors'
const anyPort = '127.0.0.1:0'

/** Runs the demo. True when at the end nothing was lost and nothing came twice. */
export async function runDemo(host: CommandLineHost, options: DemoOptions): Promise<boolean> {
  const folder = mkdtempSync(join(tmpdir(), 'headwater-demo-'))
  const stage = new DemoStage(host, options, folder)
  let isEnding = false
  const end = () => {
    isEnding = true
  }
  process.on('SIGINT', end)
  process.on('SIGTERM', end)
  try {
    await stage.build()
    stage.introduce()
    for (
      let second = 1;
      !isEnding && !isOutputGone() && (options.seconds === null || second <= options.seconds);
      second++
    ) {
      await wait(1000)
      await stage.tick(second)
    }
    return await stage.conclude()
  } finally {
    await stage.clear()
    rmSync(folder, { recursive: true, force: true })
    process.off('SIGINT', end)
    process.off('SIGTERM', end)
  }
}

class DemoStage {
  readonly #host: CommandLineHost
  readonly #options: DemoOptions
  readonly #folder: string
  readonly #link = new DemoLink()
  readonly #clearing: (() => Promise<void>)[] = []
  #edge: DemoDaemon | null = null
  #central: DemoDaemon | null = null
  #sensors: Sensors | null = null
  #atEdge: ReadingCounter | null = null
  #atCentral: ReadingCounter | null = null
  #before = { acknowledged: 0, edge: 0, central: 0 }

  constructor(host: CommandLineHost, options: DemoOptions, folder: string) {
    this.#host = host
    this.#options = options
    this.#folder = folder
  }

  /** Central, link, edge, consumers, sensors: each before what needs it. */
  async build(): Promise<void> {
    const relay = await this.#link.listen()
    this.#clearing.push(() => this.#link.close())
    const central = await this.#startDaemon('central', {
      node: { site: 'central' },
      // The first listener tells its clients to come over the link; who is at the central uses the second.
      listeners: {
        kafka: [{ listen: anyPort, advertise: relay }, { listen: anyPort }],
        mqtt: [{ listen: anyPort }],
        http: { listen: anyPort },
      },
    })
    this.#link.connectTo(central.addresses.kafka)
    const edge = await this.#startDaemon('edge', {
      node: { site },
      listeners: { kafka: [{ listen: anyPort }], mqtt: [{ listen: anyPort }], http: { listen: anyPort } },
      mirrors: [
        {
          name: 'central',
          bootstrapServers: [relay],
          topics: [topic],
          targetTopic: '{site}.{topic}',
          backOffMax: '2s',
        },
      ],
    })
    this.#central = central
    this.#edge = edge
    this.#atEdge = await this.#count(edge.addresses.kafka, topic)
    this.#atCentral = await this.#count(await secondKafkaListener(central), `${site}.${topic}`)
    this.#sensors = await Sensors.start(edge.addresses.mqtt, this.#options.sensors, this.#options.rate)
  }

  introduce(): void {
    const { json, sensors, rate } = this.#options
    if (json || this.#edge === null || this.#central === null) return
    print(
      `edge     kafka=${this.#edge.addresses.kafka} mqtt=${this.#edge.addresses.mqtt} http=${this.#edge.addresses.http}`,
    )
    print(`central  kafka=${this.#central.addresses.kafka} http=${this.#central.addresses.http}`)
    print(
      `${sensors} sensors publish ${rate} readings a second at QoS 1; the link is cut for ${cutSeconds} s every ${holdsSeconds + cutSeconds} s; Ctrl-C ends`,
    )
    print('')
    print('second  link  acknowledged/s  consumed/s at edge  mirrored/s to central  mirror lag')
  }

  /** Cuts or heals the link by the clock, and shows the second that has passed. */
  async tick(second: number): Promise<void> {
    const phase = second % (holdsSeconds + cutSeconds)
    if (phase === holdsSeconds) this.#link.cut()
    if (phase === 0) this.#link.heal()
    const lag = await this.#lag()
    const now = {
      acknowledged: this.#sensors?.acknowledged ?? 0,
      edge: this.#atEdge?.count ?? 0,
      central: this.#atCentral?.count ?? 0,
    }
    const rates = [
      now.acknowledged - this.#before.acknowledged,
      now.edge - this.#before.edge,
      now.central - this.#before.central,
    ] as const
    this.#before = now
    const link = this.#link.isCut ? 'CUT' : 'up'
    if (this.#options.json) {
      print(
        JSON.stringify({
          second,
          link,
          acknowledgedPerSecond: rates[0],
          consumedPerSecond: rates[1],
          mirroredPerSecond: rates[2],
          mirrorLagRecords: lag,
        }),
      )
    } else {
      const cells = [
        String(second).padStart(6),
        link.padEnd(4),
        String(rates[0]).padStart(14),
        String(rates[1]).padStart(18),
        String(rates[2]).padStart(21),
      ]
      print(`${cells.join('  ')}  ${String(lag ?? '-').padStart(10)}`)
    }
  }

  /** Stops the sensors, heals the link, waits for what is on its way, and draws the line. */
  async conclude(): Promise<boolean> {
    this.#link.heal()
    await this.#sensors?.stop()
    const acknowledged = this.#sensors?.acknowledged ?? 0
    const arrived = () => Math.min(this.#atEdge?.count ?? 0, this.#atCentral?.count ?? 0)
    for (let tries = 0; tries < settleSeconds * 4 && arrived() < acknowledged; tries++) await wait(250)
    const edge = this.#atEdge?.count ?? 0
    const central = this.#atCentral?.count ?? 0
    const duplicates = (this.#atEdge?.duplicates ?? 0) + (this.#atCentral?.duplicates ?? 0)
    const isWhole = edge >= acknowledged && central >= acknowledged && duplicates === 0
    const result = {
      acknowledged,
      atEdge: edge,
      atCentral: central,
      lost: Math.max(0, acknowledged - Math.min(edge, central)),
      duplicates,
    }
    if (this.#options.json) print(JSON.stringify(result))
    else
      print(
        `\n${acknowledged} readings acknowledged, ${edge} at the edge, ${central} at the central: ${result.lost} lost, ${duplicates} twice`,
      )
    return isWhole
  }

  /** Undoes `build`, the newest first. */
  async clear(): Promise<void> {
    for (const undo of this.#clearing.toReversed()) await undo()
  }

  async #startDaemon(name: string, configuration: object): Promise<DemoDaemon> {
    const daemon = await DemoDaemon.start(this.#host.selfCommand, join(this.#folder, name), configuration)
    this.#clearing.push(() => daemon.stop())
    return daemon
  }

  async #count(address: string, name: string): Promise<ReadingCounter> {
    const counter = new ReadingCounter(new KafkaClient(await this.#host.clientPorts(), [addressOf(address)]), name)
    counter.start()
    this.#clearing.push(() => counter.stop())
    return counter
  }

  /** Records that the central lacks, as the edge says; null when it does not answer. */
  async #lag(): Promise<number | null> {
    if (this.#edge === null) return null
    const mirrors = await askDaemon<MirrorStatus[]>({ http: this.#edge.addresses.http }, '/api/mirrors').catch(() => [])
    return mirrors[0]?.lagRecords ?? null
  }
}

/** The ready line names the first listener only. */
async function secondKafkaListener(daemon: DemoDaemon): Promise<string> {
  const { listeners } = await askDaemon<ApplianceStatus>({ http: daemon.addresses.http }, '/api/status')
  const second = listeners.filter(({ protocol }) => protocol === 'kafka')[1]
  return second === undefined ? daemon.addresses.kafka : `${second.host}:${second.port}`
}

function addressOf(text: string): ListenAddress {
  const at = text.lastIndexOf(':')
  return { host: text.slice(0, at), port: Number(text.slice(at + 1)) }
}
