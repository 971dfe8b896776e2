/** Derives the leader epochs of a log from its batches when `leader-epoch-checkpoint` cannot be believed, or does not tell of all. */
import type { Disk } from '../base/ports.ts'
import {
  batchBaseOffset,
  batchHeaderBytes,
  batchMagic,
  batchPartitionLeaderEpoch,
} from '../protocol/records/record-batch.ts'
import { visitBatches } from './damage-finder.ts'
import type { EpochEntry } from './leader-epoch-cache.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

/** All of them. */
export async function rebuildEpochs(log: UnifiedLog, disk: Disk): Promise<void> {
  log.epochs.load(await epochsIn(log, disk))
  log.epochs.isDirty = true
}

/** A crash may keep what a cut at the start has made of the checkpoint, and not the cut: the epochs below what it tells of are read. */
export async function completeEpochs(log: UnifiedLog, disk: Disk): Promise<void> {
  const [first] = log.epochs.entries
  if (first === undefined || first.startOffset <= log.logStartOffset) return
  log.epochs.completeStart(await epochsIn(log, disk))
}

/**
 * Epochs never fall along a log, so a segment that begins with the same epoch as the next one has no other: only the segments
 * in which the epoch changes, and the last one, are walked.
 */
async function epochsIn(log: UnifiedLog, disk: Disk): Promise<readonly EpochEntry[]> {
  const segments = log.segments.filter((segment) => segment.sizeInBytes > 0)
  const firsts: number[] = []
  for (const segment of segments) {
    const header = await disk.read(segment.logPath, 0, batchHeaderBytes)
    // A torn one at the end of the log tells nothing: its zeros would look like epoch 0.
    const isBatch = header.length === batchHeaderBytes && batchMagic(header) === 2
    firsts.push(isBatch ? batchPartitionLeaderEpoch(header) : -1)
  }
  const found: EpochEntry[] = []
  const note = (epoch: number, startOffset: number): void => {
    if (epoch > (found.at(-1)?.epoch ?? -1)) found.push({ epoch, startOffset })
  }
  for (let index = 0; index < segments.length; index++) {
    const segment = segments[index] as Segment
    const first = firsts[index] as number
    note(first, segment.baseOffset)
    if (firsts[index + 1] === first) continue
    await visitBatches(segment, segment.sizeInBytes, disk, (bytes, at) => {
      note(batchPartitionLeaderEpoch(bytes, at), batchBaseOffset(bytes, at))
    })
  }
  return found
}
