/** The partitions of an internal topic as a coordinator sees them: the seam between `coordinator/` and `cluster/`. */
import type { Cluster } from './cluster/cluster.ts'
import type { CoordinatorLog, CoordinatorPartition } from './coordinator/runtime/coordinator-log.ts'

export function coordinatorLogOf(cluster: Cluster, topic: string): CoordinatorLog {
  return {
    get partitionCount() {
      return cluster.partitions.ofTopic(topic)?.length ?? null
    },
    partition: (index) => partitionOf(cluster, topic, index),
  }
}

function partitionOf(cluster: Cluster, topic: string, index: number): CoordinatorPartition | null {
  const partition = cluster.partitions.get(topic, index)
  if (partition === undefined) return null
  const { log } = partition
  return {
    get logStartOffset() {
      return log.logStartOffset
    },
    get logEndOffset() {
      return log.logEndOffset
    },
    read: (fromOffset, endOffset, bytesMax) => log.read({ fromOffset, endOffset, bytesMax, minOneBatch: true }),
    append(batch) {
      const [outcome] = cluster.partitions.appendSet([{ partition, batch, origin: 'coordinator' }])
      if (outcome === undefined) return { kind: 'refused', error: 'UNKNOWN_SERVER_ERROR', message: 'no answer' }
      if (outcome.kind === 'refused') return outcome
      return { kind: 'appended', endOffset: outcome.lastOffset + 1 }
    },
    whenHighWatermark: (endOffset, callback) => partition.whenHighWatermark(endOffset, callback),
  }
}
