import type { Broker } from '../../broker/broker.ts'
import type { TurnAppend } from '../../broker/turn-append.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import type { AckGroup, Committer } from './ack-queue.ts'
import type { MqttSession } from './session.ts'
import type { ReceivedPublish } from './session-types.ts'

/** A step of the QoS 2 protocol that takes effect when it is durable. */
interface PacketIdStep {
  readonly session: MqttSession
  readonly packetId: number
  readonly entry: ReceivedPublish
  readonly kind: 'received' | 'released'
}

/** Something on its way to the log; the callback may be called at once. */
export interface Saving {
  whenSettled(callback: (isDurable: boolean) => void): void
}

/** What the log did not even take. */
export const refusedSaving: Saving = { whenSettled: (callback) => callback(false) }

/** The two as one: they may settle in any order. */
export function both(first: Saving, second: Saving): Saving {
  if (first === second) return first
  const whenSettled = (callback: (isDurable: boolean) => void): void => {
    let left = 2
    let areDurable = true
    const settle = (isDurable: boolean): void => {
      areDurable &&= isDurable
      left -= 1
      if (left === 0) callback(areDurable)
    }
    first.whenSettled(settle)
    second.whenSettled(settle)
  }
  return { whenSettled }
}

/** Everything the door appended in one turn of the loop: it settles as a whole. */
export class CommitBatch implements Saving {
  readonly turn: TurnAppend
  messages = 0
  bytes = 0
  private readonly committers: Committer[] = []
  private readonly groups: AckGroup[] = []
  private readonly steps: PacketIdStep[] = []
  private readonly callbacks: ((isDurable: boolean) => void)[] = []

  constructor(turn: TurnAppend) {
    this.turn = turn
  }

  /** The group settles with this batch. */
  join(committer: Committer, group: AckGroup): void {
    this.committers.push(committer)
    this.groups.push(group)
  }

  /** The QoS 2 step takes effect with this batch. */
  addStep(step: PacketIdStep): void {
    this.steps.push(step)
  }

  /** Calls back when it is decided, before any acknowledgement leaves. */
  whenSettled(callback: (isDurable: boolean) => void): void {
    this.callbacks.push(callback)
  }

  settle(reason: number): void {
    const isDurable = reason === reasonCodes.success
    for (const step of this.steps) settleStep(step, isDurable)
    for (const callback of this.callbacks) callback(isDurable)
    for (let index = 0; index < this.groups.length; index += 1) {
      const group = this.groups[index] as AckGroup
      group.isSettled = true
      group.reason = reason
      ;(this.committers[index] as Committer).onCommitSettled(group)
    }
  }
}

/** [MQTT-4.3.3-9]: after a refused PUBREC the id is free; a release that failed is repeated by the client. */
function settleStep(step: PacketIdStep, isDurable: boolean): void {
  const { session, packetId, entry } = step
  // The id may have been used again meanwhile.
  if (session.received.get(packetId) !== entry) return
  entry.joinCommit = null
  if (step.kind === 'received') {
    if (isDurable) {
      if (entry.phase === 'appending') entry.phase = 'received'
    } else session.received.delete(packetId)
  } else if (isDurable) session.received.delete(packetId)
  else entry.phase = 'received'
}

export interface CommitBatchesOptions {
  readonly broker: Broker
  /** After a batch settled: its figures, and the name of the error when it failed. */
  readonly onSettled: (batch: CommitBatch, error: string | null) => void
}

/** The batch of the current turn: one callback a turn, however many clients publish. */
export class CommitBatches {
  private readonly options: CommitBatchesOptions
  private batch: CommitBatch | null = null
  private unsettled = 0

  constructor(options: CommitBatchesOptions) {
    this.options = options
  }

  /** Batches whose commit is not decided yet. */
  get unsettledCount(): number {
    return this.unsettled
  }

  /** The batch that takes what is appended now. */
  current(): CommitBatch {
    const turn = this.options.broker.turn()
    if (this.batch !== null && this.batch.turn === turn) return this.batch
    const batch = new CommitBatch(turn)
    this.batch = batch
    this.unsettled += 1
    turn.onSettled((error) => {
      if (this.batch === batch) this.batch = null
      this.unsettled -= 1
      batch.settle(reasonOf(error))
      this.options.onSettled(batch, error)
    })
    return batch
  }
}

/** The 5.0 reason code of PUBACK and PUBREC that says what Kafka's error name says. */
export function reasonOf(error: string | null): number {
  if (error === null) return reasonCodes.success
  return reasonsByError.get(error) ?? reasonCodes.implementationSpecificError
}

const reasonsByError: ReadonlyMap<string, number> = new Map([
  ['KAFKA_STORAGE_ERROR', reasonCodes.quotaExceeded],
  ['THROTTLING_QUOTA_EXCEEDED', reasonCodes.quotaExceeded],
  ['POLICY_VIOLATION', reasonCodes.quotaExceeded],
  ['MESSAGE_TOO_LARGE', reasonCodes.quotaExceeded],
  ['RECORD_LIST_TOO_LARGE', reasonCodes.quotaExceeded],
  ['TOPIC_AUTHORIZATION_FAILED', reasonCodes.notAuthorized],
  ['CLUSTER_AUTHORIZATION_FAILED', reasonCodes.notAuthorized],
  ['UNKNOWN_TOPIC_OR_PARTITION', reasonCodes.topicNameInvalid],
  ['UNKNOWN_TOPIC_ID', reasonCodes.topicNameInvalid],
  ['INVALID_TOPIC_EXCEPTION', reasonCodes.topicNameInvalid],
  // A record without a key for a compacted topic: the MQTT topic gives none.
  ['INVALID_RECORD', reasonCodes.topicNameInvalid],
])
