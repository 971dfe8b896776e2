/** Drives a shard by hand and writes down what it says: the transcripts of the group tests. */
import type { Moment } from '../../../src/coordinator/group/classic-protocol.ts'
import { type GroupOptions, groupOptionDefaults } from '../../../src/coordinator/group/group-options.ts'
import type { GroupRecord } from '../../../src/coordinator/group/group-records.ts'
import type {
  CommitRequest,
  JoinReply,
  JoinRequest,
  JoinResult,
  SyncRequest,
} from '../../../src/coordinator/group/group-requests.ts'
import { GroupShard, type ShardEffect } from '../../../src/coordinator/group/group-shard.ts'
import type { KafkaErrorName } from '../../../src/protocol/kafka/error-codes.ts'

type Write = ShardEffect & { readonly kind: 'write' }

/** Bytes of a text. */
export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text)

/** A subscription in Kafka's form: version 0, topics, no user data. */
export function subscription(...topics: readonly string[]): Uint8Array {
  const parts: Buffer[] = [Buffer.from([0, 0]), int32(topics.length)]
  for (const topic of topics) parts.push(Buffer.from([topic.length >> 8, topic.length & 0xff]), Buffer.from(topic))
  return Uint8Array.from(Buffer.concat([...parts, int32(-1)]))
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

export class ShardHarness {
  readonly shard: GroupShard
  /** What was answered and written, one line each, oldest first. */
  readonly lines: string[] = []
  /** The log: records in the order of their append. */
  readonly log: GroupRecord[] = []
  /** Writes whose records are not safe yet. */
  readonly writes: Write[] = []
  /** Settle writes as soon as they are made. */
  isInstant = true
  nowMs = 1_000_000
  #uniqueTexts = 0

  constructor(options: Partial<GroupOptions> = {}) {
    this.shard = new GroupShard({ ...groupOptionDefaults, ...options })
  }

  get moment(): Moment {
    return { wallMs: this.nowMs, monotonicMs: this.nowMs }
  }

  /** The lines since the last question. */
  take(): readonly string[] {
    return this.lines.splice(0)
  }

  say(line: string): void {
    this.lines.push(line)
  }

  /** Runs one event and what follows from it. */
  run<T>(event: (shard: GroupShard) => T): T {
    const result = event(this.shard.at(this.moment))
    this.#effects()
    return result
  }

  /** Lets time pass; deadlines on the way come up at their moment. */
  pass(ms: number): void {
    const endMs = this.nowMs + ms
    for (let next = this.shard.nextDeadlineMs; next !== null && next <= endMs; next = this.shard.nextDeadlineMs) {
      this.nowMs = Math.max(this.nowMs, next)
      this.run((shard) => shard.tick())
    }
    this.nowMs = endMs
  }

  /** Lets time pass until the join phase is over, and no longer: sessions run. */
  passJoinPhase(groupId = 'g'): void {
    for (let steps = 0; this.state(groupId) === 'PreparingRebalance' && steps < 1_000; steps++) this.pass(1_000)
  }

  /** The oldest write that is under way becomes safe, or fails. */
  settle(error: KafkaErrorName | null = null): void {
    const write = this.writes.shift()
    if (write === undefined) throw new Error('nothing is being written')
    write.settled(this.moment, error)
    this.#effects()
  }

  join(
    who: string,
    fields: Partial<Omit<JoinRequest, 'protocols'>> & { readonly protocols?: readonly string[] } = {},
  ): JoinReply {
    const protocols = fields.protocols ?? ['range']
    const request: JoinRequest = {
      groupId: 'g',
      memberId: '',
      groupInstanceId: null,
      clientId: who,
      clientHost: '/10.0.0.7',
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 60_000,
      protocolType: 'consumer',
      requiresMemberId: false,
      supportsSkippingAssignment: true,
      uniqueText: `u${++this.#uniqueTexts}`,
      ...fields,
      protocols: protocols.map((name) => ({ name, metadata: subscription('t') })),
    }
    const reply = (result: JoinResult): void => {
      if (result.error !== null) return this.say(`join ${who}: ${result.error} id=${result.memberId}`)
      const members = result.members.map(({ memberId }) => memberId).join(',')
      const skip = result.skipAssignment ? ' skip' : ''
      this.say(
        `join ${who}: id=${result.memberId} generation=${result.generationId} ${result.protocolName} leader=${result.leader} members=[${members}]${skip}`,
      )
    }
    this.run((shard) => shard.join(request, reply))
    return reply
  }

  sync(
    memberId: string,
    generationId: number,
    assignments: Readonly<Record<string, string>> = {},
    fields: Partial<SyncRequest> = {},
  ): void {
    const request: SyncRequest = {
      groupId: 'g',
      memberId,
      groupInstanceId: null,
      generationId,
      protocolType: null,
      protocolName: null,
      assignments: Object.entries(assignments).map(([to, text]) => ({ memberId: to, assignment: bytesOf(text) })),
      ...fields,
    }
    this.run((shard) =>
      shard.sync(request, ({ error, assignment }) =>
        this.say(`sync ${memberId}: ${error ?? `assignment=${Buffer.from(assignment).toString()}`}`),
      ),
    )
  }

  heartbeat(memberId: string, generationId: number, groupInstanceId: string | null = null): void {
    const error = this.run((shard) => shard.heartbeat({ groupId: 'g', memberId, groupInstanceId, generationId }))
    this.say(`heartbeat ${memberId}: ${error ?? 'ok'}`)
  }

  leave(memberId: string, groupInstanceId: string | null = null): void {
    const { error, members } = this.run((shard) => shard.leave('g', [{ memberId, groupInstanceId }]))
    this.say(`leave ${memberId}: ${error ?? members[0]?.error ?? 'ok'}`)
  }

  commit(
    fields: Partial<CommitRequest> & { readonly offset?: number; readonly topic?: string; readonly partition?: number },
  ): void {
    const { offset = 1, topic = 't', partition = 0, ...rest } = fields
    const request: CommitRequest = {
      groupId: 'g',
      memberId: '',
      groupInstanceId: null,
      generationId: -1,
      retentionMs: null,
      knowsGroupIdNotFound: true,
      offsets: [{ topic, partition, offset, leaderEpoch: -1, metadata: 'm' }],
      ...rest,
    }
    this.run((shard) =>
      shard.commit(request, ({ error, errors }) =>
        this.say(`commit ${topic}-${partition}@${offset}: ${error ?? errors.map((own) => own ?? 'ok').join(',')}`),
      ),
    )
  }

  /** The committed offset, -1 when there is none. */
  offsetOf(topic = 't', partition = 0, groupId = 'g'): number {
    const fetched = this.shard.fetchOffsets({
      groupId,
      topics: [{ topic, partitions: [partition] }],
      requireStable: false,
    })
    return fetched[0]?.offset ?? -1
  }

  state(groupId = 'g'): string {
    return this.shard.describe(groupId)?.state ?? 'none'
  }

  /** Joins the members, lets the initial delay pass, and gives each its own name as assignment: a stable group. */
  stabilise(...clientIds: readonly string[]): readonly string[] {
    for (const clientId of clientIds) this.join(clientId)
    this.passJoinPhase()
    const members = this.shard.describe('g')?.members.map(({ memberId }) => memberId) ?? []
    const generation = Number(/generation=(\d+)/.exec(this.lines.at(-1) ?? '')?.[1])
    const leader = /leader=(\S+)/.exec(this.lines.at(-1) ?? '')?.[1] ?? ''
    for (const member of members.filter((id) => id !== leader)) this.sync(member, generation)
    this.sync(leader, generation, Object.fromEntries(members.map((id) => [id, id])))
    this.take()
    return members
  }

  #effects(): void {
    for (let effects = this.shard.takeEffects(); effects.length > 0; effects = this.shard.takeEffects())
      for (const effect of effects) {
        if (effect.kind === 'note') continue
        for (const record of effect.records) {
          this.log.push(record)
          this.say(`write ${describeRecord(record)}`)
        }
        if (this.isInstant) effect.settled(this.moment, null)
        else this.writes.push(effect)
      }
  }
}

function describeRecord(record: GroupRecord): string {
  if (record.kind === 'offset')
    return `offset ${record.groupId} ${record.topic}-${record.partition} ${record.stored?.offset ?? 'gone'}`
  const { stored } = record
  if (stored === null) return `group ${record.groupId} gone`
  const members = stored.members.map(({ memberId, assignment }) => `${memberId}:${Buffer.from(assignment).toString()}`)
  return `group ${record.groupId} generation=${stored.generationId} [${members.join(' ')}]`
}
