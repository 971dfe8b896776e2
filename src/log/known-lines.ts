/**
 * The lines of `recovery-points`, our own copy of the recovery points: `topic-partition topicId recoveryPoint snapshot epochsCrc hasEpochs
 * mayHaveGaps chain firstBaseOffset`, and where the index files lack a few entries `segment filedOffsets filedTimes offsets times`, sealed
 * with a CRC. The topic id tells a log from an earlier one of its name; the producers' state and young index entries stand here in one
 * file for all logs, so that a checkpoint syncs one file and not three a log.
 *
 * The file is written whole each time. Of thousands of logs a checkpoint changes some, so what the last file said of the others is copied,
 * in as few pieces as there are changes.
 */
import { crcOf, formatEpochs, sealLines, unsealText } from './checkpoint-file.ts'
import { LineWriter } from './line-writer.ts'
import { type ChainPoint, HeaderChain } from './segment-digest.ts'
import {
  type IndexTail,
  offsetEntryBytes,
  timeEntryBytes,
  validOffsetEntries,
  validTimeEntries,
} from './segment-index.ts'
import type { UnifiedLog } from './unified-log.ts'

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

/** The active segment's headers as they are in the books; null when they are not known from its first byte on. */
export function chainPointOf(log: UnifiedLog): ChainPoint | null {
  const { baseOffset, chain, sizeInBytes } = log.activeSegment
  return chain === null || chain.sizeInBytes !== sizeInBytes ? null : { baseOffset, chain: chain.copy() }
}

/** Most tails fit: a checkpoint asks thousands of logs, one after the other, and four views for each were a tenth of all that was allocated. */
const tailMemory = {
  offsets: new Uint8Array(indexTailMax * offsetEntryBytes),
  times: new Uint8Array(indexTailMax * timeEntryBytes),
} as const

export class KnownLines {
  #lines = new LineWriter()
  /** The last file. */
  #earlier = new LineWriter()
  readonly #byLog = new Map<UnifiedLog, Line>()
  #turn = 0
  /** What comes next of the last file, not copied yet. */
  #from = 0
  #to = 0

  /** The next file. */
  begin(): void {
    const lines = this.#earlier
    this.#earlier = this.#lines
    this.#lines = lines.clear()
    this.#turn++
    this.#from = 0
    this.#to = 0
  }

  write(logs: Iterable<UnifiedLog>): void {
    for (const log of logs) {
      const line = this.#byLog.get(log)
      if (line?.turn === this.#turn - 1 && line.isStillOf(log)) {
        if (line.from !== this.#to) this.#copy()
        if (this.#from === this.#to) this.#from = line.from
        this.#to = line.to
        const length = line.to - line.from
        line.to = this.#lines.length + this.#to - this.#from
        line.from = line.to - length
        line.turn = this.#turn
        continue
      }
      this.#copy()
      const from = this.#lines.length
      writeLine(this.#lines, log)
      this.#byLog.set(log, new Line(log, { from, to: this.#lines.length, turn: this.#turn }))
    }
  }

  /** The file; valid until the one after the next is begun. */
  seal(): Uint8Array {
    this.#copy()
    for (const [log, { turn }] of this.#byLog) if (turn !== this.#turn) this.#byLog.delete(log)
    return sealLines(this.#lines).bytes()
  }

  #copy(): void {
    if (this.#to > this.#from) this.#lines.copy(this.#earlier, this.#from, this.#to)
    this.#from = 0
    this.#to = 0
  }
}

/** Where a log's line stands, and all that it was made of. */
class Line {
  from: number
  to: number
  turn: number
  readonly #topicId: string
  readonly #recoveryPoint: number
  readonly #recoverySnapshot: Uint8Array
  readonly #recoveryChain: ChainPoint | null
  readonly #filedCrc: string | null
  readonly #hasFiledEpochs: boolean
  readonly #mayHaveGaps: boolean
  readonly #firstBaseOffset: number
  readonly #activeSegment: UnifiedLog['activeSegment']
  readonly #generation: number
  readonly #filedOffsets: number
  readonly #filedTimes: number

  constructor(
    log: UnifiedLog,
    { from, to, turn }: { readonly from: number; readonly to: number; readonly turn: number },
  ) {
    const { index } = log.activeSegment
    this.from = from
    this.to = to
    this.turn = turn
    this.#topicId = log.topicId
    this.#recoveryPoint = log.recoveryPoint
    this.#recoverySnapshot = log.recoverySnapshot
    this.#recoveryChain = log.recoveryChain
    this.#filedCrc = log.epochs.filedCrc
    this.#hasFiledEpochs = log.hasFiledEpochs
    this.#mayHaveGaps = log.mayHaveGaps
    this.#firstBaseOffset = firstBaseOffsetOf(log)
    this.#activeSegment = log.activeSegment
    this.#generation = index.generation
    this.#filedOffsets = index.filedOffsets
    this.#filedTimes = index.filedTimes
  }

  /** Would it be the same? Entries that an index has taken since stand above the recovery point. */
  isStillOf(log: UnifiedLog): boolean {
    const { activeSegment } = log
    const { index } = activeSegment
    return (
      this.#recoveryPoint === log.recoveryPoint &&
      this.#recoverySnapshot === log.recoverySnapshot &&
      this.#recoveryChain === log.recoveryChain &&
      this.#activeSegment === activeSegment &&
      this.#filedOffsets === index.filedOffsets &&
      this.#filedTimes === index.filedTimes &&
      this.#generation === index.generation &&
      this.#firstBaseOffset === firstBaseOffsetOf(log) &&
      this.#filedCrc === log.epochs.filedCrc &&
      this.#hasFiledEpochs === log.hasFiledEpochs &&
      this.#mayHaveGaps === log.mayHaveGaps &&
      this.#topicId === log.topicId
    )
  }
}

function writeLine(lines: LineWriter, log: UnifiedLog): void {
  const { epochs, hasFiledEpochs, mayHaveGaps } = log
  epochs.filedCrc ??= crcOf(formatEpochs(epochs.filedEntries))
  lines.text(log.key).text(' ').text(log.topicId).text(' ').number(log.recoveryPoint).text(' ')
  lines.base64(log.recoverySnapshot).text(' ').text(epochs.filedCrc)
  lines.text(hasFiledEpochs ? ' 1' : ' 0').text(mayHaveGaps ? ' 1 ' : ' 0 ')
  writeChain(lines, log.recoveryChain)
  lines.text(' ').number(firstBaseOffsetOf(log))
  writeIndexTail(lines, log)
  lines.text('\n')
}

function firstBaseOffsetOf(log: UnifiedLog): number {
  return log.segments[0]?.baseOffset ?? 0
}

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

/** What `KnownLines` has written, by `topic-partition`; null when the file is missing or torn. */
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

/** `-` when it is not known. */
function parseChain(text: string): ChainPoint | null {
  const [base, ...rest] = text.split(':')
  const chain = HeaderChain.fromText(rest.join(':'))
  return chain === null ? null : { baseOffset: Number(base), chain }
}
