/** Brings the producers of a log back: a snapshot, then the headers of what follows. */
import type { DiskOperation } from '../base/ports.ts'
import { batchLastOffset } from '../protocol/records/record-batch.ts'
import { visitBatches } from './damage-finder.ts'
import { type LoadHints, type LoadParts, readSmall } from './load-parts.ts'
import { logEvents } from './log-events.ts'
import { decodeSnapshot, encodeSnapshot, snapshotBytesMax } from './producer-snapshot.ts'
import { ProducerState } from './producer-state.ts'
import type { Segment } from './segment.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Producer state at `endOffset`: the newest snapshot not above it, then the headers of what follows. */
export async function loadProducers(
  log: UnifiedLog,
  endOffset: number,
  hints: Pick<LoadHints, 'recoveryPoint' | 'recoverySnapshot'>,
  parts: LoadParts,
): Promise<void> {
  const from = await restoreProducers(log, endOffset, hints, parts)
  for (let index = log.segmentIndexOf(from); index < log.segments.length && from < endOffset; index++) {
    const segment = log.segments[index] as Segment
    const next = log.segments[index + 1]
    if (next !== undefined && next.baseOffset <= from) continue
    await visitBatches(segment, segment.sizeInBytes, parts.disk, (bytes, at) => {
      const lastOffset = batchLastOffset(bytes, at)
      if (lastOffset >= endOffset) return false
      if (lastOffset >= from) log.producers.update(bytes, at)
      return true
    })
  }
}

/** Restores the newest usable snapshot; answers its offset, or that of the log's first segment. */
async function restoreProducers(
  log: UnifiedLog,
  endOffset: number,
  hints: Pick<LoadHints, 'recoveryPoint' | 'recoverySnapshot'>,
  parts: LoadParts,
): Promise<number> {
  const first = (log.segments[0] as Segment).baseOffset
  const offsets = log.snapshotOffsets.filter((offset) => offset >= first && offset <= endOffset).toReversed()
  const { recoveryPoint, recoverySnapshot } = hints
  if (recoveryPoint !== null && recoverySnapshot !== null && recoveryPoint >= first && recoveryPoint <= endOffset) {
    if (recoveryPoint >= (offsets[0] ?? 0) && decodeSnapshot(recoverySnapshot, log.producers)) return recoveryPoint
  }
  for (const offset of offsets) {
    const path = snapshotPath(log, offset)
    const bytes = await readSmall(parts.disk, path, snapshotBytesMax)
    if (bytes !== null && decodeSnapshot(bytes, log.producers)) return offset
    parts.observer.event(logEvents.hintIgnored, { file: path })
  }
  log.producers.clear()
  return first
}

/**
 * Sees to the snapshot at an offset where a segment begins and up to which the producers are known now: whoever rolled there may have died
 * before it was durable. When the segments before it are deleted, it is there that their producers are found.
 */
export async function keepSnapshot(
  log: UnifiedLog,
  offset: number,
  { hints, parts }: { readonly hints: Pick<LoadHints, 'hadFailedSync'>; readonly parts: Pick<LoadParts, 'disk'> },
): Promise<void> {
  const path = snapshotPath(log, offset)
  const found = await readSmall(parts.disk, path, snapshotBytesMax)
  const isWhole = found !== null && decodeSnapshot(found, new ProducerState())
  const operations: DiskOperation[] = [{ kind: 'sync', path }]
  // Where a sync has failed another one may do nothing.
  if (!isWhole || hints.hadFailedSync)
    operations.unshift({ kind: 'writeFile', path, bytes: isWhole ? found : encodeSnapshot(log.producers) })
  await parts.disk.submit(operations)
  if (log.snapshotOffsets.includes(offset)) return
  log.snapshotOffsets = [...log.snapshotOffsets, offset].sort((a, b) => a - b)
}

/** Path of the producer snapshot at an offset. */
export function snapshotPath(log: UnifiedLog, offset: number): string {
  return `${log.directory}/${String(offset).padStart(20, '0')}.snapshot`
}
