/**
 * The ledger of deliberate losses: what was given up before its time because the disk's budget was used up. A record stands in it
 * before the data goes, so that whoever misses records can tell a loss that was decided from one that was not.
 *
 * Records are JSON, for people and their tools; the key is `topic-partition`.
 */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import { topicPartitionKey } from '../base/ids.ts'
import type { Clock } from '../base/ports.ts'
import type { Loss } from '../log/retention.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'
import type { Broker } from './broker.ts'
import { appendToOwnTopic } from './own-topic.ts'

export const lossLedgerTopic: InternalTopicDefinition = {
  name: '__headwater_loss_ledger',
  partitions: 1,
  // Some 200 bytes a lost segment: years of them.
  configs: {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '16777216',
    'segment.bytes': '1048576',
  },
  readable: true,
  holds:
    'Data given up because the disk budget was used up: topic, partition, offsets, bytes, reason and time of each loss.',
}

/** Writes one loss down; answers true when the record is committed, false when it cannot be (then nothing may be given up). */
export async function recordLoss(
  loss: Loss,
  broker: Pick<Broker, 'partitions' | 'ensureInternalTopic'>,
  clock: Clock,
): Promise<boolean> {
  const { topic, partition, startOffset, endOffset, bytes, reason } = loss
  const timeMs = clock.wallMs()
  const value = { topic, partition, startOffset, endOffset, bytes, reason, timeMs }
  const builder = new RecordBatchBuilder()
  builder.append(timeMs, Buffer.from(topicPartitionKey(topic, partition)), Buffer.from(JSON.stringify(value)), null)
  return appendToOwnTopic(broker, lossLedgerTopic, builder.build()).then(
    () => true,
    () => false,
  )
}
