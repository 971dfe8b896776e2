/** One group commit of 64 KB: spread over 256 partitions against all in one; from the request to its acknowledgement. */
import { NodeClock } from '../../src/node/clock.ts'
import { NodeNet } from '../../src/node/net.ts'
import { silentObserver } from '../../src/admin/silent-observer.ts'
import { createTopicsApi, metadataApi, produceApi } from '../../src/protocol/kafka/apis.ts'
import { KafkaClientConnection } from '../../src/protocol/kafka/client-connection.ts'
import { RecordBatchBuilder } from '../../src/protocol/records/record-batch-builder.ts'
import type { BenchCase } from '../case.ts'
import { median } from '../measure.ts'
import { headwaterPeer } from '../peers.ts'

const partitions = 256
const totalBytes = 65_536
/** Requests before the measured ones, so that the daemon's code is compiled. */
const warmUps = 50

export const commitSpread: BenchCase = {
  name: 'commit-spread',
  missing: () => null,
  async run(context) {
    const rounds = Math.max(100, Math.round(1_000 * context.scale))
    const spread: number[] = []
    const single: number[] = []
    const spreadMedians: number[] = []
    const singleMedians: number[] = []
    for (let round = 0; round < context.rounds; round++) {
      const peer = await headwaterPeer(`${context.folder}/${round}`)
      const clock = new NodeClock()
      const net = new NodeNet({ observer: silentObserver })
      const [host = '', port = ''] = peer.bootstrap.split(':')
      const connection = await KafkaClientConnection.open({
        net,
        clock,
        address: { host, port: Number(port) },
        clientId: 'commit-spread',
        connectTimeoutMs: 5_000,
        requestTimeoutMs: 30_000,
        frameBytesMax: 16_777_216,
      })
      try {
        const topic = { replicationFactor: -1, assignments: [], configs: [] }
        await connection.send(createTopicsApi, {
          topics: [
            { ...topic, name: 'spread', numPartitions: partitions },
            { ...topic, name: 'single', numPartitions: 1 },
          ],
          timeoutMs: 30_000,
        })
        const { topics } = await connection.send(metadataApi, { topics: [{ name: 'spread' }, { name: 'single' }] })
        const idOf = (name: string): string => topics.find((each) => each.name === name)?.topicId ?? ''
        const time = async (name: string, count: number): Promise<number> => {
          const partitionData = Array.from({ length: count }, (_, index) => ({
            index,
            records: batchOf(totalBytes / count),
          }))
          const startedAt = performance.now()
          const response = await connection.send(produceApi, {
            acks: -1,
            timeoutMs: 30_000,
            topicData: [{ name, topicId: idOf(name), partitionData }],
          })
          const failed = response.responses
            .flatMap((each) => each.partitionResponses)
            .find((each) => each.errorCode !== 0)
          if (failed !== undefined) throw new Error(`produce answered ${failed.errorCode}`)
          return performance.now() - startedAt
        }
        // One after the other, the single partition first: between commits over 256 partitions it would wait for the file writes
        // and syncs that those leave behind, and its time would not be its own.
        const measure = async (name: string, count: number): Promise<number[]> => {
          for (let warm = 0; warm < warmUps; warm++) await time(name, count)
          const times: number[] = []
          for (let index = 0; index < rounds; index++) times.push(await time(name, count))
          return times
        }
        const singleMs = await measure('single', 1)
        const spreadMs = await measure('spread', partitions)
        spread.push(p99(spreadMs))
        single.push(p99(singleMs))
        spreadMedians.push(median(spreadMs))
        singleMedians.push(median(singleMs))
      } finally {
        connection.close()
        await net.close()
        clock.close()
        await peer.stop()
      }
    }
    return {
      comparisons: [
        {
          name: '64 KB in one commit, spread over 256 partitions / in one, p99',
          unit: 'ms',
          ours: spread,
          peer: single,
          peerName: 'ours, one partition',
          reach: { atMost: 4 },
          note: `acks=all over one connection, one request at a time, ${rounds} a round, one partition first; medians ${median(spreadMedians).toFixed(2)} and ${median(singleMedians).toFixed(2)} ms`,
        },
      ],
    }
  },
}

/** A batch of about this many bytes. */
function batchOf(bytes: number): Uint8Array {
  const builder = new RecordBatchBuilder()
  builder.append(Date.now(), null, new Uint8Array(Math.max(1, bytes - 80)), null)
  return builder.build()
}

function p99(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length * 0.99)] ?? 0
}
