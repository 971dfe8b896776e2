/** Reads partitions by Fetch, without a group: the reading side of `consume` and of the demo. */
import { fetchApi } from '../../protocol/kafka/apis.ts'
import { errorName } from '../../protocol/kafka/error-codes.ts'
import { batchIsControl, batchLastOffset, batchSizeInBytes, forEachBatch } from '../../protocol/records/record-batch.ts'
import { type RecordView, recordsOf } from '../../protocol/records/record.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'
import { listOffsets, type PartitionPlace, placesOf } from './offsets.ts'

/** A record with where it came from. */
export interface StreamedRecord extends RecordView {
  readonly topic: string
  readonly partition: number
}

export interface RecordStreamOptions {
  readonly topic: string
  /** Null = all. */
  readonly partition: number | null
  /** A special timestamp of ListOffsets, or a timestamp in milliseconds. */
  readonly from: { readonly timestamp: number } | { readonly offset: number }
}

const fetchBytes = 8 * 1024 * 1024
const partitionFetchBytes = 1024 * 1024
const fetchWaitMs = 500
const recordsBytesMax = 268_435_456

export class RecordStream {
  readonly #client: KafkaClient
  readonly #topicId: string
  readonly #places: readonly PartitionPlace[]
  /** Next offset by partition. */
  readonly #next: Map<number, number>

  private constructor(
    client: KafkaClient,
    topicId: string,
    places: readonly PartitionPlace[],
    next: Map<number, number>,
  ) {
    this.#client = client
    this.#topicId = topicId
    this.#places = places
    this.#next = next
  }

  /** Finds where to begin. Throws CLI_KAFKA_REFUSED for an unknown topic. */
  static async open(client: KafkaClient, options: RecordStreamOptions): Promise<RecordStream> {
    const metadata = await client.metadata([options.topic])
    refuseError(`Metadata of ${options.topic}`, metadata.topics[0]?.errorCode ?? 0)
    const all = await placesOf(client, [options.topic])
    const places = all.filter((place) => options.partition === null || place.partition === options.partition)
    if (places.length === 0) refuseError(`Metadata of ${options.topic}-${options.partition ?? ''}`, 3)
    const { from } = options
    const found = 'offset' in from ? null : await listOffsets(client, places, from.timestamp)
    const ends = await listOffsets(client, places, -1)
    const next = new Map(
      places.map(({ topic, partition }) => {
        const key = `${topic}-${partition}`
        const offset = 'offset' in from ? from.offset : (found?.get(key) ?? -1)
        return [partition, offset >= 0 ? offset : (ends.get(key) ?? 0)]
      }),
    )
    return new RecordStream(client, metadata.topics[0]?.topicId ?? '', places, next)
  }

  /** Next offset to read, by partition. */
  get positions(): ReadonlyMap<number, number> {
    return this.#next
  }

  /** What is there now, at the latest after half a second; empty when nothing is. Control batches are passed over. */
  async read(): Promise<StreamedRecord[]> {
    const records: StreamedRecord[] = []
    for (const [leaderId, led] of Map.groupBy(this.#places, (place) => place.leaderId)) {
      const topic = this.#places[0]?.topic ?? ''
      const partitions = led.map(({ partition }) => ({
        partition,
        fetchOffset: this.#next.get(partition) ?? 0,
        currentLeaderEpoch: -1,
        lastFetchedEpoch: -1,
        logStartOffset: -1,
        partitionMaxBytes: partitionFetchBytes,
      }))
      const response = await this.#client.askNode(leaderId, fetchApi, {
        replicaId: -1,
        maxWaitMs: fetchWaitMs,
        minBytes: 1,
        maxBytes: fetchBytes,
        isolationLevel: 1,
        sessionId: 0,
        sessionEpoch: -1,
        topics: [{ topic, topicId: this.#topicId, partitions }],
        forgottenTopicsData: [],
        rackId: '',
      })
      refuseError('Fetch', response.errorCode)
      for (const answer of response.responses.flatMap((one) => one.partitions)) {
        refuseError(`Fetch of ${topic}-${answer.partitionIndex}`, answer.errorCode, fetchSentence(answer.errorCode))
        const place = { topic, partition: answer.partitionIndex }
        if (answer.records !== null) await this.#collect(answer.records, place, records)
      }
    }
    return records
  }

  async #collect(
    bytes: Uint8Array,
    place: { topic: string; partition: number },
    records: StreamedRecord[],
  ): Promise<void> {
    const { compute } = this.#client.ports
    const from = this.#next.get(place.partition) ?? 0
    for (const batch of batchesOf(bytes)) {
      if (!batchIsControl(batch)) {
        for (const record of await recordsOf(batch, compute, recordsBytesMax)) {
          if (record.offset >= from) records.push({ ...record, ...place })
        }
      }
      this.#next.set(place.partition, Math.max(from, batchLastOffset(batch) + 1))
    }
  }
}

/** Whole batches of an answer; a batch cut off at its end is left for the next. */
function batchesOf(bytes: Uint8Array): Uint8Array[] {
  const batches: Uint8Array[] = []
  forEachBatch(bytes, (_, at) => {
    batches.push(bytes.subarray(at, at + batchSizeInBytes(bytes, at)))
  })
  return batches
}

function fetchSentence(code: number): string | null {
  return errorName(code) === 'OFFSET_OUT_OF_RANGE' ? 'the log does not hold that offset (any more)' : null
}
