/**
 * Moves the recovery points on, so that an unclean start never has more than 256 MiB to scan in the node (more where the journal holds the
 * bytes of thousands of files, `checkpoint-pace`): every 96 MiB of appended bytes the dirty files are synced, a few at a time between the
 * commits or all beside them, and what recovery wants (index entries, producer snapshots, epochs) goes to its files. Also finishes off
 * sealed segments. Does nothing where nothing was appended.
 */
import { asError } from '../base/errors.ts'
import { nextTurn } from '../base/next-turn.ts'
import type { Clock, Disk, DiskOperation, Observer } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { formatOffsetsOf } from './checkpoint-file.ts'
import { type CheckpointPace, CheckpointProgress } from './checkpoint-pace.ts'
import type { CommitDriver } from './commit-driver.ts'
import type { CommitJournal } from './commit-journal.ts'
import type { DigestFile } from './digest-file.ts'
import type { DirtyFiles } from './dirty-files.ts'
import { type EpochFile, epochWrites, takeEpochs } from './epoch-files.ts'
import type { HeldWrites } from './held-writes.ts'
import type { IndexCache } from './index-cache.ts'
import { indexReplacement, indexWrites, type Writes } from './index-files.ts'
import { chainPointOf, indexTailMax, KnownLines } from './known-lines.ts'
import { snapshotPath } from './producer-loader.ts'
import { logMetrics } from './log-metrics.ts'
import { encodeSnapshot } from './producer-snapshot.ts'
import { trimWrites } from './reservations.ts'
import type { Segment } from './segment.ts'
import type { ChainPoint } from './segment-digest.ts'
import { logFileNames, stateFileNames } from './side-files.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Logs written down in one turn of the loop: some three milliseconds. */
const logsPerTurn = 500
/** Index files of some logs go out at one checkpoint, of others at another: each takes a descriptor until it is synced. */
const indexTurns = 32
/** Logs whose files go out in one turn of the loop, where no commit waits for a sync of each. */
const logsPerGroup = 64
const deletedMax = 4096

export interface CheckpointParts extends CheckpointPace {
  readonly clock: Pick<Clock, 'defer'>
  readonly disk: Disk
  readonly observer: Observer
  readonly driver: CommitDriver
  readonly held: HeldWrites
  readonly journal: Pick<CommitJournal, 'allow' | 'liveBytes'>
  readonly dirty: DirtyFiles
  readonly indexes: IndexCache
  readonly digests: DigestFile
  readonly logDirectory: string
  readonly stateDirectory: string
  logs(): Iterable<UnifiedLog>
  onFailure(error: Error): void
  /** This many bytes were written beside the records. */
  onAside(bytes: number): void
}

export class Checkpointer {
  readonly #parts: CheckpointParts
  readonly #progress: CheckpointProgress
  #isRunning = false
  /** The next one is to cover all. */
  #wantsWhole = false
  /** The checkpoint goes on when the queue of appends is empty. */
  #isWaiting = false
  #isStopped = false
  /** Ends with the newest checkpoint. */
  #latest: Promise<void> = Promise.resolve()
  readonly #background = new Set<Promise<void>>()
  /** Logs deleted since the recovery points were written. Bound: they are written when there are `deletedMax` more. */
  readonly #deleted = new Set<string>()
  /** Kept from one checkpoint to the next: of 10,000 logs each of its two texts has grown to some megabytes. */
  readonly #known = new KnownLines()
  /** Ends with the newest writing of the node-wide files. */
  #nodeFiles: Promise<void> = Promise.resolve()

  constructor(parts: CheckpointParts) {
    this.#parts = parts
    this.#progress = new CheckpointProgress(parts, parts.held, parts.journal)
  }

  /** May another commit start, or is there too much to scan already? */
  get mayCommit(): boolean {
    return this.#isWaiting || !this.#progress.isTooMuch
  }

  /** Bytes above the recovery points. */
  get unscannedBytes(): number {
    return this.#progress.unscannedBytes
  }

  /** This many bytes have been committed. */
  onCommitted(bytes: number): void {
    this.#progress.append(bytes)
    this.runIfDue()
  }

  /** Brings the recovery points up to what is in the books now; resolves when they are durable, or nothing can be written any more. */
  async checkpointNow(): Promise<void> {
    this.#wantsWhole = true
    // The one under way may have begun before what is asked for.
    await this.#latest
    if (!this.#isRunning && !this.#isStopped) this.#latest = this.#inBackground(this.#run())
    await this.#latest
  }

  /** To be called when more is in the files, or less is held. */
  runIfDue(): void {
    if (!this.#progress.isDue || this.#isRunning || this.#isStopped) return
    this.#latest = this.#inBackground(this.#run())
  }

  /** The segment takes no more batches: its files are completed and synced behind the appends made so far. */
  onSealed(log: UnifiedLog, segment: Segment): void {
    const offset = log.logEndOffset
    const snapshot = encodeSnapshot(log.producers)
    this.#parts.digests.noteSealed(log, segment)
    this.#parts.driver.whenSubmitted(() => {
      if (log.isDeleted || !log.segments.includes(segment)) return
      void this.#inBackground(this.#finishSegment(log, segment, { offset, bytes: snapshot }))
    })
  }

  /** The index was rebuilt in memory: writes its files. */
  onIndexRebuilt(log: UnifiedLog, segment: Segment): void {
    this.#parts.driver.whenSubmitted(() => {
      if (!log.isDeleted && segment.replacement === null && log.segments.includes(segment))
        void this.#inBackground(this.#write(indexReplacement(segment, this.#parts.indexes)))
    })
  }

  /** Runs a task in the background of the directory: its failure is the directory's, a clean stop waits for it. */
  #inBackground(task: Promise<void>): Promise<void> {
    const watched = task
      .catch((error: unknown) => {
        if (!this.#isStopped) this.#parts.onFailure(asError(error))
      })
      .then(() => {
        this.#background.delete(watched)
      })
    this.#background.add(watched)
    return watched
  }

  /** No more checkpoints; resolves when what is under way has ended. */
  async stop(): Promise<void> {
    while (this.#background.size > 0) await Promise.all(this.#background)
    this.#isStopped = true
  }

  /**
   * Brings every file of every log to where a clean start wants it, and writes the node-wide files. Nothing else runs meanwhile. A
   * recovery that was cut off may have cut a file whose length the medium has not heard of: behind an unclean start all are synced.
   */
  async finishAll(wasClean: boolean): Promise<void> {
    if (!wasClean) await this.#syncLastFiles()
    const logs = [...this.#parts.logs()].filter((log) => {
      const { index } = log.activeSegment
      log.activeSegment.sealTimeIndex()
      const isBehind = log.logEndOffset > log.recoveryPoint || log.activeSegment.reservedBytes > 0
      return isBehind || index.hasUnfiled || log.epochs.isDirty || lacksSnapshot(log)
    })
    for (let at = 0; at < logs.length; at += logsPerGroup)
      await this.#checkpointLogs(logs.slice(at, at + logsPerGroup), true)
    await this.writeNodeFiles()
  }

  async #syncLastFiles(): Promise<void> {
    const last = [...this.#parts.logs()].map((log) => log.activeSegment).filter((segment) => segment.isOnDisk)
    if (last.length > 0) await this.#parts.disk.syncAside(last.map((segment) => segment.logPath))
  }

  /** The log is out of service, and the recovery points may still speak of it. */
  onDeleted(log: UnifiedLog): void {
    this.#deleted.add(log.key)
    if (this.#deleted.size % deletedMax === 0) void this.#inBackground(this.writeNodeFiles())
  }

  /**
   * Resolves when the recovery points speak of no deleted log of this name: a new one's folder is there before its topic id is, and a
   * start after a crash in between would give it the old one.
   */
  async forgetDeleted(key: string): Promise<void> {
    if (this.#deleted.has(key)) await this.writeNodeFiles()
  }

  /** The recovery points (twice) and the high watermarks. */
  async writeNodeFiles(): Promise<void> {
    const earlier = this.#nodeFiles
    const gone = [...this.#deleted]
    const written = earlier.then(() => this.#writeNodeFiles())
    // One after the other: what was gathered earlier must not replace what was gathered later.
    this.#nodeFiles = written.catch(() => {})
    await written
    for (const key of gone) this.#deleted.delete(key)
  }

  async #writeNodeFiles(): Promise<void> {
    const { logDirectory, stateDirectory } = this.#parts
    const logs = [...this.#parts.logs()]
    const breathe = async (): Promise<void> => {
      if (logs.length > logsPerTurn) await nextTurn(this.#parts.clock)
    }
    // What a log's line says stays true while the others are written down: recovery points only rise.
    this.#known.begin()
    const firsts: number[] = []
    for (let at = 0; at < logs.length; at += logsPerTurn) {
      for (const log of logs.slice(at, at + logsPerTurn)) firsts.push((log.segments[0] as Segment).baseOffset)
      this.#known.write(logs.slice(at, at + logsPerTurn))
      await breathe()
    }
    const recoveryPoints = formatOffsetsOf(logs, (log) => log.recoveryPoint)
    await breathe()
    const highWatermarks = formatOffsetsOf(logs, (log) => log.highWatermark)
    const told = logs.filter(
      (log, index) => log.deletedFile !== null && log.deletedFile.baseOffset < (firsts[index] as number),
    )
    const unlinks = told.map((log): DiskOperation => ({ kind: 'unlink', path: log.deletedFile?.path ?? '' }))
    for (const log of told) log.deletedFile = null
    await this.#parts.disk.submit([
      ...this.#parts.digests.takeWrites(),
      ...replaceFile(`${stateDirectory}/${stateFileNames.recoveryPoints}`, this.#known.seal()),
      { kind: 'syncDirectory', path: stateDirectory },
      ...unlinks,
      ...this.#parts.digests.takeRemovals(),
      ...replaceFile(`${logDirectory}/${logFileNames.recoveryPoints}`, recoveryPoints),
      ...replaceFile(`${logDirectory}/${logFileNames.highWatermarks}`, highWatermarks),
      { kind: 'syncDirectory', path: logDirectory },
    ])
    logs.forEach((log, index) => {
      log.filedFirstOffset = firsts[index] as number
    })
    await this.#parts.digests.tidy(logs)
  }

  async #run(): Promise<void> {
    this.#isRunning = true
    const behind = this.#takeBehind(this.#wantsWhole)
    this.#wantsWhole = false
    if (behind.length <= this.#parts.filesSyncedAlone) for (const log of behind) await this.#checkpointBehind([log])
    else await this.#checkpointTogether(behind)
    await this.writeNodeFiles()
    this.#progress.end()
    this.#isRunning = false
    this.#parts.observer.set(logMetrics.unscannedBytes, this.unscannedBytes)
    this.runIfDue()
    this.#parts.driver.poke()
  }

  /** The logs that a checkpoint is to cover: all that are behind, or of those that are held the ones whose frames are the oldest. */
  #takeBehind(isWhole: boolean): readonly UnifiedLog[] {
    const { held, dirty } = this.#parts
    const behind = [...this.#parts.logs()].filter((log) => log.logEndOffset > log.recoveryPoint)
    const { released, leavesSome } = this.#progress.begin(dirty.paths(), isWhole)
    return leavesSome ? behind.filter((log) => released.has(log) || !held.has(log)) : behind
  }

  /** A checkpoint of these logs at the moment when everything in their books has been submitted. */
  #checkpointBehind(logs: readonly UnifiedLog[]): Promise<void> {
    return this.#whenBehind(logs, (present) => this.#checkpointLogs(present, false))
  }

  /**
   * The side files of many logs go out a few at a time, then all their files are synced at once. Young index entries stay where they
   * are: writeNodeFiles keeps them, in one file.
   */
  async #checkpointTogether(logs: readonly UnifiedLog[]): Promise<void> {
    const { disk, driver, unfiledEntriesMax } = this.#parts
    const ends: LogEnd[] = []
    const epochs: EpochFile[] = []
    const entriesMax = Math.min(indexTailMax, Math.ceil(unfiledEntriesMax / [...this.#parts.logs()].length))
    const filed: string[] = []
    for (let at = 0; at < logs.length; at += logsPerGroup) {
      await this.#whenBehind(logs.slice(at, at + logsPerGroup), async (present) => {
        const grown = present
          .map(({ activeSegment }) => activeSegment)
          .filter(({ index }, turn) => index.unfiledOffsets > (entriesMax * (1 + (turn % indexTurns) / indexTurns)) / 2)
        for (const { indexPath, timeIndexPath } of grown) filed.push(indexPath, timeIndexPath)
        const writes = grown.map((segment) => indexWrites(segment, this.#parts.indexes))
        const changed = present.filter((log) => log.epochs.isDirty).map(takeEpochs)
        epochs.push(...changed)
        for (const log of present) ends.push(endOf(log))
        const operations = [...writes.flatMap((write) => write.operations), ...changed.map((file) => file.write)]
        // With nothing to write there is nothing to wait for but the loop.
        if (operations.length === 0) return nextTurn(this.#parts.clock)
        await disk.submit(operations)
        for (const write of writes) write.done()
      })
    }
    const records = ends.flatMap(({ log }) => this.#dirtyPaths(log))
    const replacements = epochs.map(({ sync }) => sync.path)
    // Beside the queue: what is written to so many files takes the medium longer than a commit may wait.
    await driver.syncFilesAside([...records, ...replacements])
    // Nothing is written to them for a while: their descriptors would cost the files of records theirs.
    for (const path of filed) disk.forget(path)
    for (let at = 0; at < epochs.length; at += logsPerTurn) {
      const present = epochs.slice(at, at + logsPerTurn).filter(({ log }) => !log.isDeleted)
      await disk.submit(present.map((file) => file.rename))
    }
    if (driver.hasStopped) throw new Error('the directory has failed during the checkpoint')
    for (const end of ends) setRecoveryPoint(end)
  }

  /** Runs the task when everything in the books of these logs has been submitted, with those that are still there. */
  #whenBehind(logs: readonly UnifiedLog[], run: (present: readonly UnifiedLog[]) => Promise<void>): Promise<void> {
    const { driver } = this.#parts
    return new Promise((resolve, reject) => {
      this.#isWaiting = true
      const task = (): void => {
        this.#isWaiting = false
        const present = logs.filter((log) => !log.isDeleted)
        driver.release(present)
        run(present).then(resolve, reject)
      }
      // A stop waits for this checkpoint: it must end also when the commits do not go on.
      driver.whenSubmitted(task, () => reject(new Error('the appends were given up before the checkpoint')))
      // Commits may have been held back; this checkpoint waits for them now.
      driver.poke()
    })
  }

  /** Everything in the books of these logs has been submitted: what is submitted now covers it. */
  async #checkpointLogs(logs: readonly UnifiedLog[], isFinal: boolean): Promise<void> {
    const { dirty, disk } = this.#parts
    const operations: DiskOperation[] = []
    const ends = logs.map(endOf)
    const paths = logs.flatMap((log) => this.#dirtyPaths(log))
    const writes = [...logs.flatMap((log) => this.#sideWrites(log, isFinal))]
    const syncs = paths.map((path): DiskOperation => ({ kind: 'sync', path }))
    const written = writes.flatMap((write) => write.operations)
    if (!isFinal) operations.push(...syncs, ...written)
    else {
      // The syncs stand together: the disk makes one flush of many.
      operations.push(
        ...written,
        ...logs.flatMap((log) => fileWrites(log.activeSegment)),
        ...logs.flatMap((log) => trimWrites(log.activeSegment)),
        ...syncs,
        ...logs.flatMap(finalSyncs),
      )
      const stale = logs.map(staleSnapshots)
      writes.push(...stale)
      operations.push(...stale.flatMap((write) => write.operations))
    }
    const complete = dirty.beginSync(paths)
    await disk.submit(operations)
    // A sync that succeeds behind one that failed says nothing of what that one had to write.
    if (this.#parts.driver.hasStopped) throw new Error('the directory has failed during the checkpoint')
    complete()
    for (const write of writes) write.done()
    for (const end of ends) setRecoveryPoint(end)
  }

  #dirtyPaths(log: UnifiedLog): readonly string[] {
    return log.segments.map((segment) => segment.logPath).filter((path) => this.#parts.dirty.has(path))
  }

  #sideWrites(log: UnifiedLog, isFinal: boolean): readonly Writes[] {
    const writes = [indexWrites(log.activeSegment, this.#parts.indexes), epochWrites(log)]
    if (isFinal && lacksSnapshot(log)) writes.push(snapshotWrites(log, log.logEndOffset, encodeSnapshot(log.producers)))
    return writes
  }

  async #finishSegment(
    log: UnifiedLog,
    segment: Segment,
    snapshot: { readonly offset: number; readonly bytes: Uint8Array },
  ): Promise<void> {
    const { dirty, disk, indexes } = this.#parts
    const writes = [indexWrites(segment, indexes), snapshotWrites(log, snapshot.offset, snapshot.bytes)]
    const complete = dirty.beginSync([segment.logPath])
    const files = [segment.logPath, segment.indexPath, segment.timeIndexPath, snapshotPath(log, snapshot.offset)]
    await disk.submit([
      ...trimWrites(segment),
      ...writes.flatMap((write) => write.operations),
      ...files.map((path): DiskOperation => ({ kind: 'sync', path })),
      { kind: 'syncDirectory', path: log.directory },
    ])
    complete()
    for (const write of writes) write.done()
    log.asideBytes += snapshot.bytes.length
    this.#parts.onAside(snapshot.bytes.length)
    for (const path of files) disk.forget(path)
  }

  async #write(writes: Writes): Promise<void> {
    if (writes.operations.length === 0) return
    await this.#parts.disk.submit(writes.operations)
    writes.done()
  }
}

/** What is in the books of a log: its recovery point when the sync that is submitted behind it has completed. */
interface LogEnd {
  readonly log: UnifiedLog
  readonly endOffset: number
  readonly snapshot: Uint8Array
  readonly chain: ChainPoint | null
}

function endOf(log: UnifiedLog): LogEnd {
  return { log, endOffset: log.logEndOffset, snapshot: encodeSnapshot(log.producers), chain: chainPointOf(log) }
}

function setRecoveryPoint({ log, endOffset, snapshot, chain }: LogEnd): void {
  log.recoveryPoint = endOffset
  log.recoverySnapshot = snapshot
  log.recoveryChain = chain
}

/** Snapshots that neither stand at a segment's start nor at the log's end: left by earlier stops. */
function staleSnapshots(log: UnifiedLog): Writes {
  const bases = new Set(log.segments.map((segment) => segment.baseOffset))
  const stale = log.snapshotOffsets.filter((offset) => offset !== log.logEndOffset && !bases.has(offset))
  return {
    operations: stale.map((offset) => ({ kind: 'unlink', path: snapshotPath(log, offset) })),
    done() {
      log.snapshotOffsets = log.snapshotOffsets.filter((offset) => !stale.includes(offset))
    },
  }
}

function lacksSnapshot(log: UnifiedLog): boolean {
  return log.logEndOffset > 0 && log.snapshotOffsets.at(-1) !== log.logEndOffset
}

function snapshotWrites(log: UnifiedLog, offset: number, bytes: Uint8Array): Writes {
  const path = snapshotPath(log, offset)
  return {
    operations: [{ kind: 'writeFile', path, bytes }],
    done() {
      if (log.snapshotOffsets.includes(offset)) return
      log.snapshotOffsets = [...log.snapshotOffsets, offset].sort((a, b) => a - b)
    },
  }
}

/** The file of a segment that nothing has been written to yet: its name keeps the log's end. */
function fileWrites(segment: Segment): readonly DiskOperation[] {
  if (segment.isOnDisk) return []
  segment.isOnDisk = true
  return [{ kind: 'writeFile', path: segment.logPath, bytes: new Uint8Array(0) }]
}

function finalSyncs(log: UnifiedLog): readonly DiskOperation[] {
  const segment = log.activeSegment
  const paths = [segment.indexPath, segment.timeIndexPath]
  if (log.logEndOffset > 0) paths.push(snapshotPath(log, log.logEndOffset))
  return [
    ...paths.map((path): DiskOperation => ({ kind: 'sync', path })),
    { kind: 'syncDirectory', path: log.directory },
  ]
}
