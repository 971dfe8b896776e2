/** The first half of a pass: which offset is the last of each key in the dirty stretch. */
import type { Compute } from '../../base/ports.ts'
import {
  batchBaseOffset,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchProducerId,
  batchRecordCount,
} from '../../protocol/records/record-batch.ts'
import type { PatientDisk } from '../patient-disk.ts'
import type { Segment } from '../segment.ts'
import { headersOf, scanSegment } from '../segment-scan.ts'
import { BatchReader, CompactionFault, openRecords } from './batch-reader.ts'
import { digestOf } from './key-digest.ts'
import type { OffsetMap } from './offset-map.ts'
import type { Pacer } from './pacer.ts'
import { RecordSpans } from './record-spans.ts'
import { AbortedScan, abortedMax, type AbortedTransaction, markerKind, TransactionView } from './transaction-view.ts'

/** Records looked at between two looks at the clock. */
export const recordsPerStep = 256

export interface CleaningParts {
  readonly disk: PatientDisk
  readonly compute: Compute
  readonly pacer: Pacer
}

export interface BuiltMap {
  /** Every record below it has been looked at. */
  readonly endOffset: number
  /** Why it ends there: the segments do, there was no room for more keys, or a transaction begins whose end is in a later segment. */
  readonly stop: 'end' | 'full' | 'open'
  readonly aborted: readonly AbortedTransaction[]
}

/** Puts the keys of the dirty segments from `firstDirtyOffset` on into the map. */
export async function buildMap(
  dirty: readonly Segment[],
  firstDirtyOffset: number,
  map: OffsetMap,
  parts: CleaningParts,
): Promise<BuiltMap> {
  let view: TransactionView | null = null
  let aborted: readonly AbortedTransaction[] = []
  let openFrom = Number.POSITIVE_INFINITY
  const built = (stop: BuiltMap['stop']): BuiltMap => ({ endOffset: map.latestOffset + 1, stop, aborted })
  for (const segment of dirty) {
    const reader = new BatchReader(parts.disk, segment, parts.pacer)
    for (let batch = await reader.next(); batch !== null; batch = await reader.next()) {
      const lastOffset = batchLastOffset(batch)
      if (lastOffset < firstDirtyOffset) continue
      if (batchIsTransactional(batch) && view === null) {
        const scan = await scanTransactions(dirty, parts)
        aborted = scan.found
        openFrom = scan.openFrom
        view = new TransactionView(aborted)
      }
      if (lastOffset >= openFrom) return built('open')
      if (hasKeys(batch, view) && !(await addKeys(batch, firstDirtyOffset, map, parts))) return built('full')
      map.latestOffset = lastOffset
      await parts.pacer.breathe()
    }
  }
  return built('end')
}

/** Of markers and aborted transactions no key counts. */
function hasKeys(batch: Uint8Array, view: TransactionView | null): boolean {
  if (batchIsControl(batch)) return false
  return !batchIsTransactional(batch) || view?.onData(batchProducerId(batch), batchBaseOffset(batch)) !== true
}

/** False when the map is full: it then knows all records up to its latest offset. */
async function addKeys(batch: Uint8Array, from: number, map: OffsetMap, parts: CleaningParts): Promise<boolean> {
  const spans = new RecordSpans(await openRecords(batch, parts.compute), batchRecordCount(batch))
  const baseOffset = batchBaseOffset(batch)
  for (let index = 1; spans.next(); index++) {
    const offset = baseOffset + spans.offsetDelta
    if (spans.key !== null && offset >= from && !map.put(digestOf(spans.key), offset)) return false
    if (index % recordsPerStep === 0) await parts.pacer.breathe()
  }
  return true
}

/** The transactions of these segments, from their headers and markers. */
async function scanTransactions(segments: readonly Segment[], parts: CleaningParts): Promise<AbortedScan> {
  const scan = new AbortedScan()
  for (const segment of segments) {
    const end = await scanSegment({
      disk: parts.disk,
      ...headersOf(segment),
      visit(bytes, at) {
        const producerId = batchProducerId(bytes, at)
        const baseOffset = batchBaseOffset(bytes, at)
        if (batchIsControl(bytes, at)) scan.onMarker(producerId, baseOffset, markerKind(bytes, at))
        else if (batchIsTransactional(bytes, at)) scan.onData(producerId, baseOffset)
        return scan.found.length < abortedMax
      },
    })
    if (end.reason !== null) throw new CompactionFault(segment, end.position, end.reason)
    if (scan.found.length >= abortedMax)
      throw new CompactionFault(segment, end.position, 'too many aborted transactions')
    await parts.pacer.breathe()
  }
  return scan
}
