/**
 * The mirror of one partition: a pure core. `step(event)` answers effects; the driver (`mirror-link.ts`) runs them in order and
 * feeds what came of them back. It holds a handful of numbers, however long the link is down.
 *
 * ```text
 * waiting --target ready--> preparing -> anchoring -> streaming      (no anchor, or a new one is due)
 *                       \-> resolving --------------> streaming      (an anchor: the target says how far it got)
 * streaming --refused--> draining (all answers in) -> resolving | backingOff | parked | preparing
 * ```
 *
 * Why a batch cannot be lost or doubled: under one anchor the sequence numbers are contiguous, so the target itself refuses what is
 * not the next. A new anchor begins only at an offset below which everything is confirmed and above which nothing was ever sent
 * under the old one; whatever of the old one is still on its way is then behind the target's sequence.
 */
import { assert } from '../base/assert.ts'
import { zeroUuid } from '../base/ids.ts'
import { anchorSpanMax, type MirrorAnchor } from './anchor.ts'
import type { RefusalAction } from './produce-errors.ts'
import type { ResumePoint } from './resume.ts'
import { StreamPosition } from './stream-position.ts'
import type {
  AnchorReason,
  ChunkItem,
  ReadRequest,
  SendUnit,
  TaskEffect,
  TaskEvent,
  TaskReport,
  TaskState,
} from './task-events.ts'

export interface MirrorTaskOptions {
  readonly targetTopic: string
  readonly startFrom: 'earliest' | 'latest'
  /** The anchor that was found at the start; null = never mirrored. */
  readonly anchor: MirrorAnchor | null
  readonly batchBytesMax: number
  /** After a silence of this long the target is asked for our place before anything is sent. */
  readonly idleMs: number
  /** Offsets that one anchor is used for; default `anchorSpanMax`. */
  readonly anchorSpan?: number
}

/** Answers without progress before a producer that the target will not follow is given up. */
const attemptsBeforeNewProducer = 5
const producerEpochMax = 0x7fff
/** No batch limit below this: a target that refuses it refuses everything. */
const batchBytesMin = 1024

interface PendingAnchor {
  readonly why: AnchorReason
  /** Source offset of sequence 0; null = where the policy says. */
  readonly startAt: number | null
}

export class MirrorTask {
  readonly #options: MirrorTaskOptions
  #state: TaskState = 'waiting'
  #reason: string | null = null
  #anchor: MirrorAnchor | null
  #pendingAnchor: PendingAnchor | null = null
  /** Being made durable; whatever happens meanwhile, nothing begins before its outcome is known. */
  #writing: MirrorAnchor | null = null
  /** An anchor that may have become durable although its write failed: it is written again, never stepped back from. */
  #mustAnchor: PendingAnchor | null = null
  #targetTopicId: string | null = null
  #batchBytesMax: number
  #sourceStart = 0
  #sourceEnd = 0
  readonly #position: StreamPosition
  /** Up to here lost records have been reported. */
  #lostEnd = 0
  #refusal: { readonly action: RefusalAction; readonly reason: string; readonly unit: SendUnit } | null = null
  #ticket = 0
  #isReading = false
  #mustResolve: boolean
  #mustLeaveProducer = false
  #lastResume: ResumePoint | null = null
  #attempt = 0
  #lastAnswerMs = 0

  constructor(options: MirrorTaskOptions) {
    this.#options = options
    this.#anchor = options.anchor
    this.#batchBytesMax = options.batchBytesMax
    this.#position = new StreamPosition(options.anchor?.confirmedEnd ?? 0)
    this.#mustResolve = options.anchor !== null
  }

  get state(): TaskState {
    return this.#state
  }

  /** Why it does not stream, in words; null when it does. */
  get reason(): string | null {
    return this.#state === 'streaming' ? null : this.#reason
  }

  get anchor(): MirrorAnchor | null {
    return this.#anchor
  }

  /** First source offset that the target has not confirmed. */
  get confirmedEnd(): number {
    if (this.#anchor !== null) return this.#position.confirmedEnd
    return this.#options.startFrom === 'earliest' ? this.#sourceStart : this.#sourceEnd
  }

  get batchBytesMax(): number {
    return this.#batchBytesMax
  }

  step(event: TaskEvent): readonly TaskEffect[] {
    const effects: TaskEffect[] = []
    switch (event.kind) {
      case 'targetReady':
        this.#onTargetReady(event.topicId, event.batchBytesMax, effects)
        break
      case 'targetRefused':
        if (this.#state === 'waiting' && this.#writing === null) this.#act('park', event.reason, effects)
        break
      case 'targetGone':
        this.#onTargetGone()
        break
      case 'prepared':
        this.#onPrepared(event.producerId, event.targetEndOffset, effects)
        break
      case 'anchorDurable':
        this.#onAnchorDurable(event.nowMs, effects)
        break
      case 'resolved':
        this.#onResolved(event.resume, event.nowMs, effects)
        break
      case 'failed':
        if (this.#state === 'preparing' || this.#state === 'resolving') this.#act(event.action, event.reason, effects)
        break
      case 'anchorFailed':
        this.#onAnchorFailed(event.reason, effects)
        break
      case 'sourceAdvanced':
        this.#sourceStart = event.startOffset
        this.#sourceEnd = event.endOffset
        this.#wantMore(effects)
        break
      case 'chunk':
        this.#onChunk(event, effects)
        break
      case 'outOfRange':
        if (this.#isCurrentRead(event.ticket)) this.#onOutOfRange(event.startOffset, effects)
        break
      case 'unreadable':
        if (this.#isCurrentRead(event.ticket)) this.#drain('park', event.reason, effects)
        break
      case 'acknowledged':
        this.#onAcknowledged(event, effects)
        break
      case 'refused':
        this.#onRefused(event, effects)
        break
      case 'timer':
        if (this.#state === 'backingOff' || this.#state === 'parked') this.#begin(effects)
        break
    }
    return effects
  }

  /** What to read next, or null when nothing may be read now. Exactly one read is under way at a time. */
  readRequest(): ReadRequest | null {
    if (!this.#mayRead()) return null
    this.#isReading = true
    return { ticket: this.#ticket, fromOffset: this.#position.readOffset, endOffset: this.#sourceEnd }
  }

  // ------------------------------------------------------------------------------------------ to the stream

  #onTargetReady(topicId: string, batchBytesMax: number | null, effects: TaskEffect[]): void {
    const before = this.#targetTopicId
    this.#targetTopicId = topicId
    if (batchBytesMax !== null) this.#batchBytesMax = Math.min(this.#options.batchBytesMax, batchBytesMax)
    if (this.#state === 'waiting') this.#begin(effects)
    else if (before !== null && before !== topicId && (this.#state === 'streaming' || this.#state === 'draining')) {
      this.#drain('resolve', 'the target topic was created anew', effects)
    }
  }

  #onTargetGone(): void {
    this.#targetTopicId = null
    this.#turn()
    // Even with nothing under way: what an earlier connection had sent can arrive after we last asked, and the target can forget
    // the producer, and with it the order it would refuse us by, before we are back.
    this.#mustResolve = this.#anchor !== null
    this.#position.drop()
    this.#refusal = null
    this.#state = 'waiting'
  }

  /** The link and the topic are there: which of the three ways leads to the stream? */
  #begin(effects: TaskEffect[]): void {
    assert(this.#position.isIdle, 'a task begins with nothing under way')
    const topicId = this.#targetTopicId
    if (topicId === null || this.#writing !== null) {
      this.#state = 'waiting'
      if (topicId === null) effects.push({ kind: 'refreshMetadata' })
      return
    }
    const anchor = this.#anchor
    if (anchor === null) {
      this.#prepareAnchor(this.#mustAnchor ?? { why: 'first', startAt: null }, effects)
    } else if (anchor.targetTopic !== this.#options.targetTopic || !isSameTopic(anchor.targetTopicId, topicId)) {
      const report: TaskReport = { kind: 'targetRecreated', oldTopicId: anchor.targetTopicId, newTopicId: topicId }
      effects.push({ kind: 'report', report })
      this.#prepareAnchor({ why: 'recreated', startAt: null }, effects)
    } else if (this.#mustAnchor !== null) {
      this.#prepareAnchor(this.#mustAnchor, effects)
    } else if (this.#mustResolve) {
      this.#state = 'resolving'
      effects.push({ kind: 'resolve', anchor, sourceEndOffset: this.#sourceEnd })
    } else {
      this.#stream(effects)
    }
  }

  #prepareAnchor(pending: PendingAnchor, effects: TaskEffect[]): void {
    this.#turn()
    this.#pendingAnchor = pending
    this.#state = 'preparing'
    const anchor = this.#anchor
    // An epoch more is enough for a gap. A producer that someone else has taken, or that the target will not follow, is left.
    const keepsProducer = anchor !== null && pending.why !== 'newProducer' && anchor.producerEpoch < producerEpochMax
    effects.push({ kind: 'prepare', needsProducerId: !keepsProducer })
  }

  #onPrepared(producerId: number | null, targetEndOffset: number, effects: TaskEffect[]): void {
    const pending = this.#pendingAnchor
    const topicId = this.#targetTopicId
    if (this.#state !== 'preparing' || pending === null || topicId === null) return
    const policyStart = this.#options.startFrom === 'earliest' ? this.#sourceStart : this.#sourceEnd
    const sourceOffset = pending.startAt ?? policyStart
    const previous = this.#anchor
    const anchor: MirrorAnchor = {
      producerId: producerId ?? previous?.producerId ?? -1,
      producerEpoch: producerId === null && previous !== null ? previous.producerEpoch + 1 : 0,
      sourceOffset,
      targetTopic: this.#options.targetTopic,
      targetTopicId: topicId,
      targetEndOffset,
      confirmedEnd: sourceOffset,
    }
    assert(anchor.producerId >= 0, 'an anchor has a producer id')
    this.#writing = anchor
    this.#mustAnchor = { why: pending.why, startAt: sourceOffset }
    this.#state = 'anchoring'
    effects.push({ kind: 'writeAnchor', anchor })
  }

  #onAnchorDurable(nowMs: number, effects: TaskEffect[]): void {
    const anchor = this.#writing
    assert(anchor !== null, 'an anchor was being written')
    effects.push({ kind: 'report', report: { kind: 'anchored', anchor, why: this.#mustAnchor?.why ?? 'first' } })
    this.#anchor = anchor
    this.#writing = this.#pendingAnchor = this.#mustAnchor = null
    this.#mustResolve = this.#mustLeaveProducer = false
    this.#lastAnswerMs = nowMs
    this.#position.goOnFrom(anchor.sourceOffset, anchor.targetEndOffset)
    this.#begin(effects)
  }

  #onAnchorFailed(reason: string, effects: TaskEffect[]): void {
    this.#writing = null
    if (this.#state === 'anchoring') this.#act('retry', reason, effects)
    else if (this.#state === 'waiting') this.#begin(effects)
  }

  #onResolved(resume: ResumePoint, nowMs: number, effects: TaskEffect[]): void {
    if (this.#state !== 'resolving') return
    effects.push({ kind: 'report', report: { kind: 'resumed', resume, confirmedEnd: this.#position.confirmedEnd } })
    this.#lastResume = resume
    if (resume.offset > this.#sourceEnd) {
      const startAt = Math.min(resume.commonEnd ?? this.#sourceEnd, this.#sourceEnd)
      const { offset: targetOffset } = resume
      effects.push({
        kind: 'report',
        report: { kind: 'sourceBehind', sourceEndOffset: this.#sourceEnd, targetOffset, startAt },
      })
      this.#position.confirmedEnd = startAt
      this.#prepareAnchor({ why: 'sourceBehind', startAt }, effects)
      return
    }
    if (resume.needsNewProducer || this.#mustLeaveProducer) {
      this.#position.confirmedEnd = resume.offset
      this.#prepareAnchor({ why: 'newProducer', startAt: resume.offset }, effects)
      return
    }
    this.#mustResolve = false
    this.#lastAnswerMs = nowMs
    this.#position.goOnFrom(resume.offset)
    this.#stream(effects)
  }

  #stream(effects: TaskEffect[]): void {
    this.#turn()
    this.#state = 'streaming'
    this.#wantMore(effects)
  }

  // --------------------------------------------------------------------------------------------- the stream

  #mayRead(): boolean {
    if (this.#state !== 'streaming' || this.#isReading || this.#position.readOffset >= this.#sourceEnd) return false
    return this.#position.maySend
  }

  #wantMore(effects: TaskEffect[]): void {
    if (this.#mayRead()) effects.push({ kind: 'ready' })
  }

  /** A new turn: reads that are under way will come too late. */
  #turn(): void {
    this.#ticket++
    this.#isReading = false
  }

  #isCurrentRead(ticket: number): boolean {
    if (ticket !== this.#ticket) return false
    this.#isReading = false
    return this.#state === 'streaming'
  }

  #onChunk(event: Extract<TaskEvent, { kind: 'chunk' }>, effects: TaskEffect[]): void {
    let isTaking = this.#isCurrentRead(event.ticket)
    const isSilent = this.#position.isIdle && event.nowMs - this.#lastAnswerMs > this.#options.idleMs
    if (isTaking && isSilent) {
      isTaking = false
      this.#mustResolve = true
      this.#begin(effects)
    }
    for (const item of event.items) {
      if (isTaking) isTaking = this.#take(item, effects)
      else if (item.kind === 'unit') effects.push({ kind: 'discard', unit: item.unit })
    }
    // Nothing to read although the end is further on: the next advance of the source brings it up again.
    if (event.items.length > 0) this.#wantMore(effects)
  }

  /** False: the rest of the chunk is not taken. */
  #take(item: ChunkItem, effects: TaskEffect[]): boolean {
    if (item.kind === 'skip') {
      this.#position.skipTo(item.endOffset)
      return true
    }
    if (item.kind !== 'unit') {
      this.#drain(item.isForever ? 'park' : 'retry', item.heldBecause, effects)
      return false
    }
    const { unit } = item
    const anchor = this.#anchor
    assert(anchor !== null, 'a streaming task has an anchor')
    const isGap = unit.baseOffset !== this.#position.contiguousEnd
    // By where it begins: a batch that an earlier run cut longer then began below, and is behind the target's sequence now.
    if (isGap || unit.baseOffset - anchor.sourceOffset >= (this.#options.anchorSpan ?? anchorSpanMax)) {
      effects.push({ kind: 'discard', unit })
      this.#position.readOffset = unit.baseOffset
      this.#reAnchorAt({ why: isGap ? 'gap' : 'span', startAt: unit.baseOffset }, effects)
      return false
    }
    if (!this.#position.maySend) {
      effects.push({ kind: 'discard', unit })
      return false
    }
    this.#position.sent(unit)
    effects.push({ kind: 'send', unit, anchor })
    return true
  }

  /** Below `startAt` everything that is to be sent was sent: when it is confirmed a new anchor begins there. */
  #reAnchorAt(pending: PendingAnchor, effects: TaskEffect[]): void {
    this.#turn()
    this.#pendingAnchor = pending
    this.#state = 'draining'
    this.#afterDrain(effects)
  }

  #onOutOfRange(startOffset: number, effects: TaskEffect[]): void {
    const fromOffset = this.#position.readOffset
    if (startOffset <= fromOffset) {
      this.#drain('retry', `offset ${fromOffset} cannot be read here`, effects)
      return
    }
    const lost = { fromOffset: Math.max(fromOffset, this.#lostEnd), endOffset: startOffset }
    if (lost.endOffset > lost.fromOffset) effects.push({ kind: 'report', report: { kind: 'recordsLost', ...lost } })
    this.#lostEnd = startOffset
    this.#position.readOffset = startOffset
    this.#reAnchorAt({ why: 'gap', startAt: startOffset }, effects)
  }

  #onAcknowledged(event: Extract<TaskEvent, { kind: 'acknowledged' }>, effects: TaskEffect[]): void {
    if (!this.#position.answered(event.unit)) return
    this.#lastAnswerMs = event.nowMs
    if (this.#refusal === null) {
      this.#attempt = 0
      const expectedOffset = this.#position.confirmed(event.unit, event.targetBaseOffset)
      if (expectedOffset !== null) {
        const report: TaskReport = { kind: 'targetTruncated', expectedOffset, targetOffset: event.targetBaseOffset }
        effects.push({ kind: 'report', report })
      }
    }
    if (this.#state === 'draining') this.#afterDrain(effects)
    else this.#wantMore(effects)
  }

  // --------------------------------------------------------------------------------------------- out of it

  #onRefused(event: Extract<TaskEvent, { kind: 'refused' }>, effects: TaskEffect[]): void {
    if (!this.#position.answered(event.unit)) return
    // The first refusal tells what is wrong; those behind it are out of order because of it.
    this.#refusal ??= { action: event.action, reason: event.reason, unit: event.unit }
    this.#mustResolve = true
    this.#pendingAnchor = null
    this.#turn()
    this.#state = 'draining'
    this.#afterDrain(effects)
  }

  /** Stops reading; when the batches under way are answered, does `action`. */
  #drain(action: RefusalAction, reason: string, effects: TaskEffect[]): void {
    this.#turn()
    const unit = this.#position.oldest
    if (unit === undefined) {
      this.#act(action, reason, effects)
      return
    }
    this.#refusal ??= { action, reason, unit }
    this.#mustResolve = true
    this.#pendingAnchor = null
    this.#state = 'draining'
  }

  #afterDrain(effects: TaskEffect[]): void {
    if (!this.#position.isIdle) return
    const refusal = this.#refusal
    this.#refusal = null
    if (refusal !== null) {
      if (refusal.action === 'smaller') this.#makeSmaller(refusal.unit, refusal.reason, effects)
      else this.#act(refusal.action, refusal.reason, effects)
      return
    }
    const pending = this.#pendingAnchor
    assert(pending !== null, 'a task drains for a refusal or for a new anchor')
    this.#position.confirmedEnd = pending.startAt ?? this.#position.confirmedEnd
    this.#prepareAnchor(pending, effects)
  }

  #makeSmaller(unit: SendUnit, reason: string, effects: TaskEffect[]): void {
    const halved = Math.floor(Math.min(this.#batchBytesMax, unit.batch.length) / 2)
    if (unit.endOffset - unit.baseOffset <= 1 || halved < batchBytesMin) {
      this.#act('park', `the record at offset ${unit.baseOffset}: ${reason}`, effects)
      return
    }
    this.#batchBytesMax = halved
    this.#begin(effects)
  }

  #act(action: RefusalAction, reason: string, effects: TaskEffect[]): void {
    this.#turn()
    this.#reason = reason
    this.#pendingAnchor = null
    this.#attempt++
    const asks = action === 'resolve' || action === 'newProducer'
    if (action === 'park' || (asks && this.#isStuckUnproven())) {
      this.#state = 'parked'
      // The limit is learned anew: the operator may have raised it.
      this.#batchBytesMax = this.#options.batchBytesMax
      effects.push({ kind: 'wait', why: 'parked', attempt: this.#attempt })
      return
    }
    if (action === 'newProducer' || (asks && this.#attempt > attemptsBeforeNewProducer)) {
      this.#mustLeaveProducer = this.#mustResolve = true
    }
    if (asks && this.#attempt === 1) {
      this.#begin(effects)
      return
    }
    if (action === 'moved') effects.push({ kind: 'refreshMetadata' })
    this.#state = 'backingOff'
    effects.push({ kind: 'wait', why: 'backOff', attempt: this.#attempt })
  }

  /** The target does not follow, and our place was only counted: going on would guess. */
  #isStuckUnproven(): boolean {
    const proof = this.#lastResume?.proof
    return this.#attempt > attemptsBeforeNewProducer && (proof === 'count' || proof === 'none')
  }
}

function isSameTopic(a: string, b: string): boolean {
  return a === b || a === zeroUuid || b === zeroUuid
}
