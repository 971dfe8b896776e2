/**
 * Produce: each partition's batch is a set of its own, all of them are in the books before this function returns, and the answer
 * waits for the high watermark (acks=-1) or this node's disk (acks=1).
 */
import { zeroUuid } from '../base/ids.ts'
import type { Clock, Timer } from '../base/ports.ts'
import type { Partition, WaitCallback } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import { errorCode, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import {
  batchAttributes,
  batchHeaderBytes,
  batchIsTransactional,
  batchMagic,
} from '../protocol/records/record-batch.ts'
import type { ProduceRequest, ProduceResponseInput } from '../protocol/kafka/messages/produce.ts'

type PartitionAnswer = NonNullable<
  NonNullable<NonNullable<ProduceResponseInput['responses']>[number]>['partitionResponses']
>[number]

export interface ProduceParts {
  readonly clock: Clock
  readonly partitions: PartitionTable
  /** Internal topics take no client's records. */
  readonly isInternal: (topic: string) => boolean
}

/** What one partition of a request has come to. */
interface Slot {
  answer: PartitionAnswer
}

interface ProducedTopic {
  readonly name: string
  readonly topicId: string
  readonly slots: Slot[]
}

/** Answers the response, or null for acks=0. Past `timeoutMs` what still waits is answered REQUEST_TIMED_OUT and stays appended. */
export function produce(
  request: ProduceRequest,
  apiVersion: number,
  parts: ProduceParts,
): Promise<ProduceResponseInput> | ProduceResponseInput | null {
  const { acks } = request
  const requestFault: KafkaErrorName | null =
    acks < -1 || acks > 1
      ? 'INVALID_REQUIRED_ACKS'
      : request.transactionalId !== null
        ? 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED'
        : null
  const pending = new PendingProduce(parts.clock, request.timeoutMs)
  const topics = request.topicData.map((topic): ProducedTopic => {
    const slots = topic.partitionData.map((data): Slot => {
      if (requestFault !== null) return { answer: failed(data.index, requestFault, transactionsText(requestFault)) }
      const partition =
        topic.topicId === zeroUuid
          ? parts.partitions.get(topic.name, data.index)
          : parts.partitions.byTopicId(topic.topicId, data.index)
      if (partition === undefined) {
        return {
          answer: failed(
            data.index,
            isUnknownId(topic.topicId, parts.partitions) ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION',
            null,
          ),
        }
      }
      const fault = batchFault(data.records, apiVersion)
      if (fault !== null) return { answer: failed(data.index, fault.error, fault.message) }
      if (parts.isInternal(partition.topic)) {
        return {
          answer: failed(
            data.index,
            'INVALID_TOPIC_EXCEPTION',
            `${partition.topic} is an internal topic: clients cannot write to it`,
          ),
        }
      }
      return appendOne(partition, data.index, data.records, { acks, parts, pending })
    })
    return { name: topic.name, topicId: topic.topicId, slots }
  })
  if (acks === 0) return null
  const respond = (): ProduceResponseInput => ({
    responses: topics.map(({ name, topicId, slots }) => ({
      name,
      topicId,
      partitionResponses: slots.map(({ answer }) => answer),
    })),
  })
  return pending.isDone ? respond() : pending.whenDone(respond)
}

/** First version whose clients know zstd (KIP-110). */
const zstdVersionMin = 7

/** What the request, not the log, forbids about a batch. A record set too short for a header is the log's to refuse. */
function batchFault(
  records: Uint8Array | null,
  apiVersion: number,
): { readonly error: KafkaErrorName; readonly message: string } | null {
  if (records === null || records.length < batchHeaderBytes || batchMagic(records, 0) !== 2) return null
  if (batchIsTransactional(records, 0)) {
    // Such a batch would hold the last stable offset for ever: nobody here could end its transaction.
    return { error: 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED', message: 'this broker does not serve transactions' }
  }
  if (apiVersion < zstdVersionMin && (batchAttributes(records, 0) & codecMask) === zstdCode) {
    return { error: 'UNSUPPORTED_COMPRESSION_TYPE', message: `zstd needs Produce ${zstdVersionMin} or later` }
  }
  return null
}

const codecMask = 7
const zstdCode = 4

function isUnknownId(topicId: string, partitions: PartitionTable): boolean {
  return topicId !== zeroUuid && partitions.byTopicId(topicId, 0) === undefined
}

function appendOne(
  partition: Partition,
  index: number,
  records: Uint8Array | null,
  request: { readonly acks: number; readonly parts: ProduceParts; readonly pending: PendingProduce },
): Slot {
  if (records === null)
    return { answer: failed(index, 'INVALID_RECORD', 'a produce request must carry one record batch') }
  const [outcome] = request.parts.partitions.appendSet([{ partition, batch: records, origin: 'client' }])
  if (outcome === undefined) return { answer: failed(index, 'UNKNOWN_SERVER_ERROR', null) }
  if (outcome.kind === 'refused') return { answer: failed(index, outcome.error, outcome.message) }
  const { baseOffset, logAppendTimeMs, logStartOffset } = outcome
  const slot: Slot = { answer: { index, errorCode: 0, baseOffset, logAppendTimeMs, logStartOffset } }
  if (request.acks !== 0) {
    const done = request.pending.wait(slot, index)
    if (request.acks === 1) partition.whenDurable(outcome.lastOffset + 1, done)
    else partition.whenHighWatermark(outcome.lastOffset + 1, done)
  }
  return slot
}

function failed(index: number, error: KafkaErrorName, errorMessage: string | null): PartitionAnswer {
  return { index, errorCode: errorCode(error), baseOffset: -1, errorMessage }
}

function transactionsText(error: KafkaErrorName): string | null {
  return error === 'TRANSACTIONAL_ID_AUTHORIZATION_FAILED' ? 'this broker does not serve transactions' : null
}

/** Counts the partitions of one request that wait, and gives up at the request's timeout. */
class PendingProduce {
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #waiting = new Map<Slot, number>()
  #timer: Timer | null = null
  #onDone: (() => void) | null = null

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  get isDone(): boolean {
    return this.#waiting.size === 0
  }

  wait(slot: Slot, index: number): WaitCallback {
    this.#waiting.set(slot, index)
    return (error) => {
      if (!this.#waiting.delete(slot)) return
      if (error !== null) slot.answer = failed(index, error, null)
      if (this.#waiting.size === 0) this.#finish()
    }
  }

  whenDone(respond: () => ProduceResponseInput): Promise<ProduceResponseInput> {
    return new Promise((resolve) => {
      this.#onDone = () => resolve(respond())
      this.#timer = this.#clock.schedule(Math.max(1, this.#timeoutMs), () => this.#expire())
    })
  }

  #expire(): void {
    this.#timer = null
    for (const [slot, index] of this.#waiting) slot.answer = failed(index, 'REQUEST_TIMED_OUT', null)
    this.#waiting.clear()
    this.#finish()
  }

  #finish(): void {
    if (this.#timer !== null) this.#clock.cancel(this.#timer)
    this.#timer = null
    this.#onDone?.()
    this.#onDone = null
  }
}
