/**
 * What one log knows of its idempotent and transactional producers (KIP-98): the last five batches of each, open transactions.
 *
 * `check` answers what an append would meet and changes nothing; `update` takes an appended (or replayed) batch in.
 */
import type { KafkaErrorName } from '../protocol/kafka/error-codes.ts'
import { endTransactionMarker } from '../protocol/records/control-record.ts'
import {
  addSequence,
  batchBaseOffset,
  batchBaseSequence,
  batchIsControl,
  batchIsTransactional,
  batchLastOffset,
  batchLastOffsetDelta,
  batchMaxTimestamp,
  batchProducerEpoch,
  batchProducerId,
  none,
} from '../protocol/records/record-batch.ts'

/** A producer may have five requests in flight (max.in.flight.requests.per.connection <= 5). */
export const batchesKeptPerProducer = 5

/** Most producers a log remembers; beyond, the eighth that wrote longest ago is forgotten (a bound against floods of ids). */
export const producersMax = 65_536

export interface ProducerBatch {
  lastSequence: number
  lastOffset: number
  /** Records less one. */
  offsetDelta: number
  timestampMs: number
}

export interface ProducerEntry {
  readonly producerId: number
  epoch: number
  lastTimestampMs: number
  /** -1: no transaction marker seen. */
  coordinatorEpoch: number
  /** First offset of the open transaction; -1: none. */
  transactionFirstOffset: number
  /** Oldest first, at most five, all of `epoch`. */
  readonly batches: ProducerBatch[]
}

export type ProducerCheck =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'duplicate'
      readonly baseOffset: number
      readonly lastOffset: number
      readonly timestampMs: number
    }
  | { readonly kind: 'refused'; readonly error: KafkaErrorName; readonly message: string }

const ok: ProducerCheck = { kind: 'ok' }

export class ProducerState {
  readonly #producers = new Map<number, ProducerEntry>()
  /** First offset of each open transaction -> producer id, in offset order. */
  readonly #openTransactions = new Map<number, number>()
  /** Transactions that ended: [first offset, offset of the marker], until the marker is below the high watermark. */
  #endedTransactions: { readonly firstOffset: number; readonly markerOffset: number }[] = []

  get size(): number {
    return this.#producers.size
  }

  entries(): IterableIterator<ProducerEntry> {
    return this.#producers.values()
  }

  get(producerId: number): ProducerEntry | undefined {
    return this.#producers.get(producerId)
  }

  clear(): void {
    this.#producers.clear()
    this.#openTransactions.clear()
    this.#endedTransactions = []
  }

  /** First offset that is not yet decided: the least of the open transactions and of those whose marker is not yet below `highWatermark`. */
  firstUnstableOffset(highWatermark: number): number | null {
    let first = Number.POSITIVE_INFINITY
    for (const offset of this.#openTransactions.keys()) first = Math.min(first, offset)
    if (this.#endedTransactions.length > 0) {
      this.#endedTransactions = this.#endedTransactions.filter((ended) => ended.markerOffset >= highWatermark)
      for (const ended of this.#endedTransactions) first = Math.min(first, ended.firstOffset)
    }
    return first === Number.POSITIVE_INFINITY ? null : first
  }

  /** What an append of this batch would meet. `sequenced`: a client's batch, whose sequence numbers count. */
  check(batch: Uint8Array, sequenced: boolean): ProducerCheck {
    const producerId = batchProducerId(batch)
    const entry = this.#producers.get(producerId)
    if (entry === undefined) return ok
    const epoch = batchProducerEpoch(batch)
    if (epoch === entry.epoch && sequenced) {
      const duplicate = findDuplicate(entry, batch)
      if (duplicate !== null) return duplicate
    }
    if (epoch < entry.epoch) {
      return refused(
        'INVALID_PRODUCER_EPOCH',
        `producer ${producerId} has epoch ${entry.epoch}, the batch says ${epoch}`,
      )
    }
    if (batchIsControl(batch)) return checkMarker(entry, batch)
    if (entry.transactionFirstOffset !== none && !batchIsTransactional(batch)) {
      return refused('INVALID_TXN_STATE', `producer ${producerId} has an open transaction`)
    }
    return sequenced ? checkSequence(entry, epoch, batchBaseSequence(batch)) : ok
  }

  /** Takes in a batch with a producer id that stands at its offset in the log. */
  update(batch: Uint8Array, at = 0): void {
    const producerId = batchProducerId(batch, at)
    if (producerId === none) return
    const epoch = batchProducerEpoch(batch, at)
    const entry = this.#entryOf(producerId, epoch)
    if (batchIsControl(batch, at)) {
      this.#endTransaction(entry, batch, at)
      return
    }
    const lastOffset = batchLastOffset(batch, at)
    const delta = batchLastOffsetDelta(batch, at)
    const timestampMs = batchMaxTimestamp(batch, at)
    addBatch(entry, addSequence(batchBaseSequence(batch, at), delta), lastOffset, delta, timestampMs)
    if (batchIsTransactional(batch, at) && entry.transactionFirstOffset === none) {
      const firstOffset = batchBaseOffset(batch, at)
      entry.transactionFirstOffset = firstOffset
      this.#openTransactions.set(firstOffset, producerId)
    }
  }

  /** Takes in one entry of a snapshot; several of one producer come oldest first. */
  restore(restored: ProducerEntry): void {
    const known = this.#producers.get(restored.producerId)
    if (known !== undefined && known.epoch === restored.epoch) {
      for (const batch of restored.batches) {
        addBatch(known, batch.lastSequence, batch.lastOffset, batch.offsetDelta, batch.timestampMs)
      }
      known.coordinatorEpoch = restored.coordinatorEpoch
      known.transactionFirstOffset = restored.transactionFirstOffset
    } else {
      this.#producers.set(restored.producerId, restored)
    }
    if (restored.transactionFirstOffset !== none) {
      this.#openTransactions.set(restored.transactionFirstOffset, restored.producerId)
    }
  }

  /** Forgets producers that wrote nothing for `expirationMs` and have no open transaction. */
  expire(nowMs: number, expirationMs: number): void {
    for (const entry of this.#producers.values()) {
      if (entry.transactionFirstOffset === none && nowMs - entry.lastTimestampMs > expirationMs) {
        this.#producers.delete(entry.producerId)
      }
    }
  }

  #entryOf(producerId: number, epoch: number): ProducerEntry {
    let entry = this.#producers.get(producerId)
    if (entry === undefined) {
      if (this.#producers.size >= producersMax) this.#forgetOldest()
      entry = {
        producerId,
        epoch,
        lastTimestampMs: none,
        coordinatorEpoch: none,
        transactionFirstOffset: none,
        batches: [],
      }
      this.#producers.set(producerId, entry)
    } else if (entry.epoch !== epoch) {
      entry.epoch = epoch
      entry.batches.length = 0
    }
    return entry
  }

  #endTransaction(entry: ProducerEntry, batch: Uint8Array, at: number): void {
    const marker = endTransactionMarker(batch, at)
    if (marker === null) return
    if (entry.transactionFirstOffset !== none) {
      this.#openTransactions.delete(entry.transactionFirstOffset)
      this.#endedTransactions.push({ firstOffset: entry.transactionFirstOffset, markerOffset: marker.offset })
      entry.transactionFirstOffset = none
    }
    entry.coordinatorEpoch = Math.max(entry.coordinatorEpoch, marker.coordinatorEpoch)
    entry.lastTimestampMs = batchMaxTimestamp(batch, at)
  }

  #forgetOldest(): void {
    const idle = [...this.#producers.values()].filter((entry) => entry.transactionFirstOffset === none)
    idle.sort((a, b) => a.lastTimestampMs - b.lastTimestampMs)
    for (const entry of idle.slice(0, producersMax / 8)) this.#producers.delete(entry.producerId)
  }
}

function refused(error: KafkaErrorName, message: string): ProducerCheck {
  return { kind: 'refused', error, message }
}

function addBatch(
  entry: ProducerEntry,
  lastSequence: number,
  lastOffset: number,
  offsetDelta: number,
  timestampMs: number,
): void {
  const batches = entry.batches
  entry.lastTimestampMs = timestampMs
  if (batches.length < batchesKeptPerProducer) {
    batches.push({ lastSequence, lastOffset, offsetDelta, timestampMs })
    return
  }
  const reused = batches.shift() as ProducerBatch
  reused.lastSequence = lastSequence
  reused.lastOffset = lastOffset
  reused.offsetDelta = offsetDelta
  reused.timestampMs = timestampMs
  batches.push(reused)
}

function findDuplicate(entry: ProducerEntry, batch: Uint8Array): ProducerCheck | null {
  const baseSequence = batchBaseSequence(batch)
  const delta = batchLastOffsetDelta(batch)
  const lastSequence = addSequence(baseSequence, delta)
  for (let index = entry.batches.length - 1; index >= 0; index--) {
    const known = entry.batches[index] as ProducerBatch
    if (known.lastSequence !== lastSequence || known.offsetDelta !== delta) continue
    const { lastOffset, offsetDelta, timestampMs } = known
    return { kind: 'duplicate', baseOffset: lastOffset - offsetDelta, lastOffset, timestampMs }
  }
  return null
}

function checkSequence(entry: ProducerEntry, epoch: number, baseSequence: number): ProducerCheck {
  if (epoch !== entry.epoch) {
    if (baseSequence === 0) return ok
    return refused(
      'OUT_OF_ORDER_SEQUENCE_NUMBER',
      `the first sequence of epoch ${epoch} must be 0, not ${baseSequence}`,
    )
  }
  const last = entry.batches.at(-1)
  const expected = last === undefined ? 0 : addSequence(last.lastSequence, 1)
  if (baseSequence === expected) return ok
  return refused(
    'OUT_OF_ORDER_SEQUENCE_NUMBER',
    `producer ${entry.producerId} must go on with sequence ${expected}, not ${baseSequence}`,
  )
}

function checkMarker(entry: ProducerEntry, batch: Uint8Array): ProducerCheck {
  const marker = endTransactionMarker(batch)
  if (marker === null || marker.coordinatorEpoch >= entry.coordinatorEpoch) return ok
  return refused(
    'TRANSACTION_COORDINATOR_FENCED',
    `coordinator epoch ${marker.coordinatorEpoch} is older than ${entry.coordinatorEpoch}`,
  )
}
