/**
 * One seed of the whole appliance: clients at the field's host, a nemesis at the edge's, a healing at the end, and the checks.
 *
 * The order of a run: lives under the nemesis; everything heals and the clients finish; subscribers must get what is published now;
 * the log is read and judged; then restarts of all kinds must leave it as it is.
 */
import type { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import { type SimWorld, simWorld } from '../world.ts'
import { Edge, type EdgeOptions } from './edge.ts'
import { FetchConsumer } from './fetch-consumer.ts'
import { type Client, type Field, kafkaTopic, mqttTopic, partitionCount } from './field.ts'
import { committedOffsets, GroupMember } from './group-member.ts'
import { type Dump, type DumpedRecord, History } from './history.ts'
import { endOffset, fetchOnce, positionOf, withKafka } from './kafka-link.ts'
import { KafkaProducer } from './kafka-producer.ts'
import { MqttPublisher } from './mqtt-publisher.ts'
import { MqttSubscriber } from './mqtt-subscriber.ts'
import { Nemesis } from './nemesis.ts'

export interface RunFigures {
  readonly traceHash: string
  readonly events: number
  readonly lives: number
  readonly acknowledged: number
  readonly records: number
}

/** Everybody must have finished this long after everything works again. */
const healedWithinMs = 60_000

export class ApplianceRun {
  readonly world: SimWorld
  readonly #edge: Edge
  readonly #history = new History()
  readonly #field: Field
  readonly #nemesis: Nemesis
  readonly #producers: readonly KafkaProducer[]
  readonly #publishers: readonly MqttPublisher[]
  readonly #subscribers: readonly MqttSubscriber[]
  readonly #clients: readonly (Client & { start(): void })[]

  constructor(seed: number, options: EdgeOptions = {}) {
    this.world = simWorld(seed)
    const chance = this.world.prng.fork('run')
    // Segments roll by age, which the smallest segment size that Kafka takes would never do here.
    const kafka = { 'log.roll.ms': chance.pick([50, 1000, 604_800_000]), ...options.kafka }
    this.#edge = new Edge(this.world, { ...options, kafka })
    this.#field = {
      world: this.world,
      ports: this.world.host('field').boot(),
      history: this.#history,
      life: () => this.#edge.life,
      isFinishing: false,
    }
    this.#nemesis = new Nemesis(this.world, this.#edge)
    const field = this.#field
    this.#producers = [new KafkaProducer(field, 'p0'), new KafkaProducer(field, 'p1')]
    this.#publishers = [
      new MqttPublisher(field, 'q1', [1]),
      new MqttPublisher(field, 'q2', [2]),
      new MqttPublisher(field, 'q012', [0, 1, 2]),
    ]
    this.#subscribers = [new MqttSubscriber(field, 's0', `${mqttTopic}/#`), new MqttSubscriber(field, 's1', '#')]
    const members = [new GroupMember(field, 'g0'), new GroupMember(field, 'g1')]
    const consumers = [new FetchConsumer(field, 'c0'), new FetchConsumer(field, 'c1')]
    this.#clients = [...this.#producers, ...this.#publishers, ...this.#subscribers, ...members, ...consumers]
  }

  /** Throws an Error that names the seed and the broken promises. */
  async run(): Promise<RunFigures> {
    const chance = this.world.prng.fork('lives')
    for (const client of this.#clients) client.start()
    for (let lives = chance.between(2, 5); lives > 0; lives--) {
      await this.#nemesis.reign()
      this.#check()
    }
    this.#nemesis.heal()
    await this.#edge.boot()
    this.#field.isFinishing = true
    await this.#until('everybody has finished', () => this.#clients.every(({ isDone }) => isDone))
    await this.#serveSubscribers()
    // What was sent last at QoS 0 may still be on its way; nobody is told when it has come.
    await this.world.runFor(100)
    const dump = await this.#dump()
    this.#history.judge(dump)
    for (const subscriber of this.#subscribers) subscriber.judge(dump)
    this.#check()
    for (const how of ['kill', 'powerCut', 'stop'] as const) await this.#restart(how, dump)
    const records = [...dump.values()].reduce((sum, { length }) => sum + length, 0)
    const { traceHash, eventCount: events } = this.world
    return { traceHash, events, lives: this.#edge.life, acknowledged: this.#history.acknowledgedCount, records }
  }

  /** A kept QoS 1 subscription misses nothing, whatever happens to its connections. */
  async #serveSubscribers(): Promise<void> {
    await this.#until('subscribers are served', () => this.#subscribers.every(({ isServed }) => isServed))
    const before = new Set(this.#publishers.flatMap((publisher) => publisher.finished))
    for (let round = 0; round < 3; round++) {
      for (const publisher of this.#publishers) publisher.publishMore(3)
      await this.world.runFor(5)
      this.world.network.reset('edge', 'field')
    }
    await this.#until('the last messages are acknowledged', () => this.#clients.every(({ isDone }) => isDone))
    const expected = this.#publishers.flatMap(({ finished }) => finished).filter((value) => !before.has(value))
    for (const subscriber of this.#subscribers) {
      if (!subscriber.isReliable) continue
      await this.#until(`${subscriber.name} has the last messages`, () =>
        expected.every((value) => subscriber.has(value)),
      )
    }
  }

  /** What every reader must find now. */
  #dump(): Promise<Dump> {
    return this.#asked(async (kafka) => {
      const dump = new Map<string, DumpedRecord[]>()
      for (const topic of [kafkaTopic, mqttTopic]) {
        for (let partition = 0; partition < partitionCount; partition++) {
          const position = positionOf(topic, partition)
          const records: DumpedRecord[] = []
          dump.set(position.place, records)
          const end = await endOffset(kafka, topic, partition)
          const options = { maxWaitMs: 0, isolationLevel: 0, bytesMax: 1_000_000 } as const
          while (position.offset < end) {
            await fetchOnce(this.#field, 'the reader', kafka, [position], options, (_, record) => records.push(record))
          }
        }
      }
      return dump
    })
  }

  async #restart(how: 'kill' | 'powerCut' | 'stop', dump: Dump): Promise<void> {
    const committed = await this.#committed()
    if (how === 'stop') await this.#edge.stop()
    else this.#edge.crash(how)
    await this.#edge.boot()
    if (JSON.stringify([...(await this.#dump())]) !== JSON.stringify([...dump])) {
      this.#history.break(`the log has changed in a restart by ${how}`)
    }
    const again = await this.#committed()
    if (String(again) !== String(committed)) {
      this.#history.break(`committed offsets ${String(committed)} became ${String(again)} in a restart by ${how}`)
    }
    this.#check()
  }

  async #committed(): Promise<readonly number[]> {
    const partitions = [...new Array(partitionCount).keys()]
    const committed = await this.#asked((kafka) => committedOffsets(kafka, partitions))
    committed.forEach((offset, index) => {
      const place = `${kafkaTopic}-${index}`
      this.#history.sawCommitted(place, offset, this.#history.committed(place).acknowledged, 'the reader')
    })
    return committed
  }

  /** Asks on a connection of its own. */
  #asked<T>(question: (kafka: KafkaClientConnection) => Promise<T>): Promise<T> {
    return this.world.settle(withKafka(this.#field, 'the reader', question), healedWithinMs).catch((error: unknown) => {
      throw this.#failure([error instanceof Error ? (error.stack ?? error.message) : String(error)])
    })
  }

  async #until(what: string, condition: () => boolean): Promise<void> {
    const isOver = (): boolean => this.#history.broken.length > 0 || condition()
    await this.world.run(isOver, healedWithinMs).catch((error: unknown) => {
      const waiting = this.#clients.filter(({ isDone }) => !isDone).map(({ name }) => name)
      throw this.#failure([`not so: ${what} (${waiting.join(' ')})`, String(error)])
    })
    this.#check()
  }

  #check(): void {
    if (this.#history.broken.length > 0) throw this.#failure(this.#history.broken)
  }

  #failure(broken: readonly string[]): Error {
    const { seed, nowMs } = this.world
    const more = broken.length > 5 ? `\n  and ${broken.length - 5} more` : ''
    return new Error(`seed ${seed} at ${nowMs.toFixed(3)} ms:\n  ${broken.slice(0, 5).join('\n  ')}${more}`)
  }
}
