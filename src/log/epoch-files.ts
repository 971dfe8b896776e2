/** `leader-epoch-checkpoint`, of one log or of many at once. */
import type { DiskOperation } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { formatEpochs } from './checkpoint-file.ts'
import type { Writes } from './index-files.ts'
import type { UnifiedLog } from './unified-log.ts'

/** How `leader-epoch-checkpoint` of a log is replaced, step by step. */
export interface EpochFile {
  readonly log: UnifiedLog
  readonly write: DiskOperation
  readonly sync: Extract<DiskOperation, { readonly kind: 'sync' }>
  readonly rename: DiskOperation
}

/** The epochs count as filed from now on. */
export function takeEpochs(log: UnifiedLog): EpochFile {
  log.epochs.filed()
  const path = `${log.directory}/leader-epoch-checkpoint`
  const [write, sync, rename] = replaceFile(path, formatEpochs(log.epochs.entries))
  return { log, write, sync, rename }
}

export function epochWrites(log: UnifiedLog): Writes {
  if (!log.epochs.isDirty) return { operations: [], done() {} }
  const { write, sync, rename } = takeEpochs(log)
  return { operations: [write, sync, rename], done() {} }
}
