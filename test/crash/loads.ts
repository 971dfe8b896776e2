/** The foreign clients of the crash suite: idempotent Kafka producers by librdkafka, MQTT publishers by the npm client, readers by librdkafka. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { lines, output, until } from '../interop/case.ts'
import { repositoryRoot } from '../interop/headwater.ts'
import type { Prng } from '../sim/prng.ts'
import { StateLoad } from './mqtt-states.ts'
import { type Acknowledged, type Found, judge, type Judgement, type Published } from './history.ts'

/** About what one acknowledgement takes in the producers' file. */
const ackedLineBytes = 14
/** A long run leaves some million records. */
const readWithinMs = 600_000
/** After the last kill everything that is under way must come to its end. */
const drainWithinMs = 60_000

/** Topics of the load and their settings; the MQTT publishers write to `readings`. */
const loadTopics: readonly (readonly [name: string, settings: readonly string[]])[] = [
  ['idempotent', []],
  ['readings', []],
  ['wills', []],
  ['short', ['segment.bytes=1048576', 'retention.bytes=2097152', 'file.delete.delay.ms=1000']],
  ['latest', ['segment.bytes=1048576', 'cleanup.policy=compact', 'min.cleanable.dirty.ratio=0.01']],
]

export function createLoadTopics(port: number): void {
  for (const [topic, settings] of loadTopics) {
    const args = ['--bootstrap-server', `127.0.0.1:${port}`, '--partitions', '4']
    const configs = settings.flatMap((setting) => ['--config', setting])
    const created = spawnSync(
      join(repositoryRoot, 'tools/headwater'),
      ['topics', 'create', topic, ...args, ...configs],
      {
        encoding: 'utf8',
      },
    )
    if (created.status !== 0) throw new Error(`cannot create ${topic}: ${created.stdout}${created.stderr}`)
  }
}

/** Settings of the daemon that make retention and compaction part of a short run. */
export const hurriedSettings = 'kafka:\n  log.cleaner.backoff.ms: 500\n  log.retention.check.interval.ms: 1000\n'

export interface LoadPlaces {
  readonly python: string
  /** `HOST:PORT` for the Kafka clients, perhaps of a relay. */
  readonly kafka: string
  readonly mqttPort: number
  /** Retained messages, kept sessions and wills too: judged by `judgeStates`. */
  readonly hasStates?: boolean
  /** Takes the reports of the Kafka producers. */
  readonly ackedFile: string
}

/** So many bytes at once into `idempotent` and `latest`, acknowledged. Answers how to compare it with what a broker holds. */
export async function fillTopics(
  places: Omit<LoadPlaces, 'mqttPort'>,
  bytes: number,
): Promise<(bootstrap: string) => Promise<Judgement>> {
  const { python, kafka, ackedFile } = places
  const load = new KafkaLoad(python, kafka, ackedFile, bytes)
  await load.ended
  const acknowledged = load.acknowledged()
  return async (bootstrap) => {
    const idempotent = await readTopic(python, bootstrap, 'idempotent')
    const latest = await readTopic(python, bootstrap, 'latest')
    return judge({ acknowledged, published: [], readings: [], short: [], idempotent, latest })
  }
}

/** Each for itself: MQTT clients are back so much sooner that no Kafka request would be under way at a death. */
const acknowledgedBetween = { least: 20, most: 150 } as const

/** All of it together. */
export class MixedLoad {
  readonly #python: string
  readonly #kafka: KafkaLoad
  readonly #mqtt = new MqttLoad()
  #states: StateLoad | null = null

  private constructor({ python, kafka, ackedFile }: LoadPlaces) {
    this.#python = python
    this.#kafka = new KafkaLoad(python, kafka, ackedFile)
  }

  /** The topics must be there. */
  static async start(places: LoadPlaces): Promise<MixedLoad> {
    const load = new MixedLoad(places)
    if (places.hasStates === true) load.#states = await StateLoad.start(places.mqttPort)
    await load.#mqtt.start(places.mqttPort)
    return load
  }

  /** Waits until both kinds of clients have got some acknowledgements more. */
  async movesOn(random: Prng): Promise<void> {
    const { least, most } = acknowledgedBetween
    const kafkaGoal = this.#kafka.acknowledgedCount + random.between(least, most)
    const mqttGoal = this.#mqtt.published.length + random.between(least, most)
    const haveMoved = (): boolean =>
      this.#kafka.acknowledgedCount >= kafkaGoal && this.#mqtt.published.length >= mqttGoal
    await until(haveMoved, 60_000, 'both loads to move on')
  }

  /** Grows with each acknowledgement. */
  get acknowledgedCount(): number {
    return this.#kafka.acknowledgedCount + this.#mqtt.published.length
  }

  /** Waits until every client has got all its acknowledgements; answers figures. */
  async stop(): Promise<string> {
    const kafka = await this.#kafka.stop()
    await this.#mqtt.stop()
    const states = (await this.#states?.stop()) ?? ''
    return `kafka sent/failed ${kafka}; mqtt acknowledged ${this.#mqtt.published.length}, ${states}`
  }

  async kill(): Promise<void> {
    this.#kafka.kill()
    await this.#mqtt.kill()
    await this.#states?.kill()
  }

  /** What the MQTT door keeps for clients, once: the daemon runs again after the last death. */
  async judgeStates(bootstrap: string, settledWithinMs: number): Promise<Judgement> {
    const readWills = (): Promise<Found[]> => readTopic(this.#python, bootstrap, 'wills')
    const states = this.#states
    this.#states = null
    if (states === null) return { faultCount: 0, sentences: [] }
    return states.judge(this.#mqtt.published, readWills, settledWithinMs)
  }

  /** Reads everything from a broker, whoever it is, and compares it with what the clients have been told until now. */
  async judge(bootstrap: string): Promise<Judgement> {
    const told = { acknowledged: this.#kafka.acknowledged(), published: [...this.#mqtt.published] }
    const read = (topic: string): Promise<Found[]> => readTopic(this.#python, bootstrap, topic)
    const [idempotent, short, latest, readings] = await Promise.all([
      read('idempotent'),
      read('short'),
      read('latest'),
      read('readings'),
    ])
    return judge({ ...told, idempotent, short, latest, readings })
  }
}

/** The producers of `kafka-load.py`. */
class KafkaLoad {
  readonly #child: ChildProcess
  readonly #ackedFile: string

  /** Resolves when the program has ended, by itself or not. */
  readonly ended: Promise<unknown>

  /** With `bytes` it ends by itself when it has sent so much. */
  constructor(python: string, bootstrap: string, ackedFile: string, bytes?: number) {
    this.#ackedFile = ackedFile
    writeFileSync(ackedFile, '')
    const args = [bootstrap, ackedFile, ...(bytes === undefined ? [] : [String(bytes)])]
    this.#child = spawn(python, [join(repositoryRoot, 'test/crash/kafka-load.py'), ...args], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    this.ended = once(this.#child, 'exit')
  }

  /** Roughly how many deliveries were reported. */
  get acknowledgedCount(): number {
    return Math.floor(statSync(this.#ackedFile).size / ackedLineBytes)
  }

  /** Waits until each message has its report; answers what the program says of them: sent, failed. */
  async stop(): Promise<string> {
    let printed = ''
    this.#child.stdout?.on('data', (bytes) => {
      printed += String(bytes)
    })
    this.#child.stdin?.end('stop\n')
    const deadline = setTimeout(() => this.#child.kill('SIGKILL'), drainWithinMs)
    await this.ended
    clearTimeout(deadline)
    return printed.trim()
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  acknowledged(): Acknowledged[] {
    return lines(readFileSync(this.#ackedFile, 'utf8')).map((line) => {
      const [value = '', partition, offset] = line.split(' ')
      return { value, partition: Number(partition), offset: Number(offset) }
    })
  }
}

/** Publishers with kept sessions: two of each version of the protocol at QoS 1, one of each at QoS 2. */
const sensors = [
  { version: 4, qos: 1 },
  { version: 5, qos: 1 },
  { version: 4, qos: 1 },
  { version: 5, qos: 1 },
  { version: 4, qos: 2 },
  { version: 5, qos: 2 },
] as const

class MqttLoad {
  readonly #sensors: readonly Sensor[]
  /** With a PUBACK or PUBCOMP. */
  readonly published: Published[] = []

  constructor() {
    this.#sensors = sensors.map((kind, index) => new Sensor(index, kind, this.published))
  }

  async start(port: number): Promise<void> {
    await Promise.all(this.#sensors.map((sensor) => sensor.start(port)))
  }

  /** Waits until each message has its acknowledgement. */
  async stop(): Promise<void> {
    await Promise.all(this.#sensors.map((sensor) => sensor.stop()))
  }

  async kill(): Promise<void> {
    await Promise.all(this.#sensors.map((sensor) => sensor.cut()))
  }
}

class Sensor {
  readonly #index: number
  readonly #kind: (typeof sensors)[number]
  readonly #published: Published[]
  #client: MqttClient | null = null
  #counter = 0
  #inFlight = 0
  #isStopping = false

  constructor(index: number, kind: (typeof sensors)[number], published: Published[]) {
    this.#index = index
    this.#kind = kind
    this.#published = published
  }

  async start(port: number): Promise<void> {
    this.#client = await connectAsync(`mqtt://127.0.0.1:${port}`, {
      clientId: `sensor-${this.#index}`,
      clean: false,
      reconnectPeriod: 50,
      keepalive: 10,
      // Who finds the disk full is told so in CONNACK, and comes again.
      reconnectOnConnackError: true,
      protocolVersion: this.#kind.version,
      ...(this.#kind.version === 5 ? { properties: { sessionExpiryInterval: 86_400 } } : {}),
    })
    this.#client.on('error', () => {})
    for (let slot = 0; slot < 8; slot++) this.#publish()
  }

  #publish(): void {
    if (this.#isStopping || this.#client === null) return
    const { qos } = this.#kind
    // The name of the stream says the quality to the history.
    const value = `${qos === 1 ? 's' : 'q'}${this.#index}-${this.#counter++}`
    this.#inFlight++
    this.#client.publish(`readings/plant/s${this.#index}`, value, { qos }, (error) => {
      this.#inFlight--
      if (error === undefined || error === null) this.#published.push({ value })
      setTimeout(() => this.#publish(), 10)
    })
  }

  async cut(): Promise<void> {
    this.#isStopping = true
    await this.#client?.endAsync(true)
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await until(() => this.#inFlight === 0, drainWithinMs, 'the last PUBACKs')
    await this.#client?.endAsync()
  }
}

/** Everything that a topic holds, read by librdkafka with its check of CRCs. */
async function readTopic(python: string, bootstrap: string, topic: string): Promise<Found[]> {
  const program = join(repositoryRoot, 'test/crash/read-topic.py')
  return lines(await output(python, [program, bootstrap, topic], { timeoutMs: readWithinMs })).map((line) => {
    const [partition, offset, value = ''] = line.split(' ')
    return { partition: Number(partition), offset: Number(offset), value }
  })
}
