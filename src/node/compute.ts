/**
 * Compression and key derivation for the Compute port.
 *
 * Small work runs at once (the thread pool costs more than it saves below some ten kilobytes), larger work on the pool, where file reads
 * always find a thread (`codec-turns.ts`). Decompression is `unpacking.ts`.
 */
import { pbkdf2, pbkdf2Sync } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import type { CompressionCodec, Compute, GssAcceptor, GssInitiator, KeyDerivation, TokenKeys } from '../base/ports.ts'
import { CodecTurns } from './codec-turns.ts'
import { openGssAcceptor, openGssInitiator } from './gss.ts'
import { packLz4InPieces, pieceBytes } from './lz4-pieces.ts'
import { xerialBlockBytes, xerialHeader } from './snappy-framing.ts'
import { tokenKeysOf } from './token-keys.ts'
import { asBuffer, Unpacker } from './unpacking.ts'

export interface ComputeOptions {
  /** Never leave the calling turn: for the simulator. */
  readonly inline?: boolean
}

/** Input up to this size is packed at once with gzip and zstd: about 0.2 ms. */
const inlineSlowBytesMax = 8 * 1024
/** These two take so many times the processor of the others: a turn has some thirty such jobs. */
const slowWeight = 4
/** Above these levels eight kilobytes take milliseconds. */
const inlineLevelMax = { gzip: 6, zstd: 9 } as const

const pbkdf2OnPool = promisify(pbkdf2)
/** Bytes of a derived key. */
const keyBytes = { sha256: 32, sha512: 64 } as const

const gzipOnPool = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip)
const zstdOnPool = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)

/** The Compute port on the native codecs. `level` counts for gzip and zstd; the other two have one level only. */
export function nodeCompute(options: ComputeOptions = {}): Compute {
  return new NodeCompute(options.inline ?? false)
}

class NodeCompute implements Compute {
  readonly #inline: boolean
  readonly #turns = new CodecTurns()
  readonly #unpacker: Unpacker
  #derivation: Promise<unknown> = Promise.resolve()

  constructor(inline: boolean) {
    this.#inline = inline
    this.#unpacker = new Unpacker(this.#turns, inline)
  }

  async compress(codec: CompressionCodec, bytes: Uint8Array, level?: number): Promise<Uint8Array> {
    switch (codec) {
      case 'none':
        return bytes
      case 'gzip': {
        const options = { level: level ?? zlib.constants.Z_DEFAULT_COMPRESSION }
        return (await this.#isForTurn(codec, bytes, level))
          ? zlib.gzipSync(bytes, options)
          : this.#turns.onPool(() => gzipOnPool(bytes, options))
      }
      case 'zstd': {
        const options = {
          params: { [zlib.constants.ZSTD_c_compressionLevel]: level ?? zlib.constants.ZSTD_CLEVEL_DEFAULT },
        }
        return (await this.#isForTurn(codec, bytes, level))
          ? zlib.zstdCompressSync(bytes, options)
          : this.#turns.onPool(() => zstdOnPool(bytes, options))
      }
      case 'lz4': {
        if (!this.#inline && bytes.length > pieceBytes)
          return packLz4InPieces(bytes, (pieceBytes) => this.#inlineTurn(pieceBytes))
        await this.#inlineTurn(bytes.length)
        return lz4.compressFrameSync(asBuffer(bytes))
      }
      case 'snappy':
        return this.#compressSnappy(bytes)
    }
  }

  decompress(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    return this.#unpacker.decompress(codec, bytes, bytesMax)
  }

  unpack<T>(
    codec: CompressionCodec,
    bytes: Uint8Array,
    bytesMax: number,
    use: (output: Uint8Array) => T | Promise<T>,
  ): Promise<T> {
    return this.#unpacker.unpack(codec, bytes, bytesMax, use)
  }

  deriveKey({ password, salt, iterations, digest }: KeyDerivation): Promise<Uint8Array> {
    const length = keyBytes[digest]
    if (this.#inline) return Promise.resolve(pbkdf2Sync(password, salt, iterations, length, digest))
    // A queue of its own, one at a time: a flood of passwords must not hold up the codecs.
    const derived = this.#derivation.then(() => pbkdf2OnPool(password, salt, iterations, length, digest))
    this.#derivation = derived.catch(() => {})
    return derived
  }

  tokenKeys(set: Uint8Array): Promise<TokenKeys> {
    return tokenKeysOf(set)
  }

  gssAcceptor(keytab: string, principal: string): GssAcceptor {
    return openGssAcceptor(keytab, principal)
  }

  gssInitiator(keytab: string, principal: string, service: string): GssInitiator {
    return openGssInitiator(keytab, principal, service)
  }

  /** Is it packed in the loop's turn? Then in the one in which this resolves. */
  async #isForTurn(codec: 'gzip' | 'zstd', bytes: Uint8Array, level = 0): Promise<boolean> {
    const isSmall = bytes.length <= inlineSlowBytesMax && level <= inlineLevelMax[codec]
    if (isSmall) await this.#inlineTurn(bytes.length * slowWeight)
    return this.#inline || isSmall
  }

  async #compressSnappy(bytes: Uint8Array): Promise<Uint8Array> {
    const parts: Uint8Array[] = [xerialHeader]
    for (let at = 0; at < bytes.length; at += xerialBlockBytes) {
      await this.#inlineTurn(xerialBlockBytes)
      const block = snappy.compressSync(bytes.subarray(at, at + xerialBlockBytes))
      const length = Buffer.allocUnsafe(4)
      length.writeInt32BE(block.length)
      parts.push(length, block)
    }
    return Buffer.concat(parts)
  }

  async #inlineTurn(bytes: number): Promise<void> {
    if (!this.#inline) await this.#turns.inlineTurn(bytes)
  }
}
