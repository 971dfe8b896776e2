/** The codec bits of a batch's attributes (KIP-98, KIP-110). */
import type { CompressionCodec } from '../../base/ports.ts'

/** Bits 0 to 2 of the attributes. */
export const codecMask = 0x07

const codecs: readonly CompressionCodec[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

/** The codec of a batch's attributes, or null for a number that Kafka has not assigned. */
export function codecOfAttributes(attributes: number): CompressionCodec | null {
  return codecs[attributes & codecMask] ?? null
}

/** The attribute bits of a codec. */
export function attributesOfCodec(codec: CompressionCodec): number {
  return codecs.indexOf(codec)
}

/**
 * Do the bytes from `at` on begin as this codec's output does? Kafka's framings: gzip (RFC 1952), xerial's snappy or a bare snappy
 * block, LZ4 frames, zstd frames (RFC 8878, a skippable one too). The first bytes only: what follows is for whoever unpacks it.
 */
export function beginsLikeCodec(codec: CompressionCodec, bytes: Uint8Array, at: number): boolean {
  const begins = (...magic: readonly number[]): boolean => magic.every((byte, index) => bytes[at + index] === byte)
  switch (codec) {
    case 'none':
      return true
    case 'gzip':
      return begins(0x1f, 0x8b, 0x08)
    case 'snappy':
      return begins(0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00) || isSnappyBlock(bytes, at)
    case 'lz4':
      return begins(0x04, 0x22, 0x4d, 0x18)
    case 'zstd':
      return begins(0x28, 0xb5, 0x2f, 0xfd) || (((bytes[at] ?? 0) & 0xf0) === 0x50 && bytes[at + 1] === 0x2a)
  }
}

/** A bare block: the unpacked length as a varint, then elements; the first must be a literal. Of random bytes most are none. */
function isSnappyBlock(bytes: Uint8Array, at: number): boolean {
  let unpacked = 0
  for (let index = 0; index < 5; index++) {
    const byte = bytes[at + index] ?? 0
    unpacked += (byte & 0x7f) * 2 ** (7 * index)
    if (byte >= 0x80) continue
    const tag = bytes[at + index + 1]
    // No encoder writes more than this (snappy.cc, MaxCompressedLength).
    return tag !== undefined && (tag & 3) === 0 && bytes.length - at <= 32 + unpacked + unpacked / 6
  }
  return false
}
