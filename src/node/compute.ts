/**
 * Compression and key derivation for the Compute port.
 *
 * Small work runs at once (the thread pool costs more than it saves below some ten kilobytes), larger work on the pool, at most
 * `poolJobsMax` at a time, so that file reads always find a thread. Native codecs hand out memory that is only freed when the loop
 * turns: after `inlineBytesPerTurn` bytes of inline output the next job waits for a turn.
 */
import { pbkdf2, pbkdf2Sync } from 'node:crypto'
import { promisify } from 'node:util'
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import {
  type CompressionCodec,
  type Compute,
  ComputeError,
  type GssAcceptor,
  type GssInitiator,
  type KeyDerivation,
  type TokenKeys,
} from '../base/ports.ts'
import { lz4Frames } from './lz4-frame.ts'
import { snappyBlocks, xerialBlockBytes, xerialHeader } from './snappy-framing.ts'
import { openGssAcceptor, openGssInitiator } from './gss.ts'
import { tokenKeysOf } from './token-keys.ts'
import { zstdFrames } from './zstd-frame.ts'

export interface ComputeOptions {
  /** Never leave the calling turn: for the simulator. */
  readonly inline?: boolean
}

/** Output up to this size is made at once: about 0.3 ms of the fast codecs. */
const inlineFastBytesMax = 256 * 1024
/** Input up to this size is packed at once with gzip and zstd: about 0.2 ms. */
const inlineSlowBytesMax = 8 * 1024
/**
 * Input up to this size is unpacked at once with gzip and zstd, to `inlineFastBytesMax` at most: about 0.4 ms. A visit to the pool costs
 * more than a batch of 64 KB takes, and a context of zstd a call.
 */
const inlineUnpackBytesMax = 64 * 1024
const inlineBytesPerTurn = 1024 * 1024
/** libuv's pool has four threads; two stay free for reads. */
const poolJobsMax = 2

const pbkdf2OnPool = promisify(pbkdf2)
/** Bytes of a derived key. */
const keyBytes = { sha256: 32, sha512: 64 } as const

const gzipOnPool = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gzip)
const gunzipOnPool = promisify<zlib.InputType, zlib.ZlibOptions, Buffer>(zlib.gunzip)
const zstdOnPool = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdCompress)
const unzstdOnPool = promisify<zlib.InputType, zlib.ZstdOptions, Buffer>(zlib.zstdDecompress)

/** The Compute port on the native codecs. `level` counts for gzip and zstd; the other two have one level only. */
export function nodeCompute(options: ComputeOptions = {}): Compute {
  return new NodeCompute(options.inline ?? false)
}

class NodeCompute implements Compute {
  readonly #inline: boolean
  #inlineBytes = 0
  #turn: Promise<void> | null = null
  #poolJobs = 0
  #derivation: Promise<unknown> = Promise.resolve()
  /** Jobs that wait for the pool; bounded by the callers, each of which waits for its own. */
  readonly #poolQueue: (() => void)[] = []

  constructor(inline: boolean) {
    this.#inline = inline
  }

  async compress(codec: CompressionCodec, bytes: Uint8Array, level?: number): Promise<Uint8Array> {
    const isSmall = this.#inline || bytes.length <= inlineSlowBytesMax
    switch (codec) {
      case 'none':
        return bytes
      case 'gzip': {
        const options = { level: level ?? zlib.constants.Z_DEFAULT_COMPRESSION }
        return isSmall ? zlib.gzipSync(bytes, options) : this.#onPool(() => gzipOnPool(bytes, options))
      }
      case 'zstd': {
        const options = {
          params: { [zlib.constants.ZSTD_c_compressionLevel]: level ?? zlib.constants.ZSTD_CLEVEL_DEFAULT },
        }
        return isSmall ? zlib.zstdCompressSync(bytes, options) : this.#onPool(() => zstdOnPool(bytes, options))
      }
      case 'lz4': {
        await this.#inlineTurn(bytes.length)
        if (!this.#isFast(bytes.length)) return this.#onPool(() => lz4.compressFrame(bytes))
        return lz4.compressFrameSync(asBuffer(bytes))
      }
      case 'snappy':
        return this.#compressSnappy(bytes)
    }
  }

  async decompress(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    const output = await this.#decode(codec, bytes, bytesMax)
    if (output.length > bytesMax) throw tooLarge(codec, bytesMax)
    return output
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

  async #decode(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    switch (codec) {
      case 'none':
        return bytes
      case 'gzip':
        return this.#inflate(codec, bytes, bytesMax, zlib.gunzipSync, gunzipOnPool)
      case 'zstd': {
        const parts: Uint8Array[] = []
        let left = bytesMax
        for (const { start, end } of zstdFrames(bytes)) {
          const frame = bytes.subarray(start, end)
          const part = await this.#inflate(codec, frame, left, zlib.zstdDecompressSync, unzstdOnPool)
          left -= part.length
          parts.push(part)
        }
        return joined(parts)
      }
      case 'lz4': {
        const parts: Uint8Array[] = []
        for (const { start, end, outputBytesMax } of lz4Frames(bytes, bytesMax)) {
          parts.push(await this.#decodeLz4(bytes.subarray(start, end), outputBytesMax))
        }
        return joined(parts)
      }
      case 'snappy':
        return this.#decodeSnappy(bytes, bytesMax)
    }
  }

  async #inflate(
    codec: CompressionCodec,
    bytes: Uint8Array,
    bytesMax: number,
    now: (bytes: Uint8Array, options: { maxOutputLength: number }) => Buffer,
    onPool: (bytes: Uint8Array, options: { maxOutputLength: number }) => Promise<Buffer>,
  ): Promise<Uint8Array> {
    // The library refuses a limit of 0; the caller compares the result once more.
    const limit = Math.max(1, bytesMax)
    try {
      if (this.#inline) return now(bytes, { maxOutputLength: limit })
      if (bytes.length > inlineUnpackBytesMax) {
        return await this.#onPool(() => onPool(bytes, { maxOutputLength: limit }))
      }
      // Its output is not known before: whoever comes next looks at what it was.
      while (this.#inlineBytes >= inlineBytesPerTurn) await this.#nextTurn()
      try {
        const output = now(bytes, { maxOutputLength: Math.min(limit, inlineFastBytesMax) })
        this.#inlineBytes += output.length
        return output
      } catch (error) {
        if (!isTooLarge(error) || limit <= inlineFastBytesMax) throw error
        this.#inlineBytes += inlineFastBytesMax
        return await this.#onPool(() => onPool(bytes, { maxOutputLength: limit }))
      }
    } catch (error) {
      if (isTooLarge(error)) throw tooLarge(codec, bytesMax)
      throw asCorrupt(codec, error)
    }
  }

  async #decodeLz4(frame: Uint8Array, outputBytesMax: number): Promise<Uint8Array> {
    await this.#inlineTurn(outputBytesMax)
    try {
      if (this.#isFast(outputBytesMax)) return lz4.decompressFrameSync(asBuffer(frame))
      return await this.#onPool(() => lz4.decompressFrame(frame))
    } catch (error) {
      throw asCorrupt('lz4', error)
    }
  }

  async #decodeSnappy(bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    const blocks = snappyBlocks(bytes, bytesMax)
    const parts: Uint8Array[] = []
    for (const { start, end, outputBytes } of blocks) {
      await this.#inlineTurn(outputBytes)
      const block = bytes.subarray(start, end)
      try {
        if (this.#isFast(outputBytes)) parts.push(asBytes(snappy.uncompressSync(block)))
        else parts.push(asBytes(await this.#onPool(() => snappy.uncompress(block))))
      } catch (error) {
        throw asCorrupt('snappy', error)
      }
    }
    return joined(parts)
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

  #isFast(bytes: number): boolean {
    return this.#inline || bytes <= inlineFastBytesMax
  }

  /** Counts inline work, and waits for the next turn of the loop when this one has had its share. */
  async #inlineTurn(bytes: number): Promise<void> {
    if (this.#inline) return
    while (this.#inlineBytes >= inlineBytesPerTurn) await this.#nextTurn()
    this.#inlineBytes += bytes
  }

  #nextTurn(): Promise<void> {
    this.#turn ??= new Promise((resolve) => {
      setImmediate(() => {
        this.#turn = null
        this.#inlineBytes = 0
        resolve()
      })
    })
    return this.#turn
  }

  async #onPool<T>(job: () => Promise<T>): Promise<T> {
    if (this.#poolJobs >= poolJobsMax) await new Promise<void>((resolve) => this.#poolQueue.push(resolve))
    else this.#poolJobs++
    try {
      return await job()
    } finally {
      const next = this.#poolQueue.shift()
      if (next) next()
      else this.#poolJobs--
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function asBytes(output: string | Buffer): Uint8Array {
  return typeof output === 'string' ? Buffer.from(output) : output
}

function isTooLarge(error: unknown): boolean {
  return error instanceof RangeError && (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
}

function tooLarge(codec: string, bytesMax: number): ComputeError {
  return new ComputeError('COMPRESSION_LIMIT', `${codec}: more than ${bytesMax} bytes`)
}

function asCorrupt(codec: string, error: unknown): ComputeError {
  if (error instanceof ComputeError) return error
  return new ComputeError('COMPRESSION_CORRUPT', `${codec}: ${error instanceof Error ? error.message : String(error)}`)
}
