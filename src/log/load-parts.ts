/** What opening a log needs, and the reads that must never stop a boot. */
import type { Clock, Disk, Observer } from '../base/ports.ts'
import { parsePartitionMetadata } from './checkpoint-file.ts'
import type { DigestFile } from './digest-file.ts'
import type { ChainPoint, SegmentDigest } from './segment-digest.ts'
import type { KnownIndexTail } from './known-lines.ts'

export interface LoadParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly observer: Observer
  readonly digests: Pick<DigestFile, 'note' | 'noteGone'>
}

export interface LoadHints {
  /** The last stop was clean: everything on disk is whole and synced. */
  readonly isClean: boolean
  /** A sync failed in the last run: what can be read above the recovery point may not be on the medium, whatever another sync says. */
  readonly hadFailedSync: boolean
  /** Everything below was synced; null = not known. */
  readonly recoveryPoint: number | null
  /** Producer state at the recovery point; null = not known. */
  readonly recoverySnapshot: Uint8Array | null
  /** What `leader-epoch-checkpoint` must have, see side-files.ts; null = not known. */
  readonly epochsCrc: string | null
  /** That file has every epoch that began below the recovery point. */
  readonly hasEpochs: boolean
  /** Entries below the recovery point that the index files lack; null = none are known. */
  readonly indexTail: KnownIndexTail | null
  /** From log-start-offset-checkpoint; null = the first segment's base offset. */
  readonly logStartOffset: number | null
  /** It comes from our sealed copy: an authority, not a hint that a flipped bit may have changed. */
  readonly logStartIsSealed: boolean
  readonly highWatermark: number | null
  /** See side-files.ts. */
  readonly chain: ChainPoint | null
  readonly firstBaseOffset: number | null
  /** What sealed segments were, by base offset. */
  readonly digests: ReadonlyMap<number, SegmentDigest>
}

/** The topic id in `partition.metadata`, or null. */
export async function readTopicId(disk: Disk, directory: string): Promise<string | null> {
  return parsePartitionMetadata(await readSmall(disk, `${directory}/partition.metadata`, 4096))
}

/** A small file, or null when it is missing or cannot be read: side files must not stop a boot. */
export async function readSmall(disk: Disk, path: string, bytesMax: number): Promise<Uint8Array | null> {
  try {
    return await disk.readFile(path, bytesMax)
  } catch {
    return null
  }
}

/**
 * The first bytes of a file, and its size: of an index what its segment can fill, where Apache Kafka gives each file ten megabytes and cuts
 * it at a clean stop only. Null when it is missing or cannot be read.
 */
export async function readStart(
  disk: Disk,
  path: string,
  bytesMax: number,
): Promise<{ readonly bytes: Uint8Array; readonly size: number } | null> {
  try {
    const size = await disk.size(path)
    return size === null ? null : { bytes: await disk.read(path, 0, Math.min(size, bytesMax)), size }
  } catch {
    return null
  }
}
