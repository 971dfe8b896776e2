import type { LogReadResult } from '../../log/append.ts'

/** Why a read has no records. */
export type GapCause = 'retention' | 'damage' | 'unreadable'

/** Records that nobody can be given, from where was read up to here. */
export interface LogGap {
  readonly toOffset: number
  readonly cause: GapCause
}

/** How events say it. */
export const gapReasons: Readonly<Record<GapCause, string>> = {
  retention: 'retention was faster',
  damage: 'the log is damaged',
  unreadable: 'the log could not be read',
}

/**
 * The batches of a read from `fromOffset` on, which is below `endOffset`; or what is missing instead. Whoever reads goes on behind that, at least
 * one offset further; what is at `endOffset` and above is left for later.
 */
export function batchesOf(
  read: LogReadResult,
  partition: { readonly log: { readonly logStartOffset: number } },
  { fromOffset, endOffset }: { readonly fromOffset: number; readonly endOffset: number },
): Uint8Array | LogGap {
  const next = fromOffset + 1
  if (read.kind === 'outOfRange') {
    return { toOffset: Math.max(partition.log.logStartOffset, next), cause: 'retention' }
  }
  if (read.kind === 'damaged') {
    return { toOffset: Math.max(next, Math.min(read.nextOffset, endOffset)), cause: 'damage' }
  }
  return read.bytes.length > 0 ? read.bytes : { toOffset: Math.max(endOffset, next), cause: 'unreadable' }
}
