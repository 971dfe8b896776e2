/** Batches at the edge of what is unpacked: right ones that open to thirty megabytes, and such as turn out wrong at their very end. */
import { gzipSync } from 'node:zlib'
import snappy from 'snappy'
import { nodeCompute } from '../../src/node/compute.ts'
import type { CompressionCodec } from '../../src/base/ports.ts'
import { attributesOfCodec } from '../../src/protocol/records/compression.ts'
import { batchOf, recordOf } from './batch-bytes.ts'
import type { BrokenBatch } from './broken-batches.ts'

/** Records of 208 bytes; snappy does not pack better than twenty to one, and a batch has a MiB at most. */
const recordCount = 150_000
const recordCountOfSnappy = 70_000

export async function heavyBatches(): Promise<readonly BrokenBatch[]> {
  const compute = nodeCompute()
  const records = Array.from({ length: recordCount }, (_, index) => recordOf(index, null, 'x'.repeat(198)))
  const all = Buffer.concat(records)
  const some = Buffer.concat(records.slice(0, recordCountOfSnappy))
  const batch = (codec: CompressionCodec, body: Uint8Array, count: number): Buffer =>
    batchOf([], { attributes: attributesOfCodec(codec), body, count, lastOffsetDelta: count - 1 })
  const right: BrokenBatch[] = []
  for (const codec of ['gzip', 'zstd', 'lz4'] as const) {
    const body = await compute.compress(codec, all)
    right.push({ name: `${codec} of 31 MB`, records: batch(codec, body, recordCount), error: 'NONE' })
  }
  const blocks = await compute.compress('snappy', some)
  const block = snappy.compressSync(some)
  const wrongSum = gzipSync(all)
  wrongSum[wrongSum.length - 6] = (wrongSum[wrongSum.length - 6] as number) ^ 1
  return [
    ...right,
    { name: 'snappy of 14 MB', records: batch('snappy', blocks, recordCountOfSnappy), error: 'NONE' },
    { name: 'snappy of 14 MB in one block', records: batch('snappy', block, recordCountOfSnappy), error: 'NONE' },
    { name: 'gzip of 31 MB whose sum is off', records: batch('gzip', wrongSum, recordCount), error: 'INVALID_RECORD' },
    { name: 'gzip of 200 MB with a long header', records: batch('gzip', paddedBomb(), 1), error: 'MESSAGE_TOO_LARGE' },
  ]
}

/** As many bytes packed as let the most of them be unpacked; the header's extra field is passed over (RFC 1952). */
function paddedBomb(): Buffer {
  const bomb = gzipSync(Buffer.alloc(200_000_000))
  const header = Buffer.from(bomb.subarray(0, 10))
  header[3] = 0x04
  const extra = Buffer.alloc(2 + 65_000)
  extra.writeUInt16LE(65_000)
  return Buffer.concat([header, extra, bomb.subarray(10)])
}
