import type { Observer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { Reader } from './catch-up.ts'
import type { EventBudget } from './event-budget.ts'
import { type GapCause, gapReasons } from './log-gap.ts'
import { mqttEvents } from './mqtt-events.ts'
import { mqttMetrics } from './mqtt-metrics.ts'
import type { MqttSession } from './session.ts'
import { SharedGroup } from './shared-group.ts'

/** Why records that a reader waited for cannot be given to it. */
export type OvertakenBy = GapCause | 'compaction'

const sentences: Readonly<Record<OvertakenBy, string>> = {
  ...gapReasons,
  compaction: 'compaction has taken older records of their keys',
}

/** Counts and tells whose place in the log was overtaken, once for each reader and partition until it is at the live end again. */
export class OvertakenReaders {
  private readonly observer: Observer
  private readonly budget: EventBudget
  /** Bound: the readers that are behind, and their partitions. */
  private readonly told = new Map<Reader, Set<Partition>>()

  constructor(observer: Observer, budget: EventBudget) {
    this.observer = observer
    this.budget = budget
  }

  /** The reader misses records of [fromOffset, toOffset). */
  tell(
    reader: Reader,
    partition: Partition,
    gap: { readonly fromOffset: number; readonly toOffset: number; readonly reason: OvertakenBy },
  ): void {
    const told = this.told.get(reader) ?? new Set<Partition>()
    if (told.has(partition)) return
    told.add(partition)
    this.told.set(reader, told)
    const { reason, fromOffset, toOffset } = gap
    this.observer.add(mqttMetrics.overtaken, 1, { reason })
    if (!this.budget.take()) return
    this.observer.event(mqttEvents.subscriberOvertaken, {
      subscriber: reader instanceof SharedGroup ? reader.key : (reader as MqttSession).clientId,
      topic: partition.topic,
      partition: partition.index,
      ...{ fromOffset, toOffset },
      reason: sentences[reason],
    })
  }

  /** The reader is at the live end of the partition, or the partition is gone. */
  forget(reader: Reader, partition: Partition): void {
    const told = this.told.get(reader)
    if (told?.delete(partition) === true && told.size === 0) this.told.delete(reader)
  }

  forgetReader(reader: Reader): void {
    this.told.delete(reader)
  }
}
