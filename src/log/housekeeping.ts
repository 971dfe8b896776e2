/**
 * What a directory does now and then: retention passes, forgetting idle producers, removing the files of what was deleted. Timers
 * live in memory; a pass that finds nothing to do writes nothing.
 */
import { asError } from '../base/errors.ts'
import { nextTurn } from '../base/next-turn.ts'
import { DiskError, type Ports, type Timer } from '../base/ports.ts'
import type { CommitDriver } from './commit-driver.ts'
import type { DirtyFiles } from './dirty-files.ts'
import { FileRemover } from './file-remover.ts'
import { logEvents } from './log-events.ts'
import { logMetrics } from './log-metrics.ts'
import type { ReaderParts } from './log-reader.ts'
import type { PatientDisk, PatientOptions } from './patient-disk.ts'
import type { Reservations } from './reservations.ts'
import { deleteBelowStart, dropOldest, giveUpKept, type Loss, type RetentionParts, retainLog } from './retention.ts'
import type { Segment } from './segment.ts'
import { offsetEntryBytes, timeEntryBytes } from './segment-index.ts'
import type { UnifiedLog } from './unified-log.ts'

/** As often as Kafka looks (producer.id.expiration.check.interval.ms). */
const producerCheckMs = 600_000
/** What cannot go is told, and nothing waits for it. */
const relief: PatientOptions = { lane: 'relief', mayBeRefused: true }
/** Logs looked at in one turn of the loop. */
const logsPerTurn = 512

export interface HousekeepingParts {
  readonly ports: Ports
  readonly disk: PatientDisk
  readonly logDirectory: string
  readonly dirty: DirtyFiles
  readonly driver: CommitDriver
  readonly reader: ReaderParts
  readonly reservations: Reservations
  readonly retentionCheckIntervalMs: number
  /** As it is by now. */
  readonly producerExpirationMs: () => number
  logs(): Iterable<UnifiedLog>
  roll(log: UnifiedLog): void
  /** Nothing may be written any more. */
  isStopped(): boolean
  onFailure(error: Error): void
}

export class Housekeeping {
  readonly #parts: HousekeepingParts
  readonly #retention: RetentionParts
  readonly #remover: FileRemover
  readonly #timers = new Set<Timer>()
  #pass: Promise<void> = Promise.resolve()
  /** Files that wait for their removal. */
  #goingBytes = 0
  /** Nothing may be given up. */
  isHeld = false

  constructor(parts: HousekeepingParts) {
    this.#parts = parts
    const later = this.later.bind(this)
    this.#remover = new FileRemover({ disk: parts.disk, later })
    this.#retention = {
      disk: parts.disk,
      clock: parts.ports.clock,
      observer: parts.ports.observer,
      dirty: parts.dirty,
      reader: parts.reader,
      whenSubmitted: (task, onDropped) => parts.driver.whenSubmitted(task, onDropped),
      later,
      remover: this.#remover,
      onGoing: (bytes) => {
        this.#goingBytes += bytes
      },
      roll: (log) => parts.roll(log),
    }
  }

  /** What the logs take, their indexes and what waits for its removal included. */
  usedBytes(): number {
    let bytes = this.#goingBytes
    for (const { segments } of this.#parts.logs()) {
      // By number: with 10,000 logs an iterator for each is most of what a look at the disk costs.
      for (let at = 0; at < segments.length; at++) bytes += usedBytesOf(segments[at] as Segment)
    }
    return bytes
  }

  /**
   * Gives up what retention has left for readers; where there is none of that, and it may, the oldest sealed segment of users' logs, once `record` has
   * answered true. Answers whether anything went.
   */
  async dropOldest(record: (loss: Loss) => Promise<boolean>, isKeptOnly: boolean): Promise<boolean> {
    if (this.isHeld) return false
    const logs = [...this.#parts.logs()]
    if (await giveUpKept(logs, this.#parts.ports.clock.wallMs(), this.#retention)) {
      this.#tellKept()
      return true
    }
    return isKeptOnly ? false : dropOldest(logs, record, this.#retention)
  }

  #tellKept(): void {
    let bytes = 0
    for (const log of this.#parts.logs()) bytes += log.keptBytes
    this.#parts.ports.observer.set(logMetrics.keptBytes, bytes)
  }

  start(): void {
    const { ports, retentionCheckIntervalMs, producerExpirationMs } = this.#parts
    const retain = (): void => {
      this.retain(ports.clock.wallMs()).catch((error: unknown) => this.#parts.onFailure(asError(error)))
      this.later(retentionCheckIntervalMs, retain)
    }
    this.later(retentionCheckIntervalMs, retain)
    const expire = (): void => {
      const nowMs = ports.clock.wallMs()
      if (ports.clock.wallTrusted()) {
        for (const log of this.#parts.logs()) log.producers.expire(nowMs, producerExpirationMs())
      }
      this.later(producerCheckMs, expire)
    }
    this.later(producerCheckMs, expire)
  }

  /** Ends the timers; resolves when the pass under way has ended. */
  stop(): Promise<void> {
    for (const timer of this.#timers) this.#parts.ports.clock.cancel(timer)
    this.#timers.clear()
    return this.#pass
  }

  /** One retention pass over all logs, behind those asked for before. */
  retain(nowMs: number): Promise<void> {
    const pass = this.#pass.then(async () => {
      for (const [index, log] of [...this.#parts.logs()].entries()) {
        if (this.#parts.isStopped() || this.isHeld) return
        await retainLog(log, nowMs, this.#retention)
        this.#parts.reservations.tend(log)
        if (index % logsPerTurn === logsPerTurn - 1) await nextTurn(this.#parts.ports.clock)
      }
      this.#tellKept()
    })
    this.#pass = pass.catch((error: unknown) => this.#parts.onFailure(asError(error)))
    return pass
  }

  /** Gives up the segments that lie wholly below the log's start. */
  deleteBelowStart(log: UnifiedLog): Promise<void> {
    return deleteBelowStart(log, this.#retention)
  }

  /** Runs the task once, unless the directory is closed or fails before. */
  later(delayMs: number, task: () => void): void {
    if (this.#parts.isStopped()) return
    const timer = this.#parts.ports.clock.schedule(delayMs, () => {
      this.#timers.delete(timer)
      if (!this.#parts.isStopped()) task()
    })
    this.#timers.add(timer)
  }

  /** Removes the folders of deleted logs. What cannot be removed now is tried again at the next start. */
  purge(names: readonly string[]): void {
    for (const name of names) this.#purgeOne(name).catch((error: unknown) => this.#tellLeft(name, error))
  }

  /** The same for one log that was deleted now, when the delay has passed. */
  purgeLater(name: string, delayMs: number, bytes: number): void {
    this.#goingBytes += bytes
    this.later(delayMs, () => {
      this.#purgeOne(name)
        .then(() => {
          this.#goingBytes -= bytes
        })
        .catch((error: unknown) => this.#tellLeft(name, error))
    })
  }

  #tellLeft(name: string, error: unknown): void {
    if (this.#parts.isStopped()) return
    this.#parts.ports.observer.event(logEvents.removalFailed, { name, error: asError(error).message })
  }

  async #purgeOne(name: string): Promise<void> {
    const { disk, logDirectory } = this.#parts
    const folder = `${logDirectory}/${name}`
    await this.#empty(folder)
    await disk.submit([{ kind: 'removeDirectory', path: folder }], relief)
    disk.retry()
  }

  /** As Apache Kafka does with folders that somebody has made there: they go, and a link goes without what it names. Bound: the length of a path. */
  async #empty(folder: string): Promise<void> {
    const { disk } = this.#parts
    const entries = await disk.list(folder)
    const files = entries.filter((entry) => !entry.isDirectory).map((entry) => `${folder}/${entry.name}`)
    const sizes = await Promise.all(files.map((path) => disk.size(path)))
    await this.#remover.remove(files.map((path, index) => ({ path, bytes: sizes[index] ?? 0 })))
    for (const { name, isDirectory } of entries) {
      if (!isDirectory) continue
      const path = `${folder}/${name}`
      try {
        await this.#remover.removeNow({ path, bytes: 0 })
      } catch (thrown) {
        if (!(thrown instanceof DiskError) || thrown.code !== 'EISDIR') throw thrown
        await this.#empty(path)
        await disk.submit([{ kind: 'removeDirectory', path }], relief)
      }
    }
  }
}

function usedBytesOf({ sizeInBytes, reservedBytes, index }: Segment): number {
  const indexBytes = index.offsetEntries * offsetEntryBytes + index.timeEntries * timeEntryBytes
  return Math.max(sizeInBytes, reservedBytes) + indexBytes
}
