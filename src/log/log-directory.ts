/**
 * The log engine of one data directory: opens it, owns its logs, appends to them, keeps them within their retention, and leaves
 * them so that the next start (ours or Apache Kafka's) finds them whole.
 */
import { assert } from '../base/assert.ts'
import { ApplianceError, asError } from '../base/errors.ts'
import { uuidFromString } from '../base/ids.ts'
import { DiskError, type DiskOperation, type Ports } from '../base/ports.ts'
import { type Gate, passEach, refuseSet } from './append-gate.ts'
import type { AppendEntry, AppendOutcome } from './append.ts'
import { AsideBytes } from './aside-bytes.ts'
import { Ballast } from './ballast.ts'
import { Checkpointer } from './checkpointer.ts'
import { compactionOptions } from './compaction/compaction-options.ts'
import { Compactor } from './compaction/compactor.ts'
import { CommitDriver, type CommitFigures } from './commit-driver.ts'
import { CommitJournal } from './commit-journal.ts'
import { damageOf, examineWritten, type KnownDamage, type WrittenParts } from './damage-finder.ts'
import { DigestFile } from './digest-file.ts'
import { loadDirectory, reportOpened } from './directory-loader.ts'
import { DirtyFiles } from './dirty-files.ts'
import { checkpointPaceOf, journalOptionsOf, type LogCreation, type LogDirectoryOptions } from './directory-options.ts'
import { type DirectoryDisk, diskOf } from './held-reads.ts'
import { Housekeeping } from './housekeeping.ts'
import type { Identity } from './identity.ts'
import { IndexCache } from './index-cache.ts'
import { appendEach, type AppendParts, appendSet, roll } from './log-append.ts'
import { unclaimedLogConfig } from './log-config.ts'
import { logErrors } from './log-errors.ts'
import { logEvents } from './log-events.ts'
import { deletedLogName } from './log-files.ts'
import { LogMaker } from './log-maker.ts'
import { LogStartFile } from './log-start-file.ts'
import { logMetrics } from './log-metrics.ts'
import { cleanShutdownWrites, type HeldDirectory, holdDirectory, markerRemoval, openFailure } from './directory-hold.ts'
import { mayPass, type PatientOptions } from './patient-disk.ts'
import { Reservations } from './reservations.ts'
import { noScrub, Scrubber } from './scrubber.ts'
import type { Segment } from './segment.ts'
import { stateFileNames, temporariesOf } from './side-files.ts'
import { SpaceGuard, type SpaceReport } from './space-guard.ts'
import type { Loss } from './retention.ts'
import { TailCache } from './tail-cache.ts'
import type { LogHome, UnifiedLog } from './unified-log.ts'

export type { LogCreation, LogDirectoryOptions } from './directory-options.ts'

type LogPorts = Ports & DirectoryDisk

export class LogDirectory {
  readonly logDirectory: string
  readonly stateDirectory: string
  readonly clusterId: string
  readonly directoryId: string
  readonly nodeId: number
  /** The last stop was clean. */
  readonly wasClean: boolean
  /** This start has formatted the directory. */
  readonly isNew: boolean
  /** Broker epoch in the marker of the last clean stop (KIP-966); -1 = none. */
  readonly previousBrokerEpoch: number
  readonly #ports: LogPorts
  readonly #options: LogDirectoryOptions
  readonly #held: HeldDirectory
  readonly #logs = new Map<string, UnifiedLog>()
  readonly #dirty = new DirtyFiles()
  readonly #journal: CommitJournal
  readonly #driver: CommitDriver
  readonly #checkpointer: Checkpointer
  readonly #indexes: IndexCache
  readonly #digests: DigestFile
  readonly #tails: TailCache
  readonly #logStarts: LogStartFile
  readonly #reservations: Reservations
  readonly #housekeeping: Housekeeping
  readonly #maker: LogMaker
  readonly compactor: Compactor
  readonly scrubber: Scrubber
  readonly #guard: SpaceGuard
  readonly #home: LogHome
  readonly #appendParts: AppendParts
  readonly #listeners: ((error: Error) => void)[] = []
  #failure: Error | null = null
  #isClosed = false
  #onLoss: (loss: Loss) => Promise<boolean> = () => Promise.resolve(false)
  #recoveryMs = 0

  /**
   * Takes the lock, checks the identity, replays the journal, loads and recovers all logs. Throws an ApplianceError when the
   * directory is in use, cannot be used, or is of another cluster, node or format.
   */
  static async open(options: LogDirectoryOptions, ports: Ports): Promise<LogDirectory> {
    const startMs = ports.clock.monotonicMs()
    const held = await holdDirectory(options, ports)
    try {
      const directory = new LogDirectory(options, { ...ports, ...diskOf(ports, held) }, held)
      await directory.#load(startMs)
      return directory
    } catch (thrown) {
      await held.release()
      throw thrown instanceof DiskError ? openFailure(options.dataDir, thrown) : thrown
    }
  }

  private constructor(options: LogDirectoryOptions, ports: LogPorts, held: HeldDirectory) {
    const identity: Identity = held.identity
    this.#ports = ports
    this.#options = options
    this.#held = held
    this.logDirectory = held.logDirectory
    this.stateDirectory = held.stateDirectory
    this.clusterId = identity.clusterId
    this.directoryId = identity.directoryId
    this.nodeId = identity.nodeId
    this.wasClean = held.brokerEpoch !== null || held.isNew
    this.isNew = held.isNew
    this.previousBrokerEpoch = held.brokerEpoch ?? -1
    this.#indexes = new IndexCache(options.indexCacheBytes ?? 8 * 1_048_576)
    this.#digests = new DigestFile(ports.disk, held.stateDirectory)
    this.#tails = new TailCache(options.tailCacheBytes ?? 8 * 1_048_576)
    this.#journal = new CommitJournal(ports.disk, journalOptionsOf(options, held), this.#dirty)
    const onFailure = (error: Error): void => this.#fail(error)
    const logs = (): Iterable<UnifiedLog> => this.#logs.values()
    const isStopped = (): boolean => this.#isClosed || this.#failure !== null
    const pace = checkpointPaceOf(options)
    const books = { journal: this.#journal, dirty: this.#dirty, held: ports.heldWrites }
    this.#driver = new CommitDriver(ports, books, {
      ...{ onFailure, ...pace, mayHold: () => this.#guard.hasRoom(pace.holdsWith) },
      ...{ mayCommit: () => this.#checkpointer.mayCommit, onReleased: () => this.#checkpointer.runIfDue() },
      ...{ onCommitted: (bytes) => this.#onCommitted(bytes), logs: () => [...this.#logs.values()] },
      onWritten: (batches) => this.#tails.written(batches),
    })
    this.#checkpointer = new Checkpointer({
      ...{ clock: ports.clock, disk: ports.disk, observer: ports.observer, driver: this.#driver },
      ...{ ...books, indexes: this.#indexes, digests: this.#digests },
      ...{ logDirectory: held.logDirectory, stateDirectory: held.stateDirectory },
      ...{ ...pace, logs, onFailure, onAside: (bytes) => this.#guard.onCommitted(bytes) },
    })
    this.#appendParts = {
      ...{ clock: ports.clock, entropy: ports.entropy, observer: ports.observer },
      ...{ driver: this.#driver, tails: this.#tails },
      onRoll: (log, sealed) => this.#onRoll(log, sealed),
    }
    this.#logStarts = new LogStartFile(ports.disk, held, logs)
    this.#home = this.#makeHome()
    this.#reservations = new Reservations({
      ...{ disk: ports.disk, observer: ports.observer, driver: this.#driver },
      ...{ roomBytes: () => this.#guard.roomBytes, isStopped, onFailure },
    })
    this.#maker = new LogMaker({
      ...{ clock: ports.clock, observer: ports.observer, disk: ports.disk, logDirectory: held.logDirectory },
      ...{ home: this.#home, logs: this.#logs, reservations: this.#reservations },
      forgetDeleted: (key) =>
        this.#checkpointer.forgetDeleted(key).catch((thrown: unknown) => this.#failAndThrow(thrown)),
      assertWritable: () => this.#assertWritable(),
      write: (operations) => this.#write(operations),
    })
    this.#housekeeping = new Housekeeping({
      ...{ ports, disk: ports.disk, logDirectory: held.logDirectory },
      ...{ dirty: this.#dirty, driver: this.#driver, reader: this.#home, reservations: this.#reservations },
      retentionCheckIntervalMs: options.retentionCheckIntervalMs ?? 300_000,
      producerExpirationMs: () => options.producerExpirationMs ?? 86_400_000,
      roll: (log) => this.#roll(log),
      ...{ logs, isStopped, onFailure },
    })
    this.compactor = this.#makeCompactor(isStopped)
    const scrub = { ports, options: options.scrub ?? noScrub, digests: this.#digests }
    this.scrubber = new Scrubber({ ...scrub, logs, reader: this.#home, isStopped })
    this.#guard = this.#makeGuard()
  }

  /** By `topic-partition`. */
  get logs(): ReadonlyMap<string, UnifiedLog> {
    return this.#logs
  }

  /** Time that opening took. */
  get recoveryMs(): number {
    return this.#recoveryMs
  }

  /** Why nothing can be written any more; null = all is well. */
  get failure(): Error | null {
    return this.#failure
  }

  /** Called once when the directory fails. */
  onFailure(listener: (error: Error) => void): void {
    this.#listeners.push(listener)
  }

  /**
   * Appends a set: validates all of it, gives offsets, and queues the commit; all or nothing, also after a crash. The answers are
   * final but not durable: wait for the log's `durableEndOffset`. Sets of one batch are independent of each other.
   */
  appendSet(entries: readonly AppendEntry[]): readonly AppendOutcome[] {
    return refuseSet(entries, this.#gate()) ?? appendSet(entries, this.#appendParts)
  }

  /** As many sets of one batch, in order: each is appended or refused for itself. */
  appendEach(entries: readonly AppendEntry[]): readonly AppendOutcome[] {
    return passEach(entries, this.#gate(), (passed) => appendEach(passed, this.#appendParts))
  }

  #gate(): Gate {
    const closed = this.#failure?.message ?? (this.#isClosed ? 'the data directory is being closed' : null)
    return { closed, ...this.#guard.gate(this.#driver.queuedBytes) }
  }

  /** Group commits since the start. */
  get commitFigures(): Readonly<CommitFigures> {
    return this.#driver.figures
  }

  /** What the directory takes, what it may take, and whether new data is refused for want of space. */
  get space(): SpaceReport {
    return this.#guard
  }

  /** Looks at the space now, and acts on it. */
  checkSpace(): Promise<void> {
    return this.#guard.check()
  }

  /** Writes down what is given up for want of space, before it goes; false = it cannot, and nothing goes. Without one nothing goes. */
  onLoss(recorder: (loss: Loss) => Promise<boolean>): void {
    this.#onLoss = recorder
  }

  /** Files of the rooms above: in the order of the directory's queue, and on a full disk they wait for room as everything here does. */
  async writeAside(operations: readonly DiskOperation[], options?: PatientOptions): Promise<void> {
    this.#assertWritable()
    await this.#write(operations, options)
  }

  /**
   * The same for a file that can be written another time: false when there is no room for it, and what it has left half done is removed.
   * An empty one (`sign`) is tried although others wait for room. Any other failure is the directory's.
   */
  async tryAside(operations: readonly DiskOperation[], lane: 'attempt' | 'sign' = 'attempt'): Promise<boolean> {
    this.#assertWritable()
    if (this.#ports.disk.lack !== null && lane === 'attempt') return false
    try {
      await this.#ports.disk.submit(operations, { lane })
      return true
    } catch (thrown) {
      if (!mayPass(thrown)) this.#failAndThrow(thrown)
      await this.#write(temporariesOf(operations), { lane: 'relief' })
      return false
    }
  }

  /** Bytes appended and not yet handed to the disk. */
  get queuedBytes(): number {
    return this.#driver.queuedBytes
  }

  /** Bytes that an unclean start would scan. */
  get unscannedBytes(): number {
    return this.#checkpointer.unscannedBytes
  }

  /** What is known to be damaged. */
  get damage(): KnownDamage {
    return damageOf(this.#logs.values())
  }

  /** Creates an empty log, durable when it resolves; an existing one of the same topic id is answered as it is. */
  createLog(creation: LogCreation): Promise<UnifiedLog> {
    return this.#maker.create(creation)
  }

  /** Takes the log out of service at once; its files go after file.delete.delay.ms. Resolves when it will not come back. */
  async deleteLog(log: UnifiedLog): Promise<void> {
    if (log.isDeleted || this.#logs.get(log.key) !== log) return
    this.#assertWritable()
    log.leave()
    this.#driver.forget(log)
    this.#logs.delete(log.key)
    this.#ports.observer.set(logMetrics.logs, this.#logs.size)
    const removed = this.#dirty.beginRemoval(log.segments.map((segment) => segment.logPath))
    for (const segment of log.segments) this.#indexes.forget(segment.indexPath)
    const name = deletedLogName(log.key, this.#ports.entropy.bytes(16))
    const folder = `${this.logDirectory}/${name}`
    const rename: DiskOperation = { kind: 'rename', from: log.directory, to: folder }
    const paths = log.segments.flatMap((each) => [each.logPath, each.indexPath, each.timeIndexPath])
    this.#ports.disk.dropCopies(log.directory)
    const lane = this.#ports.disk.isWaitingIn(log.directory) ? 'ordered' : 'relief'
    await this.#write([rename, { kind: 'syncDirectory', path: this.logDirectory }], { lane })
    removed()
    for (const path of paths) this.#ports.disk.forget(path)
    if (log.logStartOffset > 0) await this.#logStarts.write().catch((error: unknown) => this.#failAndThrow(error))
    this.#ports.observer.event(logEvents.logDeleted, { log: log.key })
    this.compactor.onDeleted(log)
    this.#checkpointer.onDeleted(log)
    this.#housekeeping.purgeLater(name, log.config.fileDeleteDelayMs, log.sizeInBytes)
  }

  /** While it is held nothing is given up or compacted, whatever the settings say. */
  holdDeletion(isHeld: boolean): void {
    this.#housekeeping.isHeld = isHeld
    if (isHeld) this.compactor.pause()
    else this.compactor.resume()
  }

  /** One retention pass over all logs. */
  retain(nowMs: number = this.#ports.clock.wallMs()): Promise<void> {
    return this.#housekeeping.retain(nowMs)
  }

  /**
   * A clean stop: commits what is queued, completes and syncs every file, empties the journal, and leaves the marker last. After
   * a failure it only lets go of the lock.
   */
  async close(brokerEpoch = -1): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    const background = [this.#housekeeping.stop(), this.compactor.stop(), this.scrubber.stop()]
    // What meets a full disk from now on, the ballast given up, is left to the recovery of the next start.
    this.#ports.disk.giveUp()
    try {
      await Promise.all(background)
      if (this.#failure === null) await this.#leaveClean(brokerEpoch)
    } catch (thrown) {
      this.#fail(asError(thrown))
    }
    this.#driver.stop()
    await this.#held.release()
  }

  async #leaveClean(brokerEpoch: number): Promise<void> {
    await this.#maker.idle()
    await this.#driver.idle()
    await this.#checkpointer.stop()
    await this.#logStarts.idle()
    // What was in the books when it failed is not on the disk: no file may say that it is.
    if (this.#failure === null) await this.#checkpointer.finishAll(this.wasClean)
    if (this.#failure !== null) return
    await this.#journal.reset(this.#ports.entropy.bytes(16))
    await this.#ports.disk.submit(cleanShutdownWrites(this.logDirectory, brokerEpoch))
  }

  async #load(startMs: number): Promise<void> {
    const { disk, clock, observer } = this.#ports
    await this.#guard.open()
    const loaded = await loadDirectory(
      {
        ...{ logDirectory: this.logDirectory, stateDirectory: this.stateDirectory },
        directoryId: uuidFromString(this.directoryId),
        isClean: this.wasClean,
        config: this.#options.config ?? unclaimedLogConfig,
      },
      { disk, clock, observer, home: this.#home, digests: this.#digests },
    )
    for (const log of loaded.logs) {
      this.#logs.set(log.key, log)
      // Topics of Kafka's own and of ours are stamped by this node.
      if (log.topic.startsWith('__') && log.maxTimestampMs > 0) clock.raiseWallFloor(log.maxTimestampMs)
    }
    await this.#journal.reset(this.#ports.entropy.bytes(16))
    await disk.submit([{ kind: 'syncDirectory', path: this.stateDirectory }])
    // Before anything that may have to wait for space: a commit may go past what waits.
    await disk.submit(markerRemoval(this.logDirectory))
    if (!this.wasClean || !loaded.hasKnownLogs) await this.#unlessLacking(this.#checkpointer.writeNodeFiles())
    if (loaded.leftovers.length > 0) await this.#unlessLacking(disk.submit(loaded.leftovers))
    if (loaded.hasStaleLogStarts) await this.#unlessLacking(this.#logStarts.write())
    await this.#guard.check()
    this.#housekeeping.purge(loaded.deletedNames)
    this.#housekeeping.start()
    await this.compactor.start()
    this.scrubber.start()
    disk.waitsForRefusals = true
    this.#recoveryMs = clock.monotonicMs() - startMs
    reportOpened(observer, { ...loaded, logs: this.#logs.size, ms: this.#recoveryMs, clean: this.wasClean })
  }

  /** A file that only helps is not waited for on a full disk: it is written in its place when there is room. */
  #unlessLacking(written: Promise<void>): Promise<void> {
    written.catch((thrown: unknown) => this.#fail(asError(thrown)))
    return this.#ports.disk.unlessLacking(written)
  }

  #makeGuard(): SpaceGuard {
    const { stateDirectory: directory } = this.#held
    const ballast = { directory, path: `${directory}/${stateFileNames.ballast}` }
    const { disk, clock } = this.#ports
    const aside = new AsideBytes({ ...{ disk, clock }, ...this.#held, logs: () => this.#logs.values() })
    return new SpaceGuard({
      ...{ disk, clock, observer: this.#ports.observer },
      ...{ dataDir: this.#options.dataDir, options: this.#options.space ?? {} },
      ballast: new Ballast(this.#ports.disk, ballast, this.#options.space?.ballastBytes ?? 0),
      usedBytes: () => this.#journal.sizeSoon + this.#housekeeping.usedBytes() + aside.bytes,
      ...{ passingBytes: () => this.compactor.cleaningBytes, measure: (isDue) => aside.look(isDue) },
      pendingBytes: () => this.#driver.pendingBytes,
      heldBytes: () => this.#ports.heldWrites.lackingBytes,
      dropOldest: (isKeptOnly) => this.#housekeeping.dropOldest(this.#onLoss, isKeptOnly),
      ...{ isStopped: () => this.#isClosed || this.#failure !== null, onFailure: (error) => this.#fail(error) },
    })
  }

  #makeCompactor(isStopped: () => boolean): Compactor {
    return new Compactor({
      ports: this.#ports,
      ...{ logDirectory: this.logDirectory, stateDirectory: this.stateDirectory },
      ...{ journal: this.#journal, dirty: this.#dirty, checkpointer: this.#checkpointer, reader: this.#home },
      digests: this.#digests,
      options: compactionOptions(this.#options.compaction),
      ...{ logs: () => this.#logs.values(), isStopped, onFailure: (error: Error) => this.#fail(error) },
    })
  }

  #makeHome(): LogHome {
    const { disk, clock, observer, compute } = this.#ports
    const seal = (log: UnifiedLog): void => {
      if (this.#failure === null && !this.#isClosed) this.#roll(log)
    }
    const digestsOf: WrittenParts['digestsOf'] = (log) => this.#digests.of(log)
    return {
      ...{ disk, clock, observer, compute, indexes: this.#indexes },
      ...{ nextCommit: () => this.#driver.nextCommit(), isCommitting: () => this.#driver.isCommitting },
      indexRebuilt: (log, segment) => {
        if (this.#failure === null && !this.#isClosed) this.#checkpointer.onIndexRebuilt(log, segment)
      },
      examine: (log, segment) =>
        examineWritten(log, segment, { disk, observer, driver: this.#driver, seal, digestsOf }),
      deleteRecordsBefore: (log, offset) => this.#deleteRecordsBefore(log, offset),
    }
  }

  async #deleteRecordsBefore(log: UnifiedLog, offset: number): Promise<number> {
    assert(offset <= log.logEndOffset, 'records beyond the end cannot be deleted')
    const before = log.logStartOffset
    if (offset <= before || log.isDeleted) {
      // It may stand there by a call whose write is still under way.
      await this.#logStarts.idle().catch((error: unknown) => this.#failAndThrow(error))
      return before
    }
    this.#assertWritable()
    log.logStartOffset = offset
    log.epochs.truncateStart(offset)
    try {
      await this.#logStarts.write()
      await this.#housekeeping.deleteBelowStart(log)
    } catch (thrown) {
      this.#failAndThrow(thrown)
    }
    // Not the log's start: another call may have moved it since, and that is not durable yet.
    return offset
  }

  #roll(log: UnifiedLog): void {
    roll(log, this.#ports.clock.wallMs(), this.#appendParts)
  }

  #onRoll(log: UnifiedLog, sealed: Segment): void {
    this.#ports.observer.event(logEvents.segmentRolled, { log: log.key, baseOffset: log.activeSegment.baseOffset })
    this.#checkpointer.onSealed(log, sealed)
    this.#reservations.tend(log)
  }

  #onCommitted(bytes: number): void {
    this.#checkpointer.onCommitted(bytes)
    this.#guard.onCommitted(bytes)
    this.#ports.observer.set(logMetrics.journalLiveBytes, this.#journal.liveBytes)
    this.#ports.observer.set(logMetrics.unscannedBytes, this.#checkpointer.unscannedBytes)
  }

  async #write(operations: readonly DiskOperation[], options?: PatientOptions): Promise<void> {
    try {
      await this.#ports.disk.submit(operations, options)
    } catch (thrown) {
      this.#failAndThrow(thrown)
    }
  }

  #assertWritable(): void {
    if (this.#failure !== null) throw new ApplianceError(logErrors.directoryFailed, { reason: this.#failure.message })
    if (this.#isClosed) throw new ApplianceError(logErrors.directoryClosed)
  }

  #failAndThrow(thrown: unknown): never {
    const error = asError(thrown)
    this.#fail(error)
    throw new ApplianceError(logErrors.directoryFailed, { reason: error.message }, { cause: error })
  }

  /** A failed write or sync is final (safety.md R6): nothing is acknowledged any more, reads go on. */
  #fail(error: Error): void {
    if (this.#failure !== null) return
    this.#failure = error
    this.#driver.stop()
    if (this.#isClosed && (mayPass(error) || (error instanceof DiskError && error.code === 'ECANCELED'))) {
      this.#ports.observer.event(logEvents.leftFull, { error: error.message })
      return
    }
    this.#ports.observer.event(logEvents.directoryFailed, { error: error.message })
    this.#ports.observer.set(logMetrics.directoryOffline, 1)
    for (const listener of this.#listeners) listener(error)
  }
}
