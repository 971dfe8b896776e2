/** Runs the effects of mirror tasks and feeds back what came of them. Decides nothing. */
import { asError } from '../base/errors.ts'
import type { Ports } from '../base/ports.ts'
import type { MirrorAnchor } from './anchor.ts'
import { backOffMs } from './back-off.ts'
import type { BufferPool } from './buffer-pool.ts'
import { Gate } from './gate.ts'
import { mirrorEvents } from './mirror-events.ts'
import { mirrorMetrics } from './mirror-metrics.ts'
import type { MirrorLimits } from './mirror-options.ts'
import type { MirrorSource } from './mirror-source.ts'
import type { TaskEffect, TaskEvent, TaskReport } from './task-events.ts'
import type { PartitionMirror } from './partition-mirror.ts'
import type { ProducePipeline } from './produce-pipeline.ts'
import { questionAction, ResumeFinder } from './resume-finder.ts'
import type { TopicRoute } from './route-finder.ts'

export interface TaskHandsOptions {
  readonly mirror: string
  readonly ports: Ports
  readonly source: MirrorSource
  readonly pool: BufferPool
  readonly limits: MirrorLimits
  readonly requestRefresh: () => void
  /** A partition does not go on; in words. */
  readonly onTrouble: (text: string) => void
}

/** Partitions that get a producer id and their target's end at once. */
const preparationsMax = 16

export class TaskHands {
  readonly #options: TaskHandsOptions
  readonly #preparations = new Gate(preparationsMax)
  readonly #finders = new WeakMap<ProducePipeline, ResumeFinder>()
  mirroredRecords = 0
  mirroredBytes = 0

  constructor(options: TaskHandsOptions) {
    this.#options = options
  }

  /** Begins to follow the source of a partition. */
  take(mirror: PartitionMirror): void {
    const advance = (): void => {
      const { startOffset, endOffset } = mirror.source
      this.feed(mirror, { kind: 'sourceAdvanced', startOffset, endOffset })
    }
    mirror.unsubscribe = mirror.source.onAdvance(advance)
    advance()
  }

  /** The source topic is gone. */
  drop(mirror: PartitionMirror): void {
    mirror.unsubscribe()
    this.unroute(mirror)
    const labels = { mirror: this.#options.mirror, topic: mirror.sourceTopic, partition: String(mirror.partition) }
    this.#options.ports.observer.remove(mirrorMetrics.lagRecords, labels)
  }

  /** A clean stop: writes down how far the target has confirmed, where that says more than the anchor. */
  async leave(mirror: PartitionMirror): Promise<void> {
    mirror.unsubscribe()
    this.unroute(mirror)
    const { anchor, confirmedEnd } = mirror.task
    if (anchor === null || anchor.confirmedEnd === confirmedEnd || confirmedEnd < anchor.sourceOffset) return
    // Best effort: without it the next start knows less of its lag, and asks the target all the same.
    const record = { key: mirror.key, anchor: { ...anchor, confirmedEnd } }
    await this.#options.source
      .writeAnchor(record)
      .catch((thrown: unknown) => this.#options.onTrouble(asError(thrown).message))
  }

  /** Gives a partition its broker. */
  route(mirror: PartitionMirror, pipeline: ProducePipeline, route: Extract<TopicRoute, { kind: 'found' }>): void {
    if (mirror.pipeline !== pipeline) this.unroute(mirror)
    mirror.pipeline = pipeline
    mirror.targetTopicId = route.topicId
    this.feed(mirror, { kind: 'targetReady', topicId: route.topicId, batchBytesMax: route.batchBytesMax })
  }

  /** Takes its broker away, and its timer. */
  unroute(mirror: PartitionMirror): void {
    if (mirror.timer !== null) this.#options.ports.clock.cancel(mirror.timer)
    mirror.timer = null
    if (mirror.pipeline === null) return
    mirror.pipeline = null
    mirror.unitsInFlight = 0
    mirror.isTrickling = false
    this.feed(mirror, { kind: 'targetGone' })
  }

  feed(mirror: PartitionMirror, event: TaskEvent): void {
    if (event.kind === 'acknowledged') {
      this.mirroredRecords += event.unit.endOffset - event.unit.baseOffset
      this.mirroredBytes += event.unit.batch.length
    }
    for (const effect of mirror.task.step(event)) this.#run(mirror, effect)
  }

  #run(mirror: PartitionMirror, effect: TaskEffect): void {
    switch (effect.kind) {
      case 'ready':
        mirror.pipeline?.enqueue(mirror)
        break
      case 'send':
        mirror.pipeline?.send(mirror, effect.unit, effect.anchor)
        break
      case 'discard':
        this.#options.pool.give(effect.unit.batch)
        break
      case 'prepare':
        void this.#prepare(mirror, effect.needsProducerId)
        break
      case 'writeAnchor':
        void this.#writeAnchor(mirror, effect.anchor)
        break
      case 'resolve':
        this.#resolve(mirror, effect)
        break
      case 'wait':
        this.#wait(mirror, effect)
        break
      case 'refreshMetadata':
        this.#options.requestRefresh()
        break
      case 'report':
        this.#report(mirror, effect.report)
        break
    }
  }

  async #prepare(mirror: PartitionMirror, needsProducerId: boolean): Promise<void> {
    const pipeline = mirror.pipeline
    if (pipeline === null) return
    const event = await this.#preparations.run(() => prepared(pipeline, mirror, needsProducerId))
    if (mirror.pipeline === pipeline) this.feed(mirror, event)
  }

  async #writeAnchor(mirror: PartitionMirror, anchor: MirrorAnchor): Promise<void> {
    try {
      await this.#options.source.writeAnchor({ key: mirror.key, anchor })
    } catch (thrown) {
      this.feed(mirror, { kind: 'anchorFailed', reason: `the anchor cannot be written: ${asError(thrown).message}` })
      return
    }
    this.feed(mirror, { kind: 'anchorDurable', nowMs: this.#options.ports.clock.monotonicMs() })
  }

  #resolve(mirror: PartitionMirror, effect: Extract<TaskEffect, { kind: 'resolve' }>): void {
    const pipeline = mirror.pipeline
    if (pipeline === null) return
    const { clock, compute } = this.#options.ports
    let finder = this.#finders.get(pipeline)
    if (finder === undefined)
      this.#finders.set(pipeline, (finder = new ResumeFinder(pipeline.connection, clock, compute)))
    const { anchor, sourceEndOffset } = effect
    finder.ask({ name: mirror.targetName, anchor, source: mirror.source, sourceEndOffset }, (answer) => {
      if (mirror.pipeline !== pipeline) return
      this.feed(mirror, answer.kind === 'failed' ? answer : { ...answer, nowMs: clock.monotonicMs() })
    })
  }

  #wait(mirror: PartitionMirror, effect: Extract<TaskEffect, { kind: 'wait' }>): void {
    const { limits, ports } = this.#options
    if (mirror.timer !== null) ports.clock.cancel(mirror.timer)
    const bounds = { firstMs: limits.backOffMs, maxMs: limits.backOffMsMax }
    const isParked = effect.why === 'parked'
    const waitMs = isParked ? limits.parkedRetryMs : backOffMs(effect.attempt, bounds, ports.entropy)
    mirror.timer = ports.clock.schedule(waitMs, () => {
      mirror.timer = null
      this.feed(mirror, { kind: 'timer' })
    })
    const { mirror: name } = this.#options
    const reason = mirror.task.reason ?? ''
    const at = { mirror: name, topic: mirror.sourceTopic, partition: mirror.partition, reason }
    this.#options.onTrouble(`${mirror.sourceTopic}-${mirror.partition}: ${reason}`)
    if (isParked) ports.observer.event(mirrorEvents.partitionParked, at)
    else ports.observer.event(mirrorEvents.partitionBackingOff, { ...at, waitMs: Math.round(waitMs) })
  }

  #report(mirror: PartitionMirror, report: TaskReport): void {
    const { observer } = this.#options.ports
    const name = this.#options.mirror
    const at = { mirror: name, topic: mirror.sourceTopic, partition: mirror.partition }
    switch (report.kind) {
      case 'anchored': {
        const { producerId, producerEpoch: epoch, sourceOffset: offset } = report.anchor
        observer.event(mirrorEvents.anchored, { ...at, producerId, epoch, offset, why: report.why })
        break
      }
      case 'resumed': {
        const { offset, proof } = report.resume
        observer.add(mirrorMetrics.resumes, 1, { mirror: name, proof })
        if (proof === 'none') observer.event(mirrorEvents.resumeUnproven, { ...at, offset })
        else observer.event(mirrorEvents.resumed, { ...at, offset, proof })
        break
      }
      case 'targetRecreated':
        observer.event(mirrorEvents.targetRecreated, {
          ...at,
          oldTopicId: report.oldTopicId,
          newTopicId: report.newTopicId,
        })
        break
      case 'recordsLost': {
        const { fromOffset, endOffset } = report
        observer.add(mirrorMetrics.lostRecords, endOffset - fromOffset, { mirror: name })
        observer.event(mirrorEvents.recordsLost, { ...at, fromOffset, endOffset })
        break
      }
      case 'sourceBehind':
        observer.event(mirrorEvents.sourceBehind, {
          ...at,
          targetOffset: report.targetOffset,
          endOffset: report.sourceEndOffset,
          startOffset: report.startAt,
        })
        break
      case 'targetTruncated':
        observer.event(mirrorEvents.targetTruncated, {
          ...at,
          expectedOffset: report.expectedOffset,
          targetOffset: report.targetOffset,
        })
        break
    }
  }
}

/** A producer id, when one is needed, and the end of the target partition. Never rejects. */
async function prepared(
  pipeline: ProducePipeline,
  mirror: PartitionMirror,
  needsProducerId: boolean,
): Promise<TaskEvent> {
  try {
    const bounds = await pipeline.connection.bounds(mirror.targetName)
    if (bounds.error !== 'NONE') {
      return { kind: 'failed', action: questionAction(bounds.error), reason: `ListOffsets: ${bounds.error}` }
    }
    if (!needsProducerId) return { kind: 'prepared', producerId: null, targetEndOffset: bounds.endOffset }
    const fresh = await pipeline.connection.newProducerId()
    if (fresh.error !== 'NONE') {
      return { kind: 'failed', action: questionAction(fresh.error), reason: `InitProducerId: ${fresh.error}` }
    }
    return { kind: 'prepared', producerId: fresh.producerId, targetEndOffset: bounds.endOffset }
  } catch (thrown) {
    return { kind: 'failed', action: 'retry', reason: asError(thrown).message }
  }
}
