/** The topics of the node's own that this build knows. */
import type { InternalTopicDefinition } from './base/internal-topic-def.ts'
import { auditTopic } from './broker/audit-topic.ts'
import { lossLedgerTopic } from './broker/loss-ledger.ts'
import { tokensTopic } from './broker/token-log.ts'
import type { BrokerSettings } from './cluster/metadata/broker-config.ts'
import { offsetsTopicOf } from './coordinator/group/offsets-topic.ts'
import { mqttSessionsTopic } from './ingest/mqtt/packet-id-log.ts'
import { retainedTopic } from './ingest/mqtt/retained-keeper.ts'
import { mirrorTopic } from './mirror/anchor.ts'

export function offsetsTopicBy(settings: BrokerSettings): InternalTopicDefinition {
  return offsetsTopicOf(settings.number('offsets.topic.num.partitions'), settings.number('offsets.topic.segment.bytes'))
}

export function internalTopicList(settings: BrokerSettings): readonly InternalTopicDefinition[] {
  return [
    offsetsTopicBy(settings),
    mqttSessionsTopic,
    retainedTopic,
    mirrorTopic,
    lossLedgerTopic,
    auditTopic,
    tokensTopic,
  ]
}
