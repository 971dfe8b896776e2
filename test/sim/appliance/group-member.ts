/** A static member of a consumer group (KIP-345): joins, reads its share, commits, comes again after every trouble. */
import {
  findCoordinatorApi,
  heartbeatApi,
  joinGroupApi,
  offsetCommitApi,
  offsetFetchApi,
  syncGroupApi,
} from '../../../src/protocol/kafka/apis.ts'
import type { KafkaClientConnection } from '../../../src/protocol/kafka/client-connection.ts'
import type { JoinGroupResponse } from '../../../src/protocol/kafka/messages/join-group.ts'
import type { Prng } from '../prng.ts'
import { type Client, type Field, kafkaTopic, partitionCount, pause, TryAgain } from './field.ts'
import { expectNone, fetchOnce, type Position, positionOf, runKafkaSessions } from './kafka-link.ts'

export const groupId = 'g'
const heartbeatMs = 60
const sessionTimeoutMs = 2000
/** What tells a member that the group has moved on. */
const movedOn = ['REBALANCE_IN_PROGRESS', 'ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'FENCED_INSTANCE_ID']

interface Membership {
  readonly generationIdOrMemberEpoch: number
  readonly memberId: string
  readonly groupInstanceId: string
}

export class GroupMember implements Client {
  readonly name: string
  readonly #field: Field
  readonly #chance: Prng
  #memberId = ''
  #isDone = false

  constructor(field: Field, name: string) {
    this.#field = field
    this.name = name
    this.#chance = field.world.prng.fork(name)
  }

  /** It has committed once more since the run began to finish. */
  get isDone(): boolean {
    return this.#isDone
  }

  start(): void {
    void runKafkaSessions(this.#field, this.name, this.#chance, {
      topics: [kafkaTopic],
      session: (kafka) => this.#session(kafka),
    })
  }

  async #session(kafka: KafkaClientConnection): Promise<void> {
    const found = await kafka.send(findCoordinatorApi, { keyType: 0, coordinatorKeys: [groupId] })
    expectNone(found.coordinators[0]?.errorCode ?? -1, 'FindCoordinator')
    const joined = await this.#join(kafka)
    const shares = await this.#sync(kafka, joined)
    const membership = {
      generationIdOrMemberEpoch: joined.generationId,
      memberId: joined.memberId,
      groupInstanceId: this.name,
    }
    await this.#work(kafka, membership, await this.#positions(kafka, shares))
  }

  async #join(kafka: KafkaClientConnection): Promise<JoinGroupResponse> {
    const joined = await kafka.send(joinGroupApi, {
      groupId,
      sessionTimeoutMs,
      rebalanceTimeoutMs: 1000,
      // A new connection is a new incarnation: what the old one may still send must be fenced.
      memberId: '',
      groupInstanceId: this.name,
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.from(this.name) }],
    })
    expectNone(joined.errorCode, 'JoinGroup', movedOn)
    this.#memberId = joined.memberId
    return joined
  }

  /** The leader deals the partitions out in turn. */
  async #sync(kafka: KafkaClientConnection, joined: JoinGroupResponse): Promise<readonly number[]> {
    const { generationId, memberId, leader, members } = joined
    const isAssigning = leader === memberId && !joined.skipAssignment
    const assignments = members.map((member, index) => ({
      memberId: member.memberId,
      assignment: Uint8Array.from(
        [...new Array(partitionCount).keys()].filter((partition) => partition % members.length === index),
      ),
    }))
    const synced = await kafka.send(syncGroupApi, {
      groupId,
      generationId,
      memberId,
      groupInstanceId: this.name,
      protocolType: 'consumer',
      protocolName: 'range',
      assignments: isAssigning ? assignments : [],
    })
    expectNone(synced.errorCode, 'SyncGroup', movedOn)
    const shares = [...synced.assignment]
    for (const partition of shares) {
      this.#field.history.owns(generationId, `${kafkaTopic}-${partition}`, this.name)
    }
    return shares
  }

  async #positions(kafka: KafkaClientConnection, shares: readonly number[]): Promise<readonly Position[]> {
    const places = shares.map((partition) => `${kafkaTopic}-${partition}`)
    const least = places.map((place) => this.#field.history.committed(place).acknowledged)
    const committed = await committedOffsets(kafka, shares)
    return shares.map((partition, index) => {
      const offset = committed[index] as number
      this.#field.history.sawCommitted(places[index] as string, offset, least[index] as number, this.name)
      return positionOf(kafkaTopic, partition, offset)
    })
  }

  async #work(kafka: KafkaClientConnection, membership: Membership, positions: readonly Position[]): Promise<void> {
    const { generationIdOrMemberEpoch: generationId, memberId, groupInstanceId } = membership
    const options = { maxWaitMs: 30, isolationLevel: 0, bytesMax: 20_000 } as const
    let nextHeartbeatMs = this.#field.world.nowMs + heartbeatMs
    for (;;) {
      const isLast = this.#field.isFinishing
      if (positions.length > 0) await fetchOnce(this.#field, this.name, kafka, positions, options)
      else await pause(this.#field, 20)
      if (this.#chance.chance(0.5) || isLast) {
        await this.#commit(kafka, membership, positions)
        if (isLast) break
      }
      if (this.#field.world.nowMs < nextHeartbeatMs) continue
      nextHeartbeatMs = this.#field.world.nowMs + heartbeatMs
      const beat = await kafka.send(heartbeatApi, { groupId, generationId, memberId, groupInstanceId })
      expectNone(beat.errorCode, 'Heartbeat', movedOn)
    }
    this.#isDone = true
  }

  async #commit(kafka: KafkaClientConnection, membership: Membership, positions: readonly Position[]): Promise<void> {
    if (positions.length === 0) return
    const { history } = this.#field
    const offsets = positions.map(({ offset }) => offset)
    positions.forEach(({ place }, index) => {
      const committed = history.committed(place)
      committed.attempted = Math.max(committed.attempted, offsets[index] as number)
    })
    const partitions = positions.map(({ partition }, index) => {
      const committedOffset = offsets[index] as number
      return { partitionIndex: partition, committedOffset, committedMetadata: String(committedOffset) }
    })
    const topics = [{ name: kafkaTopic, partitions }]
    const answer = await kafka.send(offsetCommitApi, { groupId, ...membership, topics })
    for (const { errorCode } of answer.topics[0]?.partitions ?? []) expectNone(errorCode, 'OffsetCommit', movedOn)
    positions.forEach(({ place }, index) => {
      history.committed(place).acknowledged = offsets[index] as number
    })
    this.#field.world.note(`${this.name} ${this.#memberId} committed ${offsets.join(' ')}`)
  }
}

/** The committed offset of each partition; 0 where there is none. */
export async function committedOffsets(
  kafka: KafkaClientConnection,
  partitions: readonly number[],
): Promise<readonly number[]> {
  if (partitions.length === 0) return []
  const topics = [{ name: kafkaTopic, partitionIndexes: [...partitions] }]
  const answer = await kafka.send(offsetFetchApi, { groups: [{ groupId, topics }], requireStable: true })
  const group = answer.groups[0]
  expectNone(group?.errorCode ?? -1, 'OffsetFetch')
  return partitions.map((partition) => {
    const found = group?.topics[0]?.partitions.find(({ partitionIndex }) => partitionIndex === partition)
    if (found === undefined) throw new TryAgain(`no committed offset of ${kafkaTopic}-${partition} is answered`)
    expectNone(found.errorCode, 'OffsetFetch')
    if (found.committedOffset < 0) return 0
    if (found.metadata !== String(found.committedOffset)) throw new Error('the text of another commit')
    return found.committedOffset
  })
}
