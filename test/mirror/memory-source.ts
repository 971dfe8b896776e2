/** A source in memory, for tests that look at the link and not at the log: partitions of batches, and durable anchors. */
import type { AnchorRecord } from '../../src/mirror/anchor.ts'
import type { MirrorSource, SourcePartition, SourceRead, SourceTopic } from '../../src/mirror/mirror-source.ts'
import { batchLastOffset } from '../../src/protocol/records/record-batch.ts'
import { batchOf, concatenated, plainBatch, recordsIn, type TestRecordView } from './batches.ts'

/** Ends at offset -1: what a partition without batches counts from. */
const emptyBatch = batchOf(-1, [{ timestampMs: 0, key: null, value: null }])

export class MemoryPartition implements SourcePartition {
  startOffset = 0
  endOffset = 0
  /** Bytes that were read from it so far. */
  readBytes = 0
  readonly #batches: Uint8Array[] = []
  readonly #listeners = new Set<() => void>()

  add(batch: Uint8Array): void {
    this.#batches.push(batch)
    this.endOffset = batchLastOffset(batch) + 1
    for (const listener of this.#listeners) listener()
  }

  /** Batches of `perBatch` plain records. */
  fill(records: number, perBatch: number, valueBytes = 20): void {
    for (let added = 0; added < records; added += perBatch) {
      this.add(plainBatch(this.endOffset, Math.min(perBatch, records - added), valueBytes))
    }
  }

  /** Loses everything from the batch that begins at `offset`. */
  cutTail(offset: number): void {
    while (batchLastOffset(this.#batches.at(-1) ?? emptyBatch) >= offset) this.#batches.pop()
    this.endOffset = batchLastOffset(this.#batches.at(-1) ?? emptyBatch) + 1
  }

  records(): TestRecordView[] {
    return this.#batches.flatMap((batch) => recordsIn(batch))
  }

  read(fromOffset: number, bytesMax: number): Promise<SourceRead> {
    if (fromOffset < this.startOffset) return Promise.resolve({ kind: 'outOfRange' })
    const first = this.#batches.findIndex((batch) => batchLastOffset(batch) >= fromOffset)
    const chosen: Uint8Array[] = []
    let bytes = 0
    for (const batch of first < 0 ? [] : this.#batches.slice(first)) {
      if (bytes > 0 && bytes + batch.length > bytesMax) break
      chosen.push(batch)
      bytes += batch.length
    }
    this.readBytes += bytes
    return Promise.resolve({ kind: 'batches', bytes: concatenated(chosen) })
  }

  onAdvance(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}

export class MemorySource implements MirrorSource {
  readonly anchors: AnchorRecord[] = []
  readonly #topics = new Map<string, { topic: SourceTopic; partitions: MemoryPartition[] }>()
  readonly #listeners = new Set<() => void>()

  create(name: string, partitions: number, topicId = `source-${name}`.padEnd(22, 'A')): MemoryPartition[] {
    const old = this.#topics.get(name)
    const made = Array.from({ length: partitions }, (_, index) => old?.partitions[index] ?? new MemoryPartition())
    this.#topics.set(name, { topic: { name, topicId, isInternal: false, partitions }, partitions: made })
    for (const listener of this.#listeners) listener()
    return made
  }

  delete(name: string): void {
    this.#topics.delete(name)
    for (const listener of this.#listeners) listener()
  }

  topics(): readonly SourceTopic[] {
    return [...this.#topics.values()].map(({ topic }) => topic)
  }

  partition(topic: string, partition: number): MemoryPartition | null {
    return this.#topics.get(topic)?.partitions[partition] ?? null
  }

  onTopicsChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  readAnchors(): Promise<readonly AnchorRecord[]> {
    return Promise.resolve(this.anchors)
  }

  writeAnchor(record: AnchorRecord): Promise<void> {
    this.anchors.push(record)
    return Promise.resolve()
  }
}
