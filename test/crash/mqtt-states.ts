/**
 * What the MQTT door keeps for clients, under deaths: retained messages, subscriptions of kept sessions, wills. The clients are those of npm's `mqtt`. Judged
 * when the last death is over and the daemon runs again.
 */
import { connect, connectAsync, type IClientOptions, type MqttClient } from 'mqtt'
import { until } from '../interop/case.ts'
import type { Found, Judgement, Published } from './history.ts'

const retainedTopics = 4
const willClients = 2
/** A connection with a will lasts so long, unless the daemon goes first. */
const willLifeMs = { least: 20, most: 200 } as const
const sentencesMax = 5

const kept: IClientOptions = {
  clean: false,
  reconnectPeriod: 50,
  keepalive: 10,
  reconnectOnConnackError: true,
  protocolVersion: 5,
  properties: { sessionExpiryInterval: 86_400 },
}

export class StateLoad {
  readonly #port: number
  readonly #retained: Retained[] = []
  readonly #watchers: Watcher[] = []
  readonly #wills: Wills[] = []

  private constructor(port: number) {
    this.#port = port
  }

  /** Subscribes before anything is published to `readings`. */
  static async start(port: number): Promise<StateLoad> {
    const load = new StateLoad(port)
    for (const qos of [1, 2] as const) load.#watchers.push(await Watcher.start(port, qos))
    for (let index = 0; index < retainedTopics; index += 1) load.#retained.push(await Retained.start(port, index))
    for (let index = 0; index < willClients; index += 1) load.#wills.push(new Wills(port, index))
    return load
  }

  /** Nothing more is begun; what was begun has come to its end. Answers figures. */
  async stop(): Promise<string> {
    await Promise.all([...this.#retained, ...this.#wills].map((part) => part.stop()))
    const wills = this.#wills.reduce((sum, { owed }) => sum + owed.size, 0)
    const retained = this.#retained.reduce((sum, { acknowledged }) => sum + acknowledged + 1, 0)
    return `retained ${retained}, wills ${wills}, given to kept sessions ${this.#watchers.map(({ count }) => count).join(' and ')}`
  }

  async kill(): Promise<void> {
    await Promise.all([...this.#retained, ...this.#wills, ...this.#watchers].map((part) => part.kill()))
  }

  /**
   * Compares what was promised with what there is, once it has come or the time is over; `readWills` reads the Kafka topic of the wills.
   */
  async judge(
    published: readonly Published[],
    readWills: () => Promise<readonly Found[]>,
    settledWithinMs: number,
  ): Promise<Judgement> {
    const faults: string[] = []
    faults.push(
      ...(await Promise.all(this.#watchers.map((watcher) => watcher.faults(published, settledWithinMs)))).flat(),
    )
    const found = await retainedMessages(this.#port, settledWithinMs)
    for (const part of this.#retained) faults.push(...part.faults(found.get(part.topic)))
    let wills: readonly Found[] = []
    const owed = new Set(this.#wills.flatMap((part) => [...part.owed]))
    const isThere = async (): Promise<boolean> => {
      wills = await readWills()
      const values = new Set(wills.map(({ value }) => value))
      return [...owed].every((value) => values.has(value))
    }
    await until(isThere, settledWithinMs, 'the wills').catch(() => {})
    faults.push(...willFaults(owed, wills))
    await this.kill()
    return { faultCount: faults.length, sentences: faults.slice(0, sentencesMax) }
  }
}

/** A kept session that subscribes to all readings. */
class Watcher {
  readonly #client: MqttClient
  readonly #qos: 1 | 2
  readonly #heard = new Map<string, number>()

  private constructor(client: MqttClient, qos: 1 | 2) {
    this.#client = client
    this.#qos = qos
    client.on('error', () => {})
    client.on('message', (_topic, payload) => {
      const value = payload.toString()
      this.#heard.set(value, (this.#heard.get(value) ?? 0) + 1)
    })
  }

  static async start(port: number, qos: 1 | 2): Promise<Watcher> {
    const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { ...kept, clientId: `watcher-${qos}` })
    const watcher = new Watcher(client, qos)
    await client.subscribeAsync('readings/plant/#', { qos })
    return watcher
  }

  get count(): number {
    return this.#heard.size
  }

  async kill(): Promise<void> {
    await this.#client.endAsync(true)
  }

  /** Each acknowledged message has come; what is of QoS 2 from end to end once. */
  async faults(published: readonly Published[], settledWithinMs: number): Promise<string[]> {
    const isComplete = (): boolean => published.every(({ value }) => this.#heard.has(value))
    await until(isComplete, settledWithinMs, 'the messages of a kept session').catch(() => {})
    const name = `the kept session of QoS ${this.#qos}`
    const lost = published.filter(({ value }) => !this.#heard.has(value))
    const twice = [...this.#heard].filter(([value, times]) => this.#qos === 2 && value.startsWith('q') && times > 1)
    return [
      ...lost.map(({ value }) => `lost: ${value} was acknowledged, and ${name} never got it`),
      ...twice.map(([value, times]) => `double: ${name} got ${value} ${times} times`),
    ]
  }
}

/** Publishes one retained message after the other under one topic. */
class Retained {
  readonly topic: string
  /** Number of the last one with a PUBACK. */
  acknowledged = -1
  readonly #client: MqttClient
  #sent = -1
  #isStopping = false
  readonly #ended: Promise<void>

  private constructor(client: MqttClient, index: number) {
    this.#client = client
    this.topic = `state/r${index}`
    client.on('error', () => {})
    this.#ended = this.#publishAll()
  }

  static async start(port: number, index: number): Promise<Retained> {
    return new Retained(
      await connectAsync(`mqtt://127.0.0.1:${port}`, { ...kept, clientId: `retained-${index}` }),
      index,
    )
  }

  async #publishAll(): Promise<void> {
    while (!this.#isStopping) {
      this.#sent += 1
      const number = this.#sent
      // A client that is ended gives up what it had not sent.
      const isDone = await this.#client.publishAsync(this.topic, String(number), { qos: 1, retain: true }).then(
        () => true,
        () => false,
      )
      if (isDone) this.acknowledged = number
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#ended
  }

  async kill(): Promise<void> {
    this.#isStopping = true
    await this.#client.endAsync(true)
  }

  faults(found: string | undefined): string[] {
    if (this.acknowledged < 0) return []
    const number = Number(found ?? Number.NaN)
    return number >= this.acknowledged && number <= this.#sent
      ? []
      : [`retained: ${this.topic} holds ${found ?? 'nothing'}, number ${this.acknowledged} was acknowledged`]
  }
}

/** Connections with a will each, that end without a word. */
class Wills {
  /** Of connections that were accepted. */
  readonly owed = new Set<string>()
  readonly #port: number
  readonly #name: string
  #isStopping = false
  readonly #ended: Promise<void>

  constructor(port: number, index: number) {
    this.#port = port
    this.#name = `w${index}`
    this.#ended = this.#live()
  }

  async #live(): Promise<void> {
    const { least, most } = willLifeMs
    for (let number = 0; !this.#isStopping; number += 1) {
      const payload = `${this.#name}-${number}`
      const will = { topic: `wills/${this.#name}`, payload: Buffer.from(payload), qos: 1, retain: false } as const
      const options = { clientId: payload, will, reconnectPeriod: 0, connectTimeout: 5000, protocolVersion: 5 } as const
      const client = connect(`mqtt://127.0.0.1:${this.#port}`, options)
      if (await isAccepted(client)) {
        this.owed.add(payload)
        await new Promise((resolve) => setTimeout(resolve, least + ((number * 37) % (most - least))))
        client.stream.destroy()
      } else await new Promise((resolve) => setTimeout(resolve, 50))
      await client.endAsync(true)
    }
  }

  async stop(): Promise<void> {
    this.#isStopping = true
    await this.#ended
  }

  async kill(): Promise<void> {
    await this.stop()
  }
}

/** False when the connection ends before it is accepted, in whatever way: the promise of `connectAsync` would wait for ever. */
function isAccepted(client: MqttClient): Promise<boolean> {
  return new Promise((resolve) => {
    client.on('error', () => resolve(false))
    client.once('close', () => resolve(false))
    client.once('connect', () => resolve(true))
  })
}

function willFaults(owed: ReadonlySet<string>, found: readonly Found[]): string[] {
  const times = new Map<string, number>()
  for (const { value } of found) times.set(value, (times.get(value) ?? 0) + 1)
  return [
    ...[...owed].filter((value) => !times.has(value)).map((value) => `lost: the will ${value} was never published`),
    ...[...times]
      .filter(([, count]) => count > 1)
      .map(([value, count]) => `double: the will ${value} stands ${count} times`),
  ]
}

/** What a new subscriber gets. */
async function retainedMessages(port: number, settledWithinMs: number): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>()
  const client = await connectAsync(`mqtt://127.0.0.1:${port}`, { protocolVersion: 5 })
  client.on('message', (topic, payload) => found.set(topic, payload.toString()))
  await client.subscribeAsync('state/#', { qos: 1 })
  await until(() => found.size === retainedTopics, settledWithinMs, 'the retained messages').catch(() => {})
  await client.endAsync()
  return found
}
