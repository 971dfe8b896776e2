/** The topic of the audit: the same records as in its files, for consumers and the mirror. */
import { ApplianceError } from '../base/errors.ts'
import type { InternalTopicDefinition } from '../base/internal-topic-def.ts'
import type { Clock } from '../base/ports.ts'
import { RecordBatchBuilder } from '../protocol/records/record-batch-builder.ts'
import { forEachBatch } from '../protocol/records/record-batch.ts'
import { forEachRecord } from '../protocol/records/record.ts'
import { type AuditHead, type AuditLine, readAuditLine } from '../security/audit/audit-line.ts'
import type { AuditTopic } from '../security/audit/topic-copy.ts'
import { adminErrors } from './admin-errors.ts'
import type { Broker } from './broker.ts'

export const auditTopic: InternalTopicDefinition = {
  name: '__headwater_audit',
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
      if (broker.partitions.get(name, 0) === undefined) await broker.ensureInternalTopic(auditTopic)
      const partition = broker.partitions.get(name, 0)
      const refuse = (reason: string): never => {
        throw new ApplianceError(adminErrors.internalTopicMissing, { topic: name, reason })
      }
      if (partition === undefined) return refuse('it has no log')
      const builder = new RecordBatchBuilder()
      for (const { text } of lines) builder.append(clock.wallMs(), null, Buffer.from(text), null)
      const [outcome] = broker.partitions.appendSet([{ partition, batch: builder.build(), origin: 'internal' }])
      if (outcome === undefined || outcome.kind === 'refused') return refuse(outcome?.message ?? 'no outcome')
      const end = outcome.lastOffset + 1
      const error = await new Promise<string | null>((resolve) => partition.whenHighWatermark(end, resolve))
      if (error !== null) refuse(error)
    },
  }
}
