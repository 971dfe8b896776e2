/** A Kafka client for the cases: topics, batches of a given size, and a steady load over partitions, on our own connection. */
import { NodeClock } from '../src/node/clock.ts'
import { NodeNet } from '../src/node/net.ts'
import { silentObserver } from '../src/admin/silent-observer.ts'
import {
  createTopicsApi,
  deleteTopicsApi,
  fetchApi,
  incrementalAlterConfigsApi,
  metadataApi,
  produceApi,
} from '../src/protocol/kafka/apis.ts'
import { KafkaClientConnection } from '../src/protocol/kafka/client-connection.ts'
import { batchHeaderBytes } from '../src/protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../src/protocol/records/record-batch-builder.ts'

export interface Topic {
  readonly name: string
  readonly topicId: string
  readonly partitions: number
}

export interface LoadFigures {
  readonly bytesPerSecond: number
  readonly requests: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

export interface LoadShape {
  readonly topic: Topic
  readonly batch: Uint8Array
  readonly batchesPerRequest: number
  /** Requests under way at a time. */
  readonly inFlight: number
  /** Ends after so many requests, or after so long, or when `until` answers true. */
  readonly requests?: number
  readonly milliseconds?: number
  readonly until?: () => boolean
  /** Pause of each of the requests' loops behind an answer. */
  readonly pauseMs?: number
}

const answerMsMax = 120_000

export class KafkaLoad {
  readonly #clock = new NodeClock()
  readonly #net = new NodeNet({ observer: silentObserver })
  readonly #connection: KafkaClientConnection
  /** The partition that the next batch of a topic goes to. */
  readonly #next = new Map<string, number>()

  static async open(bootstrap: string): Promise<KafkaLoad> {
    const clock = new NodeClock()
    const net = new NodeNet({ observer: silentObserver })
    const [host = '', port = ''] = bootstrap.split(':')
    const connection = await KafkaClientConnection.open({
      net,
      clock,
      address: { host, port: Number(port) },
      clientId: 'bench',
      connectTimeoutMs: 10_000,
      requestTimeoutMs: answerMsMax,
      frameBytesMax: 67_108_864,
    })
    return new KafkaLoad(connection, clock, net)
  }

  private constructor(connection: KafkaClientConnection, clock: NodeClock, net: NodeNet) {
    this.#connection = connection
    this.#clock = clock
    this.#net = net
  }

  /** Creates a topic, in steps that one request may ask for. */
  async createTopic(name: string, partitions: number, configs: Readonly<Record<string, string>> = {}): Promise<Topic> {
    const { topics } = await this.#connection.send(createTopicsApi, {
      topics: [
        {
          name,
          numPartitions: partitions,
          replicationFactor: -1,
          assignments: [],
          configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
        },
      ],
      timeoutMs: answerMsMax,
    })
    const [created] = topics
    if (created === undefined || created.errorCode !== 0) {
      throw new Error(`creating ${name} was answered with ${created?.errorCode}: ${created?.errorMessage}`)
    }
    return this.topic(name)
  }

  async topic(name: string): Promise<Topic> {
    const { topics } = await this.#connection.send(metadataApi, { topics: [{ name }] })
    const found = topics[0]
    if (found === undefined || found.errorCode !== 0) throw new Error(`${name} is not there: ${found?.errorCode}`)
    return { name, topicId: found.topicId, partitions: found.partitions.length }
  }

  /** Sets configs of a topic. */
  async alterTopic(topic: Topic, configs: Readonly<Record<string, string>>): Promise<void> {
    const { responses } = await this.#connection.send(incrementalAlterConfigsApi, {
      resources: [
        {
          resourceType: 2,
          resourceName: topic.name,
          configs: Object.entries(configs).map(([name, value]) => ({ name, configOperation: 0, value })),
        },
      ],
      validateOnly: false,
    })
    const [answer] = responses
    if (answer?.errorCode !== 0) throw new Error(`the change was answered with ${answer?.errorMessage}`)
  }

  async deleteTopic(topic: Topic): Promise<void> {
    const { responses } = await this.#connection.send(deleteTopicsApi, {
      topics: [{ name: null, topicId: topic.topicId }],
      timeoutMs: answerMsMax,
    })
    if (responses[0]?.errorCode !== 0) throw new Error(`deletion was answered with ${responses[0]?.errorCode}`)
  }

  /** One request with a batch for each of these partitions; answers the base offsets. */
  async produce(topic: Topic, batches: ReadonlyMap<number, Uint8Array>): Promise<readonly number[]> {
    const partitionData = [...batches].map(([index, records]) => ({ index, records }))
    const { responses } = await this.#connection.send(produceApi, {
      acks: -1,
      timeoutMs: answerMsMax,
      topicData: [{ name: topic.name, topicId: topic.topicId, partitionData }],
    })
    return responses.flatMap(({ partitionResponses }) =>
      partitionResponses.map(({ index, errorCode, baseOffset }) => {
        if (errorCode !== 0) throw new Error(`produce to ${topic.name}-${index} was answered with ${errorCode}`)
        return baseOffset
      }),
    )
  }

  /** The batches from an offset on in each of these partitions, one batch at least of each. */
  async fetch(
    topic: Topic,
    offsets: ReadonlyMap<number, number>,
    bytesEach = 1,
  ): Promise<ReadonlyMap<number, Uint8Array>> {
    const found = new Map<number, Uint8Array>()
    const left = new Map(offsets)
    while (left.size > 0) {
      const before = left.size
      const answer = await this.#connection.send(fetchApi, {
        maxWaitMs: 5_000,
        minBytes: 1,
        maxBytes: 16_777_216,
        isolationLevel: 0,
        sessionId: 0,
        topics: [
          {
            topic: topic.name,
            topicId: topic.topicId,
            partitions: [...left].map(([partition, fetchOffset]) => ({
              partition,
              fetchOffset,
              partitionMaxBytes: bytesEach,
            })),
          },
        ],
        forgottenTopicsData: [],
        rackId: '',
      })
      for (const { partitionIndex, errorCode, records } of answer.responses.flatMap((each) => each.partitions)) {
        if (errorCode !== 0) throw new Error(`fetch of ${topic.name}-${partitionIndex} was answered with ${errorCode}`)
        if (records === null || records.length < batchHeaderBytes) continue
        found.set(partitionIndex, records)
        left.delete(partitionIndex)
      }
      if (left.size === before) throw new Error(`fetch of ${topic.name} answered nothing for ${before} partitions`)
    }
    return found
  }

  /** Requests round and round over the partitions of a topic, so many at a time. */
  async run(shape: LoadShape): Promise<LoadFigures> {
    const { topic, batch, batchesPerRequest } = shape
    const perRequest = Math.min(batchesPerRequest, topic.partitions)
    const startedAt = performance.now()
    const endAt = startedAt + (shape.milliseconds ?? Number.POSITIVE_INFINITY)
    const times: number[] = []
    let begun = 0
    const loop = async (): Promise<void> => {
      while (begun < (shape.requests ?? Number.POSITIVE_INFINITY) && performance.now() < endAt) {
        if (shape.until?.() === true) return
        begun++
        const batches = new Map<number, Uint8Array>()
        let next = this.#next.get(topic.name) ?? 0
        for (let index = 0; index < perRequest; index++) {
          batches.set(next, batch)
          next = next + 1 === topic.partitions ? 0 : next + 1
        }
        this.#next.set(topic.name, next)
        const sentAt = performance.now()
        await this.produce(topic, batches)
        times.push(performance.now() - sentAt)
        if (shape.pauseMs !== undefined) await settled(shape.pauseMs)
      }
    }
    await Promise.all(Array.from({ length: shape.inFlight }, loop))
    const seconds = (performance.now() - startedAt) / 1000
    times.sort((a, b) => a - b)
    return {
      bytesPerSecond: (times.length * perRequest * batch.length) / seconds,
      requests: times.length,
      p50Ms: times[Math.floor(times.length / 2)] ?? 0,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
      maxMs: times.at(-1) ?? 0,
    }
  }

  async close(): Promise<void> {
    this.#connection.close()
    await this.#net.close()
    this.#clock.close()
  }
}

/** A batch of about this many bytes: records of 1 KB, or one smaller record. */
export function batchOf(bytes: number, fill?: (value: Uint8Array) => void): Uint8Array {
  const builder = new RecordBatchBuilder()
  const nowMs = Date.now()
  for (let left = bytes - batchHeaderBytes; left > 0 || builder.recordCount === 0; ) {
    const value = new Uint8Array(Math.max(1, Math.min(1024, left) - 12))
    fill?.(value)
    builder.append(nowMs, null, value, null)
    left -= value.length + 12
  }
  return builder.build()
}

/** The bench measures over time: this is the time. */
export function settled(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}
