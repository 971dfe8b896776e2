/**
 * The newest batches of all logs, as they were appended: consumers that keep up are answered from here without touching a file.
 * One byte budget for the node, oldest out first; what cannot be read through its file yet stays, because it can be read nowhere else.
 *
 * The cache is also where a batch lives until its file has it. What is appended is copied into slabs that are used again and again:
 * whoever brought it may use its memory again at once, and a steady stream of batches makes no garbage. (Memory outside of V8's heap
 * is what sets off its full collections: a buffer a request cost a third of all processor time.)
 */
import { batchBaseOffset, batchLastOffset } from '../protocol/records/record-batch.ts'
import type { LogReadRequest } from './append.ts'

interface TailBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly lastOffset: number
}

const empty = new Uint8Array(0)
const everything = (): number => Number.POSITIVE_INFINITY

/** The cached batches of one log: the newest ones, up to its end without a gap. */
export class LogTail {
  #writtenEndOffset: () => number
  #batches: TailBatch[] = []
  /** Below it compaction has changed the log: what is cached there is not answered any more. */
  floorOffset = 0
  /** Index of the oldest batch that is still cached. */
  #head = 0

  /** `writtenEndOffset`: end of what can be read through the log's file. */
  constructor(writtenEndOffset: () => number) {
    this.#writtenEndOffset = writtenEndOffset
  }

  /** The log is deleted: nobody reads it, and what is still cached of it must not hold it in memory. */
  disown(): void {
    this.#writtenEndOffset = everything
  }

  /** Can the oldest batch be read through the file? */
  get isOldestWritten(): boolean {
    const oldest = this.#batches[this.#head]
    return oldest === undefined || oldest.lastOffset < this.#writtenEndOffset()
  }

  push(bytes: Uint8Array): void {
    this.#batches.push({ bytes, baseOffset: batchBaseOffset(bytes), lastOffset: batchLastOffset(bytes) })
  }

  /** Forgets the oldest batch. Answers its bytes; 0 when there was none. */
  dropOldest(): number {
    const dropped = this.#batches[this.#head]
    if (dropped === undefined) return 0
    this.#head++
    if (this.#batches.length === 1) {
      // Of most of many logs one batch is cached at a time: the place stays for the next one.
      this.#batches.pop()
      this.#head = 0
    } else if (this.#head === this.#batches.length) this.#clear()
    else if (this.#head >= 64 && this.#head * 2 > this.#batches.length) {
      this.#batches.splice(0, this.#head)
      this.#head = 0
    } else {
      // The slot must not hold the bytes.
      this.#batches[this.#head - 1] = hole
    }
    return dropped.bytes.length
  }

  #clear(): void {
    this.#batches = []
    this.#head = 0
  }

  /**
   * Whole batches from the one that holds `fromOffset` (or the next one behind a gap) on; null when it may lie below what is
   * cached. A copy: what is cached is overwritten in time.
   */
  read(request: LogReadRequest): Uint8Array | null {
    if (request.fromOffset < this.floorOffset) return null
    const first = this.#find(request.fromOffset)
    if (first < 0) return null
    let total = 0
    let next = first
    for (; next < this.#batches.length; next++) {
      const { bytes, lastOffset } = this.#batches[next] as TailBatch
      if (lastOffset >= request.endOffset) break
      if (total + bytes.length > request.bytesMax && !(total === 0 && request.minOneBatch)) break
      total += bytes.length
    }
    if (next === first) return empty
    const joined = Buffer.allocUnsafe(total)
    let at = 0
    for (let index = first; index < next; index++) {
      const { bytes } = this.#batches[index] as TailBatch
      joined.set(bytes, at)
      at += bytes.length
    }
    return joined
  }

  #find(offset: number): number {
    let low = this.#head
    let high = this.#batches.length - 1
    while (low <= high) {
      const middle = (low + high) >>> 1
      if ((this.#batches[middle] as TailBatch).lastOffset < offset) low = middle + 1
      else high = middle - 1
    }
    const found = this.#batches[low]
    if (found === undefined) return -1
    return low > this.#head || found.baseOffset <= offset ? low : -1
  }
}

const hole: TailBatch = { bytes: empty, baseOffset: -1, lastOffset: -1 }

/** Holds some batches of the largest usual size (max.message.bytes is 1 MiB and a little). */
const slabBytesMax = 2 * 1_048_576
/** A slab of a cache whose budget is small: it is not to take many times its budget. */
const slabBytesMin = 65_536
/** Slabs kept for later while nobody needs them: in a flood as many become free with one commit (8 MiB wait for it, and a turn). */
const spareSlabsMax = 5

interface Slab {
  readonly bytes: Uint8Array
  used: number
  /** Batches in it that are still cached. */
  cached: number
  /** Number of the newest batch in it. */
  newest: number
}

/** Keeps the tails of all logs within one budget, and the bytes of every batch until it is written. */
export class TailCache {
  readonly #bytesMax: number
  readonly #slabBytes: number
  /** A larger batch gets memory of its own: it would waste much of a slab. */
  readonly #slabBatchBytesMax: number
  #slab: Slab | null = null
  readonly #spares: Slab[] = []
  /** Cached no more and not all written, oldest first: no more than what waits for its commit. */
  readonly #unwritten: Slab[] = []
  #bytes = 0
  /** Batches that were ever added, and of these the ones whose bytes are with their file (both in the same order). */
  #added = 0
  #written = 0
  /** Which log each cached batch belongs to and where it lies, oldest first. */
  #order: LogTail[] = []
  #slabs: (Slab | null)[] = []
  #head = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    this.#slabBytes = Math.min(slabBytesMax, Math.max(slabBytesMin, bytesMax / 4))
    this.#slabBatchBytesMax = this.#slabBytes / 2 + this.#slabBytes / 32
  }

  /** Caches an appended batch. Answers its copy, which stays as it is until the batch is cached no more and `written` has counted it. */
  add(tail: LogTail, batch: Uint8Array): Uint8Array {
    this.#added++
    const slab = batch.length > this.#slabBatchBytesMax ? null : this.#slabFor(batch.length)
    const kept = slab === null ? batch.slice() : place(slab, batch)
    if (slab !== null) slab.newest = this.#added
    tail.push(kept)
    this.#order.push(tail)
    this.#slabs.push(slab)
    this.#bytes += batch.length
    // What its file does not have stays: bounded by what may wait for the disk.
    while (this.#bytes > this.#bytesMax && this.#order[this.#head]?.isOldestWritten === true) this.#dropOldest()
    if (this.#head >= 1024 && this.#head * 2 > this.#order.length) {
      this.#order.splice(0, this.#head)
      this.#slabs.splice(0, this.#head)
      this.#head = 0
    }
    return kept
  }

  /** So many more batches, in the order in which they were added, have been handed over to their files. */
  written(batches: number): void {
    this.#written += batches
    while (this.#unwritten[0] !== undefined && this.#unwritten[0].newest <= this.#written)
      this.#spare(this.#unwritten.shift() as Slab)
  }

  #dropOldest(): void {
    this.#bytes -= (this.#order[this.#head] as LogTail).dropOldest()
    const slab = this.#slabs[this.#head] as Slab | null
    this.#head++
    if (slab === null) return
    slab.cached--
    if (slab.cached === 0 && slab !== this.#slab) this.#retire(slab)
  }

  /** A slab whose batches are not all written yet is used again when they are. */
  #retire(slab: Slab): void {
    if (slab.newest > this.#written) this.#unwritten.push(slab)
    else this.#spare(slab)
  }

  #spare(slab: Slab): void {
    if (this.#spares.length === spareSlabsMax) return
    slab.used = 0
    this.#spares.push(slab)
  }

  #slabFor(bytes: number): Slab {
    const current = this.#slab
    if (current !== null && current.used + bytes <= this.#slabBytes) return current
    this.#slab = this.#spares.pop() ?? { bytes: new Uint8Array(this.#slabBytes), used: 0, cached: 0, newest: 0 }
    if (current?.cached === 0) this.#retire(current)
    return this.#slab
  }
}

function place(slab: Slab, batch: Uint8Array): Uint8Array {
  const from = slab.used
  slab.bytes.set(batch, from)
  slab.used = from + batch.length
  slab.cached++
  return slab.bytes.subarray(from, slab.used)
}
