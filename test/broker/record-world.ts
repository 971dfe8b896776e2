/** The verbs of records over a broker of one node on a simulated host. */
import type { CompressionCodec, Ports } from '../../src/base/ports.ts'
import { Broker } from '../../src/broker/broker.ts'
import type { ProduceCaller } from '../../src/broker/produce.ts'
import { InternalTopics } from '../../src/broker/internal-topics.ts'
import { TopicAdmin } from '../../src/broker/topic-admin.ts'
import { Cluster } from '../../src/cluster/cluster.ts'
import { BrokerSettings } from '../../src/cluster/metadata/broker-config.ts'
import type { Partition } from '../../src/cluster/partition/partition.ts'
import { HeldAnswer } from '../../src/ingest/kafka/held-answer.ts'
import { MemoryBudget } from '../../src/ingest/kafka/memory-budget.ts'
import { LogDirectory, type LogDirectoryOptions } from '../../src/log/log-directory.ts'
import { type KafkaErrorName, errorName } from '../../src/protocol/kafka/error-codes.ts'
import type { FetchRequest, FetchResponseInput } from '../../src/protocol/kafka/messages/fetch.ts'
import type { ProduceRequest, ProduceResponseInput } from '../../src/protocol/kafka/messages/produce.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import {
  attributesAt,
  batchBaseOffset,
  batchHeaderBytes,
  batchLastOffset,
  forEachBatch,
  lengthAt,
  logOverheadBytes,
  updateBatchCrc,
  writeInt32,
} from '../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../src/protocol/records/record.ts'
import { batchOf } from '../log/log-fixture.ts'
import type { SimHost } from '../sim/host.ts'
import type { SimWorld } from '../sim/world.ts'
import { autoTopicsMax, newWorld, patient, secretTopic, topicRequest } from './admin-world.ts'

export const zeroId = 'AAAAAAAAAAAAAAAAAAAAAA'

/** One life of a node. */
export interface RecordWorld {
  readonly world: SimWorld
  readonly host: SimHost
  readonly ports: Ports
  readonly directory: LogDirectory
  readonly cluster: Cluster
  readonly topics: TopicAdmin
  readonly broker: Broker
  /** Lets virtual time run until the promise has settled. */
  settle<T>(work: Promise<T> | T): Promise<T>
}

export interface RecordWorldOptions {
  /** Of a process that runs already; a new one is booted when omitted. */
  readonly ports?: Ports
  readonly settings?: Readonly<Record<string, string>>
  readonly directory?: Partial<LogDirectoryOptions>
}

/** Boots the host; a second call on the same host is a second life on the same disk. */
export async function openRecords(
  { world, host } = newWorld(),
  { ports = host.boot(), settings: written = {}, directory: options = {} }: RecordWorldOptions = {},
): Promise<RecordWorld> {
  const settings = new BrokerSettings(new Map(Object.entries(written)))
  const internalTopics = new InternalTopics([secretTopic])
  const isInternal = (topic: string): boolean => internalTopics.isInternal(topic)
  const endPoints = [{ name: 'PLAINTEXT', host: 'edge', port: 9092, securityProtocol: 0 }]
  const directory = await world.settle(LogDirectory.open({ dataDir: '/data', nodeId: 1, ...options }, ports))
  const cluster = await world.settle(Cluster.open({ directory, settings, ports, isInternal, endPoints }))
  const { clock, observer } = ports
  const topics = new TopicAdmin({ cluster, settings, clock, observer, internalTopics, autoTopicsMax })
  const broker = new Broker({ cluster, settings, ports, topics, internalTopics })
  const settle = <T>(work: Promise<T> | T): Promise<T> => world.settle(Promise.resolve(work))
  return { world, host, ports, directory, cluster, topics, broker, settle }
}

/** Creates a topic that must come to be; answers its partitions. */
export async function makeTopic(
  node: RecordWorld,
  name: string,
  partitions = 1,
  configs: Readonly<Record<string, string>> = {},
): Promise<readonly Partition[]> {
  const request = topicRequest(name, { partitions, configs: new Map(Object.entries(configs)) })
  const outcome = await node.settle(node.topics.create(request, patient))
  if (outcome.kind !== 'done') throw new Error(`not created: ${outcome.error} ${outcome.message}`)
  return node.broker.partitions.ofTopic(name) ?? []
}

/** The internal topic of these tests, served. */
export async function makeSecretTopic(node: RecordWorld): Promise<readonly Partition[]> {
  await node.settle(node.broker.ensureInternalTopic(secretTopic))
  return node.broker.partitions.ofTopic(secretTopic.name) ?? []
}

export interface ProduceOptions {
  readonly acks?: number
  readonly timeoutMs?: number
  readonly transactionalId?: string | null
  readonly topicIds?: Readonly<Record<string, string>>
}

/** A request for batches by `topic` and partition, in order. */
export function produceRequest(
  batches: readonly (readonly [topic: string, index: number, records: Uint8Array | null])[],
  { acks = -1, timeoutMs = 30_000, transactionalId = null, topicIds = {} }: ProduceOptions = {},
): ProduceRequest {
  return {
    transactionalId,
    acks,
    timeoutMs,
    topicData: batches.map(([name, index, records]) => ({
      name,
      topicId: topicIds[name] ?? zeroId,
      partitionData: [{ index, records }],
    })),
  }
}

/** A client's connection as an append sees it. */
export function clientOf(apiVersion = 12, connectionId = 1): ProduceCaller {
  return { apiVersion, connectionId }
}

/** `topic-partition: base offset` or the error's name, for each partition of an answer. */
export function produced(response: ProduceResponseInput | null): readonly string[] {
  return (response?.responses ?? []).flatMap(({ name, partitionResponses }) =>
    (partitionResponses ?? []).map(({ index, errorCode, baseOffset }) => {
      const error = errorName(errorCode ?? 0)
      return `${name}-${index}: ${error === 'NONE' ? baseOffset : error}`
    }),
  )
}

export interface FetchOptions {
  readonly maxWaitMs?: number
  readonly minBytes?: number
  readonly maxBytes?: number
  readonly isolationLevel?: number
  readonly sessionId?: number
  readonly sessionEpoch?: number
  readonly forgotten?: readonly (readonly [topic: string, index: number])[]
  readonly topicIds?: Readonly<Record<string, string>>
}

/** What is asked of one partition. */
export interface Asked {
  readonly topic?: string
  readonly index?: number
  readonly offset?: number
  readonly partitionMaxBytes?: number
  readonly currentLeaderEpoch?: number
  readonly lastFetchedEpoch?: number
}

export function fetchRequest(asked: readonly Asked[], options: FetchOptions = {}): FetchRequest {
  const { topicIds = {}, forgotten = [] } = options
  return {
    clusterId: null,
    replicaId: -1,
    replicaState: { replicaId: -1, replicaEpoch: -1 },
    maxWaitMs: options.maxWaitMs ?? 0,
    minBytes: options.minBytes ?? 1,
    maxBytes: options.maxBytes ?? 50_000_000,
    isolationLevel: options.isolationLevel ?? 0,
    sessionId: options.sessionId ?? 0,
    sessionEpoch: options.sessionEpoch ?? -1,
    topics: asked.map((each) => ({
      topic: each.topic ?? 'readings',
      topicId: topicIds[each.topic ?? 'readings'] ?? zeroId,
      partitions: [
        {
          partition: each.index ?? 0,
          currentLeaderEpoch: each.currentLeaderEpoch ?? -1,
          fetchOffset: each.offset ?? 0,
          lastFetchedEpoch: each.lastFetchedEpoch ?? -1,
          logStartOffset: -1,
          partitionMaxBytes: each.partitionMaxBytes ?? 1_048_576,
          replicaDirectoryId: zeroId,
          highWatermark: 9223372036854775807n,
        },
      ],
    })),
    forgottenTopicsData: forgotten.map(([topic, index]) => ({
      topic,
      topicId: topicIds[topic] ?? zeroId,
      partitions: [index],
    })),
    rackId: '',
  }
}

/** A client's connection as a fetch sees it. */
export class Caller {
  readonly apiVersion: number
  readonly principal = 'User:ANONYMOUS'
  readonly clientHost = '127.0.0.1'
  readonly answerMemory: HeldAnswer
  #onClose: (() => void)[] = []

  constructor(apiVersion = 12, answers = new MemoryBudget(Number.POSITIVE_INFINITY, () => {})) {
    this.apiVersion = apiVersion
    this.answerMemory = new HeldAnswer(answers)
  }

  onClose(callback: () => void): void {
    this.#onClose.push(callback)
  }

  close(): void {
    for (const callback of this.#onClose) callback()
    this.answerMemory.cancel()
  }
}

/** `topic-partition: first..last` of the batches of an answer, `empty`, or the error's name. */
export function fetched(response: FetchResponseInput): readonly string[] {
  return (response.responses ?? []).flatMap(({ topic, partitions }) =>
    (partitions ?? []).map((answer) => {
      const error = errorName(answer.errorCode ?? 0)
      return `${topic}-${answer.partitionIndex}: ${error === 'NONE' ? rangeOf(answer.records ?? null) : error}`
    }),
  )
}

function rangeOf(records: Uint8Array | null): string {
  let first = -1
  let last = -1
  if (records !== null) {
    forEachBatch(records, (bytes, at) => {
      if (first < 0) first = batchBaseOffset(bytes, at)
      last = batchLastOffset(bytes, at)
    })
  }
  return first < 0 ? 'empty' : `${first}..${last}`
}

/** Values of the records of a partition as they stand in its log below the high watermark, one list a batch. */
export async function batchesOf(node: RecordWorld, partition: Partition): Promise<readonly (readonly string[])[]> {
  const batches: string[][] = []
  for (let at = partition.log.logStartOffset; at < partition.highWatermark; ) {
    const read = await node.settle(node.broker.readTailCold(partition, at, 1_048_576))
    if (read.kind !== 'batches' || read.bytes.length === 0) throw new Error(`unreadable at ${at}: ${read.kind}`)
    forEachBatch(read.bytes, (bytes, position) => {
      const values: string[] = []
      forEachRecord(bytes, position, ({ value }) => {
        values.push(value === null ? 'null' : Buffer.from(value).toString())
        return true
      })
      batches.push(values)
      at = batchLastOffset(bytes, position) + 1
    })
  }
  return batches
}

/** The name of an error code. */
export function nameOf(code: number | undefined): KafkaErrorName {
  return errorName(code ?? 0)
}

/** Deletes a topic; its partitions are out of service when this resolves. */
export async function dropTopic(node: RecordWorld, name: string): Promise<void> {
  const topicId = node.broker.image.topic(name)?.topicId ?? zeroId
  const outcome = await node.settle(node.topics.delete({ name, topicId }, 60_000))
  if (outcome.kind !== 'done') throw new Error(`not deleted: ${outcome.error}`)
}

const compute = nodeCompute({ inline: true })

/** A batch with one record for each text, its records compressed. */
export async function compressedBatch(
  codec: CompressionCodec,
  texts: readonly string[],
  options: Parameters<typeof batchOf>[1] = {},
): Promise<Uint8Array> {
  const plain = batchOf(texts, options)
  const records = await compute.compress(codec, plain.subarray(batchHeaderBytes))
  const batch = new Uint8Array(Buffer.concat([plain.subarray(0, batchHeaderBytes), records]))
  writeInt32(batch, lengthAt, batch.length - logOverheadBytes)
  batch[attributesAt + 1] = codecs.indexOf(codec)
  updateBatchCrc(batch)
  return batch
}

/** By their number in the attributes of a batch. */
const codecs: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
