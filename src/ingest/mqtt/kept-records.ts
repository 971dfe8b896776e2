import { nextTurn } from '../../base/next-turn.ts'
import type { Clock } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { MqttSession } from './session.ts'
import type { MessageOrigin } from './outgoing-message.ts'
import type { SharedGroup } from './shared-group.ts'

export interface KeptRecordsOptions {
  readonly clock: Clock
  /** Names of Kafka topics; one that ends in `*` is what names begin with. */
  readonly topics: readonly string[]
  readonly sessions: () => Iterable<MqttSession>
  readonly groups: () => Iterable<SharedGroup>
  /** Offset up to which those who are not behind have had everything; undefined = nobody subscribes. */
  readonly livePosition: (partition: Partition) => number | undefined
}

/** Sessions looked at in one turn of the loop. */
const sessionsPerTurn = 500

/** Has retention leave what kept sessions have not had yet, in the topics that are named for it. */
export class KeptRecords {
  private readonly options: KeptRecordsOptions
  private isStopped = false

  constructor(options: KeptRecordsOptions) {
    this.options = options
  }

  /** Partitions that are there now. */
  watch(partitions: Iterable<Partition>): void {
    if (this.options.topics.length === 0) return
    for (const partition of partitions) {
      if (this.names(partition.topic)) partition.log.keptFrom = () => this.lowestOf(partition)
    }
  }

  /** Nobody knows any more what sessions have had: everything stays until the next start. */
  stop(): void {
    this.isStopped = true
  }

  private names(topic: string): boolean {
    return this.options.topics.some((name) =>
      name.endsWith('*') ? topic.startsWith(name.slice(0, -1)) : topic === name,
    )
  }

  /**
   * The lowest offset that a kept session has not had. While it is looked for places only move up, and what falls behind anew does so at or above the live
   * position of the beginning.
   */
  private async lowestOf(partition: Partition): Promise<number> {
    const { clock, sessions, groups, livePosition } = this.options
    let lowest = livePosition(partition) ?? Number.POSITIVE_INFINITY
    const take = (place: number | undefined, pending: Iterable<MessageOrigin>): void => {
      lowest = Math.min(lowest, place ?? lowest)
      for (const origin of pending) if (origin.partition === partition) lowest = Math.min(lowest, origin.offset)
    }
    let looked = 0
    for (const session of sessions()) {
      if (session.expiryMs > 0) take(session.behind.get(partition), session.pendingOrigins(null))
      looked += 1
      if (looked % sessionsPerTurn === 0) await nextTurn(clock)
    }
    for (const group of groups()) take(group.behind.get(partition), group.pendingOrigins())
    return this.isStopped ? 0 : lowest
  }
}
