/**
 * `preallocate`: the blocks of a whole segment are taken when it begins, without a change of the file's size, so that a file system that
 * others fill too does not run out in the middle of it. Given back when the segment is sealed and at every stop: no file has a tail that
 * Apache Kafka would trip over. It never stands in the way: where there is no room, or the file system cannot do it, that is told and
 * the segment grows as any other.
 */
import { asError } from '../base/errors.ts'
import { DiskError, type DiskOperation, type Observer } from '../base/ports.ts'
import type { CommitDriver } from './commit-driver.ts'
import { logEvents } from './log-events.ts'
import { mayPass, type PatientDisk } from './patient-disk.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Segments before the active one whose blocks a crash may have kept: older ones were given back long before. */
const sealedTrimmed = 4

export interface ReservationParts {
  readonly disk: PatientDisk
  readonly observer: Observer
  readonly driver: Pick<CommitDriver, 'whenSubmitted'>
  /** Bytes that may still be taken. */
  roomBytes(): number
  isStopped(): boolean
  onFailure(error: Error): void
}

export class Reservations {
  readonly #parts: ReservationParts

  constructor(parts: ReservationParts) {
    this.#parts = parts
  }

  /** A log is opened, its settings have changed, or a segment has begun: behind what creates its file. */
  tend(log: UnifiedLog): void {
    if (!log.config.preallocate && log.activeSegment.reservedBytes === 0) return
    this.#parts.driver.whenSubmitted(
      () => void this.#tend(log).catch((error: unknown) => this.#parts.onFailure(asError(error))),
      () => {},
    )
  }

  /** The same for a log that a start has found: a crash may have left blocks behind the ends of its files. */
  async onOpened(log: UnifiedLog): Promise<void> {
    if (!log.config.preallocate) return
    const sealed = log.segments.slice(-1 - sealedTrimmed, -1).filter((segment) => !log.damage.touches(segment.logPath))
    await this.#attempt(log, sealed.map(trimOf))
    this.tend(log)
  }

  async #tend(log: UnifiedLog): Promise<void> {
    const { activeSegment: segment, config } = log
    if (log.isDeleted || this.#parts.isStopped() || !segment.isOnDisk) return
    const wanted = config.preallocate ? config.segmentBytes : 0
    if (wanted === 0) {
      segment.reservedBytes = 0
      await this.#attempt(log, [trimOf(segment)])
      return
    }
    const more = wanted - Math.max(segment.reservedBytes, segment.sizeInBytes)
    if (segment.reservedBytes >= wanted || more <= 0) return
    if (more > this.#parts.roomBytes()) {
      this.#tell(log, `${more} bytes are more than the budget of the directory has left`)
      return
    }
    // Counted at once: it must not be promised twice.
    segment.reservedBytes = wanted
    if (!(await this.#attempt(log, [{ kind: 'reserve', path: segment.logPath, size: wanted }])))
      segment.reservedBytes = 0
    else log.isUnreserved = false
  }

  async #attempt(log: UnifiedLog, operations: readonly DiskOperation[]): Promise<boolean> {
    if (operations.length === 0) return true
    try {
      await this.#parts.disk.submit(operations, { lane: 'attempt' })
      return true
    } catch (thrown) {
      // Deleted meanwhile, or nothing that this file system has.
      const isHarmless = thrown instanceof DiskError && (thrown.code === 'ENOENT' || thrown.code === 'EOPNOTSUPP')
      if (!mayPass(thrown) && !isHarmless) throw thrown
      if (!log.isDeleted) this.#tell(log, thrown.message)
      return false
    }
  }

  #tell(log: UnifiedLog, reason: string): void {
    if (log.isUnreserved) return
    log.isUnreserved = true
    this.#parts.observer.event(logEvents.notReserved, { log: log.key, reason })
  }
}

/** Gives back the blocks behind the end of a segment's file. */
export function trimOf(segment: Segment): DiskOperation {
  return { kind: 'truncate', path: segment.logPath, size: segment.sizeInBytes }
}

/** What giving back takes, in the turn that submits it; nothing for a segment that has none. */
export function trimWrites(segment: Segment): readonly DiskOperation[] {
  if (segment.reservedBytes === 0) return []
  segment.reservedBytes = 0
  return [trimOf(segment)]
}
