/** What a mirror task hears and what it asks for: its events, effects and reports. Values only. */
import type { MirrorAnchor } from './anchor.ts'
import type { RefusalAction } from './produce-errors.ts'
import type { ResumePoint } from './resume.ts'

export type TaskState =
  | 'waiting'
  | 'preparing'
  | 'anchoring'
  | 'resolving'
  | 'streaming'
  | 'draining'
  | 'backingOff'
  | 'parked'

/** One batch, ready but for the producer fields and the CRC, that goes into one request. */
export interface SendUnit {
  readonly batch: Uint8Array
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
}

/** What was cut from one read of the source, in order. */
export type ChunkItem =
  | { readonly kind: 'unit'; readonly unit: SendUnit }
  | { readonly kind: 'skip'; readonly endOffset: number }
  /**
   * `tooLarge`: a single record that the target does not take. `held`: one that is not sent with the time that it has. Not now, or
   * (`isForever`) not until somebody does something about it.
   */
  | { readonly kind: 'tooLarge' | 'held'; readonly heldBecause: string; readonly isForever: boolean }

export type TaskEvent =
  | { readonly kind: 'targetReady'; readonly topicId: string; readonly batchBytesMax: number | null }
  /** There is no way to the target topic, and the target says why. */
  | { readonly kind: 'targetRefused'; readonly reason: string }
  /** The connection or the route is gone; whatever was under way has no answer. */
  | { readonly kind: 'targetGone' }
  | { readonly kind: 'prepared'; readonly producerId: number | null; readonly targetEndOffset: number }
  | { readonly kind: 'anchorDurable'; readonly nowMs: number }
  | { readonly kind: 'anchorFailed'; readonly reason: string }
  | { readonly kind: 'resolved'; readonly resume: ResumePoint; readonly nowMs: number }
  /** Preparing or resolving did not work. */
  | { readonly kind: 'failed'; readonly action: RefusalAction; readonly reason: string }
  | { readonly kind: 'sourceAdvanced'; readonly startOffset: number; readonly endOffset: number }
  | { readonly kind: 'chunk'; readonly ticket: number; readonly items: readonly ChunkItem[]; readonly nowMs: number }
  | { readonly kind: 'outOfRange'; readonly ticket: number; readonly startOffset: number }
  /** The source could not be read or decoded. */
  | { readonly kind: 'unreadable'; readonly ticket: number; readonly reason: string }
  | {
      readonly kind: 'acknowledged'
      readonly unit: SendUnit
      readonly targetBaseOffset: number
      readonly nowMs: number
    }
  | { readonly kind: 'refused'; readonly unit: SendUnit; readonly action: RefusalAction; readonly reason: string }
  | { readonly kind: 'timer' }

/** What happened that an operator should hear of. */
export type TaskReport =
  | { readonly kind: 'anchored'; readonly anchor: MirrorAnchor; readonly why: AnchorReason }
  | { readonly kind: 'resumed'; readonly resume: ResumePoint; readonly confirmedEnd: number }
  | { readonly kind: 'targetRecreated'; readonly oldTopicId: string; readonly newTopicId: string }
  | { readonly kind: 'recordsLost'; readonly fromOffset: number; readonly endOffset: number }
  /** The target holds offsets that we do not; sending begins anew at `startAt`, where its records and ours part. */
  | {
      readonly kind: 'sourceBehind'
      readonly sourceEndOffset: number
      readonly targetOffset: number
      readonly startAt: number
    }
  | { readonly kind: 'targetTruncated'; readonly expectedOffset: number; readonly targetOffset: number }

export type AnchorReason = 'first' | 'gap' | 'span' | 'recreated' | 'newProducer' | 'sourceBehind'

export type TaskEffect =
  /** Get the end of the target partition and, when asked, a producer id; answer `prepared` or `failed`. */
  | { readonly kind: 'prepare'; readonly needsProducerId: boolean }
  /** Make it durable; answer `anchorDurable` or `failed`. */
  | { readonly kind: 'writeAnchor'; readonly anchor: MirrorAnchor }
  /** Answer `resolved` or `failed`. */
  | { readonly kind: 'resolve'; readonly anchor: MirrorAnchor; readonly sourceEndOffset: number }
  /** There is something to read and send: ask `readRequest` when there is room. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'send'; readonly unit: SendUnit; readonly anchor: MirrorAnchor }
  /** The unit is not sent (it will be read again). */
  | { readonly kind: 'discard'; readonly unit: SendUnit }
  /** Call with `timer` later: the back-off grows with `attempt` (1 ...). */
  | { readonly kind: 'wait'; readonly why: 'backOff' | 'parked'; readonly attempt: number }
  | { readonly kind: 'refreshMetadata' }
  | { readonly kind: 'report'; readonly report: TaskReport }

export interface ReadRequest {
  /** Hand it back with the chunk: a chunk of an older turn is discarded. */
  readonly ticket: number
  readonly fromOffset: number
  /** Exclusive. */
  readonly endOffset: number
}
