/** Reads the log a piece at a time: the way of all who are not served record by record as it comes. */
import { copyBytes } from '../../base/bytes.ts'
import type { Clock, Compute } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { batchLastOffset, batchSizeInBytes } from '../../protocol/records/record-batch.ts'
import { withRecordBytes } from '../../protocol/records/record.ts'
import { batchesOf, type LogGap } from './log-gap.ts'
import { isCompressed, LogPiece, type PieceRange } from './log-piece.ts'

export interface PieceReadingOptions {
  readonly broker: Broker
  readonly clock: Clock
  readonly compute: Compute
  readonly readBytes: number
  readonly decompressedBytesMax: number
}

/** Bytes of a read that have not become a piece. */
export interface PieceRest {
  readonly bytes: Uint8Array
  readonly at: number
  /** All below was before it in the same read. */
  readonly fromOffset: number
}

/** Whoever gets it gives the piece back. */
export interface LoadedPiece {
  readonly piece: LogPiece
  readonly rest: PieceRest | null
}

/** The piece at an offset, out of the rest of the read before or of a new one; or what is missing there. Rejects with a DiskError. */
export async function loadPiece(
  partition: Partition,
  range: PieceRange,
  rest: Pick<PieceRest, 'bytes' | 'at'> | null,
  options: PieceReadingOptions & { readonly onRead?: (bytes: number) => void },
): Promise<LoadedPiece | LogGap> {
  let part = rest
  if (part === null) {
    const { broker, readBytes } = options
    const { fromOffset, liveOffset } = range
    const read =
      broker.readTail(partition, fromOffset, readBytes) ?? (await broker.readTailCold(partition, fromOffset, readBytes))
    const bytes = batchesOf(read, partition, { fromOffset, endOffset: liveOffset })
    if (!(bytes instanceof Uint8Array)) return bytes
    options.onRead?.(bytes.length)
    part = { bytes, at: 0 }
  }
  const { bytes, at } = part
  if (!isCompressed(bytes, at)) {
    const [piece, end] = LogPiece.of(bytes, at, range)
    return { piece, rest: restOf(piece, bytes, end) }
  }
  const piece = await unpackPiece(bytes, at, range, options)
  if (piece === null) return { toOffset: batchLastOffset(bytes, at) + 1, cause: 'unreadable' }
  return { piece, rest: restOf(piece, bytes, at + batchSizeInBytes(bytes, at)) }
}

function restOf({ batchesEndOffset }: LogPiece, bytes: Uint8Array, at: number): PieceRest | null {
  return at < bytes.length ? { bytes, at, fromOffset: batchesEndOffset } : null
}

/** What is left of a read from an offset on; null where that must be read again. */
export function restFrom(rest: PieceRest | null, fromOffset: number): Pick<PieceRest, 'bytes' | 'at'> | null {
  if (rest === null || fromOffset < rest.fromOffset) return null
  let { at } = rest
  while (at < rest.bytes.length && batchLastOffset(rest.bytes, at) < fromOffset) at += batchSizeInBytes(rest.bytes, at)
  return at < rest.bytes.length ? { bytes: rest.bytes, at } : null
}

/**
 * The compressed batch at `at` as a piece, which counts against what may be unpacked at a time until it is given back; null when it cannot be
 * unpacked.
 */
export function unpackPiece(
  bytes: Uint8Array,
  at: number,
  range: PieceRange,
  { clock, compute, decompressedBytesMax }: Pick<PieceReadingOptions, 'clock' | 'compute' | 'decompressedBytesMax'>,
): Promise<LogPiece | null> {
  const batch = copyBytes(bytes, at, at + batchSizeInBytes(bytes, at))
  return new Promise((resolve) => {
    const use = (records: Uint8Array): Promise<void> =>
      new Promise((settle) => {
        // Messages are views of the records until the turn ends in which they were given.
        const letGo = (): void => clock.defer(settle)
        resolve(LogPiece.unpacked(batch, records, range, letGo))
      })
    withRecordBytes(batch, compute, decompressedBytesMax, use).catch(() => resolve(null))
  })
}
