/**
 * The disk port of a process that can be stopped at every single operation.
 *
 * `step`: nothing happens until the explorer says so, so that it can look at the medium between any two operations of a group.
 * `run`: each group is done as soon as the caller lets go, until `operationsLeft` is used up; then the process has died.
 */
import type { DirectoryEntry, Disk, DiskOperation, LockOutcome, SubmitOptions } from '../../src/base/ports.ts'
import { DiskError } from '../../src/base/ports.ts'
import { type DiskImage, ImageError, SimDirectory } from '../sim/disk-image.ts'
import type { Prng } from '../sim/prng.ts'
import { pathOf, tryApply } from '../sim/sim-disk.ts'

interface Group {
  readonly operations: readonly DiskOperation[]
  readonly needsPrevious: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface Aside {
  /** What is left of it; each ends its sync. */
  readonly syncs: { readonly path: string; readonly end: () => void }[]
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** Operations of the queue for one sync beside it. */
const operationsPerAside = 5

/** Promises of a dead process never settle; one for each, because who waits for one that all share is held for ever. */
const never = (): Promise<never> => new Promise(() => {})

export class StepDisk implements Disk {
  readonly image: DiskImage
  readonly #isStepped: boolean
  readonly #groups: Group[] = []
  readonly #asides: Aside[] = []
  /** Of the queue, since the last sync beside it. */
  #sinceAside = 0
  #at = 0
  #previousFailed = false
  #isPumping = false
  #isDead = false
  /** Operations done since the boot. */
  operations = 0
  /** In `run`: the process dies before the operation that finds none left. */
  operationsLeft = Number.POSITIVE_INFINITY
  /** The next sync of a file fails, and this says which of its pages are lost. */
  failNextSync: Prng | null = null

  constructor(image: DiskImage, mode: 'step' | 'run') {
    this.image = image
    this.#isStepped = mode === 'step'
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** The operation that comes next, or null. */
  get next(): DiskOperation | null {
    const sync = this.#isAsideDue ? this.#asides[0]?.syncs[0] : undefined
    return sync === undefined ? (this.#groups[0]?.operations[this.#at] ?? null) : { kind: 'sync', path: sync.path }
  }

  get #isAsideDue(): boolean {
    if (this.#asides.length === 0) return false
    return this.#groups.length === 0 || (this.#at === 0 && this.#sinceAside >= operationsPerAside)
  }

  submit(operations: readonly DiskOperation[], options: SubmitOptions = {}): Promise<void> {
    if (this.#isDead) return never()
    return new Promise((resolve, reject) => {
      this.#groups.push({ operations, needsPrevious: options.needsPrevious === true, resolve, reject })
      if (this.#isStepped) this.#skipEmpty()
      else this.#pump()
    })
  }

  /** Does the next operation; there must be one. */
  step(): void {
    this.operations++
    if (this.#isAsideDue) {
      this.#stepAside(this.#asides[0] as Aside)
      return
    }
    this.#sinceAside++
    const group = this.#groups[0] as Group
    const failure = this.#apply(group.operations[this.#at] as DiskOperation)
    this.#at++
    if (failure !== null) this.#end(group, failure)
    else if (this.#at === group.operations.length) this.#end(group, null)
    this.#skipEmpty()
  }

  #stepAside(aside: Aside): void {
    this.#sinceAside = 0
    const { path, end } = aside.syncs.shift() as Aside['syncs'][number]
    if (this.failNextSync === null) end()
    else {
      const failure = this.image.find(path) === null ? null : this.#apply({ kind: 'sync', path })
      if (failure !== null) {
        // To the group that comes next it is the one before.
        this.#previousFailed = true
        this.#asides.splice(this.#asides.indexOf(aside), 1)
        aside.reject(failure)
      }
    }
    this.#endAsides()
    this.#skipEmpty()
  }

  #endAsides(): void {
    for (let aside = this.#asides[0]; aside?.syncs.length === 0; aside = this.#asides[0]) {
      this.#asides.shift()
      aside.resolve()
    }
  }

  #apply(operation: DiskOperation): DiskError | null {
    if (operation.kind !== 'sync' || this.failNextSync === null) return tryApply(this.image, operation, this.#at)
    this.image.file(operation.path).failSync(this.failNextSync)
    this.failNextSync = null
    return new DiskError('EIO', operation.kind, operation.path, this.#at)
  }

  /** The process has ended: nothing of it happens any more. */
  stop(): void {
    this.#isDead = true
    this.#groups.length = 0
    this.#asides.length = 0
  }

  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#answer('read', path, () => this.image.file(path).read(position, length, into))
  }

  readHot(): Uint8Array | null {
    return null
  }

  readFile(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#answer('readFile', path, () => {
      const node = this.image.find(path)
      if (node === null) return null
      if (node instanceof SimDirectory) throw new ImageError('EISDIR')
      if (node.size > bytesMax) throw new ImageError('EFBIG')
      return node.read(0, node.size)
    })
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#answer('list', path, () => {
      const node = this.image.find(path)
      if (node === null) return []
      if (!(node instanceof SimDirectory)) throw new ImageError('ENOTDIR')
      const names = [...node.entries.keys()].sort()
      return names.map((name) => ({ name, isDirectory: node.entries.get(name) instanceof SimDirectory }))
    })
  }

  size(path: string): Promise<number | null> {
    return this.#answer('size', path, () => {
      const node = this.image.find(path)
      return node === null || node instanceof SimDirectory ? null : node.size
    })
  }

  refusals(): Promise<readonly []> {
    return Promise.resolve([])
  }

  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#answer('space', path, () => {
      const totalBytes = Math.min(this.image.capacityBytes, 2 ** 40)
      return { freeBytes: Math.max(0, totalBytes - this.image.usedBytes), totalBytes }
    })
  }

  lock(path: string): Promise<LockOutcome> {
    return this.#answer('lock', path, () => {
      this.image.openOrCreate(path)
      return { held: true, release: () => Promise.resolve() }
    })
  }

  /** Its syncs come one by one between the groups of the queue, one for so many operations of those. */
  syncAside(paths: readonly string[]): Promise<void> {
    if (this.#isDead) return never()
    return new Promise((resolve, reject) => {
      const syncs = paths.flatMap((path) => {
        const node = this.image.find(path)
        return node === null || node instanceof SimDirectory ? [] : [{ path, end: node.beginSync() }]
      })
      this.#asides.push({ syncs, resolve, reject })
      this.#endAsides()
      if (!this.#isStepped) this.#pump()
    })
  }

  forget(): void {}

  #answer<T>(operation: string, path: string, answer: () => T): Promise<T> {
    if (this.#isDead) return never()
    try {
      return Promise.resolve(answer())
    } catch (error) {
      if (error instanceof ImageError) return Promise.reject(new DiskError(error.code, operation, path))
      throw error
    }
  }

  #end(group: Group, failure: DiskError | null): void {
    this.#groups.shift()
    this.#at = 0
    this.#previousFailed = failure !== null
    if (failure === null) group.resolve()
    else group.reject(failure)
  }

  /** Groups without operations, and those that a failure cancels. */
  #skipEmpty(): void {
    for (let group = this.#groups[0]; group !== undefined && this.#at === 0; group = this.#groups[0]) {
      const isCancelled = group.needsPrevious && this.#previousFailed
      if (!isCancelled && group.operations.length > 0) return
      const first = group.operations[0]
      const kind = first?.kind ?? 'submit'
      this.#end(group, isCancelled ? new DiskError('ECANCELED', kind, first === undefined ? '' : pathOf(first)) : null)
    }
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    queueMicrotask(() => {
      this.#isPumping = false
      this.#skipEmpty()
      const group = this.#groups[0]
      if (group === undefined && this.#asides.length === 0) return
      do {
        if (this.operationsLeft <= 0) {
          this.#isDead = true
          return
        }
        this.operationsLeft--
        this.step()
      } while (group !== undefined && this.#groups[0] === group)
      if (this.#groups.length > 0 || this.#asides.length > 0) this.#pump()
    })
  }
}
