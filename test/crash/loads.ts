/** The foreign clients of the crash suite: idempotent Kafka producers by librdkafka, MQTT publishers by the npm client, readers by librdkafka. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connectAsync, type MqttClient } from 'mqtt'
import { lines, output, until } from '../interop/case.ts'
import { repositoryRoot } from '../interop/headwater.ts'
import type { Acknowledged, Found, Published } from './history.ts'

/** About what one acknowledgement takes in the producers' file. */
const ackedLineBytes = 14
/** A long run leaves some million records. */
const readWithinMs = 600_000
/** After the last kill everything that is under way must come to its end. */
const drainWithinMs = 60_000

/** Topics of the load and their settings; the MQTT publishers write to `readings`. */
export const loadTopics: readonly (readonly [name: string, settings: readonly string[]])[] = [
  ['idempotent', []],
  ['readings', []],
  ['short', ['segment.bytes=1048576', 'retention.bytes=2097152', 'file.delete.delay.ms=1000']],
  ['latest', ['segment.bytes=1048576', 'cleanup.policy=compact', 'min.cleanable.dirty.ratio=0.01']],
]

/** Settings of the daemon that make retention and compaction part of a short run. */
export const hurriedSettings = 'kafka:\n  log.cleaner.backoff.ms: 500\n  log.retention.check.interval.ms: 1000\n'

/** The producers of `kafka-load.py`. */
export class KafkaLoad {
  readonly #child: ChildProcess
  readonly #ackedFile: string

  constructor(python: string, bootstrap: string, ackedFile: string) {
    this.#ackedFile = ackedFile
    writeFileSync(ackedFile, '')
    this.#child = spawn(python, [join(repositoryRoot, 'test/crash/kafka-load.py'), bootstrap, ackedFile], {
      stdio: ['pipe', 'pipe', 'ignore'],
    })
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
    await once(this.#child, 'exit')
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

export class MqttLoad {
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
      reconnectPeriod: 20,
      keepalive: 10,
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
      setTimeout(() => this.#publish(), 2)
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
export async function readTopic(python: string, bootstrap: string, topic: string): Promise<Found[]> {
  const program = join(repositoryRoot, 'test/crash/read-topic.py')
  return lines(await output(python, [program, bootstrap, topic], { timeoutMs: readWithinMs })).map((line) => {
    const [partition, offset, value = ''] = line.split(' ')
    return { partition: Number(partition), offset: Number(offset), value }
  })
}
