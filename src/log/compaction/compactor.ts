/**
 * Runs compaction over the logs of a directory: looks now and then, takes the log with the largest dirty share, one at a time. Only
 * what is sealed, below the log's durable recovery point and out of the journal's reach is rewritten: neither a recovery nor a
 * replay then meets a file that it does not expect.
 */
import { asError } from '../../base/errors.ts'
import { DiskError, type Ports, type Timer } from '../../base/ports.ts'
import type { Checkpointer } from '../checkpointer.ts'
import type { CommitJournal } from '../commit-journal.ts'
import type { DigestFile } from '../digest-file.ts'
import type { DirtyFiles } from '../dirty-files.ts'
import { logEvents } from '../log-events.ts'
import { logMetrics } from '../log-metrics.ts'
import type { ReaderParts } from '../log-reader.ts'
import { mayPass, type PatientDisk } from '../patient-disk.ts'
import type { Segment } from '../segment.ts'
import type { UnifiedLog } from '../unified-log.ts'
import { dirtyRangeOf, dirtyRatioOf, groupSegments, isDue } from './cleanable.ts'
import type { CleanedFile } from './cleaned-file.ts'
import { cleanerOffsetWrites, readCleanerOffsets } from './cleaner-offsets.ts'
import type { CompactionOptions } from './compaction-options.ts'
import { type BuiltMap, buildMap, type CleaningParts } from './map-builder.ts'
import { OffsetMap } from './offset-map.ts'
import { CompactionStopped, Pacer } from './pacer.ts'
import { newestBatchesOf, rewriteSegments } from './segment-rewriter.ts'
import { swapOperations } from './segment-swap.ts'
import { TransactionView } from './transaction-view.ts'

/** Left free on the file system beside what a new file may take. */
const reserveBytes = 16 * 1_048_576
/** After a disk that is full. */
const postponeMs = 600_000

/** A shorter time between two looks counts at the latest after this. */
const backoffReadMs = 60_000

export interface CompactorParts {
  readonly ports: Ports & { readonly disk: PatientDisk }
  readonly logDirectory: string
  readonly stateDirectory: string
  readonly journal: CommitJournal
  readonly dirty: DirtyFiles
  readonly checkpointer: Checkpointer
  readonly digests: DigestFile
  readonly reader: ReaderParts
  readonly options: CompactionOptions
  logs(): Iterable<UnifiedLog>
  /** Nothing may be written any more. */
  isStopped(): boolean
  onFailure(error: Error): void
}

export class Compactor {
  readonly #parts: CompactorParts
  readonly #pacer: Pacer
  readonly #cleaning: CleaningParts
  /** First dirty offset of each log that has been compacted. */
  #offsets = new Map<UnifiedLog, number>()
  readonly #failed = new WeakSet<UnifiedLog>()
  #failedCount = 0
  readonly #postponedUntilMs = new WeakMap<UnifiedLog, number>()
  #timer: Timer | null = null
  /** The file that is being written. */
  #cleaned: CleanedFile | null = null
  #isStopping = false
  #pass: Promise<void> = Promise.resolve()

  constructor(parts: CompactorParts) {
    this.#parts = parts
    this.#pacer = new Pacer(parts.ports.clock, () => parts.options.bytesPerSecond)
    this.#cleaning = { disk: parts.ports.disk, compute: parts.ports.compute, pacer: this.#pacer }
  }

  /** Reads how far the logs are, and begins to look. */
  async start(): Promise<void> {
    this.#offsets = await readCleanerOffsets(this.#parts.ports.disk, this.#parts, this.#parts.logs())
    this.#lookLater()
  }

  /** Stops where it is; resolves when nothing of it is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true
    if (this.#timer !== null) this.#parts.ports.clock.cancel(this.#timer)
    this.#pacer.stop()
    await this.#pass
  }

  /** Stays where it is until `resume`. */
  pause(): void {
    this.#pacer.pause()
  }

  resume(): void {
    this.#pacer.resume()
  }

  /** One look at all logs, behind those asked for before; resolves when what was due is done. */
  compact(): Promise<void> {
    this.#pass = this.#pass.then(() => this.#runPass()).catch((error: unknown) => this.#parts.onFailure(asError(error)))
    return this.#pass
  }

  /** Bytes that stand beside the segments they will take the place of. */
  get cleaningBytes(): number {
    return this.#cleaned?.writtenBytes ?? 0
  }

  /** First offset that is not compacted yet. */
  firstDirtyOffset(log: UnifiedLog): number {
    const first = (log.segments[0] as Segment).baseOffset
    const start = Math.max(first, log.logStartOffset)
    const offset = this.#offsets.get(log) ?? 0
    return offset < start || offset > log.logEndOffset ? start : offset
  }

  /** The log is gone: Kafka's file must not tell of it when a topic of its name is made again. */
  onDeleted(log: UnifiedLog): void {
    if (!this.#offsets.delete(log) || this.#isOver) return
    this.#writeOffsets().catch((error: unknown) => this.#parts.onFailure(asError(error)))
  }

  get #isOver(): boolean {
    return this.#isStopping || this.#parts.isStopped()
  }

  #lookLater(sinceMs = this.#parts.ports.clock.monotonicMs()): void {
    if (this.#isOver) return
    const { clock } = this.#parts.ports
    const waitMs = sinceMs + this.#parts.options.backoffMs - clock.monotonicMs()
    this.#timer = clock.schedule(Math.max(0, Math.min(waitMs, backoffReadMs)), () => {
      this.#timer = null
      if (clock.monotonicMs() - sinceMs < this.#parts.options.backoffMs) this.#lookLater(sinceMs)
      else void this.compact().then(() => this.#lookLater())
    })
  }

  async #runPass(): Promise<void> {
    const due = await this.#findDue()
    const limits = due.length === 0 ? null : await this.#letPass(due)
    for (const [log, limit] of limits ?? []) {
      if (this.#isOver) return
      try {
        await this.#clean(log, limit)
      } catch (thrown) {
        this.#onThrown(log, thrown)
      }
    }
  }

  /** Logs with enough to compact, those with the largest dirty share first. */
  async #findDue(): Promise<readonly UnifiedLog[]> {
    const found: { readonly log: UnifiedLog; readonly ratio: number }[] = []
    for (const log of [...this.#parts.logs()]) {
      if (this.#isOver) return []
      if (!this.#isWanted(log) || log.segments.length < 2) continue
      const bounds = { nowMs: this.#nowMs(), limit: log.lastStableOffset }
      try {
        const range = await dirtyRangeOf(log, this.firstDirtyOffset(log), bounds, this.#parts.reader)
        if (isDue(range, log.config)) found.push({ log, ratio: dirtyRatioOf(range) })
      } catch (thrown) {
        this.#onThrown(log, thrown)
      }
    }
    return found.sort((a, b) => b.ratio - a.ratio).map(({ log }) => log)
  }

  #isWanted(log: UnifiedLog): boolean {
    if (log.isDeleted || !log.damage.isEmpty || this.#failed.has(log)) return false
    if (this.#parts.ports.clock.monotonicMs() < (this.#postponedUntilMs.get(log) ?? 0)) return false
    return log.config.cleanupPolicy.has('compact')
  }

  /** Null while the clock is known to be wrong. */
  #nowMs(): number | null {
    const { clock } = this.#parts.ports
    return clock.wallTrusted() ? clock.wallMs() : null
  }

  /**
   * Moves the recovery points above what is sealed now, and the journal beyond the frames that speak of it: a replay would write old
   * bytes into the new files. Answers up to where each log may be rewritten; null when the ring has no room, then the next look tries
   * again.
   */
  async #letPass(logs: readonly UnifiedLog[]): Promise<ReadonlyMap<UnifiedLog, number> | null> {
    const { journal, dirty, checkpointer, ports } = this.#parts
    const sequence = journal.nextSequence
    // What is below the high watermark stands in frames below the sequence.
    const ends = logs.map((log) => Math.min(log.lastStableOffset, log.activeSegment.baseOffset))
    await checkpointer.checkpointNow()
    if (this.#isOver) return null
    if (!journal.hasPassed(sequence)) {
      if (dirty.oldestNeeded(journal.nextSequence) < sequence || !journal.hasRoom(0, 0)) return null
      // A frame without bytes says that a replay need not begin before it.
      await ports.disk.submit([journal.append([], 0).operation, { kind: 'sync', path: journal.path }])
    }
    return new Map(logs.map((log, index) => [log, Math.min(ends[index] as number, log.recoveryPoint)]))
  }

  /** Compacts one log: as many passes as the map is filled. */
  async #clean(log: UnifiedLog, limit: number): Promise<void> {
    const startMs = this.#parts.ports.clock.monotonicMs()
    const bytesBefore = log.sizeInBytes
    for (;;) {
      const firstDirtyOffset = this.firstDirtyOffset(log)
      const nowMs = this.#nowMs()
      const range = await dirtyRangeOf(log, firstDirtyOffset, { nowMs, limit }, this.#parts.reader)
      if (range.dirtyBytes === 0 || range.endOffset <= firstDirtyOffset) return
      const sealed = log.segments.filter((_, index) => endOf(log, index) <= range.endOffset)
      const dirty = sealed.filter((segment) => endOf(log, log.segments.indexOf(segment)) > firstDirtyOffset)
      const map = new OffsetMap(range.endOffset - firstDirtyOffset, this.#parts.options.mapBytesMax)
      const built = await buildMap(dirty, firstDirtyOffset, map, this.#cleaning)
      if (built.endOffset <= firstDirtyOffset) return
      if (!log.mayHaveGaps && !log.isDeleted) {
        // Durable before the first gap is: where it is not, a missing offset is a damage.
        log.mayHaveGaps = true
        this.#offsets.set(log, firstDirtyOffset)
        await this.#writeOffsets()
      }
      await this.#rewriteAll(log, sealed, { map, built, nowMs })
      if (log.isDeleted) return
      const endOffset = built.stop === 'end' ? range.endOffset : built.endOffset
      this.#offsets.set(log, endOffset)
      log.tail.floorOffset = Math.max(log.tail.floorOffset, range.endOffset)
      await this.#writeOffsets()
      if (built.stop === 'full') continue
      this.#report(log, { endOffset, bytesBefore, startMs })
      return
    }
  }

  async #rewriteAll(
    log: UnifiedLog,
    sealed: readonly Segment[],
    pass: { readonly map: OffsetMap; readonly built: BuiltMap; readonly nowMs: number | null },
  ): Promise<void> {
    const { map, built, nowMs } = pass
    const rules = { map, nowMs, deleteRetentionMs: log.config.deleteRetentionMs }
    const transactions = new TransactionView(built.aborted)
    const { indexIntervalBytes } = log.config
    for (const segments of await this.#groups(log, sealed, built.endOffset)) {
      await this.#needSpace(log, segments)
      const newest = newestBatchesOf(log.producers)
      const task = { segments, rules, transactions, newest, indexIntervalBytes }
      try {
        const file = await rewriteSegments(task, this.#cleaning, (begun) => {
          this.#cleaned = begun
        })
        if (!file.isSame) await this.#swap(log, segments, file)
      } finally {
        this.#cleaned = null
      }
    }
  }

  async #groups(
    log: UnifiedLog,
    sealed: readonly Segment[],
    endOffset: number,
  ): Promise<readonly (readonly Segment[])[]> {
    const { disk } = this.#parts.ports
    const members = []
    for (const segment of sealed) {
      if (segment.baseOffset >= endOffset) continue
      const transactions = await disk.size(`${segment.directory}/${segment.name}.txnindex`)
      members.push({
        segment,
        endOffset: endOf(log, log.segments.indexOf(segment)),
        indexBytes: (await disk.size(segment.indexPath)) ?? 0,
        timeIndexBytes: (await disk.size(segment.timeIndexPath)) ?? 0,
        // Apache Kafka's index of aborted transactions is left as it is.
        isAlone: transactions !== null && transactions > 0,
      })
      await this.#pacer.breathe()
    }
    return groupSegments(members, log.config)
  }

  async #needSpace(log: UnifiedLog, segments: readonly Segment[]): Promise<void> {
    const { freeBytes } = await this.#parts.ports.disk.space(log.directory)
    const bytes = segments.reduce((sum, segment) => sum + segment.sizeInBytes, 0)
    if (freeBytes < bytes + reserveBytes) throw new DiskError('ENOSPC', 'write', log.directory)
  }

  /** From here until the disk has done it, readers of these segments wait. */
  async #swap(log: UnifiedLog, sources: readonly Segment[], file: CleanedFile): Promise<void> {
    const at = log.segments.indexOf(sources[0] as Segment)
    const isThere = at >= 0 && sources.every((source, index) => log.segments[at + index] === source)
    if (this.#isOver) throw new CompactionStopped()
    // In the folder of a deleted log another of its name may be by now.
    if (log.isDeleted || !isThere || sources.some((source) => this.#parts.dirty.has(source.logPath))) {
      await file.discard()
      throw new CompactionStopped()
    }
    let release = (): void => {}
    const replacement = new Promise<void>((resolve) => {
      release = resolve
    })
    for (const source of sources) source.replacement = replacement
    const digests = this.#parts.digests.swapWrites(log, sources, file.segment)
    try {
      await this.#parts.ports.disk.submit([
        ...digests.before,
        ...swapOperations(sources, file.segment),
        ...digests.after,
      ])
      if (!log.isDeleted) this.#replace(log, sources, file.segment)
    } catch (thrown) {
      for (const source of sources) source.replacement = null
      throw thrown
    } finally {
      digests.done()
      release()
    }
  }

  #replace(log: UnifiedLog, sources: readonly Segment[], cleaned: Segment): void {
    // Retention leaves these segments alone, but may have taken those before them meanwhile.
    const at = log.segments.indexOf(sources[0] as Segment)
    const { disk } = this.#parts.ports
    const gone = new Set(sources.slice(1).map((source) => source.baseOffset))
    log.snapshotOffsets = log.snapshotOffsets.filter((offset) => !gone.has(offset))
    log.segments = [...log.segments.slice(0, at), cleaned, ...log.segments.slice(at + sources.length)]
    for (const source of sources) {
      this.#parts.reader.indexes.forget(source.indexPath)
      for (const path of [source.logPath, source.indexPath, source.timeIndexPath]) disk.forget(path)
    }
    const { observer } = this.#parts.ports
    const bytes = sources.reduce((sum, source) => sum + source.sizeInBytes, 0)
    observer.add(logMetrics.compactionBytes, bytes, { what: 'before' })
    observer.add(logMetrics.compactionBytes, cleaned.sizeInBytes, { what: 'after' })
  }

  #report(log: UnifiedLog, facts: { readonly endOffset: number; bytesBefore: number; startMs: number }): void {
    const { observer, clock } = this.#parts.ports
    observer.add(logMetrics.compactionRuns, 1)
    observer.event(logEvents.logCompacted, {
      log: log.key,
      endOffset: facts.endOffset,
      bytesBefore: facts.bytesBefore,
      bytesAfter: log.sizeInBytes,
      durationMs: Math.round(clock.monotonicMs() - facts.startMs),
    })
  }

  async #writeOffsets(): Promise<void> {
    await this.#parts.ports.disk.submit(cleanerOffsetWrites(this.#parts, this.#offsets))
  }

  #onThrown(log: UnifiedLog, thrown: unknown): void {
    if (thrown instanceof CompactionStopped || log.isDeleted || this.#isOver) return
    // A segment has been given up by retention: the next look sees what is left.
    if (thrown instanceof DiskError && thrown.operation === 'read' && thrown.code === 'ENOENT') return
    const { observer, clock } = this.#parts.ports
    if (mayPass(thrown) && thrown.operation !== 'read') {
      this.#postponedUntilMs.set(log, clock.monotonicMs() + postponeMs)
      observer.event(logEvents.compactionPostponed, { log: log.key, delayMs: postponeMs, reason: thrown.message })
      return
    }
    // A write, sync or rename that failed is final for the directory. Whatever else went wrong, the log itself is as it was.
    if (thrown instanceof DiskError && thrown.operation !== 'read') throw thrown
    this.#failed.add(log)
    observer.set(logMetrics.compactionFailedLogs, ++this.#failedCount)
    observer.event(logEvents.compactionFailed, { log: log.key, reason: asError(thrown).message })
  }
}

function endOf(log: UnifiedLog, index: number): number {
  return log.segments[index + 1]?.baseOffset ?? Number.POSITIVE_INFINITY
}
