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

/** One data frame: the bytes [start, end), and what its header says. */
export interface ZstdFrame {
  readonly start: number
  readonly end: number
  /** What it unpacks to; null: it does not say. The decoder refuses a frame that lies. */
  readonly contentBytes: number | null
  /** Memory that the decoder keeps of what it has unpacked. */
  readonly windowBytes: number
}

/** The data frames in their order; skippable frames are left out. COMPRESSION_CORRUPT. */
export function zstdFrames(bytes: Uint8Array): readonly ZstdFrame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: ZstdFrame[] = []
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
    const frame = frameAt(view, at)
    frames.push(frame)
    at = frame.end
  }
  return frames
}

function frameAt(view: DataView, start: number): ZstdFrame {
  const descriptor = view.getUint8(start + 4)
  const isSingleSegment = (descriptor & 0x20) !== 0
  const sizeCode = descriptor >> 6
  const sizeBytes = sizeCode === 0 && isSingleSegment ? 1 : (contentSizeBytes[sizeCode] as number)
  const windowAt = start + 5
  const sizeAt = windowAt + (isSingleSegment ? 0 : 1) + (dictionaryIdBytes[descriptor & 3] as number)
  if (sizeAt + sizeBytes > view.byteLength) throw corrupt('the frame header is cut')
  const contentBytes = contentSize(view, sizeAt, sizeBytes)
  // Without a window of its own the content is the window: such a frame always says how long that is.
  const windowBytes = isSingleSegment ? (contentBytes ?? 0) : windowSize(view.getUint8(windowAt))
  return { start, end: frameEnd(view, sizeAt + sizeBytes, (descriptor & 0x04) !== 0), contentBytes, windowBytes }
}

function contentSize(view: DataView, at: number, bytes: number): number | null {
  switch (bytes) {
    case 0:
      return null
    case 1:
      return view.getUint8(at)
    case 2:
      return view.getUint16(at, true) + 256
    case 4:
      return view.getUint32(at, true)
    default:
      return Number(view.getBigUint64(at, true))
  }
}

/** Section 3.1.1.1.2: an exponent, and eighths of it. */
function windowSize(descriptor: number): number {
  return 2 ** (10 + (descriptor >> 3)) * (1 + (descriptor & 7) / 8)
}

/** Past the blocks that begin at `blocksAt`, and the checksum. */
function frameEnd(view: DataView, blocksAt: number, hasChecksum: boolean): number {
  let at = blocksAt
  for (;;) {
    if (at + 3 > view.byteLength) throw corrupt('a block header is cut')
    const header = view.getUint16(at, true) | (view.getUint8(at + 2) << 16)
    const type = (header >> 1) & 3
    if (type === 3) throw corrupt('the block type is reserved')
    // A run-length block carries one byte whatever its size.
    at += 3 + (type === 1 ? 1 : header >> 3)
    if (header & 1) break
  }
  at += hasChecksum ? 4 : 0
  if (at > view.byteLength) throw corrupt('a block is cut')
  return at
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `zstd: ${reason}`)
}
