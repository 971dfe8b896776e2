/** The bytes of a metadata snapshot in Apache Kafka's form (KIP-630): header, records, footer, as batches one behind the other. */
import { encodeMessage } from '../../protocol/kafka/compile.ts'
import { encodeMetadataRecord, type MetadataRecordInput } from '../../protocol/kafka/stored/metadata-record.ts'
import {
  KRaftVersionRecord,
  SnapshotFooterRecord,
  SnapshotHeaderRecord,
  VotersRecord,
} from '../../protocol/kafka/stored/quorum-records.ts'
import { type ControlRecordType, encodeControlRecordKey } from '../../protocol/records/control-record.ts'
import { setBatchBaseOffset } from '../../protocol/records/record-batch.ts'
import { RecordBatchBuilder } from '../../protocol/records/record-batch-builder.ts'

export interface Voter {
  readonly nodeId: number
  readonly directoryId: string
}

export interface SnapshotContent {
  readonly records: readonly MetadataRecordInput[]
  /** Of the newest record that it covers. */
  readonly epoch: number
  readonly timestampMs: number
  /** Time of the newest record that it covers; 0 = it covers none. */
  readonly coversUntilMs: number
  /** The only voter of the quorum; null = it does not say. */
  readonly voter: Voter | null
}

/** Records of one batch: encoding them takes less than a millisecond. */
const recordsPerBatch = 500

/** The name of a snapshot that stands for everything below `endOffset`. */
export function snapshotName(endOffset: number, epoch: number): string {
  return `${String(endOffset).padStart(20, '0')}-${String(epoch).padStart(10, '0')}.checkpoint`
}

/** Encodes a snapshot; `breathe` is awaited between batches, so that a large one does not hold the loop up. */
export async function encodeSnapshotFile(content: SnapshotContent, breathe: () => Promise<void>): Promise<Uint8Array> {
  const { records, epoch, timestampMs } = content
  const batches: Uint8Array[] = []
  let offset = 0
  const add = (builder: RecordBatchBuilder, isControl: boolean): void => {
    const count = builder.recordCount
    const batch = builder.build({ isControl, partitionLeaderEpoch: epoch })
    setBatchBaseOffset(batch, 0, offset)
    offset += count
    batches.push(batch)
  }
  add(header(content), true)
  for (let from = 0; from < records.length; from += recordsPerBatch) {
    const builder = new RecordBatchBuilder()
    for (const record of records.slice(from, from + recordsPerBatch))
      builder.append(timestampMs, null, encodeMetadataRecord(record), null)
    add(builder, false)
    await breathe()
  }
  const footer = new RecordBatchBuilder()
  footer.append(
    timestampMs,
    encodeControlRecordKey('SNAPSHOT_FOOTER'),
    Buffer.concat(encodeMessage(SnapshotFooterRecord, 0, { version: 0 })),
    null,
  )
  add(footer, true)
  return Buffer.concat(batches)
}

function header({ timestampMs, coversUntilMs, voter }: SnapshotContent): RecordBatchBuilder {
  const builder = new RecordBatchBuilder()
  const add = (type: ControlRecordType, value: readonly Uint8Array[]): void =>
    builder.append(timestampMs, encodeControlRecordKey(type), Buffer.concat(value), null)
  add(
    'SNAPSHOT_HEADER',
    encodeMessage(SnapshotHeaderRecord, 0, { version: 0, lastContainedLogTimestamp: coversUntilMs }),
  )
  if (voter !== null) addVoters(voter, add)
  return builder
}

/** The records that name the quorum, in the first batch of the log and of each snapshot: a dynamic one of one voter (KIP-853). */
export function addVoters(voter: Voter, add: (type: ControlRecordType, value: readonly Uint8Array[]) => void): void {
  add('KRAFT_VERSION', encodeMessage(KRaftVersionRecord, 0, { version: 0, kRaftVersion: 1 }))
  const endpoints = [{ name: 'CONTROLLER', host: '127.0.0.1', port: 9093 }]
  const kRaftVersionFeature = { minSupportedVersion: 0, maxSupportedVersion: 1 }
  const { nodeId: voterId, directoryId: voterDirectoryId } = voter
  const voters = [{ voterId, voterDirectoryId, endpoints, kRaftVersionFeature }]
  add('KRAFT_VOTERS', encodeMessage(VotersRecord, 0, { version: 0, voters }))
}
