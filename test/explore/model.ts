/**
 * What the clients of an explored log directory know: all that was appended, what of it was acknowledged, which records were deleted.
 * It is told by the outcomes of appends and calls alone, never by what the engine keeps.
 */
import { mix, mixText } from '../sim/digest.ts'

/** What a log is made for; its settings follow from it (`settings.ts`). */
export type LogKind = 'plain' | 'retained' | 'compacted' | 'relaxed' | 'large'

export interface ModelRecord {
  readonly offset: number
  readonly key: string
  /** Null: a tombstone. */
  readonly value: string | null
}

export interface ModelBatch {
  readonly baseOffset: number
  /** Exclusive. */
  readonly endOffset: number
  /** As appended, offsets and epoch patched. */
  readonly bytes: Uint8Array
  /** Batches of one set carry the same number. */
  readonly set: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly lastSequence: number
  readonly records: readonly ModelRecord[]
  readonly appendedMs: number
}

export interface NextSequence {
  epoch: number
  sequence: number
}

export class ModelLog {
  readonly topic: string
  readonly kind: LogKind
  batches: ModelBatch[] = []
  /** Everything below it was acknowledged, for ever. */
  acknowledgedEnd = 0
  /** Everything below it was acknowledged, but only against the death of the process (`flush: relaxed`). */
  writtenEnd = 0
  /** The answered start of DeleteRecords: nothing below it may come back. */
  acknowledgedStart = 0
  /** The start as far as calls and retention have moved it, answered or not. */
  startMax = 0
  /** The newest leader epoch that anything was ever appended with, lost or not. */
  epochMax = -1
  /** By producer id: what it would send next. */
  readonly sequences = new Map<number, NextSequence>()

  constructor(topic: string, kind: LogKind) {
    this.topic = topic
    this.kind = kind
  }

  get end(): number {
    return this.batches.at(-1)?.endOffset ?? 0
  }

  fork(): ModelLog {
    const copy = new ModelLog(this.topic, this.kind)
    copy.batches = this.batches.slice()
    copy.acknowledgedEnd = this.acknowledgedEnd
    copy.writtenEnd = this.writtenEnd
    copy.acknowledgedStart = this.acknowledgedStart
    copy.startMax = this.startMax
    copy.epochMax = this.epochMax
    for (const [id, next] of this.sequences) copy.sequences.set(id, { ...next })
    return copy
  }

  /** Tells these promises from others. */
  digest(): number {
    const { end, acknowledgedEnd, writtenEnd, acknowledgedStart, startMax, epochMax } = this
    let digest = mix(mix(this.batches.length, end), this.batches.at(-1)?.set ?? 0)
    for (const number of [acknowledgedEnd, writtenEnd, acknowledgedStart, startMax, epochMax + 1])
      digest = mix(digest, number)
    return digest
  }

  /** A start has shown that the log ends and begins here: what lies beyond is gone, what lies below is seen, and so must stay. */
  settle(endOffset: number, startOffset: number): void {
    this.batches = this.batches.filter((batch) => batch.endOffset <= endOffset)
    this.acknowledgedEnd = endOffset
    this.writtenEnd = endOffset
    // The end of a relaxed log may be lost with records that were deleted already: it goes on there.
    const hasFallen = this.acknowledgedStart > endOffset
    this.acknowledgedStart = hasFallen ? startOffset : Math.max(this.acknowledgedStart, startOffset)
    this.startMax = hasFallen ? startOffset : Math.max(this.startMax, startOffset)
    for (const [id, next] of this.sequences) {
      const last = this.batches.findLast((batch) => batch.producerId === id)
      next.epoch = last?.producerEpoch ?? 0
      next.sequence = last === undefined ? 0 : last.lastSequence + 1
    }
  }
}

export class Model {
  /** Topics whose creation was answered, by name. */
  readonly logs = new Map<string, ModelLog>()
  /** Names of topics whose deletion was answered. */
  readonly gone = new Set<string>()
  /** Names of topics whose creation or deletion is under way. */
  readonly changing = new Set<string>()
  /** Of these: those that the metadata says no more of. Nothing is promised of their records, and they do not come back. */
  readonly leaving = new Set<string>()
  sets = 0
  payloads = 0

  /** Tells these promises from others. */
  digest(): number {
    let digest = 0
    for (const [topic, log] of this.logs) digest = mix(mixText(digest, topic), log.digest())
    for (const topic of this.gone) digest = mixText(mix(digest, 1), topic)
    for (const topic of this.changing) digest = mixText(mix(digest, 2), topic)
    for (const topic of this.leaving) digest = mixText(mix(digest, 3), topic)
    return digest
  }

  fork(): Model {
    const copy = new Model()
    for (const [topic, log] of this.logs) copy.logs.set(topic, log.fork())
    for (const topic of this.gone) copy.gone.add(topic)
    for (const topic of this.changing) copy.changing.add(topic)
    for (const topic of this.leaving) copy.leaving.add(topic)
    copy.sets = this.sets
    copy.payloads = this.payloads
    return copy
  }
}
