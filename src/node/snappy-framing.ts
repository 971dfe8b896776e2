/**
 * Kafka's two forms of snappy: the Java client writes xerial blocks (a 16-byte header, then big-endian length and raw block,
 * again and again), librdkafka writes one raw block. Both are read, xerial is written.
 * Source: github.com/xerial/snappy-java, SnappyOutputStream; github.com/google/snappy, format_description.txt.
 */
import { ComputeError } from '../base/ports.ts'

/** 0x82 "SNAPPY" 0x00, version 1, compatible with 1. */
export const xerialHeader: Uint8Array = Uint8Array.of(
  0x82,
  0x53,
  0x4e,
  0x41,
  0x50,
  0x50,
  0x59,
  0,
  0,
  0,
  0,
  1,
  0,
  0,
  0,
  1,
)
/** Uncompressed bytes of a block, as snappy-java writes them. */
export const xerialBlockBytes = 32_768

/** One raw block: the bytes [start, end), and what it says it gives. */
export interface SnappyBlock {
  readonly start: number
  readonly end: number
  readonly outputBytes: number
  /** Behind the varint of `outputBytes`. */
  readonly elementsAt: number
}

/** The raw blocks of either form. COMPRESSION_CORRUPT; COMPRESSION_LIMIT when they claim more than the limit. */
export function snappyBlocks(bytes: Uint8Array, outputBytesMax: number): readonly SnappyBlock[] {
  const ranges = isXerial(bytes) ? xerialRanges(bytes) : [{ start: 0, end: bytes.length }]
  let total = 0
  return ranges.map(({ start, end }) => {
    const { value: outputBytes, at: elementsAt } = claimedBytes(bytes, start, end)
    total += outputBytes
    if (total > outputBytesMax) throw new ComputeError('COMPRESSION_LIMIT', `snappy: more than ${outputBytesMax} bytes`)
    return { start, end, outputBytes, elementsAt }
  })
}

function isXerial(bytes: Uint8Array): boolean {
  return bytes.length >= xerialHeader.length && xerialHeader.subarray(0, 8).every((byte, at) => bytes[at] === byte)
}

function xerialRanges(bytes: Uint8Array): { start: number; end: number }[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const ranges: { start: number; end: number }[] = []
  for (let at = xerialHeader.length; at < bytes.length; ) {
    // snappy-java accepts streams that were appended to one another: a header in place of a length.
    if (isXerial(bytes.subarray(at))) {
      at += xerialHeader.length
      continue
    }
    const end = at + 4 <= bytes.length ? at + 4 + view.getInt32(at) : -1
    if (end < at + 4 || end > bytes.length) throw corrupt('a block is cut')
    ranges.push({ start: at + 4, end })
    at = end
  }
  return ranges
}

/** The varint that a raw block begins with. */
function claimedBytes(bytes: Uint8Array, start: number, end: number): { readonly value: number; readonly at: number } {
  let value = 0
  for (let at = start, shift = 0; at < end && shift < 35; at++, shift += 7) {
    const byte = bytes[at] as number
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return { value, at: at + 1 }
  }
  throw corrupt('a block has no length')
}

function corrupt(reason: string): ComputeError {
  return new ComputeError('COMPRESSION_CORRUPT', `snappy: ${reason}`)
}
