/** The second half of a pass: writes what stays of a group of segments into one new file. */
import {
  batchBaseOffset,
  batchCodec,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchProducerEpoch,
  batchProducerId,
} from '../../protocol/records/record-batch.ts'
import type { ProducerState } from '../producer-state.ts'
import type { Segment } from '../segment.ts'
import {
  BatchFilter,
  type BatchRules,
  deleteHorizonOf,
  type FilterRules,
  headerOf,
  rewriteBatch,
} from './batch-filter.ts'
import { BatchReader, openRecords } from './batch-reader.ts'
import { CleanedFile } from './cleaned-file.ts'
import { type CleaningParts, recordsPerStep } from './map-builder.ts'
import type { TransactionView } from './transaction-view.ts'

export interface RewriteTask {
  readonly segments: readonly Segment[]
  readonly rules: FilterRules
  readonly transactions: TransactionView
  readonly newest: NewestBatches
  readonly indexIntervalBytes: number
}

/** Of each producer that the log knows: the last offset of its newest batch, null when only a marker is known, and its epoch. */
export type NewestBatches = ReadonlyMap<number, { readonly lastOffset: number | null; readonly epoch: number }>

export function newestBatchesOf(producers: ProducerState): NewestBatches {
  const newest = new Map<number, { readonly lastOffset: number | null; readonly epoch: number }>()
  for (const { producerId, epoch, batches } of producers.entries())
    newest.set(producerId, { lastOffset: batches.at(-1)?.lastOffset ?? null, epoch })
  return newest
}

/** Writes the new file (shown to `onBegin` before the first byte), synced under its `.cleaned` name; `isSame` when the one segment may stay as it is. */
export async function rewriteSegments(
  task: RewriteTask,
  parts: CleaningParts,
  onBegin: (file: CleanedFile) => void = () => {},
): Promise<CleanedFile> {
  const file = new CleanedFile(task.segments, { ...parts, indexIntervalBytes: task.indexIntervalBytes })
  onBegin(file)
  try {
    await rewriteInto(file, task, parts)
  } catch (thrown) {
    // What cannot be removed now is removed by the next start.
    if (!file.isSame) await file.discard().catch(() => {})
    throw thrown
  }
  return file
}

async function rewriteInto(file: CleanedFile, task: RewriteTask, parts: CleaningParts): Promise<void> {
  // Empty ones, as Apache Kafka's cleaner leaves them, go with their neighbours.
  const last = task.segments.findLast(({ sizeInBytes }) => sizeInBytes > 0)
  for (const segment of task.segments) {
    const reader = new BatchReader(parts.disk, segment, parts.pacer)
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      const isLast = reader.isAtEnd && segment === last
      await rewrite(batch, batchRulesOf(batch, isLast, task), task.rules, file, parts)
      await parts.pacer.breathe()
    }
  }
  if (!file.isSame) await file.finish()
}

/**
 * The last batch of a group stays as a header at least: the new file ends where the old ones did, so that a reader comes over the
 * gap, and a start that finishes the swap knows which files it covers.
 */
function batchRulesOf(batch: Uint8Array, isLast: boolean, task: RewriteTask): BatchRules {
  const keepHeader = isLast || isNewest(batch, task.newest)
  const { nowMs } = task.rules
  if (batchIsControl(batch)) {
    const isPassingMarker = task.transactions.onMarker(batch)
    const horizonMs = deleteHorizonOf(batch)
    const isOver = isPassingMarker && horizonMs !== null && nowMs !== null && horizonMs <= nowMs
    return { records: isOver ? 'none' : 'all', keepHeader, isPassingMarker }
  }
  const isAborted =
    batchIsTransactional(batch) && task.transactions.onData(batchProducerId(batch), batchBaseOffset(batch))
  return { records: isAborted ? 'none' : 'map', keepHeader, isPassingMarker: false }
}

function isNewest(batch: Uint8Array, newest: NewestBatches): boolean {
  const known = newest.get(batchProducerId(batch))
  if (known === undefined) return false
  if (known.lastOffset !== null) return batchLastOffset(batch) === known.lastOffset
  return batchIsControl(batch) && batchProducerEpoch(batch) === known.epoch
}

async function rewrite(
  batch: Uint8Array,
  batchRules: BatchRules,
  rules: FilterRules,
  file: CleanedFile,
  parts: CleaningParts,
): Promise<void> {
  const records = batchRules.records === 'none' ? new Uint8Array(0) : await openRecords(batch, parts.compute)
  const filter = new BatchFilter(batch, records, rules, batchRules)
  while (!filter.step(recordsPerStep)) await parts.pacer.breathe()
  const fate = filter.fate()
  switch (fate.kind) {
    case 'whole':
      return file.add(batch, true)
    case 'nothing':
      return file.differ()
    case 'header':
      return file.add(headerOf(batch), false)
    case 'records': {
      const codec = batchCodec(batch) ?? 'none'
      while (!fate.writer.step(recordsPerStep)) await parts.pacer.breathe()
      const body = await parts.compute.compress(codec, fate.writer.records)
      return file.add(rewriteBatch(batch, body, codec, fate.header), false)
    }
  }
}
