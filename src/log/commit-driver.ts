/**
 * Group commit (architecture laws 2 and 3): runs one commit at a time and gathers the next meanwhile. No timer: the first append
 * after a pause starts a commit at the end of its loop turn, so that all appends of the turn join; the end of one commit starts the next.
 *
 * `whenSubmitted` is how everything else that must stand behind the appends in the disk's queue (checkpoints, sealed segments,
 * deletions) finds its place: its task runs when no batch is in the books without being submitted.
 */
import { asError } from '../base/errors.ts'
import type { Clock, DiskOperation, Observer } from '../base/ports.ts'
import type { CommitJournal } from './commit-journal.ts'
import { type CommitPlan, planCommit, type QueuedBatch } from './commit-plan.ts'
import type { DirtyFiles } from './dirty-files.ts'
import type { HeldExtent, HeldWrites } from './held-writes.ts'
import { logMetrics } from './log-metrics.ts'
import type { PatientDisk, Submitted } from './patient-disk.ts'
import type { UnifiedLog } from './unified-log.ts'

/** A relaxed log is synced this long after the first byte that is not. */
const relaxedSyncMs = 1000
/** Files synced in one group of a background sync, so that commits come between and wait some milliseconds only. */
const filesPerSyncGroup = 1
/** The same when the ring is nearly full: a full one would hold the commit until every dirty file is synced. */
const filesPerSyncGroupUrgent = 16
/** What has been held so long goes to its file: who copies the directory, or looks into it, finds it there. */
const heldMs = 5000
const heldCheckMs = 1000
/** Logs released in one group, so that commits come between. */
const logsPerRelease = 64
/** In the time of each commits hold a part of those logs again: about a quarter of two thousand, half of ten thousand. */
const releasesBeforeSync = 4

export interface CommitDriverHooks {
  /** Up to this many dirty files are synced a few at a time, more of them together. */
  readonly filesSyncedAlone: number
  /** Where more files than this are dirty, what frames have is held back from the files. */
  readonly filesWrittenAtOnce: number
  /** There is so much room that the disk will take what is held. */
  mayHold(): boolean
  /** What was held long enough is on its way to the files. */
  onReleased(): void
  /** The disk refused an operation: final for the directory. */
  onFailure(error: Error): void
  /** Asked before a commit starts; false holds it until `poke`. */
  mayCommit(): boolean
  /** A commit of this many bytes has completed. */
  onCommitted(bytes: number): void
  /** The disk has taken the bytes of so many more batches of the queue, for their files or to hold them. */
  onWritten(batches: number): void
  logs(): readonly UnifiedLog[]
}

/** Since the start. */
export interface CommitFigures {
  commits: number
  /** Of which a journal frame carried something. */
  journalCommits: number
  committedBytes: number
}

export class CommitDriver {
  readonly figures: CommitFigures = { commits: 0, journalCommits: 0, committedBytes: 0 }
  readonly #disk: PatientDisk
  readonly #clock: Clock
  readonly #observer: Observer
  readonly #journal: CommitJournal
  readonly #dirty: DirtyFiles
  readonly #hooks: CommitDriverHooks
  #queue: QueuedBatch[] = []
  #queuedBytes = 0
  #runningBytes = 0
  /** The group of the newest commit. */
  #newest: Submitted | null = null
  readonly #held: HeldWrites
  #heldTimer = false
  /** How many batches the commits had whose bytes are not all handed over, oldest first. */
  readonly #handingOver: { readonly batches: number; isDone: boolean }[] = []
  #setNumber = 0
  #isRunning = false
  /** Writes of files that are submitted behind their frames and not done. */
  #unwritten = 0
  #isDeferred = false
  #isDraining = false
  #hasFailed = false
  #relaxedTimer = false
  #afterSubmit: { readonly task: () => void; readonly onDropped: (() => void) | undefined }[] = []
  #idleWaiters: (() => void)[] = []
  #commitWaiters: (() => void)[] = []

  constructor(
    ports: { readonly disk: PatientDisk; readonly clock: Clock; readonly observer: Observer },
    books: { readonly journal: CommitJournal; readonly dirty: DirtyFiles; readonly held: HeldWrites },
    hooks: CommitDriverHooks,
  ) {
    this.#disk = ports.disk
    this.#clock = ports.clock
    this.#observer = ports.observer
    this.#journal = books.journal
    this.#dirty = books.dirty
    this.#held = books.held
    this.#hooks = hooks
    this.#observer.set(logMetrics.heldBytes, 0)
    this.#dirty.beforeSync = (paths) => this.release(this.#held.firstOf(paths, Number.POSITIVE_INFINITY).logs)
  }

  /** A number for the batches of one set. */
  nextSet(): number {
    return ++this.#setNumber
  }

  /** Puts a batch behind the others; `kick` once after the last of a turn's set. */
  enqueue(batch: QueuedBatch): void {
    this.#queue.push(batch)
    this.#queuedBytes += batch.bytes.length
  }

  /** Makes sure that what is queued gets committed. */
  kick(): void {
    if (this.#isRunning || this.#isDeferred || this.#hasFailed || this.#queue.length === 0) return
    this.#isDeferred = true
    this.#clock.defer(() => {
      this.#isDeferred = false
      this.#start()
    })
  }

  /** The answer of `mayCommit` may have changed. */
  poke(): void {
    this.#start()
  }

  /**
   * Runs `task` when every batch in the books has been submitted to the disk: at once, or right behind the submission; or
   * `onDropped`, when the driver stops before that.
   */
  whenSubmitted(task: () => void, onDropped?: () => void): void {
    if (this.#hasFailed) onDropped?.()
    else if (this.#queue.length === 0) task()
    else this.#afterSubmit.push({ task, onDropped })
  }

  /** Resolves when nothing is queued, held or under way (at once after a failure). */
  async idle(): Promise<void> {
    for (;;) {
      await this.#releaseSince(Number.POSITIVE_INFINITY)
      const isAtWork = this.isCommitting || this.#isDraining
      if (this.#hasFailed || !(isAtWork || this.#held.size > 0)) return
      // The last commit was, while others were released.
      if (!isAtWork) continue
      await new Promise<void>((resolve) => {
        this.#idleWaiters.push(resolve)
      })
    }
  }

  /** Nothing is committed any more: what stands in the books need not be on the disk. */
  get hasStopped(): boolean {
    return this.#hasFailed
  }

  /** Something is queued or under way. */
  get isCommitting(): boolean {
    return !this.#hasFailed && (this.#isRunning || this.#unwritten > 0 || this.#queue.length > 0)
  }

  /** Resolves when more has become durable or written; at once when nothing is under way or queued. */
  nextCommit(): Promise<void> {
    if (!this.isCommitting) return Promise.resolve()
    return new Promise((resolve) => {
      this.#commitWaiters.push(resolve)
    })
  }

  /** Nothing is committed any more. */
  stop(): void {
    this.#hasFailed = true
    this.#queue = []
    for (const { onDropped } of this.#afterSubmit.splice(0)) onDropped?.()
    this.#wakeWaiters()
  }

  /** What is held of these logs is submitted: it stands in their files before whatever is submitted next. */
  release(logs: Iterable<UnifiedLog>): void {
    if (this.#hasFailed || this.#held.size === 0) return
    const { operations, extents } = this.#held.release(logs, this.#journal.path)
    if (operations.length === 0) return
    this.#unwritten++
    // As behind each frame: without the newest nothing of its sets may stand in the files.
    this.#disk.submit(operations, { needs: this.#newest }).then(
      () => this.#completeRelease(extents),
      (error: unknown) => this.#fail(error),
    )
  }

  #completeRelease(extents: readonly HeldExtent[]): void {
    this.#unwritten--
    this.#held.written(extents)
    this.#observer.set(logMetrics.heldBytes, this.#held.lackingBytes)
    this.#wakeWaiters()
  }

  /** The log is deleted. */
  forget(log: UnifiedLog): void {
    this.#held.drop(log)
    this.#observer.set(logMetrics.heldBytes, this.#held.lackingBytes)
  }

  #releaseInTime(): void {
    if (this.#heldTimer || this.#hasFailed || this.#held.size === 0) return
    this.#heldTimer = true
    this.#clock.schedule(heldCheckMs, () => {
      const atMs = this.#hooks.mayHold() ? this.#clock.monotonicMs() - heldMs : Number.POSITIVE_INFINITY
      // What waits for room need not wait in the queue.
      const released = this.#disk.lack === null ? this.#releaseSince(atMs) : Promise.resolve()
      void released.then(() => {
        this.#heldTimer = false
        if (this.#hasFailed) return
        this.#releaseInTime()
        this.#hooks.onReleased()
      })
    })
  }

  /** A few at a time, of those that are held now. That one fails is told by itself. */
  #releaseSince(atMs: number): Promise<void> {
    return this.#releaseInTurns(this.#held.heldSince(atMs))
  }

  async #releaseInTurns(logs: readonly UnifiedLog[]): Promise<void> {
    for (let at = 0; at < logs.length && !this.#hasFailed; at += logsPerRelease) {
      this.release(logs.slice(at, at + logsPerRelease))
      await this.#disk.submit([]).catch(() => {})
    }
  }

  #start(): void {
    if (this.#isRunning || this.#hasFailed || this.#queue.length === 0 || !this.#hooks.mayCommit()) return
    this.#isRunning = true
    const startMs = this.#clock.monotonicMs()
    const mayHold = this.#dirty.size > this.#hooks.filesWrittenAtOnce && this.#hooks.mayHold()
    const mayBeginAnew = this.#unwritten === 0 && this.#held.size === 0
    const plan = planCommit(this.#queue, this.#journal, this.#dirty, { mayHold, mayBeginAnew })
    if (plan === null) {
      void this.#writeAllFirst()
      return
    }
    const handingOver = { batches: plan.taken, isDone: false }
    this.#handingOver.push(handingOver)
    this.#queue = plan.taken === this.#queue.length ? [] : this.#queue.slice(plan.taken)
    this.#queuedBytes -= plan.bytes
    this.#runningBytes = plan.bytes
    const fail = (error: unknown): void => this.#fail(error)
    const lane = { lane: 'commit', isFrameOnly: plan.isFrameOnly } as const
    // What goes into a file at once goes behind what is held of it.
    if (this.#held.size > 0) this.release(plan.commits.filter(({ isHeld }) => !isHeld).map(({ log }) => log))
    this.#disk.submit(plan.operations, lane).then(() => this.#complete(plan, startMs, handingOver), fail)
    this.#newest = this.#disk.newest
    if (plan.writes.length > 0) {
      this.#unwritten++
      // Without its frame a set must not stand in the files, not even in a part.
      this.#disk.submit(plan.writes, { needsPrevious: true }).then(() => this.#completeWrites(plan, handingOver), fail)
    }
    this.#hold(plan, startMs)
    if (this.#queue.length === 0) this.#runAfterSubmit()
  }

  /** The ring is full: what it has for the files goes there, then the commits go on. */
  async #writeAllFirst(): Promise<void> {
    await this.#releaseSince(Number.POSITIVE_INFINITY)
    while (this.#unwritten > 0 && !this.#hasFailed) await this.nextCommit()
    this.#isRunning = false
    this.#start()
    this.#wakeWaiters()
  }

  #hold(plan: CommitPlan, nowMs: number): void {
    for (const { log, ranges, isHeld } of plan.commits) {
      const range = ranges[0]
      if (!isHeld || range === undefined) continue
      const { segment, position, ringPosition, bytes } = range
      this.#held.add(log, { path: segment.logPath, position, ringPosition, bytes }, nowMs)
    }
    if (this.#held.size === 0) return
    this.#observer.set(logMetrics.heldBytes, this.#held.lackingBytes)
    this.#releaseInTime()
  }

  /** The bytes of these batches are needed no more; told in the order of the queue, whichever way they went. */
  #handOver(done: { isDone: boolean }): void {
    done.isDone = true
    let batches = 0
    while (this.#handingOver[0]?.isDone === true) batches += this.#handingOver.shift()?.batches ?? 0
    if (batches > 0) this.#hooks.onWritten(batches)
  }

  #runAfterSubmit(): void {
    const tasks = this.#afterSubmit
    this.#afterSubmit = []
    for (const { task } of tasks) task()
  }

  #complete(plan: CommitPlan, startMs: number, handingOver: { isDone: boolean }): void {
    if (this.#hasFailed) return
    this.#isRunning = false
    this.#runningBytes = 0
    for (const complete of plan.completeSyncs) complete()
    let relaxed = false
    for (const { log, endOffset, way, isHeld } of plan.commits) {
      if (way !== 'journal' || isHeld) log.writtenEndOffset = endOffset
      if (way === 'relaxed') relaxed = true
      else log.durableEndOffset = endOffset
    }
    this.#hooks.onCommitted(plan.bytes)
    if (plan.writes.length === 0) this.#handOver(handingOver)
    // The disk goes on before anyone is told, so that acknowledging costs it nothing.
    this.#start()
    for (const { log } of plan.commits) log.onDurable?.()
    this.#record(plan, startMs)
    if (relaxed) this.#syncRelaxedSoon()
    if (plan.usesJournal) this.#tendJournal()
    this.#wakeWaiters()
  }

  #completeWrites(plan: CommitPlan, handingOver: { isDone: boolean }): void {
    if (this.#hasFailed) return
    this.#unwritten--
    this.#handOver(handingOver)
    for (const { log, endOffset, way, isHeld } of plan.commits)
      if (way === 'journal' && !isHeld) log.writtenEndOffset = endOffset
    this.#wakeWaiters()
  }

  #record(plan: CommitPlan, startMs: number): void {
    this.figures.commits++
    if (plan.usesJournal) this.figures.journalCommits++
    this.figures.committedBytes += plan.bytes
    const seconds = (this.#clock.monotonicMs() - startMs) / 1000
    this.#observer.observe(logMetrics.commitSeconds, seconds)
    this.#observer.observe(logMetrics.commitBytes, plan.bytes)
    this.#observer.add(logMetrics.commits, 1, plan.usesJournal ? viaJournal : viaFiles)
  }

  #wakeWaiters(): void {
    const waiters = [...this.#idleWaiters, ...this.#commitWaiters]
    this.#idleWaiters = []
    this.#commitWaiters = []
    for (const wake of waiters) wake()
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.stop()
    this.#hooks.onFailure(asError(error))
  }

  /** Keeps the ring from filling: grows it while it may, then syncs the files that hold the oldest frames. */
  #tendJournal(): void {
    this.#journal.growIfWanted().catch((error: unknown) => this.#fail(error))
    if (this.#isDraining || !this.#journal.wantsDrain) return
    // What is held takes half of the ring by design; the checkpoints give it back.
    if (this.#held.size > 0 && !this.#journal.isNearlyFull) return
    // What is being synced beside the queue gives its frames back soon: a second flush would write the last page of each file once more.
    if (this.#dirty.isSyncingAside && !this.#journal.isNearlyFull) return
    this.#isDraining = true
    this.#drain().then(
      () => {
        this.#isDraining = false
        this.#wakeWaiters()
      },
      (error: unknown) => this.#fail(error),
    )
  }

  async #drain(): Promise<void> {
    // Half of the dirty files at most: the oldest first, whatever gets dirty meanwhile has its turn in the next drain.
    let left = Math.ceil(this.#dirty.size / 2)
    if (this.#dirty.size > this.#hooks.filesSyncedAlone) return this.syncFilesAside([...this.#dirty.paths()])
    while (left > 0 && this.#dirty.size > 0 && !this.#hasFailed) {
      const perGroup = this.#journal.isNearlyFull ? filesPerSyncGroupUrgent : filesPerSyncGroup
      const paths = [...this.#dirty.paths()].slice(0, Math.min(left, perGroup))
      left -= paths.length
      await this.syncFiles(paths)
    }
  }

  /** Syncs files in one group behind everything submitted so far. */
  async syncFiles(paths: readonly string[], more: readonly DiskOperation[] = []): Promise<void> {
    const complete = this.#dirty.beginSync(paths)
    await this.#disk.submit([...paths.map((path): DiskOperation => ({ kind: 'sync', path })), ...more])
    complete()
  }

  /** The same of many files beside the queue: no commit waits for it. */
  async syncFilesAside(paths: readonly string[]): Promise<void> {
    // Commits hold more of these logs while they are released: what is left goes in one group, and should be little.
    for (let turn = 0; turn < releasesBeforeSync; turn++) {
      const { logs } = this.#held.firstOf(paths, Number.POSITIVE_INFINITY)
      if (logs.size <= logsPerRelease) break
      await this.#releaseInTurns([...logs])
    }
    const complete = this.#dirty.beginSyncAside(paths)
    await this.#disk.syncAside(paths)
    complete()
  }

  #syncRelaxedSoon(): void {
    if (this.#relaxedTimer) return
    this.#relaxedTimer = true
    this.#clock.schedule(relaxedSyncMs, () => {
      this.#relaxedTimer = false
      if (!this.#hasFailed) this.whenSubmitted(() => this.#syncRelaxed())
    })
  }

  #syncRelaxed(): void {
    const ends: { readonly log: UnifiedLog; readonly endOffset: number }[] = []
    const paths: string[] = []
    for (const log of this.#relaxedLogs()) {
      ends.push({ log, endOffset: log.logEndOffset })
      for (const segment of log.segments) if (this.#dirty.has(segment.logPath)) paths.push(segment.logPath)
    }
    this.syncFiles(paths).then(
      () => {
        for (const { log, endOffset } of ends) log.durableEndOffset = Math.max(log.durableEndOffset, endOffset)
        for (const { log } of ends) log.onDurable?.()
      },
      (error: unknown) => this.#fail(error),
    )
  }

  /** Also those that are relaxed no more. */
  #relaxedLogs(): readonly UnifiedLog[] {
    return this.#hooks.logs().filter((log) => log.durableEndOffset < log.writtenEndOffset)
  }

  /** Bytes in the books that are not yet submitted. */
  get queuedBytes(): number {
    return this.#queuedBytes
  }

  /** The same with those of the commit that is under way. */
  get pendingBytes(): number {
    return this.#queuedBytes + this.#runningBytes
  }
}

const viaJournal = { way: 'journal' }
const viaFiles = { way: 'files' }
