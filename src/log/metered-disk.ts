/**
 * The disk with a meter on it: how many bytes go to the medium and how often it is made to write them, by cause and by topic. Flash wears
 * by whole pages, so that is what is counted beside the bytes that were handed over. What the file system adds of its own (its journal,
 * its inodes) cannot be seen from here.
 */
import type {
  DirectoryEntry,
  Disk,
  DiskOperation,
  LockOutcome,
  Observer,
  RefusedPath,
  SubmitOptions,
} from '../base/ports.ts'
import { logMetrics } from './log-metrics.ts'
import { stateFileNames } from './side-files.ts'

/** Why bytes are written. */
export const writeCauses = ['records', 'journal', 'index', 'compaction', 'checkpoint', 'metadata', 'other'] as const
export type WriteCause = (typeof writeCauses)[number]

export interface WriteFigures {
  bytes: number
  /** The same in whole pages: what flash is programmed with. */
  pageBytes: number
  syncs: number
}

const pageBytes = 4096
/** Topics that are counted each for itself; the rest together. */
const topicsMax = 1024
const restOfTopics = '(others)'
const metadataFolder = '__cluster_metadata-0'

export class MeteredDisk implements Disk {
  readonly #disk: Disk
  readonly #observer: Observer
  readonly #logPrefix: string
  readonly #statePrefix: string
  readonly #byCause = new Map<WriteCause, WriteFigures>(writeCauses.map((cause) => [cause, newFigures()]))
  readonly #byTopic = new Map<string, WriteFigures>()

  constructor(disk: Disk, dataDir: string, observer: Observer) {
    this.#disk = disk
    this.#observer = observer
    this.#logPrefix = `${dataDir}/log/`
    this.#statePrefix = `${dataDir}/state/`
  }

  get byCause(): ReadonlyMap<WriteCause, Readonly<WriteFigures>> {
    return this.#byCause
  }

  /** Of the files of their logs; the journal carries all topics at once and is not parted. */
  get byTopic(): ReadonlyMap<string, Readonly<WriteFigures>> {
    return this.#byTopic
  }

  submit(operations: readonly DiskOperation[], options?: SubmitOptions): Promise<void> {
    for (const operation of operations) this.#count(operation)
    return this.#disk.submit(operations, options)
  }

  read(path: string, position: number, length: number, into?: Uint8Array): Promise<Uint8Array> {
    return this.#disk.read(path, position, length, into)
  }

  readHot(path: string, position: number, length: number): Uint8Array | null {
    return this.#disk.readHot(path, position, length)
  }

  readFile(path: string, bytesMax: number): Promise<Uint8Array | null> {
    return this.#disk.readFile(path, bytesMax)
  }

  list(path: string): Promise<readonly DirectoryEntry[]> {
    return this.#disk.list(path)
  }

  size(path: string): Promise<number | null> {
    return this.#disk.size(path)
  }

  refusals(paths: readonly string[]): Promise<readonly RefusedPath[]> {
    return this.#disk.refusals(paths)
  }

  space(path: string): Promise<{ readonly freeBytes: number; readonly totalBytes: number }> {
    return this.#disk.space(path)
  }

  lock(path: string): Promise<LockOutcome> {
    return this.#disk.lock(path)
  }

  syncAside(paths: readonly string[]): Promise<void> {
    for (const path of paths) this.#add(path, 0, 0, 1)
    return this.#disk.syncAside(paths)
  }

  forget(path: string): void {
    this.#disk.forget(path)
  }

  #count(operation: DiskOperation): void {
    if (operation.kind === 'write') {
      let bytes = 0
      for (const chunk of operation.chunks) bytes += chunk.length
      this.#add(operation.path, bytes, pagesOf(operation.position, bytes), 0)
    } else if (operation.kind === 'copy') {
      const bytes = copiedBytes(operation.pieces)
      this.#add(operation.path, bytes, pagesOf(operation.position, bytes), 0)
    } else if (operation.kind === 'writeFile') {
      this.#add(operation.path, operation.bytes.length, pagesOf(0, operation.bytes.length), 0)
    } else if (operation.kind === 'sync' || operation.kind === 'syncDirectory') this.#add(operation.path, 0, 0, 1)
  }

  #add(path: string, bytes: number, pages: number, syncs: number): void {
    const folder = this.#folderOf(path)
    const cause = this.#causeOf(path, folder)
    add(this.#byCause.get(cause) as WriteFigures, bytes, pages, syncs)
    if (bytes > 0) this.#observer.add(logMetrics.diskWrittenBytes, bytes, { cause })
    if (syncs > 0) this.#observer.add(logMetrics.diskSyncs, syncs, { cause })
    if (folder !== null) add(this.#topicFigures(folder), bytes, pages, syncs)
  }

  /** The folder of a log, or null for a file of the node. */
  #folderOf(path: string): string | null {
    if (!path.startsWith(this.#logPrefix)) return null
    const end = path.indexOf('/', this.#logPrefix.length)
    return end < 0 ? null : path.slice(this.#logPrefix.length, end)
  }

  #causeOf(path: string, folder: string | null): WriteCause {
    if (folder === metadataFolder) return 'metadata'
    if (folder !== null) {
      if (path.endsWith('.log')) return 'records'
      if (path.endsWith('index')) return 'index'
      return path.endsWith('.cleaned') ? 'compaction' : 'checkpoint'
    }
    if (path === `${this.#statePrefix}${stateFileNames.journal}`) return 'journal'
    return path.startsWith(this.#statePrefix) || path.startsWith(this.#logPrefix) ? 'checkpoint' : 'other'
  }

  #topicFigures(folder: string): WriteFigures {
    const dash = folder.lastIndexOf('-')
    let topic = dash > 0 ? folder.slice(0, dash) : folder
    if (!this.#byTopic.has(topic) && this.#byTopic.size >= topicsMax) topic = restOfTopics
    const figures = this.#byTopic.get(topic) ?? newFigures()
    this.#byTopic.set(topic, figures)
    return figures
  }
}

/** Every second number is a length. */
export function copiedBytes(pieces: readonly number[]): number {
  let bytes = 0
  for (let index = 1; index < pieces.length; index += 2) bytes += pieces[index] as number
  return bytes
}

function newFigures(): WriteFigures {
  return { bytes: 0, pageBytes: 0, syncs: 0 }
}

function add(figures: WriteFigures, bytes: number, pages: number, syncs: number): void {
  figures.bytes += bytes
  figures.pageBytes += pages
  figures.syncs += syncs
}

function pagesOf(position: number, bytes: number): number {
  if (bytes === 0) return 0
  const first = Math.floor(position / pageBytes)
  return (Math.ceil((position + bytes) / pageBytes) - first) * pageBytes
}
