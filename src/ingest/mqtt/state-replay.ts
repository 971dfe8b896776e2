import type { InternalTopicDefinition } from '../../base/internal-topic-def.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import {
  batchCodec,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchRecordCount,
  batchSizeInBytes,
  forEachBatch,
} from '../../protocol/records/record-batch.ts'
import { forEachRecord, RecordFormatError, type RecordView } from '../../protocol/records/record.ts'
import { type ScannedRecord, scanRecords } from './record-scan.ts'

/** How far a state topic could be read back. */
export interface ReplayOutcome {
  readonly records: number
  /** Partitions that could not be read to their end, and where that was. */
  readonly unread: readonly { readonly partition: number; readonly fromOffset: number }[]
}

/** Reads every partition of a state topic of this room from its start and hands out its records; views: copy what is kept. */
export function replayTopic(
  broker: Broker,
  topic: InternalTopicDefinition,
  readBytes: number,
  visit: (record: RecordView) => void,
): Promise<ReplayOutcome> {
  return readTopic(broker, topic, readBytes, (bytes, at) => forEachRecord(bytes, at, visit))
}

/** The same without an object for each record, for a topic of many: see `scanRecords`. What this room writes is not compressed. */
export function scanTopic(
  broker: Broker,
  topic: InternalTopicDefinition,
  readBytes: number,
  visit: (bytes: Uint8Array, record: ScannedRecord) => void,
): Promise<ReplayOutcome> {
  return readTopic(broker, topic, readBytes, (bytes, at) => {
    if (batchCodec(bytes, at) !== 'none') throw new RecordFormatError('the records are compressed')
    const end = at + batchSizeInBytes(bytes, at)
    const span = { start: at + batchHeaderBytes, end, count: batchRecordCount(bytes, at) }
    scanRecords(bytes, span, (record) => visit(bytes, record))
  })
}

async function readTopic(
  broker: Broker,
  topic: InternalTopicDefinition,
  readBytes: number,
  visitBatch: (bytes: Uint8Array, at: number) => void,
): Promise<ReplayOutcome> {
  let records = 0
  const unread: { partition: number; fromOffset: number }[] = []
  for (let index = 0; index < topic.partitions; index += 1) {
    const partition = broker.partitions.get(topic.name, index)
    if (partition === undefined) continue
    const end = await readPartition(broker, partition, readBytes, (bytes, at) => {
      records += batchRecordCount(bytes, at)
      visitBatch(bytes, at)
    })
    if (end < partition.highWatermark) unread.push({ partition: index, fromOffset: end })
  }
  return { records, unread }
}

/** Answers the offset in front of which everything was read. */
async function readPartition(
  broker: Broker,
  partition: Partition,
  readBytes: number,
  visitBatch: (bytes: Uint8Array, at: number) => void,
): Promise<number> {
  let offset = partition.log.logStartOffset
  while (offset < partition.highWatermark) {
    const read = await broker.readTailCold(partition, offset, readBytes)
    if (read.kind !== 'batches' || read.bytes.length === 0) return offset
    const from = offset
    forEachBatch(read.bytes, (bytes, at) => {
      if (!batchIsControl(bytes, at)) visitBatch(bytes, at)
      offset = batchLastOffset(bytes, at) + 1
    })
    if (offset <= from) return offset
  }
  return offset
}
