/**
 * The disk port of one simulated process, over the host's image.
 *
 * A group takes a seeded time for each of its operations; its effects become visible when it ends, or, when the process is
 * killed half way, as far as it had come, down to a part of a write.
 */
import type {
  DirectoryEntry,
  Disk,
  DiskOperation,
  LockOutcome,
  RefusedPath,
  SubmitOptions,
} from '../../src/base/ports.ts'
import { DiskError } from '../../src/base/ports.ts'
import { copiedBytes } from '../../src/log/metered-disk.ts'
import { type DiskFaults, refusalCodes } from './disk-faults.ts'
import { type DiskImage, ImageError, SimDirectory } from './disk-image.ts'
import type { Prng } from './prng.ts'

export interface DiskTimes {
  /** Range of a sync of a file or directory, in milliseconds. */
  readonly syncMs: readonly [number, number]
  /** Range of any other operation, in milliseconds. */
  readonly operationMs: readonly [number, number]
  /** Added for each 1,024 bytes written. */
  readonly kibibyteMs: number
  /** Probability that a hot read finds the bytes in memory. */
  readonly hotChance: number
}

export const defaultDiskTimes: DiskTimes = {
  syncMs: [0.2, 4],
  operationMs: [0.005, 0.05],
  kibibyteMs: 0.003,
  hotChance: 0.9,
}

/** What the disk needs of its world. */
export interface DiskHost {
  readonly image: DiskImage
  readonly faults: DiskFaults
  readonly times: DiskTimes
  readonly prng: Prng
  readonly locks: Map<string, number>
  readonly processId: number
  nowMs(): number
  /** Runs the task at that time unless the process has ended by then. */
  at(atMs: number, label: string, task: () => void): void
  /** Groups do not start before this time. */
  stalledUntilMs(): number
}

interface Group {
  readonly operations: readonly DiskOperation[]
  readonly needsPrevious: boolean
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

interface RunningGroup extends Group {
  /** End of each operation that is run. */
  readonly endsMs: readonly number[]
  readonly failure: DiskError | null
}

export class SimDisk implements Disk {
  readonly #host: DiskHost
  readonly #waiting: Group[] = []
  #running: RunningGroup | null = null
  #previousFailed = false
  /** A sync beside the queue has failed: to the group that comes next it is the one before. */
  #asideFailed = false
  /** Files of which that sync has lost bytes: another descriptor is told so too, the next time that it syncs. */
  readonly #lostAside = new Set<string>()

  constructor(host: DiskHost) {
    this.#host = host
  }

  submit(operations: readonly DiskOperation[], options: SubmitOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      for (const operation of operations) {
        const paths = operation.kind === 'rename' ? [operation.from, operation.to] : [operation.path]
        const locked = paths.find((path) => this.#isHeldHere(path))
        if (locked === undefined) continue
        reject(new DiskError('EBUSY', operation.kind, locked))
        return
      }
      this.#waiting.push({ operations, needsPrevious: options.needsPrevious ?? false, resolve, reject })
      this.#startNext()
    })
  }

  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#later('read', path, () => {
      const bytes = this.#host.image.file(path).read(position, length)
      into?.set(bytes)
      return into?.subarray(0, bytes.length) ?? bytes
    })
  }

  readHot(path: string, position: number, length: number): Uint8Array | null {
    const { prng, image, times } = this.#host
    if (!prng.chance(times.hotChance)) return null
    const node = image.find(path)
    if (!node || node instanceof SimDirectory) return null
    return node.read(position, prng.chance(0.1) ? prng.below(length + 1) : length)
  }

  readFile(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#later('readFile', path, () => {
      if (this.#host.image.find(path) === null) return null
      const file = this.#host.image.file(path)
      if (file.size > bytesMax) throw new ImageError('EFBIG')
      return file.read(0, file.size)
    })
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#later('list', path, () => {
      const node = this.#host.image.find(path)
      if (node === null) return []
      if (!(node instanceof SimDirectory)) throw new ImageError('ENOTDIR')
      return [...node.entries]
        .map(([name, entry]) => ({ name, isDirectory: entry instanceof SimDirectory }))
        .sort((left, right) => (left.name < right.name ? -1 : 1))
    })
  }

  size(path: string): Promise<number | null> {
    return this.#later('size', path, () => {
      const node = this.#host.image.find(path)
      return node === null || node instanceof SimDirectory ? null : node.size
    })
  }

  refusals(paths: readonly string[]): Promise<readonly RefusedPath[]> {
    return this.#later('access', paths[0] ?? '', () =>
      paths.flatMap((path) => {
        const code = this.#host.image.find(path) === null ? null : this.#host.faults.codeFor('access', path)
        return code === null ? [] : [{ path, code }]
      }),
    )
  }

  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#later('space', path, () => {
      const { image } = this.#host
      if (image.find(path) === null) throw new ImageError('ENOENT')
      const totalBytes = Math.min(image.capacityBytes, 2 ** 50)
      return { freeBytes: Math.max(0, totalBytes - image.usedBytes), totalBytes }
    })
  }

  lock(path: string): Promise<LockOutcome> {
    return this.#later('lock', path, () => {
      const { locks, processId, image } = this.#host
      image.openOrCreate(path)
      const holder = locks.get(path)
      if (holder !== undefined) return { held: false, holder }
      locks.set(path, processId)
      return { held: true, release: () => this.#later('unlock', path, () => void locks.delete(path)) }
    })
  }

  syncAside(paths: readonly string[]): Promise<void> {
    const { image, faults, prng, times } = this.#host
    const begun = paths.map((path) => {
      const node = image.find(path)
      return { path, end: node === null || node instanceof SimDirectory ? null : node.beginSync() }
    })
    return new Promise((resolve, reject) => {
      const atMs = this.#host.nowMs() + prng.real(times.syncMs[0], times.syncMs[1] * 4)
      this.#host.at(atMs, `disk sync of ${paths.length} files aside`, () => {
        for (const { path, end } of begun) {
          const code = end === null ? null : faults.codeFor('sync', path)
          if (code === null) {
            end?.()
            continue
          }
          failOperation(image, { kind: 'sync', path }, { prng, code })
          this.#asideFailed = true
          if (!refusalCodes.has(code)) this.#lostAside.add(path)
          return reject(new DiskError(code, 'sync', path))
        }
        resolve()
      })
    })
  }

  forget(): void {}

  /** The process has ended: the running group stops where it is. Promises of a dead process never settle. */
  stop(): void {
    const { image, prng } = this.#host
    const running = this.#running
    this.#waiting.length = 0
    this.#running = null
    if (!running) return
    const now = this.#host.nowMs()
    const whole = running.endsMs.filter((endMs) => endMs <= now).length
    for (const operation of running.operations.slice(0, whole)) tryApply(image, operation)
    const broken = running.operations[whole]
    if (broken && whole < running.endsMs.length) applyPart(image, broken, prng)
  }

  /** As on the real disk: a second descriptor of a held lock file would give the lock up. */
  #isHeldHere(path: string): boolean {
    return this.#host.locks.get(path) === this.#host.processId
  }

  #startNext(): void {
    const group = this.#running ? undefined : this.#waiting.shift()
    if (!group) return
    const { times, prng } = this.#host
    let atMs = Math.max(this.#host.nowMs(), this.#host.stalledUntilMs())
    const endsMs: number[] = []
    let failure: DiskError | null = null
    const isCancelled = group.needsPrevious && (this.#previousFailed || this.#asideFailed)
    this.#asideFailed = false
    for (const [index, operation] of group.operations.entries()) {
      const isSync = operation.kind === 'sync' || operation.kind === 'syncDirectory'
      const [low, high] = isSync ? times.syncMs : times.operationMs
      atMs += prng.real(low, high) + (bytesOf(operation) / 1024) * times.kibibyteMs
      endsMs.push(atMs)
      const code = isCancelled ? 'ECANCELED' : this.#host.faults.codeFor(operation.kind, pathOf(operation))
      if (code === null) continue
      failure = new DiskError(code, operation.kind, pathOf(operation), index)
      break
    }
    if (isCancelled && group.operations.length === 0) failure = new DiskError('ECANCELED', 'submit', '')
    this.#running = { ...group, endsMs, failure }
    this.#host.at(atMs, `disk ${group.operations.length} operations`, () => this.#finish())
  }

  #finish(): void {
    const running = this.#running as RunningGroup
    const { image, prng } = this.#host
    this.#running = null
    const end = Math.max(0, running.endsMs.length - (running.failure ? 1 : 0))
    let failure: DiskError | null = null
    for (const [index, operation] of running.operations.slice(0, end).entries()) {
      const isTold = operation.kind === 'sync' && this.#lostAside.delete(operation.path)
      failure = isTold ? new DiskError('EIO', 'sync', operation.path, index) : tryApply(image, operation, index)
      if (failure) break
      if ((operation.kind === 'write' || operation.kind === 'copy') && prng.chance(0.05))
        image.file(operation.path).writeBack(prng)
    }
    if (!failure && running.failure) {
      failure = running.failure
      const operation = running.operations[end]
      if (operation !== undefined) failOperation(image, operation, { prng, code: failure.code })
    }
    this.#previousFailed = failure !== null
    if (failure) running.reject(failure)
    else running.resolve()
    this.#startNext()
  }

  #later<T>(operation: string, path: string, answer: () => T): Promise<T> {
    const { prng, times, faults } = this.#host
    return new Promise((resolve, reject) => {
      const delayMs = prng.real(times.operationMs[0], times.operationMs[1])
      this.#host.at(this.#host.nowMs() + delayMs, `disk ${operation}`, () => {
        try {
          const fault = operation === 'read' || operation === 'readFile' ? faults.codeFor(operation, path) : null
          if (fault) throw new ImageError(fault)
          if ((operation === 'read' || operation === 'readFile') && this.#isHeldHere(path))
            throw new ImageError('EBUSY')
          resolve(answer())
        } catch (error) {
          reject(asDiskError(error, operation, path))
        }
      })
    })
  }
}

export function pathOf(operation: DiskOperation): string {
  return operation.kind === 'rename' ? operation.from : operation.path
}

function bytesOf(operation: DiskOperation): number {
  if (operation.kind === 'writeFile') return operation.bytes.length
  if (operation.kind === 'copy') return copiedBytes(operation.pieces)
  if (operation.kind !== 'write') return 0
  return operation.chunks.reduce((sum, chunk) => sum + chunk.length, 0)
}

function apply(image: DiskImage, operation: DiskOperation): void {
  switch (operation.kind) {
    case 'write':
      return image.write(operation.path, operation.position, operation.chunks)
    case 'copy':
      return image.write(operation.path, operation.position, copied(image, operation))
    case 'writeFile':
      image.openOrCreate(operation.path)
      image.truncate(operation.path, 0)
      return image.write(operation.path, 0, [operation.bytes])
    case 'truncate':
      return image.truncate(operation.path, operation.size)
    case 'reserve':
      return image.reserve(operation.path, operation.size)
    case 'sync':
      return image.file(operation.path).sync()
    case 'rename':
      return image.rename(operation.from, operation.to)
    case 'unlink':
      return image.unlink(operation.path)
    case 'makeDirectory':
      return image.makeDirectory(operation.path)
    case 'removeDirectory':
      return image.removeDirectory(operation.path)
    case 'syncDirectory':
      return image.syncDirectory(operation.path)
  }
}

function copied(image: DiskImage, { from, pieces }: Extract<DiskOperation, { readonly kind: 'copy' }>): Uint8Array[] {
  const chunks: Uint8Array[] = []
  for (let index = 0; index < pieces.length; index += 2) {
    const chunk = image.file(from).read(pieces[index] as number, pieces[index + 1] as number)
    if (chunk.length < (pieces[index + 1] as number)) throw new ImageError('EIO')
    chunks.push(chunk)
  }
  return chunks
}

export function tryApply(image: DiskImage, operation: DiskOperation, index = 0): DiskError | null {
  try {
    apply(image, operation)
    return null
  } catch (error) {
    return asDiskError(error, operation.kind, pathOf(operation), index)
  }
}

function chunksOf(
  image: DiskImage,
  operation: Extract<DiskOperation, { readonly kind: 'write' | 'copy' | 'writeFile' }>,
): readonly Uint8Array[] {
  if (operation.kind === 'write') return operation.chunks
  return operation.kind === 'copy' ? copied(image, operation) : [operation.bytes]
}

/** An operation that the process did not live to see the end of. */
export function applyPart(image: DiskImage, operation: DiskOperation, prng: Prng): void {
  if (operation.kind !== 'write' && operation.kind !== 'copy' && operation.kind !== 'writeFile') {
    if (prng.chance(0.5)) tryApply(image, operation)
    return
  }
  if (prng.chance(0.25)) return
  const chunks = chunksOf(image, operation)
  if (operation.kind === 'writeFile') tryApply(image, { ...operation, bytes: new Uint8Array(0) })
  const part = prng.below(bytesOf(operation) + 1)
  const position = operation.kind === 'writeFile' ? 0 : operation.position
  tryApply(image, { kind: 'write', path: operation.path, position, chunks: [Buffer.concat(chunks).subarray(0, part)] })
}

/** What an operation that is made to fail leaves behind: nothing when it was not begun. */
function failOperation(
  image: DiskImage,
  operation: DiskOperation,
  { prng, code }: { readonly prng: Prng; readonly code: string },
): void {
  if (code === 'ECANCELED' || refusalCodes.has(code)) return
  if (operation.kind === 'write' || operation.kind === 'copy' || operation.kind === 'writeFile')
    applyPart(image, operation, prng)
  if (operation.kind !== 'sync') return
  const node = image.find(operation.path)
  if (node && !(node instanceof SimDirectory)) node.failSync(prng)
}

/** The system's error as the port tells it; anything else is a mistake of the simulator and goes on up. */
export function asDiskError(error: unknown, operation: string, path: string, index = 0): DiskError {
  if (error instanceof ImageError) return new DiskError(error.code, operation, path, index)
  throw error
}
