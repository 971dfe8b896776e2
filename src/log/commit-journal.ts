/**
 * The commit journal (architecture law 2): a ring of frames in one pre-written file, so that a commit over many partitions
 * takes one sync. A frame's room is used again when every file it speaks of has been synced since.
 */
import { assert } from '../base/assert.ts'
import type { Disk, DiskOperation } from '../base/ports.ts'
import type { DirtyFiles } from './dirty-files.ts'
import {
  encodeFrame,
  encodeJournalHead,
  frameDataAt,
  frameFootprint,
  type JournalRange,
  journalBlockBytes,
} from './journal-frame.ts'

export interface JournalOptions {
  readonly path: string
  /** Most bytes of the ring. */
  readonly bytesMax: number
  /** The same once `allow` has asked for more. */
  readonly bytesMaxSpread?: number
  /** The file is pre-written in steps of this many bytes, so that a first start is quick and a quiet node keeps it small. */
  readonly stepBytes: number
  readonly directoryId: Uint8Array
}

interface LiveFrame {
  readonly sequence: number
  readonly position: number
  readonly bytes: number
}

const zeroChunkBytes = 262_144
/** What is added is pre-written in pieces of this many bytes, or as large as the newest frame: a commit waits for one of them at most. */
const growBytes = 524_288

export class CommitJournal {
  readonly #disk: Disk
  readonly #options: JournalOptions
  readonly #dirty: DirtyFiles
  readonly #live: LiveFrame[] = []
  /** Never written over by its successor: torn in that, an older frame would be the newest, and needs what has been rewritten since. */
  #newest: LiveFrame | null = null
  #incarnation: Uint8Array = new Uint8Array(16)
  #capacity = 0
  #bytesMax: number
  #head = journalBlockBytes
  #liveBytes = 0
  #isGrowing = false
  /** A frame had no room since the ring last grew. */
  #wasFull = false
  #nextSequence = 1
  /** What a replay would begin with if the newest frame were the last. */
  #replayFrom = 1

  constructor(disk: Disk, options: JournalOptions, dirty: DirtyFiles) {
    this.#disk = disk
    this.#options = options
    this.#bytesMax = wholeBlocks(options.bytesMax)
    this.#dirty = dirty
  }

  /** More is to be kept in the ring: it may grow to so many bytes, up to `bytesMaxSpread`. It never has to be smaller again. */
  allow(bytes: number): void {
    this.#bytesMax = Math.max(this.#bytesMax, wholeBlocks(Math.min(bytes, this.#options.bytesMaxSpread ?? 0)))
  }

  get path(): string {
    return this.#options.path
  }

  /** Size of the file after its next step of growth. */
  get sizeSoon(): number {
    return Math.max(this.#capacity, this.#growsTo)
  }

  get nextSequence(): number {
    return this.#nextSequence
  }

  /** Bytes that a replay would still need. */
  get liveBytes(): number {
    this.#release()
    return this.#liveBytes
  }

  /** Half of what the ring may hold is live: sync files, oldest first. */
  get wantsDrain(): boolean {
    return this.liveBytes * 2 > this.#bytesMax
  }

  /** Three quarters of what the ring may hold are live. */
  get isNearlyFull(): boolean {
    return this.liveBytes * 4 > this.#bytesMax * 3
  }

  /** Empties the journal under a new incarnation; creates and pre-writes the file when it is too small. Durable when it resolves. */
  async reset(incarnation: Uint8Array): Promise<void> {
    const { path, stepBytes, directoryId } = this.#options
    const size = (await this.#disk.size(path)) ?? 0
    const most = wholeBlocks(this.#options.bytesMax)
    const wanted = Math.max(Math.min(wholeBlocks(size), most), stepBytes)
    this.#incarnation = incarnation
    const head: DiskOperation = {
      kind: 'write',
      path,
      position: 0,
      chunks: [encodeJournalHead(incarnation, directoryId)],
    }
    const grow = size < wanted ? [zeros(path, Math.max(size, journalBlockBytes), wanted)] : []
    // What a load over thousands of files has made of it is given back, when no frame there counts any more.
    const shrink: DiskOperation[] = size > wanted ? [{ kind: 'truncate', path, size: wanted }] : []
    await this.#disk.submit([...grow, head, { kind: 'sync', path }, ...shrink])
    this.#bytesMax = most
    this.#capacity = wanted
    this.#live.length = 0
    this.#newest = null
    this.#liveBytes = 0
    this.#head = journalBlockBytes
    this.#replayFrom = this.#nextSequence
  }

  /** Would no replay read a frame below this sequence, once what is submitted so far has completed? */
  hasPassed(sequence: number): boolean {
    return this.#replayFrom >= sequence
  }

  /** Is there room for a frame of this size now? Else `beginAnew`. */
  hasRoom(ranges: number, bytes: number): boolean {
    return this.#place(frameFootprint(ranges, bytes)) !== null
  }

  /**
   * The write of one frame that holds these ranges; there must be room. The caller submits it at once, with a sync of `path`,
   * and has marked the files that it writes as dirty since this frame. `dataAt`: where the bytes of the ranges stand in the file, one
   * behind the other.
   */
  append(
    ranges: readonly JournalRange[],
    bytes: number,
  ): { readonly operation: DiskOperation; readonly dataAt: number } {
    const footprint = frameFootprint(ranges.length, bytes)
    const position = this.#place(footprint)
    assert(position !== null, 'a journal frame without room')
    const sequence = this.#nextSequence
    const oldestNeeded = this.#dirty.oldestNeeded(sequence)
    const chunks = encodeFrame({ incarnation: this.#incarnation, sequence, oldestNeeded }, ranges)
    this.#nextSequence = sequence + 1
    this.#replayFrom = oldestNeeded
    this.#newest = { sequence, position, bytes: footprint }
    this.#live.push(this.#newest)
    this.#liveBytes += footprint
    this.#head = position + footprint
    const operation: DiskOperation = { kind: 'write', path: this.#options.path, position, chunks }
    return { operation, dataAt: position + frameDataAt(ranges.length) }
  }

  /**
   * Everything written so far is in synced files by the time that the next frame is written, because its group syncs them first:
   * the ring begins anew. Answers the operations that make it large enough for a frame of that size; they belong into the group.
   */
  beginAnew(ranges: number, bytes: number): readonly DiskOperation[] {
    const { path, stepBytes } = this.#options
    this.#live.length = 0
    this.#liveBytes = 0
    const footprint = frameFootprint(ranges, bytes)
    const behind = this.#behindNewest(footprint)
    this.#wasFull = true
    // A frame that fits nowhere else takes the place of all.
    this.#head = behind + footprint <= this.#bytesMax ? behind : journalBlockBytes
    if (this.#head === journalBlockBytes) this.#newest = null
    const needed = this.#head + footprint
    if (needed <= this.#capacity) return []
    const wanted = Math.max(needed, Math.min(this.#bytesMax, Math.ceil(needed / stepBytes) * stepBytes))
    const grow = zeros(path, this.#capacity, wanted)
    this.#capacity = wanted
    return [grow]
  }

  /**
   * Pre-writes more in the background when a frame had no room, or three quarters of the ring are live, and it may still grow. Rejects
   * when the disk fails.
   */
  async growIfWanted(): Promise<void> {
    const { path } = this.#options
    if (this.#isGrowing || this.#capacity >= this.#bytesMax) return
    if (!this.#wasFull && this.liveBytes * 4 < this.#capacity * 3) return
    this.#isGrowing = true
    const wanted = this.#growsTo
    while (this.#capacity < wanted) {
      const piece = Math.max(growBytes, this.#newest?.bytes ?? 0)
      const end = Math.min(wanted, this.#capacity + piece)
      await this.#disk.submit([zeros(path, this.#capacity, end), { kind: 'sync', path }])
      this.#capacity = Math.max(this.#capacity, end)
    }
    this.#wasFull = false
    this.#isGrowing = false
  }

  /**
   * It doubles: each sync of a larger file writes the books of the file system for all files that are written to meanwhile, so a load
   * that needs all of it had them written a hundred times on the way in steps.
   */
  get #growsTo(): number {
    const { stepBytes } = this.#options
    return Math.min(this.#bytesMax, Math.max(2 * this.#capacity, this.#capacity + stepBytes))
  }

  /** Where a frame of this many bytes may go: behind the newest, or at the start of the ring, never over a live one. */
  #place(footprint: number): number | null {
    this.#release()
    const oldest = this.#live[0]
    if (oldest === undefined) {
      this.#head = this.#behindNewest(footprint)
      return this.#head + footprint <= this.#capacity ? this.#head : null
    }
    if (this.#head > oldest.position) {
      if (this.#head + footprint <= this.#capacity) return this.#head
      return journalBlockBytes + footprint <= oldest.position ? journalBlockBytes : null
    }
    return this.#head + footprint <= oldest.position ? this.#head : null
  }

  /** The first place for a frame that leaves the newest one whole. */
  #behindNewest(footprint: number): number {
    const newest = this.#newest
    if (newest === null || journalBlockBytes + footprint <= newest.position) return journalBlockBytes
    return newest.position + newest.bytes
  }

  #release(): void {
    const needed = this.#dirty.oldestNeeded(this.#nextSequence)
    let count = 0
    for (; count < this.#live.length && (this.#live[count] as LiveFrame).sequence < needed; count++) {
      this.#liveBytes -= (this.#live[count] as LiveFrame).bytes
    }
    if (count > 0) this.#live.splice(0, count)
  }
}

function zeros(path: string, from: number, to: number): DiskOperation {
  const chunk = new Uint8Array(zeroChunkBytes)
  const chunks: Uint8Array[] = []
  for (let at = from; at < to; at += zeroChunkBytes)
    chunks.push(at + zeroChunkBytes <= to ? chunk : chunk.subarray(0, to - at))
  return { kind: 'write', path, position: from, chunks }
}

function wholeBlocks(bytes: number): number {
  return Math.floor(bytes / journalBlockBytes) * journalBlockBytes
}
