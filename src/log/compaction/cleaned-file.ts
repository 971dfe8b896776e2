/**
 * The file that takes the place of segments, while it is written: `<base>.log.cleaned` with its indexes. Nothing reads it; a start
 * removes it. As long as it would say the same as the one segment it is made from, nothing is written.
 */
import type { DiskOperation } from '../../base/ports.ts'
import type { PatientDisk, PatientOptions } from '../patient-disk.ts'
import { Segment } from '../segment.ts'
import type { Pacer } from './pacer.ts'

export const cleanedSuffix = '.cleaned'

/** Bytes of one write. */
const writeBytes = 262_144
/** Bytes between two syncs: a commit that comes behind waits for one of them. */
const syncBytes = 524_288
/** On a full disk it is given up, and its space given back: what waits for space holds up all behind it. */
const attempt: PatientOptions = { lane: 'attempt' }

export interface CleanedFileParts {
  readonly disk: PatientDisk
  readonly pacer: Pacer
  readonly indexIntervalBytes: number
}

export class CleanedFile {
  readonly segment: Segment
  readonly #parts: CleanedFileParts
  readonly #path: string
  /** What the file says so far is what stands at the start of this one. */
  #same: Segment | null
  #chunks: Uint8Array[] = []
  #chunkBytes = 0
  #writtenBytes = 0
  #unsyncedBytes = 0

  constructor(sources: readonly Segment[], parts: CleanedFileParts) {
    const first = sources[0] as Segment
    this.segment = new Segment(first.directory, first.baseOffset, Math.max(...sources.map((each) => each.createdMs)))
    this.#parts = parts
    this.#path = `${this.segment.logPath}${cleanedSuffix}`
    this.#same = sources.length === 1 ? first : null
  }

  /** Bytes of the new file so far. */
  get writtenBytes(): number {
    return this.#writtenBytes
  }

  /** Nothing has been written: the source may stay as it is. */
  get isSame(): boolean {
    return this.#same !== null
  }

  /** Appends a batch. `isWhole`: it is the next one of its source, unchanged. */
  async add(batch: Uint8Array, isWhole: boolean): Promise<void> {
    if (!isWhole) await this.differ()
    this.segment.addBatch(batch, 0, this.#parts.indexIntervalBytes)
    if (this.#same === null) await this.#push(batch)
  }

  /** From here on the file is another than its source: what was the same is copied. */
  async differ(): Promise<void> {
    const source = this.#same
    if (source === null) return
    this.#same = null
    for (let at = 0; at < this.segment.sizeInBytes; ) {
      const length = Math.min(writeBytes, this.segment.sizeInBytes - at)
      const bytes = await this.#parts.disk.read(source.logPath, at, length)
      await this.#parts.pacer.spend(bytes.length)
      await this.#push(bytes)
      at += bytes.length
    }
  }

  /** Writes the rest and the indexes, all synced. */
  async finish(): Promise<void> {
    const { segment } = this
    await this.#flush(true)
    segment.sealTimeIndex()
    const { offsets, times } = segment.index.encodeUnfiled()
    const index = `${segment.indexPath}${cleanedSuffix}`
    const timeIndex = `${segment.timeIndexPath}${cleanedSuffix}`
    const operations: readonly DiskOperation[] = [
      { kind: 'writeFile', path: index, bytes: offsets },
      { kind: 'sync', path: index },
      { kind: 'writeFile', path: timeIndex, bytes: times },
      { kind: 'sync', path: timeIndex },
      { kind: 'syncDirectory', path: segment.directory },
    ]
    await this.#parts.disk.submit(operations, attempt)
    segment.index.markFiled(segment.index.generation, segment.index.offsetEntries, segment.index.timeEntries)
  }

  /** Takes away what has been written. */
  async discard(): Promise<void> {
    const paths = [this.segment.logPath, this.segment.indexPath, this.segment.timeIndexPath]
    await this.#parts.disk.submit(
      paths.map((path): DiskOperation => ({ kind: 'unlink', path: `${path}${cleanedSuffix}` })),
      { lane: 'relief' },
    )
  }

  async #push(bytes: Uint8Array): Promise<void> {
    this.#chunks.push(bytes)
    this.#chunkBytes += bytes.length
    if (this.#chunkBytes >= writeBytes) await this.#flush(false)
  }

  async #flush(isLast: boolean): Promise<void> {
    const path = this.#path
    const operations: DiskOperation[] = []
    if (this.#writtenBytes === 0) operations.push({ kind: 'writeFile', path, bytes: new Uint8Array(0) })
    const bytes = this.#chunkBytes
    if (bytes > 0) operations.push({ kind: 'write', path, position: this.#writtenBytes, chunks: this.#chunks })
    this.#unsyncedBytes += bytes
    if (isLast || this.#unsyncedBytes >= syncBytes) {
      operations.push({ kind: 'sync', path })
      this.#unsyncedBytes = 0
    }
    this.#chunks = []
    this.#chunkBytes = 0
    this.#writtenBytes += bytes
    await this.#parts.disk.submit(operations, attempt)
    await this.#parts.pacer.spend(bytes)
  }
}
