/**
 * Summaries of stretches of partitions (`topic-summary.ts`), made by whoever reads the log anyway and kept under a budget of bytes: those who catch up
 * pass over a stretch that holds nothing for them without reading it. A hint: what is not known is read. Records keep their offsets and topics, and
 * compaction only takes records away, so a summary says too much at most.
 */
import type { Partition } from '../../cluster/partition/partition.ts'
import { type SummarizedTopic, SummaryEntries, type TopicSummary } from './topic-summary.ts'

/** Whose reading it comes from: the common reader's at the live end, or the backlog's. */
export type SummarySource = 'live' | 'backlog'

/** What has been read of a stretch that is not closed. */
export class OpenStretch {
  readonly entries = new SummaryEntries()
  readonly fromOffset: number
  /** Everything below has been noted. */
  notedEnd: number
  /** Bytes of the log. */
  sizeInBytes = 0
  /** What it counts as in the budget. */
  countedBytes = 0

  constructor(fromOffset: number) {
    this.fromOffset = fromOffset
    this.notedEnd = fromOffset
  }

  /** A record with this topic, in the order of offsets; one that was noted before does no harm. */
  note(topic: SummarizedTopic, offset: number): void {
    this.entries.add(topic)
    if (offset >= this.notedEnd) this.notedEnd = offset + 1
  }
}

export interface Stretch {
  readonly fromOffset: number
  readonly endOffset: number
  readonly topics: TopicSummary
}

interface OfPartition {
  /** By offset. */
  stretches: Stretch[]
  readonly open: Record<SummarySource, OpenStretch | null>
}

export class LogSummaries {
  private readonly bytesMax: number
  private readonly stretchBytes: number
  private readonly partitions = new Map<Partition, OfPartition>()
  /** The one that was of use longest ago first. Bound: `bytesMax`. */
  private readonly byUse = new Map<Stretch, Partition>()
  private usedBytes = 0

  /** A stretch has about `stretchBytes` of the log. */
  constructor(bytesMax: number, stretchBytes: number) {
    this.bytesMax = bytesMax
    this.stretchBytes = stretchBytes
  }

  /** Where what is read from `fromOffset` on is noted; null = there is no room, or it is known already. */
  open(partition: Partition, source: SummarySource, fromOffset: number): OpenStretch | null {
    const of = this.of(partition)
    const known = of.open[source]
    if (known !== null && fromOffset >= known.fromOffset && fromOffset <= known.notedEnd) return known
    this.drop(of, source)
    if (this.bytesMax === 0 || at(of.stretches, fromOffset) !== null) return null
    const opened = new OpenStretch(fromOffset)
    of.open[source] = opened
    if (this.count(opened)) return opened
    this.drop(of, source)
    return null
  }

  /** False: it does not fit the budget, whatever else is given up. */
  private count(open: OpenStretch): boolean {
    this.usedBytes += open.entries.sizeInBytes - open.countedBytes
    open.countedBytes = open.entries.sizeInBytes
    return this.makeRoom()
  }

  private drop(of: OfPartition, source: SummarySource): void {
    this.usedBytes -= of.open[source]?.countedBytes ?? 0
    of.open[source] = null
  }

  /** All records below `endOffset` have been noted, `bytes` of the log. Closes the stretch when it is long enough. */
  extend(partition: Partition, source: SummarySource, endOffset: number, bytes: number): void {
    const of = this.of(partition)
    const open = of.open[source]
    if (open === null) return
    open.notedEnd = Math.max(open.notedEnd, endOffset)
    open.sizeInBytes += bytes
    if (open.entries.isOverfull || !this.count(open)) return this.drop(of, source)
    const meetsNext = at(of.stretches, endOffset) !== null
    if (open.sizeInBytes < this.stretchBytes && !open.entries.isFull && !meetsNext) return
    this.drop(of, source)
    this.keep(partition, of, { fromOffset: open.fromOffset, endOffset, topics: open.entries.close() })
  }

  private keep(partition: Partition, of: OfPartition, stretch: Stretch): void {
    const logStart = partition.log.logStartOffset
    for (const old of of.stretches) if (old.endOffset <= logStart) this.forget(old)
    of.stretches = [...of.stretches.filter((old) => old.endOffset > logStart), stretch].sort(
      (a, b) => a.fromOffset - b.fromOffset,
    )
    this.byUse.set(stretch, partition)
    this.usedBytes += stretch.topics.sizeInBytes
    this.makeRoom()
  }

  /** The closed stretch that the offset lies in. */
  at(partition: Partition, offset: number): Stretch | null {
    const of = this.partitions.get(partition)
    const found = of === undefined ? null : at(of.stretches, offset)
    if (found !== null) {
      this.byUse.delete(found)
      this.byUse.set(found, partition)
    }
    return found
  }

  /** Partitions are gone. */
  onPartitionsChanged(isThere: (partition: Partition) => boolean): void {
    for (const [partition, of] of this.partitions) {
      if (isThere(partition)) continue
      for (const stretch of of.stretches) this.forget(stretch)
      for (const source of ['live', 'backlog'] as const) this.drop(of, source)
      this.partitions.delete(partition)
    }
  }

  /** Bytes of all that is kept. */
  get sizeInBytes(): number {
    return this.usedBytes
  }

  private of(partition: Partition): OfPartition {
    let of = this.partitions.get(partition)
    if (of === undefined) {
      of = { stretches: [], open: { live: null, backlog: null } }
      this.partitions.set(partition, of)
    }
    return of
  }

  /** Makes what is kept fit its budget; false when only stretches that are not closed are left. */
  private makeRoom(): boolean {
    for (const [stretch, partition] of this.byUse) {
      if (this.usedBytes <= this.bytesMax) return true
      this.forget(stretch)
      const of = this.partitions.get(partition)
      if (of !== undefined) of.stretches = of.stretches.filter((each) => each !== stretch)
    }
    return this.usedBytes <= this.bytesMax
  }

  private forget(stretch: Stretch): void {
    if (this.byUse.delete(stretch)) this.usedBytes -= stretch.topics.sizeInBytes
  }
}

/** The stretch that begins last at or below the offset, if it reaches beyond it. */
function at(stretches: readonly Stretch[], offset: number): Stretch | null {
  let low = 0
  let high = stretches.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    if ((stretches[middle] as Stretch).fromOffset <= offset) low = middle + 1
    else high = middle - 1
  }
  const found = stretches[high]
  return found !== undefined && found.endOffset > offset ? found : null
}
