import { copyBytes } from '../../base/bytes.ts'
import { partitionForKey } from '../../base/murmur2.ts'
import type { Clock, Observer } from '../../base/ports.ts'
import type { Broker } from '../../broker/broker.ts'
import type { Partition } from '../../cluster/partition/partition.ts'
import { reasonCodes } from '../../protocol/mqtt/reason-codes.ts'
import { isValidTopicName, utf8Bytes, utf8Text } from '../../protocol/mqtt/utf8.ts'
import type { CertificatePlace } from './birth-certificate.ts'
import type { WhenDecided } from './decoding-queue.ts'
import { EventBudget } from './event-budget.ts'
import { mqttEvents } from './mqtt-events.ts'
import type { PayloadChecks } from './payload-check.ts'
import { type CachedByTopic, hashTopic, TopicCache } from './route-cache.ts'
import { certificateTopicOf, decodedPartitionBy, sparkplugSourceOf, type SparkplugOptions } from './sparkplug.ts'
import { type DecodedPlace, decodedPlace } from './sparkplug-decoder.ts'
import type { HeaderLevel, RoutePlan, TopicMapping } from './topic-mapping.ts'

/** Where the messages of one MQTT topic go. */
export interface Route extends CachedByTopic {
  /** `stale` routes are resolved again when they are next used. */
  state: 'ready' | 'waiting' | 'refused' | 'stale'
  partition: Partition | null
  /** Where births of Sparkplug are kept; null = its messages are none, or they cannot be kept. */
  certificate: CertificatePlace | null
  /** Where messages of Sparkplug are stored as JSON; null = its messages are none, or they are not to be decoded. */
  decoded: DecodedPlace | null
  /** Null = the MQTT topic is the key. */
  key: Uint8Array | null
  headers: HeaderLevel
  /** Place of its rule, if that has a schema; null = payloads may be anything. */
  checkedRule: number | null
  /** `refused`: what MQTT 5.0 is told. */
  reason: number
  /** Wall ms at which a route that had to make do is tried again; Infinity when it is as it should be. */
  retryAtMs: number
  creation: TopicCreation | null
}

interface TopicCreation {
  readonly kafkaTopic: string
  readonly waiters: (() => void)[]
  readonly routes: Route[]
}

export interface RouteTableOptions {
  readonly broker: Broker
  readonly mapping: TopicMapping
  readonly clock: Clock
  readonly observer: Observer
  readonly lastResortTopic: string
  readonly autoTopicsMax: number
  readonly checks: PayloadChecks
  /** Null = the server is not aware of Sparkplug. */
  readonly sparkplug: SparkplugOptions | null
}

/** Half of the topics remembered: about 250 bytes each, 1,300 at worst. */
const cacheCapacity = 8192
/** A topic that could not be created is not asked for again before this. */
const retryAfterMs = 10_000

/** Resolves MQTT topics to partitions, creating Kafka topics on the way; remembers what it found by the topic's bytes. */
export class RouteTable {
  private readonly options: RouteTableOptions
  private readonly cache = new TopicCache<Route>(cacheCapacity)
  private readonly creations = new Map<string, TopicCreation>()
  /** Kafka topic -> wall ms until which its creation is not tried again. */
  private readonly failures = new Map<string, number>()
  private readonly eventBudget: EventBudget
  private autoTopics = 0

  constructor(options: RouteTableOptions) {
    this.options = options
    this.eventBudget = new EventBudget(options.clock)
  }

  /** The route of the topic name [start, end), or null when that is not a topic name. */
  find(bytes: Uint8Array, start: number, end: number, wallMs: number): Route | null {
    const hash = hashTopic(bytes, start, end)
    let route = this.cache.find(hash, bytes, start, end)
    if (route === undefined) {
      if (!isValidTopicName(bytes, start, end)) return null
      route = newRoute(copyBytes(bytes, start, end), hash)
      this.cache.add(route)
    } else if (route.retryAtMs <= wallMs) {
      route.state = 'stale'
    }
    if (route.state === 'stale') this.resolve(route, wallMs)
    return route
  }

  /** Topics were created, deleted or grown: nothing known is certain any more. */
  invalidate(): void {
    this.cache.clear()
    this.failures.clear()
  }

  /** Calls back once, when a `waiting` route has been decided. */
  whenDecided(route: Route): WhenDecided {
    return (callback) => {
      const creation = route.creation
      if (creation === null) callback()
      else creation.waiters.push(callback)
    }
  }

  private resolve(route: Route, wallMs: number): void {
    route.retryAtMs = Number.POSITIVE_INFINITY
    const plan = this.options.mapping.plan(utf8Text(route.topic, 0, route.topic.length))
    if (plan.kind === 'refused') return this.refuse(route, plan.reason)
    if (plan.kind === 'unrouted') return this.useLastResort(route, wallMs, 'no rule gives a legal Kafka topic')
    route.key = plan.key === null ? null : utf8Bytes(plan.key)
    route.headers = plan.headers
    route.checkedRule = plan.rule !== null && this.options.checks.has(plan.rule) ? plan.rule : null
    this.use(route, plan, wallMs)
  }

  private use(route: Route, plan: RoutePlan & { readonly kind: 'routed' }, wallMs: number): void {
    const { broker, autoTopicsMax } = this.options
    const count = this.servedPartitions(plan.kafkaTopic)
    if (count > 0) {
      const hashed = plan.partitionBy === null ? route.topic : utf8Bytes(plan.partitionBy)
      return this.setPartition(route, plan.kafkaTopic, partitionForKey(hashed, count), wallMs)
    }
    if ((this.failures.get(plan.kafkaTopic) ?? 0) > wallMs) {
      return this.useLastResort(route, wallMs, `the topic ${plan.kafkaTopic} could not be created`)
    }
    const isNew = broker.topicPartitions(plan.kafkaTopic) === undefined && !this.creations.has(plan.kafkaTopic)
    if (plan.isOpenEnded && isNew && this.autoTopics >= autoTopicsMax) {
      return this.useLastResort(route, wallMs, `publishes have created ${autoTopicsMax} topics already`)
    }
    this.create(route, plan.kafkaTopic, plan.isOpenEnded && isNew)
  }

  /** Partitions of a topic that can be written to; 0 while its logs are being created, or when there is no such topic. */
  private servedPartitions(kafkaTopic: string): number {
    const { broker } = this.options
    const count = broker.topicPartitions(kafkaTopic) ?? 0
    return count > 0 && broker.partitions.get(kafkaTopic, count - 1) !== undefined ? count : 0
  }

  private setPartition(route: Route, kafkaTopic: string, index: number, wallMs: number): void {
    const partition = this.options.broker.partitions.get(kafkaTopic, index)
    if (partition === undefined) return this.refuse(route, `partition ${kafkaTopic}-${index} is not here`, wallMs)
    if (route.key?.length === 0 && partition.log.config.cleanupPolicy.has('compact')) {
      // Compaction would keep one record of all that have no key.
      return this.refuse(route, `its rule gives it no record key, and ${kafkaTopic} is compacted`, wallMs)
    }
    route.partition = partition
    route.state = 'ready'
    this.findCertificatePlace(route, wallMs)
    if (route.state === 'ready') this.findDecodedPlace(route, wallMs)
  }

  /** A birth waits until its certificate can be kept, or is known not to be. */
  private findCertificatePlace(route: Route, wallMs: number): void {
    route.certificate = null
    const { sparkplug, broker } = this.options
    const name = sparkplug === null ? null : certificateTopicOf(utf8Text(route.topic, 0, route.topic.length))
    if (sparkplug === null || name === null) return
    const { certificatesTopic } = sparkplug
    const topic = utf8Bytes(name)
    const count = this.servedPartitions(certificatesTopic)
    if (count > 0) {
      const partition = broker.partitions.get(certificatesTopic, partitionForKey(topic, count))
      if (partition !== undefined) route.certificate = { partition, topic }
    } else if ((this.failures.get(certificatesTopic) ?? 0) <= wallMs) this.create(route, certificatesTopic, false)
    else route.retryAtMs = wallMs + retryAfterMs
  }

  /** A message waits until it can be stored as JSON too, or that is known not to be. */
  private findDecodedPlace(route: Route, wallMs: number): void {
    route.decoded = null
    const kafkaTopic = this.options.sparkplug?.decodedTopic ?? null
    const topic = kafkaTopic === null ? '' : utf8Text(route.topic, 0, route.topic.length)
    const source = sparkplugSourceOf(topic)
    if (kafkaTopic === null || source === null) return
    const count = this.servedPartitions(kafkaTopic)
    const index = count > 0 ? partitionForKey(utf8Bytes(decodedPartitionBy(source)), count) : 0
    const partition = count > 0 ? this.options.broker.partitions.get(kafkaTopic, index) : undefined
    if (partition === undefined && (this.failures.get(kafkaTopic) ?? 0) <= wallMs) {
      return this.create(route, kafkaTopic, false)
    }
    if (partition === undefined) route.retryAtMs = wallMs + retryAfterMs
    route.decoded = decodedPlace(topic, source, partition ?? null)
  }

  private useLastResort(route: Route, wallMs: number, reason: string): void {
    const { observer, lastResortTopic } = this.options
    route.key = null
    route.headers = 'minimal'
    route.retryAtMs = wallMs + retryAfterMs
    const count = this.servedPartitions(lastResortTopic)
    if (count > 0) {
      const topic = utf8Text(route.topic, 0, route.topic.length)
      if (this.eventBudget.take())
        observer.event(mqttEvents.topicUnrouted, { topic, kafkaTopic: lastResortTopic, reason })
      return this.setPartition(route, lastResortTopic, partitionForKey(route.topic, count), wallMs)
    }
    if ((this.failures.get(lastResortTopic) ?? 0) > wallMs) {
      return this.refuse(route, `${reason}, and the topic ${lastResortTopic} could not be created`, wallMs)
    }
    this.create(route, lastResortTopic, false)
  }

  private refuse(route: Route, reason: string, retryFromMs = Number.POSITIVE_INFINITY): void {
    route.state = 'refused'
    route.reason = reasonCodes.topicNameInvalid
    route.retryAtMs = retryFromMs + retryAfterMs
    const topic = utf8Text(route.topic, 0, route.topic.length)
    if (this.eventBudget.take()) this.options.observer.event(mqttEvents.topicRefused, { topic, reason })
  }

  private create(route: Route, kafkaTopic: string, isOpenEnded: boolean): void {
    let creation = this.creations.get(kafkaTopic)
    if (creation === undefined) {
      creation = { kafkaTopic, waiters: [], routes: [] }
      this.creations.set(kafkaTopic, creation)
      if (isOpenEnded) this.autoTopics += 1
      const running = creation
      this.options.broker.ensureTopic(kafkaTopic).then(
        (error) => this.created(running, error !== null, isOpenEnded),
        () => this.created(running, true, isOpenEnded),
      )
    }
    route.state = 'waiting'
    route.creation = creation
    creation.routes.push(route)
  }

  private created(creation: TopicCreation, hasFailed: boolean, isOpenEnded: boolean): void {
    this.creations.delete(creation.kafkaTopic)
    if (hasFailed) {
      if (isOpenEnded) this.autoTopics -= 1
      this.failures.set(creation.kafkaTopic, this.options.clock.wallMs() + retryAfterMs)
      if (this.failures.size > failuresMax) this.forgetOldestFailure()
    }
    for (const route of creation.routes) {
      route.state = 'stale'
      route.creation = null
    }
    for (const waiter of creation.waiters) waiter()
  }

  private forgetOldestFailure(): void {
    for (const kafkaTopic of this.failures.keys()) {
      this.failures.delete(kafkaTopic)
      return
    }
  }
}

/** Failed creations remembered: names come from clients. */
const failuresMax = 1024

function newRoute(topic: Uint8Array, topicHash: number): Route {
  return {
    topic,
    topicHash,
    state: 'stale',
    partition: null,
    certificate: null,
    decoded: null,
    key: null,
    headers: 'minimal',
    checkedRule: null,
    reason: reasonCodes.success,
    retryAtMs: Number.POSITIVE_INFINITY,
    creation: null,
  }
}
