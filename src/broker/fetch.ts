/**
 * Fetch: reads whole batches up to the isolation bound within a byte budget, or waits in the purgatory until there is enough, an
 * error, or the deadline. Batches leave exactly as stored.
 */
import { zeroUuid } from '../base/ids.ts'
import type { Clock } from '../base/ports.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import { aclOperation, aclResource, clusterResourceName } from '../security/acl.ts'
import type { Authorizer } from '../security/authorizer.ts'
import { errorCode } from '../protocol/kafka/error-codes.ts'
import type { FetchRequest, FetchResponseInput } from '../protocol/kafka/messages/fetch.ts'
import {
  type AnswerMemory,
  boundlessMemory,
  FetchReading,
  type FetchTarget,
  type FetchedPartition,
  type PartitionAnswer,
} from './fetch-read.ts'
import type { FetchContext, FetchPartition, FetchSessionCache } from './fetch-session.ts'
import { PartitionWatch } from './purgatory.ts'

/** From this version on topics are named by their id. */
const topicIdVersionMin = 13

export interface FetchParts {
  readonly clock: Clock
  readonly partitions: PartitionTable
  readonly sessions: FetchSessionCache
  /** fetch.max.bytes */
  readonly bytesMax: () => number
  /** May some client read this topic? */
  readonly isServed: (topic: string) => boolean
  /** Is the right to read it not enough? */
  readonly isForAdministrators: (topic: string) => boolean
  /** Null: everybody may do everything. */
  readonly authorizer: Authorizer | null
}

export interface FetchCaller {
  readonly apiVersion: number
  readonly principal: string
  readonly clientHost: string
  readonly answerMemory?: AnswerMemory
  onClose(callback: () => void): void
}

/** The waiting of one request; the client may go meanwhile. */
interface Patience {
  readonly clock: Clock
  readonly bytesMin: number
  readonly deadlineMs: number
  isGone: boolean
  watch: PartitionWatch | null
}

export async function fetch(
  request: FetchRequest,
  caller: FetchCaller,
  parts: FetchParts,
): Promise<FetchResponseInput> {
  const { clock } = parts
  const deadlineMs = clock.monotonicMs() + request.maxWaitMs
  const usesTopicIds = caller.apiVersion >= topicIdVersionMin
  const context = parts.sessions.contextOf(request, usesTopicIds, clock.monotonicMs())
  if (context.kind === 'refused') return { errorCode: errorCode(context.error), sessionId: 0, responses: [] }
  const mayRead = readerOf(caller, parts)
  const bytesMax = Math.min(request.maxBytes, parts.bytesMax())
  const targets = context.partitions.map((each) => targetOf(each, usesTopicIds, parts, mayRead))
  const bounds = { isReadCommitted: request.isolationLevel === 1, bytesMax }
  const reading = new FetchReading(targets, bounds, caller.answerMemory ?? boundlessMemory)
  // More than the answer may hold cannot be waited for.
  const bytesMin = Math.min(request.minBytes, bytesMax)
  const patience: Patience = { clock, bytesMin, deadlineMs, isGone: false, watch: null }
  caller.onClose(() => {
    patience.isGone = true
    patience.watch?.stop()
  })
  const cold = reading.readAll()
  if (cold !== null) await cold
  if (targets.length > 0 && !reading.isEnough(bytesMin)) await waitForMore(targets, reading, patience)
  return responseOf(context, reading.fetched)
}

/** Which topics the caller may read. */
function readerOf({ principal, clientHost }: FetchCaller, parts: FetchParts): (topic: string) => boolean {
  const subject = parts.authorizer?.subject(principal, clientHost)
  if (subject === undefined || subject.isUnlimited) return () => true
  return (topic) =>
    subject.demands(aclOperation.read, aclResource.topic, topic) &&
    (!parts.isForAdministrators(topic) || subject.demands(aclOperation.alter, aclResource.cluster, clusterResourceName))
}

function targetOf(
  request: FetchPartition,
  usesTopicIds: boolean,
  parts: FetchParts,
  mayRead: (topic: string) => boolean,
): FetchTarget {
  const { partitions, isServed } = parts
  // Before anything tells whether the topic exists.
  if (!usesTopicIds && !mayRead(request.topic)) return { request, partition: null, error: 'TOPIC_AUTHORIZATION_FAILED' }
  const partition = usesTopicIds
    ? partitions.byTopicId(request.topicId, request.partition)
    : partitions.get(request.topic, request.partition)
  if (partition === undefined) {
    const isUnknownId =
      usesTopicIds && (request.topicId === zeroUuid || partitions.byTopicId(request.topicId, 0) === undefined)
    return { request, partition: null, error: isUnknownId ? 'UNKNOWN_TOPIC_ID' : 'UNKNOWN_TOPIC_OR_PARTITION' }
  }
  if (!isServed(partition.topic) || !mayRead(partition.topic))
    return { request, partition: null, error: 'TOPIC_AUTHORIZATION_FAILED' }
  return { request, partition, error: null }
}

/** Until there is enough, an error, the deadline, or nobody to answer. */
async function waitForMore(targets: readonly FetchTarget[], reading: FetchReading, patience: Patience): Promise<void> {
  const { clock, bytesMin, deadlineMs } = patience
  if (patience.isGone || clock.monotonicMs() >= deadlineMs) return
  const partitions = targets.map(({ partition }) => partition)
  const watch = new PartitionWatch(clock, partitions, (index) => reading.hasNews(index))
  patience.watch = watch
  while (!patience.isGone && !reading.isEnough(bytesMin)) {
    const leftMs = deadlineMs - clock.monotonicMs()
    if (leftMs <= 0) break
    const cold = reading.readAgain(await watch.whenMoved(leftMs))
    if (cold !== null) await cold
  }
  watch.stop()
}

function responseOf(
  context: Exclude<FetchContext, { kind: 'refused' }>,
  fetched: readonly FetchedPartition[],
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
    const { topic, topicId } = request
    const key = topicId === zeroUuid ? topic : topicId
    const known = topics.get(key)
    if (known === undefined) topics.set(key, { topic, topicId, partitions: [answer] })
    else known.partitions.push(answer)
  }
  return { errorCode: 0, sessionId: session?.id ?? 0, responses: [...topics.values()] }
}
