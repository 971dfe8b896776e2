/**
 * Has another broker written here since our last start? Whoever leads the metadata quorum names a higher epoch in `quorum-state`; ours
 * stands in `dataDir/state` before it stands there. Apache Kafka keeps its own files in step and knows nothing of our copies of them:
 * after it they speak of another time, and must not be believed.
 */
import type { Disk, DiskOperation } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { sealText, unsealText } from './checkpoint-file.ts'
import { readSmall } from './load-parts.ts'
import { stateFileNames } from './side-files.ts'

/** The vote, in the folder of the metadata log. */
export const quorumStateName = 'quorum-state'
const bytesMax = 65_536

export interface OtherOwner {
  readonly ownEpoch: number
  readonly foundEpoch: number
}

/** Who has written here after us, or null. A start that did not get as far as its vote leaves our epoch the higher one. */
export async function findOtherOwner(
  disk: Disk,
  place: { readonly logDirectory: string; readonly stateDirectory: string },
): Promise<OtherOwner | null> {
  const own = unsealText(await readSmall(disk, `${place.stateDirectory}/${stateFileNames.quorumEpoch}`, bytesMax))
  const path = `${place.logDirectory}/__cluster_metadata-0/${quorumStateName}`
  const foundEpoch = quorumEpochOf(await readSmall(disk, path, bytesMax))
  if (own === null) return null
  const ownEpoch = Number(Buffer.from(own).toString('utf8'))
  return foundEpoch > ownEpoch ? { ownEpoch, foundEpoch } : null
}

/** The epoch in our copy; 0 when there is none. */
export async function ownQuorumEpoch(disk: Disk, stateDirectory: string): Promise<number> {
  const own = unsealText(await readSmall(disk, `${stateDirectory}/${stateFileNames.quorumEpoch}`, bytesMax))
  const epoch = own === null ? 0 : Number(Buffer.from(own).toString('utf8'))
  return Number.isSafeInteger(epoch) ? epoch : 0
}

/** Writes our copy of the epoch; what follows in the same submission comes after it. */
export function quorumEpochWrites(stateDirectory: string, epoch: number): readonly DiskOperation[] {
  const path = `${stateDirectory}/${stateFileNames.quorumEpoch}`
  return [...replaceFile(path, sealText(Buffer.from(String(epoch)))), { kind: 'syncDirectory', path: stateDirectory }]
}

/** The epoch in a `quorum-state` file; 0 when it is missing or not to be understood. */
export function quorumEpochOf(bytes: Uint8Array | null): number {
  if (bytes === null) return 0
  try {
    const state = JSON.parse(Buffer.from(bytes).toString('utf8')) as { leaderEpoch?: unknown }
    return typeof state.leaderEpoch === 'number' && Number.isSafeInteger(state.leaderEpoch) ? state.leaderEpoch : 0
  } catch {
    return 0
  }
}
