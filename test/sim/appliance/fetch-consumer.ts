/** A consumer without a group that reads everything from the beginning, across crashes, in fetch sessions (KIP-227) or without. */
import { fetchApi } from '../../../src/protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import type { Prng } from '../prng.ts'
import { type Client, type Field, kafkaTopic, mqttTopic, pause } from './field.ts'
import {
  expectNone,
  type FetchOptions,
  fetchOnce,
  fetchTopics,
  type Position,
  positionOf,
  runKafkaSessions,
  takeFetched,
  watermarksOf,
} from './kafka-link.ts'

export class FetchConsumer implements Client {
  readonly name: string
  /** It reads until the run ends; nothing has to be waited for. */
  readonly isDone = true
  readonly #field: Field
  readonly #chance: Prng
  readonly #usesSession: boolean
  readonly #options: FetchOptions
  readonly #positions = [
    positionOf(kafkaTopic, 0),
    positionOf(kafkaTopic, 1),
    positionOf(mqttTopic, 0),
    positionOf(mqttTopic, 1),
  ]

  constructor(field: Field, name: string) {
    this.#field = field
    this.name = name
    this.#chance = field.world.prng.fork(name)
    this.#usesSession = this.#chance.chance(0.5)
    this.#options = {
      maxWaitMs: this.#chance.pick([0, 20, 200]),
      isolationLevel: this.#chance.pick([0, 1]),
      bytesMax: this.#chance.pick([2000, 100_000]),
    }
  }

  start(): void {
    void runKafkaSessions(this.#field, this.name, this.#chance, {
      topics: [kafkaTopic, mqttTopic],
      session: (kafka) => this.#session(kafka),
    })
  }

  /** Ends with its connection only. */
  async #session(kafka: KafkaClientConnection): Promise<never> {
    if (this.#usesSession) return this.#readInSession(kafka)
    for (;;) {
      await fetchOnce(this.#field, this.name, kafka, this.#positions, this.#options)
      await pause(this.#field, this.#chance.between(1, 10))
    }
  }

  async #readInSession(kafka: KafkaClientConnection): Promise<never> {
    const field = this.#field
    const { bytesMax, ...options } = this.#options
    const sent = new Map<Position, number>()
    let sessionId = 0
    for (let sessionEpoch = 0; ; sessionEpoch++) {
      const moved = this.#positions.filter((position) => sent.get(position) !== position.offset)
      for (const position of moved) sent.set(position, position.offset)
      const least = watermarksOf(field, this.#positions)
      const session = { sessionId, sessionEpoch, topics: fetchTopics(moved, bytesMax) }
      const request = { ...options, minBytes: 1, maxBytes: bytesMax, ...session }
      const answer = await kafka.send(fetchApi, request, { version: 12 })
      expectNone(answer.errorCode, 'fetch in a session')
      sessionId = answer.sessionId
      takeFetched(field, this.name, answer, this.#positions, least)
      await pause(field, this.#chance.between(1, 10))
    }
  }
}
