/** `headwater produce`: lines of stdin (or one value) as records, acknowledged by all replicas before the command says so. */
import { metadataApi, produceApi } from '../../protocol/kafka/apis.ts'
import { setTimeout as wait } from 'node:timers/promises'
import { ApplianceError } from '../../base/errors.ts'
import { murmur2 } from '../../base/murmur2.ts'
import { errorCode } from '../../protocol/kafka/error-codes.ts'
import { encodeHeaders } from '../../protocol/records/record.ts'
import { RecordBatchBuilder } from '../../protocol/records/record-batch-builder.ts'
import { cliErrors } from './cli-errors.ts'
import { type KafkaClient, refuseError } from './kafka-client.ts'
import { type PartitionPlace, placesOf } from './offsets.ts'
import { printResult } from './output.ts'

export interface ProduceOptions {
  /** Null = chosen by the key as Kafka's clients do, or in turn. */
  readonly partition: number | null
  /** Key of every record; null = none, or what stands before the separator. */
  readonly key: string | null
  readonly keySeparator: string | null
  readonly headers: readonly (readonly [string, string])[]
  /** The one record's value; null = every line of stdin is one. */
  readonly value: string | null
  readonly json: boolean
}

interface OutgoingRecord {
  readonly key: Uint8Array | null
  readonly value: Uint8Array
}

const requestMs = 30_000
/** One produce request is made of at most this many bytes of input: what stdin hands over at a time. */
const batchBytesMax = 512 * 1024
/** Sixteen times what a broker takes unless it is told otherwise; input without line ends would fill the memory. */
const lineLengthMax = 16 * 1024 * 1024
/** An automatically created topic has its leaders well within this many tries. */
const leaderTries = 50
const leaderTryMs = 100

export async function produce(client: KafkaClient, topic: string, options: ProduceOptions): Promise<void> {
  const places = await leadersOf(client, topic)
  const topicId = (await client.metadata([topic])).topics[0]?.topicId ?? ''
  const encodedHeaders = encodeHeaders(options.headers.map(([key, value]) => ({ key, value: Buffer.from(value) })))
  let produced = 0
  let acknowledged = 0
  const onAcknowledged = (count: number): void => {
    acknowledged += count
  }
  const send = async (records: readonly OutgoingRecord[]) => {
    const byPartition = Map.groupBy(
      records,
      (record) => options.partition ?? choosePartition(record.key, produced++, places.length),
    )
    for (const [partition, group] of byPartition) {
      const place = places.find((candidate) => candidate.partition === partition)
      if (place === undefined) refuseError(`Produce to ${topic}-${partition}`, errorCode('UNKNOWN_TOPIC_OR_PARTITION'))
      else await sendBatches(client, { place, topicId, encodedHeaders, onAcknowledged }, group)
    }
  }
  try {
    if (options.value !== null)
      await send([{ key: options.key === null ? null : Buffer.from(options.key), value: Buffer.from(options.value) }])
    else for await (const lines of inputLines()) await send(lines.map((line) => recordOfLine(line, options)))
  } catch (thrown) {
    // Where to go on: what is not among these may be stored all the same.
    if (acknowledged > 0) process.stderr.write(`headwater: ${acknowledged} records were acknowledged, then:\n`)
    throw thrown
  }
  printResult({ topic, records: acknowledged }, options.json, () => `${acknowledged} records acknowledged`)
}

/** Asks for the topic, which creates it where the broker allows that, and waits for its leaders. */
async function leadersOf(client: KafkaClient, topic: string): Promise<PartitionPlace[]> {
  const unready = new Set([errorCode('UNKNOWN_TOPIC_OR_PARTITION'), errorCode('LEADER_NOT_AVAILABLE')])
  for (let attempt = 1; ; attempt++) {
    const response = await client.ask(metadataApi, {
      topics: [{ name: topic }],
      allowAutoTopicCreation: attempt === 1,
    })
    const code = response.topics[0]?.errorCode ?? 0
    if (!unready.has(code) || attempt === leaderTries) {
      refuseError(`Metadata of ${topic}`, code)
      return placesOf(client, [topic])
    }
    await wait(leaderTryMs)
  }
}

/** Kafka's own choice: murmur2 of the key, modulo the partitions; in turn without a key. */
function choosePartition(key: Uint8Array | null, turn: number, partitions: number): number {
  return key === null ? turn % partitions : (murmur2(key) & 0x7fff_ffff) % partitions
}

interface BatchTarget {
  readonly place: PartitionPlace
  readonly topicId: string
  readonly encodedHeaders: Uint8Array
  readonly onAcknowledged: (count: number) => void
}

async function sendBatches(
  client: KafkaClient,
  target: BatchTarget,
  records: readonly OutgoingRecord[],
): Promise<void> {
  let builder = new RecordBatchBuilder()
  const timestampMs = client.ports.clock.wallMs()
  for (const { key, value } of records) {
    if (builder.recordCount > 0 && builder.sizeInBytes + value.length > batchBytesMax) {
      await sendBatch(client, target, builder)
      builder = new RecordBatchBuilder()
    }
    builder.append(timestampMs, key, value, target.encodedHeaders)
  }
  if (builder.recordCount > 0) await sendBatch(client, target, builder)
}

async function sendBatch(client: KafkaClient, target: BatchTarget, builder: RecordBatchBuilder): Promise<void> {
  const { place, topicId, onAcknowledged } = target
  const { topic, partition, leaderId } = place
  const count = builder.recordCount
  const records = builder.build()
  const response = await client.askNode(leaderId, produceApi, {
    transactionalId: null,
    acks: -1,
    timeoutMs: requestMs,
    topicData: [{ name: topic, topicId, partitionData: [{ index: partition, records }] }],
  })
  const outcome = response.responses[0]?.partitionResponses[0]
  refuseError(`Produce to ${topic}-${partition}`, outcome?.errorCode ?? 0, outcome?.errorMessage)
  onAcknowledged(count)
}

function recordOfLine(line: string, options: ProduceOptions): OutgoingRecord {
  const { key, keySeparator } = options
  const at = keySeparator === null ? -1 : line.indexOf(keySeparator)
  if (keySeparator === null || at === -1)
    return { key: key === null ? null : Buffer.from(key), value: Buffer.from(line) }
  return { key: Buffer.from(line.slice(0, at)), value: Buffer.from(line.slice(at + keySeparator.length)) }
}

/** The lines that stdin holds at a time: all that are there, one when somebody types. */
async function* inputLines(): AsyncGenerator<string[]> {
  let rest = ''
  process.stdin.setEncoding('utf8')
  for await (const chunk of process.stdin) {
    const lines = `${rest}${String(chunk)}`.split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > lineLengthMax) {
      const detail = `a line has more than ${lineLengthMax} characters, and is no record`
      throw new ApplianceError(cliErrors.valueInvalid, { name: 'standard input', detail })
    }
    if (lines.length > 0) yield lines
  }
  if (rest !== '') yield [rest]
}
