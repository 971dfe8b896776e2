/** What the folder of a log holds, by file name. */
import type { DirectoryEntry, DiskOperation } from '../base/ports.ts'
import { segmentName } from './segment.ts'

export interface LogFiles {
  /** Base offsets of the `.log` files, rising. */
  readonly segments: readonly number[]
  /** Offsets of the `.snapshot` files, rising. */
  readonly snapshots: readonly number[]
  /** Names of what an earlier life was about to remove. */
  readonly leftovers: readonly string[]
}

/** Base offsets of the segments that a deletion under way has renamed. */
export function deletedSegments(names: readonly string[]): readonly number[] {
  return names.flatMap((name) => /^(\d{20})\.log\.deleted$/.exec(name)?.[1] ?? []).map(Number)
}

/** Sorts the entries of a log's folder; what is not known is left alone. */
export function sortLogFiles(entries: readonly DirectoryEntry[]): LogFiles {
  const segments: number[] = []
  const snapshots: number[] = []
  const leftovers: string[] = []
  for (const { name, isDirectory } of entries) {
    if (isDirectory) continue
    const match = /^(\d{20})\.(log|snapshot)$/.exec(name)
    const offset = Number(match?.[1])
    if (match !== null && Number.isSafeInteger(offset)) (match[2] === 'log' ? segments : snapshots).push(offset)
    else if (/\.(deleted|tmp|cleaned)$/.test(name)) leftovers.push(name)
  }
  const rising = (a: number, b: number): number => a - b
  return { segments: segments.sort(rising), snapshots: snapshots.sort(rising), leftovers }
}

/**
 * Base offsets of segments whose `.log` is gone although an index of theirs is there. Retention leaves none: it takes the indexes with
 * the log, which it renames first.
 */
export function lostSegments(names: readonly string[], segments: readonly number[]): readonly number[] {
  const bases = names.map((name) => /^(\d{20})\.(?:index|timeindex)$/.exec(name)?.[1])
  const lost = bases.filter((base) => base !== undefined && !names.includes(`${base}.log.deleted`)).map(Number)
  return [...new Set(lost)].filter((base) => !segments.includes(base))
}

/** Removes the index files of segments with these base offsets. */
export function indexRemovals(directory: string, baseOffsets: readonly number[]): readonly DiskOperation[] {
  return baseOffsets.flatMap((base) =>
    ['index', 'timeindex', 'txnindex'].map((kind): DiskOperation => {
      return { kind: 'unlink', path: `${directory}/${segmentName(base)}.${kind}` }
    }),
  )
}

/** Topic and partition of a log's folder name, or null. `a-00` is none: there may be an `a-0` beside it. */
export function parseLogName(name: string): { readonly topic: string; readonly partition: number } | null {
  const match = /^([a-zA-Z0-9._-]{1,249})-(0|[1-9]\d{0,8})$/.exec(name)
  if (match === null) return null
  return { topic: match[1] as string, partition: Number(match[2]) }
}

/** The folder of a log that is being deleted: Kafka's `<name>.<32 hex>-delete`, cut to the 255 bytes that a name may have. */
export function deletedLogName(name: string, random: Uint8Array): string {
  const suffix = `.${Buffer.from(random).toString('hex').slice(0, 32)}-delete`
  return `${name.slice(0, 255 - suffix.length)}${suffix}`
}

export function isDeletedLogName(name: string): boolean {
  return /\.[0-9a-f]{32}-delete$/.test(name)
}

/** Does Apache Kafka take a folder of its log.dirs for one of its own? Any other stops its start. */
export function isLogNameOfKafka(name: string): boolean {
  return (
    parseLogName(name) !== null ||
    /^\S+-\d+\.\S+-(delete|future|stray)$/.test(name) ||
    name === 'remote-log-index-cache'
  )
}
