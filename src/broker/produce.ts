/**
 * Produce: each partition's batch is a set of its own, and the answer waits for the high watermark (acks=-1) or this node's disk
 * (acks=1). Uncompressed batches are in the books before this function returns. Where a codec is needed first (log/batch-preparation.ts)
 * the whole request is appended when all of its batches are ready, and later requests of the connection behind it (produce-order.ts).
 */
import { zeroUuid } from '../base/ids.ts'
import type { Clock, Compute, Timer } from '../base/ports.ts'
import type { OffsetWaiter, Partition } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import type { AppendEntry } from '../log/append.ts'
import { needsPreparation, prepareBatch } from '../log/batch-preparation.ts'
import type { RecordError } from '../log/record-walk.ts'
import type { UnifiedLog } from '../log/unified-log.ts'
import { errorCode, errorName, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { batchCodec, batchHeaderBytes, batchIsTransactional, batchMagic } from '../protocol/records/record-batch.ts'
import type { ProduceRequest, ProduceResponseInput } from '../protocol/kafka/messages/produce.ts'
import type { ProduceOrder } from './produce-order.ts'

type PartitionAnswer = NonNullable<
  NonNullable<NonNullable<ProduceResponseInput['responses']>[number]>['partitionResponses']
>[number]
type ProducedData = ProduceRequest['topicData'][number]['partitionData'][number]

export interface ProduceParts {
  readonly clock: Clock
  readonly compute: Compute
  readonly partitions: PartitionTable
  readonly order: ProduceOrder
  /** Internal topics take no client's records. */
  readonly isInternal: (topic: string) => boolean
}

/** One partition of a request. */
interface Slot {
  /** What it has come to. */
  readonly answer: PartitionAnswer
}

interface Refusal {
  readonly error: KafkaErrorName
  readonly message: string | null
  readonly recordErrors?: readonly RecordError[]
}

/** Whose request it is, as far as an append wants to know. */
export interface ProduceCaller {
  readonly apiVersion: number
  /** Requests of one connection are appended in order. */
  readonly connectionId: number
}

/** The facts of one request that each of its partitions needs. */
interface Producing {
  readonly apiVersion: number
  readonly parts: ProduceParts
  readonly appends: Append[]
  /** What refuses the whole request. */
  readonly fault: Refusal | null
}

/** A request with acks=0 of which something was refused: there is no answer to say so in. */
export interface UnheardRefusal {
  readonly refusal: string
  readonly responses: readonly []
}

/**
 * The client's time is that of followers: for Kafka the append of the leader takes none. Ours is a flush, which worn flash may hold back for seconds,
 * and clients that give it 100 ms (kafka-node, no-kafka) would send again what is stored.
 */
const ownFlushMs = 5_000

/**
 * Answers the response; for acks=0 null, or what was refused. Past `timeoutMs` and `ownFlushMs` what still waits is answered
 * REQUEST_TIMED_OUT and stays appended.
 */
export function produce(
  request: ProduceRequest,
  { apiVersion, connectionId }: ProduceCaller,
  parts: ProduceParts,
): Promise<ProduceResponseInput | UnheardRefusal | null> | ProduceResponseInput | UnheardRefusal | null {
  const producing: Producing = { apiVersion, parts, appends: [], fault: requestFault(request) }
  const topics = request.topicData.map(({ name, topicId, partitionData }) => ({
    name,
    topicId,
    slots: partitionData.map((data) => produceOne(name, topicId, data, producing)),
  }))
  const { appends } = producing
  const isReady = !appends.some(({ batch, log }) => needsPreparation(batch, log.config))
  if (appends.length === 0 || (isReady && !parts.order.isBusy(connectionId)))
    return appendAndAnswer(request, topics, appends, parts)
  return parts.order.run(connectionId, prepareAll(appends, parts), (ready) =>
    appendAndAnswer(request, topics, ready, parts),
  )
}

interface TopicSlots {
  readonly name: string
  readonly topicId: string
  readonly slots: readonly Slot[]
}

function appendAndAnswer(
  { acks, timeoutMs }: ProduceRequest,
  topics: readonly TopicSlots[],
  appends: readonly Append[],
  parts: ProduceParts,
): Promise<ProduceResponseInput> | ProduceResponseInput | UnheardRefusal | null {
  const pending = new PendingProduce(parts.clock, Math.max(timeoutMs, ownFlushMs), appends)
  append(appends, acks, pending, parts)
  if (acks === 0) return unheardRefusal(topics)
  const respond = (): ProduceResponseInput => ({
    responses: topics.map(({ name, topicId, slots }) => ({
      name,
      topicId,
      partitionResponses: slots.map(({ answer }) => answer),
    })),
  })
  return pending.isDone ? respond() : pending.whenDone(respond)
}

function unheardRefusal(topics: readonly TopicSlots[]): UnheardRefusal | null {
  const refused = topics.flatMap(({ slots }) => slots).find(({ answer }) => (answer.errorCode ?? 0) !== 0)
  return refused === undefined ? null : { refusal: errorName(refused.answer.errorCode ?? 0), responses: [] }
}

/** Has every batch looked into that needs a codec for it; answers what there is to append, in order. */
async function prepareAll(appends: readonly Append[], parts: ProduceParts): Promise<readonly Append[]> {
  const nowMs = parts.clock.wallMs()
  const clockTrusted = parts.clock.wallTrusted()
  const prepared = await Promise.all(
    appends.map(async (each): Promise<Append | null> => {
      const { config } = each.log
      if (!needsPreparation(each.batch, config)) return each
      const outcome = await prepareBatch(each.batch, { config, origin: 'client', nowMs, clockTrusted }, parts)
      if (outcome.kind === 'ready') {
        each.batch = outcome.batch
        each.recordsChecked = true
        return each
      }
      each.answer = failure(each.index, outcome)
      return null
    }),
  )
  return prepared.filter((each) => each !== null)
}

const noTransactions: Refusal = {
  error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED',
  message: 'this broker does not serve transactions',
}

function requestFault({ acks, transactionalId }: ProduceRequest): Refusal | null {
  if (acks < -1 || acks > 1) return { error: 'INVALID_REQUIRED_ACKS', message: null }
  return transactionalId === null ? null : noTransactions
}

function produceOne(name: string, topicId: string, data: ProducedData, producing: Producing): Slot {
  const { fault, apiVersion, parts } = producing
  if (fault !== null) return failed(data.index, fault)
  const partition = partitionOf(name, topicId, data.index, producing)
  if (typeof partition === 'string') return failed(data.index, { error: partition, message: null })
  const { records } = data
  if (records === null) return failed(data.index, noBatch)
  const batchRefusal = batchFault(records, apiVersion)
  if (batchRefusal !== null) return failed(data.index, batchRefusal)
  if (parts.isInternal(partition.topic)) {
    const message = `${partition.topic} is an internal topic: clients cannot write to it`
    return failed(data.index, { error: 'INVALID_TOPIC_EXCEPTION', message })
  }
  const append = new Append(data.index, partition, records)
  producing.appends.push(append)
  return append
}

/** From this version on topics are named by their id. */
const topicIdVersionMin = 13

function partitionOf(
  name: string,
  topicId: string,
  index: number,
  { apiVersion, parts: { partitions } }: Producing,
): Partition | KafkaErrorName {
  if (apiVersion < topicIdVersionMin) return partitions.get(name, index) ?? 'UNKNOWN_TOPIC_OR_PARTITION'
  if (topicId === zeroUuid || partitions.byTopicId(topicId, 0) === undefined) return 'UNKNOWN_TOPIC_ID'
  return partitions.byTopicId(topicId, index) ?? 'UNKNOWN_TOPIC_OR_PARTITION'
}

const noBatch: Refusal = { error: 'INVALID_RECORD', message: 'a produce request must carry one record batch' }

/** First version that carries batch v2 (KIP-98). Older ones are advertised for old librdkafka and served by nobody (KAFKA-18659). */
const batchVersionMin = 3
/** First version whose clients know zstd (KIP-110). */
const zstdVersionMin = 7

/** What the request, not the log, forbids about a batch. A record set too short for a header is the log's to refuse. */
function batchFault(records: Uint8Array, apiVersion: number): Refusal | null {
  if (apiVersion < batchVersionMin) {
    const message = `Produce ${apiVersion} carries message formats before 2, which are not supported`
    return { error: 'UNSUPPORTED_FOR_MESSAGE_FORMAT', message }
  }
  if (records.length < batchHeaderBytes || batchMagic(records) !== 2) return null
  // Such a batch would hold the last stable offset for ever: nobody here could end its transaction.
  if (batchIsTransactional(records)) return noTransactions
  if (apiVersion < zstdVersionMin && batchCodec(records) === 'zstd') {
    return { error: 'UNSUPPORTED_COMPRESSION_TYPE', message: `zstd needs Produce ${zstdVersionMin} or later` }
  }
  return null
}

/** Appends everything that nothing spoke against, and lets the answers wait. */
function append(appends: readonly Append[], acks: number, pending: PendingProduce, parts: ProduceParts): void {
  if (appends.length === 0) return
  const outcomes = parts.partitions.appendEach(appends)
  for (let at = 0; at < appends.length; at++) {
    const each = appends[at] as Append
    const outcome = outcomes[at]
    if (outcome === undefined || outcome.kind === 'refused') {
      each.answer = failure(each.index, outcome ?? noOutcome)
      continue
    }
    const { baseOffset, logAppendTimeMs, logStartOffset } = outcome
    each.answer = { index: each.index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset }
    if (acks === 0) continue
    // A duplicate waits as its original does: that one may not be durable yet.
    each.wait(outcome.lastOffset + 1, pending)
    if (acks === 1) each.partition.awaitDurable(each)
    else each.partition.awaitHighWatermark(each)
  }
}

const noOutcome: Refusal = { error: 'UNKNOWN_SERVER_ERROR', message: null }

function failed(index: number, refusal: Refusal): Slot {
  return { answer: failure(index, refusal) }
}

function failure(index: number, { error, message, recordErrors = [] }: Refusal): PartitionAnswer {
  return {
    index,
    errorCode: errorCode(error),
    baseOffset: -1,
    errorMessage: message,
    recordErrors: recordErrors.map((each) => ({
      batchIndex: each.batchIndex,
      batchIndexErrorMessage: each.message,
    })),
  }
}

const unanswered: PartitionAnswer = { index: -1 }
const noBytes = new Uint8Array(0)

/** A partition whose batch goes to the log: what is appended, the answer that this makes, and the waiter for its end. */
class Append implements Slot, AppendEntry, OffsetWaiter {
  readonly index: number
  readonly partition: Partition
  batch: Uint8Array
  recordsChecked = false
  answer = unanswered
  endOffset = -1
  /** Counts it while it waits. */
  #pending: PendingProduce | null = null

  constructor(index: number, partition: Partition, batch: Uint8Array) {
    this.index = index
    this.partition = partition
    this.batch = batch
  }

  get log(): UnifiedLog {
    return this.partition.log
  }

  get leaderEpoch(): number {
    return this.partition.leaderEpoch
  }

  get origin(): 'client' {
    return 'client'
  }

  /** It has been appended. Who waits for longer than the request does holds nothing of the frame. */
  wait(endOffset: number, pending: PendingProduce): void {
    this.batch = noBytes
    this.endOffset = endOffset
    this.#pending = pending
    pending.add()
  }

  reached(error: KafkaErrorName | null): void {
    const pending = this.#pending
    if (pending === null) return
    this.#pending = null
    if (error !== null) this.answer = failure(this.index, { error, message: null })
    pending.settle()
  }
}

/** Counts the partitions of one request that wait, and gives up at the request's timeout. */
class PendingProduce {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #appends: readonly Append[]
  #waiting = 0
  #timer: Timer | null = null
  #onDone: (() => void) | null = null

  constructor(clock: Clock, timeoutMs: number, appends: readonly Append[]) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
    this.#appends = appends
  }

  get isDone(): boolean {
    return this.#waiting === 0
  }

  /** One more waits. */
  add(): void {
    this.#waiting++
  }

  /** One of them does not wait any more. */
  settle(): void {
    if (--this.#waiting > 0) return
    if (this.#timer !== null) this.#clock.cancel(this.#timer)
    this.#timer = null
    this.#onDone?.()
    this.#onDone = null
  }

  whenDone(respond: () => ProduceResponseInput): Promise<ProduceResponseInput> {
    return new Promise((resolve) => {
      this.#onDone = () => resolve(respond())
      this.#timer = this.#clock.schedule(this.#timeoutMs, () => {
        this.#timer = null
        for (const append of this.#appends) append.reached('REQUEST_TIMED_OUT')
      })
    })
  }
}
