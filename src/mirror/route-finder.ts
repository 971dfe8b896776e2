/**
 * Finds out where each target partition lives, and makes what is missing: topics with the source's partition count, and partitions
 * when the source has grown. One round of questions over one connection; holds nothing.
 */
import type { ListenAddress } from '../base/ports.ts'
import { type KafkaErrorName, errorIsRetriable } from '../protocol/kafka/error-codes.ts'
import type { TargetAnswer, TargetConnection, TargetMetadata, TargetTopic } from './target-connection.ts'

/** A target topic and how many partitions the source has. */
export interface WantedTopic {
  readonly name: string
  readonly partitions: number
}

export type TopicRoute =
  /** `leaders[partition]` is a broker id, or -1 where there is none at the moment. */
  | {
      readonly kind: 'found'
      readonly topicId: string
      readonly leaders: readonly number[]
      readonly batchBytesMax: number | null
    }
  /** May be there in a moment. */
  | { readonly kind: 'notYet'; readonly reason: string }
  /** Not without an operator. */
  | { readonly kind: 'refused'; readonly reason: string }

export interface Routes {
  readonly brokers: ReadonlyMap<number, ListenAddress>
  readonly topics: ReadonlyMap<string, TopicRoute>
}

export interface RouteReports {
  created(topic: string, partitions: number): void
  grown(topic: string, partitions: number): void
}

/** Topics asked for in one Metadata request. */
const topicsPerRequest = 500

/** Rejects when the connection fails. */
export async function findRoutes(
  connection: TargetConnection,
  wanted: readonly WantedTopic[],
  reports: RouteReports,
  timeoutMs: number,
): Promise<Routes> {
  const topics = new Map<string, TopicRoute>()
  let brokers: ReadonlyMap<number, ListenAddress> = new Map()
  for (let at = 0; at === 0 || at < wanted.length; at += topicsPerRequest) {
    const some = wanted.slice(at, at + topicsPerRequest)
    const names = some.map((topic) => topic.name)
    const metadata = await connection.metadata(names)
    brokers = metadata.brokers
    const refusals = await makeMissing(connection, some, metadata, { reports, timeoutMs })
    const isChanged = refusals.changed
    const now = isChanged ? await connection.metadata(names) : metadata
    const limits = names.length === 0 ? new Map<string, number>() : await connection.batchLimits(names)
    for (const topic of some) {
      const refusal = refusals.byTopic.get(topic.name)
      topics.set(topic.name, refusal ?? routeOf(now.topics.get(topic.name), limits.get(topic.name) ?? null))
    }
  }
  return { brokers, topics }
}

interface Made {
  readonly changed: boolean
  readonly byTopic: ReadonlyMap<string, TopicRoute>
}

async function makeMissing(
  connection: TargetConnection,
  wanted: readonly WantedTopic[],
  metadata: TargetMetadata,
  options: { readonly reports: RouteReports; readonly timeoutMs: number },
): Promise<Made> {
  const byTopic = new Map<string, TopicRoute>()
  let changed = false
  for (const { name, partitions } of wanted) {
    const topic = metadata.topics.get(name)
    const isMissing = topic === undefined || topic.error === 'UNKNOWN_TOPIC_OR_PARTITION'
    if (!isMissing && (topic.error !== 'NONE' || topic.partitions.length >= partitions)) continue
    const answer = isMissing
      ? await connection.createTopic(name, partitions, options.timeoutMs)
      : await connection.growTopic(name, partitions, options.timeoutMs)
    // Someone else was quicker: the next look tells.
    if (answer.error === 'NONE') {
      changed = true
      if (isMissing) options.reports.created(name, partitions)
      else options.reports.grown(name, partitions)
    } else if (answer.error === 'TOPIC_ALREADY_EXISTS') changed = true
    else if (isMissing) byTopic.set(name, refusalOf(answer, `cannot create ${name}`))
  }
  return { changed, byTopic }
}

function routeOf(topic: TargetTopic | undefined, batchBytesMax: number | null): TopicRoute {
  if (topic === undefined) return { kind: 'notYet', reason: 'the target does not name the topic' }
  if (topic.error !== 'NONE') return refusalOf({ error: topic.error, message: null }, 'metadata')
  const leaders = Array.from(topic.partitions, (partition) => partition?.leaderId ?? -1)
  return { kind: 'found', topicId: topic.topicId, leaders, batchBytesMax }
}

function refusalOf(answer: TargetAnswer, attempt: string): TopicRoute {
  const reason = `${attempt}: ${answer.error}${answer.message === null ? '' : ` (${answer.message})`}`
  return isPassing(answer.error) ? { kind: 'notYet', reason } : { kind: 'refused', reason }
}

function isPassing(error: KafkaErrorName): boolean {
  return errorIsRetriable(error) || error === 'UNKNOWN_SERVER_ERROR'
}
