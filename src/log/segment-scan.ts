/**
 * Walks the batches of a segment file in bounded memory: headers only, or everything with its CRC.
 *
 * What the CRC does not cover (base offset, length, magic) is checked by the chain: a batch begins where the one before ended,
 * its base offset is not below the next one due, it ends inside the file (safety.md R8, R9: zeros and torn sectors fail one of these).
 */
import { crc32c } from '../base/crc32c.ts'
import type { Disk } from '../base/ports.ts'
import {
  attributesAt,
  batchBaseOffset,
  batchCrc,
  batchCrcIsValid,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffsetDelta,
  batchMagic,
  batchSizeInBytes,
} from '../protocol/records/record-batch.ts'
import { relativeOffsetMax, type Segment } from './segment.ts'

/** Bytes read at once: fewer cost more calls, more cost memory, since many logs are scanned at a time. */
const chunkBytes = 262_144
/** Read at once while batches are so large that most of a chunk would be skipped. */
const sparseChunkBytes = 4096

export interface SegmentScan {
  readonly disk: Pick<Disk, 'read'>
  readonly path: string
  /** Where a batch begins. */
  readonly from: number
  /** End of the bytes to look at, normally the file's size. */
  readonly to: number
  readonly segmentBaseOffset: number
  /** No batch may begin below it. */
  readonly expectedOffset: number
  /** No batch may reach it: the next segment begins there. */
  readonly endOffset?: number
  /** Read everything and check the CRCs; else only headers are looked at. */
  readonly checkCrc: boolean
  /**
   * Called for each good batch with its header (and all of it when it is a control batch). Answer false to stop before this batch.
   */
  visit(bytes: Uint8Array, at: number, position: number): boolean | undefined | void
}

export interface ScanEnd {
  /** Where the scan stopped: behind the last good batch. */
  readonly position: number
  /** Offset due next there. */
  readonly nextOffset: number
  /** Why the bytes at `position` are no batch; null when the scan reached `to` or was stopped by `visit`. */
  readonly reason: string | null
}

/** The scan of all headers of a segment. */
export function headersOf(segment: Segment): Omit<SegmentScan, 'disk' | 'visit'> {
  const { logPath: path, sizeInBytes: to, baseOffset } = segment
  return { path, from: 0, to, segmentBaseOffset: baseOffset, expectedOffset: baseOffset, checkCrc: false }
}

/** Scans from one position to another. */
export async function scanSegment(scan: SegmentScan): Promise<ScanEnd> {
  const window = new Window(scan)
  try {
    return await scanIn(window, scan)
  } finally {
    window.giveBack()
  }
}

async function scanIn(window: Window, scan: SegmentScan): Promise<ScanEnd> {
  let position = scan.from
  let nextOffset = scan.expectedOffset
  while (position < scan.to) {
    const stop = (reason: string | null): ScanEnd => ({ position, nextOffset, reason })
    let at = window.find(position, batchHeaderBytes)
    if (at < 0) at = await window.hold(position, batchHeaderBytes)
    if (at < 0) return stop('a part of a batch header')
    const fault = headerFault(window.bytes, at, scan, { position, nextOffset })
    if (fault !== null) return stop(fault)
    const size = batchSizeInBytes(window.bytes, at)
    // A batch that is in memory whole takes no turn: most of a scan is that.
    const held = scan.checkCrc && size > chunkBytes ? -1 : window.find(position, size)
    const shown = held < 0 ? await checkBody(scan, window, position, size) : bodyOf(scan, window, held)
    if (typeof shown === 'string') return stop(shown)
    if (scan.visit(window.bytes, shown, position) === false) return stop(null)
    nextOffset = batchBaseOffset(window.bytes, shown) + batchLastOffsetDelta(window.bytes, shown) + 1
    position += size
    window.batchBytes = size
  }
  return { position, nextOffset, reason: null }
}

/** Index in the window where a batch that is in it whole is shown, or the fault. */
function bodyOf(scan: SegmentScan, window: Window, at: number): number | string {
  return !scan.checkCrc || batchCrcIsValid(window.bytes, at) ? at : 'the CRC does not match'
}

/** Index in the window where the batch is shown, or the fault. */
async function checkBody(scan: SegmentScan, window: Window, position: number, size: number): Promise<number | string> {
  let at = await window.hold(position, batchHeaderBytes)
  const isControl = batchIsControl(window.bytes, at)
  // Larger batches are summed in pieces, and only their header is shown.
  if (size <= chunkBytes && (scan.checkCrc || isControl)) {
    at = await window.hold(position, size)
    if (at < 0) return 'the file ends inside a batch'
    return bodyOf(scan, window, at)
  }
  if (!scan.checkCrc) return at
  const expected = batchCrc(window.bytes, at)
  const sum = await sumRange(scan, position + attributesAt, position + size)
  if (sum !== expected) return 'the CRC does not match'
  return window.hold(position, batchHeaderBytes)
}

async function sumRange(scan: SegmentScan, from: number, to: number): Promise<number> {
  let sum = 0
  const memory = takeChunk()
  try {
    for (let at = from; at < to; at += chunkBytes) {
      sum = crc32c(await scan.disk.read(scan.path, at, Math.min(chunkBytes, to - at), memory), sum)
    }
  } finally {
    giveChunk(memory)
  }
  return sum
}

function headerFault(
  bytes: Uint8Array,
  at: number,
  scan: SegmentScan,
  due: { readonly position: number; readonly nextOffset: number },
): string | null {
  const size = batchSizeInBytes(bytes, at)
  if (size < batchHeaderBytes) return 'no batch length'
  if (due.position + size > scan.to) return 'the file ends inside a batch'
  if (batchMagic(bytes, at) !== 2) return 'another message format'
  const baseOffset = batchBaseOffset(bytes, at)
  const delta = batchLastOffsetDelta(bytes, at)
  if (baseOffset < due.nextOffset) return `base offset ${baseOffset} where ${due.nextOffset} is due`
  if (delta < 0 || baseOffset + delta - scan.segmentBaseOffset > relativeOffsetMax) return 'offsets beyond the segment'
  if (scan.endOffset !== undefined && baseOffset + delta >= scan.endOffset) return 'offsets of the next segment'
  return null
}

/** Chunks that scans have given back: what they read through is garbage of no one's. Bound: as many as logs are opened at a time. */
const spareChunks: Uint8Array[] = []
const spareChunksMax = 16

function takeChunk(): Uint8Array {
  return spareChunks.pop() ?? new Uint8Array(chunkBytes)
}

function giveChunk(chunk: Uint8Array): void {
  if (spareChunks.length < spareChunksMax) spareChunks.push(chunk)
}

/** A piece of the file. */
class Window {
  readonly #scan: SegmentScan
  readonly #memory = takeChunk()
  bytes: Uint8Array = new Uint8Array(0)
  #start = 0
  /** Size of the last batch: tells whether reading ahead pays. */
  batchBytes = 0

  constructor(scan: SegmentScan) {
    this.#scan = scan
  }

  /** Index of these bytes when all of them are in memory, else -1. */
  find(position: number, length: number): number {
    const at = position - this.#start
    return at >= 0 && at + length <= this.bytes.length ? at : -1
  }

  /** Makes sure that `length` bytes from `position` are in memory; answers their index, -1 when the file is shorter. */
  async hold(position: number, length: number): Promise<number> {
    const held = this.find(position, length)
    if (held >= 0) return held
    const { disk, path, to, checkCrc } = this.#scan
    if (position + length > to) return -1
    const ahead = !checkCrc && this.batchBytes > chunkBytes / 4 ? sparseChunkBytes : chunkBytes
    const wanted = Math.max(length, Math.min(ahead, to - position))
    this.bytes = await disk.read(path, position, wanted, wanted > chunkBytes ? undefined : this.#memory)
    this.#start = position
    return this.bytes.length >= length ? 0 : -1
  }

  /** The scan has ended: nothing of the bytes is needed any more. */
  giveBack(): void {
    giveChunk(this.#memory)
  }
}
