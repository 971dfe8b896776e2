import type { SessionBounds } from '../../../src/ingest/mqtt/session-types.ts'

/** Small bounds that nobody is told of. */
export function sessionBounds(): SessionBounds {
  return {
    queuedMessagesMax: 10,
    queuedBytesMax: 10_000,
    queuedBytesTotalMax: 10_000,
    finishedIdsMax: 8192,
    queuedBytesTotal: 0,
    held: { queued: 0, inflight: 0 },
    onDrop: () => {},
    onRoom: () => {},
    onProgress: () => {},
    recordOutgoing: () => true,
  }
}
