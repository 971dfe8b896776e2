/**
 * Snapshots of the metadata log as Apache Kafka writes them (KIP-630): `<end offset>-<epoch>.checkpoint` beside the segments, batches of
 * the records that make the image, between a header and a footer control record. Kafka may delete the log in front of one.
 */
import { decodeMetadataRecord, type MetadataRecord } from '../../protocol/kafka/stored/metadata-record.ts'
import { controlRecordType } from '../../protocol/records/control-record.ts'
import { forEachRecord } from '../../protocol/records/record.ts'
import {
  batchCodec,
  batchCrcIsValid,
  batchHeaderBytes,
  batchIsControl,
  batchMagic,
  batchSizeInBytes,
} from '../../protocol/records/record-batch.ts'

export interface SnapshotId {
  readonly name: string
  /** The snapshot stands for every record below. */
  readonly endOffset: number
  readonly epoch: number
}

/** The snapshots among the names of a folder, newest first. */
export function snapshotsIn(names: readonly string[]): readonly SnapshotId[] {
  const found: SnapshotId[] = []
  for (const name of names) {
    const match = /^(\d{20})-(\d{10})\.checkpoint$/.exec(name)
    if (match === null) continue
    const [endOffset, epoch] = [Number(match[1]), Number(match[2])]
    if (Number.isSafeInteger(endOffset)) found.push({ name, endOffset, epoch })
  }
  return found.sort((a, b) => b.endOffset - a.endOffset || b.epoch - a.epoch)
}

/** The records of a snapshot; a sentence that says why it is not whole, when it is not. Nothing of a snapshot that is not whole counts. */
export function readSnapshot(bytes: Uint8Array): readonly MetadataRecord[] | string {
  const records: MetadataRecord[] = []
  let hasHeader = false
  let hasFooter = false
  for (let at = 0; at < bytes.length; ) {
    const fault = batchFault(bytes, at)
    if (fault !== null) return `position ${at}: ${fault}`
    if (hasFooter) return `position ${at}: a batch behind the footer`
    try {
      forEachRecord(bytes, at, ({ key, value }) => {
        if (batchIsControl(bytes, at)) {
          const type = controlRecordType(key)
          hasHeader ||= type === 'SNAPSHOT_HEADER'
          hasFooter ||= type === 'SNAPSHOT_FOOTER'
        } else if (value !== null) records.push(decodeMetadataRecord(value))
        return true
      })
    } catch (thrown) {
      return `position ${at}: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    }
    if (!hasHeader) return 'it does not begin with a header'
    at += batchSizeInBytes(bytes, at)
  }
  return hasFooter ? records : 'it has no footer'
}

function batchFault(bytes: Uint8Array, at: number): string | null {
  const rest = bytes.length - at
  if (rest < batchHeaderBytes) return 'the rest is shorter than a batch header'
  const size = batchSizeInBytes(bytes, at)
  if (size < batchHeaderBytes || size > rest) return `a batch of ${size} bytes where ${rest} remain`
  if (batchMagic(bytes, at) !== 2) return `record format ${batchMagic(bytes, at)}`
  if (!batchCrcIsValid(bytes, at)) return 'the checksum is wrong'
  return batchCodec(bytes, at) === 'none' ? null : 'it is compressed'
}
