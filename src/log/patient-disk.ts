/**
 * The disk of one data directory, as its engine sees it: a full disk is a slow disk, and so is one on which the system refuses to open a
 * file or to change a name (owner or mode were changed, there is no descriptor left). A group that meets such a lack stops where it is, everything submitted behind it waits in its order, and it is tried again until space returns; so no promise of the order of
 * the queue is lost, and no commit is answered that is not on the disk. Any other failure goes to whoever submitted the group.
 * A failed sync is the end (safety.md R6): what stands behind it may count on what it was to make durable, so nothing of it is done.
 *
 * How the order is kept: a group that is sent to the port while another is there needs the one before it. So one failure cancels
 * all that is in the port, and the groups are sent again in the same order, the failed one from its failed operation on.
 *
 * Three kinds of group may go past what waits, because nothing that waits depends on them:
 * - `relief`: removes files that no waiting group speaks of; it is how space comes back
 * - `sign`: makes an empty file that no waiting group speaks of, for which many a full disk has room
 * - `commit` with nothing but a journal frame, while no earlier commit waits: the journal's room is there already
 */
import { asError } from '../base/errors.ts'
import type {
  Clock,
  DirectoryEntry,
  Disk,
  DiskOperation,
  LockOutcome,
  RefusedPath,
  SubmitOptions,
} from '../base/ports.ts'
import { DiskError } from '../base/ports.ts'

/** No space, no quota, a file at its largest: nothing is wrong with the device. */
const spaceCodes: ReadonlySet<string> = new Set(['ENOSPC', 'EDQUOT', 'EFBIG'])
/** The system did not open it, or changed no name: nothing has been done, so it can be tried again once owner, mode or limits are what they were. */
const refusalCodes: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'EMFILE', 'ENFILE'])
/** What waits for space is tried again this often. */
const retryMs = 1000

/**
 * Did the operation fail for want of space only? A failed sync is never that, whatever its code: what it did not write is called
 * clean from then on (safety.md R6).
 */
export function isSpaceError(error: unknown): error is DiskError {
  return (
    error instanceof DiskError &&
    spaceCodes.has(error.code) &&
    error.operation !== 'sync' &&
    error.operation !== 'syncDirectory'
  )
}

/** A lack of space, or a refusal: it may pass, and nothing is lost by waiting. */
export function mayPass(error: unknown): error is DiskError {
  return isSpaceError(error) || isRefusal(error)
}

/** Also of a sync: it has not been asked for then. */
export function isRefusal(error: unknown): boolean {
  return error instanceof DiskError && refusalCodes.has(error.code)
}

/** A group that was submitted, for others to count on. */
export interface Submitted {
  readonly hasFailed: boolean
}

export interface PatientOptions extends SubmitOptions {
  /** As `needsPrevious`, of a group that need not be the one right before. */
  readonly needs?: Submitted | null
  /** `ordered` when omitted. An `attempt` and a `sign` do not wait for space: they are rejected when they meet a lack. */
  readonly lane?: 'ordered' | 'relief' | 'commit' | 'attempt' | 'sign'
  /** A refusal is told to the caller, who can do without: nothing else waits for that. */
  readonly mayBeRefused?: boolean
  /** Of a commit: it writes one journal frame and nothing else. */
  readonly isFrameOnly?: boolean
}

interface Group extends Submitted {
  /** What is still to be done. */
  operations: readonly DiskOperation[]
  readonly options: PatientOptions
  /** The one that it needs, while that matters. */
  previous: Submitted | null
  /** Rejected for good. */
  hasFailed: boolean
  isInPort: boolean
  /** It may go past the others and has met a lack of space itself since the last try. */
  wasTried: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

const chained: SubmitOptions = { needsPrevious: true }
const ordered: PatientOptions = {}
const none: readonly DiskOperation[] = []

/** How the bytes of files are looked at. */
export type DiskReads = Pick<Disk, 'read' | 'readHot' | 'size'>

export class PatientDisk implements Disk {
  readonly #port: Disk
  readonly #reads: DiskReads
  readonly #clock: Clock
  /** Not settled yet, in the order of submission. Bounded by those who submit, as in the port. */
  readonly #groups: Group[] = []
  #inPort = 0
  /** The group that the port ended last has failed. */
  #hasLastFailed = false
  /** Syncs beside the queue: when one fails, nothing that is in the port is done any more. */
  #asides = 0
  #last: Group | null = null
  /** Something was cancelled or waits for space: nothing is sent until the port is empty. */
  #isHolding = false
  /** The sync that failed: nothing is written any more. */
  #ended: Error | null = null
  #lack: DiskError | null = null
  #isRetryDue = false
  #isGivingUp = false
  /** While giving up: the ballast has been asked for, the next lack is final. */
  #hasTriedLast = false
  #isTimerSet = false
  /** At most as many as a start has steps. */
  #lackWaiters: (() => void)[] = []
  /** Done when a sync has failed, past everything else: what the next start is to know of it. */
  readonly #lastWords: readonly DiskOperation[]
  /** Of a start a refusal is the end; whoever is served waits until it has passed. */
  waitsForRefusals = false
  /** Called when the first group meets a lack of space, and when the last one waiting for it goes on. */
  onLack: (error: DiskError) => void = () => {}
  onSpace: () => void = () => {}

  constructor(
    { port, reads }: { readonly port: Disk; readonly reads: DiskReads },
    clock: Clock,
    lastWords: readonly DiskOperation[] = none,
  ) {
    this.#port = port
    this.#reads = reads
    this.#lastWords = lastWords
    this.#clock = clock
  }

  /** What waits for space, as the first operation that met the lack; null = nothing does. */
  get lack(): DiskError | null {
    return this.#lack
  }

  submit(operations: readonly DiskOperation[], options: PatientOptions = ordered): Promise<void> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      const group: Group = {
        operations,
        options,
        previous: options.needs ?? (options.needsPrevious === true ? this.#last : null),
        hasFailed: false,
        isInPort: false,
        wasTried: false,
        resolve,
        reject,
      }
      this.#last = group
      this.#groups.push(group)
      if (this.#isHolding) this.#pump()
      else this.#send(group)
    })
  }

  /** The group that was submitted last. */
  get newest(): Submitted | null {
    return this.#last
  }

  /** Tries now what waits for space. */
  retry(): void {
    if (this.#lack === null) return
    this.#isRetryDue = true
    for (const group of this.#groups) group.wasTried = false
    this.#pump()
  }

  /** The directory is being left: what still meets a lack of space, after one more try, is rejected, and so is all behind it. */
  giveUp(): void {
    this.#isGivingUp = true
    this.retry()
  }

  /** Resolves with the promise, or at once when its group waits for space: what it was to do is done later, in its place. */
  unlessLacking(promise: Promise<void>): Promise<void> {
    if (this.#lack !== null) return Promise.resolve()
    return new Promise((resolve, reject) => {
      this.#lackWaiters.push(resolve)
      promise.then(resolve, reject)
    })
  }

  /** Does a group that has not completed speak of one of these paths? */
  isWaitingFor(paths: ReadonlySet<string>): boolean {
    return this.#groups.some((group) => group.operations.some((operation) => paths.has(pathOf(operation))))
  }

  /** The same of any path in this folder. */
  isWaitingIn(folder: string): boolean {
    const prefix = `${folder}/`
    return this.#groups.some(({ operations }) => operations.some((operation) => pathOf(operation).startsWith(prefix)))
  }

  /** Files in this folder are wanted no more: copies to them that wait for space are not made. */
  dropCopies(folder: string): void {
    const prefix = `${folder}/`
    const isDropped = (operation: DiskOperation): boolean =>
      operation.kind === 'copy' && operation.path.startsWith(prefix)
    for (const group of this.#groups)
      if (!group.isInPort && group.operations.some(isDropped))
        group.operations = group.operations.filter((operation) => !isDropped(operation))
  }

  /** Is the file made by a group that has not completed? */
  isWaitingToMake(path: string): boolean {
    return this.#groups.some(({ operations }) =>
      operations.some((operation) => operation.kind === 'writeFile' && operation.path === path),
    )
  }

  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#reads.read(path, position, length, into)
  }

  readHot(path: string, position: number, length: number): Uint8Array | null {
    return this.#reads.readHot(path, position, length)
  }

  readFile(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#port.readFile(path, bytesMax)
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#port.list(path)
  }

  size(path: string): Promise<number | null> {
    return this.#reads.size(path)
  }

  refusals(paths: readonly string[]): Promise<readonly RefusedPath[]> {
    return this.#port.refusals(paths)
  }

  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#port.space(path)
  }

  lock(path: string): Promise<LockOutcome> {
    return this.#port.lock(path)
  }

  /**
   * Syncs beside the queue what was submitted before to these files, also what waits for space. What is submitted meanwhile goes on; a
   * failure is that of a sync.
   */
  async syncAside(paths: readonly string[]): Promise<void> {
    await this.submit(none)
    if (this.#ended !== null) throw this.#ended
    this.#asides++
    try {
      await this.#port.syncAside(paths)
    } catch (error) {
      if (isRefusal(error) && this.waitsForRefusals && !this.#isGivingUp) {
        await new Promise<void>((resolve) => void this.#clock.schedule(retryMs, resolve))
        return await this.syncAside(paths)
      }
      this.#end(this.#ended ?? asError(error))
      throw error
    } finally {
      this.#asides--
    }
  }

  forget(path: string): void {
    this.#port.forget(path)
  }

  #send(group: Group): void {
    if (group.previous?.hasFailed === true) {
      this.#rejectForGood(group, cancelled(group))
      this.#pump()
      return
    }
    group.isInPort = true
    // Behind a group that has failed, and is known to have, nothing is chained: it would be cancelled as often as it is sent.
    const isChained = this.#inPort > 0 || (this.#asides > 0 && !this.#hasLastFailed)
    this.#inPort++
    this.#port.submit(group.operations, isChained ? chained : undefined).then(
      () => this.#done(group),
      (error: unknown) => this.#failed(group, error as Error),
    )
  }

  #done(group: Group): void {
    this.#inPort--
    this.#hasLastFailed = false
    this.#remove(group)
    group.resolve()
    if (!this.#isHolding) return
    const wasRetried = this.#lack !== null && this.#isRetried === group
    if (wasRetried) this.#lack = null
    this.#pump()
    if (wasRetried) this.onSpace()
  }

  #failed(group: Group, error: Error): void {
    this.#inPort--
    this.#hasLastFailed = true
    group.isInPort = false
    this.#isHolding = true
    if (this.#ended !== null || isFailedSync(error)) {
      this.#end(this.#ended ?? error, group)
      return
    }
    if (this.#isWaitedFor(group, error) && !(this.#isGivingUp && this.#hasTriedLast)) {
      this.#hasTriedLast = this.#isGivingUp
      group.operations = group.operations.slice(error.index)
      group.wasTried = true
      this.#noteLack(error)
    } else if (!isCancelled(error) || group.previous?.hasFailed === true) this.#rejectForGood(group, error)
    this.#pump()
  }

  #isWaitedFor({ options }: Group, error: Error): error is DiskError {
    if (options.lane === 'attempt' || options.lane === 'sign') return false
    return isSpaceError(error) || (isRefusal(error) && this.waitsForRefusals && options.mayBeRefused !== true)
  }

  /** Whether they are heard changes nothing. */
  async #sayLastWords(): Promise<void> {
    try {
      await this.#port.submit(this.#lastWords)
    } catch {}
  }

  /** Rejects the group, and all that is not in the port. */
  #end(error: Error, group?: Group): void {
    if (this.#ended === null) void this.#sayLastWords()
    this.#ended = error
    this.#lack = null
    for (const each of this.#groups.filter((other) => !other.isInPort || other === group)) {
      each.hasFailed = true
      this.#remove(each)
      each.reject(error)
    }
    for (const resolve of this.#lackWaiters.splice(0)) resolve()
  }

  #rejectForGood(group: Group, error: Error): void {
    group.hasFailed = true
    this.#remove(group)
    group.reject(error)
    if (!this.#isGivingUp || !mayPass(error)) return
    // Given up: what stands behind depends on it.
    this.#lack = null
    for (const other of this.#groups.filter((each) => !each.isInPort)) this.#rejectForGood(other, cancelled(other))
  }

  #noteLack(error: DiskError): void {
    this.#isRetried = null
    const isNew = this.#lack === null
    this.#lack = error
    this.#retryLater()
    if (!isNew) return
    for (const resolve of this.#lackWaiters.splice(0)) resolve()
    this.onLack(error)
  }

  #retryLater(): void {
    if (this.#isTimerSet) return
    this.#isTimerSet = true
    this.#clock.schedule(retryMs, () => {
      this.#isTimerSet = false
      this.retry()
    })
  }

  /** The group whose success ends the lack. */
  #isRetried: Group | null = null

  /** Goes on where it can, once nothing is in the port. */
  #pump(): void {
    if (this.#inPort > 0 || !this.#isHolding) return
    if (this.#lack === null) {
      this.#isHolding = false
      for (const group of [...this.#groups]) {
        if (group.previous?.hasFailed === true) this.#rejectForGood(group, cancelled(group))
        else this.#send(group)
      }
      return
    }
    const express = this.#firstExpress()
    if (express !== null) {
      this.#send(express)
      return
    }
    const head = this.#groups.find((group) => group.options.lane !== 'relief') ?? this.#groups[0]
    if (head === undefined) {
      this.#lack = null
      this.#isHolding = false
      this.onSpace()
    } else if (this.#isRetryDue) {
      this.#isRetryDue = false
      this.#isRetried = head
      this.#send(head)
    }
  }

  #firstExpress(): Group | null {
    for (const group of this.#groups) {
      const { lane, isFrameOnly } = group.options
      if (lane === 'sign' || (lane === 'relief' && !group.wasTried)) return group
      if (lane !== 'commit') continue
      return isFrameOnly === true && !group.wasTried && group !== this.#groups[0] ? group : this.#firstRelief()
    }
    return null
  }

  #firstRelief(): Group | null {
    const isNext = ({ options: { lane }, wasTried }: Group): boolean =>
      lane === 'sign' || (lane === 'relief' && !wasTried)
    return this.#groups.find(isNext) ?? null
  }

  #remove(group: Group): void {
    group.previous = null
    group.operations = none
    if (this.#groups[0] === group) this.#groups.shift()
    else this.#groups.splice(this.#groups.indexOf(group), 1)
  }
}

function isFailedSync(error: Error): boolean {
  const isSync = error instanceof DiskError && (error.operation === 'sync' || error.operation === 'syncDirectory')
  return isSync && !isCancelled(error) && !isRefusal(error)
}

function isCancelled(error: Error): boolean {
  return error instanceof DiskError && error.code === 'ECANCELED'
}

function cancelled(group: Group): DiskError {
  const first = group.operations[0]
  return new DiskError('ECANCELED', first?.kind ?? 'submit', first === undefined ? '' : pathOf(first))
}

function pathOf(operation: DiskOperation): string {
  return operation.kind === 'rename' ? operation.from : operation.path
}
