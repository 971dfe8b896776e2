/**
 * Puts a cleaned file in the place of the segments it was made from, as Apache Kafka does it, so that either program finishes what
 * the other was killed in:
 *
 * - `.cleaned`: being written; a start removes it
 * - `.swap`: whole and durable; a start removes the segments that it covers and takes its suffix away
 */
import type { DirectoryEntry, Disk, DiskOperation } from '../../base/ports.ts'
import { segmentName, Segment } from '../segment.ts'
import { headersOf, scanSegment } from '../segment-scan.ts'
import { cleanedSuffix } from './cleaned-file.ts'

const swapSuffix = '.swap'

/** The operations of one group. Behind the first sync of the directory the swap counts as done; the rest tidies up. */
export function swapOperations(sources: readonly Segment[], cleaned: Segment): readonly DiskOperation[] {
  const { directory } = cleaned
  const places = [cleaned.indexPath, cleaned.timeIndexPath, cleaned.logPath]
  const covered = sources.filter((source) => source.baseOffset !== cleaned.baseOffset)
  return [
    // The log last: without it the others are hints for nothing.
    ...places.map((path) => rename(`${path}${cleanedSuffix}`, `${path}${swapSuffix}`)),
    { kind: 'syncDirectory', path: directory },
    ...covered.flatMap((source) => removal(directory, source.baseOffset)),
    // The suffix tells a start what to remove: it must not be gone before that is.
    { kind: 'syncDirectory', path: directory },
    ...places.map((path) => rename(`${path}${swapSuffix}`, path)),
    { kind: 'syncDirectory', path: directory },
  ]
}

function rename(from: string, to: string): DiskOperation {
  return { kind: 'rename', from, to }
}

function removal(directory: string, baseOffset: number): readonly DiskOperation[] {
  const name = `${directory}/${segmentName(baseOffset)}`
  return ['log', 'index', 'timeindex', 'snapshot'].map((kind) => ({ kind: 'unlink', path: `${name}.${kind}` }))
}

/** Finishes the swaps that the last run has left in the folder of a log; answers what is in the folder then. */
export async function finishSwaps(
  disk: Disk,
  directory: string,
  entries: readonly DirectoryEntry[],
): Promise<readonly DirectoryEntry[]> {
  const swaps = entries.filter((entry) => !entry.isDirectory && entry.name.endsWith(swapSuffix))
  if (swaps.length === 0) return entries
  const sync: DiskOperation = { kind: 'syncDirectory', path: directory }
  // Whoever was killed in it may have given a name that the medium has not heard of: what it covers must not be gone before it is there.
  const operations: DiskOperation[] = [sync]
  const names = new Set(swaps.map((entry) => entry.name))
  const bases = swaps.map((entry) => /^(\d{20})\.log\.swap$/.exec(entry.name)?.[1]).filter((base) => base !== undefined)
  for (const base of bases) {
    const end = await endOf(disk, directory, Number(base))
    for (const { name } of entries) {
      const other = /^(\d{20})\.log$/.exec(name)?.[1]
      if (other !== undefined && Number(other) > Number(base) && Number(other) < end)
        operations.push(...removal(directory, Number(other)))
    }
    // An index whose rename the medium has forgotten leaves that of the log before in its place.
    const forgotten = [`${base}.index`, `${base}.timeindex`].filter((index) => !names.has(`${index}${swapSuffix}`))
    for (const index of forgotten) operations.push({ kind: 'unlink', path: `${directory}/${index}` })
  }
  const isOfSwap = (name: string): boolean => bases.some((base) => name.startsWith(base))
  const placeOf = (name: string): string => `${directory}/${name.slice(0, -swapSuffix.length)}`
  // The log of an index left alone may have its name already, and then the index that has its own is that of the log before: it would
  // be believed. Both go, the suffix last, because it tells of the other.
  for (const { name } of swaps) if (!isOfSwap(name)) operations.push({ kind: 'unlink', path: placeOf(name) })
  operations.push(sync)
  for (const { name } of swaps) {
    const path = `${directory}/${name}`
    operations.push(isOfSwap(name) ? rename(path, placeOf(name)) : { kind: 'unlink', path })
  }
  await disk.submit([...operations, sync])
  return disk.list(directory)
}

/** Exclusive end of the offsets in a `.swap` file, which was synced before it got this name. */
async function endOf(disk: Disk, directory: string, baseOffset: number): Promise<number> {
  const place = new Segment(directory, baseOffset, 0)
  const path = `${place.logPath}${swapSuffix}`
  const end = await scanSegment({ ...headersOf(place), disk, path, to: (await disk.size(path)) ?? 0, visit() {} })
  return end.nextOffset
}
