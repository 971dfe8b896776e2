import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { batchIsControl, batchLastOffset, forEachBatch } from '../../protocol/records/record-batch.ts'
import { forEachRecord, type RecordView } from '../../protocol/records/record.ts'

/** How far a state topic could be read back. */
export interface ReplayOutcome {
  readonly records: number
  /** Partitions that could not be read to their end, and where that was. */
  readonly unread: readonly { readonly partition: number; readonly fromOffset: number }[]
}

/** Reads every partition of a state topic of this room from its start and hands out its records; views: copy what is kept. */
export async function replayTopic(
  broker: Broker,
  topic: InternalTopicDefinition,
  readBytes: number,
  visit: (record: RecordView) => void,
): Promise<ReplayOutcome> {
  let records = 0
  const unread: { partition: number; fromOffset: number }[] = []
  for (let index = 0; index < topic.partitions; index += 1) {
    const partition = broker.partitions.get(topic.name, index)
    if (partition === undefined) continue
    const end = await replayPartition(broker, partition, readBytes, (record) => {
      records += 1
      visit(record)
    })
    if (end < partition.highWatermark) unread.push({ partition: index, fromOffset: end })
  }
  return { records, unread }
}

/** Answers the offset in front of which everything was read. */
async function replayPartition(
  broker: Broker,
  partition: Partition,
  readBytes: number,
  visit: (record: RecordView) => void,
): Promise<number> {
  let offset = partition.log.logStartOffset
  while (offset < partition.highWatermark) {
    const read = await broker.readTailCold(partition, offset, readBytes)
    if (read.kind !== 'batches' || read.bytes.length === 0) return offset
    const from = offset
    forEachBatch(read.bytes, (bytes, at) => {
      if (!batchIsControl(bytes, at)) forEachRecord(bytes, at, visit)
      offset = batchLastOffset(bytes, at) + 1
    })
    if (offset <= from) return offset
  }
  return offset
}
