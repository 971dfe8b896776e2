/** Batches that hold commands which have waited: read and unpacked once, however many of their commands are asked for one after the other. */
import type { Timer } from '../../base/ports.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import type { RecordView } from '../../protocol/records/record.ts'
import { type CommandBatch, type CommandReadingOptions, readBatch } from './command-reading.ts'

/** All of them together, beside the last one: some hundred thousand short commands. */
const heldBytesMax = 4_194_304
/** They are given up when nobody has asked for so long. */
const heldMs = 10_000

export class CommandBatches {
  private readonly options: CommandReadingOptions
  /** One of each partition, the one that was asked for last at the end. */
  private readonly held = new Map<Partition, CommandBatch>()
  /** Others wait for the same read. */
  private readonly reading = new Map<Partition, Promise<CommandBatch | null>>()
  private timer: Timer | null = null

  constructor(options: CommandReadingOptions) {
    this.options = options
  }

  /** The record at an offset; null when it is not there any more, or cannot be read. */
  async record(partition: Partition, offset: number): Promise<RecordView | null> {
    for (let other = this.reading.get(partition); other !== undefined; other = this.reading.get(partition)) await other
    const held = this.held.get(partition)
    const isHeld = held !== undefined && held.baseOffset <= offset && offset < held.endOffset
    const batch = isHeld ? held : await this.read(partition, offset)
    if (batch === null || partition.log.isDeleted || offset < partition.log.logStartOffset) return null
    this.hold(partition, batch)
    return batch.records.get(offset) ?? null
  }

  private async read(partition: Partition, offset: number): Promise<CommandBatch | null> {
    this.held.delete(partition)
    const reading = readBatch(partition, offset, this.options)
    this.reading.set(partition, reading)
    try {
      return await reading
    } finally {
      this.reading.delete(partition)
    }
  }

  private hold(partition: Partition, batch: CommandBatch): void {
    this.held.delete(partition)
    this.held.set(partition, batch)
    let bytes = 0
    for (const { sizeInBytes } of this.held.values()) bytes += sizeInBytes
    for (const [each, { sizeInBytes }] of this.held) {
      if (bytes <= heldBytesMax || each === partition) break
      this.held.delete(each)
      bytes -= sizeInBytes
    }
    const { clock, isStopped } = this.options
    if (this.timer !== null) clock.cancel(this.timer)
    this.timer = isStopped() ? null : clock.schedule(heldMs, () => this.clear())
  }

  private clear(): void {
    this.timer = null
    this.held.clear()
  }

  stop(): void {
    if (this.timer !== null) this.options.clock.cancel(this.timer)
    this.clear()
  }
}
