/**
 * The bytes of the commit journal: a header block and frames, each on a 4 KiB boundary. All numbers big-endian.
 *
 * ```text
 * header block   0 "HWJL" | 4 version u16 | 6 zero u16 | 8 incarnation 16 | 24 directory id 16 | 40 crc of the 40 bytes before
 * frame          0 "HWJF" | 4 version u16 | 6 zero u16 | 8 incarnation 16 | 24 sequence i64 | 32 oldest sequence needed i64
 *                40 ranges u32 | 44 body bytes u32 | 48 body crc u32 | 52 crc of the 52 bytes before | 56 to 64 zero
 *                64 range table: topic id 16, partition i32, segment base offset i64, position u32, bytes u32 (36 a range)
 *                then the bytes of the ranges in order
 * ```
 *
 * The incarnation is drawn anew each time the journal is emptied and no client ever sees it: neither a frame of an earlier life
 * nor a payload that looks like a frame can be taken for one.
 */
import { crc32c } from '../base/crc32c.ts'
import {
  readInt16,
  readInt32,
  readInt64,
  readUint32,
  writeInt16,
  writeInt32,
  writeInt64,
} from '../protocol/records/record-batch.ts'

/** Frames begin at multiples of it: a page, so that a frame never makes the device read before it writes. */
export const journalBlockBytes = 4096
export const frameHeaderBytes = 64
export const rangeHeaderBytes = 36
/** Most bytes of one frame, and so of one all-or-nothing set: recovery holds one frame in memory. */
export const frameBytesMax = 8 * 1_048_576

const version = 1
const headMagic = 0x48574a4c
const frameMagic = 0x48574a46
const idBytes = 16

/** Bytes that belong at one place of one segment file. */
export interface JournalRange {
  readonly topicId: Uint8Array
  readonly partition: number
  readonly segmentBaseOffset: number
  readonly position: number
  readonly chunks: readonly Uint8Array[]
  readonly bytes: number
}

export interface FrameHeader {
  readonly sequence: number
  /** Frames below it are not needed for a replay when this frame is the newest. */
  readonly oldestNeeded: number
  readonly ranges: number
  readonly bodyBytes: number
  readonly bodyCrc: number
}

export interface ReplayRange {
  readonly topicId: Uint8Array
  readonly partition: number
  readonly segmentBaseOffset: number
  readonly position: number
  readonly bytes: Uint8Array
}

/** Where the bytes of the first of so many ranges begin in a frame; those of the others follow. */
export function frameDataAt(ranges: number): number {
  return frameHeaderBytes + ranges * rangeHeaderBytes
}

/** Bytes that a frame of these ranges takes in the ring, padding included. */
export function frameFootprint(ranges: number, bytes: number): number {
  return Math.ceil((frameDataAt(ranges) + bytes) / journalBlockBytes) * journalBlockBytes
}

export function encodeJournalHead(incarnation: Uint8Array, directoryId: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(journalBlockBytes)
  writeInt32(bytes, 0, headMagic)
  writeInt16(bytes, 4, version)
  bytes.set(incarnation, 8)
  bytes.set(directoryId, 24)
  writeInt32(bytes, 40, crc32c(bytes.subarray(0, 40)))
  return bytes
}

/** The incarnation of a journal of this directory, or why there is none. */
export function decodeJournalHead(
  bytes: Uint8Array,
  directoryId: Uint8Array,
): { readonly incarnation: Uint8Array } | { readonly reason: string } {
  if (bytes.length < 44 || readInt32(bytes, 0) !== headMagic) return { reason: 'it has no header' }
  if (readInt16(bytes, 4) !== version) return { reason: `it has format version ${readInt16(bytes, 4)}` }
  if (readUint32(bytes, 40) !== crc32c(bytes.subarray(0, 40))) return { reason: 'its header is torn' }
  if (!equalBytes(bytes.subarray(24, 24 + idBytes), directoryId)) return { reason: 'it belongs to another directory' }
  return { incarnation: bytes.slice(8, 8 + idBytes) }
}

/** Chunks up to this size are copied behind the table, which costs less than a checksum call and a copy of their own. */
const gatherBytesMax = 2048

/** The chunks of a frame, padded to whole blocks. Large chunks of the ranges go in by reference. */
export function encodeFrame(
  frame: { readonly incarnation: Uint8Array; readonly sequence: number; readonly oldestNeeded: number },
  ranges: readonly JournalRange[],
): Uint8Array[] {
  const tableBytes = frameHeaderBytes + ranges.length * rangeHeaderBytes
  let bytes = tableBytes
  let gathered = tableBytes
  for (const range of ranges) {
    bytes += range.bytes
    for (const chunk of range.chunks) if (chunk.length <= gatherBytesMax) gathered += chunk.length
  }
  const table = new Uint8Array(gathered)
  const chunks: Uint8Array[] = []
  let from = 0
  let end = tableBytes
  let at = frameHeaderBytes
  for (const range of ranges) {
    table.set(range.topicId, at)
    writeInt32(table, at + 16, range.partition)
    writeInt64(table, at + 20, range.segmentBaseOffset)
    writeInt32(table, at + 28, range.position)
    writeInt32(table, at + 32, range.bytes)
    at += rangeHeaderBytes
    for (const chunk of range.chunks) {
      if (chunk.length <= gatherBytesMax) {
        table.set(chunk, end)
        end += chunk.length
        continue
      }
      if (end > from) chunks.push(table.subarray(from, end))
      chunks.push(chunk)
      from = end
    }
  }
  if (end > from) chunks.push(table.subarray(from, end))
  let crc = crc32c((chunks[0] as Uint8Array).subarray(frameHeaderBytes))
  for (let index = 1; index < chunks.length; index++) crc = crc32c(chunks[index] as Uint8Array, crc)
  writeInt32(table, 0, frameMagic)
  writeInt16(table, 4, version)
  table.set(frame.incarnation, 8)
  writeInt64(table, 24, frame.sequence)
  writeInt64(table, 32, frame.oldestNeeded)
  writeInt32(table, 40, ranges.length)
  writeInt32(table, 44, bytes - frameHeaderBytes)
  writeInt32(table, 48, crc)
  writeInt32(table, 52, crc32c(table.subarray(0, 52)))
  const padding = (journalBlockBytes - (bytes % journalBlockBytes)) % journalBlockBytes
  if (padding > 0) chunks.push(zeroBlock.subarray(0, padding))
  return chunks
}

const zeroBlock = new Uint8Array(journalBlockBytes)

/** The header of a frame of this incarnation at `at`, or null. */
export function decodeFrameHeader(bytes: Uint8Array, at: number, incarnation: Uint8Array): FrameHeader | null {
  if (at + frameHeaderBytes > bytes.length || readInt32(bytes, at) !== frameMagic) return null
  if (readInt16(bytes, at + 4) !== version || !equalBytes(bytes.subarray(at + 8, at + 24), incarnation)) return null
  if (readUint32(bytes, at + 52) !== crc32c(bytes.subarray(at, at + 52))) return null
  return {
    sequence: readInt64(bytes, at + 24),
    oldestNeeded: readInt64(bytes, at + 32),
    ranges: readUint32(bytes, at + 40),
    bodyBytes: readUint32(bytes, at + 44),
    bodyCrc: readUint32(bytes, at + 48),
  }
}

/** The ranges of a frame's body, or null when it is torn. */
export function decodeFrameBody(header: FrameHeader, body: Uint8Array): readonly ReplayRange[] | null {
  if (body.length !== header.bodyBytes || crc32c(body) !== header.bodyCrc) return null
  const ranges: ReplayRange[] = []
  let dataAt = header.ranges * rangeHeaderBytes
  for (let index = 0; index < header.ranges; index++) {
    const at = index * rangeHeaderBytes
    const length = readUint32(body, at + 32)
    if (dataAt + length > body.length) return null
    ranges.push({
      topicId: body.subarray(at, at + idBytes),
      partition: readInt32(body, at + 16),
      segmentBaseOffset: readInt64(body, at + 20),
      position: readUint32(body, at + 28),
      bytes: body.subarray(dataAt, dataAt + length),
    })
    dataAt += length
  }
  return ranges
}

function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, index) => byte === b[index])
}
