/**
 * Reads the frames that an unclean stop left in the commit journal, and puts their bytes where they belong.
 *
 * Every block is looked at, because frames begin at any block and old ones lie between. Only frames of the header's incarnation
 * count; the newest whole one says from which sequence on they are needed. Bounded memory: one frame, and where some ten thousand ranges belong.
 */
import { uuidToString } from '../base/ids.ts'
import type { Disk, DiskOperation } from '../base/ports.ts'
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
  frameDataAt,
  frameHeaderBytes,
  journalBlockBytes,
  type ReplayRange,
} from './journal-frame.ts'

/** One memory for everything that is read of the journal; a larger frame has its own. */
const memoryBytes = 4 * 1_048_576
/** Of so many ranges what belongs together is found: some 10 MB. */
const rangesGathered = 65_536
/** What is compared with a file, and written to it, at once; a larger range goes alone. */
const runBytesMax = 1_048_576
/** Paths kept by what the frames call them. */
const pathsMax = 65_536

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

type CopyOperation = Extract<DiskOperation, { readonly kind: 'copy' }>

interface JournalFile {
  readonly disk: Disk
  readonly path: string
  readonly size: number
  /** What is read lies here until the next read. */
  readonly memory: Uint8Array
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
  const journal: JournalFile = { disk, path, size, memory: new Uint8Array(Math.min(memoryBytes, size)) }
  const found = await findFrames(journal, head.incarnation)
  const frames = await neededFrames(journal, found)
  await makeDurable(journal, frames.at(-1))
  const gatherer = new FrameGatherer(journal, target)
  for (const frame of frames) await gatherer.add(frame)
  await gatherer.write()
  return { frames: frames.length, paths: gatherer.paths, reason: null }
}

/** Where a range stands in the journal and where it belongs. */
interface PlacedRange {
  readonly position: number
  readonly ringPosition: number
  readonly bytes: number
  /** Of its first batch. */
  readonly crc: number
}

/** Ranges that follow each other in one file. */
interface Run {
  readonly path: string
  readonly position: number
  end: number
  readonly ranges: PlacedRange[]
}

/**
 * Gathers the ranges of many frames, and has what belongs together copied at once from the journal into its file: a journal full of
 * small batches holds hundreds of thousands of ranges, and a look at the file and a write for each took a minute.
 */
class FrameGatherer {
  /** Files written to. */
  readonly paths = new Set<string>()
  readonly #disk: Disk
  readonly #journal: string
  readonly #target: ReplayTarget
  /** By topic id, partition and segment. Bound: begun anew at `pathsMax`. */
  readonly #pathOf = new Map<string, string | null>()
  readonly #runs: Run[] = []
  /** The newest run of each file. */
  readonly #newest = new Map<string, Run>()
  /** Of what has been gathered. */
  #ranges = 0
  /** One frame at a time. */
  #body: Uint8Array
  /** What a file has where a run belongs. */
  #standing = new Uint8Array(0)

  constructor({ disk, path, memory }: JournalFile, target: ReplayTarget) {
    this.#disk = disk
    this.#journal = path
    this.#body = memory
    this.#target = target
  }

  async add(frame: FoundFrame): Promise<void> {
    if (frame.bodyBytes > this.#body.length) this.#body = new Uint8Array(frame.bodyBytes)
    const body = await this.#disk.read(this.#journal, frame.position + frameHeaderBytes, frame.bodyBytes, this.#body)
    const ranges = decodeFrameBody(frame, body)
    if (ranges === null) return
    let ringPosition = frame.position + frameDataAt(ranges.length)
    for (const range of ranges) {
      const path = await this.#find(range)
      const { position, bytes } = range
      if (path !== null) this.#gather(path, { position, ringPosition, bytes: bytes.length, crc: batchCrc(bytes) })
      ringPosition += bytes.length
    }
    if (this.#ranges >= rangesGathered) await this.write()
  }

  /** Brings what is gathered into the files. */
  async write(): Promise<void> {
    const copies: CopyOperation[] = []
    for (const run of this.#runs) copies.push(...(await this.#copiesOf(run)))
    for (const { path } of copies) this.paths.add(path)
    await this.#disk.submit(copies)
    this.#runs.length = 0
    this.#newest.clear()
    this.#ranges = 0
  }

  async #find(range: ReplayRange): Promise<string | null> {
    const key = `${uuidToString(range.topicId)} ${range.partition} ${range.segmentBaseOffset}`
    const known = this.#pathOf.get(key)
    if (known !== undefined) return known
    const path = await this.#target.pathOf(range)
    if (this.#pathOf.size >= pathsMax) this.#pathOf.clear()
    this.#pathOf.set(key, path)
    return path
  }

  #gather(path: string, range: PlacedRange): void {
    this.#ranges++
    const end = range.position + range.bytes
    const newest = this.#newest.get(path)
    if (newest?.end === range.position && end - newest.position <= runBytesMax) {
      newest.ranges.push(range)
      newest.end = end
      return
    }
    const run = { path, position: range.position, end, ranges: [range] }
    this.#runs.push(run)
    this.#newest.set(path, run)
  }

  async #copiesOf(run: Run): Promise<readonly CopyOperation[]> {
    const { path, position } = run
    const bytes = run.end - position
    if (this.#standing.length < bytes) this.#standing = new Uint8Array(Math.max(bytes, runBytesMax))
    const standing = await this.#disk.read(path, position, bytes, this.#standing)
    const copies: (CopyOperation & { readonly pieces: number[] })[] = []
    let end = -1
    for (const range of run.ranges) {
      if (await this.#holdsOther(path, standing.subarray(range.position - position), range)) continue
      const pieces = [range.ringPosition, range.bytes]
      if (end === range.position) copies.at(-1)?.pieces.push(...pieces)
      else copies.push({ kind: 'copy', from: this.#journal, pieces, path, position: range.position })
      end = range.position + range.bytes
    }
    return copies
  }

  /**
   * Does another whole batch stand where the range belongs? Our own appends never leave one: after our crash another program (an
   * Apache Kafka on the same directory) has cut the log there and gone on. Its data stays. `standing`: what the file has there, as
   * far as the run goes.
   */
  async #holdsOther(path: string, standing: Uint8Array, range: PlacedRange): Promise<boolean> {
    if (standing.length < batchHeaderBytes || batchMagic(standing) !== 2) return false
    const size = batchSizeInBytes(standing)
    if (size < batchHeaderBytes || size > frameBytesMax) return false
    // Not by the base offset: it lies outside the CRC, and a torn write may have left all of our batch but that.
    if (batchCrc(standing) === range.crc) return false
    const whole = size <= standing.length ? standing : await this.#disk.read(path, range.position, size)
    return whole.length >= size && batchCrcIsValid(whole)
  }
}

/**
 * After a kill the newest frame may stand in the page cache only. Were the power cut while it is being replayed, a part of its set
 * could be on the medium and the frame gone. It is written once more, because a sync that failed leaves pages that the kernel calls
 * clean and the medium does not have: another sync alone would do nothing.
 */
async function makeDurable(journal: JournalFile, newest: FoundFrame | undefined): Promise<void> {
  if (newest === undefined) return
  const { disk, path } = journal
  const bytes = await readJournal(journal, newest.position, frameHeaderBytes + newest.bodyBytes)
  await disk.submit([
    { kind: 'write', path, position: newest.position, chunks: [bytes] },
    { kind: 'sync', path },
  ])
}

/** Headers of all frames of the incarnation, in sequence order. */
async function findFrames(journal: JournalFile, incarnation: Uint8Array): Promise<FoundFrame[]> {
  const { size } = journal
  const found: FoundFrame[] = []
  for (let at = journalBlockBytes; at < size; at += memoryBytes) {
    const chunk = await readJournal(journal, at, Math.min(memoryBytes, size - at))
    for (let block = 0; block < chunk.length; block += journalBlockBytes) {
      const header = decodeFrameHeader(chunk, block, incarnation)
      if (header === null || header.bodyBytes > frameBytesMax * 2) continue
      if (at + block + frameHeaderBytes + header.bodyBytes <= size) found.push({ ...header, position: at + block })
    }
  }
  return found.sort((a, b) => a.sequence - b.sequence)
}

/** The frames from the oldest that the newest whole frame needs. Torn newest frames were never acknowledged. */
async function neededFrames(journal: JournalFile, found: readonly FoundFrame[]): Promise<readonly FoundFrame[]> {
  for (let newest = found.length - 1; newest >= 0; newest--) {
    const frame = found[newest] as FoundFrame
    const body = await readJournal(journal, frame.position + frameHeaderBytes, frame.bodyBytes)
    if (decodeFrameBody(frame, body) === null) continue
    return found.slice(0, newest + 1).filter((candidate) => candidate.sequence >= frame.oldestNeeded)
  }
  return []
}

/** A frame may be larger than the memory. */
function readJournal({ disk, path, memory }: JournalFile, position: number, bytes: number): Promise<Uint8Array> {
  return disk.read(path, position, bytes, bytes > memory.length ? new Uint8Array(bytes) : memory)
}
