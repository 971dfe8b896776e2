/**
 * Looks through all stored bytes now and then, slowly, so that damage is found before a reader meets it (safety.md I13). It reads no
 * more bytes a second than it may, and writes nothing but what sealed segments are of which that was not known. What lies in the kernel's page cache is read from there: a medium that has
 * gone bad under a page that is still cached is found by a later pass.
 */
import { asError } from '../base/errors.ts'
import { DiskError, type Entropy, type Ports, type Timer } from '../base/ports.ts'
import { batchLastOffset } from '../protocol/records/record-batch.ts'
import { CompactionStopped, Pacer } from './compaction/pacer.ts'
import { findDamage } from './damage-finder.ts'
import type { DigestFile } from './digest-file.ts'
import { logEvents } from './log-events.ts'
import { logMetrics } from './log-metrics.ts'
import type { ReaderParts } from './log-reader.ts'
import type { Segment } from './segment.ts'
import { digestOf, type HeaderChain, type SegmentDigest } from './segment-digest.ts'
import { scanSegment } from './segment-scan.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface ScrubOptions {
  /** 0 = no scrub. */
  readonly bytesPerSecond: number
  /** From the end of one pass to the begin of the next. */
  readonly everyMs: number
}

export const noScrub: ScrubOptions = { bytesPerSecond: 0, everyMs: 0 }

/** From a start to its first pass, unless passes are closer together: the start itself has the disk first. */
const firstAfterMs = 600_000

export interface ScrubberParts {
  readonly ports: Pick<Ports, 'clock' | 'entropy' | 'disk' | 'observer'>
  readonly options: ScrubOptions
  logs(): Iterable<UnifiedLog>
  readonly reader: Pick<ReaderParts, 'examine'>
  readonly digests: DigestFile
  isStopped(): boolean
}

export class Scrubber {
  readonly #parts: ScrubberParts
  readonly #pacer: Pacer
  #timer: Timer | null = null
  #pass: Promise<void> = Promise.resolve()
  #isStopping = false
  #bytes = 0

  constructor(parts: ScrubberParts) {
    this.#parts = parts
    this.#pacer = new Pacer(parts.ports.clock, () => Math.max(1, parts.options.bytesPerSecond))
  }

  start(): void {
    const { bytesPerSecond, everyMs } = this.#parts.options
    if (bytesPerSecond > 0) this.#passLater(Math.min(firstAfterMs, everyMs))
  }

  /** Resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#timer !== null) this.#parts.ports.clock.cancel(this.#timer)
    this.#pacer.stop()
    await this.#pass
  }

  /** One pass over everything that is stored now, behind those asked for before. */
  scrub(): Promise<void> {
    this.#pass = this.#pass.then(() => this.#run()).catch((error: unknown) => this.#onThrown(asError(error)))
    return this.#pass
  }

  get #isOver(): boolean {
    return this.#isStopping || this.#parts.isStopped()
  }

  #passLater(delayMs: number): void {
    if (this.#isOver) return
    this.#timer = this.#parts.ports.clock.schedule(delayMs, () => {
      this.#timer = null
      void this.scrub().then(() => this.#passLater(this.#parts.options.everyMs))
    })
  }

  async #run(): Promise<void> {
    const { clock, entropy, observer } = this.#parts.ports
    const startMs = clock.monotonicMs()
    const logs = [...this.#parts.logs()]
    this.#bytes = 0
    for (const stretch of stretchesOf(logs, entropy)) {
      const { log, fromOffset, endOffset } = stretch
      if (this.#isOver) return
      const digests = await this.#parts.digests.of(log)
      for (const segment of [...log.segments]) {
        if (this.#isOver) return
        if (segment.baseOffset < fromOffset || segment.baseOffset >= endOffset) continue
        if (log.isDeleted || !log.segments.includes(segment) || segment.replacement !== null) continue
        // Its end is on its way to the file still.
        if ((log.segments[log.segments.indexOf(segment) + 1]?.baseOffset ?? 0) > log.writtenEndOffset) continue
        await this.#look(log, segment, digests)
      }
    }
    await this.#parts.digests.flush()
    const damagedRanges = logs.reduce((sum, log) => sum + log.damage.ranges.length, 0)
    const durationMs = Math.round(clock.monotonicMs() - startMs)
    observer.add(logMetrics.scrubPasses, 1)
    observer.event(logEvents.scrubbed, { logs: logs.length, bytes: this.#bytes, durationMs, damagedRanges })
  }

  /** One segment. What the disk cannot read, or what has gone meanwhile, ends the look at this one alone. */
  async #look(log: UnifiedLog, segment: Segment, digests: ReadonlyMap<number, SegmentDigest>): Promise<void> {
    try {
      if (segment !== log.activeSegment) {
        const { disk, observer } = this.#parts.ports
        await findDamage(
          log,
          segment,
          { disk, observer },
          {
            ...{ endOffset: null, digests },
            pace: (bytes) => this.#pace(bytes),
            learn: (chain) => this.#learn(log, segment, chain),
          },
        )
      } else if (await this.#isActiveBad(log, segment)) await this.#parts.reader.examine(log, segment)
    } catch (thrown) {
      if (thrown instanceof CompactionStopped || log.isDeleted || !log.segments.includes(segment)) return
      this.#onThrown(asError(thrown))
    }
  }

  /** From now on it is known what a segment was that was sealed by another program, or of which nothing was written down. */
  #learn(log: UnifiedLog, segment: Segment, chain: HeaderChain): void {
    const { topicId, partition } = log
    if (chain.endOffset > log.recoveryPoint) return
    const key = { topicId, partition, baseOffset: segment.baseOffset }
    this.#parts.digests.note(log, digestOf(key, chain, segment.sizeInBytes))
  }

  /** Looks at what is written of a segment that is appended to; damage is looked for in a sealed one only. */
  async #isActiveBad(log: UnifiedLog, segment: Segment): Promise<boolean> {
    const { disk } = this.#parts.ports
    const endOffset = log.writtenEndOffset
    const to = Math.min((await disk.size(segment.logPath)) ?? 0, segment.sizeInBytes)
    const end = await scanSegment({
      disk: {
        read: async (path, position, length) => {
          await this.#pace(length)
          return disk.read(path, position, length)
        },
      },
      path: segment.logPath,
      from: 0,
      to,
      segmentBaseOffset: segment.baseOffset,
      expectedOffset: segment.baseOffset,
      checkCrc: true,
      visit: (bytes, at) => batchLastOffset(bytes, at) < endOffset,
    }).catch((thrown: unknown) => {
      if (thrown instanceof DiskError && thrown.code === 'EIO')
        return { nextOffset: segment.baseOffset, reason: 'unreadable' }
      throw thrown
    })
    return end.nextOffset < endOffset && (end.reason !== null || to < segment.sizeInBytes)
  }

  async #pace(bytes: number): Promise<void> {
    this.#bytes += bytes
    this.#parts.ports.observer.add(logMetrics.scrubbedBytes, bytes)
    await this.#pacer.spend(bytes)
  }

  #onThrown(error: Error): void {
    if (error instanceof CompactionStopped || this.#isOver) return
    this.#parts.ports.observer.event(logEvents.scrubFailed, { error: error.message })
  }
}

/** Segments of a log with base offsets in a range. */
interface Stretch {
  readonly log: UnifiedLog
  readonly fromOffset: number
  readonly endOffset: number
}

/**
 * All logs in the order of one pass. A box that is switched off every evening gets through everything in time, also where one log is more
 * than a day's work: each pass begins with another segment, any of them as likely.
 */
function stretchesOf(logs: readonly UnifiedLog[], entropy: Pick<Entropy, 'below'>): readonly Stretch[] {
  const segments = logs.reduce((sum, log) => sum + log.segments.length, 0)
  if (segments === 0) return []
  let left = entropy.below(segments)
  const first = logs.findIndex((log) => {
    if (left < log.segments.length) return true
    left -= log.segments.length
    return false
  })
  const log = logs[first] as UnifiedLog
  const { baseOffset } = log.segments[left] as Segment
  const whole = (each: UnifiedLog): Stretch => ({ log: each, fromOffset: 0, endOffset: Number.POSITIVE_INFINITY })
  return [
    { ...whole(log), fromOffset: baseOffset },
    ...[...logs.slice(first + 1), ...logs.slice(0, first)].map(whole),
    { ...whole(log), endOffset: baseOffset },
  ]
}
