/**
 * A model of everything around a mirror task: a source partition with holes, a target partition with Kafka's rules for sequence
 * numbers, a connection whose requests may be answered, lost, or appended after the connection has died, and a source that may be
 * killed at any step. It drives the real task, plan and resume code; only the bytes are left out.
 */
import { MirrorTask } from '../../src/mirror/mirror-task.ts'
import type { SendUnit, TaskEffect, TaskEvent } from '../../src/mirror/task-events.ts'
import type { MirrorAnchor } from '../../src/mirror/anchor.ts'
import { sequenceOf } from '../../src/mirror/anchor.ts'
import type { RefusalAction } from '../../src/mirror/produce-errors.ts'
import { resumeByCounting, resumeFromProducers, TailSearch } from '../../src/mirror/resume.ts'
import type { Prng } from '../sim/prng.ts'
import { batchOf, concatenated } from './batches.ts'
import { batchLastOffset } from '../../src/protocol/records/record-batch.ts'

interface TargetBatch {
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly baseOffset: number
  /** The source offsets it holds: its content. */
  readonly content: readonly number[]
}

interface ProducerEntry {
  epoch: number
  lastSequence: number
  /** The last five: [first sequence, last sequence, base offset]. */
  cached: (readonly [number, number, number])[]
}

type ProduceAnswer = { readonly action: 'ok'; readonly baseOffset: number } | { readonly action: RefusalAction }

/** A target partition: what Kafka's ProducerAppendInfo does, and a log. */
export class ModelTarget {
  topicId = 'target-topic-id-000001'
  batches: TargetBatch[] = []
  startOffset = 0
  endOffset = 0
  producers = new Map<number, ProducerEntry>()

  produce(batch: Omit<TargetBatch, 'baseOffset'>): ProduceAnswer {
    const count = batch.content.length
    const last = batch.baseSequence + count - 1
    const entry = this.producers.get(batch.producerId)
    if (entry !== undefined) {
      if (batch.producerEpoch < entry.epoch) return { action: 'newProducer' }
      if (batch.producerEpoch === entry.epoch) {
        const same = entry.cached.find(([first, end]) => first === batch.baseSequence && end === last)
        if (same !== undefined) return { action: 'ok', baseOffset: same[2] }
        if (batch.baseSequence !== entry.lastSequence + 1) return { action: 'resolve' }
      } else if (batch.baseSequence !== 0) return { action: 'resolve' }
    }
    const baseOffset = this.endOffset
    this.batches.push({ ...batch, baseOffset })
    this.endOffset += count
    const cached = entry !== undefined && entry.epoch === batch.producerEpoch ? entry.cached.slice(-4) : []
    cached.push([batch.baseSequence, last, baseOffset])
    this.producers.set(batch.producerId, { epoch: batch.producerEpoch, lastSequence: last, cached })
    return { action: 'ok', baseOffset }
  }

  /** Someone else writes. */
  writeForeign(count: number): void {
    this.produce({
      producerId: 999_999,
      producerEpoch: 0,
      baseSequence: this.#foreignNext(),
      content: Array(count).fill(-1),
    })
  }

  #foreignNext(): number {
    return (this.producers.get(999_999)?.lastSequence ?? -1) + 1
  }

  fetch(fromOffset: number): Uint8Array {
    const first = this.batches.findIndex((batch) => batch.baseOffset + batch.content.length > fromOffset)
    return concatenated(
      this.batches.slice(first, first + 3).map((batch) => {
        const records = batch.content.map(() => ({ timestampMs: 0, key: null, value: null }))
        const { producerId, producerEpoch, baseSequence } = batch
        const bytes = batchOf(batch.baseOffset, records, { producerId, producerEpoch, baseSequence })
        if (batchLastOffset(bytes) !== batch.baseOffset + batch.content.length - 1) throw new Error('model')
        return bytes
      }),
    )
  }

  /** Source offsets in target order, foreign records left out. */
  content(): number[] {
    return this.batches.flatMap((batch) => batch.content.filter((offset) => offset >= 0))
  }
}

interface Request {
  readonly unit: SendUnit
  readonly batch: Omit<TargetBatch, 'baseOffset'>
}

export interface ModelOptions {
  /** Chance in a thousand, per step, of each trouble. */
  readonly troubles: Readonly<Record<'cut' | 'crash' | 'refuse' | 'forget' | 'hole' | 'foreign' | 'denied', number>>
  readonly task?: (anchor: MirrorAnchor | null) => MirrorTask
}

/** One run. `step()` lets one random thing happen; `settle()` heals everything and runs until all is mirrored. */
export class TaskModel {
  readonly target = new ModelTarget()
  readonly #prng: Prng
  readonly #options: ModelOptions
  /** Source offsets that hold records; the rest below `sourceEnd` are holes. */
  readonly #source: number[] = []
  #sourceEnd = 0
  #task: MirrorTask
  #isLinkUp = false
  #isCalm = false
  #requests: Request[] = []
  /** Requests of dead connections that the target may still work off, in order. */
  #zombies: Request[][] = []
  #answers: TaskEvent[] = []
  #pending: (() => void)[] = []
  #isReady = false
  #hasTimer = false
  #durableAnchor: MirrorAnchor | null = null
  #producerIds = 1_000
  #nowMs = 1_000_000
  readonly #newTask: (anchor: MirrorAnchor | null) => MirrorTask

  constructor(prng: Prng, options: ModelOptions) {
    this.#prng = prng
    this.#options = options
    this.#newTask =
      options.task ??
      ((anchor) =>
        new MirrorTask({
          targetTopic: 't',
          startFrom: 'earliest',
          anchor,
          batchBytesMax: 1e6,
          idleMs: 30_000,
          anchorSpan: 15,
        }))
    this.#task = this.#newTask(null)
    this.#linkUp()
  }

  get task(): MirrorTask {
    return this.#task
  }

  get source(): readonly number[] {
    return this.#source
  }

  step(): void {
    this.#nowMs += this.#prng.below(50)
    if (!this.#isCalm) this.#trouble()
    const choice = this.#prng.below(8)
    if (choice === 0) this.#grow()
    else if (choice === 1) this.#workOffZombie()
    else if (choice === 2 && this.#requests.length > 0) this.#serve()
    else if (choice === 3 && this.#answers.length > 0) this.#feed(this.#answers.shift() as TaskEvent)
    else if (choice === 4 && this.#pending.length > 0) this.#pending.shift()?.()
    else if (choice === 5 && this.#isReady) this.#read()
    else if (choice === 6 && this.#hasTimer) this.#fireTimer()
    else if (choice === 7 && !this.#isLinkUp) this.#linkUp()
  }

  /** Ends all trouble; false when it does not come to rest. */
  settle(): boolean {
    this.#isCalm = true
    for (let index = 0; index < 60_000; index++) {
      const end = this.#sourceEnd
      this.step()
      this.#sourceEnd = end
      while ((this.#source.at(-1) ?? -1) >= end) this.#source.pop()
      const isQuiet = this.#requests.length + this.#answers.length + this.#pending.length + this.#zombies.length === 0
      if (isQuiet && this.#task.confirmedEnd === end && this.#task.state === 'streaming') return true
      this.#feed({ kind: 'sourceAdvanced', startOffset: 0, endOffset: end })
    }
    return false
  }

  // ------------------------------------------------------------------------------------------------ trouble

  #chance(of: keyof ModelOptions['troubles']): boolean {
    return this.#prng.below(1_000) < this.#options.troubles[of]
  }

  #trouble(): void {
    if (this.#chance('cut')) this.#cut()
    if (this.#chance('crash')) this.#crash()
    if (this.#chance('foreign')) this.target.writeForeign(1 + this.#prng.below(3))
    // A producer is forgotten after a day: nothing that was sent before is on its way any more.
    if (this.#chance('forget') && this.#requests.length + this.#answers.length === 0) {
      while (this.#zombies.length > 0) this.#workOffZombie()
      this.#nowMs += 86_400_000
      this.target.producers.clear()
    }
  }

  /** The connection dies; what was sent may still be appended later, any part of it from the front. */
  #cut(): void {
    const kept = this.#requests.slice(0, this.#prng.below(this.#requests.length + 1))
    if (kept.length > 0) this.#zombies.push(kept)
    this.#requests = []
    this.#answers = []
    this.#pending = this.#pending.filter((action) => this.#isLocal.has(action))
    this.#hasTimer = false
    this.#isLinkUp = false
    this.#feed({ kind: 'targetGone' })
  }

  #crash(): void {
    this.#cut()
    // An anchor that was being written may have become durable or not.
    const writes = this.#pending
    this.#pending = []
    if (writes.length > 0 && this.#prng.below(2) === 0) this.#persisting.get(writes[0] as () => void)?.()
    this.#isReady = false
    this.#task = this.#newTask(this.#durableAnchor)
    this.#feed({ kind: 'sourceAdvanced', startOffset: 0, endOffset: this.#sourceEnd })
  }

  // -------------------------------------------------------------------------------------------------- world

  #grow(): void {
    if (!this.#isCalm && this.#chance('hole')) this.#sourceEnd += 1 + this.#prng.below(3)
    const count = 1 + this.#prng.below(6)
    for (let index = 0; index < count; index++) this.#source.push(this.#sourceEnd + index)
    this.#sourceEnd += count
    this.#feed({ kind: 'sourceAdvanced', startOffset: 0, endOffset: this.#sourceEnd })
  }

  #linkUp(): void {
    this.#isLinkUp = true
    this.#feed({ kind: 'targetReady', topicId: this.target.topicId, batchBytesMax: null })
  }

  #workOffZombie(): void {
    if (this.#zombies.length === 0) return
    const index = this.#prng.below(this.#zombies.length)
    const requests = this.#zombies[index] as Request[]
    const request = requests.shift()
    if (request !== undefined) this.target.produce(request.batch)
    if (requests.length === 0) this.#zombies.splice(index, 1)
  }

  /** The target works on the oldest request; its answer travels. */
  #serve(): void {
    const { unit, batch } = this.#requests.shift() as Request
    if (!this.#isCalm && this.#chance('refuse')) {
      const action = (['retry', 'moved', 'retry'] as const)[this.#prng.below(3)] ?? 'retry'
      this.#answers.push({ kind: 'refused', unit, action, reason: 'trouble' })
      return
    }
    const answer = this.target.produce(batch)
    if (answer.action === 'ok') {
      this.#answers.push({ kind: 'acknowledged', unit, targetBaseOffset: answer.baseOffset, nowMs: this.#nowMs })
    } else this.#answers.push({ kind: 'refused', unit, action: answer.action, reason: 'by rule' })
  }

  #read(): void {
    this.#isReady = false
    const request = this.#task.readRequest()
    if (request === null) return
    // Up to three units of up to four adjacent offsets each, with the holes as they come.
    const items: Extract<TaskEvent, { kind: 'chunk' }>['items'][number][] = []
    let at = request.fromOffset
    for (let units = 1 + this.#prng.below(3); units > 0; units--) {
      const first = this.#source.find((offset) => offset >= at && offset < request.endOffset)
      if (first === undefined) {
        items.push({ kind: 'skip', endOffset: request.endOffset })
        break
      }
      let end = first + 1
      const most = 1 + this.#prng.below(4)
      while (end - first < most && end < request.endOffset && this.#source.includes(end)) end++
      items.push({ kind: 'unit', unit: { batch: new Uint8Array(0), baseOffset: first, endOffset: end } })
      at = end
    }
    this.#pendLocal(() => this.#feed({ kind: 'chunk', ticket: request.ticket, items, nowMs: this.#nowMs }))
  }

  #fireTimer(): void {
    this.#hasTimer = false
    this.#feed({ kind: 'timer' })
  }

  // ----------------------------------------------------------------------------------------------- the driver

  /** Actions that a cut of the link does not end: reads and writes here. */
  readonly #isLocal = new Set<() => void>()
  readonly #persisting = new Map<() => void, () => void>()

  #pendLocal(action: () => void): void {
    this.#isLocal.add(action)
    this.#pending.push(action)
  }

  #feed(event: TaskEvent): void {
    for (const effect of this.#task.step(event)) this.#run(effect)
  }

  #run(effect: TaskEffect): void {
    switch (effect.kind) {
      case 'prepare':
        this.#pending.push(() =>
          this.#feed({
            kind: 'prepared',
            producerId: effect.needsProducerId ? this.#producerIds++ : null,
            targetEndOffset: this.target.endOffset,
          }),
        )
        break
      case 'writeAnchor':
        this.#pendAnchor(effect.anchor)
        break
      case 'resolve':
        this.#pending.push(() => this.#feed(this.#resolve(effect.anchor, effect.sourceEndOffset)))
        break
      case 'ready':
        this.#isReady = true
        break
      case 'send':
        this.#send(effect.unit, effect.anchor)
        break
      case 'wait':
        this.#hasTimer = true
        break
      default:
        break
    }
  }

  #pendAnchor(anchor: MirrorAnchor): void {
    const persist = (): void => {
      this.#durableAnchor = anchor
    }
    const action = (): void => {
      const fails = !this.#isCalm && this.#prng.below(10) === 0
      if (!fails || this.#prng.below(2) === 0) persist()
      this.#feed(fails ? { kind: 'anchorFailed', reason: 'trouble' } : { kind: 'anchorDurable', nowMs: this.#nowMs })
    }
    this.#persisting.set(action, persist)
    this.#pendLocal(action)
  }

  #send(unit: SendUnit, anchor: MirrorAnchor): void {
    if (!this.#isLinkUp) throw new Error('sent without a link')
    if (this.#durableAnchor !== anchor && JSON.stringify(this.#durableAnchor) !== JSON.stringify(anchor)) {
      throw new Error('sent under an anchor that is not durable')
    }
    const content: number[] = []
    for (let offset = unit.baseOffset; offset < unit.endOffset; offset++) {
      if (!this.#source.includes(offset)) throw new Error('a unit with a hole')
      content.push(offset)
    }
    const { producerId, producerEpoch } = anchor
    this.#requests.push({
      unit,
      batch: { producerId, producerEpoch, baseSequence: sequenceOf(anchor, unit.baseOffset), content },
    })
  }

  #resolve(anchor: MirrorAnchor, sourceEndOffset: number): TaskEvent {
    const producers = [...this.target.producers].map(([producerId, entry]) => ({
      producerId,
      producerEpoch: entry.epoch,
      lastSequence: entry.lastSequence,
    }))
    const isDenied = !this.#isCalm && this.#chance('denied')
    const told = isDenied ? null : resumeFromProducers(anchor, producers)
    if (told !== null) return { kind: 'resolved', resume: told, nowMs: this.#nowMs }
    const search = new TailSearch(anchor, this.target)
    for (let step = search.next(); ; step = search.next()) {
      if (step.kind === 'done') return { kind: 'resolved', resume: step.resume, nowMs: this.#nowMs }
      if (step.kind === 'gone') {
        return { kind: 'resolved', resume: resumeByCounting(anchor, this.target, sourceEndOffset), nowMs: this.#nowMs }
      }
      search.feed(this.target.fetch(step.fromOffset))
    }
  }
}
