/**
 * What the cleaner has to know of transactions (KIP-98): records of an aborted one go whatever their keys, a marker stays until no
 * batch of its transaction is left, and then until its delete horizon.
 */
import { controlRecordType } from '../../protocol/records/control-record.ts'
import { forEachRecord } from '../../protocol/records/record.ts'
import { batchProducerId, batchRecordCount } from '../../protocol/records/record-batch.ts'

/** Aborted transactions of one stretch of log at most: some 3 MiB. */
export const abortedMax = 65_536

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
  /** Offset of the marker. */
  readonly lastOffset: number
}

/** `ABORT` or `COMMIT`, `empty` for a marker whose record has gone, `other` for control batches of other kinds. */
export type MarkerKind = 'ABORT' | 'COMMIT' | 'empty' | 'other'

/** The kind of a control batch, which must be there whole. */
export function markerKind(batch: Uint8Array, at = 0): MarkerKind {
  if (batchRecordCount(batch, at) === 0) return 'empty'
  let kind: MarkerKind = 'other'
  forEachRecord(batch, at, (record) => {
    const type = controlRecordType(record.key)
    if (type === 'ABORT' || type === 'COMMIT') kind = type
    return false
  })
  return kind
}

/** Finds the aborted transactions of a stretch of log: feed it every transactional batch and marker in order. */
export class AbortedScan {
  readonly found: AbortedTransaction[] = []
  readonly #open = new Map<number, number>()

  /** First offset of a transaction whose marker has not come: how it ends lies behind the stretch. */
  get openFrom(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#open.values())
  }

  onData(producerId: number, baseOffset: number): void {
    if (!this.#open.has(producerId)) this.#open.set(producerId, baseOffset)
  }

  onMarker(producerId: number, offset: number, kind: MarkerKind): void {
    const firstOffset = this.#open.get(producerId)
    if (kind === 'other' || kind === 'empty') return
    this.#open.delete(producerId)
    if (kind === 'ABORT' && firstOffset !== undefined) this.found.push({ producerId, firstOffset, lastOffset: offset })
  }
}

/** Answers for each batch of a walk from the log's start on. */
export class TransactionView {
  readonly #aborted = new Map<number, AbortedTransaction[]>()
  /** Producers that had a batch since their last marker. */
  readonly #withData = new Set<number>()

  constructor(aborted: readonly AbortedTransaction[]) {
    for (const transaction of aborted) {
      const known = this.#aborted.get(transaction.producerId)
      if (known === undefined) this.#aborted.set(transaction.producerId, [transaction])
      else known.push(transaction)
    }
  }

  /** A transactional batch with data. True when its transaction was aborted. */
  onData(producerId: number, baseOffset: number): boolean {
    this.#withData.add(producerId)
    const ofProducer = this.#aborted.get(producerId) ?? []
    return ofProducer.some((each) => baseOffset >= each.firstOffset && baseOffset <= each.lastOffset)
  }

  /** A control batch. True when nothing is left of its transaction. */
  onMarker(batch: Uint8Array): boolean {
    const kind = markerKind(batch)
    if (kind === 'other') return false
    return kind === 'empty' || !this.#withData.delete(batchProducerId(batch))
  }
}
