/** Produce of compressed batches against plain ones: every batch is unpacked and looked into before it is appended. */
import { join } from 'node:path'
import type { CompressionCodec } from '../../src/base/ports.ts'
import { nodeCompute } from '../../src/node/compute.ts'
import {
  attributesAt,
  batchHeaderBytes,
  lengthAt,
  logOverheadBytes,
  updateBatchCrc,
  writeInt16,
  writeInt32,
} from '../../src/protocol/records/record-batch.ts'
import { attributesOfCodec } from '../../src/protocol/records/compression.ts'
import type { BenchCase, Comparison } from '../case.ts'
import { batchOf, KafkaLoad } from '../load.ts'
import { cpuSeconds } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const codecs: readonly CompressionCodec[] = ['zstd', 'lz4', 'gzip', 'snappy']
const sizes: readonly number[] = [16_384, 65_536]

export const codecProduce: BenchCase = {
  name: 'codec-produce',
  missing: () => null,
  async run(context) {
    const milliseconds = 4_000 * context.scale
    const comparisons: Comparison[] = []
    const node = await headwaterPeer(join(context.folder, 'node'))
    const load = await KafkaLoad.open(node.bootstrap)
    const topic = await load.createTopic('codecs', 4)
    for (const size of sizes) {
      const plain = readings(size)
      const rates = new Map<CompressionCodec, number[]>()
      for (const codec of ['none', ...codecs] as const) rates.set(codec, [])
      const notes = new Map<CompressionCodec, string>()
      for (let round = 0; round < context.rounds; round++) {
        for (const [codec, series] of rates) {
          const batch = await packed(plain, codec)
          const cpu = cpuSeconds(node.pid)
          const { requests, bytesPerSecond } = await load.run({
            topic,
            batch,
            batchesPerRequest: 4,
            inFlight: 4,
            milliseconds,
          })
          series.push(((bytesPerSecond / batch.length) * plain.length) / 1e6)
          const gigabytes = (requests * 4 * plain.length) / 1e9
          notes.set(
            codec,
            `ratio ${(plain.length / batch.length).toFixed(1)}, ${((cpuSeconds(node.pid) - cpu) / gigabytes).toFixed(1)} cpu s a GB`,
          )
        }
      }
      for (const codec of codecs) {
        comparisons.push({
          name: `produce of ${size / 1024} KB batches in ${codec} / in none, unpacked`,
          unit: 'MB/s',
          ours: rates.get(codec) ?? [],
          peer: rates.get('none') ?? [],
          peerName: 'none',
          reach: null,
          note: `${notes.get(codec)}; none: ${notes.get('none')}`,
        })
      }
    }
    await load.close()
    await node.stop()
    return { comparisons }
  },
}

/** A batch of sensor readings. */
function readings(bytes: number): Uint8Array {
  let at = 0
  return batchOf(bytes, (value) => {
    for (let from = 0; from < value.length; at++) {
      const text = `{"sensor":"hall-${at % 40}/temperature","at":${1_700_000_000_000 + at * 137},"value":${(20 + Math.sin(at) * 5).toFixed(3)}}\n`
      from += Buffer.from(value.buffer, value.byteOffset, value.byteLength).write(text, from)
      if (from + text.length > value.length) break
    }
  })
}

async function packed(plain: Uint8Array, codec: CompressionCodec): Promise<Uint8Array> {
  if (codec === 'none') return plain
  const body = await nodeCompute().compress(codec, plain.subarray(batchHeaderBytes))
  const batch = new Uint8Array(batchHeaderBytes + body.length)
  batch.set(plain.subarray(0, batchHeaderBytes))
  batch.set(body, batchHeaderBytes)
  writeInt32(batch, lengthAt, batch.length - logOverheadBytes)
  writeInt16(batch, attributesAt, attributesOfCodec(codec))
  updateBatchCrc(batch)
  return batch
}
