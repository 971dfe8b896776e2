/**
 * Where the frames of a Zstandard chain end, found without decoding: the native decoder reads the first frame only and says
 * nothing about what follows it. Source: RFC 8878, section 3.1.
 */
import { ComputeError } from '../base/ports.ts'

const frameMagic = 0xfd2fb528
const skippableMagic = 0x184d2a50
const dictionaryIdBytes: readonly number[] = [0, 1, 2, 4]
const contentSizeBytes: readonly number[] = [0, 2, 4, 8]
/** Kafka's clients write one frame a batch; a chain longer than this is made to cost time. */
const framesMax = 1024

/** Byte ranges [start, end) of the data frames. COMPRESSION_CORRUPT. */
export function zstdFrames(bytes: Uint8Array): readonly { readonly start: number; readonly end: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: { start: number; end: number }[] = []
  let at = 0
  while (at < bytes.length) {
    if (at + 8 > bytes.length) throw corrupt('the frame header is cut')
    const magic = view.getUint32(at, true)
    if ((magic & 0xfffffff0) >>> 0 === skippableMagic) {
      at += 8 + view.getUint32(at + 4, true)
      if (at > bytes.length) throw corrupt('a skippable frame is cut')
      continue
    }
    if (magic !== frameMagic) throw corrupt('no frame begins here')
    if (frames.length === framesMax) throw corrupt(`more than ${framesMax} frames`)
    const end = frameEnd(view, at)
    frames.push({ start: at, end })
    at = end
  }
  return frames
}

function frameEnd(view: DataView, start: number): number {
  const descriptor = view.getUint8(start + 4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeCode = descriptor >> 6
  const sizeBytes = sizeCode === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeCode] as number)
  let at = start + 5 + (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[descriptor & 3] as number) + sizeBytes
  for (;;) {
    if (at + 3 > view.byteLength) throw corrupt('a block header is cut')
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const type = (header >> 1) & 3
    if (type === 3) throw corrupt('the block type is reserved')
    // A run-length block carries one byte whatever its size.
    at += 3 + (type === 1 ? 1 : header >> 3)
    if (header & 1) break
  }
  at += descriptor & 0x04 ? 4 : 0
  if (at > view.byteLength) throw corrupt('a block is cut')
  return at
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `zstd: ${reason}`)
}
