/**
 * A large LZ4 frame, packed and unpacked piece by piece in the loop's turns. The library's jobs on the thread pool keep what they have made:
 * their allocator never takes memory back that one thread has filled and another one frees. So each piece is a small frame of its own.
 */
import lz4 from 'lz4-napi'
import { ComputeError } from '../base/ports.ts'
import { type Lz4Block, type Lz4Frame, lz4Flags, lz4Frames } from './lz4-frame.ts'
import { giveBack } from '../base/outside-memory.ts'
import { Xxh32, xxh32 } from './xxh32.ts'

/** Output of a piece, but for a single block that has more: half a millisecond. */
export const pieceBytes = 1024 * 1024
const headerBytes = 7
const endMarkBytes = 4
/** How far back a block may look into the ones before (LZ4 Block Format). */
const historyBytes = 65_536
const isStored = 0x8000_0000

/** Unpacks one frame. `turn` is asked before each piece, with a bound of its output. */
export async function unpackLz4InPieces(
  bytes: Uint8Array,
  frame: Lz4Frame,
  turn: (bytes: number) => Promise<void>,
): Promise<Uint8Array> {
  const output = new Uint8Array(frame.outputBytesMax)
  const sum = (frame.flags & lz4Flags.contentChecksum) === 0 ? null : new Xxh32()
  let length = 0
  let summed = 0
  try {
    for (const piece of piecesOf(frame)) {
      await turn(pieceBytes)
      if ((frame.flags & lz4Flags.blockChecksums) !== 0) checkBlocks(bytes, piece)
      const isLinked = (frame.flags & lz4Flags.blocksAreIndependent) === 0
      const history = isLinked ? output.subarray(Math.max(0, length - historyBytes), length) : output.subarray(0, 0)
      const made = lz4.decompressFrameSync(pieceFrame(bytes, frame, piece, history))
      const fresh = made.subarray(history.length)
      if (length + fresh.length > output.length) throw corrupt('a block holds more than it can')
      output.set(fresh, length)
      length += fresh.length
      giveBack(made)
      if (sum === null) continue
      const end = length - ((length - summed) % 16)
      sum.stripes(output, summed, end)
      summed = end
    }
    checkContent(bytes, frame, length, sum?.digest(output.subarray(summed, length)) ?? null)
    return output.subarray(0, length)
  } catch (error) {
    giveBack(output)
    throw error
  }
}

/** Packs into one frame. `turn` is asked before each piece, with its length. */
export async function packLz4InPieces(bytes: Uint8Array, turn: (bytes: number) => Promise<void>): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    const piece = bytes.subarray(at, at + pieceBytes)
    await turn(piece.length)
    const made = lz4.compressFrameSync(Buffer.from(piece.buffer, piece.byteOffset, piece.length))
    const [frame] = lz4Frames(made, piece.length)
    if (frame === undefined || (frame.flags & (lz4Flags.contentSize | lz4Flags.contentChecksum)) !== 0)
      throw new Error('lz4: the library writes another kind of frame')
    parts.push(made.subarray(parts.length === 0 ? 0 : headerBytes, frame.end - endMarkBytes))
  }
  return Buffer.concat([...parts, new Uint8Array(endMarkBytes)])
}

function* piecesOf({ blocks, blockBytesMax }: Lz4Frame): Generator<readonly Lz4Block[]> {
  let piece: Lz4Block[] = []
  let bytes = 0
  for (const block of blocks) {
    const blockBytes = block.isCompressed ? Math.min(blockBytesMax, block.size * 255) : block.size
    if (piece.length > 0 && bytes + blockBytes > pieceBytes) {
      yield piece
      piece = []
      bytes = 0
    }
    piece.push(block)
    bytes += blockBytes
  }
  if (piece.length > 0) yield piece
}

/** A frame of these blocks alone. Linked ones find what they look back at in a stored block before them. */
function pieceFrame(bytes: Uint8Array, frame: Lz4Frame, piece: readonly Lz4Block[], history: Uint8Array): Buffer {
  const blockBytes = piece.reduce((sum, { size }) => sum + 4 + size, 0)
  const small = Buffer.allocUnsafe(headerBytes + 4 + history.length + blockBytes + endMarkBytes)
  small.writeUInt32LE(0x184d2204, 0)
  small[4] = 0x40 | (frame.flags & lz4Flags.blocksAreIndependent)
  small[5] = frame.blockDescriptor
  small[6] = (xxh32(small.subarray(4, 6)) >>> 8) & 0xff
  let at = headerBytes
  const put = (length: number, block: Uint8Array): void => {
    small.writeUInt32LE(length, at)
    small.set(block, at + 4)
    at += 4 + block.length
  }
  if (history.length > 0) put(history.length + isStored, history)
  for (const { at: start, size, isCompressed } of piece)
    put(isCompressed ? size : size + isStored, bytes.subarray(start, start + size))
  small.writeUInt32LE(0, at)
  return small.subarray(0, at + endMarkBytes)
}

function checkBlocks(bytes: Uint8Array, piece: readonly Lz4Block[]): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (const { at, size } of piece)
    if (view.getUint32(at + size, true) !== xxh32(bytes.subarray(at, at + size)))
      throw corrupt('a block checksum is off')
}

function checkContent(bytes: Uint8Array, { start, end, flags }: Lz4Frame, length: number, sum: number | null): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if ((flags & lz4Flags.contentSize) !== 0 && view.getBigUint64(start + 6, true) !== BigInt(length))
    throw corrupt('the content size is off')
  if (sum !== null && view.getUint32(end - 4, true) !== sum) throw corrupt('the content checksum is off')
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `lz4: ${reason}`)
}
