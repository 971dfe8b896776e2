/** What moves in the demo: sensors that publish by MQTT, and counters that consume by Kafka. */
import { setTimeout as wait } from 'node:timers/promises'
import { connectAsync, type MqttClient } from 'mqtt'
import type { KafkaClient } from '../cli/kafka-client.ts'
import { RecordStream } from '../cli/record-stream.ts'
import { earliestTimestamp } from '../cli/offset-timestamps.ts'

/** Simulated sensors: each publishes its reading at QoS 1 and counts what was acknowledged. */
export class Sensors {
  readonly #clients: readonly MqttClient[]
  readonly #timer: NodeJS.Timeout
  published = 0
  acknowledged = 0
  failed = 0

  private constructor(clients: readonly MqttClient[], rate: number) {
    this.#clients = clients
    const tickMs = 50
    const beganMs = performance.now()
    this.#timer = setInterval(() => {
      // What the clock says is due, not what the ticks were meant to be: a busy machine delays ticks.
      const due = Math.floor(((performance.now() - beganMs) * rate) / 1000)
      while (this.published < due) this.#publish()
    }, tickMs)
  }

  static async start(address: string, count: number, rate: number): Promise<Sensors> {
    const clients: MqttClient[] = []
    for (let index = 1; index <= count; index++) {
      clients.push(await connectAsync(`mqtt://${address}`, { clientId: `press-${index}`, protocolVersion: 5 }))
    }
    return new Sensors(clients, rate)
  }

  /** No new readings; resolves when every one that was sent has its answer, at the latest after 10 s. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    for (let tries = 0; tries < 100 && this.acknowledged + this.failed < this.published; tries++) await wait(100)
    await Promise.all(this.#clients.map((client) => client.endAsync(true)))
  }

  #publish(): void {
    const index = this.published % this.#clients.length
    const celsius = (70 + 5 * Math.sin(this.published / 200) + Math.random()).toFixed(2)
    const number = this.published++
    this.#clients[index]
      ?.publishAsync(`sensors/press-${index + 1}/temperature`, `{"number":${number},"celsius":${celsius}}`, { qos: 1 })
      .then(
        () => {
          this.acknowledged++
        },
        () => {
          this.failed++
        },
      )
  }
}

/** Counts the readings in a topic, and those that come twice or never, by the number each carries. */
export class ReadingCounter {
  readonly #client: KafkaClient
  readonly #topic: string
  readonly #seen = new Set<number>()
  #running: Promise<void> | null = null
  #isStopped = false
  duplicates = 0

  constructor(client: KafkaClient, topic: string) {
    this.#client = client
    this.#topic = topic
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Different readings seen. */
  get count(): number {
    return this.#seen.size
  }

  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
    await this.#client.close()
  }

  async #run(): Promise<void> {
    let stream: RecordStream | null = null
    while (!this.#isStopped) {
      try {
        stream ??= await RecordStream.open(this.#client, {
          topic: this.#topic,
          partition: null,
          from: { timestamp: earliestTimestamp },
        })
        for (const { value } of await stream.read()) this.#take(value)
      } catch {
        // The topic is not there yet, or the broker is not: the counter asks again.
        await wait(250)
      }
    }
  }

  #take(value: Uint8Array | null): void {
    const number = Number(/"number":(\d+)/.exec(Buffer.from(value ?? []).toString())?.[1] ?? -1)
    if (this.#seen.has(number)) this.duplicates++
    this.#seen.add(number)
  }
}
