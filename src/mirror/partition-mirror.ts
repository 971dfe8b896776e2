/** One partition under way: the task, its source, its place in the link. State only; `mirror-link.ts` and `produce-pipeline.ts` act on it. */
import type { Timer } from '../base/ports.ts'
import type { AnchorKey } from './anchor.ts'
import type { SourcePartition } from './mirror-source.ts'
import type { MirrorTask } from './mirror-task.ts'
import type { ProducePipeline } from './produce-pipeline.ts'
import { RateMeter } from './rate-meter.ts'
import type { TopicPartitionName } from './target-connection.ts'

export class PartitionMirror {
  readonly key: AnchorKey
  readonly sourceTopic: string
  readonly partition: number
  readonly targetTopic: string
  readonly task: MirrorTask
  readonly source: SourcePartition
  readonly rate = new RateMeter()
  /** Where its batches go; null while there is no route. */
  pipeline: ProducePipeline | null = null
  targetTopicId = ''
  /** Waits in its pipeline's line. */
  isQueued = false
  /** Batches of it under way, and whether the newest of them was small (see ProducePipeline). */
  unitsInFlight = 0
  isTrickling = false
  timer: Timer | null = null
  /** Ends the subscription to the source. */
  unsubscribe: () => void = () => {}

  constructor(parts: {
    readonly key: AnchorKey
    readonly sourceTopic: string
    readonly targetTopic: string
    readonly task: MirrorTask
    readonly source: SourcePartition
  }) {
    this.key = parts.key
    this.sourceTopic = parts.sourceTopic
    this.partition = parts.key.partition
    this.targetTopic = parts.targetTopic
    this.task = parts.task
    this.source = parts.source
  }

  /** Its name at the target. */
  get targetName(): TopicPartitionName {
    return { topic: this.targetTopic, topicId: this.targetTopicId, partition: this.partition }
  }
}
