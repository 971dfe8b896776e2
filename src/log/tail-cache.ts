/**
 * The newest batches of all logs, as they were appended: consumers that keep up are answered from here without touching a file.
 * One byte budget for the node, oldest out first; what its file does not have yet stays, because it can be read nowhere else.
 */
import { batchBaseOffset, batchLastOffset } from '../protocol/records/record-batch.ts'
import type { LogReadRequest } from './append.ts'

interface TailBatch {
  readonly bytes: Uint8Array
  readonly baseOffset: number
  readonly lastOffset: number
}

const empty = new Uint8Array(0)

/** The cached batches of one log: the newest ones, up to its end without a gap. */
export class LogTail {
  readonly #writtenEndOffset: () => number
  #batches: TailBatch[] = []
  /** Index of the oldest batch that is still cached. */
  #head = 0

  /** `writtenEndOffset`: end of what the log's file holds. */
  constructor(writtenEndOffset: () => number) {
    this.#writtenEndOffset = writtenEndOffset
  }

  /** Can the oldest batch be read from the file? */
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
    if (this.#head === this.#batches.length) this.#clear()
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
   * cached. One batch goes out as it is, several as one copy.
   */
  read(request: LogReadRequest): Uint8Array | null {
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
    if (next === first + 1) return (this.#batches[first] as TailBatch).bytes
    const joined = new Uint8Array(total)
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

/** Copies of small batches share buffers of this size: a buffer of its own for each would cost more than the copy. */
const slabBytes = 65_536

/** Keeps the tails of all logs within one budget. */
export class TailCache {
  readonly #bytesMax: number
  /** Where the next small copies go. A full one lives as long as a batch in it: they leave the cache together, oldest first. */
  #slab = empty
  #slabUsed = 0
  #bytes = 0
  /** Which log each cached batch belongs to, oldest first. */
  #order: LogTail[] = []
  #head = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** Caches an appended batch. A small part of a large buffer is copied, so that it does not hold the whole. */
  add(tail: LogTail, batch: Uint8Array): void {
    tail.push(batch.length * 2 >= batch.buffer.byteLength ? batch : this.#copy(batch))
    this.#order.push(tail)
    this.#bytes += batch.length
    while (this.#bytes > this.#bytesMax && this.#head < this.#order.length) {
      const oldest = this.#order[this.#head] as LogTail
      // Bounded by what may wait for the disk.
      if (!oldest.isOldestWritten) break
      this.#bytes -= oldest.dropOldest()
      this.#head++
    }
    if (this.#head >= 1024 && this.#head * 2 > this.#order.length) {
      this.#order.splice(0, this.#head)
      this.#head = 0
    }
  }

  #copy(batch: Uint8Array): Uint8Array {
    if (batch.length * 8 > slabBytes) return batch.slice()
    if (this.#slabUsed + batch.length > this.#slab.length) {
      this.#slab = new Uint8Array(slabBytes)
      this.#slabUsed = 0
    }
    const from = this.#slabUsed
    this.#slabUsed = from + batch.length
    this.#slab.set(batch, from)
    return this.#slab.subarray(from, this.#slabUsed)
  }
}
