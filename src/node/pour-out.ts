/** One stream of gzip or zstd, unpacked on the thread pool into one piece of memory that is as large as the output may be. */
import type { Transform } from 'node:stream'
import { giveBack } from '../base/outside-memory.ts'

/** The output has more bytes than it may. */
export class PouredOver extends Error {}

/**
 * What `open` makes of `bytes`. The memory is taken whole, so nothing is ever joined; pages that are not written to cost nothing. Rejects with
 * PouredOver beyond `bytesMax`, or with the codec's error; then the memory has been given back.
 */
export function pourOut(
  open: (options: { readonly chunkSize: number }) => Transform,
  bytes: Uint8Array,
  bytesMax: number,
): Promise<Uint8Array> {
  // One byte more tells what ends there from what goes on. The library takes no less than 64.
  const stream = open({ chunkSize: Math.max(64, bytesMax + 1) })
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let length = 0
    stream.on('data', (part: Buffer) => {
      parts.push(part)
      length += part.length
      if (length > bytesMax) stream.destroy(new PouredOver())
    })
    stream.once('error', (error) => {
      // A codec that has poured over may be at work in the memory behind; one that has failed is not.
      const memory = error instanceof PouredOver ? parts[0] : (memoryOf(stream) ?? parts[0])
      if (memory !== undefined) giveBack(memory)
      reject(error)
    })
    stream.once('end', () => {
      const first = parts[0]
      if (first !== undefined) return resolve(new Uint8Array(first.buffer, first.byteOffset, length))
      const memory = memoryOf(stream)
      if (memory !== undefined) giveBack(memory)
      resolve(new Uint8Array(0))
    })
    stream.end(bytes)
  })
}

/** Node's own field: what a stream of a codec writes into. */
const outputProperty = '_outBuffer'

/** What the stream has written and not told of; without it a collection would have to find the memory. */
function memoryOf(stream: Transform): Uint8Array | undefined {
  const memory = (stream as { readonly [outputProperty]?: unknown })[outputProperty]
  return memory instanceof Uint8Array ? memory : undefined
}
