/**
 * The stream of Produce requests to one broker of the central cluster.
 *
 * Partitions with something to send stand in a line; while the window has room the first of them is read, cut and sent, and goes to the
 * end of the line: each gets one chunk a round. What becomes ready in one turn of the loop shares requests, one batch per
 * partition in each. Nothing waits for an answer but the window.
 */
import { asError } from '../base/errors.ts'
import type { Clock, Compute, Observer, Timer } from '../base/ports.ts'
import type { MirrorAnchor } from './anchor.ts'
import type { BufferPool } from './buffer-pool.ts'
import { shapeChunk, stampUnit } from './chunk-shaper.ts'
import { mirrorMetrics } from './mirror-metrics.ts'
import type { MirrorLimits } from './mirror-options.ts'
import type { ReadRequest, SendUnit, TaskEvent } from './task-events.ts'
import type { UntrustedTimes } from './untrusted-times.ts'
import type { PartitionMirror } from './partition-mirror.ts'
import { refusalAction } from './produce-errors.ts'
import { SendWindow, windowBytesMin } from './send-window.ts'
import type { ProduceAnswers, TargetConnection } from './target-connection.ts'

export interface PipelineOptions {
  readonly mirror: string
  readonly nodeId: number
  readonly times: UntrustedTimes
  readonly connection: TargetConnection
  readonly clock: Clock
  readonly compute: Compute
  readonly observer: Observer
  readonly pool: BufferPool
  readonly limits: MirrorLimits
  /** Feeds an event to the partition's task and runs the effects. */
  readonly feed: (mirror: PartitionMirror, event: TaskEvent) => void
  /** The connection has ended, or is to be given up. Called once. */
  readonly onDown: (pipeline: ProducePipeline, reason: string) => void
}

interface Outgoing {
  readonly mirror: PartitionMirror
  readonly unit: SendUnit
}

/** Batches below this size count as a trickle, of which a partition sends only so many at once: the next gather meanwhile. */
const trickleBytes = 64 * 1024
const trickleUnitsMax = 4
/**
 * Bytes read and cut in one turn of the loop. What the system has in memory is read without waiting, so that nothing else would end the
 * turn before the window is full; copying and summing these takes some 3 ms.
 */
const turnBytesMax = 2 * 1024 * 1024
/** Requests under way at once; small ones would else fill a window of megabytes with thousands. */
const requestsMax = 256

export class ProducePipeline {
  readonly nodeId: number
  readonly connection: TargetConnection
  readonly window: SendWindow
  readonly #options: PipelineOptions
  readonly #line: PartitionMirror[] = []
  #outgoing: Outgoing[] = []
  #outgoingBytes = 0
  #requests = 0
  #readingBytes = 0
  #reads = 0
  #isDown = false
  #flushIsDeferred = false
  #pause: Timer | null = null

  constructor(options: PipelineOptions) {
    this.#options = options
    this.nodeId = options.nodeId
    this.connection = options.connection
    this.window = new SendWindow(options.limits.windowBytesMax)
    this.connection.onClose((error) => this.down(error?.message ?? 'closed by the broker'))
  }

  get isDown(): boolean {
    return this.#isDown
  }

  /** The partition has something to send. */
  enqueue(mirror: PartitionMirror): void {
    if (mirror.isQueued || this.#isDown) return
    // Its next answer brings it back.
    if (mirror.isTrickling && mirror.unitsInFlight >= trickleUnitsMax) return
    mirror.isQueued = true
    this.#line.push(mirror)
    this.#pump()
  }

  /** Stamps the unit and queues it for this turn's requests. */
  send(mirror: PartitionMirror, unit: SendUnit, anchor: MirrorAnchor): void {
    stampUnit(unit, anchor)
    mirror.unitsInFlight++
    mirror.isTrickling = unit.batch.length < trickleBytes
    this.#outgoing.push({ mirror, unit })
    this.#outgoingBytes += unit.batch.length
    // It is under way from here on, not from its request on: a log in memory would else be cut to its end before the turn ends.
    this.window.sent(unit.batch.length)
    if (this.#flushIsDeferred) return
    this.#flushIsDeferred = true
    this.#options.clock.defer(() => {
      this.#flushIsDeferred = false
      this.#flush()
      this.#pump()
    })
  }

  /** Gives the connection up. */
  down(reason: string): void {
    if (this.#isDown) return
    this.#isDown = true
    if (this.#pause !== null) this.#options.clock.cancel(this.#pause)
    for (const mirror of this.#line.splice(0)) mirror.isQueued = false
    this.#outgoing = []
    this.connection.close()
    this.#options.onDown(this, reason)
  }

  // ------------------------------------------------------------------------------------------- line to units

  #pump(): void {
    const { limits } = this.#options
    while (!this.#isDown && this.#pause === null && this.#reads < limits.readsMax) {
      if (this.#outgoingBytes + this.#readingBytes >= turnBytesMax) return
      if (this.#line.length === 0 || this.#requests >= requestsMax || !this.window.hasRoom(this.#readingBytes)) return
      const mirror = this.#line.shift() as PartitionMirror
      mirror.isQueued = false
      if (mirror.pipeline !== this) continue
      const request = mirror.task.readRequest()
      if (request !== null) void this.#readAndCut(mirror, request)
    }
  }

  async #readAndCut(mirror: PartitionMirror, request: ReadRequest): Promise<void> {
    const { limits, clock, feed } = this.#options
    // Several batches fit into a narrow window, so that it moves on with each answer.
    const share = Math.max(windowBytesMin, this.window.bytes) / 4
    const bytesMax = Math.floor(Math.min(limits.mergedBatchBytesMax, mirror.task.batchBytesMax, share))
    this.#reads++
    this.#readingBytes += bytesMax
    let event: TaskEvent
    try {
      event = await this.#cut(mirror, request, bytesMax)
    } catch (thrown) {
      event = { kind: 'unreadable', ticket: request.ticket, reason: asError(thrown).message }
    }
    this.#reads--
    this.#readingBytes -= bytesMax
    if (event.kind === 'chunk') event = { ...event, nowMs: clock.monotonicMs() }
    feed(mirror, event)
    this.#pump()
  }

  async #cut(mirror: PartitionMirror, request: ReadRequest, bytesMax: number): Promise<TaskEvent> {
    const { ticket, fromOffset } = request
    const read = await mirror.source.read(fromOffset, bytesMax)
    if (read.kind === 'outOfRange') return { kind: 'outOfRange', ticket, startOffset: mirror.source.startOffset }
    // The same to the target as what retention took: it goes on behind it, and the loss is told.
    if (read.kind === 'damaged') return { kind: 'outOfRange', ticket, startOffset: read.nextOffset }
    const { limits, compute, pool, times } = this.#options
    const items = await shapeChunk(read.bytes, fromOffset, {
      ...{ compute, pool, times },
      batchBytesMax: Math.min(limits.mergedBatchBytesMax, mirror.task.batchBytesMax),
      verbatimBytesMin: limits.verbatimBytesMin,
      hasMore: read.bytes.length >= bytesMax / 2,
    })
    return { kind: 'chunk', ticket, items, nowMs: 0 }
  }

  // --------------------------------------------------------------------------------------- units to requests

  /** Parts what is outgoing into requests of one batch per partition; a partition's batches keep their order. */
  #flush(): void {
    let rest = this.#outgoing
    this.#outgoing = []
    this.#outgoingBytes = 0
    while (rest.length > 0 && !this.#isDown) {
      const request: Outgoing[] = []
      const later: Outgoing[] = []
      const taken = new Set<PartitionMirror>()
      let bytes = 0
      for (const outgoing of rest) {
        const isFull = bytes >= this.#options.limits.requestBytes
        if (isFull || taken.has(outgoing.mirror)) later.push(outgoing)
        else {
          request.push(outgoing)
          bytes += outgoing.unit.batch.length
        }
        taken.add(outgoing.mirror)
      }
      void this.#request(request, bytes)
      rest = later
    }
  }

  async #request(outgoing: readonly Outgoing[], bytes: number): Promise<void> {
    const { clock, limits } = this.#options
    const sentAtMs = clock.monotonicMs()
    this.#requests++
    let answers: ProduceAnswers
    try {
      const items = outgoing.map(({ mirror, unit }) => ({ name: mirror.targetName, batch: unit.batch }))
      answers = await this.connection.produce(items, Math.floor(limits.requestTimeoutMs / 2))
    } catch (thrown) {
      this.down(asError(thrown).message)
      return
    }
    if (this.#isDown) return
    this.#requests--
    const nowMs = clock.monotonicMs()
    this.window.answered(bytes, sentAtMs, nowMs)
    this.#observe(outgoing, answers, nowMs - sentAtMs)
    this.#obey(answers.throttleMs)
    for (const [index, { mirror, unit }] of outgoing.entries())
      this.#answer(mirror, unit, answers.outcomes[index], nowMs)
    this.#pump()
  }

  #answer(
    mirror: PartitionMirror,
    unit: SendUnit,
    outcome: ProduceAnswers['outcomes'][number] | undefined,
    nowMs: number,
  ): void {
    // A partition that has moved to another broker asks there how far this one got.
    if (mirror.pipeline !== this) return
    mirror.unitsInFlight--
    const error = outcome?.error ?? 'UNKNOWN_SERVER_ERROR'
    const action = error === 'NONE' ? 'done' : refusalAction(error)
    if (action === 'done') {
      mirror.rate.add(unit.batch.length, nowMs)
      this.#options.feed(mirror, { kind: 'acknowledged', unit, targetBaseOffset: outcome?.baseOffset ?? -1, nowMs })
    } else {
      this.#options.observer.add(mirrorMetrics.refusals, 1, { mirror: this.#options.mirror, error })
      const words = outcome?.message ?? null
      this.#options.feed(mirror, {
        kind: 'refused',
        unit,
        action,
        reason: words === null ? error : `${error}: ${words}`,
      })
    }
    this.#options.pool.give(unit.batch)
  }

  #observe(outgoing: readonly Outgoing[], answers: ProduceAnswers, latencyMs: number): void {
    const { observer, mirror } = this.#options
    let records = 0
    let bytes = 0
    for (const [index, { unit }] of outgoing.entries()) {
      const error = answers.outcomes[index]?.error
      if (error !== 'NONE' && error !== 'DUPLICATE_SEQUENCE_NUMBER') continue
      records += unit.endOffset - unit.baseOffset
      bytes += unit.batch.length
    }
    observer.add(mirrorMetrics.requests, 1, { mirror })
    observer.observe(mirrorMetrics.requestSeconds, latencyMs / 1_000, { mirror })
    if (records > 0) observer.add(mirrorMetrics.records, records, { mirror })
    if (bytes > 0) observer.add(mirrorMetrics.bytes, bytes, { mirror })
  }

  /** A quota of the target: nothing is sent for that long (KIP-219). */
  #obey(throttleMs: number): void {
    if (throttleMs <= 0 || this.#pause !== null) return
    const { observer, mirror, clock } = this.#options
    observer.add(mirrorMetrics.throttledSeconds, throttleMs / 1_000, { mirror })
    this.#pause = clock.schedule(throttleMs, () => {
      this.#pause = null
      this.#pump()
    })
  }
}
