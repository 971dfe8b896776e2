/** Every message that is declared: those of the wire, and those that are stored. */
import { kafkaClientApis } from '../../../src/protocol/kafka/apis.ts'
import { layoutLines } from '../../../src/protocol/kafka/layout.ts'
import type { MessageSchema } from '../../../src/protocol/kafka/schema.ts'
import {
  ConsumerProtocolAssignment,
  ConsumerProtocolSubscription,
} from '../../../src/protocol/kafka/stored/consumer-protocol.ts'
import { GroupMetadataKey, GroupMetadataValue } from '../../../src/protocol/kafka/stored/group-metadata.ts'
import { metadataRecords } from '../../../src/protocol/kafka/stored/metadata-record.ts'
import { OffsetCommitKey, OffsetCommitValue } from '../../../src/protocol/kafka/stored/offset-commit.ts'
import { ProducerSnapshot } from '../../../src/protocol/kafka/stored/producer-snapshot.ts'
import {
  KRaftVersionRecord,
  LeaderChangeMessage,
  SnapshotFooterRecord,
  SnapshotHeaderRecord,
  VotersRecord,
} from '../../../src/protocol/kafka/stored/quorum-records.ts'
import { ControlRecordTypeSchema, EndTxnMarker } from '../../../src/protocol/kafka/stored/transaction-marker.ts'

/** Requests and responses. */
export const wireMessages: readonly MessageSchema[] = kafkaClientApis.flatMap(({ request, response }) => [
  request,
  response,
])

/** Records and parts of records. */
export const storedMessages: readonly MessageSchema[] = [
  ...Object.values(metadataRecords),
  LeaderChangeMessage,
  SnapshotHeaderRecord,
  SnapshotFooterRecord,
  KRaftVersionRecord,
  VotersRecord,
  ControlRecordTypeSchema,
  EndTxnMarker,
  OffsetCommitKey,
  OffsetCommitValue,
  GroupMetadataKey,
  GroupMetadataValue,
  ConsumerProtocolSubscription,
  ConsumerProtocolAssignment,
  ProducerSnapshot,
]

/** The canonical text of all of them: the content of `test/golden/kafka-layouts.txt`. */
export function allLayouts(): string {
  return `${[...wireMessages, ...storedMessages].flatMap(layoutLines).join('\n')}\n`
}
