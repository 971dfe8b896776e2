/** Requests and answers by our own codec on a bare socket: for everything that is said politely in this suite. */
import { strict as assert } from 'node:assert'
import {
  createTopicsApi,
  fetchApi,
  type KafkaApi,
  listOffsetsApi,
  metadataApi,
  produceApi,
} from '../../src/protocol/kafka/apis.ts'
import { errorName, type KafkaErrorName } from '../../src/protocol/kafka/error-codes.ts'
import { decodeResponse, encodeRequest } from '../../src/protocol/kafka/header.ts'
import type { InferInput, InferMessage, MessageSchema } from '../../src/protocol/kafka/schema.ts'
import { batchLastOffset, batchSizeInBytes, forEachBatch } from '../../src/protocol/records/record-batch.ts'
import { recordsOf } from '../../src/protocol/records/record.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import { RawClient } from './raw-client.ts'

const compute = nodeCompute()
const decompressedBytesMax = 16 * 1_048_576
const answerDeadlineMs = 20_000

export interface ReadRecord {
  readonly offset: number
  readonly key: string | null
  readonly value: string | null
}

/** Names in requests are used up to the version before topic ids stand in for them. */
const produceVersion = 12
const fetchVersion = 12

export class KafkaTalk {
  readonly raw: RawClient
  #correlationId = 0

  constructor(raw: RawClient) {
    this.raw = raw
  }

  static async connect(address: string): Promise<KafkaTalk> {
    return new KafkaTalk(await RawClient.connect(address))
  }

  /** Sends a request and waits for its answer; version: the highest when omitted. */
  async ask<Q extends MessageSchema, R extends MessageSchema>(
    api: KafkaApi<Q, R>,
    value: InferInput<Q>,
    version = api.maxVersion,
  ): Promise<InferMessage<R>> {
    const correlationId = ++this.#correlationId
    this.raw.send(...encodeRequest(api, version, correlationId, 'attack', value))
    const answer = decodeResponse(api, version, await this.raw.frame(answerDeadlineMs))
    assert.equal(answer.correlationId, correlationId, `${api.name}: another request's answer`)
    return answer.value
  }

  async createTopic(
    name: string,
    partitions = 1,
    configs: Readonly<Record<string, string>> = {},
  ): Promise<KafkaErrorName> {
    const topic = {
      name,
      numPartitions: partitions,
      replicationFactor: 1,
      configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
    }
    const answer = await this.ask(createTopicsApi, { topics: [topic], timeoutMs: 60_000 })
    return errorName(answer.topics[0]?.errorCode ?? -1)
  }

  /** Produces the bytes as they are with acks=all; answers the error and the offset. */
  async produce(
    topic: string,
    partition: number,
    records: Uint8Array | null,
    version = produceVersion,
  ): Promise<{ readonly error: KafkaErrorName; readonly baseOffset: number; readonly message: string | null }> {
    const topicData = [{ name: topic, partitionData: [{ index: partition, records }] }]
    const answer = await this.ask(produceApi, { acks: -1, timeoutMs: 15_000, topicData }, version)
    const [first] = answer.responses[0]?.partitionResponses ?? []
    assert.ok(first, 'the answer names the partition')
    return { error: errorName(first.errorCode), baseOffset: first.baseOffset, message: first.errorMessage }
  }

  async endOffset(topic: string, partition: number): Promise<number> {
    return this.#offsetAt(topic, partition, -1)
  }

  async startOffset(topic: string, partition: number): Promise<number> {
    return this.#offsetAt(topic, partition, -2)
  }

  async #offsetAt(topic: string, partition: number, timestamp: number): Promise<number> {
    const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp }] }]
    const answer = await this.ask(listOffsetsApi, { replicaId: -1, topics }, 6)
    const found = answer.topics[0]?.partitions[0]
    assert.equal(errorName(found?.errorCode ?? -1), 'NONE', `ListOffsets of ${topic}-${partition}`)
    return found?.offset ?? -1
  }

  /** All records from the log's start to its end, decompressed. */
  async readAll(topic: string, partition: number): Promise<ReadRecord[]> {
    const read: ReadRecord[] = []
    const end = await this.endOffset(topic, partition)
    let next = await this.startOffset(topic, partition)
    while (next < end) {
      const bytes = await this.#fetch(topic, partition, next)
      assert.ok(bytes.length > 0, `Fetch of ${topic}-${partition} at ${next}, end ${end}: nothing came`)
      const batches: Uint8Array[] = []
      const from = next
      forEachBatch(bytes, (_, at) => {
        batches.push(bytes.subarray(at, at + batchSizeInBytes(bytes, at)))
        next = batchLastOffset(bytes, at) + 1
      })
      for (const batch of batches) {
        for (const { offset, key, value } of await recordsOf(batch, compute, decompressedBytesMax)) {
          if (offset >= from) read.push({ offset, key: textOf(key), value: textOf(value) })
        }
      }
    }
    return read
  }

  async #fetch(topic: string, partition: number, fetchOffset: number): Promise<Uint8Array> {
    const topics = [{ topic, partitions: [{ partition, fetchOffset, partitionMaxBytes: 1_048_576 }] }]
    const request = { maxWaitMs: 1_000, minBytes: 1, maxBytes: 4_194_304, topics }
    const answer = await this.ask(fetchApi, request, fetchVersion)
    const found = answer.responses[0]?.partitions[0]
    assert.equal(errorName(found?.errorCode ?? -1), 'NONE', `Fetch of ${topic}-${partition} at ${fetchOffset}`)
    return found?.records ?? new Uint8Array(0)
  }

  /** Error of each topic in Metadata, by name. */
  async metadataErrors(names: readonly string[], allowAutoTopicCreation = false): Promise<Map<string, KafkaErrorName>> {
    const topics = names.map((name) => ({ name }))
    const answer = await this.ask(metadataApi, { topics, allowAutoTopicCreation })
    return new Map(answer.topics.map((topic) => [topic.name ?? '', errorName(topic.errorCode)]))
  }

  close(): void {
    this.raw.destroy()
  }
}

function textOf(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : Buffer.from(bytes).toString('utf8')
}
