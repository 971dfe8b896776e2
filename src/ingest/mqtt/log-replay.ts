import type { Partition } from '../../cluster/partition/partition.ts'
import type { CursorReader } from './cursor-reading.ts'
import type { MqttSession } from './session.ts'
import type { Subscription } from './session-types.ts'

/** How its client wants the records. */
export type ReplayForm = Pick<Subscription, 'noLocal' | 'retainAsPublished' | 'subscriptionId'> & {
  readonly qos: 0 | 1
}

export interface LogReplayOptions {
  readonly session: MqttSession
  /** As it is unsubscribed by. */
  readonly name: string
  readonly kafkaTopic: string
  /** Null = every partition of the topic, also one that comes later. */
  readonly index: number | null
  readonly form: ReplayForm
  /** It is behind somewhere since now. */
  readonly onBehind: (replay: LogReplay) => void
}

/**
 * One client's own reading of a Kafka topic, from a place of its choice and on with what comes: a cursor a partition that follows the high watermark, so
 * there is no switch to anything else at which a record could be lost or said twice. It lives as long as the connection.
 */
export class LogReplay implements CursorReader {
  readonly options: LogReplayOptions
  /** Partitions in which there is something to read, and from where. */
  readonly behind = new Map<Partition, number>()
  /** The others: read up to here, which was the high watermark. */
  private readonly atEnd = new Map<Partition, number>()
  private readonly unsubscribes = new Map<Partition, () => void>()
  private state: 'opening' | 'running' | 'ended' = 'opening'

  constructor(options: LogReplayOptions) {
    this.options = options
  }

  get isEnded(): boolean {
    return this.state === 'ended'
  }

  get partitionCount(): number {
    return this.unsubscribes.size
  }

  get partitions(): Iterable<Partition> {
    return this.unsubscribes.keys()
  }

  get wantsMore(): boolean {
    return this.state === 'running' && this.options.session.wantsMore
  }

  /** Reads a partition from an offset on, once it runs. */
  follow(partition: Partition, fromOffset: number): void {
    if (this.isEnded || this.unsubscribes.has(partition)) return
    this.atEnd.set(partition, fromOffset)
    this.unsubscribes.set(
      partition,
      partition.onAdvance(() => this.onAdvance(partition)),
    )
    this.onAdvance(partition)
  }

  /** The partition is gone. */
  unfollow(partition: Partition): void {
    this.unsubscribes.get(partition)?.()
    this.unsubscribes.delete(partition)
    this.atEnd.delete(partition)
    this.behind.delete(partition)
  }

  /** Its client has been told that it is granted. */
  begin(): void {
    if (this.state !== 'opening') return
    this.state = 'running'
    this.options.onBehind(this)
  }

  end(): void {
    this.state = 'ended'
    for (const partition of [...this.unsubscribes.keys()]) this.unfollow(partition)
  }

  onLive(partition: Partition, offset: number): void {
    if (this.isEnded || !this.unsubscribes.has(partition)) return
    this.atEnd.set(partition, offset)
    this.onAdvance(partition)
  }

  private onAdvance(partition: Partition): void {
    const offset = this.atEnd.get(partition)
    if (offset === undefined || offset >= partition.highWatermark) return
    this.atEnd.delete(partition)
    this.behind.set(partition, offset)
    if (this.state === 'running') this.options.onBehind(this)
  }
}
