/** Reads the batches of a sealed segment one after the other, each whole and with a CRC that fits, in pieces of bounded size. */
import type { Compute, Disk } from '../../base/ports.ts'
import { recordBytesOf } from '../../protocol/records/record.ts'
import {
  batchBaseOffset,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'
import type { Segment } from '../segment.ts'
import type { Pacer } from './pacer.ts'

/** Bytes read at once; a larger batch is read in one piece. */
const chunkBytes = 262_144
/** Most bytes that one batch may have when it is decompressed. */
export const decompressedBytesMax = 64 * 1_048_576

/** The log cannot be compacted, because what is stored there cannot be believed. */
export class CompactionFault extends Error {
  constructor(segment: Segment, position: number, reason: string) {
    super(`${segment.logPath} at position ${position}: ${reason}`)
    this.name = 'CompactionFault'
  }
}

export class BatchReader {
  readonly #disk: Disk
  readonly #segment: Segment
  readonly #pacer: Pacer
  #window: Uint8Array = new Uint8Array(0)
  #windowAt = 0
  #position = 0
  #nextOffset: number

  constructor(disk: Disk, segment: Segment, pacer: Pacer) {
    this.#disk = disk
    this.#segment = segment
    this.#pacer = pacer
    this.#nextOffset = segment.baseOffset
  }

  /** Nothing is behind the batch that `next` has answered. */
  get isAtEnd(): boolean {
    return this.#position >= this.#segment.sizeInBytes
  }

  /** The next batch, a view that stays as it is; null at the end. Throws CompactionFault. */
  async next(): Promise<Uint8Array | null> {
    if (this.isAtEnd) return null
    await this.#hold(batchHeaderBytes)
    const header = this.#window.subarray(this.#position - this.#windowAt)
    const size = header.length < batchHeaderBytes ? 0 : batchSizeInBytes(header)
    if (size < batchHeaderBytes || this.#position + size > this.#segment.sizeInBytes)
      throw this.#fault('no whole batch')
    if (batchMagic(header) !== 2) throw this.#fault('another message format')
    if (batchBaseOffset(header) < this.#nextOffset) throw this.#fault('offsets that do not rise')
    await this.#hold(size)
    const at = this.#position - this.#windowAt
    const batch = this.#window.subarray(at, at + size)
    if (batch.length < size || !batchCrcIsValid(batch)) throw this.#fault('the CRC does not match')
    this.#position += size
    this.#nextOffset = batchLastOffset(batch) + 1
    return batch
  }

  /** Has `bytes` from the position on in the window, as far as the file goes. */
  async #hold(bytes: number): Promise<void> {
    if (this.#position + bytes <= this.#windowAt + this.#window.length) return
    const left = this.#segment.sizeInBytes - this.#position
    this.#window = await this.#disk.read(
      this.#segment.logPath,
      this.#position,
      Math.max(bytes, Math.min(left, chunkBytes)),
    )
    this.#windowAt = this.#position
    await this.#pacer.spend(this.#window.length)
  }

  #fault(reason: string): CompactionFault {
    return new CompactionFault(this.#segment, this.#position, reason)
  }
}

/** The records of a batch, not compressed. Rejects with a ComputeError or RecordFormatError. */
export async function openRecords(batch: Uint8Array, compute: Compute): Promise<Uint8Array> {
  const hasRecords = batch.length > batchHeaderBytes
  return hasRecords ? recordBytesOf(batch, compute, decompressedBytesMax) : new Uint8Array(0)
}
