/**
 * Fetch: reads whole batches up to the isolation bound within a byte budget, or waits in the purgatory until there is enough, an
 * error, or the deadline. Batches leave exactly as stored; hot reads on the loop, cold ones behind the disk.
 */
import { zeroUuid } from '../base/ids.ts'
import type { Clock } from '../base/ports.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import type { LogReadResult } from '../log/append.ts'
import { errorCode, type KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { batchCodec, forEachBatch } from '../protocol/records/record-batch.ts'
import type { FetchRequest, FetchResponseInput } from '../protocol/kafka/messages/fetch.ts'
import type { FetchContext, FetchPartition, FetchSessionCache } from './fetch-session.ts'
import { waitForPartitions } from './purgatory.ts'

/** From this version on topics are named by their id. */
const topicIdVersionMin = 13

export interface FetchParts {
  readonly clock: Clock
  readonly partitions: PartitionTable
  readonly sessions: FetchSessionCache
  /** fetch.max.bytes */
  readonly bytesMax: () => number
  /** May a client read this topic? */
  readonly isReadable: (topic: string) => boolean
}

export interface FetchCaller {
  readonly apiVersion: number
  onClose(callback: () => void): void
}

type TopicAnswer = NonNullable<FetchResponseInput['responses']>[number]
type PartitionAnswer = NonNullable<TopicAnswer['partitions']>[number]

interface Fetched {
  readonly request: FetchPartition
  readonly answer: PartitionAnswer
  readonly bytes: number
  /** An error or a diverging epoch: the answer must not wait. */
  readonly isUrgent: boolean
}

/** First version whose clients know zstd (KIP-110). */
const zstdVersionMin = 10

interface ReadBounds {
  readonly knowsZstd: boolean
  readonly isReadCommitted: boolean
  readonly bytesMax: number
}

/** One partition of the request after the look-up. */
interface Target {
  readonly request: FetchPartition
  readonly partition: Partition | null
  readonly error: KafkaErrorName | null
}

export async function fetch(
  request: FetchRequest,
  caller: FetchCaller,
  parts: FetchParts,
): Promise<FetchResponseInput> {
  const usesTopicIds = caller.apiVersion >= topicIdVersionMin
  const context = parts.sessions.contextOf(request, usesTopicIds, parts.clock.monotonicMs())
  if (context.kind === 'refused') return { errorCode: errorCode(context.error), sessionId: 0, responses: [] }
  const targets = context.partitions.map((each) => targetOf(each, parts))
  const bounds: ReadBounds = {
    knowsZstd: caller.apiVersion >= zstdVersionMin,
    isReadCommitted: request.isolationLevel === 1,
    bytesMax: Math.min(request.maxBytes, parts.bytesMax()),
  }
  const deadlineMs = parts.clock.monotonicMs() + request.maxWaitMs
  const patience: Patience = { clock: parts.clock, isGone: false, waiting: null }
  caller.onClose(() => giveUp(patience))
  let seen = endsOf(targets, bounds)
  let fetched = readHotAll(targets, bounds) ?? (await readAll(targets, bounds))
  while (!isEnough(fetched, request.minBytes) && targets.length > 0) {
    const leftMs = deadlineMs - parts.clock.monotonicMs()
    if (leftMs <= 0 || patience.isGone) break
    await untilMoved(seen, leftMs, bounds, patience)
    seen = endsOf(targets, bounds)
    fetched = readHotAll(targets, bounds) ?? (await readAll(targets, bounds))
  }
  return responseOf(context, fetched)
}

function targetOf(request: FetchPartition, parts: FetchParts): Target {
  const isById = request.topicId !== zeroUuid
  const partition = isById
    ? parts.partitions.byTopicId(request.topicId, request.partition)
    : parts.partitions.get(request.topic, request.partition)
  if (partition === undefined) {
    const isUnknownId = isById && parts.partitions.byTopicId(request.topicId, 0) === undefined
    return { request, partition: null, error: isUnknownId ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION' }
  }
  if (!parts.isReadable(partition.topic)) return { request, partition: null, error: 'TOPIC_AUTHORIZATION_FAILED' }
  return { request, partition, error: null }
}

function isEnough(fetched: readonly Fetched[], minBytes: number): boolean {
  let bytes = 0
  for (const each of fetched) {
    if (each.isUrgent) return true
    bytes += each.bytes
  }
  return bytes >= minBytes
}

/** Everything from memory, or null when something has to come from the disk. */
function readHotAll(targets: readonly Target[], bounds: ReadBounds): Fetched[] | null {
  const fetched: Fetched[] = []
  let left = bounds.bytesMax
  let isFirst = true
  for (const target of targets) {
    const ready = answerWithoutReading(target, bounds, left > 0 || isFirst)
    if (ready !== null) {
      fetched.push(ready)
      continue
    }
    const partition = target.partition as Partition
    const read = partition.log.readHot(readRequest(target, bounds, left, isFirst))
    if (read === null) return null
    const answered = answerOf(target, read, bounds)
    left -= answered.bytes
    if (answered.bytes > 0) isFirst = false
    fetched.push(answered)
  }
  return fetched
}

async function readAll(targets: readonly Target[], bounds: ReadBounds): Promise<Fetched[]> {
  const fetched: Fetched[] = []
  let left = bounds.bytesMax
  let isFirst = true
  for (const target of targets) {
    const ready = answerWithoutReading(target, bounds, left > 0 || isFirst)
    if (ready !== null) {
      fetched.push(ready)
      continue
    }
    const answered = await readOne(target, bounds, left, isFirst)
    left -= answered.bytes
    if (answered.bytes > 0) isFirst = false
    fetched.push(answered)
  }
  return fetched
}

async function readOne(target: Target, bounds: ReadBounds, left: number, isFirst: boolean): Promise<Fetched> {
  const partition = target.partition as Partition
  const request = readRequest(target, bounds, left, isFirst)
  try {
    return answerOf(target, partition.log.readHot(request) ?? (await partition.log.read(request)), bounds)
  } catch {
    // The disk refused the read: the observer has heard of it at the port; the client is told.
    return failedOf(target.request, partition.log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR')
  }
}

function readRequest(target: Target, bounds: ReadBounds, left: number, isFirst: boolean) {
  return {
    fromOffset: target.request.fetchOffset,
    endOffset: endOf(target.partition as Partition, bounds),
    bytesMax: Math.max(0, Math.min(left, target.request.partitionMaxBytes)),
    minOneBatch: isFirst,
  }
}

function endOf(partition: Partition, bounds: ReadBounds): number {
  return bounds.isReadCommitted ? partition.log.lastStableOffset : partition.highWatermark
}

/** The answer where nothing has to be read: errors, fencing, divergence, nothing new, no room left. Null = read. */
function answerWithoutReading(target: Target, bounds: ReadBounds, hasRoom: boolean): Fetched | null {
  const { request, partition } = target
  if (partition === null) return failedOf(request, target.error ?? 'UNKNOWN_TOPIC_OR_PARTITION')
  if (!partition.isLeader)
    return failedOf(request, partition.log.isDeleted ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'KAFKA_STORAGE_ERROR')
  const fenced = epochFault(partition, request.currentLeaderEpoch)
  if (fenced !== null) return failedOf(request, fenced)
  if (request.lastFetchedEpoch >= 0) {
    const { epoch, endOffset } = partition.log.endOffsetForEpoch(request.lastFetchedEpoch)
    if (epoch < 0 || endOffset < 0) return failedOf(request, 'OFFSET_OUT_OF_RANGE')
    if (epoch < request.lastFetchedEpoch || endOffset < request.fetchOffset) {
      const answer = { ...emptyAnswer(request, partition, bounds), divergingEpoch: { epoch, endOffset } }
      return { request, answer, bytes: 0, isUrgent: true }
    }
  }
  if (request.fetchOffset < partition.log.logStartOffset || request.fetchOffset > partition.log.logEndOffset) {
    return failedOf(request, 'OFFSET_OUT_OF_RANGE')
  }
  if (!hasRoom || request.fetchOffset >= endOf(partition, bounds)) {
    return { request, answer: emptyAnswer(request, partition, bounds), bytes: 0, isUrgent: false }
  }
  return null
}

/** FENCED_LEADER_EPOCH or UNKNOWN_LEADER_EPOCH (KIP-320); null when the client's epoch is ours or it names none. */
export function epochFault(partition: Partition, currentLeaderEpoch: number): KafkaErrorName | null {
  if (currentLeaderEpoch < 0 || currentLeaderEpoch === partition.leaderEpoch) return null
  return currentLeaderEpoch < partition.leaderEpoch ? 'FENCED_LEADER_EPOCH' : 'UNKNOWN_LEADER_EPOCH'
}

function answerOf(target: Target, read: LogReadResult, bounds: ReadBounds): Fetched {
  const { request } = target
  if (read.kind === 'outOfRange') return failedOf(request, 'OFFSET_OUT_OF_RANGE')
  if (read.kind === 'damaged') return failedOf(request, 'KAFKA_STORAGE_ERROR')
  if (!bounds.knowsZstd && hasZstd(read.bytes)) return failedOf(request, 'UNSUPPORTED_COMPRESSION_TYPE')
  const answer = { ...emptyAnswer(request, target.partition as Partition, bounds), records: read.bytes }
  return { request, answer, bytes: read.bytes.length, isUrgent: false }
}

function hasZstd(batches: Uint8Array): boolean {
  let found = false
  forEachBatch(batches, (bytes, at) => {
    found ||= batchCodec(bytes, at) === 'zstd'
  })
  return found
}

const noRecords = new Uint8Array(0)

function emptyAnswer(request: FetchPartition, partition: Partition, bounds: ReadBounds): PartitionAnswer {
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

function failedOf(request: FetchPartition, error: KafkaErrorName): Fetched {
  const answer: PartitionAnswer = {
    partitionIndex: request.partition,
    errorCode: errorCode(error),
    highWatermark: -1,
    abortedTransactions: null,
    records: noRecords,
  }
  return { request, answer, bytes: 0, isUrgent: true }
}

/** The waiting of one request; the client may go meanwhile. */
interface Patience {
  readonly clock: Clock
  isGone: boolean
  waiting: { readonly stop: () => void } | null
}

function giveUp(patience: Patience): void {
  patience.isGone = true
  patience.waiting?.stop()
}

/** Where each partition ended for this reader before it was read: what comes later is news. */
function endsOf(targets: readonly Target[], bounds: ReadBounds): Map<Partition, number> {
  const ends = new Map<Partition, number>()
  for (const { partition } of targets) if (partition !== null) ends.set(partition, endOf(partition, bounds))
  return ends
}

/** Resolves when a partition has more than was `seen`, at the deadline, or when the client has gone. */
function untilMoved(
  seen: ReadonlyMap<Partition, number>,
  waitMs: number,
  bounds: ReadBounds,
  patience: Patience,
): Promise<void> {
  const hasNews = (): boolean => {
    for (const [partition, end] of seen) if (!partition.isLeader || endOf(partition, bounds) > end) return true
    return false
  }
  // A cold read takes its time: the news may be there already.
  if (hasNews()) return Promise.resolve()
  return new Promise((resolve) => {
    const waiting = waitForPartitions(patience.clock, seen.keys(), waitMs, { isSatisfied: hasNews, onDone: resolve })
    patience.waiting = {
      stop: () => {
        waiting.cancel()
        resolve()
      },
    }
  })
}

function responseOf(
  context: Exclude<FetchContext, { kind: 'refused' }>,
  fetched: readonly Fetched[],
): FetchResponseInput {
  const session = context.kind === 'sessionless' ? null : context.session
  const topics = new Map<string, { topic: string; topicId: string; partitions: PartitionAnswer[] }>()
  for (const { request, answer, bytes } of fetched) {
    const isNews =
      session === null ||
      session.mustAnswer(request, {
        errorCode: answer.errorCode ?? 0,
        highWatermark: answer.highWatermark ?? -1,
        logStartOffset: answer.logStartOffset ?? -1,
        hasRecords: bytes > 0,
        isDiverging: answer.divergingEpoch !== undefined,
      })
    if (!isNews && context.kind === 'incremental') continue
    const key = `${request.topic}/${request.topicId}`
    const topic = topics.get(key)
    if (topic === undefined) topics.set(key, { topic: request.topic, topicId: request.topicId, partitions: [answer] })
    else topic.partitions.push(answer)
  }
  return { errorCode: 0, sessionId: session?.id ?? 0, responses: [...topics.values()] }
}
