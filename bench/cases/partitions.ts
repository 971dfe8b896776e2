/** What partitions cost: memory of an idle one, a node with 10,000 of them, and throughput over 10 against 10,000. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase, BenchContext } from '../case.ts'
import { batchOf, KafkaLoad, settled, type Topic } from '../load.ts'
import { cpuSeconds, median, openDescriptors, rssMiB, run } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'
import { compiled } from '../programs.ts'
import { touchMemory } from '../touched-memory.ts'

const partitionsFew = 10
const partitionsMany = 10_000
/** One request may ask for so many new ones. */
const partitionsPerTopic = 1_000
const batchBytes = 16_384
const batchesPerRequest = 10
/** Eight producers: each with one request, or with the five that max.in.flight.requests.per.connection allows. */
const loads = [8, 40] as const

export const idlePartitions: BenchCase = {
  name: 'partitions-idle',
  missing: () => null,
  async run(context) {
    const count = Math.round(partitionsMany * context.scale)
    const folder = join(context.folder, 'node')
    const first = await headwaterPeer(folder)
    await first.stop()
    const bare = await headwaterPeer(folder)
    await settled(3_000)
    const bareMiB = rssMiB(bare.pid)
    const load = await KafkaLoad.open(bare.bootstrap)
    const startedAt = performance.now()
    for (const topic of await topicsOf(load, 'idle', count)) {
      // One record in each: an idle partition has had some traffic.
      const batch = batchOf(200)
      await load.run({ topic, batch, batchesPerRequest: 200, inFlight: 1, requests: Math.ceil(topic.partitions / 200) })
    }
    const createdMs = performance.now() - startedAt
    await load.close()
    await bare.stop()
    const starts: number[] = []
    const kilobytes: number[] = []
    let descriptors = 0
    let serves = 0
    for (let round = 0; round < context.rounds; round++) {
      const node = await headwaterPeer(folder)
      starts.push(node.readyAfterMs)
      await settled(3_000)
      kilobytes.push(((rssMiB(node.pid) - bareMiB) * 1024) / count)
      descriptors = openDescriptors(node.pid)
      if (round === context.rounds - 1) serves = await served(node.bootstrap, count)
      await node.stop()
    }
    return {
      figures: [
        {
          name: 'memory of an idle partition',
          unit: 'KiB',
          value: median(kilobytes),
          reach: { atMost: 20 },
          note: `RSS with ${count} partitions less ${bareMiB.toFixed(0)} MiB without; ${descriptors} descriptors`,
        },
        {
          name: `start to serving with ${count} partitions, after a clean stop`,
          unit: 'ms',
          value: median(starts),
          reach: { atMost: 10_000 },
          note: `made and written to in ${(createdMs / 1000).toFixed(1)} s`,
        },
        { name: 'partitions that answer a fetch', unit: '', value: serves, reach: { atLeast: count } },
      ],
    }
  },
}

export const partitionSpread: BenchCase = {
  name: 'partitions-throughput',
  missing: () => hasPrograms('gcc'),
  async run(context) {
    // A short run needs little of it.
    if (context.scale >= 0.5) touchMemory(context.folder)
    const many = Math.max(partitionsFew, Math.round(partitionsMany * context.scale))
    const measured = loads.map((underWay) => ({
      underWay,
      few: [] as number[],
      all: [] as number[],
      notes: [] as string[],
    }))
    const filesFew: number[] = []
    const filesMany: number[] = []
    for (let round = 0; round < context.rounds; round++) {
      for (const { underWay, few, all, notes } of measured) {
        few.push(
          await throughput(context, { name: `few-${round}-${underWay}`, partitions: partitionsFew, underWay }, notes),
        )
        all.push(await throughput(context, { name: `many-${round}-${underWay}`, partitions: many, underWay }, notes))
      }
      filesFew.push(await fileFloor(context, `files-few-${round}`, partitionsFew))
      filesMany.push(await fileFloor(context, `files-many-${round}`, many))
    }
    const floor = { unit: 'MB/s', reach: null } as const
    return {
      comparisons: [
        {
          ...floor,
          name: `writes and syncs of a batch each by a program that does nothing else, over ${many} files / over ${partitionsFew}`,
          ours: filesMany,
          peer: filesFew,
          peerName: `that program, ${partitionsFew} files`,
        },
        {
          ...floor,
          name: `produce over ${many} partitions / those writes alone`,
          ours: measured[0]?.all ?? [],
          peer: filesMany,
          peerName: `that program, ${many} files`,
        },
        ...measured.map(({ underWay, few, all, notes }) => ({
          name: `produce of 16 KB batches over ${many} partitions / over ${partitionsFew}, ${underWay} requests under way`,
          unit: 'MB/s',
          ours: all,
          peer: few,
          peerName: `ours, ${partitionsFew} partitions`,
          reach: { atLeast: 0.8 },
          note: notes.join('; '),
        })),
      ],
    }
  },
}

interface Load {
  readonly name: string
  readonly partitions: number
  readonly underWay: number
}

/** Requests of ten batches for ten partitions; MB/s. */
async function throughput(
  context: BenchContext,
  { name, partitions, underWay }: Load,
  notes: string[],
): Promise<number> {
  const node = await headwaterPeer(join(context.folder, name))
  try {
    const load = await KafkaLoad.open(node.bootstrap)
    const topics = await topicsOf(load, 'spread', partitions)
    const shape = { batch: batchOf(batchBytes), batchesPerRequest, inFlight: 1 }
    // Each topic has its own loop, so that the batches go round over all of them.
    const over = (requests: number): Promise<unknown> =>
      spread(load, topics, { ...shape, inFlight: underWay }, requests)
    const requests = Math.ceil(measuredBytes(context, partitions) / (batchesPerRequest * batchBytes))
    // Every file is there, index files too (they come with the eighth batch or so): what counts is how it goes on. (A run right behind another
    // takes long to get here: ext4 looks one by one past the inodes of files that were removed within the last minutes.)
    await over(warmRequests(partitions))
    const cpu = cpuSeconds(node.pid)
    const startedAt = performance.now()
    await over(requests)
    const seconds = (performance.now() - startedAt) / 1000
    notes.push(`${partitions}: cpu ${(((cpuSeconds(node.pid) - cpu) / seconds) * 100).toFixed(0)} %`)
    await load.close()
    return (requests * batchesPerRequest * batchBytes) / 1e6 / seconds
  } finally {
    await node.stop()
  }
}

function warmRequests(partitions: number): number {
  return Math.max(2_000, partitions)
}

function measuredBytes(context: BenchContext, partitions: number): number {
  return Math.max(2_400_000_000 * Math.min(1, context.scale), partitions * batchBytes * 2)
}

/** What the file system allows for the same batches, each written for itself, all of eight requests in one frame; MB/s. */
async function fileFloor(context: BenchContext, name: string, files: number): Promise<number> {
  const folder = join(context.folder, name)
  mkdirSync(folder, { recursive: true })
  const counts = [warmRequests(files) * batchesPerRequest, Math.ceil(measuredBytes(context, files) / batchBytes)]
  const words = [files, ...counts, loads[0] * batchesPerRequest].map(String)
  const { stdout } = await run(await compiled('file-floor'), [folder, ...words])
  return Number(stdout)
}

async function spread(
  load: KafkaLoad,
  topics: readonly Topic[],
  shape: { readonly batch: Uint8Array; readonly batchesPerRequest: number; readonly inFlight: number },
  requests: number,
): Promise<void> {
  let begun = 0
  const loop = async (): Promise<void> => {
    while (begun < requests) {
      const topic = topics[begun++ % topics.length] as Topic
      await load.run({ ...shape, topic, inFlight: 1, requests: 1 })
    }
  }
  await Promise.all(Array.from({ length: shape.inFlight }, loop))
}

async function topicsOf(load: KafkaLoad, prefix: string, partitions: number): Promise<readonly Topic[]> {
  const topics: Topic[] = []
  for (let left = partitions; left > 0; left -= partitionsPerTopic) {
    topics.push(await load.createTopic(`${prefix}-${topics.length}`, Math.min(left, partitionsPerTopic)))
  }
  return topics
}

/** How many partitions answer with the record that is in them. */
async function served(bootstrap: string, partitions: number): Promise<number> {
  const load = await KafkaLoad.open(bootstrap)
  let answered = 0
  for (let index = 0; index * partitionsPerTopic < partitions; index++) {
    const topic = await load.topic(`idle-${index}`)
    const offsets = new Map(Array.from({ length: topic.partitions }, (_, partition) => [partition, 0]))
    answered += (await load.fetch(topic, offsets)).size
  }
  await load.close()
  return answered
}
