/**
 * `dataDir/state/segment-digests`: what the sealed segments of the directory were, one entry behind the other. A hint: it can be deleted,
 * an entry that is missing is no fault, and the scrub adds what is not known. Appended to with the checkpoints, so that it costs some
 * bytes a segment; rewritten when most of it speaks of segments that are gone. Nothing of it is kept in memory but what waits to be written.
 */
import { zeroUuid } from '../base/ids.ts'
import type { Disk, DiskOperation } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import type { Segment } from './segment.ts'
import {
  type DigestKey,
  digestEntryBytes,
  digestOf,
  encodeDigest,
  encodeVoid,
  type KnownDigests,
  logKeyOf,
  parseDigests,
  type SegmentDigest,
} from './segment-digest.ts'
import { stateFileNames } from './side-files.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Entries of the file, about: 8 MiB. Of a node with more sealed segments only a part is known. */
const entriesMax = 131_072
/** Entries that wait for a checkpoint; what comes beyond stays unknown until the scrub has been there. */
const waitingMax = 4096
/** Entries of segments that are gone before the file is rewritten, besides as many as are there. */
const goneMin = 512

export interface SwapWrites {
  readonly before: readonly DiskOperation[]
  readonly after: readonly DiskOperation[]
  /** To be called when the group has ended. */
  done(): void
}

interface Gone {
  readonly log: UnifiedLog
  readonly baseOffset: number
  /** The `.deleted` file. */
  readonly path: string
}

interface Waiting {
  readonly log: UnifiedLog
  readonly digest: SegmentDigest
}

export class DigestFile {
  readonly #disk: Disk
  readonly #path: string
  #waiting: Waiting[] = []
  /** Segments that a deletion which was cut short has taken, with the names that tell so. Bound: as many as a start has found. */
  #gone: Gone[] = []
  /** The same, written down, with their names still there. */
  #told: Gone[] = []
  /** Where the next entry goes, in the order of submission. */
  #endPosition = 0
  /** Appends so far, and those among them that have not completed: the file does not say them yet. */
  #writes = 0
  #underWay = 0

  constructor(disk: Disk, stateDirectory: string) {
    this.#disk = disk
    this.#path = `${stateDirectory}/${stateFileNames.segmentDigests}`
  }

  /** What the file says; `isOurs` false: another broker has written to the logs since, and nothing of it counts. */
  async open(isOurs: boolean): Promise<KnownDigests> {
    if (!isOurs) {
      this.#endPosition = 0
      await this.#disk.submit([{ kind: 'unlink', path: this.#path }])
      return { byLog: new Map(), damagedEntries: 0 }
    }
    const bytes = await this.#read()
    this.#endPosition = bytes.length - (bytes.length % digestEntryBytes)
    return parseDigests(bytes)
  }

  /** Bytes of the file. */
  get sizeInBytes(): number {
    return this.#endPosition
  }

  /** What is known of the segments of one log, by base offset. */
  async of(log: UnifiedLog): Promise<ReadonlyMap<number, SegmentDigest>> {
    const key = logKeyOf(log)
    const known = new Map(parseDigests(await this.#read(), key).byLog.get(key))
    for (const waiting of this.#waiting) if (waiting.log === log) known.set(waiting.digest.baseOffset, waiting.digest)
    return known
  }

  /** The segment takes no more batches: what it is will be written down when it is durable. */
  noteSealed(log: UnifiedLog, segment: Segment): void {
    const { chain } = segment
    segment.chain = null
    if (chain !== null) this.note(log, digestOf(keyOf(log, segment.baseOffset), chain, segment.sizeInBytes))
  }

  /** A start has found a deletion cut short: the segment is no more, and its name goes when that is written down. */
  noteGone(log: UnifiedLog, baseOffset: number, path: string): void {
    this.#gone.push({ log, baseOffset, path })
  }

  note(log: UnifiedLog, digest: SegmentDigest | null): void {
    if (digest === null || log.topicId === zeroUuid || this.#waiting.length >= waitingMax) return
    this.#waiting.push({ log, digest })
  }

  /**
   * Writes of what waits and lies below the recovery points: they go out in the turn that asks for them. Above a recovery point a start
   * may still cut, and give the same offsets to other records.
   */
  takeWrites(): readonly DiskOperation[] {
    const ready: SegmentDigest[] = []
    this.#waiting = this.#waiting.filter(({ log, digest }) => {
      if (log.isDeleted || log.segments[log.segmentIndexOf(digest.baseOffset)]?.baseOffset !== digest.baseOffset)
        return false
      if (digest.endOffset > log.recoveryPoint) return true
      ready.push(digest)
      return false
    })
    const gone = this.#gone
    this.#gone = []
    const voids = gone.filter(({ log }) => log.topicId !== zeroUuid)
    const entries = [...voids.map((each) => encodeVoid(keyOf(each.log, each.baseOffset))), ...ready.map(encodeDigest)]
    this.#told.push(...gone)
    return this.#append(entries)
  }

  /** Removes the names of segments that are written down as gone. Behind the recovery points: the names tell of gaps until those do. */
  takeRemovals(): readonly DiskOperation[] {
    const present = this.#told.filter(({ log }) => !log.isDeleted)
    this.#told = []
    return present.map(({ path }) => ({ kind: 'unlink', path }))
  }

  /** Writes now what waits and is durable: for entries that no checkpoint follows. */
  async flush(): Promise<void> {
    const writes = this.takeWrites()
    if (writes.length === 0) return
    this.#underWay++
    await this.#disk.submit(writes)
    this.#underWay--
  }

  /** Around a swap of segments for one: before it nothing is said of them any more, behind it what the new one is. In the same group. */
  swapWrites(log: UnifiedLog, sources: readonly Segment[], cleaned: Segment): SwapWrites {
    this.#underWay++
    const done = (): void => void this.#underWay--
    if (log.topicId === zeroUuid) return { before: [], after: [], done }
    const bases = new Set(sources.map(({ baseOffset }) => baseOffset))
    this.#waiting = this.#waiting.filter((each) => each.log !== log || !bases.has(each.digest.baseOffset))
    const before = this.#append([...bases].map((baseOffset) => encodeVoid(keyOf(log, baseOffset))))
    const { chain } = cleaned
    cleaned.chain = null
    const digest = chain === null ? null : digestOf(keyOf(log, cleaned.baseOffset), chain, cleaned.sizeInBytes)
    return { before, after: digest === null ? [] : this.#append([encodeDigest(digest)]), done }
  }

  /** Writes the file anew when most of it is of no use any more; `logs` = what is there. */
  async tidy(logs: readonly UnifiedLog[]): Promise<void> {
    let segments = 0
    for (const log of logs) segments += log.segments.length
    const entries = this.#endPosition / digestEntryBytes
    if (this.#underWay > 0 || entries <= 2 * Math.min(segments, entriesMax / 2) + goneMin) return
    const present = new Map(logs.map((log) => [logKeyOf(log), log]))
    const writes = this.#writes
    const { byLog } = parseDigests(await this.#read())
    const kept: Uint8Array[] = []
    for (const [key, ofLog] of byLog) {
      const log = present.get(key)
      if (log === undefined || log.isDeleted) continue
      for (const digest of ofLog.values())
        if (log.segments[log.segmentIndexOf(digest.baseOffset)]?.baseOffset === digest.baseOffset)
          kept.push(encodeDigest(digest))
    }
    // Something has been appended meanwhile: another time.
    if (writes !== this.#writes) return
    const bytes = Buffer.concat(kept.slice(-entriesMax / 2))
    this.#writes++
    this.#endPosition = bytes.length
    await this.#disk.submit([
      ...replaceFile(this.#path, bytes),
      { kind: 'syncDirectory', path: directoryOf(this.#path) },
    ])
  }

  #append(entries: readonly Uint8Array[]): readonly DiskOperation[] {
    if (entries.length === 0) return []
    const path = this.#path
    const position = this.#endPosition
    this.#writes++
    this.#endPosition += entries.length * digestEntryBytes
    const operations: DiskOperation[] = [
      { kind: 'write', path, position, chunks: entries },
      { kind: 'sync', path },
    ]
    if (position === 0) operations.push({ kind: 'syncDirectory', path: directoryOf(path) })
    return operations
  }

  async #read(): Promise<Uint8Array> {
    const bytes = await this.#disk.readFile(this.#path, 2 * entriesMax * digestEntryBytes).catch(() => null)
    return bytes ?? new Uint8Array(0)
  }
}

function keyOf(log: UnifiedLog, baseOffset: number): DigestKey {
  return { topicId: log.topicId, partition: log.partition, baseOffset }
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'))
}
