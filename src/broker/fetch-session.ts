/**
 * Fetch sessions (KIP-227): a client that reads many partitions sends only what changed, and is answered only what is new. Pure.
 *
 * Sessions are a bounded cache: when it is full the session that was idle longest makes room, and its client, told
 * FETCH_SESSION_ID_NOT_FOUND, opens another.
 */
import { zeroUuid } from '../base/ids.ts'
import type { Entropy } from '../base/ports.ts'
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import type { FetchRequest } from '../protocol/kafka/messages/fetch.ts'

/** A session must not hold more than a client could send in a full request anyway. */
const partitionsPerSessionMax = 10_000
/** All sessions together: at some 300 bytes a partition, 30 MB. Beyond it a client is answered without a session. */
const partitionsTotalMax = 100_000
/** A session is never evicted before it was idle for this long, so that many clients do not evict one another for ever. */
const evictionIdleMs = 120_000

/** One partition that is being read. */
export interface FetchPartition {
  /** Its name within a session. */
  readonly key: string
  readonly topic: string
  readonly topicId: string
  readonly partition: number
  readonly fetchOffset: number
  readonly partitionMaxBytes: number
  readonly currentLeaderEpoch: number
  readonly lastFetchedEpoch: number
}

/** What was answered last for a partition of a session: only a difference is answered again. */
interface SessionPartition {
  request: FetchPartition
  highWatermark: number
  logStartOffset: number
}

export interface AnsweredPartition {
  readonly errorCode: number
  readonly highWatermark: number
  readonly logStartOffset: number
  readonly hasRecords: boolean
  readonly isDiverging: boolean
}

export class FetchSession {
  readonly id: number
  readonly usesTopicIds: boolean
  nextEpoch = 1
  lastUsedMs: number
  readonly #partitions = new Map<string, SessionPartition>()

  constructor(id: number, usesTopicIds: boolean, nowMs: number) {
    this.id = id
    this.usesTopicIds = usesTopicIds
    this.lastUsedMs = nowMs
  }

  get size(): number {
    return this.#partitions.size
  }

  /** Takes in what the request adds, changes and, last, forgets: a partition that it adds and forgets is forgotten, as in Kafka. */
  update(request: FetchRequest): void {
    for (const partition of partitionsOf(request)) {
      const { key } = partition
      const known = this.#partitions.get(key)
      if (known !== undefined) known.request = partition
      else this.#partitions.set(key, { request: partition, highWatermark: -1, logStartOffset: -1 })
    }
    for (const topic of request.forgottenTopicsData) {
      for (const partition of topic.partitions) this.#partitions.delete(keyOf(topic.topic, topic.topicId, partition))
    }
  }

  partitions(): FetchPartition[] {
    return Array.from(this.#partitions.values(), ({ request }) => request)
  }

  /**
   * Must this answer go out? It is remembered if so. A partition that was answered records goes to the end of the line, so that a
   * full answer does not starve the ones behind it.
   */
  mustAnswer(request: FetchPartition, answered: AnsweredPartition): boolean {
    const { key } = request
    const known = this.#partitions.get(key)
    if (known === undefined) return true
    const isNews =
      answered.hasRecords ||
      answered.isDiverging ||
      answered.errorCode !== 0 ||
      answered.highWatermark !== known.highWatermark ||
      answered.logStartOffset !== known.logStartOffset
    // -1 with an error, so that its end is news.
    known.highWatermark = answered.highWatermark
    known.logStartOffset = answered.logStartOffset
    if (answered.hasRecords) {
      this.#partitions.delete(key)
      this.#partitions.set(key, known)
    }
    return isNews
  }
}

export type FetchContext =
  /** Everything is in the request, and everything is answered. */
  | { readonly kind: 'sessionless'; readonly partitions: readonly FetchPartition[] }
  | { readonly kind: 'full'; readonly session: FetchSession; readonly partitions: readonly FetchPartition[] }
  | { readonly kind: 'incremental'; readonly session: FetchSession; readonly partitions: readonly FetchPartition[] }
  | { readonly kind: 'refused'; readonly error: KafkaErrorName }

export class FetchSessionCache {
  readonly #sessions = new Map<number, FetchSession>()
  readonly #entropy: Entropy
  readonly #slotsMax: () => number
  #partitionsTotal = 0

  constructor(entropy: Entropy, slotsMax: () => number) {
    this.#entropy = entropy
    this.#slotsMax = slotsMax
  }

  get size(): number {
    return this.#sessions.size
  }

  /** What a request means, by its session id and epoch. */
  contextOf(request: FetchRequest, usesTopicIds: boolean, nowMs: number): FetchContext {
    const { sessionId, sessionEpoch } = request
    if (sessionEpoch === -1 || sessionEpoch === 0) {
      if (sessionId !== 0) this.#drop(this.#sessions.get(sessionId))
      const partitions = partitionsOf(request)
      const isWanted = sessionEpoch === 0 && partitions.length > 0 && partitions.length <= partitionsPerSessionMax
      const hasRoom = this.#partitionsTotal + partitions.length <= partitionsTotalMax
      const session = isWanted && hasRoom ? this.#create(usesTopicIds, nowMs) : null
      if (session === null) return { kind: 'sessionless', partitions }
      this.#update(session, request)
      return { kind: 'full', session, partitions }
    }
    const session = this.#sessions.get(sessionId)
    if (session === undefined) return { kind: 'refused', error: 'FETCH_SESSION_ID_NOT_FOUND' }
    if (session.nextEpoch !== sessionEpoch) return { kind: 'refused', error: 'INVALID_FETCH_SESSION_EPOCH' }
    if (session.usesTopicIds !== usesTopicIds) return { kind: 'refused', error: 'FETCH_SESSION_TOPIC_ID_ERROR' }
    session.nextEpoch = sessionEpoch === 0x7fff_ffff ? 1 : sessionEpoch + 1
    session.lastUsedMs = nowMs
    this.#update(session, request)
    if (session.size === 0 || session.size > partitionsPerSessionMax || this.#partitionsTotal > partitionsTotalMax) {
      this.#drop(session)
      return { kind: 'sessionless', partitions: session.partitions() }
    }
    // The map's order is the order of use.
    this.#sessions.delete(sessionId)
    this.#sessions.set(sessionId, session)
    return { kind: 'incremental', session, partitions: session.partitions() }
  }

  #update(session: FetchSession, request: FetchRequest): void {
    const before = session.size
    session.update(request)
    this.#partitionsTotal += session.size - before
  }

  #drop(session: FetchSession | undefined): void {
    if (session !== undefined && this.#sessions.delete(session.id)) this.#partitionsTotal -= session.size
  }

  #create(usesTopicIds: boolean, nowMs: number): FetchSession | null {
    if (this.#sessions.size >= this.#slotsMax()) {
      const oldest = this.#sessions.values().next().value
      if (oldest === undefined || nowMs - oldest.lastUsedMs < evictionIdleMs) return null
      this.#drop(oldest)
    }
    let id = 0
    while (id === 0 || this.#sessions.has(id)) id = this.#entropy.below(0x7fff_ffff)
    const session = new FetchSession(id, usesTopicIds, nowMs)
    this.#sessions.set(id, session)
    return session
  }
}

/** A session names its topics one way: by name or by id. */
function keyOf(topic: string, topicId: string, partition: number): string {
  return `${topicId === zeroUuid ? topic : topicId}/${partition}`
}

function partitionsOf(request: FetchRequest): FetchPartition[] {
  const partitions: FetchPartition[] = []
  for (const { topic, topicId, partitions: asked } of request.topics) {
    for (const each of asked) {
      partitions.push({
        key: keyOf(topic, topicId, each.partition),
        topic,
        topicId,
        partition: each.partition,
        fetchOffset: each.fetchOffset,
        partitionMaxBytes: each.partitionMaxBytes,
        currentLeaderEpoch: each.currentLeaderEpoch,
        lastFetchedEpoch: each.lastFetchedEpoch,
      })
    }
  }
  return partitions
}
