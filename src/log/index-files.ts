/** Writing the index entries of a segment to its files. */
import type { DiskOperation } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import type { IndexCache } from './index-cache.ts'
import type { Segment } from './segment.ts'
import { offsetEntryBytes, timeEntryBytes } from './segment-index.ts'

/** Operations, and what their completion changes in the books. */
export interface Writes {
  readonly operations: readonly DiskOperation[]
  /** To be called when the operations have completed. */
  done(): void
}

/** Moves the index entries in memory to the files. Submit at once: the entries count as filed from now on for further calls. */
export function indexWrites(segment: Segment, indexes: Pick<IndexCache, 'forget'>): Writes {
  const { index, indexPath, timeIndexPath } = segment
  if (!index.hasUnfiled) return { operations: [], done() {} }
  const { offsets, times } = index.encodeUnfiled()
  const operations = [
    ...fileEntries(indexPath, index.filedOffsets * offsetEntryBytes, offsets, index.filesDiffer),
    ...fileEntries(timeIndexPath, index.filedTimes * timeEntryBytes, times, index.filesDiffer),
  ]
  return { operations, done: filing(segment, indexes) }
}

/**
 * The same for an index that was built anew because its files were wrong: they stay until whole ones take their place. A half-written time
 * index would be believed by the next start. The index comes last: where it is the new one, so is the time index.
 */
export function indexReplacement(segment: Segment, indexes: Pick<IndexCache, 'forget'>): Writes {
  const { index, indexPath, timeIndexPath, directory } = segment
  const { offsets, times } = index.encodeUnfiled()
  const operations: readonly DiskOperation[] = [
    ...replaceFile(timeIndexPath, times),
    { kind: 'syncDirectory', path: directory },
    ...replaceFile(indexPath, offsets),
  ]
  return { operations, done: filing(segment, indexes) }
}

/** What is in memory now counts as filed when it is called. */
function filing({ index, indexPath }: Segment, indexes: Pick<IndexCache, 'forget'>): () => void {
  const { generation, offsetEntries, timeEntries } = index
  return () => {
    index.markFiled(generation, offsetEntries, timeEntries)
    indexes.forget(indexPath)
  }
}

function fileEntries(path: string, position: number, bytes: Uint8Array, cut: boolean): readonly DiskOperation[] {
  if (position === 0 && cut) return [{ kind: 'writeFile', path, bytes }]
  const write: DiskOperation = { kind: 'write', path, position, chunks: [bytes] }
  const truncate: DiskOperation = { kind: 'truncate', path, size: position }
  return [...(cut ? [truncate] : []), ...(bytes.length > 0 ? [write] : [])]
}
