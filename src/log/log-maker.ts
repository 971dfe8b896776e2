/** Creates empty logs: their folder, first segment and topic id, durable before anything is appended. */
import { ApplianceError } from '../base/errors.ts'
import { topicPartitionKey } from '../base/ids.ts'
import type { Clock, DiskOperation, Observer } from '../base/ports.ts'
import type { LogCreation } from './directory-options.ts'
import { logErrors } from './log-errors.ts'
import { logEvents } from './log-events.ts'
import { logMetrics } from './log-metrics.ts'
import type { PatientDisk } from './patient-disk.ts'
import type { Reservations } from './reservations.ts'
import { Segment } from './segment.ts'
import { adoptTopicId, topicIdFile } from './topic-id-file.ts'
import { type LogHome, UnifiedLog } from './unified-log.ts'

export interface LogMakerParts {
  readonly clock: Clock
  readonly observer: Observer
  readonly disk: PatientDisk
  readonly logDirectory: string
  readonly home: LogHome
  readonly reservations: Reservations
  /** Logs that are there, by `topic-partition`: a created one is put in. */
  readonly logs: Map<string, UnifiedLog>
  /** Resolves when the recovery points speak of no deleted log of this name. */
  forgetDeleted(key: string): Promise<void>
  /** Throws when nothing can be written any more. */
  assertWritable(): void
  /** Its failure is the directory's. */
  write(operations: readonly DiskOperation[]): Promise<void>
}

/** Logs made in one group of operations: they share its syncs, and commits come between the groups. */
const logsPerGroup = 64

interface WaitingLog {
  readonly log: UnifiedLog
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class LogMaker {
  readonly #parts: LogMakerParts
  #waiting: WaitingLog[] = []
  #isWriting = false
  /** Bound: a creation is a part of a command of the controller. */
  readonly #underWay = new Map<string, Promise<UnifiedLog>>()

  constructor(parts: LogMakerParts) {
    this.#parts = parts
  }

  /** Creates an empty log, durable when it resolves; an existing one of the same topic id is answered as it is. */
  create(creation: LogCreation): Promise<UnifiedLog> {
    const key = topicPartitionKey(creation.topic, creation.partition)
    const existing = this.#parts.logs.get(key)
    if (existing !== undefined) return this.#adopt(existing, creation)
    const underWay = this.#underWay.get(key)
    if (underWay !== undefined) return underWay
    const created = this.#create(key, creation).finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, created)
    return created
  }

  /** Resolves when none is being created. */
  async idle(): Promise<void> {
    await Promise.allSettled([...this.#underWay.values()])
  }

  async #adopt(log: UnifiedLog, creation: LogCreation): Promise<UnifiedLog> {
    const writes = adoptTopicId(log, creation.topicId)
    if (writes.length > 0) await this.#parts.write(writes)
    log.updateConfig(creation.config)
    await this.#parts.reservations.onOpened(log)
    return log
  }

  async #create(key: string, creation: LogCreation): Promise<UnifiedLog> {
    const { clock, observer, disk, logDirectory, home, logs } = this.#parts
    this.#parts.assertWritable()
    if (disk.lack !== null) throw new ApplianceError(logErrors.directoryFull, { reason: disk.lack.message })
    await this.#parts.forgetDeleted(key)
    const directory = `${logDirectory}/${key}`
    const log = new UnifiedLog({ ...creation, directory }, creation.config, home)
    const segment = new Segment(directory, 0, clock.wallMs())
    log.segments = [segment]
    await this.#write(log)
    logs.set(key, log)
    observer.set(logMetrics.logs, logs.size)
    observer.event(logEvents.logCreated, { log: key })
    this.#parts.reservations.tend(log)
    return log
  }

  /** Makes its folder and files, durably; together with those of others that are created in the same turn, or meanwhile. */
  #write(log: UnifiedLog): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ log, resolve, reject })
      if (this.#isWriting) return
      this.#isWriting = true
      this.#parts.clock.defer(() => void this.#writeWaiting())
    })
  }

  async #writeWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, logsPerGroup)
      try {
        const logs = group.map(({ log }) => log)
        await this.#parts.write(creationOf(logs, this.#parts.logDirectory))
        for (const { resolve } of group) resolve()
      } catch (error) {
        for (const { reject } of group) reject(error)
      }
    }
    this.#isWriting = false
  }
}

/** What is of one kind stands together: syncs that follow one another can be one flush of the file system. */
function creationOf(logs: readonly UnifiedLog[], logDirectory: string): readonly DiskOperation[] {
  const ids = logs.map(({ directory, topicId }) => topicIdFile(directory, topicId))
  return [
    ...logs.map(({ directory }): DiskOperation => ({ kind: 'makeDirectory', path: directory })),
    ...logs.map(
      ({ activeSegment }): DiskOperation => ({ kind: 'writeFile', path: activeSegment.logPath, bytes: noBytes }),
    ),
    ...ids.map(({ write }) => write),
    ...ids.flatMap(({ syncs }) => syncs),
    { kind: 'syncDirectory', path: logDirectory },
  ]
}

const noBytes = new Uint8Array(0)
