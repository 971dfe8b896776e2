/**
 * `bootstrap.checkpoint` beside the topic folders: what `kafka-storage format` gives a new cluster, as a snapshot without voters. Apache
 * Kafka reads it at every start and takes its records into an empty metadata log: feature levels, and SCRAM credentials that were given
 * to the formatting. Here the same; a directory without one gets one, and one that stands there stays as it is.
 */
import { asError } from '../../base/errors.ts'
import { nextTurn } from '../../base/next-turn.ts'
import type { Clock, Disk, DiskOperation } from '../../base/ports.ts'
import { replaceFile } from '../../base/replace-file.ts'
import type { MetadataRecord, MetadataRecordInput } from '../../protocol/kafka/stored/metadata-record.ts'
import { readSnapshot } from './metadata-snapshot.ts'
import { encodeSnapshotFile } from './snapshot-writer.ts'

export const bootstrapName = 'bootstrap.checkpoint'
/** Some hundred thousand credentials. */
const bytesMax = 67_108_864

/** What the file says; a sentence that says why it cannot be used; null = there is none. */
export async function readBootstrap(
  disk: Disk,
  logDirectory: string,
): Promise<readonly MetadataRecord[] | string | null> {
  try {
    const bytes = await disk.readFile(`${logDirectory}/${bootstrapName}`, bytesMax)
    return bytes === null ? null : readSnapshot(bytes)
  } catch (thrown) {
    return asError(thrown).message
  }
}

/** Writes the file with these feature levels, `metadata.version` first as Kafka has it. */
export async function bootstrapWrites(
  logDirectory: string,
  features: ReadonlyMap<string, number>,
  clock: Pick<Clock, 'wallMs' | 'defer'>,
): Promise<readonly DiskOperation[]> {
  const names = [...features.keys()].toSorted(byPlace)
  const records = names.map(
    (name): MetadataRecordInput => ({
      type: 'FeatureLevelRecord',
      version: 0,
      value: { name, featureLevel: features.get(name) ?? 0 },
    }),
  )
  const content = { records, epoch: 0, timestampMs: clock.wallMs(), coversUntilMs: 0, voter: null }
  const bytes = await encodeSnapshotFile(content, () => nextTurn(clock))
  return [...replaceFile(`${logDirectory}/${bootstrapName}`, bytes), { kind: 'syncDirectory', path: logDirectory }]
}

function byPlace(a: string, b: string): number {
  if (a === 'metadata.version' || b === 'metadata.version') return a === 'metadata.version' ? -1 : 1
  return a < b ? -1 : 1
}
