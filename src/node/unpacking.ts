/**
 * Decompression. What stays small is unpacked in the loop's turn; what may become large waits until there is room for it, is unpacked on
 * the pool (gzip, zstd) or in pieces (LZ4, snappy), and its memory is given back as soon as its reader is done.
 */
import zlib from 'node:zlib'
import lz4 from 'lz4-napi'
import snappy from 'snappy'
import { type CompressionCodec, ComputeError } from '../base/ports.ts'
import type { CodecTurns } from './codec-turns.ts'
import { type Lz4Frame, lz4Frames } from './lz4-frame.ts'
import { pieceBytes, unpackLz4InPieces } from './lz4-pieces.ts'
import { giveBack } from '../base/outside-memory.ts'
import { PouredOver, pourOut } from './pour-out.ts'
import { type SnappyBlock, snappyBlocks } from './snappy-framing.ts'
import { SnappySteps, stepBytes, wholeBytesMax } from './snappy-steps.ts'
import { type ZstdFrame, zstdFrames } from './zstd-frame.ts'

/** Output up to this size needs no room. */
const inlineFastBytesMax = 256 * 1024
/**
 * Input up to this size is unpacked at once with gzip and zstd, to `inlineFastBytesMax` at most: about 0.4 ms. A visit to the pool costs
 * more than a batch of 64 KB takes, and a context of zstd a call.
 */
const inlineUnpackBytesMax = 64 * 1024

/** What a job has made, and what it holds until its reader is done. */
interface Unpacked {
  readonly output: Uint8Array
  /** Room that is to be given back; 0: the output is small, and its memory may be shared. */
  readonly roomBytes: number
}

interface StreamCodec {
  readonly name: CompressionCodec
  readonly now: (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Buffer
  readonly open: (options: { readonly chunkSize: number }) => zlib.Gunzip | zlib.ZstdDecompress
}

const gzip: StreamCodec = { name: 'gzip', now: zlib.gunzipSync, open: zlib.createGunzip }
const zstd: StreamCodec = { name: 'zstd', now: zlib.zstdDecompressSync, open: zlib.createZstdDecompress }

export class Unpacker {
  readonly #turns: CodecTurns
  /** Never leave the calling turn. */
  readonly #inline: boolean

  constructor(turns: CodecTurns, inline: boolean) {
    this.#turns = turns
    this.#inline = inline
  }

  /** The output is the caller's. */
  async decompress(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    const { output, roomBytes } = await this.#open(codec, bytes, bytesMax)
    if (roomBytes === 0) return output
    this.#turns.giveRoom(roomBytes)
    // Memory as large as the output could have been is counted whole by V8, and would set off its collections.
    if (output.length > (output.buffer.byteLength * 3) / 4) return output
    const kept = new Uint8Array(output)
    giveBack(output)
    return kept
  }

  /** The output is `use`'s until that has settled. */
  async unpack<T>(
    codec: CompressionCodec,
    bytes: Uint8Array,
    bytesMax: number,
    use: (output: Uint8Array) => T | Promise<T>,
  ): Promise<T> {
    const { output, roomBytes } = await this.#open(codec, bytes, bytesMax)
    try {
      return await use(output)
    } finally {
      if (roomBytes > 0) {
        giveBack(output)
        this.#turns.giveRoom(roomBytes)
      }
    }
  }

  async #open(codec: CompressionCodec, bytes: Uint8Array, bytesMax: number): Promise<Unpacked> {
    switch (codec) {
      case 'none':
        if (bytes.length > bytesMax) throw tooLarge(codec, bytesMax)
        return { output: bytes, roomBytes: 0 }
      case 'gzip':
        return this.#stream(gzip, bytes, bytesMax, 0)
      case 'zstd':
        return this.#zstd(bytes, bytesMax)
      case 'lz4':
        return this.#lz4(bytes, bytesMax)
      case 'snappy':
        return this.#snappy(bytes, bytesMax)
    }
  }

  async #stream(codec: StreamCodec, bytes: Uint8Array, bytesMax: number, windowBytes: number): Promise<Unpacked> {
    const small = await this.#streamNow(codec, bytes, bytesMax)
    if (small !== null) return { output: small, roomBytes: 0 }
    return this.#inRoom(bytesMax + windowBytes, () => this.#streamOnPool(codec, bytes, bytesMax))
  }

  /** Null: it is too much for the loop. */
  async #streamNow({ name, now }: StreamCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array | null> {
    if (!this.#inline && bytes.length > inlineUnpackBytesMax) return null
    // Its output is not known before: whoever comes next looks at what it was.
    if (!this.#inline) while (this.#turns.isTurnSpent) await this.#turns.nextTurn()
    const limit = this.#inline ? bytesMax : Math.min(bytesMax, inlineFastBytesMax)
    try {
      // The library refuses a limit of 0.
      const output = now(bytes, { maxOutputLength: Math.max(1, limit) })
      if (output.length > limit) throw tooLarge(name, bytesMax)
      this.#turns.countInline(output.length)
      return output
    } catch (error) {
      if (!isTooLarge(error)) throw asCorrupt(name, error)
      if (limit === bytesMax) throw tooLarge(name, bytesMax)
      this.#turns.countInline(limit)
      return null
    }
  }

  async #streamOnPool({ name, open }: StreamCodec, bytes: Uint8Array, bytesMax: number): Promise<Uint8Array> {
    try {
      return await this.#turns.onPool(() => pourOut(open, bytes, bytesMax))
    } catch (error) {
      throw error instanceof PouredOver ? tooLarge(name, bytesMax) : asCorrupt(name, error)
    }
  }

  async #zstd(bytes: Uint8Array, bytesMax: number): Promise<Unpacked> {
    const frames = zstdFrames(bytes)
    const claimed = frames.reduce((sum, { contentBytes }) => sum + (contentBytes ?? 0), 0)
    if (claimed > bytesMax) throw tooLarge('zstd', bytesMax)
    const [first] = frames
    if (first === undefined) return { output: new Uint8Array(0), roomBytes: 0 }
    const limit = frames.every(({ contentBytes }) => contentBytes !== null) ? claimed : bytesMax
    // The decoder has a window of its own beside the output, which it fills as far as there is output.
    const windowBytes = Math.min(limit, Math.max(...frames.map((frame) => frame.windowBytes)))
    const bytesOf = ({ start, end }: ZstdFrame): Uint8Array => bytes.subarray(start, end)
    if (frames.length === 1) return this.#stream(zstd, bytesOf(first), limit, windowBytes)
    return this.#chain(frames, limit, windowBytes, async (frame, left) => {
      const part = bytesOf(frame)
      return (await this.#streamNow(zstd, part, left)) ?? (await this.#streamOnPool(zstd, part, left))
    })
  }

  async #lz4(bytes: Uint8Array, bytesMax: number): Promise<Unpacked> {
    const frames = lz4Frames(bytes, bytesMax)
    const limit = frames.reduce((sum, { outputBytesMax }) => sum + outputBytesMax, 0)
    const [first] = frames
    if (first === undefined) return { output: new Uint8Array(0), roomBytes: 0 }
    if (frames.length > 1) return this.#chain(frames, limit, 0, (frame) => this.#lz4Frame(bytes, frame))
    if (this.#isSmall(limit)) return { output: await this.#lz4Frame(bytes, first), roomBytes: 0 }
    return this.#inRoom(limit, () => this.#lz4Frame(bytes, first))
  }

  async #lz4Frame(bytes: Uint8Array, frame: Lz4Frame): Promise<Uint8Array> {
    try {
      if (!this.#inline && frame.outputBytesMax > pieceBytes)
        return await unpackLz4InPieces(bytes, frame, (outputBytes) => this.#inlineTurn(outputBytes))
      await this.#inlineTurn(frame.outputBytesMax)
      return lz4.decompressFrameSync(asBuffer(bytes.subarray(frame.start, frame.end)))
    } catch (error) {
      throw asCorrupt('lz4', error)
    }
  }

  async #snappy(bytes: Uint8Array, bytesMax: number): Promise<Unpacked> {
    const blocks = snappyBlocks(bytes, bytesMax)
    const outputBytes = blocks.reduce((sum, block) => sum + block.outputBytes, 0)
    const [first] = blocks
    if (first === undefined) return { output: new Uint8Array(0), roomBytes: 0 }
    const whole = (): Promise<Uint8Array> =>
      blocks.length === 1 ? this.#snappyBlock(bytes, first) : this.#snappyBlocks(bytes, blocks, outputBytes)
    if (this.#isSmall(outputBytes)) return { output: await whole(), roomBytes: 0 }
    return this.#inRoom(outputBytes, whole)
  }

  async #snappyBlocks(bytes: Uint8Array, blocks: readonly SnappyBlock[], outputBytes: number): Promise<Uint8Array> {
    const output = new Uint8Array(outputBytes)
    let at = 0
    try {
      for (const block of blocks) {
        const part = await this.#snappyBlock(bytes, block)
        output.set(part, at)
        at += part.length
        giveBack(part)
      }
      return output
    } catch (error) {
      giveBack(output)
      throw error
    }
  }

  async #snappyBlock(bytes: Uint8Array, block: SnappyBlock): Promise<Uint8Array> {
    if (!this.#inline && block.outputBytes > wholeBytesMax) return this.#snappyInSteps(bytes, block)
    await this.#inlineTurn(block.outputBytes)
    try {
      // A copy: memory of the library's own is freed when the loop turns, and only partly returned to the system.
      return asBytes(snappy.uncompressSync(bytes.subarray(block.start, block.end), { copyOutputData: true }))
    } catch (error) {
      throw asCorrupt('snappy', error)
    }
  }

  async #snappyInSteps(bytes: Uint8Array, { elementsAt, end, outputBytes }: SnappyBlock): Promise<Uint8Array> {
    const output = new Uint8Array(outputBytes)
    const steps = new SnappySteps(bytes, elementsAt, end, output)
    try {
      do await this.#inlineTurn(2 * stepBytes)
      while (!steps.step())
      return output
    } catch (error) {
      giveBack(output)
      throw error
    }
  }

  /** Several frames are unpacked one by one and joined: for a moment they are in memory twice. No client of Kafka's writes them. */
  async #chain<F>(
    frames: readonly F[],
    bytesMax: number,
    windowBytes: number,
    unpack: (frame: F, bytesMax: number) => Promise<Uint8Array>,
  ): Promise<Unpacked> {
    return this.#inRoom(2 * bytesMax + windowBytes, async () => {
      const parts: Uint8Array[] = []
      let left = bytesMax
      try {
        for (const frame of frames) {
          const part = await unpack(frame, left)
          left -= part.length
          parts.push(part)
        }
        return new Uint8Array(Buffer.concat(parts))
      } finally {
        for (const part of parts) giveBack(part)
      }
    })
  }

  /** The job's output holds the room until its reader is done. */
  async #inRoom(roomBytes: number, job: () => Promise<Uint8Array>): Promise<Unpacked> {
    if (this.#inline) return { output: await job(), roomBytes: 0 }
    await this.#turns.takeRoom(roomBytes)
    try {
      return { output: await job(), roomBytes }
    } catch (error) {
      this.#turns.giveRoom(roomBytes)
      throw error
    }
  }

  #isSmall(bytes: number): boolean {
    return this.#inline || bytes <= inlineFastBytesMax
  }

  async #inlineTurn(bytes: number): Promise<void> {
    if (!this.#inline) await this.#turns.inlineTurn(bytes)
  }
}

export function asBuffer(bytes: Uint8Array): Buffer {
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
