/**
 * The Disk port: groups go to the writer thread, reads go through descriptors of their own and never wait for the writer.
 */
import fs from 'node:fs'
import { constants as osConstants, release } from 'node:os'
import { dirname } from 'node:path'
import { getSystemErrorName } from 'node:util'
import {
  type DirectoryEntry,
  type Disk,
  DiskError,
  type DiskOperation,
  type LockOutcome,
  type Observer,
  type RefusedPath,
  type SubmitOptions,
} from '../base/ports.ts'
import type { AddOn } from './add-on.ts'
import { FileLocks } from './file-lock.ts'
import { nodeEvents } from './node-events.ts'
import { nodeMetrics } from './node-metrics.ts'
import { type ReadDescriptor, ReadDescriptors } from './read-descriptors.ts'
import { type FlushAside, syncsPerFlush, type WriterGroupOptions, WriterThread } from './writer-thread.ts'

export interface NodeDiskOptions {
  readonly observer: Observer
  readonly addOn: AddOn
  /** Descriptors of data files on both sides together; at least 8. Three quarters or more are the writer's. */
  readonly dataDescriptorsMax: number
  /** Memory between the loop and the writer, a power of two; 8 MiB when omitted. */
  readonly ringBytes?: number
  /** The writer thread has ended by itself; every group from now on fails with WRITER_LOST. */
  readonly onWriterLost?: (error: Error) => void
}

/** Readers look at the files of a few thousand logs at a time. */
const readersEnough = 2048
const ringBytesDefault = 8 * 1024 * 1024
/** Since Linux 5.8 a flush of the file system answers the write errors of its files. */
const flushTellsAll = isReleaseFrom(release(), 5, 8)
const unsupported = -osConstants.errno.EOPNOTSUPP
/** Files that are asked for their error in one group, and those that are synced in one where they cannot be flushed together. */
const checksPerGroup = 512
const syncsPerGroup = 16
/** Below this size reads share Node's pool of small buffers. */
const smallReadBytes = 2048

export class NodeDisk implements Disk {
  readonly #observer: Observer
  readonly #addOn: AddOn
  readonly #writer: WriterThread
  readonly #readers: ReadDescriptors
  readonly #locks: FileLocks
  /** Syncs beside the queue. Bound: those who ask, each of whom waits for the answer. */
  readonly #asides = new Set<Promise<void>>()
  #marks = 0
  #syncsSeen = 0
  #syncMsSeen = 0

  constructor(options: NodeDiskOptions) {
    this.#observer = options.observer
    this.#addOn = options.addOn
    const readersMax = Math.max(2, Math.min(readersEnough, Math.floor(options.dataDescriptorsMax / 4)))
    this.#readers = new ReadDescriptors(readersMax)
    this.#locks = new FileLocks(options.addOn, options.observer)
    this.#writer = new WriterThread({
      ringBytes: options.ringBytes ?? ringBytesDefault,
      descriptorsMax: options.dataDescriptorsMax - readersMax,
      addOnFile: options.addOn.file,
      place: (ring, at, source) => options.addOn.place(ring, at, source),
      onLost: (error) => {
        options.observer.event(nodeEvents.writerLost, { reason: error.message })
        options.onWriterLost?.(error)
      },
    })
  }

  submit(operations: readonly DiskOperation[], options?: SubmitOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      for (const operation of operations) {
        const locked = this.#lockedPath(operation)
        if (locked === null) continue
        reject(new DiskError('EBUSY', operation.kind, locked))
        return
      }
      const settled = (failure: DiskError | null, submittedMs: number): void => {
        // Also after a failure: the operations before it were done.
        for (const operation of operations) this.#dropReaders(operation)
        this.#measure(failure, submittedMs)
        if (failure) reject(failure)
        else resolve()
      }
      this.#writer.submit(operations, settled, options)
    })
  }

  async read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    const descriptor = await this.#acquire('read', path)
    try {
      return await readFully(descriptor.fd, position, into?.subarray(0, length) ?? allocate(length))
    } catch (error) {
      throw asDiskError(error, 'read', path)
    } finally {
      this.#readers.release(descriptor)
    }
  }

  readHot(path: string, position: number, length: number): Uint8Array | null {
    const descriptor = this.#readers.peek(path)
    if (!descriptor) return null
    const bytes = allocate(length)
    const count = this.#addOn.readNoWait(descriptor.fd, bytes, position)
    if (count === null) return null
    return count === length ? bytes : bytes.subarray(0, count)
  }

  async readFile(path: string, bytesMax: number): Promise<Uint8Array | null> {
    let descriptor: ReadDescriptor
    try {
      descriptor = await this.#acquire('readFile', path)
    } catch (error) {
      if (error instanceof DiskError && error.code === 'ENOENT') return null
      throw error
    }
    try {
      const { size } = await fstat(descriptor.fd)
      if (size > bytesMax) throw new DiskError('EFBIG', 'readFile', path)
      return await readFully(descriptor.fd, 0, allocate(size))
    } catch (error) {
      throw asDiskError(error, 'readFile', path)
    } finally {
      this.#readers.release(descriptor)
      // Small files are read once, at a start: their descriptors are not worth a place.
      this.#readers.drop(path, { withTree: false })
    }
  }

  async list(path: string): Promise<readonly DirectoryEntry[]> {
    try {
      const found = await fs.promises.readdir(path, { withFileTypes: true })
      const links = found.filter((entry) => entry.isSymbolicLink())
      const folders = new Set(await Promise.all(links.map(({ name }) => folderOfLink(path, name))))
      const entries = found.map((entry) => ({
        name: entry.name,
        isDirectory: entry.isDirectory() || folders.has(entry.name),
      }))
      return entries.sort((left, right) => (left.name < right.name ? -1 : 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
      throw asDiskError(error, 'list', path)
    }
  }

  async size(path: string): Promise<number | null> {
    try {
      const facts = await fs.promises.stat(path)
      return facts.isFile() ? facts.size : null
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw asDiskError(error, 'size', path)
    }
  }

  async refusals(paths: readonly string[]): Promise<readonly RefusedPath[]> {
    return paths.flatMap((path) => {
      const code = refusalOf(path)
      return code === null ? [] : [{ path, code }]
    })
  }

  async space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    try {
      const facts = await fs.promises.statfs(path)
      return { freeBytes: facts.bavail * facts.bsize, totalBytes: facts.blocks * facts.bsize }
    } catch (error) {
      throw asDiskError(error, 'space', path)
    }
  }

  async lock(path: string): Promise<LockOutcome> {
    return this.#locks.lock(path)
  }

  forget(path: string): void {
    this.#readers.drop(path, { withTree: false })
    this.#writer.forget(path)
  }

  syncAside(paths: readonly string[]): Promise<void> {
    const ended = this.#syncAside(paths)
    const settled = ended.catch(() => {})
    this.#asides.add(settled)
    void settled.then(() => this.#asides.delete(settled))
    return ended
  }

  async #syncAside(paths: readonly string[]): Promise<void> {
    const mark = ++this.#marks
    if (paths.length >= syncsPerFlush) {
      await this.#ask([], { mark })
      if (await this.#coverAside(mark)) return
    }
    const folder = paths.length < syncsPerFlush ? null : await this.#openFolder(paths)
    try {
      const result = folder === null ? unsupported : await this.#flushAside(folder.fd)
      if (result < 0 && result !== unsupported) throw new DiskError(getSystemErrorName(result), 'sync', paths[0] ?? '')
      // Commits come between: to ask ten thousand files takes some milliseconds, to sync each of them much longer.
      const flush: FlushAside = { mark, folder: result < 0 ? null : (folder as fs.promises.FileHandle).fd }
      const perGroup = flush.folder === null ? syncsPerGroup : checksPerGroup
      for (let at = 0; at < paths.length; at += perGroup)
        await this.#ask(paths.slice(at, at + perGroup), { checks: flush })
    } finally {
      await folder?.close()
    }
  }

  /** Flushes through the guard. False: there is none, or an error is somewhere, and each file is to be asked. */
  async #coverAside(mark: number): Promise<boolean> {
    const { guard } = this.#writer.figures
    if (!flushTellsAll || guard === 0 || (await this.#flushAside(guard)) < 0) return false
    await this.#ask([], { covers: mark })
    return this.#writer.figures.uncoveredMark < mark
  }

  /** A folder of one of these files; null when none is there any more. */
  async #openFolder(paths: readonly string[]): Promise<fs.promises.FileHandle | null> {
    for (const path of paths) {
      try {
        return await fs.promises.open(dirname(path), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw asDiskError(error, 'sync', path)
      }
    }
    return null
  }

  /** 0, or -errno. */
  async #flushAside(folder: number): Promise<number> {
    const startMs = performance.now()
    const result = await this.#addOn.syncFileSystem(folder)
    if (result < 0) return result
    this.#observer.add(nodeMetrics.diskSyncs, 1)
    this.#observer.add(nodeMetrics.diskSyncSeconds, (performance.now() - startMs) / 1000)
    try {
      // Older kernels do not answer above that the journal of the file system has been aborted; this does.
      await datasync(folder)
      return 0
    } catch (error) {
      return (error as NodeJS.ErrnoException).errno ?? -osConstants.errno.EIO
    }
  }

  #ask(paths: readonly string[], options: WriterGroupOptions): Promise<void> {
    return new Promise((resolve, reject) => {
      const operations = paths.map((path): DiskOperation => ({ kind: 'sync', path }))
      const settled = (failure: DiskError | null, submittedMs: number): void => {
        this.#measure(failure, submittedMs)
        if (failure) reject(failure)
        else resolve()
      }
      this.#writer.submit(operations, settled, options)
    })
  }

  /** How long the oldest unfinished group has been waiting, in milliseconds; 0 when there is none. For the watchdog. */
  stalledMs(): number {
    const oldest = this.#writer.oldestSubmittedMs
    return oldest === null ? 0 : performance.now() - oldest
  }

  /** Waits for every group, then ends the thread and closes the descriptors. */
  async close(): Promise<void> {
    while (this.#asides.size > 0) await Promise.all(this.#asides)
    await this.#writer.close()
    this.#readers.close()
  }

  async #acquire(operation: string, path: string): Promise<ReadDescriptor> {
    if (this.#locks.isHeld(path)) throw new DiskError('EBUSY', operation, path)
    try {
      return await this.#readers.acquire(path)
    } catch (error) {
      throw asDiskError(error, operation, path)
    }
  }

  /** A file whose lock we hold must not be opened a second time: closing it would let the lock go. */
  #lockedPath(operation: DiskOperation): string | null {
    if (operation.kind === 'rename') {
      if (this.#locks.isHeld(operation.from)) return operation.from
      return this.#locks.isHeld(operation.to) ? operation.to : null
    }
    return this.#locks.isHeld(operation.path) ? operation.path : null
  }

  #dropReaders(operation: DiskOperation): void {
    if (operation.kind === 'unlink') this.#readers.drop(operation.path, { withTree: false })
    if (operation.kind !== 'rename') return
    this.#readers.drop(operation.from, { withTree: true })
    this.#readers.drop(operation.to, { withTree: true })
  }

  #measure(failure: DiskError | null, submittedMs: number): void {
    const observer = this.#observer
    observer.observe(nodeMetrics.diskGroupSeconds, (performance.now() - submittedMs) / 1000)
    if (failure) observer.add(nodeMetrics.diskGroupsFailed, 1, { code: failure.code })
    const { syncs, syncMs, openDescriptors } = this.#writer.figures
    if (syncs === this.#syncsSeen) return
    observer.add(nodeMetrics.diskSyncs, syncs - this.#syncsSeen)
    observer.add(nodeMetrics.diskSyncSeconds, (syncMs - this.#syncMsSeen) / 1000)
    this.#syncsSeen = syncs
    this.#syncMsSeen = syncMs
    observer.set(nodeMetrics.diskDescriptors, openDescriptors, { side: 'write' })
    observer.set(nodeMetrics.diskDescriptors, this.#readers.openCount, { side: 'read' })
  }
}

/** Asked at once, some microseconds each: who asks has looked at the file just now, so that nothing waits for the device. */
function refusalOf(path: string): string | null {
  try {
    fs.accessSync(path, fs.constants.W_OK)
    return null
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === undefined || code === 'ENOENT' ? null : code
  }
}

function isReleaseFrom(text: string, major: number, minor: number): boolean {
  const [first = 0, second = 0] = text.split('.').map((part) => Number.parseInt(part, 10))
  return first > major || (first === major && second >= minor)
}

function allocate(length: number): Uint8Array {
  return length <= smallReadBytes ? Buffer.allocUnsafe(length) : Buffer.allocUnsafeSlow(length)
}

async function readFully(fd: number, position: number, bytes: Uint8Array): Promise<Uint8Array> {
  let done = 0
  while (done < bytes.length) {
    const count = await readOnce(fd, bytes.subarray(done), position + done)
    if (count === 0) break
    done += count
  }
  return done === bytes.length ? bytes : bytes.subarray(0, done)
}

function readOnce(fd: number, bytes: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(fd, bytes, 0, bytes.length, position, (error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}

function datasync(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => {
      if (error) reject(error)
      else resolve()
    })
  })
}

function fstat(fd: number): Promise<fs.Stats> {
  return new Promise((resolve, reject) => {
    fs.fstat(fd, (error, facts) => {
      if (error) reject(error)
      else resolve(facts)
    })
  })
}

function asDiskError(error: unknown, operation: string, path: string): DiskError {
  if (error instanceof DiskError) return error
  const code = (error as NodeJS.ErrnoException).code
  if (code === undefined) throw error
  return new DiskError(code, operation, path)
}

/** The name of a link to a folder, which counts as one: whoever has moved a partition to another disk has left one in its place. Else null. */
async function folderOfLink(folder: string, name: string): Promise<string | null> {
  const facts = await fs.promises.stat(`${folder}/${name}`).catch(() => null)
  return facts?.isDirectory() === true ? name : null
}
