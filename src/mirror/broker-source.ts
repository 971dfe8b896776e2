/** The mirror's own side over the broker: its partitions below their durable end, and anchors in `__headwater_mirror`. */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import type { Clock, Observer } from '../base/ports.ts'
import type { MetadataImage } from '../cluster/metadata/metadata-image.ts'
import type { Partition } from '../cluster/partition/partition.ts'
import type { PartitionTable } from '../cluster/partition/partition-table.ts'
import type { LogReadResult } from '../log/append.ts'
import type { TurnAppend } from '../broker/turn-append.ts'
import { ApplianceError } from '../base/errors.ts'
import { batchIsControl, batchLastOffset, forEachBatch } from '../protocol/records/record-batch.ts'
import { forEachRecord } from '../protocol/records/record.ts'
import { type AnchorRecord, decodeAnchor, encodeAnchor, mirrorTopic } from './anchor.ts'
import { mirrorErrors } from './mirror-errors.ts'
import { mirrorEvents } from './mirror-events.ts'
import type { MirrorSource, SourcePartition, SourceRead, SourceTopic } from './mirror-source.ts'

/** The verbs of the broker that a mirror uses. */
export interface MirrorBroker {
  readonly partitions: Pick<PartitionTable, 'get'>
  readonly image: Pick<MetadataImage, 'topics'>
  turn(): TurnAppend
  ensureInternalTopic(topic: InternalTopicDefinition): Promise<void>
  /** Below the durable end and every open transaction. */
  readDurable(partition: Partition, fromOffset: number, bytesMax: number): Promise<LogReadResult>
  onTopicsChange(listener: () => void): () => void
}

/** Anchors are read in pieces of this size. */
const replayBytes = 1024 * 1024

export class BrokerSource implements MirrorSource {
  readonly #broker: MirrorBroker
  readonly #clock: Clock
  readonly #observer: Observer

  constructor(broker: MirrorBroker, clock: Clock, observer: Observer) {
    this.#broker = broker
    this.#clock = clock
    this.#observer = observer
  }

  topics(): readonly SourceTopic[] {
    return Array.from(this.#broker.image.topics(), ({ name, topicId, partitions }) => ({
      name,
      topicId,
      isInternal: name.startsWith('__'),
      partitions: partitions.length,
    }))
  }

  partition(topic: string, partition: number): SourcePartition | null {
    const found = this.#broker.partitions.get(topic, partition)
    return found === undefined ? null : new BrokerPartition(this.#broker, found)
  }

  onTopicsChange(listener: () => void): () => void {
    return this.#broker.onTopicsChange(listener)
  }

  async readAnchors(): Promise<readonly AnchorRecord[]> {
    const partition = this.#broker.partitions.get(mirrorTopic.name, 0)
    if (partition === undefined) return []
    const records: AnchorRecord[] = []
    const { log } = partition
    for (let at = log.logStartOffset; at < log.durableEndOffset; ) {
      const read = await this.#broker.readDurable(partition, at, replayBytes)
      if (read.kind === 'damaged') {
        // A partition whose newest anchor lies there asks the target with an older one, or begins anew: told, and never silent.
        this.#observer.event(mirrorEvents.anchorsDamaged, { fromOffset: at, endOffset: read.nextOffset })
        at = read.nextOffset
        continue
      }
      const bytes = read.kind === 'batches' ? read.bytes : new Uint8Array(0)
      const before = at
      forEachBatch(bytes, (batches, position) => {
        at = batchLastOffset(batches, position) + 1
        if (!batchIsControl(batches, position)) readBatch(batches, position, records)
      })
      if (at === before)
        throw new ApplianceError(mirrorErrors.anchorUnreadable, { offset: at, why: 'nothing can be read there' })
    }
    return records
  }

  async writeAnchor(record: AnchorRecord): Promise<void> {
    let partition = this.#broker.partitions.get(mirrorTopic.name, 0)
    if (partition === undefined) {
      await this.#broker.ensureInternalTopic(mirrorTopic)
      partition = this.#broker.partitions.get(mirrorTopic.name, 0)
    }
    if (partition === undefined)
      throw new ApplianceError(mirrorErrors.anchorUnwritable, { error: 'UNKNOWN_TOPIC_OR_PARTITION' })
    const { key, value } = encodeAnchor(record)
    const turn = this.#broker.turn()
    const refusal = turn.append(partition, this.#clock.wallMs(), key, value, null)
    if (refusal !== null) throw new ApplianceError(mirrorErrors.anchorUnwritable, { error: refusal })
    await new Promise<void>((resolve, reject) => {
      turn.onSettled((error) => {
        if (error === null) resolve()
        else reject(new ApplianceError(mirrorErrors.anchorUnwritable, { error }))
      })
    })
  }
}

class BrokerPartition implements SourcePartition {
  readonly #broker: MirrorBroker
  readonly #partition: Partition

  constructor(broker: MirrorBroker, partition: Partition) {
    this.#broker = broker
    this.#partition = partition
  }

  get startOffset(): number {
    return this.#partition.log.logStartOffset
  }

  get endOffset(): number {
    const { log } = this.#partition
    return Math.min(log.durableEndOffset, log.lastStableOffset)
  }

  read(fromOffset: number, bytesMax: number): Promise<SourceRead> {
    return this.#broker.readDurable(this.#partition, fromOffset, bytesMax)
  }

  onAdvance(listener: () => void): () => void {
    return this.#partition.onAdvance(listener)
  }
}

function readBatch(bytes: Uint8Array, at: number, records: AnchorRecord[]): void {
  forEachRecord(bytes, at, ({ key, value, offset }) => {
    // A tombstone: nothing of ours writes one, but an operator may.
    if (value !== null) records.push(decodeAnchor(key, value, offset))
  })
}
