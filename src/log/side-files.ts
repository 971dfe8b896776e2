/** The node-wide small files: where they are, how they are replaced, what they say. */
import type { DiskOperation } from '../base/ports.ts'
import { crcOf, formatEpochs, sealLines, unsealText } from './checkpoint-file.ts'
import type { LineWriter } from './line-writer.ts'
import { type ChainPoint, HeaderChain } from './segment-digest.ts'
import {
  type IndexTail,
  offsetEntryBytes,
  timeEntryBytes,
  validOffsetEntries,
  validTimeEntries,
} from './segment-index.ts'
import type { UnifiedLog } from './unified-log.ts'

/** Names in dataDir/log, Kafka's own. */
export const logFileNames = {
  recoveryPoints: 'recovery-point-offset-checkpoint',
  highWatermarks: 'replication-offset-checkpoint',
  logStarts: 'log-start-offset-checkpoint',
  cleanerOffsets: 'cleaner-offset-checkpoint',
  cleanShutdown: '.kafka_cleanshutdown',
  identity: 'meta.properties',
  lock: '.lock',
} as const

/** Names in dataDir/state, ours. */
export const stateFileNames = {
  journal: 'journal',
  ballast: 'ballast',
  identity: 'meta.properties',
  recoveryPoints: 'recovery-points',
  logStarts: 'log-starts',
  cleanerOffsets: 'cleaner-offsets',
  quorumEpoch: 'quorum-epoch',
  recoveryHold: 'recovery-hold',
  segmentDigests: 'segment-digests',
  failedSync: 'sync-failed',
} as const

/** Removes what groups of `replaceFile` leave when they end early. */
export function temporariesOf(operations: readonly DiskOperation[]): readonly DiskOperation[] {
  return operations.flatMap((each) => (each.kind === 'rename' ? [{ kind: 'unlink' as const, path: each.from }] : []))
}

/**
 * Says that a sync has failed. The kernel calls what it did not write clean: a start while the page cache lives reads it, and another
 * sync does nothing for it. So the note need not be durable: where the cache is gone, there is nothing left to know.
 */
export function failedSyncNote(stateDirectory: string): readonly DiskOperation[] {
  return [{ kind: 'writeFile', path: `${stateDirectory}/${stateFileNames.failedSync}`, bytes: new Uint8Array(0) }]
}

/** What our own copy of the recovery points says of one log. */
export interface KnownLog {
  readonly topicId: string
  readonly recoveryPoint: number
  /** Producer state there, as in a `.snapshot` file. */
  readonly snapshot: Uint8Array
  /** CRC-32C of `leader-epoch-checkpoint`, which has no checksum of its own; null = not known. */
  readonly epochsCrc: string | null
  /** That file has every epoch that began below the recovery point. */
  readonly hasEpochs: boolean
  /** Offsets may be missing: compaction has been there, or a deletion was cut short. */
  readonly mayHaveGaps: boolean
  /** Entries below the recovery point that its index files lack; null = none are known. */
  readonly indexTail: KnownIndexTail | null
  /** The headers of the segment that was active at the recovery point, up to there; null = not known. */
  readonly chain: ChainPoint | null
  /** Where the first segment began; null = not known. */
  readonly firstBaseOffset: number | null
}

/** The tail of one segment's index. */
export interface KnownIndexTail extends IndexTail {
  readonly segmentBaseOffset: number
}

/** Entries of a log's index that may stand in our copy instead of its files. */
export const indexTailMax = 64

/**
 * Our copy: `topic-partition topicId recoveryPoint snapshot epochsCrc hasEpochs mayHaveGaps chain firstBaseOffset` a line, and where the
 * index files lack a few entries `segment filedOffsets filedTimes offsets times`, sealed with a CRC. The topic id tells a log from an
 * earlier one of its name; the producers' state and young index entries stand here in one file for all logs, so that a checkpoint syncs one
 * file and not three a log.
 */
export function sealKnownLogs(lines: LineWriter): Uint8Array {
  return sealLines(lines).bytes()
}

/** The lines of some logs for `sealKnownLogs`. */
export function writeKnownLogs(lines: LineWriter, logs: Iterable<UnifiedLog>): void {
  for (const log of logs) {
    const { epochs, hasFiledEpochs, mayHaveGaps } = log
    epochs.filedCrc ??= crcOf(formatEpochs(epochs.filedEntries))
    lines.text(log.key).text(' ').text(log.topicId).text(' ').number(log.recoveryPoint).text(' ')
    lines.base64(log.recoverySnapshot).text(' ').text(epochs.filedCrc)
    lines.text(hasFiledEpochs ? ' 1' : ' 0').text(mayHaveGaps ? ' 1 ' : ' 0 ')
    writeChain(lines, log.recoveryChain)
    lines.text(' ').number(log.segments[0]?.baseOffset ?? 0)
    writeIndexTail(lines, log)
    lines.text('\n')
  }
}

/** Most tails fit: a checkpoint asks thousands of logs, one after the other, and four views for each were a tenth of all that was allocated. */
const tailMemory = {
  offsets: new Uint8Array(indexTailMax * offsetEntryBytes),
  times: new Uint8Array(indexTailMax * timeEntryBytes),
} as const

/** What the index files of the active segment lack below the recovery point, when it is little. */
function writeIndexTail(lines: LineWriter, log: UnifiedLog): void {
  const { baseOffset, index, sizeInBytes } = log.activeSegment
  if (index.unfiledOffsets === 0 || log.recoveryPoint <= baseOffset) return
  const { unfiledOffsets, unfiledTimes } = index
  const fits = unfiledOffsets <= indexTailMax && unfiledTimes <= indexTailMax
  if (fits) index.encodeInto(tailMemory.offsets, tailMemory.times)
  const { offsets, times } = fits ? tailMemory : index.encodeUnfiled()
  const below = log.recoveryPoint - baseOffset
  const offsetBytes = validOffsetEntries(offsets, sizeInBytes, below, unfiledOffsets) * offsetEntryBytes
  const timeBytes = validTimeEntries(times, below, unfiledTimes) * timeEntryBytes
  if (offsetBytes === 0 || offsetBytes > indexTailMax * offsetEntryBytes) return
  lines.text(' ').number(baseOffset).text(' ').number(index.filedOffsets).text(' ').number(index.filedTimes).text(' ')
  lines.base64(offsets, offsetBytes).text(' ').base64(times, timeBytes)
}

/** By `topic-partition`; null when the file is missing or torn. */
export function parseKnownLogs(bytes: Uint8Array | null): ReadonlyMap<string, KnownLog> | null {
  const body = unsealText(bytes)
  if (body === null) return null
  const known = new Map<string, KnownLog>()
  for (const line of Buffer.from(body).toString('utf8').split('\n')) {
    const [key, topicId, offset, snapshot, epochsCrc = null, hasEpochs = '0', gaps = '1', ...rest] = line.split(' ')
    const [chain = '-', first, ...tail] = rest
    if (key === undefined || topicId === undefined || offset === undefined || snapshot === undefined) continue
    known.set(key, {
      topicId,
      recoveryPoint: Number(offset),
      snapshot: Buffer.from(snapshot, 'base64'),
      epochsCrc,
      hasEpochs: hasEpochs === '1',
      // A line of an earlier release does not say: then a gap is no fault.
      mayHaveGaps: gaps === '1',
      indexTail: parseIndexTail(tail),
      chain: parseChain(chain),
      firstBaseOffset: first === undefined ? null : Number(first),
    })
  }
  return known
}

function parseIndexTail(words: readonly string[]): KnownIndexTail | null {
  const [segment, filedOffsets, filedTimes, offsets, times] = words
  if (segment === undefined || offsets === undefined || times === undefined) return null
  return {
    segmentBaseOffset: Number(segment),
    filedOffsets: Number(filedOffsets),
    filedTimes: Number(filedTimes),
    offsets: Buffer.from(offsets, 'base64'),
    times: Buffer.from(times, 'base64'),
  }
}

/** The active segment's headers as they are in the books; null when they are not known from its first byte on. */
export function chainPointOf(log: UnifiedLog): ChainPoint | null {
  const { baseOffset, chain, sizeInBytes } = log.activeSegment
  return chain === null || chain.sizeInBytes !== sizeInBytes ? null : { baseOffset, chain: chain.copy() }
}

/** `base:size.batches.crc.end`; `-` when it is not known. */
function writeChain(lines: LineWriter, point: ChainPoint | null): void {
  if (point === null) {
    lines.text('-')
    return
  }
  const { baseOffset, chain } = point
  lines.number(baseOffset).text(':').number(chain.sizeInBytes).text('.').number(chain.batches)
  lines.text('.').number(chain.crc).text('.').number(chain.endOffset)
}

function parseChain(text: string): ChainPoint | null {
  const [base, ...rest] = text.split(':')
  const chain = HeaderChain.fromText(rest.join(':'))
  return chain === null ? null : { baseOffset: Number(base), chain }
}
