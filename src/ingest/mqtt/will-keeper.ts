import type { ClockMark } from '../../base/clock-mark.ts'
import type { Clock, Timer } from '../../base/ports.ts'
import type { WillMessage } from '../../protocol/mqtt/packets.ts'
import type { MqttProperties } from '../../protocol/mqtt/properties.ts'
import { reasonCodes, reasonName } from '../../protocol/mqtt/reason-codes.ts'
import { utf8Bytes } from '../../protocol/mqtt/utf8.ts'
import { type CommitBatch, type CommitBatches, reasonOf } from './commit-batch.ts'
import type { WhenDecided } from './decoding-queue.ts'
import type { DoorCounters } from './door-counters.ts'
import { type PublisherFacts, RecordHeaderEncoder } from './record-headers.ts'
import type { RetainedKeeper } from './retained-keeper.ts'
import { payloadFault, type PayloadChecks } from './payload-check.ts'
import type { Route, RouteTable } from './route-table.ts'
import { type Decoding, type DecodingSlot, decodedProperties, type SparkplugDecoder } from './sparkplug-decoder.ts'
import type { TopicRights } from './topic-rights.ts'

/** A will and who left it. */
export interface Will {
  readonly message: WillMessage
  readonly publisher: PublisherFacts
  /** What the client may do now; null = everything. */
  readonly rights: () => TopicRights | null
}

export interface WillKeeperOptions {
  readonly clock: Clock
  clockMark(wallMs: number): ClockMark | null
  readonly routes: RouteTable
  readonly checks: PayloadChecks
  readonly commits: CommitBatches
  readonly counters: DoorCounters
  readonly retained: RetainedKeeper
  /** Null: messages of Sparkplug are not decoded. */
  readonly decoder: SparkplugDecoder | null
  /** The will is in the current turn's set. */
  readonly onPublished: (will: Will) => void
}

/**
 * Wills whose connection has gone: published at once, or after their delay (3.1.3.2.2) unless the client returns. At most one waits for each
 * session, so the sessions bound them. They are stored by the normal path; a will that cannot be stored is counted, nobody waits for it.
 */
export class WillKeeper {
  private readonly options: WillKeeperOptions
  private readonly delayed = new Map<string, { readonly will: Will; readonly timer: Timer; readonly dueMs: number }>()
  private waiting = 0

  constructor(options: WillKeeperOptions) {
    this.options = options
  }

  /** Wills that are due and wait for their Kafka topic to be created, or to be decoded. */
  get pendingCount(): number {
    return this.waiting
  }

  /** The connection went without a normal DISCONNECT. The will is published at the latest when its session ends, in `sessionEndsInMs`. */
  fire(will: Will, sessionEndsInMs: number): void {
    this.fireIn(will, Math.min((will.message.properties.willDelayInterval ?? 0) * 1000, sessionEndsInMs))
  }

  /** The same with a delay that is known. */
  fireIn(will: Will, delayMs: number): void {
    if (delayMs <= 0) return this.publish(will)
    const { clientId } = will.publisher
    this.cancel(clientId)
    const timer = this.options.clock.schedule(delayMs, () => this.fireDelayed(clientId))
    this.delayed.set(clientId, { will, timer, dueMs: this.options.clock.wallMs() + delayMs })
  }

  /** Wall ms at which the client's will is due; null = none waits. */
  dueMs(clientId: string): number | null {
    return this.delayed.get(clientId)?.dueMs ?? null
  }

  /** The client is back before the delay has passed [MQTT-3.1.2-26]. */
  cancel(clientId: string): void {
    const delayed = this.delayed.get(clientId)
    if (delayed === undefined) return
    this.options.clock.cancel(delayed.timer)
    this.delayed.delete(clientId)
  }

  /** The session of the client ends: a waiting will is due [MQTT-3.1.2-8]. */
  fireDelayed(clientId: string): void {
    const delayed = this.delayed.get(clientId)
    if (delayed === undefined) return
    this.cancel(clientId)
    this.publish(delayed.will)
  }

  /** The door closes: what waits is written down and waits on. */
  stop(): void {
    for (const { timer } of this.delayed.values()) this.options.clock.cancel(timer)
    this.delayed.clear()
  }

  private publish(will: Will, slot: DecodingSlot = { pending: null }): void {
    const { clock, routes, commits } = this.options
    const topic = utf8Bytes(will.message.topic)
    const wallMs = clock.wallMs()
    // Asked again: what was allowed at CONNECT may not be any more.
    if (will.rights()?.mayPublish(topic, 0, topic.length) === false) return this.giveUp(will, notAuthorized)
    const route = routes.find(topic, 0, topic.length, wallMs)
    if (route === null) return this.giveUp(will, willRefused)
    if (route.state === 'waiting') return this.publishWhen(routes.whenDecided(route), will, slot)
    if (route.state !== 'ready' || route.partition === null) return this.giveUp(will, reasonName(route.reason))
    if (will.rights()?.mayWrite(route.partition.topic) === false) return this.giveUp(will, notAuthorized)
    const { qos, retain, properties, payload } = will.message
    const decoding = this.decode(route, payload, slot)
    if (typeof decoding === 'function') return this.publishWhen(decoding, will, slot)
    // Its CONNECT may have been before a restart with another schema.
    const { checks, counters } = this.options
    const judged = { source: payload, start: 0, end: payload.length, retain }
    if (payloadFault(checks, route.checkedRule, judged, counters) !== null) {
      return this.giveUp(will, reasonName(reasonCodes.payloadFormatInvalid))
    }
    const headers = new RecordHeaderEncoder(will.publisher).build({
      headers: route.headers,
      qos,
      retain,
      isWill: true,
      clockMark: this.options.clockMark(wallMs),
      topic: route.key === null ? null : topic,
      properties,
      wallMs,
    })
    const batch = commits.current()
    const jsonLength = decoding?.json?.length ?? 0
    if (jsonLength > 0) batch.turn.keepTogether(payload.length + jsonLength + 2 * (topic.length + headers.length) + 128)
    const key = route.key?.length === 0 ? null : (route.key ?? topic)
    const error = batch.turn.append(route.partition, wallMs, key, payload, headers)
    if (error !== null) return this.giveUp(will, reasonName(reasonOf(error)))
    batch.messages += 1
    batch.bytes += topic.length + payload.length
    if (decoding !== null && route.decoded !== null) {
      const { clientId } = will.publisher
      const ofJson = (): Uint8Array =>
        this.headersOf(will, { retain: false, properties: decodedProperties(properties) }, wallMs)
      this.options.decoder?.keep(batch, route.decoded, decoding, { clientId, headers: ofJson, wallMs })
    }
    if (retain) this.retain(batch, will, topic, wallMs)
    this.options.onPublished(will)
  }

  private publishWhen(whenDecided: WhenDecided, will: Will, slot: DecodingSlot): void {
    this.waiting += 1
    whenDecided(() => {
      this.waiting -= 1
      this.publish(will, slot)
    })
  }

  private decode(route: Route, payload: Uint8Array, slot: DecodingSlot): Decoding | WhenDecided | null {
    const { decoder } = this.options
    return route.decoded === null || decoder === null ? null : decoder.decode(route.decoded, payload, slot)
  }

  /** Headers of what is made of a will, under the topic of its own that is its key. */
  private headersOf(
    { publisher, message: { qos } }: Will,
    { retain, properties }: { readonly retain: boolean; readonly properties: MqttProperties },
    wallMs: number,
  ): Uint8Array {
    const clockMark = this.options.clockMark(wallMs)
    const facts = { headers: 'minimal', qos, retain, isWill: true, topic: null, clockMark, wallMs } as const
    return new RecordHeaderEncoder(publisher).build({ ...facts, properties })
  }

  /** It will not be published, not after a restart either. */
  private giveUp(will: Will, reason: string): void {
    this.options.counters.refuse(reason)
    this.options.onPublished(will)
  }

  /** A will that there is no room for is published all the same; nobody can be told. */
  private retain(batch: CommitBatch, will: Will, topic: Uint8Array, wallMs: number): void {
    const { retained, counters } = this.options
    const { properties, payload } = will.message
    const headers = this.headersOf(will, { retain: true, properties }, wallMs)
    let verdict: number = reasonCodes.success
    if (payload.length > 0) verdict = retained.judge(topic, topic.length + payload.length + headers.length, wallMs)
    if (verdict === reasonCodes.success) verdict = retained.set(batch, { topic, payload, headers, wallMs })
    if (verdict !== reasonCodes.success) counters.refuse(reasonName(verdict))
  }
}

const notAuthorized = reasonName(reasonCodes.notAuthorized)
const willRefused = 'topicNameInvalid'
