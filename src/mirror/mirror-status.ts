/** What a mirror tells of itself. The admin surface shows it as it is. */
import type { TaskState } from './task-events.ts'

export interface MirrorPartitionStatus {
  readonly topic: string
  readonly partition: number
  readonly targetTopic: string
  /** First offset that the target has not confirmed. */
  readonly mirroredEndOffset: number
  /** First offset that may not be mirrored yet. */
  readonly durableEndOffset: number
  readonly lagRecords: number
  readonly state: TaskState
  /** Why it does not stream, in words; null when it does. */
  readonly reason: string | null
  readonly bytesPerSecond: number
}

export interface MirrorStatus {
  readonly name: string
  readonly bootstrapServers: readonly string[]
  readonly state: 'connecting' | 'running' | 'backingOff' | 'stopped' | 'failed'
  readonly lagRecords: number
  /** Records and bytes confirmed by the target since the start. */
  readonly mirroredRecords: number
  readonly mirroredBytes: number
  readonly bytesPerSecond: number
  /** The newest failure in words, null when the mirror runs well. */
  readonly lastError: string | null
  /** Wall time of the newest failure, null when there was none. */
  readonly lastErrorMs: number | null
  readonly partitions: readonly MirrorPartitionStatus[]
}
