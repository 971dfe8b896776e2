/**
 * Looks at every byte of a segment and says which parts of it are damaged: the CRC of each batch, and by the chain what the CRC does
 * not cover (safety.md R8): base offset, length, magic and leader epoch. Behind a damage it looks for the next whole batch, first where
 * the damaged one says that it ends, then byte by byte, so that one bad spot costs the batches that it touches and no more.
 */
import { crc32c } from '../base/crc32c.ts'
import { type Disk, DiskError } from '../base/ports.ts'
import {
  attributesAt,
  batchBaseOffset,
  batchCrc,
  batchHeaderBytes,
  batchIsControl,
  batchLastOffset,
  batchLastOffsetDelta,
  batchMagic,
  batchPartitionLeaderEpoch,
  batchSizeInBytes,
} from '../protocol/records/record-batch.ts'
import type { DamagedRange } from './damage.ts'
import { relativeOffsetMax } from './segment.ts'
import { scanSegment } from './segment-scan.ts'

/** Looked through at once for the next batch: small, because every byte of it may look like one's magic. */
const searchBytes = 65_536
/** The unit in which a medium fails. */
const pageBytes = 4096
/** Unreadable pages of one read after which the rest of it counts as unreadable too: a dead device must not be asked for every page. */
const failedPagesMax = 16
const magicAt = 16

export interface SegmentExamination {
  readonly disk: Pick<Disk, 'read'>
  readonly path: string
  readonly segmentBaseOffset: number
  /** Bytes to look at. */
  readonly sizeInBytes: number
  /** Where the offsets of this segment end (exclusive): the next segment's base, or the log's end. Null = not known. */
  readonly endOffset: number | null
  /** Offsets below it have been durable once; null = not known. */
  readonly durableEndOffset: number | null
  /** The leader epoch that the batch at an offset must have; -1 = any. */
  epochAt(offset: number): number
  /** Offsets may be missing between batches and at the end: compaction leaves gaps. */
  readonly gapsAreNormal: boolean
  /** Gaps or not, the last batch ends right before `endOffset`. */
  readonly endIsExact?: boolean
  /** Would the segment be what it once was if the batch at this position began at this offset? Omitted where nothing tells. */
  wasOnce?(place: BatchPlace, disk: Pick<Disk, 'read'>): Promise<boolean>
  /** Called for each good batch, in order, with its header (all of it when it is a control batch). */
  visit?(bytes: Uint8Array, at: number, position: number): void
  /** Called before so many bytes are read; the reading waits for it. */
  pace?(bytes: number): Promise<void>
}

export interface ExaminedSegment {
  readonly damage: readonly DamagedRange[]
  /** Behind the last good batch. */
  readonly endOffset: number
  readonly goodEndPosition: number
  readonly batches: number
}

/** Examines a segment. Rejects only when the disk fails in another way than by an unreadable part of the file. */
export function examineSegment(examination: SegmentExamination): Promise<ExaminedSegment> {
  return new Examiner(examination).run()
}

/** A batch behind a gap: real after compaction, else its base offset may be what is wrong. The next batch tells. */
interface Suspect {
  readonly position: number
  readonly dueOffset: number
  readonly endOffset: number
  readonly copy: Uint8Array
}

export interface BatchPlace {
  readonly position: number
  readonly baseOffset: number
}

class Examiner {
  readonly #with: SegmentExamination
  readonly #disk: Pick<Disk, 'read'>
  readonly #damage: DamagedRange[] = []
  #dueOffset: number
  #position = 0
  #goodEndPosition = 0
  #batches = 0
  #suspect: Suspect | null = null

  constructor(examination: SegmentExamination) {
    this.#with = examination
    this.#dueOffset = examination.segmentBaseOffset
    this.#disk = { read: (path, position, length) => readPaced(examination, path, position, length) }
  }

  async run(): Promise<ExaminedSegment> {
    const { sizeInBytes, endOffset, gapsAreNormal, endIsExact = false } = this.#with
    while (this.#position < sizeInBytes) await this.#runOn()
    this.#settleLast()
    const last = this.#damage.at(-1)
    const isOpen = last !== undefined && last.endPosition === sizeInBytes && last.position < sizeInBytes
    if (isOpen) this.#damage[this.#damage.length - 1] = { ...last, endOffset: endOffset ?? last.endOffset }
    else if (endOffset !== null && this.#dueOffset < endOffset && (!gapsAreNormal || endIsExact)) {
      const reason = sizeInBytes === 0 ? 'the file is missing or empty' : 'the file ends early'
      this.#note(sizeInBytes, { position: sizeInBytes, baseOffset: endOffset }, reason)
    }
    const { path } = this.#with
    return {
      damage: this.#damage.map((range) => ({ ...range, path })),
      endOffset: this.#dueOffset,
      goodEndPosition: this.#goodEndPosition,
      batches: this.#batches,
    }
  }

  /** Up to the next damage and over it. */
  async #runOn(): Promise<void> {
    const { path, sizeInBytes, segmentBaseOffset } = this.#with
    let fault: string | null = null
    const end = await scanSegment({
      disk: this.#disk,
      path,
      from: this.#position,
      to: sizeInBytes,
      segmentBaseOffset,
      expectedOffset: this.#dueOffset,
      checkCrc: true,
      visit: (bytes, at, position) => {
        fault = this.#chainFault(bytes, at)
        if (fault !== null) return false
        this.#take(bytes, at, position)
        return true
      },
    })
    this.#position = end.position
    const reason = fault ?? end.reason
    if (reason === null) return
    const suspect = this.#suspect
    // Where the one before it would end if it began where it is due.
    const leastOffset = suspect === null ? 0 : suspect.dueOffset + suspect.endOffset - batchBaseOffset(suspect.copy)
    const isWhole = suspect !== null && fault === null && (await this.#isBatch(end.position, leastOffset))
    if (isWhole && (await this.#isWrong(suspect, end.position))) {
      // The batch here is good but for an offset that lies below the end of the one before it: that one is wrong.
      this.#suspect = null
      this.#dueOffset = suspect.dueOffset
      this.#note(suspect.position, await this.#at(end.position), 'its base offset does not fit its neighbours')
      return
    }
    this.#acceptSuspect()
    const found = await this.#findNext(end.position)
    this.#note(end.position, found ?? { position: sizeInBytes, baseOffset: this.#dueOffset }, reason)
    this.#position = found?.position ?? sizeInBytes
  }

  /**
   * Is it the suspect whose base offset is wrong, and not the batch at this position, which lies below its end? What the segment was when
   * it was sealed says it where one bit of one of them makes it that again; else one bit that makes one of them fit and not the other does;
   * else the other one is wrong when it would fill the place behind the suspect exactly, or when one bit makes it end where the next one begins.
   */
  async #isWrong(suspect: Suspect, position: number): Promise<boolean> {
    const { path, sizeInBytes, endOffset, gapsAreNormal } = this.#with
    const header = await this.#disk.read(path, position, batchHeaderBytes)
    const [wrongOffset, otherOffset] = [batchBaseOffset(suspect.copy), batchBaseOffset(header)]
    const behind = position + batchSizeInBytes(header)
    const offsets = batchLastOffsetDelta(header) + 1
    const fittingEnd = suspect.endOffset + offsets
    let nextOffset = behind < sizeInBytes ? null : endOffset
    if (behind < sizeInBytes && (await this.#isBatch(behind, batchLastOffset(header) + 1)))
      nextOffset = (await this.#at(behind)).baseOffset
    const roomBefore = gapsAreNormal ? otherOffset - suspect.dueOffset - (suspect.endOffset - wrongOffset) : 0
    const roomBehind = gapsAreNormal ? (nextOffset ?? Number.MAX_SAFE_INTEGER) - fittingEnd : 0
    const before = oneBitFrom(wrongOffset, suspect.dueOffset, suspect.dueOffset + roomBefore)
    const behindIt = oneBitFrom(otherOffset, suspect.endOffset, suspect.endOffset + roomBehind)
    if (await this.#wasOnce(suspect.position, before)) return true
    if (await this.#wasOnce(position, behindIt)) return false
    if (before.length > 0 !== behindIt.length > 0) return before.length > 0
    return nextOffset !== fittingEnd && !behindIt.some((baseOffset) => baseOffset + offsets === nextOffset)
  }

  async #wasOnce(position: number, baseOffsets: readonly number[]): Promise<boolean> {
    for (const baseOffset of baseOffsets)
      if (await this.#with.wasOnce?.({ position, baseOffset }, this.#disk)) return true
    return false
  }

  #chainFault(bytes: Uint8Array, at: number): string | null {
    const { endOffset } = this.#with
    if (endOffset !== null && batchLastOffset(bytes, at) >= endOffset)
      return `last offset ${batchLastOffset(bytes, at)} in a segment that ends before ${endOffset}`
    const epoch = batchPartitionLeaderEpoch(bytes, at)
    const due = this.#with.epochAt(batchBaseOffset(bytes, at))
    return due < 0 || due === epoch ? null : `leader epoch ${epoch} where ${due} is due`
  }

  #take(bytes: Uint8Array, at: number, position: number): void {
    this.#acceptSuspect()
    const dueOffset = this.#dueOffset
    this.#dueOffset = batchLastOffset(bytes, at) + 1
    this.#goodEndPosition = position + batchSizeInBytes(bytes, at)
    this.#batches++
    if (batchBaseOffset(bytes, at) === dueOffset) {
      this.#with.visit?.(bytes, at, position)
      return
    }
    const shown = batchIsControl(bytes, at) ? batchSizeInBytes(bytes, at) : batchHeaderBytes
    this.#suspect = { position, dueOffset, endOffset: this.#dueOffset, copy: bytes.slice(at, at + shown) }
  }

  #acceptSuspect(): void {
    const suspect = this.#suspect
    this.#suspect = null
    if (suspect !== null) this.#with.visit?.(suspect.copy, 0, suspect.position)
  }

  /** The last batch has no successor to tell whether the gap before it is real: the known end of the segment may. */
  #settleLast(): void {
    const { endOffset, durableEndOffset, gapsAreNormal, sizeInBytes } = this.#with
    const suspect = this.#suspect
    const end = { position: sizeInBytes, baseOffset: endOffset ?? durableEndOffset ?? 0 }
    if (suspect === null) return
    const records = suspect.endOffset - batchBaseOffset(suspect.copy)
    const fitsBetter =
      endOffset !== null && suspect.endOffset !== endOffset && suspect.dueOffset + records === endOffset
    // What was durable has no gaps but those that compaction makes.
    const hasLost = endOffset === null && durableEndOffset !== null && suspect.dueOffset < durableEndOffset
    if (!fitsBetter && (!hasLost || gapsAreNormal)) return this.#acceptSuspect()
    this.#suspect = null
    this.#dueOffset = suspect.dueOffset
    this.#note(suspect.position, end, 'its base offset does not fit the end of the segment')
  }

  #note(position: number, next: BatchPlace, reason: string): void {
    const fromOffset = this.#dueOffset
    const endOffset = Math.max(next.baseOffset, fromOffset)
    this.#damage.push({ fromOffset, endOffset, path: '', position, endPosition: next.position, reason })
    this.#dueOffset = endOffset
  }

  async #at(position: number): Promise<BatchPlace> {
    return { position, baseOffset: batchBaseOffset(await this.#disk.read(this.#with.path, position, batchHeaderBytes)) }
  }

  /** The next whole batch behind the one at `position`. */
  async #findNext(position: number): Promise<BatchPlace | null> {
    const { path, sizeInBytes } = this.#with
    const header = await this.#disk.read(path, position, batchHeaderBytes)
    const behind = header.length < batchHeaderBytes ? -1 : position + batchSizeInBytes(header)
    const isThere = behind > position && behind < sizeInBytes && (await this.#isBatch(behind, this.#dueOffset))
    if (!isThere) return this.#search(position + 1, sizeInBytes)
    const next = await this.#at(behind)
    if (next.baseOffset === batchLastOffset(header) + 1) return next
    // Its length and its offsets do not agree: a length that is wrong may lead past whole batches to a later one.
    const earlier = await this.#search(position + 1, behind)
    return earlier !== null && (await this.#leadsTo(earlier, next)) ? earlier : next
  }

  /** Do whole batches fill the bytes from one place to the other? What merely looks like a batch inside of another does not. */
  async #leadsTo(from: BatchPlace, to: BatchPlace): Promise<boolean> {
    let { position, baseOffset } = from
    while (position < to.position && (await this.#isBatch(position, baseOffset))) {
      const header = await this.#disk.read(this.#with.path, position, batchHeaderBytes)
      position += batchSizeInBytes(header)
      baseOffset = batchLastOffset(header) + 1
    }
    return position === to.position && baseOffset <= to.baseOffset
  }

  /** The first whole batch that begins in these bytes. */
  async #search(start: number, end: number): Promise<BatchPlace | null> {
    for (let from = start; from + batchHeaderBytes <= end; from += searchBytes) {
      const length = Math.min(searchBytes + batchHeaderBytes - 1, end - from)
      const bytes = await this.#disk.read(this.#with.path, from, length)
      const found = await this.#searchIn(bytes, from)
      if (found !== null) return found
    }
    return null
  }

  async #searchIn(bytes: Uint8Array, from: number): Promise<BatchPlace | null> {
    const last = Math.min(searchBytes, bytes.length - batchHeaderBytes + 1) - 1
    for (let magic = bytes.indexOf(2, magicAt); magic >= 0; magic = bytes.indexOf(2, magic + 1)) {
      const at = magic - magicAt
      if (at > last) return null
      if (!this.#looksLikeBatch(bytes, at, from + at, this.#dueOffset)) continue
      if (await this.#isBatch(from + at, this.#dueOffset)) return this.#at(from + at)
    }
    return null
  }

  #looksLikeBatch(bytes: Uint8Array, at: number, position: number, dueOffset: number): boolean {
    const { sizeInBytes, endOffset, segmentBaseOffset } = this.#with
    const size = batchSizeInBytes(bytes, at)
    if (batchMagic(bytes, at) !== 2 || size < batchHeaderBytes || position + size > sizeInBytes) return false
    const baseOffset = batchBaseOffset(bytes, at)
    const endMax = endOffset ?? segmentBaseOffset + relativeOffsetMax + 1
    return baseOffset >= dueOffset && batchLastOffsetDelta(bytes, at) >= 0 && batchLastOffset(bytes, at) < endMax
  }

  /** Does a whole batch with a right CRC begin there, not below the offset that is due? */
  async #isBatch(position: number, dueOffset: number): Promise<boolean> {
    const { path } = this.#with
    const header = await this.#disk.read(path, position, batchHeaderBytes)
    if (header.length < batchHeaderBytes || !this.#looksLikeBatch(header, 0, position, dueOffset)) return false
    const end = position + batchSizeInBytes(header)
    let sum = 0
    for (let at = position + attributesAt; at < end; at += searchBytes) {
      sum = crc32c(await this.#disk.read(path, at, Math.min(searchBytes, end - at)), sum)
    }
    return sum === batchCrc(header)
  }
}

/** The offsets of a range from which one wrong bit leads to the given one. */
function oneBitFrom(offset: number, from: number, to: number): readonly number[] {
  const found: number[] = []
  for (let bit = 1; bit < Number.MAX_SAFE_INTEGER; bit *= 2) {
    const right = Math.floor(offset / bit) % 2 === 1 ? offset - bit : offset + bit
    if (from <= right && right <= to) found.push(right)
  }
  return found
}

async function readPaced(
  examination: SegmentExamination,
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array> {
  await examination.pace?.(length)
  try {
    return await examination.disk.read(path, position, length)
  } catch (thrown) {
    if (!isUnreadable(thrown)) throw thrown
    const pages = await readPages(examination.disk, path, position, length)
    // Not a bad spot but a device that gives nothing: that is no damage of the file.
    if (pages === null) throw thrown
    return pages
  }
}

/** The medium cannot give these bytes back. */
function isUnreadable(thrown: unknown): boolean {
  return (
    thrown instanceof DiskError && (thrown.code === 'EIO' || thrown.code === 'EBADMSG' || thrown.code === 'EUCLEAN')
  )
}

/** What can be read, with zeros in the place of the pages that cannot: no batch is whole there. Null when nothing can be read. */
async function readPages(
  disk: Pick<Disk, 'read'>,
  path: string,
  position: number,
  length: number,
): Promise<Uint8Array | null> {
  const bytes = new Uint8Array(length)
  let failed = 0
  let read = 0
  for (let at = 0; at < length && failed < failedPagesMax; ) {
    const size = Math.min(pageBytes - ((position + at) % pageBytes), length - at)
    try {
      bytes.set(await disk.read(path, position + at, size), at)
      read++
    } catch (thrown) {
      if (!isUnreadable(thrown)) throw thrown
      failed++
    }
    at += size
  }
  return read === 0 && length > pageBytes ? null : bytes
}
