import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FrameAssembler } from '../../../src/protocol/kafka/frame.ts'

const frameBytesMax = 1_000_000

function collect(reservedBytesMax?: number): {
  readonly frames: Uint8Array[]
  readonly oversize: number[]
  readonly assembler: FrameAssembler
} {
  const frames: Uint8Array[] = []
  const oversize: number[] = []
  const assembler = new FrameAssembler({
    frameBytesMax,
    ...(reservedBytesMax === undefined ? {} : { reservedBytesMax }),
    onFrame: (frame) => frames.push(frame),
    onOversize: (length) => oversize.push(length),
  })
  return { frames, oversize, assembler }
}

function streamOf(frames: readonly Uint8Array[]): Buffer {
  return Buffer.concat(frames.flatMap((frame) => [lengthOf(frame.length), frame]))
}

function lengthOf(length: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(length)
  return bytes
}

/** Delivers as the network does: through memory that is overwritten afterwards, or in the window where one is asked for. */
function deliver(assembler: FrameAssembler, stream: Uint8Array, chunkBytes: readonly number[]): void {
  const scratch = new Uint8Array(Math.max(...chunkBytes))
  for (let at = 0, turn = 0; at < stream.length; turn++) {
    const memory = assembler.window() ?? scratch
    const take = Math.min(stream.length - at, memory.length, chunkBytes[turn % chunkBytes.length] as number)
    memory.set(stream.subarray(at, at + take))
    assembler.push(memory.subarray(0, take))
    scratch.fill(0xee)
    at += take
  }
}

const few = [1, 0, 5, 300, 2].map((length, index) => new Uint8Array(length).fill(index + 1))

describe('a frame assembler', () => {
  it('cuts the same frames wherever the stream is split', () => {
    const stream = streamOf(few)
    for (let split = 1; split < stream.length; split++) {
      const { frames, assembler } = collect()
      deliver(assembler, stream.subarray(0, split), [split])
      deliver(assembler, stream.subarray(split), [stream.length])
      expect(frames).toEqual(few)
    }
  })

  it('cuts the same frames when the bytes come one by one', () => {
    const { frames, assembler } = collect()
    deliver(assembler, streamOf(few), [1])
    expect(frames).toEqual(few)
  })

  it('cuts frames of any sizes out of chunks of any sizes', () => {
    const sizes = fc.array(fc.oneof(fc.nat(40), fc.nat(3000), fc.constantFrom(65_535, 65_536, 70_000, 200_000)), {
      minLength: 1,
      maxLength: 12,
    })
    const chunks = fc.array(fc.oneof(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1000, max: 262_144 })), {
      minLength: 1,
      maxLength: 5,
    })
    fc.assert(
      fc.property(sizes, chunks, (lengths, chunkBytes) => {
        // Chunks of some bytes only are for short streams.
        const most = Math.max(...chunkBytes) < 10 ? lengths.map((length) => length % 500) : lengths
        const sent = most.map((length, index) => new Uint8Array(length).fill(index + 1))
        const { frames, oversize, assembler } = collect()
        deliver(assembler, streamOf(sent), chunkBytes)
        expect(frames.map(({ length }) => length)).toEqual(most)
        expect(frames.every((frame, index) => Buffer.compare(frame, sent[index] as Uint8Array) === 0)).toBe(true)
        expect(oversize).toEqual([])
      }),
      { numRuns: 60 },
    )
  })

  it('asks for the bytes of a large frame in place, and for those of a small one never', () => {
    const { frames, assembler } = collect()
    expect(assembler.window()).toBeNull()
    assembler.push(streamOf([new Uint8Array(65_535)]).subarray(0, 100))
    expect(assembler.window()).toBeNull()
    assembler.push(new Uint8Array(65_535 - 96))
    assembler.push(lengthOf(100_000))
    const window = assembler.window()
    expect(window?.length).toBe(100_000)
    window?.fill(7)
    assembler.push(window?.subarray(0, 99_999) ?? new Uint8Array(0))
    expect(assembler.window()?.length).toBe(1)
    assembler.push(assembler.window() ?? new Uint8Array(0))
    expect(assembler.window()).toBeNull()
    expect(frames.map(({ length }) => length)).toEqual([65_535, 100_000])
    expect(frames[1]?.buffer).toBe(window?.buffer)
    expect(frames[1]?.every((byte) => byte === 7)).toBe(true)
  })

  it('takes bytes from elsewhere while a window is out', () => {
    const { frames, assembler } = collect()
    assembler.push(lengthOf(70_000))
    assembler.window()?.fill(9, 0, 10)
    assembler.push(new Uint8Array(70_000).fill(3))
    expect(frames[0]?.every((byte) => byte === 3)).toBe(true)
  })

  it.each([-1, -0x8000_0000, frameBytesMax + 1, 0x7fff_ffff])(
    'reports a length of %i once and reads no further',
    (length) => {
      for (const chunk of [1, 1000]) {
        const { frames, oversize, assembler } = collect()
        deliver(assembler, Buffer.concat([streamOf(few), lengthOf(length), streamOf(few)]), [chunk])
        expect(frames).toEqual(few)
        expect(oversize).toEqual([length])
        expect(assembler.window()).toBeNull()
      }
    },
  )

  it('accepts a frame of exactly the largest size', () => {
    const { frames, assembler } = collect()
    deliver(assembler, streamOf([new Uint8Array(frameBytesMax)]), [300_000])
    expect(frames[0]?.length).toBe(frameBytesMax)
  })

  it('takes no memory for what is only announced, until its sender is trusted', () => {
    const { frames, assembler } = collect(4096)
    const large = new Uint8Array(700_000).map((_, index) => index % 251)
    const stream = streamOf([large, large, new Uint8Array(3)])
    // Large enough for a window if it had its memory at once.
    assembler.push(stream.subarray(0, 1000))
    expect(assembler.window()).toBeNull()
    deliver(assembler, stream.subarray(1000), [1, 70_000, 333])
    expect(frames).toEqual([large, large, new Uint8Array(3)])
    assembler.trust(frameBytesMax)
    assembler.push(stream.subarray(0, 1000))
    expect(assembler.window()?.length).toBe(large.length - 996)
  })

  it('gives each frame memory that its receiver may change', () => {
    const { frames, assembler } = collect()
    assembler.push(streamOf(few))
    frames[3]?.fill(0)
    expect(frames[2]).toEqual(few[2])
    expect(frames[4]).toEqual(few[4])
  })
})
