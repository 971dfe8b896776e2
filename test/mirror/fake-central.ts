/**
 * A central cluster in a few hundred lines: it speaks the real protocol through our codec and keeps Kafka's rules where a producer feels
 * them (sequence numbers per producer epoch, one batch per partition, base offset 0, topic ids, batch limit). It stands in for Apache
 * Kafka where a test needs its failures at a chosen moment; that it behaves like one is shown by test/interop.
 */
import type { Connection, Ports } from '../../src/base/ports.ts'
import {
  apiVersionsApi,
  clientApiByKey,
  createPartitionsApi,
  createTopicsApi,
  describeConfigsApi,
  describeProducersApi,
  fetchApi,
  initProducerIdApi,
  type KafkaApi,
  listOffsetsApi,
  metadataApi,
  produceApi,
} from '../../src/protocol/kafka/apis.ts'
import { decodeMessage } from '../../src/protocol/kafka/compile.ts'
import { errorCode, type KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { FrameAssembler } from '../../src/protocol/kafka/frame.ts'
import { decodeRequestHeader, encodeResponse } from '../../src/protocol/kafka/header.ts'
import type { InferInput, InferMessage, MessageSchema } from '../../src/protocol/kafka/schema.ts'
import {
  batchBaseOffset,
  batchBaseSequence,
  batchCrcIsValid,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchLastOffsetDelta,
  batchLastSequence,
  batchProducerEpoch,
  batchProducerId,
  batchRecordCount,
  batchSizeInBytes,
  setBatchBaseOffset,
} from '../../src/protocol/records/record-batch.ts'
import { concatenated, recordsIn, type TestRecordView } from './batches.ts'

interface Producer {
  epoch: number
  lastSequence: number
  cached: { first: number; last: number; baseOffset: number }[]
}

export class FakePartition {
  batches: Uint8Array[] = []
  startOffset = 0
  endOffset = 0
  producers = new Map<number, Producer>()

  records(): TestRecordView[] {
    return this.batches.flatMap((batch) => recordsIn(batch))
  }

  /** Appends as Kafka does, or says why not. */
  append(batch: Uint8Array): { readonly error: KafkaErrorName; readonly baseOffset: number } {
    const refuse = (error: KafkaErrorName): { error: KafkaErrorName; baseOffset: number } => ({ error, baseOffset: -1 })
    if (batchSizeInBytes(batch) !== batch.length) return refuse('INVALID_RECORD')
    if (!batchCrcIsValid(batch)) return refuse('CORRUPT_MESSAGE')
    if (batchBaseOffset(batch) !== 0 || batchIsControl(batch) || batchIsTransactional(batch))
      return refuse('INVALID_RECORD')
    if (batchRecordCount(batch) !== batchLastOffsetDelta(batch) + 1) return refuse('INVALID_RECORD')
    const [first, last] = [batchBaseSequence(batch), batchLastSequence(batch)]
    const epoch = batchProducerEpoch(batch)
    const entry = this.producers.get(batchProducerId(batch))
    if (entry !== undefined && epoch < entry.epoch) return refuse('INVALID_PRODUCER_EPOCH')
    if (entry !== undefined && epoch === entry.epoch) {
      const again = entry.cached.find((each) => each.first === first && each.last === last)
      if (again !== undefined) return { error: 'NONE', baseOffset: again.baseOffset }
      if (first !== (entry.lastSequence + 1) % 2 ** 31) return refuse('OUT_OF_ORDER_SEQUENCE_NUMBER')
    } else if (entry !== undefined && first !== 0) return refuse('OUT_OF_ORDER_SEQUENCE_NUMBER')
    const baseOffset = this.endOffset
    const stored = batch.slice()
    setBatchBaseOffset(stored, 0, baseOffset)
    this.batches.push(stored)
    this.endOffset += batchRecordCount(batch)
    const cached = [...(entry?.epoch === epoch ? entry.cached.slice(-4) : []), { first, last, baseOffset }]
    this.producers.set(batchProducerId(batch), { epoch, lastSequence: last, cached })
    return { error: 'NONE', baseOffset }
  }
}

export class FakeTopic {
  readonly topicId: string
  readonly partitions: FakePartition[]
  batchBytesMax = 1_048_588
  constructor(topicId: string, partitions: number) {
    this.topicId = topicId
    this.partitions = Array.from({ length: partitions }, () => new FakePartition())
  }
}

type Handlers = Map<number, (request: never, version: number) => unknown>

/** One broker. `topics` survive `stop` and a new one on the same state. */
export class FakeCentral {
  readonly topics: Map<string, FakeTopic>
  /** Requests that were answered, by API name. */
  readonly counts = new Map<string, number>()
  /** Asked before each append: an error instead of it. */
  refuse: (topic: string, partition: number, batch: Uint8Array) => KafkaErrorName | null = () => null
  /** The APIs that answer an authorization error. */
  readonly denied = new Set<string>()
  /** Called after each Produce was worked on and before it is answered; false = the answer is lost. */
  onProduced: () => boolean = () => true
  throttleMs = 0
  readonly port: number
  readonly #ports: Ports
  readonly #host: string
  readonly #handlers: Handlers = new Map()
  readonly #connections = new Set<Connection>()
  #topicIds = 1
  #producerIds = 5_000

  constructor(
    ports: Ports,
    place: { readonly host: string; readonly port: number },
    topics = new Map<string, FakeTopic>(),
  ) {
    this.#ports = ports
    this.#host = place.host
    this.port = place.port
    this.topics = topics
    this.#producerIds += topics.size * 1_000
    this.#install()
  }

  async listen(): Promise<void> {
    await this.#ports.net.listen('kafka', { host: this.#host, port: this.port }, (connection) =>
      this.#accept(connection),
    )
  }

  /** Ends every connection at once. */
  cutConnections(): void {
    for (const connection of this.#connections) connection.destroy()
    this.#connections.clear()
  }

  topic(name: string): FakeTopic {
    const topic = this.topics.get(name)
    if (topic === undefined) throw new Error(`no topic ${name} at the central cluster`)
    return topic
  }

  create(name: string, partitions: number): FakeTopic {
    const topic = new FakeTopic(`topic-id-${String(this.#topicIds++).padStart(12, '0')}A`, partitions)
    this.topics.set(name, topic)
    return topic
  }

  #accept(connection: Connection): void {
    this.#connections.add(connection)
    const assembler = new FrameAssembler({
      frameBytesMax: 64 * 1024 * 1024,
      onFrame: (frame) => this.#serve(connection, frame),
      onOversize: () => connection.destroy(),
    })
    connection.start({
      onBytes: (bytes) => assembler.push(bytes),
      window: () => assembler.window(),
      onClose: () => this.#connections.delete(connection),
    })
  }

  #serve(connection: Connection, frame: Uint8Array): void {
    const header = decodeRequestHeader(frame)
    const api = clientApiByKey.get(header.apiKey)
    const handler = this.#handlers.get(header.apiKey)
    if (api === undefined || handler === undefined) throw new Error(`API ${header.apiKey} is not part of this`)
    const { value } = decodeMessage(api.request, header.apiVersion, frame, header.end)
    this.counts.set(api.name, (this.counts.get(api.name) ?? 0) + 1)
    const answer = handler(value as never, header.apiVersion) as InferInput<MessageSchema> | null
    if (answer === null || !this.#connections.has(connection)) return
    connection.send(encodeResponse(api, header.apiVersion, header.correlationId, answer))
  }

  #on<Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    handler: (request: InferMessage<Q>, version: number) => InferInput<R> | null,
  ): void {
    this.#handlers.set(api.key, handler as (request: never, version: number) => unknown)
  }

  #install(): void {
    this.#on(apiVersionsApi, () => ({
      errorCode: 0,
      apiKeys: [...this.#handlers.keys()].map((apiKey) => {
        const api = clientApiByKey.get(apiKey)
        return { apiKey, minVersion: api?.minVersion ?? 0, maxVersion: api?.maxVersion ?? 0 }
      }),
    }))
    this.#on(metadataApi, (request) => this.#metadata(request.topics ?? []))
    this.#on(createTopicsApi, (request) => ({
      topics: request.topics.map(({ name, numPartitions }) => {
        const error = this.#denial('CreateTopics') ?? (this.topics.has(name) ? 'TOPIC_ALREADY_EXISTS' : 'NONE')
        if (error === 'NONE') this.create(name, numPartitions)
        return { name, errorCode: errorCode(error), errorMessage: null }
      }),
    }))
    this.#on(createPartitionsApi, (request) => ({
      results: request.topics.map(({ name, count }) => {
        const partitions = this.topic(name).partitions
        while (partitions.length < count) partitions.push(new FakePartition())
        return { name, errorCode: 0, errorMessage: null }
      }),
    }))
    this.#on(describeConfigsApi, (request) => ({
      results: request.resources.map(({ resourceName }) => ({
        errorCode: errorCode(this.#denial('DescribeConfigs') ?? 'NONE'),
        errorMessage: null,
        resourceType: 2,
        resourceName,
        configs: [{ name: 'max.message.bytes', value: String(this.topics.get(resourceName)?.batchBytesMax ?? 0) }],
      })),
    }))
    this.#on(initProducerIdApi, () => ({ errorCode: 0, producerId: this.#producerIds++, producerEpoch: 0 }))
    this.#on(listOffsetsApi, (request) => ({
      topics: request.topics.map(({ name, partitions }) => ({
        name,
        partitions: partitions.map(({ partitionIndex, timestamp }) => {
          const partition = this.topics.get(name)?.partitions[partitionIndex]
          if (partition === undefined) return { partitionIndex, errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION') }
          return {
            partitionIndex,
            errorCode: 0,
            offset: timestamp === -2 ? partition.startOffset : partition.endOffset,
          }
        }),
      })),
    }))
    this.#on(describeProducersApi, (request) => this.#describeProducers(request.topics))
    this.#on(fetchApi, (request) => this.#fetch(request))
    this.#on(produceApi, (request) => this.#produce(request))
  }

  #denial(api: string): KafkaErrorName | null {
    return this.denied.has(api) ? 'TOPIC_AUTHORIZATION_FAILED' : null
  }

  #metadata(asked: readonly { readonly name: string | null }[]): InferInput<typeof metadataApi.response> {
    return {
      brokers: [{ nodeId: 1, host: this.#host, port: this.port }],
      topics: asked.map(({ name }) => {
        const topic = this.topics.get(name ?? '')
        if (topic === undefined) return { name, errorCode: errorCode('UNKNOWN_TOPIC_OR_PARTITION'), partitions: [] }
        const partitions = topic.partitions.map((_, partitionIndex) => ({ partitionIndex, leaderId: 1, errorCode: 0 }))
        return { name, topicId: topic.topicId, errorCode: 0, partitions }
      }),
    }
  }

  #describeProducers(
    topics: readonly { readonly name: string; readonly partitionIndexes: readonly number[] }[],
  ): InferInput<typeof describeProducersApi.response> {
    const error = errorCode(this.#denial('DescribeProducers') ?? 'NONE')
    return {
      topics: topics.map(({ name, partitionIndexes }) => ({
        name,
        partitions: partitionIndexes.map((partitionIndex) => ({
          partitionIndex,
          errorCode: error,
          activeProducers:
            error !== 0
              ? []
              : [...(this.topic(name).partitions[partitionIndex]?.producers ?? [])].map(([producerId, producer]) => ({
                  producerId,
                  producerEpoch: producer.epoch,
                  lastSequence: producer.lastSequence,
                })),
        })),
      })),
    }
  }

  #byId(topicId: string): FakeTopic | undefined {
    return [...this.topics.values()].find((topic) => topic.topicId === topicId)
  }

  #fetch(request: InferMessage<typeof fetchApi.request>): InferInput<typeof fetchApi.response> {
    return {
      errorCode: 0,
      responses: request.topics.map(({ topicId, partitions }) => ({
        topicId,
        partitions: partitions.map(({ partition: partitionIndex, fetchOffset }) => {
          const denial = this.#denial('Fetch')
          const partition = this.#byId(topicId)?.partitions[partitionIndex]
          const error = denial ?? (partition === undefined ? 'UNKNOWN_TOPIC_ID' : 'NONE')
          const all = partition?.batches ?? []
          const first = all.findIndex((batch) => batchLastOffset(batch) >= fetchOffset)
          const records = error === 'NONE' && first >= 0 ? concatenated(all.slice(first, first + 3)) : new Uint8Array(0)
          return { partitionIndex, errorCode: errorCode(error), highWatermark: partition?.endOffset ?? -1, records }
        }),
      })),
    }
  }

  #produce(request: InferMessage<typeof produceApi.request>): InferInput<typeof produceApi.response> | null {
    const responses = request.topicData.map(({ topicId, partitionData }) => ({
      topicId,
      partitionResponses: partitionData.map(({ index, records }) => {
        const found = [...this.topics].find(([, topic]) => topic.topicId === topicId)
        const partition = found?.[1].partitions[index]
        if (found === undefined || partition === undefined || records === null) {
          return { index, errorCode: errorCode('UNKNOWN_TOPIC_ID'), baseOffset: -1 }
        }
        const denial = this.#denial('Produce') ?? this.refuse(found[0], index, records)
        const tooLarge = records.length > found[1].batchBytesMax ? 'MESSAGE_TOO_LARGE' : null
        const refusal = denial ?? tooLarge
        const answer = refusal === null ? partition.append(records) : { error: refusal, baseOffset: -1 }
        return { index, errorCode: errorCode(answer.error), baseOffset: answer.baseOffset }
      }),
    }))
    if (!this.onProduced()) return null
    return { responses, throttleTimeMs: this.throttleMs }
  }
}
