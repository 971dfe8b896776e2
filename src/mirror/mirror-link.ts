/**
 * One mirror: the partitions to carry, the way to the central cluster, and the hands of the tasks.
 *
 * A round of `#refresh` finds or makes the target topics and gives every partition its broker; it is asked for when something moved, and
 * runs again by itself now and then. While the cluster cannot be reached there is one timer, for the next attempt, and nothing else.
 */
import { asError } from '../base/errors.ts'
import type { ListenAddress, Ports, Timer } from '../base/ports.ts'
import { type AnchorKey, anchorKeyText, type MirrorAnchor } from './anchor.ts'
import { backOffMs } from './back-off.ts'
import { BufferPool } from './buffer-pool.ts'
import { mirrorEvents } from './mirror-events.ts'
import { mirrorMetrics } from './mirror-metrics.ts'
import { defaultMirrorLimits, type MirrorLimits, type MirrorOptions } from './mirror-options.ts'
import type { MirrorSource, SourceTopic } from './mirror-source.ts'
import type { MirrorStatus } from './mirror-status.ts'
import { MirrorTask } from './mirror-task.ts'
import { PartitionMirror } from './partition-mirror.ts'
import { ProducePipeline } from './produce-pipeline.ts'
import { findRoutes, type Routes, type TopicRoute } from './route-finder.ts'
import { kafkaLogin } from '../security/kafka-login.ts'
import { OutboundCredentials } from '../security/outbound-credentials.ts'
import { TargetConnection } from './target-connection.ts'
import { TaskHands } from './task-hands.ts'
import { TopicPolicy } from './topic-policy.ts'
import { UntrustedTimes } from './untrusted-times.ts'

export interface MirrorLinkParts {
  readonly ports: Ports
  readonly source: MirrorSource
  readonly options: MirrorOptions
  readonly site: string
  readonly nodeId: number
  readonly bootId: string
}

/** A refresh that is asked for waits this long, so that what moves together is asked about once. */
const refreshDelayMs = 50
/** Merged batches that wait for their answers, kept for the next ones. */
const pooledBuffersMax = 16
const nothingShown = { tls: null, sasl: null }

type LinkState = MirrorStatus['state']

export class MirrorLink {
  readonly name: string
  readonly #parts: MirrorLinkParts
  readonly #limits: MirrorLimits
  readonly #times: UntrustedTimes
  readonly #policy: TopicPolicy
  readonly #pool: BufferPool
  readonly #credentials: OutboundCredentials
  readonly #hands: TaskHands
  readonly #mirrors = new Map<string, PartitionMirror>()
  readonly #pipelines = new Map<number, ProducePipeline>()
  /** Topics that were found not mirrorable, so that it is said once. */
  readonly #toldTopics = new Set<string>()
  #anchors: ReadonlyMap<string, MirrorAnchor> = new Map()
  #control: TargetConnection | null = null
  #knownBrokers: readonly ListenAddress[] = []
  #nextAddress = 0
  #state: LinkState = 'connecting'
  #attempt = 0
  #isRefreshing = false
  #isAskedAgain = false
  #isStarted = false
  #timer: Timer | null = null
  /** The timer waits out a failure: being asked does not shorten it. */
  #isBackingOff = false
  #lastError: { readonly text: string; readonly wallMs: number } | null = null
  #unsubscribe: () => void = () => {}

  /** Throws MIRROR_PATTERN_INVALID or MIRROR_TEMPLATE_INVALID. */
  constructor(parts: MirrorLinkParts) {
    const { options, ports } = parts
    this.name = options.name
    this.#parts = parts
    this.#limits = { ...defaultMirrorLimits, ...options.limits }
    const { options: mirrorOptions, bootId } = parts
    this.#times = new UntrustedTimes(parts.ports.clock, mirrorOptions.untrustedTimestamps ?? 'restamp', bootId)
    this.#policy = new TopicPolicy({ ...options, site: parts.site, nodeId: parts.nodeId })
    this.#credentials = new OutboundCredentials(`mirror ${options.name}`, options.security ?? nothingShown, ports)
    this.#pool = new BufferPool(this.#limits.mergedBatchBytesMax, pooledBuffersMax)
    this.#hands = new TaskHands({
      mirror: options.name,
      ports,
      source: parts.source,
      pool: this.#pool,
      limits: this.#limits,
      requestRefresh: () => this.#requestRefresh(),
      onTrouble: (text) => this.#note(text),
    })
  }

  /** Begins; `anchors` are the newest of each key. */
  start(anchors: ReadonlyMap<string, MirrorAnchor>): void {
    if (this.#isStarted) return
    this.#isStarted = true
    this.#anchors = anchors
    this.#unsubscribe = this.#parts.source.onTopicsChange(() => this.#onTopicsChange())
    this.#takeTopics()
    this.#schedule(1)
  }

  /** It will not run, and this is why. */
  fail(reason: string): void {
    this.#state = 'failed'
    this.#note(reason)
  }

  /** Ends sending at once and writes down how far the target had confirmed. Resolves when that is durable. */
  async stop(): Promise<void> {
    if (!this.#isStarted) return
    this.#isStarted = false
    this.#state = 'stopped'
    this.#unsubscribe()
    this.#cancelTimer()
    this.#control?.close()
    for (const pipeline of [...this.#pipelines.values()]) pipeline.down('stopped')
    await Promise.all([...this.#mirrors.values()].map((mirror) => this.#hands.leave(mirror)))
    this.#mirrors.clear()
  }

  status(): MirrorStatus {
    const nowMs = this.#parts.ports.clock.monotonicMs()
    const partitions = [...this.#mirrors.values()].map((mirror) => {
      const { startOffset, endOffset } = mirror.source
      const mirroredEndOffset = Math.max(startOffset, mirror.task.confirmedEnd)
      return {
        topic: mirror.sourceTopic,
        partition: mirror.partition,
        targetTopic: mirror.targetTopic,
        mirroredEndOffset,
        durableEndOffset: endOffset,
        lagRecords: Math.max(0, endOffset - mirroredEndOffset),
        state: mirror.task.state,
        reason: mirror.task.reason,
        bytesPerSecond: mirror.rate.bytesPerSecond(nowMs),
      }
    })
    const isWell = this.#state === 'running' && partitions.every((partition) => partition.reason === null)
    return {
      name: this.name,
      bootstrapServers: this.#parts.options.bootstrapServers.map(({ host, port }) => `${host}:${port}`),
      state: this.#state,
      lagRecords: partitions.reduce((sum, partition) => sum + partition.lagRecords, 0),
      mirroredRecords: this.#hands.mirroredRecords,
      mirroredBytes: this.#hands.mirroredBytes,
      bytesPerSecond: partitions.reduce((sum, partition) => sum + partition.bytesPerSecond, 0),
      lastError: isWell ? null : (this.#lastError?.text ?? null),
      lastErrorMs: this.#lastError?.wallMs ?? null,
      partitions,
    }
  }

  /** Sets the gauges that a scrape shows. */
  refreshGauges(): void {
    const { observer } = this.#parts.ports
    const mirror = this.name
    const status = this.status()
    observer.set(mirrorMetrics.linkUp, this.#state === 'running' ? 1 : 0, { mirror })
    const windows = [...this.#pipelines.values()].reduce((sum, pipeline) => sum + pipeline.window.bytes, 0)
    observer.set(mirrorMetrics.windowBytes, windows, { mirror })
    let parked = 0
    for (const { topic, partition, lagRecords, state } of status.partitions) {
      observer.set(mirrorMetrics.lagRecords, lagRecords, { mirror, topic, partition: String(partition) })
      if (state === 'parked') parked++
    }
    observer.set(mirrorMetrics.parkedPartitions, parked, { mirror })
  }

  // ------------------------------------------------------------------------------------------------- topics

  #onTopicsChange(): void {
    if (this.#takeTopics()) this.#requestRefresh()
  }

  /** Takes up new partitions and drops those that are gone; true when there are new ones. */
  #takeTopics(): boolean {
    const wanted = new Set<string>()
    let hasNew = false
    for (const topic of this.#parts.source.topics()) {
      const verdict = this.#policy.verdict(topic.name, topic.isInternal)
      if (verdict.kind === 'parked' || verdict.kind === 'loop') this.#tellOnce(topic.name, verdict.reason)
      if (verdict.kind !== 'mirrored') continue
      for (let partition = 0; partition < topic.partitions; partition++) {
        const key: AnchorKey = { mirror: this.name, topicId: topic.topicId, partition }
        const text = anchorKeyText(key)
        wanted.add(text)
        if (!this.#mirrors.has(text) && this.#take(topic, key, verdict.targetTopic)) hasNew = true
      }
    }
    for (const [text, mirror] of this.#mirrors) {
      if (wanted.has(text)) continue
      this.#mirrors.delete(text)
      this.#hands.drop(mirror)
    }
    return hasNew
  }

  #take(topic: SourceTopic, key: AnchorKey, targetTopic: string): boolean {
    const source = this.#parts.source.partition(topic.name, key.partition)
    if (source === null) return false
    const text = anchorKeyText(key)
    const task = new MirrorTask({
      targetTopic,
      startFrom: this.#parts.options.startFrom ?? 'earliest',
      anchor: this.#anchors.get(text) ?? null,
      batchBytesMax: this.#limits.mergedBatchBytesMax,
      idleMs: this.#limits.idleMs,
    })
    const mirror = new PartitionMirror({ key, sourceTopic: topic.name, targetTopic, task, source })
    this.#mirrors.set(text, mirror)
    this.#hands.take(mirror)
    return true
  }

  #tellOnce(topic: string, reason: string): void {
    if (this.#toldTopics.has(topic)) return
    this.#toldTopics.add(topic)
    this.#parts.ports.observer.event(mirrorEvents.topicNotMirrored, { mirror: this.name, topic, reason })
  }

  // ------------------------------------------------------------------------------------------------ refresh

  #requestRefresh(): void {
    if (!this.#isStarted || this.#isBackingOff) return
    if (this.#isRefreshing) this.#isAskedAgain = true
    else this.#schedule(refreshDelayMs)
  }

  #schedule(delayMs: number): void {
    this.#cancelTimer()
    this.#timer = this.#parts.ports.clock.schedule(Math.max(1, delayMs), () => {
      this.#timer = null
      this.#isBackingOff = false
      void this.#refresh()
    })
  }

  #cancelTimer(): void {
    if (this.#timer !== null) this.#parts.ports.clock.cancel(this.#timer)
    this.#timer = null
  }

  async #refresh(): Promise<void> {
    if (this.#isRefreshing || !this.#isStarted) return
    this.#isRefreshing = true
    this.#isAskedAgain = false
    let trouble: string | null
    try {
      trouble = await this.#refreshRoutes()
    } catch (thrown) {
      trouble = asError(thrown).message
      this.#control?.close()
      this.#control = null
    }
    this.#isRefreshing = false
    if (!this.#isStarted) return
    if (trouble === null) {
      this.#attempt = 0
      this.#schedule(this.#isAskedAgain ? refreshDelayMs : this.#limits.metadataMaxAgeMs)
      return
    }
    this.#backOff(trouble)
  }

  #backOff(reason: string): void {
    const { ports } = this.#parts
    this.#attempt++
    const bounds = { firstMs: this.#limits.backOffMs, maxMs: this.#limits.backOffMsMax }
    const waitMs = Math.round(backOffMs(this.#attempt, bounds, ports.entropy))
    if (this.#pipelines.size === 0) this.#state = 'backingOff'
    this.#note(reason)
    ports.observer.add(mirrorMetrics.linkFailures, 1, { mirror: this.name })
    // Said for the first attempts and then each time the wait is at its longest, which is once a minute.
    ports.observer.event(mirrorEvents.linkDown, { mirror: this.name, reason, waitMs })
    this.#schedule(waitMs)
    this.#isBackingOff = true
  }

  /** Answers what is not as it should be, or null. Rejects when the cluster cannot be reached. */
  async #refreshRoutes(): Promise<string | null> {
    const control = await this.#connectControl()
    const routes = await findRoutes(
      control,
      this.#wantedTopics(),
      this.#routeReports(),
      this.#limits.requestTimeoutMs / 2,
    )
    if (!this.#isStarted) return null
    if (routes.brokers.size > 0) this.#knownBrokers = [...routes.brokers.values()]
    if (this.#state !== 'running') {
      const event = { mirror: this.name, address: control.address, partitions: this.#mirrors.size }
      this.#parts.ports.observer.event(mirrorEvents.linkUp, event)
      this.#state = 'running'
    }
    const unreachable = await this.#connectBrokers(routes)
    let trouble: string | null = null
    for (const mirror of this.#mirrors.values()) trouble = this.#route(mirror, routes, unreachable) ?? trouble
    // Keeps connections that carry nothing from being closed for idleness (ten minutes at Apache Kafka).
    for (const pipeline of this.#pipelines.values()) void pipeline.connection.metadata([]).catch(() => undefined)
    return trouble
  }

  /** The connection for questions about the cluster: bootstrap servers and brokers we have heard of, in turn. */
  async #connectControl(): Promise<TargetConnection> {
    if (this.#control !== null) return this.#control
    if (this.#state !== 'running') this.#state = this.#attempt === 0 ? 'connecting' : 'backingOff'
    const addresses = [...this.#parts.options.bootstrapServers, ...this.#knownBrokers]
    const address = addresses[this.#nextAddress++ % addresses.length]
    if (address === undefined) throw new Error('no bootstrap servers')
    const connection = await this.#open(address, 'control')
    if (!this.#isStarted) {
      connection.close()
      throw new Error('stopped')
    }
    connection.onClose(() => {
      if (this.#control === connection) this.#control = null
      this.#requestRefresh()
    })
    this.#control = connection
    return connection
  }

  async #open(address: ListenAddress, role: string): Promise<TargetConnection> {
    const { ports, site, nodeId } = this.#parts
    const credentials = this.#credentials
    return TargetConnection.open({
      tls: await credentials.tls(),
      login: credentials.hasLogin ? kafkaLogin(() => credentials.login(address.host), ports) : null,
      net: ports.net,
      clock: ports.clock,
      address,
      clientId: `headwater-${site}-${nodeId}-${this.name}-${role}`,
      connectTimeoutMs: this.#limits.connectTimeoutMs,
      requestTimeoutMs: this.#limits.requestTimeoutMs,
    })
  }

  #wantedTopics(): { name: string; partitions: number }[] {
    const counts = new Map<string, number>()
    for (const { targetTopic, partition } of this.#mirrors.values()) {
      counts.set(targetTopic, Math.max(counts.get(targetTopic) ?? 0, partition + 1))
    }
    return [...counts].map(([name, partitions]) => ({ name, partitions }))
  }

  #routeReports(): Parameters<typeof findRoutes>[2] {
    const { observer } = this.#parts.ports
    const mirror = this.name
    return {
      created: (topic, partitions) => observer.event(mirrorEvents.topicCreated, { mirror, topic, partitions }),
      grown: (topic, partitions) => observer.event(mirrorEvents.topicGrown, { mirror, topic, partitions }),
    }
  }

  /** Connects to every broker that leads something of ours; answers those that cannot be reached. */
  async #connectBrokers(routes: Routes): Promise<ReadonlyMap<number, string>> {
    const wanted = new Set<number>()
    for (const route of routes.topics.values())
      if (route.kind === 'found') for (const id of route.leaders) wanted.add(id)
    const unreachable = new Map<number, string>()
    const connect = async (nodeId: number): Promise<void> => {
      const address = routes.brokers.get(nodeId)
      if (this.#pipelines.has(nodeId) || address === undefined) return
      try {
        const connection = await this.#open(address, `broker-${nodeId}`)
        if (this.#isStarted) this.#addPipeline(nodeId, connection)
        else connection.close()
      } catch (thrown) {
        unreachable.set(nodeId, asError(thrown).message)
      }
    }
    await Promise.all([...wanted].map(connect))
    return unreachable
  }

  #addPipeline(nodeId: number, connection: TargetConnection): void {
    const { clock, compute, observer } = this.#parts.ports
    const pipeline = new ProducePipeline({
      mirror: this.name,
      nodeId,
      connection,
      clock,
      compute,
      observer,
      pool: this.#pool,
      limits: this.#limits,
      times: this.#times,
      feed: (mirror, event) => this.#hands.feed(mirror, event),
      onDown: (down, reason) => this.#onPipelineDown(down, reason),
    })
    if (!pipeline.isDown) this.#pipelines.set(nodeId, pipeline)
  }

  #onPipelineDown(pipeline: ProducePipeline, reason: string): void {
    if (this.#pipelines.get(pipeline.nodeId) === pipeline) this.#pipelines.delete(pipeline.nodeId)
    let partitions = 0
    for (const mirror of this.#mirrors.values()) {
      if (mirror.pipeline !== pipeline) continue
      partitions++
      this.#hands.unroute(mirror)
    }
    if (!this.#isStarted) return
    this.#note(reason)
    const { observer } = this.#parts.ports
    observer.add(mirrorMetrics.linkFailures, 1, { mirror: this.name })
    observer.event(mirrorEvents.brokerLost, {
      mirror: this.name,
      address: pipeline.connection.address,
      reason,
      partitions,
    })
    this.#requestRefresh()
  }

  /** Gives one partition its way; answers why it has none, when that will change by itself. */
  #route(mirror: PartitionMirror, routes: Routes, unreachable: ReadonlyMap<number, string>): string | null {
    const route: TopicRoute = routes.topics.get(mirror.targetTopic) ?? { kind: 'notYet', reason: 'not asked for yet' }
    if (route.kind === 'refused') {
      this.#hands.unroute(mirror)
      this.#hands.feed(mirror, { kind: 'targetRefused', reason: route.reason })
      return null
    }
    if (route.kind === 'notYet') {
      this.#hands.unroute(mirror)
      return `${mirror.targetTopic}: ${route.reason}`
    }
    if (mirror.partition >= route.leaders.length) {
      this.#hands.unroute(mirror)
      const reason = `${mirror.targetTopic} has ${route.leaders.length} partitions at the target and cannot be given more`
      this.#hands.feed(mirror, { kind: 'targetRefused', reason })
      return null
    }
    const leaderId = route.leaders[mirror.partition] ?? -1
    const pipeline = this.#pipelines.get(leaderId)
    if (pipeline === undefined) {
      this.#hands.unroute(mirror)
      const why = unreachable.get(leaderId)
      return why ?? `${mirror.targetTopic}-${mirror.partition} has no leader at the target`
    }
    this.#hands.route(mirror, pipeline, route)
    return null
  }

  #note(text: string): void {
    this.#lastError = { text, wallMs: this.#parts.ports.clock.wallMs() }
  }
}
