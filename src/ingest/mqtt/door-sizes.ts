import type { SessionBounds } from './session-types.ts'

/** How much there is of everything now. */
export interface DoorSizes {
  readonly connections: number
  readonly sessions: number
  readonly subscriptions: number
  readonly replays: number
  readonly retainedMessages: number
  readonly retainedBytes: number
  readonly queuedBytes: number
  readonly sharedSubscriptions: number
  /** Messages queued in all sessions, and in flight. */
  readonly queuedMessages: number
  readonly inflightMessages: number
}

/** The sizes of the door's parts. */
export function sizesOf(parts: {
  readonly connections: { readonly size: number }
  readonly sessions: { readonly size: number }
  readonly subscriptions: { readonly size: number; readonly sharedCount: number }
  readonly replays: { readonly size: number }
  readonly retained: { readonly size: number; readonly usedBytes: number }
  readonly bounds: SessionBounds
}): DoorSizes {
  const { bounds, retained, subscriptions } = parts
  return {
    connections: parts.connections.size,
    sessions: parts.sessions.size,
    subscriptions: subscriptions.size,
    sharedSubscriptions: subscriptions.sharedCount,
    replays: parts.replays.size,
    retainedMessages: retained.size,
    retainedBytes: retained.usedBytes,
    queuedBytes: bounds.queuedBytesTotal,
    queuedMessages: bounds.held.queued,
    inflightMessages: bounds.held.inflight,
  }
}
