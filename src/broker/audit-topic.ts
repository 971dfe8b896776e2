/** The topic of the audit: the same records as in its files, for consumers and the mirror. */
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import type { Clock } from '../base/ports.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'
import { forEachBatch } from '../protocol/records/record-batch.ts'
import { forEachRecord } from '../protocol/records/record.ts'
import { type AuditHead, type AuditLine, auditTopicName, readAuditLine } from '../security/audit/audit-line.ts'
import type { AuditTopic } from '../security/audit/topic-copy.ts'
import type { Broker } from './broker.ts'
import { appendToOwnTopic } from './own-topic.ts'

export const auditTopic: InternalTopicDefinition = {
  name: auditTopicName,
  partitions: 1,
  configs: {
    'cleanup.policy': 'delete',
    'retention.ms': '-1',
    'retention.bytes': '67108864',
    'segment.bytes': '4194304',
  },
  readable: 'administrators',
  holds:
    'The audit (docs/audit.md): who has come in, who was refused, and who has changed what. A chain: each record holds the hash of the one before.',
}

/** Read from the end of the topic at once: more than one set of records. */
const tailBytes = 1_048_576

export function auditTopicOf(
  broker: Pick<Broker, 'partitions' | 'ensureInternalTopic' | 'readTailCold'>,
  clock: Clock,
): AuditTopic {
  const { name } = auditTopic
  return {
    async tail(): Promise<AuditHead | null> {
      const partition = broker.partitions.get(name, 0)
      if (partition === undefined || partition.highWatermark <= partition.log.logStartOffset) return null
      const read = await broker.readTailCold(partition, partition.highWatermark - 1, tailBytes)
      let head: AuditHead | null = null
      if (read.kind === 'batches') {
        forEachBatch(read.bytes, (bytes, at) =>
          forEachRecord(bytes, at, ({ value }) => {
            const line = value === null ? '' : readAuditLine(Buffer.from(value).toString('utf8'))
            if (typeof line !== 'string') head = { sequence: line.sequence, hash: line.hash }
          }),
        )
      }
      return head
    },

    async append(lines: readonly AuditLine[]): Promise<void> {
      const builder = new RecordBatchBuilder()
      for (const { text } of lines) builder.append(clock.wallMs(), null, Buffer.from(text), null)
      await appendToOwnTopic(broker, auditTopic, builder.build())
    },
  }
}
