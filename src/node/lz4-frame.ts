/**
 * What a chain of LZ4 frames holds, found without decoding: where each frame ends and how many bytes it can give.
 *
 * The native decoder has no output limit and reads only the first of several frames, so both are settled here.
 * Source: "LZ4 Frame Format Description" 1.6.
 */
import { ComputeError } from '../base/ports.ts'

const frameMagic = 0x184d2204
const skippableMagic = 0x184d2a50
const blockBytesByCode: readonly (number | undefined)[] = [
  undefined,
  undefined,
  undefined,
  undefined,
  65_536,
  262_144,
  1_048_576,
  4_194_304,
]
/** Kafka's clients write one frame a batch; a chain longer than this is made to cost time. */
const framesMax = 1024

/** One frame of the chain: the bytes [start, end) and a bound of its output. */
export interface Lz4Frame {
  readonly start: number
  readonly end: number
  readonly outputBytesMax: number
  readonly blockBytesMax: number
  readonly blocks: readonly Lz4Block[]
  /** FLG and BD of the frame descriptor. */
  readonly flags: number
  readonly blockDescriptor: number
}

/** Its bytes [at, at + size), without the length before and the checksum behind. */
export interface Lz4Block {
  readonly at: number
  readonly size: number
  readonly isCompressed: boolean
}

/** Bits of FLG. */
export const lz4Flags = {
  blocksAreIndependent: 0x20,
  blockChecksums: 0x10,
  contentSize: 0x08,
  contentChecksum: 0x04,
} as const

/** The data frames in their order; skippable frames are left out. COMPRESSION_CORRUPT, COMPRESSION_LIMIT. */
export function lz4Frames(bytes: Uint8Array, outputBytesMax: number): readonly Lz4Frame[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: Lz4Frame[] = []
  let at = 0
  let left = outputBytesMax
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
    const frame = walkFrame(view, at, left)
    frames.push(frame)
    left -= frame.outputBytesMax
    at = frame.end
  }
  return frames
}

function walkFrame(view: DataView, start: number, limit: number): Lz4Frame {
  const flags = view.getUint8(start + 4)
  if (flags >> 6 !== 1) throw corrupt('the frame version is not 1')
  if (flags & 1) throw corrupt('a dictionary is not supported')
  const blockDescriptor = view.getUint8(start + 5)
  const blockBytesMax = blockBytesByCode[(blockDescriptor >> 4) & 7]
  if (blockBytesMax === undefined) throw corrupt('the block size is not defined')
  const checksumBytes = flags & lz4Flags.blockChecksums ? 4 : 0
  let at = start + 7 + (flags & lz4Flags.contentSize ? 8 : 0)
  let bound = 0
  const blocks: Lz4Block[] = []
  for (;;) {
    if (at + 4 > view.byteLength) throw corrupt('the end mark is missing')
    const word = view.getUint32(at, true)
    at += 4
    if (word === 0) break
    const size = word & 0x7fffffff
    if (at + size + checksumBytes > view.byteLength) throw corrupt('a block is cut')
    const isCompressed = word < 0x80000000
    if (!isCompressed && size > blockBytesMax) throw corrupt('a block is larger than declared')
    bound += isCompressed ? Math.min(blockBytesMax, size * 255) : size
    blocks.push({ at, size, isCompressed })
    at += size + checksumBytes
  }
  at += flags & lz4Flags.contentChecksum ? 4 : 0
  if (at > view.byteLength) throw corrupt('the content checksum is cut')
  if (bound > limit) bound = exactBytes(view, blocks, bound, blockBytesMax, limit)
  return { start, end: at, outputBytesMax: bound, blockBytesMax, blocks, flags, blockDescriptor }
}

/** The bound is too coarse to tell: count what the blocks' sequences really give. */
function exactBytes(
  view: DataView,
  blocks: readonly Lz4Block[],
  bound: number,
  blockBytesMax: number,
  limit: number,
): number {
  let exact = bound
  for (const block of blocks) {
    if (!block.isCompressed) continue
    exact += sequenceBytes(view, block.at, block.at + block.size) - Math.min(blockBytesMax, block.size * 255)
  }
  if (exact > limit) throw new ComputeError('COMPRESSION_LIMIT', `lz4: more than ${limit} bytes`)
  return exact
}

function sequenceBytes(view: DataView, start: number, end: number): number {
  let total = 0
  let at = start
  const extra = (): number => {
    let sum = 0
    for (;;) {
      if (at >= end) throw corrupt('a sequence is cut')
      const byte = view.getUint8(at++)
      sum += byte
      if (byte !== 255) return sum
    }
  }
  while (at < end) {
    const token = view.getUint8(at++)
    const literals = (token >> 4) + (token >> 4 === 15 ? extra() : 0)
    at += literals
    total += literals
    if (at >= end) break
    at += 2
    total += 4 + (token & 15) + ((token & 15) === 15 ? extra() : 0)
  }
  if (at !== end) throw corrupt('a sequence is cut')
  return total
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `lz4: ${reason}`)
}
