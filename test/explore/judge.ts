/**
 * Holds a recovered directory against the model (safety.md I1-I4, I7, I12): a prefix of what was appended, all that was acknowledged,
 * sets whole, deleted records gone, producers and epochs as the log tells, indexes that lead to the right batch.
 */
import type { LogDirectory } from '../../src/log/log-directory.ts'
import type { UnifiedLog } from '../../src/log/unified-log.ts'
import { forEachRecord } from '../../src/protocol/records/record.ts'
import {
  batchBaseOffset,
  batchLastOffset,
  batchMaxTimestamp,
  batchPartitionLeaderEpoch,
  batchRecordCount,
  batchSizeInBytes,
} from '../../src/protocol/records/record-batch.ts'
import type { Prng } from '../sim/prng.ts'
import type { Model, ModelBatch, ModelLog } from './model.ts'
import type { Stage } from './stage.ts'

/** A promise that was not kept, in words. */
export class Broken extends Error {}

const readBytes = 1_048_576
/** What an engine reports that has found less than it was promised. */
const alarms: ReadonlySet<string> = new Set([
  'log-damaged',
  'log-shorter-than-recovery-point',
  'log-directory-failed',
  'log-other-owner',
  'log-compaction-failed',
  'log-identity-lost',
])

export interface JudgeOptions {
  /** The process was only killed since the last acknowledgement: what it had written counts too. */
  readonly hadPower: boolean
  readonly nowMs: number
  /** Of the compacted log. */
  readonly tombstoneMs: number
  /** A producer snapshot is damaged: where it was the only copy, producers are forgotten. */
  readonly mayForgetProducers?: boolean
  /** The one file that tells where logs begin is damaged: deleted records may be back. */
  readonly mayForgetStarts?: boolean
  /** A time index is damaged: a search by time may miss. */
  readonly mayMissTimes?: boolean
  /** An index is damaged: every batch is looked up, not a few. */
  readonly looksUpAll?: boolean
  /** The vote is damaged, which has no copy and no checksum: it may look as if another broker had been here. */
  readonly mayTellOfOther?: boolean
  /** The log with a damage, which is not judged here. */
  readonly damagedKey?: string
}

/** Throws Broken with the first promise that does not hold. Changes nothing. */
export async function judge(
  directory: LogDirectory,
  model: Model,
  stage: Stage,
  prng: Prng,
  options: JudgeOptions,
): Promise<void> {
  for (const { id, fields } of stage.observer.events) {
    // What is left of a topic whose creation was not answered may be anything.
    const of = (fields as { readonly log?: string }).log?.replace(/-0$/, '')
    const isOfAny = of === undefined || of.startsWith('__') || (model.logs.has(of) && !model.changing.has(of))
    const isOfDamaged = options.damagedKey !== undefined && of === options.damagedKey.replace(/-0$/, '')
    const isExcused = isOfDamaged || (options.mayTellOfOther === true && id === 'log-other-owner')
    if (alarms.has(id) && isOfAny && !isExcused) throw new Broken(`the engine reports ${id} ${JSON.stringify(fields)}`)
  }
  for (const each of model.logs.values()) {
    const log = directory.logs.get(`${each.topic}-0`)
    if (log === undefined) {
      if (model.changing.has(each.topic)) continue
      throw new Broken(`${each.topic} is gone`)
    }
    if (log.key === options.damagedKey || model.leaving.has(each.topic)) continue
    await judgeLog(log, each, prng, options)
  }
  for (const topic of model.gone) {
    if (!model.changing.has(topic) && directory.logs.has(`${topic}-0`))
      throw new Broken(`${topic} was deleted and is back`)
  }
  judgeSets(directory, model, options.damagedKey)
}

async function judgeLog(log: UnifiedLog, model: ModelLog, prng: Prng, options: JudgeOptions): Promise<void> {
  const { logEndOffset: end, logStartOffset: start } = log
  const promised = options.hadPower ? model.writtenEnd : model.acknowledgedEnd
  if (end < promised) throw new Broken(`${log.key} ends at ${end}, acknowledged up to ${promised}`)
  // A relaxed log may have lost records that were deleted already.
  if (start < Math.min(model.acknowledgedStart, end) && options.mayForgetStarts !== true) {
    throw new Broken(`${log.key} begins at ${start}, deleted below ${model.acknowledgedStart}`)
  }
  if (start > Math.max(model.startMax, model.acknowledgedStart)) {
    throw new Broken(`${log.key} begins at ${start}, nothing beyond ${model.startMax} was deleted`)
  }
  if (log.durableEndOffset !== end || log.highWatermark > end || log.highWatermark < start) {
    throw new Broken(`${log.key}: durable end ${log.durableEndOffset}, high watermark ${log.highWatermark}, end ${end}`)
  }
  const known = model.batches.filter((batch) => batch.endOffset <= end)
  if (end !== (known.at(-1)?.endOffset ?? 0)) throw new Broken(`${log.key} ends inside a batch at ${end}`)
  const found = await readWhole(log)
  if (model.kind === 'compacted') judgeCompacted(log, found, known, options)
  else judgePlain(log, found, known, model.startMax)
  judgeEpochs(log, found)
  if (options.mayForgetProducers !== true) judgeProducers(log, known, model)
  await judgeLookups(log, options.looksUpAll === true ? found : someOf(found, prng))
  if (options.mayMissTimes !== true) await judgeTimes(log, found, prng)
}

async function readWhole(log: UnifiedLog): Promise<Uint8Array[]> {
  const batches: Uint8Array[] = []
  let fromOffset = log.logStartOffset
  while (fromOffset < log.logEndOffset) {
    const read = await log.read({ fromOffset, endOffset: log.logEndOffset, bytesMax: readBytes, minOneBatch: true })
    if (read.kind !== 'batches') throw new Broken(`${log.key} at ${fromOffset} reads as ${read.kind}`)
    if (read.bytes.length === 0) throw new Broken(`${log.key} reads nothing at ${fromOffset}, below its end`)
    for (let at = 0; at < read.bytes.length; ) {
      const size = batchSizeInBytes(read.bytes, at)
      batches.push(read.bytes.subarray(at, at + size))
      fromOffset = batchLastOffset(read.bytes, at) + 1
      at += size
    }
  }
  return batches
}

/**
 * Batch for batch. Where a deletion had begun some of its segments may be gone already: a file system without an order of its names may
 * show an older one again.
 */
function judgePlain(
  log: UnifiedLog,
  found: readonly Uint8Array[],
  known: readonly ModelBatch[],
  startMax: number,
): void {
  // One without records stands in no file: it leads a reader past segments that are gone.
  const filed = found.filter((bytes) => batchRecordCount(bytes) > 0)
  let at = 0
  for (const batch of known) {
    if (batch.endOffset <= log.logStartOffset) continue
    const bytes = filed[at]
    if (bytes !== undefined && Buffer.compare(bytes, batch.bytes) === 0) at++
    else if (batch.endOffset > startMax)
      throw new Broken(`${log.key}: the batch at ${batch.baseOffset} is lost or differs`)
  }
  if (at < filed.length) throw new Broken(`${log.key} has ${filed.length - at} batches that were not appended`)
}

/** By offset what was appended; of each key the last record, or nothing at all behind a tombstone whose time is over. */
function judgeCompacted(
  log: UnifiedLog,
  found: readonly Uint8Array[],
  known: readonly ModelBatch[],
  options: JudgeOptions,
): void {
  const written = new Map<number, string>()
  const lastOf = new Map<
    string,
    { readonly offset: number; readonly isTombstone: boolean; readonly appendedMs: number }
  >()
  for (const batch of known) {
    for (const { offset, key, value } of batch.records) {
      written.set(offset, `${key}=${value}`)
      if (offset >= log.logStartOffset) {
        lastOf.set(key, { offset, isTombstone: value === null, appendedMs: batch.appendedMs })
      }
    }
  }
  const foundLast = new Map<string, number>()
  let previous = -1
  for (const bytes of found) {
    forEachRecord(bytes, 0, (record) => {
      const key = Buffer.from(record.key ?? []).toString()
      const text = `${key}=${record.value === null ? null : Buffer.from(record.value).toString()}`
      if (record.offset <= previous) throw new Broken(`${log.key}: offset ${record.offset} behind ${previous}`)
      previous = record.offset
      if (written.get(record.offset) !== text) throw new Broken(`${log.key}: another record stands at ${record.offset}`)
      foundLast.set(key, record.offset)
    })
  }
  for (const [key, last] of lastOf) {
    const offset = foundLast.get(key)
    if (offset === last.offset) continue
    if (offset !== undefined && offset < log.logStartOffset) continue
    if (offset !== undefined) throw new Broken(`${log.key}: ${key} is back at ${offset}, replaced at ${last.offset}`)
    if (!last.isTombstone) throw new Broken(`${log.key}: ${key} at ${last.offset} is lost`)
    if (options.nowMs - last.appendedMs < options.tombstoneMs) {
      throw new Broken(`${log.key}: the tombstone of ${key} at ${last.offset} went before its time`)
    }
  }
}

/** The epoch cache tells what the batches tell. */
function judgeEpochs(log: UnifiedLog, found: readonly Uint8Array[]): void {
  let before = -1
  for (const bytes of found) {
    const epoch = batchPartitionLeaderEpoch(bytes)
    if (epoch < before) throw new Broken(`${log.key}: epoch ${epoch} behind ${before}`)
    before = epoch
    const told = log.epochs.epochAt(batchLastOffset(bytes))
    if (told !== epoch)
      throw new Broken(`${log.key}: epoch ${told} is told of ${batchLastOffset(bytes)}, written in ${epoch}`)
  }
}

/** Producer state is the replay of the log: the newest five batches of each producer are known, and none that is not there. */
function judgeProducers(log: UnifiedLog, known: readonly ModelBatch[], model: ModelLog): void {
  for (const entry of log.producers.entries()) {
    const last = entry.batches.at(-1)
    if (last !== undefined && last.lastOffset >= log.logEndOffset) {
      throw new Broken(`${log.key}: producer ${entry.producerId} is said to have written ${last.lastOffset}`)
    }
  }
  for (const producerId of model.sequences.keys()) {
    const own = known.filter((batch) => batch.producerId === producerId)
    const newest = own.at(-1)
    if (newest === undefined) continue
    const entry = log.producers.get(producerId)
    const wanted = own.filter((batch) => batch.producerEpoch === newest.producerEpoch).slice(-5)
    const told = entry?.batches.map((batch) => `${batch.lastSequence}@${batch.lastOffset}`) ?? []
    const due = wanted.map((batch) => `${batch.lastSequence}@${batch.endOffset - 1}`)
    // Compaction keeps the newest batch of a producer, and may drop those before.
    const compared = model.kind === 'compacted' ? [told.at(-1), due.at(-1)] : [told.join(), due.join()]
    if (entry?.epoch !== newest.producerEpoch || compared[0] !== compared[1]) {
      throw new Broken(
        `${log.key}: of producer ${producerId} epoch ${entry?.epoch} ${told.join()} is known, written ${newest.producerEpoch} ${due.join()}`,
      )
    }
  }
}

function someOf(found: readonly Uint8Array[], prng: Prng): readonly Uint8Array[] {
  return found.length === 0 ? [] : [prng.pick(found), prng.pick(found)]
}

/** Reads that begin in the middle. */
async function judgeLookups(log: UnifiedLog, batches: readonly Uint8Array[]): Promise<void> {
  for (const batch of batches) {
    const fromOffset = Math.max(batchLastOffset(batch), log.logStartOffset)
    const read = await log.read({ fromOffset, endOffset: log.logEndOffset, bytesMax: 1, minOneBatch: true })
    if (read.kind !== 'batches' || !isSame(read.bytes, batch)) {
      throw new Broken(`${log.key} at ${fromOffset}: another batch is read (${read.kind})`)
    }
  }
}

/** One without records that stands in no file begins where it is asked for. */
function isSame(read: Uint8Array, batch: Uint8Array): boolean {
  if (Buffer.compare(read, batch) === 0) return true
  const hasNoRecords = read.length === batch.length && batchRecordCount(read) + batchRecordCount(batch) === 0
  return (
    hasNoRecords && batchBaseOffset(read) > batchBaseOffset(batch) && batchLastOffset(read) === batchLastOffset(batch)
  )
}

async function judgeTimes(log: UnifiedLog, found: readonly Uint8Array[], prng: Prng): Promise<void> {
  if (found.length === 0) return
  const timestampMs = batchMaxTimestamp(found[prng.below(found.length)] as Uint8Array)
  const due = found.find((batch) => batchRecordCount(batch) > 0 && batchMaxTimestamp(batch) >= timestampMs)
  const timed = await log.offsetForTimestamp(timestampMs)
  const isRight = due === undefined ? timed === null : timed !== null && holds(due, timed.offset)
  if (!isRight) throw new Broken(`${log.key}: offset ${timed?.offset} is told for the time ${timestampMs}`)
}

function holds(batch: Uint8Array, offset: number): boolean {
  return batchBaseOffset(batch) <= offset && offset <= batchLastOffset(batch)
}

function judgeSets(directory: LogDirectory, model: Model, damagedKey: string | undefined): void {
  const present = new Map<number, boolean>()
  for (const { topic, batches } of model.logs.values()) {
    const log = directory.logs.get(`${topic}-0`)
    if (log === undefined || model.changing.has(topic) || log.key === damagedKey) continue
    for (const batch of batches) {
      const isHere = batch.endOffset <= log.logEndOffset
      if ((present.get(batch.set) ?? isHere) !== isHere) throw new Broken(`set ${batch.set} is torn at ${log.key}`)
      present.set(batch.set, isHere)
    }
  }
}
