/** One Kafka connection of a simulated client, and the questions that several clients ask. */
import { fetchApi, listOffsetsApi, metadataApi } from '../../../src/protocol/kafka/apis.ts'
import { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import { errorIsRetriable, errorName } from '../../../src/protocol/kafka/error-codes.ts'
import type { FetchResponse } from '../../../src/protocol/kafka/messages/fetch.ts'
import { batchPartitionLeaderEpoch, forEachBatch } from '../../../src/protocol/records/record-batch.ts'
import { forEachRecord } from '../../../src/protocol/records/record.ts'
import type { Prng } from '../prng.ts'
import { type Field, kafkaAddress, pause, partitionCount, runSessions, silenceMs, TryAgain } from './field.ts'
import { type DumpedRecord, valueOf } from './history.ts'

/** Asks on a connection of its own, which is closed whatever comes of it. */
export async function withKafka<T>(
  field: Field,
  clientId: string,
  ask: (kafka: KafkaClientConnection) => Promise<T>,
): Promise<T> {
  const { net, clock } = field.ports
  const kafka = await KafkaClientConnection.open({
    net,
    clock,
    address: kafkaAddress,
    clientId,
    connectTimeoutMs: 100,
    requestTimeoutMs: silenceMs,
    frameBytesMax: 1 << 24,
  })
  try {
    return await ask(kafka)
  } finally {
    kafka.close()
  }
}

/** The life of a Kafka client: after every trouble a new connection, on which `session` begins when the topics are served. */
export interface KafkaSessions {
  readonly topics: readonly string[]
  /** Resolves when the client has nothing more to do. */
  session(kafka: KafkaClientConnection): Promise<void>
}

export function runKafkaSessions(field: Field, name: string, chance: Prng, sessions: KafkaSessions): Promise<void> {
  return runSessions(field, name, chance, () =>
    withKafka(field, name, async (kafka) => {
      for (const topic of sessions.topics) await untilServed(field, kafka, topic)
      await sessions.session(kafka)
      return true
    }),
  )
}

/** Throws TryAgain for an error that clients live with, Error for one that must not come. */
export function expectNone(code: number, attempt: string, lawful: readonly string[] = []): void {
  if (code === 0) return
  const name = errorName(code)
  if (errorIsRetriable(name) || lawful.includes(name)) throw new TryAgain(`${attempt}: ${name}`)
  throw new Error(`${attempt}: ${name}`)
}

/** Asks for a topic, which creates it, until all of its partitions are led. */
async function untilServed(field: Field, kafka: KafkaClientConnection, topic: string): Promise<void> {
  for (;;) {
    const answer = await kafka.send(metadataApi, { topics: [{ name: topic }], allowAutoTopicCreation: true })
    const found = answer.topics[0]
    const led = found?.partitions.filter(({ errorCode }) => errorCode === 0).length ?? 0
    if (found?.errorCode === 0 && led === partitionCount) return
    if (found !== undefined && found.errorCode !== 0 && !errorIsRetriable(errorName(found.errorCode))) {
      throw new Error(`metadata of ${topic}: ${errorName(found.errorCode)}`)
    }
    await pause(field, 10)
  }
}

/** Where a reader stands in one partition. */
export interface Position {
  readonly topic: string
  readonly partition: number
  readonly place: string
  offset: number
  /** Epoch of the last batch read; -1 at the beginning. */
  epoch: number
}

export function positionOf(topic: string, partition: number, offset = 0): Position {
  return { topic, partition, place: `${topic}-${partition}`, offset, epoch: -1 }
}

export interface FetchOptions {
  readonly maxWaitMs: number
  readonly isolationLevel: 0 | 1
  readonly bytesMax: number
}

/** The topics of a Fetch request for these positions. */
export function fetchTopics(positions: readonly Position[], bytesMax: number) {
  return positions.map(({ topic, partition, offset, epoch }) => ({
    topic,
    partitions: [{ partition, fetchOffset: offset, lastFetchedEpoch: epoch, partitionMaxBytes: bytesMax }],
  }))
}

/** The newest high watermarks before a question is asked. */
export function watermarksOf(field: Field, positions: readonly Position[]): ReadonlyMap<string, number> {
  return new Map(positions.map(({ place }) => [place, field.history.highWatermark(place)]))
}

/** Takes an answer in: tells the history, moves the positions. Throws as `expectNone`. */
export function takeFetched(
  field: Field,
  name: string,
  answer: FetchResponse,
  positions: readonly Position[],
  least: ReadonlyMap<string, number>,
  onRecord?: (place: string, record: DumpedRecord) => void,
): void {
  for (const { topic, partitions } of answer.responses) {
    for (const part of partitions) {
      const position = positions.find((each) => each.topic === topic && each.partition === part.partitionIndex)
      if (position === undefined) throw new Error(`an answer for ${topic}-${part.partitionIndex}`)
      expectNone(part.errorCode, `fetch of ${position.place} at ${position.offset}`)
      if (part.divergingEpoch.epoch >= 0) throw new Error(`${position.place} diverges at ${position.offset}`)
      field.history.sawHighWatermark(position.place, part.highWatermark, least.get(position.place) ?? 0, name)
      advance(field, name, position, part.records ?? noBytes, onRecord)
      if (position.offset > part.highWatermark) {
        field.history.break(`${name}: ${position.place}@${position.offset - 1} lies above ${part.highWatermark}`)
      }
    }
  }
}

const noBytes = new Uint8Array(0)

function advance(
  field: Field,
  name: string,
  position: Position,
  bytes: Uint8Array,
  onRecord?: (place: string, record: DumpedRecord) => void,
): void {
  forEachBatch(bytes, (batches, at) => {
    const epoch = batchPartitionLeaderEpoch(batches, at)
    if (epoch < position.epoch) field.history.break(`${position.place}: epoch ${epoch} behind ${position.epoch}`)
    position.epoch = epoch
    forEachRecord(batches, at, (record) => {
      if (record.offset < position.offset) return
      if (record.offset > position.offset) {
        field.history.break(`${name}: ${position.place} goes from ${position.offset} to ${record.offset}`)
      }
      position.offset = record.offset + 1
      const value = valueOf(record.value)
      field.history.tell(position.place, record.offset, value, name)
      onRecord?.(position.place, { key: record.key === null ? '' : Buffer.from(record.key).toString(), value })
    })
  })
}

/** One fetch outside any session. */
export async function fetchOnce(
  field: Field,
  name: string,
  kafka: KafkaClientConnection,
  positions: readonly Position[],
  options: FetchOptions,
  onRecord?: (place: string, record: DumpedRecord) => void,
): Promise<void> {
  const { maxWaitMs, isolationLevel, bytesMax } = options
  const least = watermarksOf(field, positions)
  const topics = fetchTopics(positions, bytesMax)
  const request = { maxWaitMs, minBytes: 1, maxBytes: bytesMax, isolationLevel, sessionEpoch: -1, topics }
  const answer = await kafka.send(fetchApi, request, { version: 12 })
  expectNone(answer.errorCode, 'fetch')
  takeFetched(field, name, answer, positions, least, onRecord)
}

/** The end offset of a partition as ListOffsets tells it. */
export async function endOffset(kafka: KafkaClientConnection, topic: string, partition: number): Promise<number> {
  const topics = [{ name: topic, partitions: [{ partitionIndex: partition, timestamp: -1 }] }]
  const answer = await kafka.send(listOffsetsApi, { replicaId: -1, isolationLevel: 0, topics })
  const found = answer.topics[0]?.partitions[0]
  expectNone(found?.errorCode ?? -1, `end of ${topic}-${partition}`)
  return found?.offset ?? -1
}
