/** A coordinator's topic among the partitions of this node. */
import type { PartitionTable } from '../../cluster/partition/partition-table.ts'
import type { CoordinatorAppendOutcome, CoordinatorLog, CoordinatorPartition } from './coordinator-log.ts'

/**
 * The view of `topic` in the table. `partitionCount` is asked for the number of its partitions, undefined while it does not exist;
 * the topic counts as there when all of them are served.
 */
export function partitionTableLog(
  table: PartitionTable,
  topic: string,
  partitionCount: () => number | undefined,
): CoordinatorLog {
  const views = new Map<number, CoordinatorPartition>()
  return {
    get partitionCount() {
      const count = partitionCount()
      return count === undefined || table.get(topic, count - 1) === undefined ? null : count
    },
    partition(index) {
      let view = views.get(index)
      if (view === undefined && table.get(topic, index) !== undefined) {
        view = partitionView(table, topic, index)
        views.set(index, view)
      }
      return view ?? null
    },
  }
}

/** Looks the partition up with each use: a topic that was deleted and made again is another one. */
function partitionView(table: PartitionTable, topic: string, index: number): CoordinatorPartition {
  const find = (): ReturnType<PartitionTable['get']> => table.get(topic, index)
  return {
    get logStartOffset() {
      return find()?.log.logStartOffset ?? 0
    },
    get logEndOffset() {
      return find()?.log.logEndOffset ?? 0
    },
    async read(fromOffset, endOffset, bytesMax) {
      const partition = find()
      if (partition === undefined) return { kind: 'outOfRange' }
      return partition.log.read({ fromOffset, endOffset, bytesMax, minOneBatch: true })
    },
    append(batch): CoordinatorAppendOutcome {
      const partition = find()
      const outcome = partition && table.appendSet([{ partition, batch, origin: 'coordinator' }])[0]
      if (outcome === undefined) return { kind: 'refused', error: 'NOT_LEADER_OR_FOLLOWER', message: 'not served here' }
      if (outcome.kind === 'refused') return outcome
      return { kind: 'appended', endOffset: outcome.lastOffset + 1 }
    },
    whenHighWatermark(endOffset, callback) {
      const partition = find()
      if (partition === undefined) callback('NOT_LEADER_OR_FOLLOWER')
      else partition.whenHighWatermark(endOffset, callback)
    },
  }
}
