/** 1,000 partitions of 20 segments with a hard limit of 1,024 open files: everything old and new is read and written. */
import { readdirSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import { hasPrograms } from '../../test/interop/foreign.ts'
import type { BenchCase } from '../case.ts'
import { KafkaLoad, type Topic } from '../load.ts'
import { openDescriptors } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const openFilesMax = 1_024
const segmentsEach = 20
const perRequest = 100
/** Clients that hold a connection and say nothing. */
const bystanders = 300
const hourMs = 3_600_000

export const descriptors: BenchCase = {
  name: 'descriptors',
  missing: () => hasPrograms('prlimit'),
  async run(context) {
    const partitions = Math.max(perRequest, Math.round(1_000 * context.scale))
    const folder = join(context.folder, 'node')
    const start = () => headwaterPeer(folder, { prefix: ['prlimit', `--nofile=${openFilesMax}:${openFilesMax}`] })
    let node = await start()
    let load = await KafkaLoad.open(node.bootstrap)
    const topic = await load.createTopic('old', partitions, { 'segment.ms': String(hourMs), 'retention.ms': '-1' })
    const firstMs = Date.now() - segmentsEach * 2 * hourMs
    // A record an hour later than the one before closes the segment.
    for (let segment = 0; segment < segmentsEach; segment++) {
      await everywhere(topic, (some) => writeTo(load, topic, some, firstMs + segment * hourMs * 1.5))
    }
    let highest = 0
    let served = 0
    for (const round of ['running', 'after a kill']) {
      if (round === 'after a kill') {
        await load.close()
        await node.kill()
        node = await start()
        load = await KafkaLoad.open(node.bootstrap)
      }
      const [host = '', port = ''] = node.bootstrap.split(':')
      const sockets = Array.from({ length: bystanders }, () => connect(Number(port), host))
      const found = new Map<number, number>()
      for (const offset of [0, segmentsEach >> 1, segmentsEach - 1]) {
        await everywhere(topic, async (some) => {
          for (const partition of (await load.fetch(topic, new Map(some.map((each) => [each, offset])))).keys())
            found.set(partition, (found.get(partition) ?? 0) + 1)
          highest = Math.max(highest, openDescriptors(node.pid))
        })
      }
      await everywhere(topic, async (some) => {
        const offsets = await writeTo(load, topic, some, Date.now())
        const written = new Map(some.map((partition, index) => [partition, offsets[index] as number]))
        for (const partition of (await load.fetch(topic, written)).keys())
          found.set(partition, (found.get(partition) ?? 0) + 1)
        highest = Math.max(highest, openDescriptors(node.pid))
      })
      for (const socket of sockets) socket.destroy()
      served += [...found.values()].filter((count) => count === 4).length
    }
    await load.close()
    await node.stop()
    const data = join(folder, 'data/log')
    const files = readdirSync(data).filter((name) => name.startsWith('old-'))
    const segments = files.reduce(
      (sum, name) => sum + readdirSync(join(data, name)).filter((file) => file.endsWith('.log')).length,
      0,
    )
    return {
      figures: [
        {
          name: `partitions that serve old and new data with a hard limit of ${openFilesMax} open files, before and after a kill`,
          unit: '',
          value: served,
          reach: { atLeast: partitions * 2 },
          note: `${segments} segments in ${partitions} partitions, ${bystanders} idle connections`,
        },
        { name: 'highest number of open files', unit: '', value: highest, reach: { atMost: openFilesMax } },
      ],
    }
  },
}

async function everywhere(topic: Topic, task: (partitions: readonly number[]) => Promise<unknown>): Promise<void> {
  const all = Array.from({ length: topic.partitions }, (_, partition) => partition)
  for (let at = 0; at < all.length; at += perRequest) await task(all.slice(at, at + perRequest))
}

function writeTo(
  load: KafkaLoad,
  topic: Topic,
  partitions: readonly number[],
  timestampMs: number,
): Promise<readonly number[]> {
  const builder = new RecordBatchBuilder()
  builder.append(timestampMs, null, new Uint8Array(100), null)
  const batch = builder.build()
  return load.produce(topic, new Map(partitions.map((partition) => [partition, batch])))
}
