/** Bytes that go to the device for each byte of batches, over mixes from one partition to many and from small to large batches. */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import type { BenchCase, Figure } from '../case.ts'
import { type CountedDisk, countedDisk } from '../counted-disk.ts'
import { batchOf, KafkaLoad, settled } from '../load.ts'
import { writtenBytes } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

interface Mix {
  readonly name: string
  readonly partitions: number
  readonly batchBytes: number
  readonly batchesPerRequest: number
  readonly inFlight: number
  /** Bytes of batches to be written. */
  readonly bytes: number
}

const mixes: readonly Mix[] = [
  { name: '1 partition, 1 MB', partitions: 1, batchBytes: 1_000_000, batchesPerRequest: 1, inFlight: 4, bytes: 1e9 },
  { name: '16 partitions, 16 KB', partitions: 16, batchBytes: 16_384, batchesPerRequest: 16, inFlight: 8, bytes: 1e9 },
  {
    name: '256 partitions, 16 KB',
    partitions: 256,
    batchBytes: 16_384,
    batchesPerRequest: 64,
    inFlight: 8,
    bytes: 1e9,
  },
  { name: '256 partitions, 4 KB', partitions: 256, batchBytes: 4_096, batchesPerRequest: 256, inFlight: 8, bytes: 5e8 },
  { name: '256 partitions, 1 KB', partitions: 256, batchBytes: 1_024, batchesPerRequest: 256, inFlight: 8, bytes: 2e8 },
  { name: '8 partitions, 200 B', partitions: 8, batchBytes: 200, batchesPerRequest: 8, inFlight: 64, bytes: 5e7 },
]

export const writeAmplification: BenchCase = {
  name: 'write-amplification',
  missing: () => null,
  async run(context) {
    const figures: Figure[] = []
    for (const mix of mixes) {
      const folder = join(context.folder, mix.name.replaceAll(/\W+/g, '-'))
      const disk = countedDisk(folder)
      try {
        figures.push(await amplification(mix, disk?.folder ?? folder, context.scale, disk))
      } finally {
        disk?.close()
      }
    }
    return { figures }
  },
}

async function amplification(mix: Mix, folder: string, scale: number, disk: CountedDisk | null): Promise<Figure> {
  const node = await headwaterPeer(folder)
  try {
    const written = (): number => disk?.writtenBytes() ?? writtenBytes(node.pid)
    const load = await KafkaLoad.open(node.bootstrap)
    const topic = await load.createTopic('mix', mix.partitions)
    const batch = batchOf(mix.batchBytes)
    const perRequest = mix.batchesPerRequest * batch.length
    // The journal has its full size before the measured part.
    await load.run({ ...mix, topic, batch, requests: Math.ceil((2e9 * scale) / perRequest), milliseconds: 20_000 })
    await settled(1_000)
    const journalSize = (): number => statSync(join(folder, 'data/state/journal')).size
    const journalBytes = journalSize()
    const before = written()
    const commits = await commitsOf(node.http)
    const { requests, bytesPerSecond } = await load.run({
      ...mix,
      topic,
      batch,
      requests: Math.ceil((mix.bytes * scale) / perRequest),
      milliseconds: 30_000,
    })
    const appended = requests * perRequest
    const made = (await commitsOf(node.http)) - commits
    await settled(1_000)
    const value = (written() - before) / appended
    await load.close()
    const growth = journalSize() - journalBytes
    const where =
      disk === null ? 'as the kernel counts whole folios of the process' : 'at the device, ext4 and its journal'
    return {
      name: `write amplification, ${mix.name}`,
      unit: '',
      value,
      reach: { atMost: 2.1 },
      note: `${where}; ${(appended / 1e6).toFixed(0)} MB at ${(bytesPerSecond / 1e6).toFixed(0)} MB/s, ${(appended / made / 1024).toFixed(0)} KiB a commit${growth > 0 ? `; with ${growth / 1_048_576} MiB by which the journal grew` : ''}`,
    }
  } finally {
    await node.stop()
  }
}

async function commitsOf(http: string): Promise<number> {
  const status = (await (await fetch(`http://${http}/api/status`)).json()) as { commit: { commits: number } }
  return status.commit.commits
}
