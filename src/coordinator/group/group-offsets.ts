/** OffsetCommit 2-9, OffsetFetch 1-9, OffsetDelete 0 and the expiry of offsets (KIP-211), as Apache Kafka 4.1 decides them. */
import type { KafkaErrorName } from '../../protocol/kafka/error-codes.ts'
import type { ClassicGroup } from './classic-group.ts'
import type { ClassicProtocol, ProtocolPort } from './classic-protocol.ts'
import type { GroupRecord } from './group-records.ts'
import type {
  CommitReply,
  CommitRequest,
  FetchedOffset,
  FetchOffsetsRequest,
  OffsetToCommit,
} from './group-requests.ts'
import type { StoredOffset } from './offset-store.ts'

interface OffsetRecord {
  readonly kind: 'offset'
  readonly groupId: string
  readonly topic: string
  readonly partition: number
  readonly stored: StoredOffset | null
}

export class GroupOffsets {
  readonly #port: ProtocolPort
  readonly #protocol: ClassicProtocol

  constructor(port: ProtocolPort, protocol: ClassicProtocol) {
    this.#port = port
    this.#protocol = protocol
  }

  commit(group: ClassicGroup, request: CommitRequest, reply: CommitReply): void {
    const refused = refuseCommit(group, request)
    if (refused !== null) return reply({ error: refused, errors: [] })
    // A commit shows that the member is alive.
    const member = group.member(request.memberId)
    if (member !== undefined && (group.state === 'Stable' || group.state === 'PreparingRebalance'))
      this.#protocol.expectHeartbeat(group, member)
    const errors: (KafkaErrorName | null)[] = []
    const records: OffsetRecord[] = []
    for (const offset of request.offsets) {
      const isTooLong = offset.metadata.length > this.#port.options.offsetMetadataLengthMax
      errors.push(isTooLong ? 'OFFSET_METADATA_TOO_LARGE' : null)
      if (!isTooLong) records.push(this.#commitRecord(group, request, offset))
    }
    if (records.length === 0) return reply({ error: null, errors })
    this.#apply(group, records, (error) => {
      if (error === null) this.#port.note({ kind: 'committed', offsets: records.length })
      const answered = error === 'UNKNOWN_SERVER_ERROR' ? 'INVALID_COMMIT_OFFSET_SIZE' : error
      reply({ error: null, errors: errors.map((own) => own ?? answered) })
    })
  }

  fetch(group: ClassicGroup | undefined, request: FetchOffsetsRequest): readonly FetchedOffset[] {
    const known = group === undefined || group.state === 'Dead' ? undefined : group.offsets
    const answer = (topic: string, partition: number): FetchedOffset => {
      if (request.requireStable && known?.isUnstable(topic, partition) === true)
        return { topic, partition, offset: -1, leaderEpoch: -1, metadata: '', error: 'UNSTABLE_OFFSET_COMMIT' }
      const stored = known?.get(topic, partition)
      return {
        topic,
        partition,
        offset: stored?.offset ?? -1,
        leaderEpoch: stored?.leaderEpoch ?? -1,
        metadata: stored?.metadata ?? '',
        error: null,
      }
    }
    if (request.topics !== null)
      return request.topics.flatMap(({ topic, partitions }) => partitions.map((partition) => answer(topic, partition)))
    return known === undefined ? [] : [...known.entries()].map(({ topic, partition }) => answer(topic, partition))
  }

  delete(
    group: ClassicGroup,
    partitions: readonly { readonly topic: string; readonly partition: number }[],
    reply: CommitReply,
  ): void {
    // A group of another protocol type may use offsets that we cannot tell apart: then it must be empty.
    if (group.state !== 'Empty' && group.protocolType !== 'consumer')
      return reply({ error: 'NON_EMPTY_GROUP', errors: [] })
    const errors: (KafkaErrorName | null)[] = []
    const records: OffsetRecord[] = []
    for (const { topic, partition } of partitions) {
      const isSubscribed = group.state !== 'Empty' && group.isSubscribedTo(topic)
      errors.push(isSubscribed ? 'GROUP_SUBSCRIBED_TO_TOPIC' : null)
      if (isSubscribed) continue
      if (group.offsets.get(topic, partition) === undefined && !group.offsets.isUnderWay(topic, partition)) continue
      records.push({ kind: 'offset', groupId: group.groupId, topic, partition, stored: null })
    }
    if (records.length === 0) return reply({ error: null, errors })
    this.#apply(group, records, (error) => reply({ error, errors: error === null ? errors : [] }))
  }

  /** Forgets what the group has in a deleted topic. */
  forgetTopic(group: ClassicGroup, topic: string): void {
    if (group.state === 'Dead') return
    const records: OffsetRecord[] = [...group.offsets.all()]
      .filter((offset) => offset.topic === topic)
      .map(({ partition }) => ({ kind: 'offset', groupId: group.groupId, topic, partition, stored: null }))
    if (records.length > 0) this.#apply(group, records, () => {})
  }

  /** Expires offsets of the group; answers true when nothing is left and nothing is on its way. */
  expire(group: ClassicGroup): boolean {
    const baseOf = expiryBase(group)
    if (baseOf === null) return false
    const { options, now } = this.#port
    const records: OffsetRecord[] = []
    for (const { topic, partition, stored } of group.offsets.entries()) {
      if (group.state !== 'Empty' && group.isSubscribedTo(topic)) continue
      if (group.offsets.isUnderWay(topic, partition) || group.offsets.isUnstable(topic, partition)) continue
      const expiresMs = stored.expireTimestampMs ?? baseOf(stored) + options.offsetsRetentionMs
      if (now.wallMs < expiresMs) continue
      records.push({ kind: 'offset', groupId: group.groupId, topic, partition, stored: null })
    }
    if (records.length === 0) return group.offsets.isUntouched
    this.#port.note({ kind: 'expired', groupId: group.groupId, offsets: records.length })
    this.#apply(group, records, () => {})
    // The group itself goes with a later pass, when these are safe.
    return false
  }

  #commitRecord(group: ClassicGroup, request: CommitRequest, offset: OffsetToCommit): OffsetRecord {
    const commitTimestampMs = this.#port.now.wallMs
    return {
      kind: 'offset',
      groupId: group.groupId,
      topic: offset.topic,
      partition: offset.partition,
      stored: {
        offset: offset.offset,
        leaderEpoch: offset.leaderEpoch,
        metadata: offset.metadata,
        commitTimestampMs,
        // Somebody who wants it kept for ever says the largest number there is.
        expireTimestampMs:
          request.retentionMs === null
            ? null
            : Math.min(Number.MAX_SAFE_INTEGER, commitTimestampMs + request.retentionMs),
      },
    }
  }

  /** Writes the records and applies them when they are safe. Settlements come in log order, so the newest wins. */
  #apply(group: ClassicGroup, records: readonly OffsetRecord[], done: (error: KafkaErrorName | null) => void): void {
    const { offsets } = group
    for (const { topic, partition } of records) offsets.begin(topic, partition)
    this.#port.write(records satisfies readonly GroupRecord[], (error) => {
      for (const { topic, partition, stored } of records) {
        offsets.end(topic, partition)
        if (error !== null) continue
        if (stored === null) offsets.delete(topic, partition)
        else offsets.set(topic, partition, stored)
      }
      done(error)
      this.#port.considerForgetting(group)
    })
  }
}

/** May this request commit? */
function refuseCommit(group: ClassicGroup, request: CommitRequest): KafkaErrorName | null {
  if (group.state === 'Dead') return 'COORDINATOR_NOT_AVAILABLE'
  // No generation: an administrator, or a consumer without a group. They may write while nobody is in it.
  if (request.generationId < 0 && group.state === 'Empty') return null
  if (request.generationId >= 0 || request.memberId !== '' || request.groupInstanceId !== null) {
    const member = group.validate(request.memberId, request.groupInstanceId)
    if (typeof member === 'string') return member
    if (request.generationId !== group.generationId) return 'ILLEGAL_GENERATION'
  } else if (group.state !== 'Empty') return 'UNKNOWN_MEMBER_ID'
  return group.state === 'CompletingRebalance' ? 'REBALANCE_IN_PROGRESS' : null
}

/** From which moment an offset's retention runs; null while none expires. */
function expiryBase(group: ClassicGroup): ((stored: StoredOffset) => number) | null {
  // A simple consumer: from its last commit.
  if (group.protocolType === null) return (stored) => stored.commitTimestampMs
  if (group.state === 'Empty') return (stored) => group.stateTimestampMs ?? stored.commitTimestampMs
  // Topics that a living group of consumers no longer reads.
  if (group.state === 'Stable' && group.protocolType === 'consumer' && group.subscribedTopics !== null)
    return (stored) => stored.commitTimestampMs
  return null
}
