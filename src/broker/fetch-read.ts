/**
 * What one Fetch reads: whole batches of each partition up to the isolation bound, within the budget of the request; errors, fencing
 * and diverging epochs beside them. Hot reads on the loop, cold ones behind the disk.
 */
import { DiskError } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { LogReadRequest, LogReadResult } from '../log/append.ts'
import { errorCode, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { FetchResponseInput } from '../protocol/kafka/messages/fetch.ts'
import { batchLastOffset, forEachBatch } from '../protocol/records/record-batch.ts'
import type { FetchPartition } from './fetch-session.ts'

type TopicAnswer = NonNullable<FetchResponseInput['responses']>[number]
export type PartitionAnswer = NonNullable<TopicAnswer['partitions']>[number]

/** One partition of the request after the look-up: it, or why there is none. */
export type FetchTarget =
  | { readonly request: FetchPartition; readonly partition: Partition; readonly error: null }
  | { readonly request: FetchPartition; readonly partition: null; readonly error: KafkaErrorName }

export interface FetchBounds {
  readonly isReadCommitted: boolean
  /** Of the whole answer; its first batch goes nevertheless (KIP-74). */
  readonly bytesMax: number
}

/** What answers that are put together may take, all of them together. */
export interface AnswerMemory {
  /** Bytes that nobody holds. */
  readonly roomBytes: number
  /** Takes bytes from now on, or (negative) gives them back. */
  hold(bytes: number): void
  /** Resolves when there may be room; false: nobody waits for this answer any more. */
  whenRoom(): Promise<boolean>
}

export const boundlessMemory: AnswerMemory = {
  roomBytes: Number.POSITIVE_INFINITY,
  hold: () => {},
  whenRoom: () => Promise.resolve(true),
}

export interface FetchedPartition {
  readonly request: FetchPartition
  readonly answer: PartitionAnswer
  readonly bytes: number
  /** An error or a diverging epoch: the answer must not wait. */
  readonly isUrgent: boolean
}

/** The reading of one request. Each target is read once, and again only when it has moved. */
export class FetchReading {
  readonly #targets: readonly FetchTarget[]
  readonly #bounds: FetchBounds
  readonly #memory: AnswerMemory
  readonly #fetched: FetchedPartition[] = []
  /** Where each target ended for this reader when it was read last: what comes later is news. */
  readonly #seenEnds: number[]
  #bytes = 0
  #isUrgent = false

  constructor(targets: readonly FetchTarget[], bounds: FetchBounds, memory: AnswerMemory) {
    this.#targets = targets
    this.#bounds = bounds
    this.#memory = memory
    this.#seenEnds = new Array<number>(targets.length).fill(-1)
  }

  /** In the order of the targets, complete after the first `readAll`. */
  get fetched(): readonly FetchedPartition[] {
    return this.#fetched
  }

  /**
   * May the answer go? It waits for `bytesMin` only while it holds everything that there is: when a bound of the request, the end of
   * a segment or half-cold memory has cut it short, the rest need not be waited for.
   */
  isEnough(bytesMin: number): boolean {
    return this.#isUrgent || this.#bytes >= bytesMin || (this.#bytes > 0 && this.#isCutShort())
  }

  #isCutShort(): boolean {
    return this.#fetched.some(({ request, answer, bytes }, index) => {
      const end = this.#seenEnds[index] as number
      return bytes === 0 ? request.fetchOffset < end : endOffsetOf(answer.records as Uint8Array) < end
    })
  }

  /** Has the target at this place more than was seen, or can it not be read any more? */
  hasNews(index: number): boolean {
    const { partition } = this.#targets[index] as FetchTarget
    if (partition === null) return false
    return !partition.isLeader || endOf(partition, this.#bounds) > (this.#seenEnds[index] as number)
  }

  /** Null when all of it came from memory. */
  readAll(): Promise<void> | null {
    return this.#read([...this.#targets.keys()])
  }

  /** Reads these targets anew and leaves the others as they are. Null when all of it came from memory. */
  readAgain(indexes: Iterable<number>): Promise<void> | null {
    return this.#read([...indexes].sort((a, b) => a - b))
  }

  #read(indexes: readonly number[]): Promise<void> | null {
    for (let at = 0; at < indexes.length; at++) {
      if (!this.#readHot(indexes[at] as number)) return this.#readOn(indexes, at)
    }
    return null
  }

  async #readOn(indexes: readonly number[], from: number): Promise<void> {
    for (let at = from; at < indexes.length; at++) {
      const index = indexes[at] as number
      if (!this.#readHot(index)) await this.#readCold(index)
    }
  }

  /** False when the disk has to be asked. */
  #readHot(index: number): boolean {
    const target = this.#targets[index] as FetchTarget
    if (target.partition === null) return this.#keep(index, failedOf(target.request, target.error))
    this.#seenEnds[index] = endOf(target.partition, this.#bounds)
    const left = this.#bytesLeftFor(index)
    const answered = answerWithoutReading(target, this.#bounds, left > 0 || this.#isFirst(index))
    if (answered !== null) return this.#keep(index, answered)
    if (this.#lacksRoom(index)) return false
    const read = target.partition.log.readHot(this.#requestOf(target, index))
    return read !== null && this.#keep(index, answerOf(target, read, this.#bounds))
  }

  async #readCold(index: number): Promise<void> {
    const target = this.#targets[index] as FetchTarget & { readonly error: null }
    const { log } = target.partition
    while (this.#lacksRoom(index)) {
      if (!(await this.#memory.whenRoom())) return void this.#keep(index, nothingOf(target, this.#bounds))
      if (this.#readHot(index)) return
    }
    const request = this.#requestOf(target, index)
    const reserved = Math.max(0, request.bytesMax - this.#bytesOf(index))
    this.#memory.hold(reserved)
    try {
      this.#keep(index, answerOf(target, await log.read(request), this.#bounds))
    } catch (thrown) {
      if (!(thrown instanceof DiskError)) throw thrown
      // The disk refused the read: the observer has heard of it at the port; the client is told.
      this.#keep(index, failedOf(target.request, log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR'))
    } finally {
      this.#memory.hold(-reserved)
    }
  }

  /** Nobody waits who holds something: an answer with records goes as it is, and only its first batch waits for memory. */
  #lacksRoom(index: number): boolean {
    return this.#isFirst(index) && this.#bytesOf(index) === 0 && this.#memory.roomBytes <= 0
  }

  #requestOf({ request, partition }: FetchTarget & { readonly error: null }, index: number): LogReadRequest {
    return {
      fromOffset: request.fetchOffset,
      endOffset: endOf(partition, this.#bounds),
      bytesMax: Math.max(0, Math.min(this.#bytesLeftFor(index), request.partitionMaxBytes)),
      minOneBatch: this.#isFirst(index),
    }
  }

  #bytesOf(index: number): number {
    return this.#fetched[index]?.bytes ?? 0
  }

  /** What the others leave of the budget, and all answers together of theirs. */
  #bytesLeftFor(index: number): number {
    const own = this.#bytesOf(index)
    return Math.min(this.#bounds.bytesMax - (this.#bytes - own), this.#memory.roomBytes + own)
  }

  /** No other target has records: this one may go beyond the budget with its first batch. */
  #isFirst(index: number): boolean {
    return this.#bytes === this.#bytesOf(index)
  }

  #keep(index: number, fetched: FetchedPartition): true {
    const change = fetched.bytes - this.#bytesOf(index)
    this.#bytes += change
    this.#memory.hold(change)
    this.#isUrgent ||= fetched.isUrgent
    this.#fetched[index] = fetched
    return true
  }
}

function endOf(partition: Partition, bounds: FetchBounds): number {
  return bounds.isReadCommitted ? partition.log.lastStableOffset : partition.highWatermark
}

/** The answer where nothing has to be read: errors, fencing, divergence, nothing new, no room left. Null = read. */
function answerWithoutReading(
  { request, partition }: FetchTarget & { readonly error: null },
  bounds: FetchBounds,
  hasRoom: boolean,
): FetchedPartition | null {
  const { log } = partition
  if (!partition.isLeader)
    return failedOf(request, log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR')
  const fenced = epochFault(partition, request.currentLeaderEpoch)
  if (fenced !== null) return failedOf(request, fenced)
  if (request.lastFetchedEpoch >= 0) {
    const { epoch, endOffset } = log.endOffsetForEpoch(request.lastFetchedEpoch)
    if (epoch < 0 || endOffset < 0) return failedOf(request, 'OFFSET_OUT_OF_RANGE')
    if (epoch < request.lastFetchedEpoch || endOffset < request.fetchOffset) {
      const answer = { ...emptyAnswer(request, partition, bounds), divergingEpoch: { epoch, endOffset } }
      return { request, answer, bytes: 0, isUrgent: true }
    }
  }
  if (request.fetchOffset < log.logStartOffset || request.fetchOffset > log.logEndOffset) {
    return failedOf(request, 'OFFSET_OUT_OF_RANGE')
  }
  if (!hasRoom || request.fetchOffset >= endOf(partition, bounds)) {
    return nothingOf({ request, partition }, bounds)
  }
  return null
}

/** FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH (KIP-320); null when the client's epoch is ours or it names none. */
export function epochFault(partition: Partition, currentLeaderEpoch: number): KafkaErrorName | null {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === partition.leaderEpoch) return null
  return currentLeaderEpoch < partition.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

function answerOf(
  { request, partition }: FetchTarget & { readonly error: null },
  read: LogReadResult,
  bounds: FetchBounds,
): FetchedPartition {
  if (read.kind === 'outOfRange') return failedOf(request, 'OFFSET_OUT_OF_RANGE')
  if (read.kind === 'damaged') return failedOf(request, 'CORRUPT_MESSAGE')
  const answer = { ...emptyAnswer(request, partition, bounds), records: read.bytes }
  return { request, answer, bytes: read.bytes.length, isUrgent: false }
}

/** Offset behind the last of these batches. */
function endOffsetOf(batches: Uint8Array): number {
  let end = 0
  forEachBatch(batches, (bytes, at) => {
    end = batchLastOffset(bytes, at) + 1
  })
  return end
}

const noRecords = new Uint8Array(0)

function nothingOf(
  { request, partition }: Pick<FetchTarget & { readonly error: null }, 'request' | 'partition'>,
  bounds: FetchBounds,
): FetchedPartition {
  return { request, answer: emptyAnswer(request, partition, bounds), bytes: 0, isUrgent: false }
}

function emptyAnswer(request: FetchPartition, partition: Partition, bounds: FetchBounds): PartitionAnswer {
  return {
    partitionIndex: request.partition,
    errorCode: 0,
    highWatermark: partition.highWatermark,
    lastStableOffset: partition.log.lastStableOffset,
    logStartOffset: partition.log.logStartOffset,
    abortedTransactions: bounds.isReadCommitted ? [] : null,
    records: noRecords,
  }
}

function failedOf(request: FetchPartition, error: KafkaErrorName): FetchedPartition {
  const answer: PartitionAnswer = {
    partitionIndex: request.partition,
    errorCode: errorCode(error),
    highWatermark: -1,
    abortedTransactions: null,
    records: noRecords,
  }
  return { request, answer, bytes: 0, isUrgent: true }
}
