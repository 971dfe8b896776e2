/**
 * The good clients that work through every row: an MQTT publisher and subscriber of the npm package (QoS 1), a Kafka producer and a
 * consumer group of kafkajs. Each operation has a deadline; each acknowledgement is remembered, and looked up at the end.
 */
import { strict as assert } from 'node:assert'
import { type Consumer, Kafka, logLevel, type Producer } from 'kafkajs'
import { connectAsync, type MqttClient } from 'mqtt'
import type { RunningHeadwater } from '../interop/headwater.ts'
import { KafkaTalk } from './kafka-talk.ts'
import { pause, until, within } from './row.ts'

export const bystanderKafkaTopic = 'bystander-kafka'
export const bystanderMqttTopic = 'bystander-mqtt'

/** Longest time that an operation of a good client may take while others attack. */
const operationDeadlineMs = 5_000
/** Between two operations of one client: a load that is felt, and that leaves the machine to the attack. */
const betweenMs = 5

interface Counts {
  published: number
  delivered: number
  produced: number
  consumed: number
}

/** Good clients at a daemon, at work; `close` ends them and the daemon. Whatever fails, both are ended. */
export async function startBystanders(
  daemon: RunningHeadwater,
): Promise<{ readonly bystanders: Bystanders; readonly close: () => Promise<void> }> {
  const bystanders = new Bystanders(daemon)
  const close = async (): Promise<void> => {
    await bystanders.stop()
    await daemon.stop()
  }
  await bystanders.start().catch(async (error: unknown) => {
    await close()
    throw error
  })
  return { bystanders, close }
}

export class Bystanders {
  readonly #daemon: RunningHeadwater
  readonly #faults: string[] = []
  readonly #counts: Counts = { published: 0, delivered: 0, produced: 0, consumed: 0 }
  readonly #producedAt = new Map<string, number>()
  readonly #published: string[] = []
  readonly #loops: Promise<void>[] = []
  #publisher: MqttClient | null = null
  #subscriber: MqttClient | null = null
  #producer: Producer | null = null
  #consumer: Consumer | null = null
  #isStopping = false

  constructor(daemon: RunningHeadwater) {
    this.#daemon = daemon
    void daemon.exited.then((code) => {
      if (!this.#isStopping) this.#faults.push(`the daemon ended, exit code ${code}`)
    })
  }

  async start(): Promise<void> {
    const talk = await KafkaTalk.connect(this.#daemon.kafka)
    for (const topic of [bystanderKafkaTopic, bystanderMqttTopic]) {
      assert.equal(await talk.createTopic(topic), 'NONE')
    }
    talk.close()
    await this.#startMqtt()
    await this.#startKafka()
    await this.check()
  }

  /** Throws when a good client was harmed since the last call, or does not get on now. */
  async check(): Promise<void> {
    if (this.#isStopping) return
    const before = { ...this.#counts }
    const isMoving = (): boolean =>
      (Object.keys(before) as (keyof Counts)[]).every((name) => this.#counts[name] > before[name])
    const waited = until(
      () => this.#faults.length > 0 || isMoving(),
      operationDeadlineMs,
      'every good client to get on',
    )
    await waited.catch((error: Error) => {
      this.#faults.push(`${error.message}: ${JSON.stringify(before)}, then ${JSON.stringify(this.#counts)}`)
    })
    const faults = this.#faults.splice(0)
    assert.equal(faults.length, 0, `the good clients were harmed:\n  ${faults.slice(0, 10).join('\n  ')}`)
  }

  /** Ends the clients; throws when something that was acknowledged to them is not there, or not where it was promised. */
  async finish(): Promise<string> {
    await this.stop()
    const talk = await KafkaTalk.connect(this.#daemon.kafka)
    const read = await talk.readAll(bystanderKafkaTopic, 0)
    const values = new Map(read.map(({ offset, value }) => [offset, value]))
    const lost = [...this.#producedAt].filter(([value, offset]) => values.get(offset) !== value)
    const readings = new Set((await talk.readAll(bystanderMqttTopic, 0)).map(({ value }) => value))
    const lostReadings = this.#published.filter((value) => !readings.has(value))
    talk.close()
    assert.deepEqual(lost.slice(0, 5), [], `${lost.length} of ${this.#producedAt.size} produced records`)
    assert.deepEqual(lostReadings.slice(0, 5), [], `${lostReadings.length} of ${this.#published.length} readings`)
    return JSON.stringify(this.#counts)
  }

  async stop(): Promise<void> {
    if (this.#isStopping) return
    this.#isStopping = true
    await Promise.all(this.#loops)
    await this.#publisher?.endAsync(true)
    await this.#subscriber?.endAsync(true)
    await this.#consumer?.disconnect().catch(() => {})
    await this.#producer?.disconnect().catch(() => {})
  }

  // -------------------------------------------------------------------------------------------------- MQTT

  async #startMqtt(): Promise<void> {
    const client = async (name: string, protocolVersion: 4 | 5): Promise<MqttClient> => {
      const options = { clientId: `bystander-${name}`, reconnectPeriod: 0, protocolVersion }
      const connected = await connectAsync(`mqtt://${this.#daemon.mqtt}`, options)
      connected.on('error', (error) => this.#fault(`MQTT ${name}: ${error.message}`))
      connected.on('close', () => this.#fault(`MQTT ${name}: closed`))
      return connected
    }
    const publisher = await client('publisher', 4)
    const subscriber = await client('subscriber', 5)
    this.#publisher = publisher
    this.#subscriber = subscriber
    subscriber.on('message', () => {
      this.#counts.delivered++
    })
    await subscriber.subscribeAsync(`${bystanderMqttTopic}/#`, { qos: 1 })
    this.#repeat('MQTT publish', async (index) => {
      const reading = `reading-${index}`
      await publisher.publishAsync(`${bystanderMqttTopic}/line/${index % 3}`, reading, { qos: 1 })
      this.#published.push(reading)
      this.#counts.published++
    })
  }

  // ------------------------------------------------------------------------------------------------- Kafka

  async #startKafka(): Promise<void> {
    const kafka = new Kafka({
      clientId: 'bystander',
      brokers: [this.#daemon.kafka],
      logLevel: logLevel.NOTHING,
      retry: { retries: 0 },
      requestTimeout: operationDeadlineMs,
    })
    const producer = kafka.producer({ allowAutoTopicCreation: false, retry: { retries: 0 } })
    const consumer = kafka.consumer({
      groupId: 'bystanders',
      heartbeatInterval: 1_000,
      maxWaitTimeInMs: 200,
      retry: { retries: 0 },
    })
    this.#producer = producer
    this.#consumer = consumer
    consumer.on(consumer.events.CRASH, ({ payload }) => this.#fault(`Kafka consumer: ${payload.error.message}`))
    await producer.connect()
    await consumer.connect()
    await consumer.subscribe({ topic: bystanderKafkaTopic, fromBeginning: true })
    await consumer.run({
      eachMessage: async () => {
        this.#counts.consumed++
      },
    })
    this.#repeat('Kafka produce', async (index) => {
      const value = `record-${index}`
      const [answer] = await producer.send({ topic: bystanderKafkaTopic, acks: -1, messages: [{ value }] })
      this.#producedAt.set(value, Number(answer?.baseOffset))
      this.#counts.produced++
    })
  }

  #repeat(what: string, operation: (index: number) => Promise<void>): void {
    const loop = async (): Promise<void> => {
      for (let index = 0; !this.#isStopping; index++) {
        await within(operationDeadlineMs, what, operation(index)).catch((error: Error) => this.#fault(error.message))
        await pause(betweenMs)
      }
    }
    this.#loops.push(loop())
  }

  #fault(what: string): void {
    if (!this.#isStopping) this.#faults.push(what)
  }
}
