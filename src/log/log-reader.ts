/**
 * Reads whole batches: from the tail cache, else from the segment file where the index points.
 *
 * Only what is written may be read from a file; who may see how much of that is the caller's bound. A reader that goes on where
 * it stopped finds its position in the segment's hints and needs no index.
 */
import { type Clock, type Compute, type Disk, DiskError, type Observer } from '../base/ports.ts'
import {
  batchBaseOffset,
  batchCrcIsValid,
  batchHeaderBytes,
  batchLastOffset,
  batchMagic,
  batchPartitionLeaderEpoch,
  batchSizeInBytes,
} from '../protocol/records/record-batch.ts'
import { emptyBatch } from '../protocol/records/record-batch-builder.ts'
import type { LogReadRequest, LogReadResult } from './append.ts'
import type { IndexCache } from './index-cache.ts'
import { checkIndex, rebuildIndex } from './index-check.ts'
import { relativeOffsetMax, type Segment } from './segment.ts'
import { lookupOffsetFile } from './segment-index.ts'
import type { UnifiedLog } from './unified-log.ts'

export interface ReaderParts {
  readonly disk: Disk
  readonly clock: Clock
  readonly observer: Observer
  readonly compute: Compute
  readonly indexes: IndexCache
  /** Resolves when more has been written, or nothing will be. */
  nextCommit(): Promise<void>
  /** False: what is in the books only will never be readable. */
  isCommitting(): boolean
  /** Looks for damage in a segment and enters it in the log's map; an active segment is sealed first. Never rejects. */
  examine(log: UnifiedLog, segment: Segment): Promise<void>
  /** The index of this segment was rebuilt in memory: its files are to be written again. */
  indexRebuilt(log: UnifiedLog, segment: Segment): void
}

const nothing: LogReadResult = { kind: 'batches', bytes: new Uint8Array(0) }
const outOfRange: LogReadResult = { kind: 'outOfRange' }
/** Bytes that have not been checked in this run are read in pieces of this size: checking them must not hold the loop up. */
const uncheckedBytesMax = 1_048_576

/** From memory; null when the disk has to be asked. */
export function readHot(log: UnifiedLog, request: LogReadRequest, parts: ReaderParts): LogReadResult | null {
  const early = answerEarly(log, request)
  if (early !== null) return early
  if (request.fromOffset >= log.writtenEndOffset) return null
  const endOffset = Math.min(request.endOffset, log.writtenEndOffset)
  let index = log.segmentIndexOf(request.fromOffset)
  for (; index < log.segments.length; index++) {
    const segment = log.segments[index] as Segment
    if (segment.replacement !== null) return null
    const position = knownPosition(segment, request.fromOffset, parts.indexes)
    if (position === null) return null
    if (position.at >= segment.sizeInBytes) continue
    return readHotAt(log, segment, position, { ...request, endOffset }, parts.disk)
  }
  return passGap(log, { ...request, endOffset })
}

function readHotAt(
  log: UnifiedLog,
  segment: Segment,
  position: Position,
  request: LogReadRequest,
  disk: Disk,
): LogReadResult | null {
  if (log.damage.inFile(segment.logPath, position.at) !== null) return null
  let length = readLength(log, segment, position, request)
  for (let attempt = 0; attempt < 2; attempt++) {
    const bytes = disk.readHot(segment.logPath, position.at, length)
    if (bytes === null || bytes.length < batchHeaderBytes) return null
    if (!looksRight(bytes, segment) || !isAsIndexed(bytes, position)) return null
    const cut = cutBatches(bytes, request, !log.gapsAreNormal && !segment.isExamined)
    if (cut.kind === 'batches') return acceptCut(log, segment, { bytes, cut, position: position.at, request })
    if (cut.kind !== 'short' || position.at + cut.bytes > segment.sizeInBytes) return null
    length = cut.bytes
  }
  return null
}

/** Checked once in a run: what was cut from the bytes at `position`. Null when it is not what it should be. */
function acceptCut(
  log: UnifiedLog,
  segment: Segment,
  read: {
    readonly bytes: Uint8Array
    readonly cut: Cut & { readonly kind: 'batches' }
    readonly position: number
    readonly request: LogReadRequest
  },
): LogReadResult | null {
  const { bytes, cut, position, request } = read
  const batches = bytes.subarray(cut.start, cut.end)
  if (batches.length === 0) {
    // The next batch lies beyond the bound; or does it only say so? Where offsets may be missing, it lies in its segment at least.
    const isGap = batchBaseOffset(bytes, cut.start) > request.fromOffset && !log.gapsAreNormal
    const isSuspect = isGap || batchLastOffset(bytes, cut.start) >= endOf(log, segment)
    return isSuspect && !segment.isExamined ? null : { kind: 'batches', bytes: batches }
  }
  const from = position + cut.start
  const end = position + cut.end
  if (!segment.isVerified(from, end)) {
    if (batchesFault(log, batches, request.fromOffset) !== null) return null
    segment.noteVerified(from, end)
  }
  if (hidesGap(log, request.fromOffset, batchBaseOffset(batches))) return null
  segment.rememberRead(cut.nextOffset, end)
  return { kind: 'batches', bytes: batches }
}

/** Where the offsets of a segment end. */
function endOf(log: UnifiedLog, segment: Segment): number {
  return log.segments[log.segments.indexOf(segment) + 1]?.baseOffset ?? log.logEndOffset
}

/** Are the offsets that a read would pass over missing from a file that has not been looked at? */
function hidesGap(log: UnifiedLog, fromOffset: number, baseOffset: number): boolean {
  if (baseOffset <= fromOffset || log.gapsAreNormal) return false
  return !(log.segments[log.segmentIndexOf(fromOffset)] as Segment).isExamined
}

/** From the disk, the index rebuilt when it is wrong, damage looked for where something is wrong with the log itself. */
export async function readCold(log: UnifiedLog, request: LogReadRequest, parts: ReaderParts): Promise<LogReadResult> {
  for (;;) {
    const early = answerEarly(log, request)
    if (early !== null) return early
    if (request.fromOffset < log.writtenEndOffset) break
    if (log.isDeleted || !parts.isCommitting()) return nothing
    await parts.nextCommit()
  }
  const bounded = { ...request, endOffset: Math.min(request.endOffset, log.writtenEndOffset) }
  let index = log.segmentIndexOf(request.fromOffset)
  while (index < log.segments.length) {
    const segment = log.segments[index] as Segment
    const result = await readColdIn(log, segment, bounded, parts).catch((error: unknown) => {
      if (segment.replacement === null && log.segments.includes(segment) && !log.isDeleted) throw error
      return null
    })
    if (segment.replacement !== null) {
      await segment.replacement
      index = log.segmentIndexOf(request.fromOffset)
      continue
    }
    if (result === 'again') {
      // What is damaged is known now.
      const early = answerEarly(log, request)
      if (early !== null) return early
      index = log.segmentIndexOf(request.fromOffset)
      continue
    }
    if (result !== null) return result
    // The segment may have been deleted meanwhile.
    index = log.segments.indexOf(segment) + 1
    if (index === 0) return request.fromOffset < log.logStartOffset ? outOfRange : nothing
  }
  return passGap(log, bounded)
}

/**
 * No batch stands at or beyond the offset. Behind a deletion that was cut short, the last segment may be empty and what lay before it gone:
 * a batch without records brings the reader past that, who would wait for the next append below the end of the log.
 */
function passGap(log: UnifiedLog, { fromOffset, endOffset }: LogReadRequest): LogReadResult {
  const { baseOffset, sizeInBytes } = log.activeSegment
  const isBehind = fromOffset >= baseOffset || endOffset < baseOffset
  if (sizeInBytes > 0 || isBehind || !log.gapsAreNormal) return nothing
  const lastOffset = Math.min(baseOffset - 1, fromOffset + relativeOffsetMax)
  return { kind: 'batches', bytes: emptyBatch(fromOffset, lastOffset, log.epochs.epochAt(lastOffset)) }
}

/** Null when the segment holds nothing at or beyond the offset; `again` after it has been examined or its index rebuilt. */
async function readColdIn(
  log: UnifiedLog,
  segment: Segment,
  request: LogReadRequest,
  parts: ReaderParts,
): Promise<LogReadResult | 'again' | null> {
  let position = await findPosition(log, segment, request.fromOffset, parts)
  let length = 0
  let hasSkipped = false
  while (position.at < segment.sizeInBytes) {
    const bad = log.damage.inFile(segment.logPath, position.at)
    if (bad !== null) {
      position = { at: bad.endPosition, isExact: false }
      length = 0
      continue
    }
    length = Math.max(length, readLength(log, segment, position, request))
    const bytes = await readFrom(segment, position.at, length, parts.disk)
    const isRight = bytes !== null && bytes.length >= batchHeaderBytes && looksRight(bytes, segment)
    if (!(isRight && isAsIndexed(bytes, position)) && isFromFile(position)) {
      // The index has changed since it was written: it is derived anew, then it says nothing of a file.
      await rebuildIndex(log, segment, parts)
      if (segment.replacement !== null) return null
      position = await findPosition(log, segment, request.fromOffset, parts)
      length = 0
      continue
    }
    if (!isRight) return examine(log, segment, request, parts)
    const cut = cutBatches(bytes, request, !log.gapsAreNormal && !segment.isExamined)
    if (cut.kind === 'batches') {
      const accepted = acceptCut(log, segment, { bytes, cut, position: position.at, request })
      if (accepted !== null) return accepted
      const hides = hidesGap(log, request.fromOffset, batchBaseOffset(bytes, cut.start))
      const suspect = hides ? (log.segments[log.segmentIndexOf(request.fromOffset)] as Segment) : segment
      return examine(log, suspect, request, parts)
    }
    if (cut.kind === 'broken') return examine(log, segment, request, parts)
    if (cut.kind === 'skipped') {
      position = { at: position.at + cut.bytes, isExact: false }
      hasSkipped = true
    }
    length = cut.kind === 'short' ? cut.bytes : 0
    if (position.at + length > segment.sizeInBytes) return examine(log, segment, request, parts)
  }
  // All of its batches were passed over for an offset of its own: a length that is wrong may have led past the right one.
  const isSuspect = hasSkipped && request.fromOffset < endOf(log, segment) && !segment.isExamined
  return isSuspect ? examine(log, segment, request, parts) : null
}

/** Null when the medium cannot give the bytes back, or the file is gone. */
async function readFrom(segment: Segment, at: number, length: number, disk: Disk): Promise<Uint8Array | null> {
  try {
    return await disk.read(segment.logPath, at, length)
  } catch (thrown) {
    const isOfFile = thrown instanceof DiskError && (thrown.code === 'EIO' || thrown.code === 'ENOENT')
    if (!isOfFile || segment.isExamined) throw thrown
    return null
  }
}

/** Looks through a segment for damage, once however many ask. */
export async function examineOnce(log: UnifiedLog, segment: Segment, parts: ReaderParts): Promise<void> {
  segment.examination ??= parts.examine(log, segment).finally(() => {
    segment.examination = null
  })
  await segment.examination
}

/** Something is wrong with a segment: it is looked through once; when it is whole, its index is what is wrong. */
async function examine(
  log: UnifiedLog,
  segment: Segment,
  request: LogReadRequest,
  parts: ReaderParts,
): Promise<LogReadResult | 'again'> {
  if (!segment.isExamined) {
    await examineOnce(log, segment, parts)
    if (log.isDeleted) return outOfRange
    const isHere = segment.replacement === null && log.segments.includes(segment)
    if (isHere && !segment.isExamined) throw new DiskError('EIO', 'read', segment.logPath)
    return 'again'
  }
  if (segment.indexIsChecked) {
    segment.forgetReads()
    await rebuildIndex(log, segment, parts)
    const position = knownPosition(segment, request.fromOffset, parts.indexes)
    if (position !== null && !segment.hasRebuiltIndex) {
      segment.hasRebuiltIndex = true
      return 'again'
    }
  }
  return {
    kind: 'damaged',
    nextOffset: log.segments[log.segments.indexOf(segment) + 1]?.baseOffset ?? log.logEndOffset,
  }
}

/** What needs no file: a bound, the cache. */
function answerEarly(log: UnifiedLog, request: LogReadRequest): LogReadResult | null {
  const { fromOffset } = request
  if (fromOffset < log.logStartOffset || fromOffset > log.logEndOffset) {
    return outOfRange
  }
  const endOffset = Math.min(request.endOffset, log.logEndOffset)
  if (fromOffset >= endOffset) return nothing
  const bytes = log.tail.read(request)
  if (bytes !== null) return { kind: 'batches', bytes }
  const bad = log.damage.isEmpty ? null : log.damage.at(fromOffset)
  return bad === null ? null : { kind: 'damaged', nextOffset: bad.endOffset }
}

export interface Position {
  readonly at: number
  /** Does the batch that is looked for begin there? Else a little behind. */
  readonly isExact: boolean
  /** Last offset of the batch that begins there by an index file; null = no file was asked. */
  readonly indexedOffset?: number | null
}

/** Where to start reading, from memory alone; null when the index file has to be read. */
function knownPosition(segment: Segment, offset: number, indexes: IndexCache): Position | null {
  const hint = segment.readHint(offset)
  if (hint !== null) return { at: hint, isExact: true }
  const relative = offset - segment.baseOffset
  const unfiled = segment.index.lookupUnfiled(relative)
  if (unfiled !== null) return { at: unfiled, isExact: false }
  if (!segment.indexIsChecked) return null
  if (segment.index.filedOffsets === 0) return { at: 0, isExact: false }
  const file = indexes.get(segment.indexPath)
  if (file === null) return null
  const entry = lookupOffsetFile(file, relative)
  if (entry === null) return { at: 0, isExact: false }
  return { at: entry.position, isExact: false, indexedOffset: segment.baseOffset + entry.relativeOffset }
}

/** Where to start reading for an offset of this segment. */
export async function findPosition(
  log: UnifiedLog,
  segment: Segment,
  offset: number,
  parts: ReaderParts,
): Promise<Position> {
  const known = knownPosition(segment, offset, parts.indexes)
  if (known !== null) return known
  await checkIndex(log, segment, parts)
  return knownPosition(segment, offset, parts.indexes) ?? { at: 0, isExact: false }
}

/** Bytes to ask for: enough for the answer, and for the batches that lie before it when the position is not exact. */
function readLength(log: UnifiedLog, segment: Segment, position: Position, request: LogReadRequest): number {
  const before = position.isExact ? 0 : 16_384
  let wanted = Math.max(request.bytesMax, 4096) + before
  if (!segment.isVerified(position.at, position.at + wanted)) wanted = Math.min(wanted, uncheckedBytesMax)
  const end = log.damage.isEmpty
    ? segment.sizeInBytes
    : Math.min(segment.sizeInBytes, log.damage.nextInFile(segment.logPath, position.at))
  return Math.max(Math.min(wanted, end - position.at), batchHeaderBytes)
}

/** What is wrong with batches that were read where `fromOffset` should be; null = nothing. */
function batchesFault(log: UnifiedLog, bytes: Uint8Array, fromOffset: number): string | null {
  let dueOffset = fromOffset
  for (let at = 0; at < bytes.length; at += batchSizeInBytes(bytes, at)) {
    const baseOffset = batchBaseOffset(bytes, at)
    if (baseOffset > dueOffset && !log.gapsAreNormal) return 'offsets are missing'
    if (at > 0 && baseOffset < dueOffset) return 'offsets overlap'
    const epoch = log.dueEpochAt(baseOffset)
    if (epoch >= 0 && epoch !== batchPartitionLeaderEpoch(bytes, at)) return 'another leader epoch is due'
    if (!batchCrcIsValid(bytes, at)) return 'the CRC does not match'
    dueOffset = batchLastOffset(bytes, at) + 1
  }
  return null
}

function looksRight(bytes: Uint8Array, segment: Segment): boolean {
  if (batchMagic(bytes) !== 2 || batchSizeInBytes(bytes) < batchHeaderBytes) return false
  return batchBaseOffset(bytes) >= segment.baseOffset
}

function isFromFile(position: Position): boolean {
  return position.indexedOffset !== undefined && position.indexedOffset !== null
}

/** Does the batch that the index names begin there? A flipped bit in it would let a reader pass over records. */
export function isAsIndexed(bytes: Uint8Array, position: Position, at = 0): boolean {
  return !isFromFile(position) || batchLastOffset(bytes, at) === position.indexedOffset
}

type Cut =
  | { readonly kind: 'batches'; readonly start: number; readonly end: number; readonly nextOffset: number }
  /** The first batch of the answer begins in the bytes and has this many, counted from the start of the bytes. */
  | { readonly kind: 'short'; readonly bytes: number }
  /** Everything here lies before the answer, which begins this many bytes behind the start. */
  | { readonly kind: 'skipped'; readonly bytes: number }
  | { readonly kind: 'broken' }

/** Which whole batches of `bytes` answer the request. */
function cutBatches(bytes: Uint8Array, request: LogReadRequest, isChain: boolean): Cut {
  let at = 0
  let dueOffset = -1
  // A base offset lies outside the CRC: where none is missing, those that are passed over tell which is due.
  const isOff = (): boolean => isChain && dueOffset >= 0 && batchBaseOffset(bytes, at) !== dueOffset
  while (at + batchHeaderBytes <= bytes.length && batchLastOffset(bytes, at) < request.fromOffset) {
    const size = batchSizeInBytes(bytes, at)
    if (size < batchHeaderBytes || isOff()) return { kind: 'broken' }
    dueOffset = batchLastOffset(bytes, at) + 1
    at += size
  }
  if (at + batchHeaderBytes <= bytes.length && isOff()) return { kind: 'broken' }
  if (at + batchHeaderBytes > bytes.length) return { kind: 'skipped', bytes: at }
  const start = at
  let nextOffset = request.fromOffset
  while (at + batchHeaderBytes <= bytes.length) {
    const size = batchSizeInBytes(bytes, at)
    if (size < batchHeaderBytes || batchMagic(bytes, at) !== 2) {
      // What is good before it is answered; the next read begins here.
      if (at === start) return { kind: 'broken' }
      break
    }
    const lastOffset = batchLastOffset(bytes, at)
    if (lastOffset >= request.endOffset) break
    if (at + size - start > request.bytesMax && !(at === start && request.minOneBatch)) break
    if (at + size > bytes.length) {
      if (at === start) return { kind: 'short', bytes: at + size }
      break
    }
    at += size
    nextOffset = lastOffset + 1
  }
  return { kind: 'batches', start, end: at, nextOffset }
}
