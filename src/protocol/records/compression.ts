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
