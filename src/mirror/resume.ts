/**
 * Where to go on: worked out from what the target says, never from what we remember having sent. Pure.
 *
 * 1. DescribeProducers names the last sequence number of our producer epoch: the offset behind it is exact.
 * 2. Where the target has forgotten the producer (it does after a day without writes), does not know the request, or does not
 *    let us ask: the tail of the target partition is read back and searched for our newest batch (`TailSearch`).
 * 3. Where the tail is gone or may not be read: the growth of the target partition since the anchor is counted, which is exact
 *    when nobody else writes there; the target's own sequence check guards it where the producer is still known.
 */
import {
  batchLastSequence,
  batchProducerEpoch,
  batchProducerId,
  batchLastOffset,
  forEachBatch,
} from '../protocol/records/record-batch.ts'
import { type MirrorAnchor, offsetAfterSequence } from './anchor.ts'

/** How the place was found. `none`: it could not be, and the lower bound is used. */
export type ResumeProof = 'sequence' | 'nothingSent' | 'tail' | 'count' | 'none'

export interface ResumePoint {
  /** First source offset that the target does not hold. */
  readonly offset: number
  readonly proof: ResumeProof
  /** The target knows another writer under our producer id, or refuses our epoch: go on under a new one. */
  readonly needsNewProducer: boolean
  /** With an `offset` beyond the end of the source: where the target's records and ours part (common-end.ts). */
  readonly commonEnd?: number
}

/** One row of a DescribeProducers answer. */
export interface ActiveProducer {
  readonly producerId: number
  readonly producerEpoch: number
  /** -1: it has written nothing in this epoch. */
  readonly lastSequence: number
}

/** What DescribeProducers tells about our place, or null when it tells nothing. */
export function resumeFromProducers(anchor: MirrorAnchor, producers: readonly ActiveProducer[]): ResumePoint | null {
  const ours = producers.find((producer) => producer.producerId === anchor.producerId)
  if (ours === undefined || ours.producerEpoch > anchor.producerEpoch) return null
  if (ours.producerEpoch < anchor.producerEpoch || ours.lastSequence < 0) {
    // The anchor was written when everything below it was confirmed, and nothing has followed under its epoch.
    return { offset: anchor.sourceOffset, proof: 'nothingSent', needsNewProducer: false }
  }
  return { offset: offsetAfterSequence(anchor, ours.lastSequence), proof: 'sequence', needsNewProducer: false }
}

/** Has someone else taken our producer id with a higher epoch (a copy of this data directory)? */
export function isFenced(anchor: MirrorAnchor, producers: readonly ActiveProducer[]): boolean {
  return producers.some((p) => p.producerId === anchor.producerId && p.producerEpoch > anchor.producerEpoch)
}

/** Bounds of the target partition. */
export interface TargetBounds {
  readonly startOffset: number
  /** Exclusive. */
  readonly endOffset: number
}

/**
 * What remains when neither producer state nor tail can be had: counting. More than the source can have sent means that others
 * write there too, and only the lower bound is left. Less than was confirmed means that the target has lost its tail: it is sent again.
 */
export function resumeByCounting(anchor: MirrorAnchor, target: TargetBounds, sourceEndOffset: number): ResumePoint {
  const counted = anchor.sourceOffset + (target.endOffset - anchor.targetEndOffset)
  if (counted > sourceEndOffset) return { offset: anchor.confirmedEnd, proof: 'none', needsNewProducer: false }
  return { offset: Math.max(counted, anchor.sourceOffset), proof: 'count', needsNewProducer: false }
}

export type TailStep =
  | { readonly kind: 'fetch'; readonly fromOffset: number }
  | { readonly kind: 'done'; readonly resume: ResumePoint }
  /** Not found, and a part of the range is no longer there: count. */
  | { readonly kind: 'gone' }

/** The first look is at the newest batch, the next at this many offsets before the end; then ten times as many each time. */
const firstSpanOffsets = 1_000

/**
 * Searches the target partition backwards for our newest batch: the last batch first, then growing spans, each read forwards.
 * Nothing of this anchor lies before `targetEndOffset`, so a search that reaches it without a find proves that nothing was sent.
 * Ask `next`, fetch from there, hand the bytes to `feed`, until it is not `fetch` any more. Bounded by the range: each round reads
 * ten times the last one.
 */
export class TailSearch {
  readonly #anchor: MirrorAnchor
  readonly #target: TargetBounds
  readonly #low: number
  #spanOffsets = 1
  #spanStart: number
  #spanEnd: number
  #at: number
  #found: number | null = null

  constructor(anchor: MirrorAnchor, target: TargetBounds) {
    this.#anchor = anchor
    this.#target = target
    this.#low = Math.min(Math.max(target.startOffset, anchor.targetEndOffset), target.endOffset)
    this.#spanEnd = target.endOffset
    this.#spanStart = Math.max(this.#low, target.endOffset - 1)
    this.#at = this.#spanStart
  }

  next(): TailStep {
    for (;;) {
      if (this.#at < this.#spanEnd) return { kind: 'fetch', fromOffset: this.#at }
      if (this.#found !== null) {
        return { kind: 'done', resume: { offset: this.#found, proof: 'tail', needsNewProducer: false } }
      }
      if (this.#spanStart <= this.#low) return this.#notFound()
      this.#spanEnd = this.#spanStart
      this.#spanOffsets = Math.max(firstSpanOffsets, this.#spanOffsets * 10)
      this.#spanStart = Math.max(this.#low, this.#target.endOffset - this.#spanOffsets)
      this.#at = this.#spanStart
    }
  }

  /** The batches that a fetch from the asked offset answered; empty when there is nothing more to read. */
  feed(batches: Uint8Array): void {
    let end = this.#at
    forEachBatch(batches, (bytes, at) => {
      end = batchLastOffset(bytes, at) + 1
      const isOurs =
        batchProducerId(bytes, at) === this.#anchor.producerId &&
        batchProducerEpoch(bytes, at) === this.#anchor.producerEpoch
      if (isOurs) this.#found = offsetAfterSequence(this.#anchor, batchLastSequence(bytes, at))
    })
    this.#at = end > this.#at ? end : this.#spanEnd
  }

  #notFound(): TailStep {
    const isWhole = this.#target.startOffset <= this.#anchor.targetEndOffset
    const resume: ResumePoint = { offset: this.#anchor.sourceOffset, proof: 'nothingSent', needsNewProducer: false }
    return isWhole ? { kind: 'done', resume } : { kind: 'gone' }
  }
}
