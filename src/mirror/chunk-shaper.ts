/** Turns one read of the source into units to send: runs the plan of `batch-plan.ts` over it. Holds nothing between calls. */
import type { Compute } from '../base/ports.ts'
import {
  attributesAt,
  batchAttributes,
  none,
  setBatchBaseOffset,
  setBatchPartitionLeaderEpoch,
  setBatchProducer,
  transactionalBit,
  updateBatchCrc,
  writeInt16,
} from '../protocol/records/record-batch.ts'
import { type MirrorAnchor, sequenceOf } from './anchor.ts'
import { mergeBatches, mergedBytesMax } from './batch-merge.ts'
import { type PlanLimits, type PlanStep, planStep } from './batch-plan.ts'
import { rebuildBatches } from './batch-rebuild.ts'
import type { BufferPool } from './buffer-pool.ts'
import type { ChunkItem, SendUnit } from './task-events.ts'
import type { UntrustedTimes } from './untrusted-times.ts'

export interface ShapeOptions extends PlanLimits {
  readonly compute: Compute
  readonly times?: UntrustedTimes
  readonly pool: BufferPool
  /** More of the log follows behind these bytes: a small rest is then left to be read again with what follows. */
  readonly hasMore: boolean
}

/** Below this share of the bytes a rest is left for the next read: it would make a small request of its own. */
const restShare = 0.25

/**
 * Cuts `bytes` (whole batches, the first of which holds `fromOffset` or lies above it). The units' memory is their own; `bytes` is not
 * changed. Rejects when the source's records cannot be read.
 */
export async function shapeChunk(bytes: Uint8Array, fromOffset: number, options: ShapeOptions): Promise<ChunkItem[]> {
  const items: ChunkItem[] = []
  let wanted = fromOffset
  for (
    let step = planStep(bytes, 0, wanted, options);
    step !== null;
    step = planStep(bytes, step.end, wanted, options)
  ) {
    const isRest = items.length > 0 && options.hasMore && bytes.length - step.at < bytes.length * restShare
    if (isRest && step.end === bytes.length && step.kind !== 'skip') break
    wanted = step.endOffset
    if (step.kind === 'skip') items.push({ kind: 'skip', endOffset: step.endOffset })
    else if (step.kind === 'verbatim') items.push({ kind: 'unit', unit: copied(bytes, step, options.pool) })
    else if (step.kind === 'merge') items.push({ kind: 'unit', unit: merged(bytes, step, options.pool) })
    else if (!(await rebuild(bytes, step, options, items))) break
  }
  return items
}

/**
 * Writes our producer, the sequence number and the CRC into the unit's batch, takes it out of any transaction, and counts its offsets
 * from 0, as Apache Kafka demands of a producer.
 */
export function stampUnit(unit: SendUnit, anchor: MirrorAnchor): void {
  const { batch } = unit
  const attributes = batchAttributes(batch)
  if ((attributes & transactionalBit) !== 0) writeInt16(batch, attributesAt, attributes & ~transactionalBit)
  setBatchBaseOffset(batch, 0, 0)
  setBatchPartitionLeaderEpoch(batch, 0, none)
  setBatchProducer(batch, 0, {
    id: anchor.producerId,
    epoch: anchor.producerEpoch,
    baseSequence: sequenceOf(anchor, unit.baseOffset),
  })
  updateBatchCrc(batch)
}

function copied(bytes: Uint8Array, step: PlanStep, pool: BufferPool): SendUnit {
  const batch = pool.take(step.end - step.at).subarray(0, step.end - step.at)
  batch.set(bytes.subarray(step.at, step.end))
  return { batch, baseOffset: step.baseOffset, endOffset: step.endOffset }
}

function merged(bytes: Uint8Array, step: PlanStep, pool: BufferPool): SendUnit {
  const out = pool.take(mergedBytesMax(step.end - step.at, step.endOffset - step.baseOffset))
  const size = mergeBatches(out, { bytes, at: step.at, end: step.end })
  return { batch: out.subarray(0, size), baseOffset: step.baseOffset, endOffset: step.endOffset }
}

/** False: a record is too large, or not to be sent, to go on. */
async function rebuild(bytes: Uint8Array, step: PlanStep, options: ShapeOptions, items: ChunkItem[]): Promise<boolean> {
  const rebuilt = await rebuildBatches(bytes, step, options)
  for (const batch of rebuilt.batches) {
    const { baseOffset, endOffset } = batch
    items.push({ kind: 'unit', unit: { batch: batch.bytes, baseOffset, endOffset } })
  }
  if (rebuilt.kind === 'batches') {
    // A hole at the end of the last batch.
    items.push({ kind: 'skip', endOffset: step.endOffset })
    return true
  }
  if (rebuilt.kind === 'held') {
    items.push({ kind: 'held', ...rebuilt.held })
    return false
  }
  const { offset, recordBytes } = rebuilt
  const heldBecause = `the record at offset ${offset} (${recordBytes} bytes) is larger than the target takes (max.message.bytes)`
  items.push({ kind: 'tooLarge', heldBecause, isForever: true })
  return false
}
