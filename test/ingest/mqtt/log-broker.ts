/** The broker's verbs that the MQTT door uses, straight over the log engine: one replica, the high watermark is the durable end. */
import type { InternalTopicDefinition } from '../../../src/base/internal-topic-def.ts'
import type { Ports } from '../../../src/base/ports.ts'
import type { DoorBroker, DoorPartition, DoorTurn } from '../../../src/ingest/mqtt/door-broker.ts'
import type { LogReadResult } from '../../../src/log/append.ts'
import type { LogDirectory } from '../../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../../src/log/unified-log.ts'
import { RecordBatchBuilder } from '../../../src/protocol/records/record-batch-builder.ts'
import { defaultLogConfig } from '../../../src/log/log-config.ts'
import { topicIdOf } from '../../log/log-fixture.ts'

/** The batches that tests produce are of the year 1970. */
const config = { ...defaultLogConfig, retentionMs: -1, timestampAfterMaxMs: Number.POSITIVE_INFINITY }

export class LogPartition implements DoorPartition {
  readonly log: UnifiedLog
  readonly isLeader = true
  private readonly listeners = new Set<() => void>()
  private waiters: { readonly endOffset: number; readonly done: () => void }[] = []

  constructor(log: UnifiedLog) {
    this.log = log
    log.highWatermark = log.durableEndOffset
    log.onDurable = () => this.advance()
  }

  get topic(): string {
    return this.log.topic
  }

  get index(): number {
    return this.log.partition
  }

  get highWatermark(): number {
    return this.log.highWatermark
  }

  onAdvance(listener: () => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }

  whenHighWatermark(endOffset: number, done: () => void): void {
    if (this.highWatermark >= endOffset) done()
    else this.waiters.push({ endOffset, done })
  }

  private advance(): void {
    this.log.highWatermark = this.log.durableEndOffset
    const ready = this.waiters.filter(({ endOffset }) => endOffset <= this.highWatermark)
    this.waiters = this.waiters.filter(({ endOffset }) => endOffset > this.highWatermark)
    for (const { done } of ready) done()
    for (const listener of this.listeners) listener()
  }
}

class LogTurn implements DoorTurn<LogPartition> {
  readonly builders = new Map<LogPartition, RecordBatchBuilder>()
  readonly callbacks: ((error: string | null) => void)[] = []
  bytes = 0

  private builder(partition: LogPartition): RecordBatchBuilder {
    let builder = this.builders.get(partition)
    if (builder === undefined) {
      builder = new RecordBatchBuilder()
      this.builders.set(partition, builder)
    }
    return builder
  }

  append(
    partition: LogPartition,
    timestampMs: number,
    key: Uint8Array | null,
    value: Uint8Array | null,
    encodedHeaders: Uint8Array | null,
  ): string | null {
    this.builder(partition).append(timestampMs, key, value, encodedHeaders)
    this.bytes += value?.length ?? 0
    return null
  }

  appendSlices(
    partition: LogPartition,
    timestampMs: number,
    keySource: Uint8Array,
    keyStart: number,
    keyLength: number,
    valueSource: Uint8Array,
    valueStart: number,
    valueLength: number,
    encodedHeaders: Uint8Array,
  ): string | null {
    const builder = this.builder(partition)
    const slice = [valueSource, valueStart, valueLength] as const
    builder.appendSlices(timestampMs, keySource, keyStart, keyLength, ...slice, encodedHeaders)
    this.bytes += valueLength
    return null
  }

  onSettled(callback: (error: string | null) => void): void {
    this.callbacks.push(callback)
  }
}

/** Topics that may not be created, for tests of the last resort. */
export const forbiddenTopics = new Set(['forbidden'])

export class LogBroker implements DoorBroker<LogPartition> {
  pendingBytes = 0
  /** Partitions of a topic that is created on demand. */
  partitionsPerTopic = 2
  onPartitionsChanged: () => void = () => {}
  private readonly topics = new Map<string, LogPartition[]>()
  private readonly directory: LogDirectory
  private readonly ports: Ports
  private open: LogTurn | null = null
  private readonly pending = new Set<(error: string | null) => void>()

  constructor(directory: LogDirectory, ports: Ports) {
    this.directory = directory
    directory.onFailure(() => {
      for (const end of [...this.pending]) end('KAFKA_STORAGE_ERROR')
    })
    this.ports = ports
    for (const log of [...directory.logs.values()].sort((left, right) => left.partition - right.partition)) {
      const known = this.topics.get(log.topic) ?? []
      known.push(new LogPartition(log))
      this.topics.set(log.topic, known)
    }
  }

  readonly partitions = {
    get: (topic: string, index: number): LogPartition | undefined => this.topics.get(topic)?.[index],
    values: (): Iterable<LogPartition> => [...this.topics.values()].flat(),
  }

  topicPartitions(topic: string): number | undefined {
    return this.topics.get(topic)?.length
  }

  async ensureTopic(name: string): Promise<string | null> {
    if (forbiddenTopics.has(name)) return 'POLICY_VIOLATION'
    await this.create(name, this.partitionsPerTopic)
    return null
  }

  async ensureInternalTopic(definition: InternalTopicDefinition): Promise<void> {
    await this.create(definition.name, definition.partitions)
  }

  private async create(topic: string, count: number): Promise<void> {
    if (this.topics.has(topic)) return
    const partitions: LogPartition[] = []
    for (let partition = 0; partition < count; partition += 1) {
      const creation = { topic, partition, topicId: topicIdOf(topic), config }
      partitions.push(new LogPartition(await this.directory.createLog(creation)))
    }
    this.topics.set(topic, partitions)
    this.onPartitionsChanged()
  }

  turn(): LogTurn {
    if (this.open !== null) return this.open
    const turn = new LogTurn()
    this.open = turn
    this.ports.clock.defer(() => {
      this.open = null
      this.seal(turn)
    })
    return turn
  }

  private seal(turn: LogTurn): void {
    const partitions = [...turn.builders]
    const outcomes = this.directory.appendSet(
      partitions.map(([partition, builder]) => ({
        log: partition.log,
        batch: builder.build(),
        leaderEpoch: 0,
        origin: 'client' as const,
      })),
    )
    const settle = (error: string | null): void => {
      for (const callback of turn.callbacks) callback(error)
    }
    const refused = outcomes.find((outcome) => outcome.kind === 'refused')
    if (refused !== undefined) return settle(refused.error)
    this.pendingBytes += turn.bytes
    let missing = partitions.length
    const end = (error: string | null): void => {
      if (!this.pending.delete(end)) return
      this.pendingBytes -= turn.bytes
      settle(error)
    }
    this.pending.add(end)
    const done = (): void => {
      missing -= 1
      if (missing === 0) end(null)
    }
    partitions.forEach(([partition], index) => {
      const outcome = outcomes[index]
      if (outcome?.kind !== 'appended') throw new Error('not appended')
      partition.whenHighWatermark(outcome.lastOffset + 1, done)
    })
    if (partitions.length === 0) end(null)
  }

  readTail(partition: LogPartition, fromOffset: number, bytesMax: number): LogReadResult | null {
    const endOffset = partition.highWatermark
    return partition.log.readHot({ fromOffset, endOffset, bytesMax, minOneBatch: true })
  }

  readTailCold(partition: LogPartition, fromOffset: number, bytesMax: number): Promise<LogReadResult> {
    const endOffset = partition.highWatermark
    return partition.log.read({ fromOffset, endOffset, bytesMax, minOneBatch: true })
  }

  /** What a Kafka client would do: one batch to one partition. */
  produce(topic: string, index: number, batch: Uint8Array): void {
    const partition = this.partitions.get(topic, index)
    if (partition === undefined) throw new Error(`no ${topic}-${index}`)
    this.directory.appendSet([{ log: partition.log, batch, leaderEpoch: 0, origin: 'client' }])
  }
}
