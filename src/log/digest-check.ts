/** Holds segments against what they were when they were sealed. */
import { batchHeaderBytes, batchSizeInBytes, setBatchBaseOffset } from '../protocol/records/record-batch.ts'
import type { DamagedRange } from './damage.ts'
import {
  type BatchPlace,
  type ExaminedSegment,
  examineSegment,
  type SegmentExamination,
} from './segment-examination.ts'
import { digestFault, HeaderChain, type SegmentDigest } from './segment-digest.ts'
import { segmentName } from './segment.ts'

/**
 * What is known of a sealed segment whose successor begins at `nextOffset`. A segment whose successor did not survive a crash is appended to
 * again: what was said of it then says nothing.
 */
export function digestFor(
  digests: ReadonlyMap<number, SegmentDigest>,
  baseOffset: number,
  nextOffset: number | undefined,
): SegmentDigest | null {
  const digest = digests.get(baseOffset)
  return digest === undefined || digest.endOffset !== nextOffset ? null : digest
}

/** Examines a segment; `digest` = what it was, null = not known. Answers the headers of its good batches too, for one that is to be known from now on. */
export async function examineSealed(
  examination: SegmentExamination,
  digest: SegmentDigest | null,
): Promise<{ readonly examined: ExaminedSegment; readonly chain: HeaderChain }> {
  const chain = new HeaderChain()
  const examined = await examineSegment({
    ...examination,
    endIsExact: digest !== null,
    ...(digest === null ? {} : { wasOnce: (place, disk) => fitsWith({ ...examination, disk }, digest, place) }),
    visit(bytes, at, position) {
      chain.take(bytes, at, position)
      examination.visit?.(bytes, at, position)
    },
  })
  const { path, sizeInBytes, segmentBaseOffset } = examination
  if (digest === null || examined.damage.length > 0) return { examined, chain }
  const { endOffset, batches } = examined
  const reason = digestFault(digest, { endOffset, sizeInBytes, batches, chain: chain.crc })
  if (reason === null) return { examined, chain }
  // Which of its batches are those that were written nobody can tell.
  const bounds = { fromOffset: segmentBaseOffset, endOffset: digest.endOffset, position: 0, endPosition: sizeInBytes }
  return { examined: { ...examined, damage: [{ ...bounds, path, reason }] }, chain }
}

/** Is the segment what it was when it was sealed, but for the base offset of the batch at that place? */
async function fitsWith(
  { disk, path, sizeInBytes }: Pick<SegmentExamination, 'disk' | 'path' | 'sizeInBytes'>,
  digest: SegmentDigest,
  place: BatchPlace,
): Promise<boolean> {
  const chain = new HeaderChain()
  while (chain.sizeInBytes < sizeInBytes) {
    const position = chain.sizeInBytes
    const header = Uint8Array.from(await disk.read(path, position, batchHeaderBytes))
    if (header.length < batchHeaderBytes || batchSizeInBytes(header) < batchHeaderBytes) return false
    if (position === place.position) setBatchBaseOffset(header, 0, place.baseOffset)
    chain.take(header, 0, position)
  }
  const { endOffset, batches, crc } = chain
  return digestFault(digest, { endOffset, sizeInBytes: chain.sizeInBytes, batches, chain: crc }) === null
}

/**
 * Segments that were there once and are not: retention takes the first ones of a log only, compaction says so before it takes one away.
 * `deleted`: base offsets that a deletion under way has renamed.
 */
export function missingSegments(
  log: { readonly directory: string; readonly segments: readonly number[] },
  digests: ReadonlyMap<number, SegmentDigest>,
  deleted: readonly number[],
): readonly DamagedRange[] {
  const [first] = log.segments
  if (first === undefined) return []
  const found: DamagedRange[] = []
  for (const { baseOffset, endOffset } of digests.values()) {
    if (baseOffset < first || log.segments.includes(baseOffset) || deleted.includes(baseOffset)) continue
    const path = `${log.directory}/${segmentName(baseOffset)}.log`
    found.push({ fromOffset: baseOffset, endOffset, path, position: 0, endPosition: 0, reason: 'the file is missing' })
  }
  return found.sort((a, b) => a.fromOffset - b.fromOffset)
}
