/**
 * Reads the frames that an unclean stop left in the commit journal, and puts their bytes where they belong.
 *
 * Every block is looked at, because frames begin at any block and old ones lie between. Only frames of the header's incarnation
 * count; the newest whole one says from which sequence on they are needed. Bounded memory: one frame at a time.
 */
import type { Disk } from '../base/ports.ts'
import {
  batchCrc,
  batchCrcIsValid,
  batchHeaderBytes,
  batchMagic,
  batchSizeInBytes,
} from '../protocol/records/record-batch.ts'
import {
  decodeFrameBody,
  decodeFrameHeader,
  decodeJournalHead,
  type FrameHeader,
  frameBytesMax,
  frameHeaderBytes,
  journalBlockBytes,
  type ReplayRange,
} from './journal-frame.ts'

const scanBytes = 4 * 1_048_576

export interface ReplayTarget {
  /** Path of the segment file that a range belongs to; null when the log or segment is gone. */
  pathOf(range: ReplayRange): Promise<string | null>
}

export interface ReplayResult {
  readonly frames: number
  /** Files written to (not synced yet). */
  readonly paths: ReadonlySet<string>
  /** Why there was nothing to replay; null = it was read. */
  readonly reason: string | null
}

interface FoundFrame extends FrameHeader {
  readonly position: number
}

/** Replays the journal at `path`. Repeating it changes nothing. */
export async function replayJournal(
  disk: Disk,
  path: string,
  directoryId: Uint8Array,
  target: ReplayTarget,
): Promise<ReplayResult> {
  const size = await disk.size(path)
  if (size === null) return { frames: 0, paths: new Set(), reason: 'the file is missing' }
  const head = decodeJournalHead(await disk.read(path, 0, Math.min(size, journalBlockBytes)), directoryId)
  if ('reason' in head) return { frames: 0, paths: new Set(), reason: head.reason }
  const found = await findFrames(disk, path, size, head.incarnation)
  const paths = new Set<string>()
  const frames = await neededFrames(disk, path, found)
  await makeDurable(disk, path, frames.at(-1))
  for (const frame of frames) {
    const body = await disk.read(path, frame.position + frameHeaderBytes, frame.bodyBytes)
    const ranges = decodeFrameBody(frame, body)
    if (ranges === null) continue
    for (const range of ranges) {
      const file = await target.pathOf(range)
      if (file === null || (await holdsOther(disk, file, range))) continue
      await disk.submit([{ kind: 'write', path: file, position: range.position, chunks: [range.bytes] }])
      paths.add(file)
    }
  }
  return { frames: frames.length, paths, reason: null }
}

/**
 * After a kill the newest frame may stand in the page cache only. Were the power cut while it is being replayed, a part of its set
 * could be on the medium and the frame gone. It is written once more, because a sync that failed leaves pages that the kernel calls
 * clean and the medium does not have: another sync alone would do nothing.
 */
async function makeDurable(disk: Disk, path: string, newest: FoundFrame | undefined): Promise<void> {
  if (newest === undefined) return
  const bytes = await disk.read(path, newest.position, frameHeaderBytes + newest.bodyBytes)
  await disk.submit([
    { kind: 'write', path, position: newest.position, chunks: [bytes] },
    { kind: 'sync', path },
  ])
}

/**
 * Does another whole batch stand where the range belongs? Our own appends never leave one: after our crash another program (an
 * Apache Kafka on the same directory) has cut the log there and gone on. Its data stays.
 */
async function holdsOther(disk: Disk, path: string, range: ReplayRange): Promise<boolean> {
  const header = await disk.read(path, range.position, batchHeaderBytes)
  if (header.length < batchHeaderBytes || batchMagic(header) !== 2) return false
  const size = batchSizeInBytes(header)
  if (size < batchHeaderBytes || size > frameBytesMax) return false
  const standing = await disk.read(path, range.position, size)
  if (standing.length < size || !batchCrcIsValid(standing)) return false
  // Not by the base offset: it lies outside the CRC, and a torn write may have left all of our batch but that.
  return batchCrc(standing) !== batchCrc(range.bytes)
}

/** Headers of all frames of the incarnation, in sequence order. */
async function findFrames(disk: Disk, path: string, size: number, incarnation: Uint8Array): Promise<FoundFrame[]> {
  const found: FoundFrame[] = []
  for (let at = journalBlockBytes; at < size; at += scanBytes) {
    const chunk = await disk.read(path, at, Math.min(scanBytes, size - at))
    for (let block = 0; block < chunk.length; block += journalBlockBytes) {
      const header = decodeFrameHeader(chunk, block, incarnation)
      if (header === null || header.bodyBytes > frameBytesMax * 2) continue
      if (at + block + frameHeaderBytes + header.bodyBytes <= size) found.push({ ...header, position: at + block })
    }
  }
  return found.sort((a, b) => a.sequence - b.sequence)
}

/** The frames from the oldest that the newest whole frame needs. Torn newest frames were never acknowledged. */
async function neededFrames(disk: Disk, path: string, found: readonly FoundFrame[]): Promise<readonly FoundFrame[]> {
  for (let newest = found.length - 1; newest >= 0; newest--) {
    const frame = found[newest] as FoundFrame
    const body = await disk.read(path, frame.position + frameHeaderBytes, frame.bodyBytes)
    if (decodeFrameBody(frame, body) === null) continue
    return found.slice(0, newest + 1).filter((candidate) => candidate.sequence >= frame.oldestNeeded)
  }
  return []
}
