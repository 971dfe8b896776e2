/** `partition.metadata`: which topic the log of a directory belongs to. */
import { ApplianceError } from '../base/errors.ts'
import { zeroUuid } from '../base/ids.ts'
import type { DiskOperation } from '../base/ports.ts'
import { replaceFile } from '../base/replace-file.ts'
import { formatPartitionMetadata, isDamagedTopicId } from './checkpoint-file.ts'
import { logErrors } from './log-errors.ts'
import type { UnifiedLog } from './unified-log.ts'

/** How `partition.metadata` is written, and made durable behind it; the folder is synced with it. */
export function topicIdFile(
  directory: string,
  topicId: string,
): { readonly write: DiskOperation; readonly syncs: readonly DiskOperation[] } {
  const path = `${directory}/partition.metadata`
  return {
    write: { kind: 'writeFile', path, bytes: formatPartitionMetadata(topicId) },
    syncs: [
      { kind: 'sync', path },
      { kind: 'syncDirectory', path: directory },
    ],
  }
}

/** All of it. */
export function topicIdWrites(directory: string, topicId: string): readonly DiskOperation[] {
  const { write, syncs } = topicIdFile(directory, topicId)
  return [write, ...syncs]
}

/**
 * Makes a `partition.metadata` durable that is found with this topic id. Where a sync has failed another one may do nothing: then it is
 * written again, beside the one that is there.
 */
export function topicIdSyncs(directory: string, topicId: string, hadFailedSync: boolean): readonly DiskOperation[] {
  const path = `${directory}/partition.metadata`
  if (!hadFailedSync) return [{ kind: 'sync', path }]
  return [...replaceFile(path, formatPartitionMetadata(topicId)), { kind: 'syncDirectory', path: directory }]
}

/**
 * A log that is there already becomes the one of this topic id: answers what must be written for it, nothing when it is. Throws
 * TOPIC_ID_DIFFERS for the log of another topic.
 */
export function adoptTopicId(log: UnifiedLog, topicId: string): readonly DiskOperation[] {
  if (log.topicId === topicId) return []
  const isUnknown = log.topicId === zeroUuid || isDamagedTopicId(log.topicId, topicId)
  if (!isUnknown || topicId === zeroUuid) {
    throw new ApplianceError(logErrors.topicIdDiffers, { log: log.key, found: log.topicId, expected: topicId })
  }
  log.adoptTopicId(topicId)
  return topicIdWrites(log.directory, topicId)
}
