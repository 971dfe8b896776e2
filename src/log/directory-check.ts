/**
 * Looks through a stopped data directory and says what is wrong with it; changes nothing. Three kinds of findings:
 *
 * - `damaged`: stored batches that cannot be trusted, or that are gone
 * - `tail`: bytes above the recovery point after an unclean stop, which the next start replays, scans and cuts
 * - `hint`: a file that helps and is wrong or missing; the next start rebuilds it
 */
import { uuidFromString } from '../base/ids.ts'
import type { Disk } from '../base/ports.ts'
import { batchLastOffset, readInt32 } from '../protocol/records/record-batch.ts'
import {
  checkpointBytesMax,
  crcOf,
  formatEpochs,
  parseCleanShutdown,
  parseEpochs,
  parseOffsets,
  parsePartitionMetadata,
  parseProperties,
  unsealText,
} from './checkpoint-file.ts'
import type { DamagedRange } from './damage.ts'
import { digestFor, examineSealed, missingSegments } from './digest-check.ts'
import { isWholeIdentity } from './identity.ts'
import { indexBytesMax } from './index-check.ts'
import { decodeJournalHead, journalBlockBytes } from './journal-frame.ts'
import { LeaderEpochCache } from './leader-epoch-cache.ts'
import { readSmall } from './load-parts.ts'
import { isFirstGone } from './log-loader.ts'
import { deletedSegments, isDeletedLogName, lostSegments, parseLogName, sortLogFiles } from './log-files.ts'
import { findOtherOwner } from './other-owner.ts'
import { decodeSnapshot, snapshotBytesMax } from './producer-snapshot.ts'
import { ProducerState } from './producer-state.ts'
import { segmentName } from './segment.ts'
import { type KnownDigests, logKeyOf, parseDigests, type SegmentDigest } from './segment-digest.ts'
import { offsetEntryBytes, timeEntryBytes, validTimeEntries } from './segment-index.ts'
import { scanSegment } from './segment-scan.ts'
import { type KnownLog, parseKnownLogs } from './known-lines.ts'
import { logFileNames, stateFileNames } from './side-files.ts'

export interface Finding {
  readonly kind: 'damaged' | 'tail' | 'hint'
  readonly file: string
  readonly reason: string
  /** Where bytes of a segment are concerned. */
  readonly range?: Pick<DamagedRange, 'fromOffset' | 'endOffset' | 'position' | 'endPosition'>
}

export interface CheckSummary {
  readonly logs: number
  readonly segments: number
  readonly batches: number
  readonly bytes: number
  readonly wasClean: boolean
}

export interface CheckPlace {
  readonly logDirectory: string
  readonly stateDirectory: string
}

/** Checks everything; findings are told as they are made. Rejects when the disk fails otherwise than by an unreadable part of a file. */
export function checkDirectory(place: CheckPlace, disk: Disk, tell: (finding: Finding) => void): Promise<CheckSummary> {
  return new DirectoryCheck(place, disk, tell).run()
}

class DirectoryCheck {
  readonly #place: CheckPlace
  readonly #disk: Disk
  readonly #tell: (finding: Finding) => void
  #isClean = false
  /** Null: there is no copy of ours, or another broker has written since. */
  #known: ReadonlyMap<string, KnownLog> | null = null
  #compacted: ReadonlySet<string> = new Set()
  #digests: KnownDigests['byLog'] = new Map()
  readonly #summary = { logs: 0, segments: 0, batches: 0, bytes: 0 }

  constructor(place: CheckPlace, disk: Disk, tell: (finding: Finding) => void) {
    this.#place = place
    this.#disk = disk
    this.#tell = tell
  }

  async run(): Promise<CheckSummary> {
    await this.#checkNodeFiles()
    for (const { name, isDirectory } of await this.#disk.list(this.#place.logDirectory)) {
      if (!isDirectory || isDeletedLogName(name) || parseLogName(name) === null) continue
      await this.#checkLog(name)
    }
    return { ...this.#summary, wasClean: this.#isClean }
  }

  #hint(file: string, reason: string): void {
    this.#tell({ kind: 'hint', file, reason })
  }

  async #checkNodeFiles(): Promise<void> {
    const { logDirectory, stateDirectory } = this.#place
    const read = (path: string): Promise<Uint8Array | null> => readSmall(this.#disk, path, checkpointBytesMax)
    const marker = await read(`${logDirectory}/${logFileNames.cleanShutdown}`)
    this.#isClean = parseCleanShutdown(marker) !== null
    if (marker !== null && !this.#isClean)
      this.#hint(`${logDirectory}/${logFileNames.cleanShutdown}`, 'not to be understood')
    const required = new Set<string>([logFileNames.recoveryPoints, logFileNames.highWatermarks])
    for (const name of [
      logFileNames.recoveryPoints,
      logFileNames.highWatermarks,
      logFileNames.logStarts,
      logFileNames.cleanerOffsets,
    ]) {
      const bytes = await read(`${logDirectory}/${name}`)
      if (bytes === null && !(required.has(name) && this.#isClean)) continue
      if (parseOffsets(bytes) === null)
        this.#hint(`${logDirectory}/${name}`, missingOr(bytes, 'not a whole checkpoint'))
    }
    for (const name of [stateFileNames.recoveryPoints, stateFileNames.logStarts, stateFileNames.cleanerOffsets]) {
      const bytes = await read(`${stateDirectory}/${name}`)
      if (bytes === null && !(name === stateFileNames.recoveryPoints && this.#isClean)) continue
      if (unsealText(bytes) === null) this.#hint(`${stateDirectory}/${name}`, missingOr(bytes, 'its checksum is wrong'))
    }
    if ((await findOtherOwner(this.#disk, this.#place)) === null) {
      this.#known = parseKnownLogs(await read(`${stateDirectory}/${stateFileNames.recoveryPoints}`))
      await this.#readDigests()
    }
    await this.#readCompacted(read)
    await this.#checkIdentity(read)
  }

  async #readDigests(): Promise<void> {
    const path = `${this.#place.stateDirectory}/${stateFileNames.segmentDigests}`
    const bytes = await readSmall(this.#disk, path, checkpointBytesMax)
    if (bytes === null) return
    const { byLog, damagedEntries } = parseDigests(bytes)
    if (damagedEntries > 0) this.#hint(path, `${damagedEntries} of its entries are not whole`)
    this.#digests = byLog
  }

  async #readCompacted(read: (path: string) => Promise<Uint8Array | null>): Promise<void> {
    const sealed = unsealText(await read(`${this.#place.stateDirectory}/${stateFileNames.cleanerOffsets}`))
    const kafkas = parseOffsets(await read(`${this.#place.logDirectory}/${logFileNames.cleanerOffsets}`))
    const lines = sealed === null ? [] : Buffer.from(sealed).toString('utf8').split('\n')
    this.#compacted = new Set([...lines.map((line) => line.split(' ')[0] ?? ''), ...(kafkas?.keys() ?? [])])
  }

  async #checkIdentity(read: (path: string) => Promise<Uint8Array | null>): Promise<void> {
    const { logDirectory, stateDirectory } = this.#place
    let directoryId: string | null = null
    for (const folder of [logDirectory, stateDirectory]) {
      const bytes = await read(`${folder}/${logFileNames.identity}`)
      const properties = bytes === null ? null : parseProperties(bytes)
      const id = properties?.get('directory.id')
      const isNamed = properties?.has('cluster.id') === true && properties.has('node.id') && id !== undefined
      const isWhole = isNamed && bytes !== null && isWholeIdentity(Buffer.from(bytes).toString('utf8'))
      if (!isWhole) this.#hint(`${folder}/${logFileNames.identity}`, missingOr(bytes, 'not whole'))
      else directoryId ??= id ?? null
    }
    const path = `${stateDirectory}/${stateFileNames.journal}`
    const size = await this.#disk.size(path)
    if (size === null || directoryId === null || !/^[A-Za-z0-9_-]{22}$/.test(directoryId)) {
      if (size === null && !this.#isClean) this.#tell({ kind: 'tail', file: path, reason: 'the file is missing' })
      return
    }
    const head = await this.#disk.read(path, 0, Math.min(size, journalBlockBytes))
    const decoded = decodeJournalHead(head, uuidFromString(directoryId))
    if ('reason' in decoded) this.#tell({ kind: this.#isClean ? 'hint' : 'tail', file: path, reason: decoded.reason })
  }

  async #checkLog(name: string): Promise<void> {
    const folder = `${this.#place.logDirectory}/${name}`
    const known = this.#known?.get(name) ?? null
    const entries = await this.#disk.list(folder)
    const { segments, snapshots } = sortLogFiles(entries)
    const names = entries.map((entry) => entry.name)
    this.#summary.logs++
    const metadata = await readSmall(this.#disk, `${folder}/partition.metadata`, 4096)
    const topicId = parsePartitionMetadata(metadata)
    if (topicId === null) this.#hint(`${folder}/partition.metadata`, missingOr(metadata, 'not to be understood'))
    else if (known !== null && known.topicId !== topicId)
      this.#hint(`${folder}/partition.metadata`, `topic id ${topicId} where ${known.topicId} is known`)
    const epochs = await this.#checkEpochs(folder, known)
    for (const offset of snapshots) {
      const path = `${folder}/${segmentName(offset)}.snapshot`
      const bytes = await readSmall(this.#disk, path, snapshotBytesMax)
      if (bytes === null || !decodeSnapshot(bytes, new ProducerState())) this.#hint(path, 'its checksum is wrong')
    }
    this.#checkOrphans(
      folder,
      entries.map((entry) => entry.name),
      segments,
    )
    // A log that our copy does not know was created since.
    const durableEndOffset = known?.recoveryPoint ?? (this.#known === null ? null : 0)
    const first = segments[0] ?? 0
    const deleted = deletedSegments(names)
    const { partition = 0 } = parseLogName(name) ?? {}
    const digests = this.#digests.get(logKeyOf({ topicId: topicId ?? '', partition })) ?? new Map()
    this.#checkFirst(folder, { first: segments[0], known: known?.firstBaseOffset ?? null, deleted, names })
    const log = {
      folder,
      epochs,
      durableEndOffset,
      gapsAreNormal: this.#compacted.has(name) || known?.mayHaveGaps === true || deleted.some((base) => base > first),
      digests,
    }
    if (log.gapsAreNormal)
      for (const range of missingSegments({ directory: folder, segments }, digests, deleted))
        this.#tell({ kind: 'damaged', file: range.path, reason: range.reason, range })
    let endOffset = segments[0] ?? 0
    for (const [index, baseOffset] of segments.entries()) {
      const next = segments[index + 1] ?? null
      endOffset = await this.#checkSegment(log, baseOffset, next)
    }
    if (durableEndOffset !== null && endOffset < durableEndOffset) {
      const last = `${folder}/${segmentName(segments.at(-1) ?? 0)}.log`
      const position = (await this.#disk.size(last)) ?? 0
      const range = { fromOffset: endOffset, endOffset: durableEndOffset, position, endPosition: position }
      this.#tell({ kind: 'damaged', file: last, reason: 'the file is missing or ends early', range })
    }
    for (const { name: file } of entries)
      if (file.endsWith('.checkpoint')) await this.#checkBatches(`${folder}/${file}`)
  }

  /** A first segment that is gone with all its indexes. */
  #checkFirst(
    folder: string,
    log: {
      readonly first: number | undefined
      readonly known: number | null
      readonly deleted: readonly number[]
      readonly names: readonly string[]
    },
  ): void {
    const { first, known, deleted, names } = log
    if (known === null || first === undefined || !isFirstGone(first, known, deleted)) return
    // Where an index of it is left that is told already.
    if (lostSegments(names, [first]).some((base) => base < first)) return
    const range = { fromOffset: known, endOffset: first, position: 0, endPosition: 0 }
    this.#tell({ kind: 'damaged', file: `${folder}/${segmentName(known)}.log`, reason: 'the file is missing', range })
  }

  #checkOrphans(folder: string, names: readonly string[], segments: readonly number[]): void {
    for (const baseOffset of lostSegments(names, segments)) {
      const file = `${folder}/${segmentName(baseOffset)}.log`
      const range = { fromOffset: baseOffset, endOffset: segments[0] ?? baseOffset, position: 0, endPosition: 0 }
      // Between others the gap is found where it is.
      if (baseOffset < (segments[0] ?? 0)) this.#tell({ kind: 'damaged', file, reason: 'the file is missing', range })
      else this.#hint(`${folder}/${segmentName(baseOffset)}.index`, 'there is no segment of this name')
    }
  }

  async #checkEpochs(folder: string, known: KnownLog | null): Promise<LeaderEpochCache | null> {
    const path = `${folder}/leader-epoch-checkpoint`
    const bytes = await readSmall(this.#disk, path, checkpointBytesMax)
    const parsed = bytes === null ? [] : parseEpochs(bytes)
    const crc = crcOf(bytes ?? formatEpochs([]))
    const isWrong = known?.epochsCrc !== null && known?.epochsCrc !== undefined && known.epochsCrc !== crc
    if (parsed === null || isWrong) this.#hint(path, missingOr(bytes, 'damaged or stale'))
    if (parsed === null || isWrong || known?.hasEpochs !== true) return null
    const cache = new LeaderEpochCache()
    cache.load(parsed)
    return cache
  }

  /** Answers the end of the offsets that are accounted for. */
  async #checkSegment(
    log: {
      readonly folder: string
      readonly epochs: LeaderEpochCache | null
      readonly durableEndOffset: number | null
      readonly gapsAreNormal: boolean
      readonly digests: ReadonlyMap<number, SegmentDigest>
    },
    baseOffset: number,
    next: number | null,
  ): Promise<number> {
    const path = `${log.folder}/${segmentName(baseOffset)}.log`
    const sizeInBytes = (await this.#disk.size(path)) ?? 0
    const { durableEndOffset, gapsAreNormal, epochs } = log
    const index = await this.#openIndex(path)
    const examination = {
      disk: this.#disk,
      path,
      segmentBaseOffset: baseOffset,
      sizeInBytes,
      endOffset: next ?? (this.#isClean ? durableEndOffset : null),
      durableEndOffset,
      epochAt: (offset: number) => (offset < (durableEndOffset ?? 0) ? (epochs?.epochAt(offset) ?? -1) : -1),
      gapsAreNormal,
      visit: (bytes: Uint8Array, at: number, position: number) =>
        index.meet(position, batchLastOffset(bytes, at) - baseOffset),
    }
    const digest = digestFor(log.digests, baseOffset, next ?? undefined)
    const { examined } = await examineSealed(examination, digest)
    this.#summary.segments++
    this.#summary.batches += examined.batches
    this.#summary.bytes += sizeInBytes
    for (const range of examined.damage) {
      const isTail =
        !this.#isClean && range.fromOffset >= (durableEndOffset ?? (next === null ? 0 : Number.POSITIVE_INFINITY))
      this.#tell({ kind: isTail ? 'tail' : 'damaged', file: path, reason: range.reason, range })
    }
    // After an unclean stop the newest index is behind its log.
    const reason = index.fault(examined.damage.length > 0 || (!this.#isClean && next === null))
    if (reason !== null) this.#hint(path.replace(/log$/, 'index'), reason)
    await this.#checkTimeIndex(path.replace(/log$/, 'timeindex'), examined.endOffset - baseOffset)
    return examined.endOffset
  }

  async #openIndex(logPath: string): Promise<IndexWalk> {
    return new IndexWalk(await readSmall(this.#disk, logPath.replace(/log$/, 'index'), indexBytesMax))
  }

  async #checkTimeIndex(path: string, relativeEnd: number): Promise<void> {
    const bytes = await readSmall(this.#disk, path, indexBytesMax)
    if (bytes === null) return this.#hint(path, 'the file is missing')
    const used = bytes.subarray(0, bytes.length - (bytes.length % timeEntryBytes))
    const isPadded = used.every((byte) => byte === 0)
    if (!isPadded && validTimeEntries(used, relativeEnd) * timeEntryBytes !== bytes.length)
      this.#hint(path, 'its entries do not fit the log')
  }

  /** A metadata snapshot: batches from end to end. */
  async #checkBatches(path: string): Promise<void> {
    const to = (await this.#disk.size(path)) ?? 0
    const place = { disk: this.#disk, path, from: 0, to, segmentBaseOffset: 0, expectedOffset: 0 }
    const end = await scanSegment({ ...place, checkCrc: true, visit() {} })
    if (end.reason !== null) this.#hint(path, `position ${end.position}: ${end.reason}`)
  }
}

/** Holds the entries of an offset index against the batches as they come by. */
class IndexWalk {
  readonly #bytes: Uint8Array | null
  #at = 0
  #isWrong = false

  constructor(bytes: Uint8Array | null) {
    this.#bytes = bytes
  }

  meet(position: number, relativeLastOffset: number): void {
    const bytes = this.#bytes
    if (bytes === null || this.#isWrong || this.#at + offsetEntryBytes > bytes.length) return
    const due = readInt32(bytes, this.#at + 4)
    if (position < due) return
    if (position === due && readInt32(bytes, this.#at) === relativeLastOffset) this.#at += offsetEntryBytes
    else this.#isWrong = true
  }

  fault(mayDiffer: boolean): string | null {
    const bytes = this.#bytes
    if (bytes === null) return 'the file is missing'
    if (mayDiffer) return null
    // What is left may be what Apache Kafka has preallocated.
    const isOver = bytes.subarray(this.#at).every((byte) => byte === 0)
    return this.#isWrong || !isOver ? 'its entries do not fit the log' : null
  }
}

function missingOr(bytes: Uint8Array | null, reason: string): string {
  return bytes === null ? 'the file is missing' : reason
}
