/**
 * An idempotent producer as Kafka's own clients are: up to five requests in flight, and after any trouble a new connection on which
 * everything unacknowledged is sent again in its order, with the same sequences.
 */
import { initProducerIdApi, produceApi } from '../../../src/protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import type { Prng } from '../prng.ts'
import { type Client, type Field, kafkaTopic, partitionCount, TryAgain } from './field.ts'
import { expectNone, runKafkaSessions } from './kafka-link.ts'

interface Batch {
  readonly partition: number
  readonly baseSequence: number
  readonly values: readonly string[]
  readonly bytes: Uint8Array
}

export class KafkaProducer implements Client {
  readonly name: string
  readonly #field: Field
  readonly #chance: Prng
  readonly #window: number
  readonly #acks: -1 | 1
  readonly #paceMs: number
  #producer: { readonly id: number; readonly epoch: number } | null = null
  /** In the order of sending. */
  readonly #unacknowledged: Batch[] = []
  readonly #counters = new Array<number>(partitionCount).fill(0)

  constructor(field: Field, name: string) {
    this.#field = field
    this.name = name
    this.#chance = field.world.prng.fork(name)
    this.#window = this.#chance.between(1, 5)
    this.#acks = this.#chance.chance(0.8) ? -1 : 1
    this.#paceMs = this.#chance.pick([1, 4, 10])
  }

  get isDone(): boolean {
    return this.#field.isFinishing && this.#unacknowledged.length === 0
  }

  start(): void {
    void runKafkaSessions(this.#field, this.name, this.#chance, {
      topics: [kafkaTopic],
      session: (kafka) => this.#session(kafka),
    })
  }

  async #session(kafka: KafkaClientConnection): Promise<void> {
    this.#producer ??= await this.#askForId(kafka)
    await this.#produce(kafka)
  }

  async #askForId(kafka: KafkaClientConnection): Promise<{ id: number; epoch: number }> {
    const answer = await kafka.send(initProducerIdApi, { transactionalId: null, transactionTimeoutMs: 1000 })
    expectNone(answer.errorCode, 'InitProducerId')
    const { producerId: id, producerEpoch: epoch } = answer
    this.#field.history.producerId(`${id}/${epoch}`)
    return { id, epoch }
  }

  /** Resolves when everything is finished; rejects at the first trouble. */
  #produce(kafka: KafkaClientConnection): Promise<void> {
    return new Promise((resolve, reject) => {
      const again = [...this.#unacknowledged]
      let inFlight = 0
      let isWaiting = false
      let hasEnded = false
      const end = (error?: Error): void => {
        hasEnded = true
        if (error === undefined) resolve()
        else reject(error)
      }
      const pump = (): void => {
        if (hasEnded) return
        if (this.isDone) return end()
        while (inFlight < this.#window && !hasEnded) {
          const batch = again.shift() ?? this.#begin()
          if (batch === null) return
          inFlight++
          this.#send(kafka, batch).then(
            () => {
              inFlight--
              pump()
            },
            (error: Error) => end(error),
          )
          if (again.length > 0) continue
          if (isWaiting) return
          isWaiting = true
          this.#field.ports.clock.schedule(this.#chance.real(0, this.#paceMs), () => {
            isWaiting = false
            pump()
          })
          return
        }
      }
      pump()
    })
  }

  #begin(): Batch | null {
    if (this.#field.isFinishing || this.#producer === null) return null
    const partition = this.#chance.below(partitionCount)
    const baseSequence = this.#counters[partition] as number
    const count = this.#chance.pick([1, 1, 1, 2, 5])
    const length = this.#chance.pick([0, 20, 300, 3000])
    const builder = new RecordBatchBuilder()
    const values: string[] = []
    for (let index = 0; index < count; index++) {
      const value = `${this.name}.${partition}-${baseSequence + index}`
      values.push(value)
      this.#field.history.send(value, 'exactly-once')
      const text = length === 0 ? value : `${value} `.padEnd(length, 'x')
      builder.append(
        this.#field.ports.clock.wallMs(),
        Buffer.from(`k/${this.name}/${partition}`),
        Buffer.from(text),
        null,
      )
    }
    this.#counters[partition] = baseSequence + count
    const { id, epoch } = this.#producer
    const bytes = builder.build({ producerId: id, producerEpoch: epoch, baseSequence })
    const batch = { partition, baseSequence, values, bytes }
    this.#unacknowledged.push(batch)
    return batch
  }

  async #send(kafka: KafkaClientConnection, batch: Batch): Promise<void> {
    const { partition, bytes } = batch
    const topicData = [{ name: kafkaTopic, partitionData: [{ index: partition, records: bytes }] }]
    const request = { acks: this.#acks, timeoutMs: this.#chance.pick([20, 5000]), topicData }
    const answer = await kafka.send(produceApi, request, { version: 11 })
    const part = answer.responses[0]?.partitionResponses[0]
    if (part === undefined) throw new Error(`${this.name}: an answer without a partition`)
    expectNone(part.errorCode, `produce ${batch.values[0]}`)
    const at = this.#unacknowledged.indexOf(batch)
    if (at < 0) throw new TryAgain(`${batch.values[0]} is acknowledged twice`)
    this.#unacknowledged.splice(at, 1)
    batch.values.forEach((value, index) => {
      this.#field.history.tell(`${kafkaTopic}-${partition}`, part.baseOffset + index, value, this.name)
      this.#field.history.acknowledge(value)
    })
  }
}
